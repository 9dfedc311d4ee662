package transport

import (
	"encoding/binary"
	"net"
	"testing"
	"time"

	"github.com/pion/srtp/v3"
)

// What is held leaves at the rate of the limit, in its order, and is numbered then; what is urgent does not wait. Where
// too much waits no more is taken.
func TestPacer(t *testing.T) {
	port := &Port{}
	local := loopback(t)
	far := loopback(t)
	profile := srtp.ProtectionProfileAeadAes128Gcm
	c, err := cryptoOf(profile, keysOf(t, profile))
	if err != nil {
		t.Fatal(err)
	}
	tr := &Transport{port: port, history: &history{}}
	tr.crypto.Store(c)
	tr.path.Store(&path{newSocket(port, local), far.LocalAddr().(*net.UDPAddr).AddrPort()})
	now := time.Unix(1_700_000_000, 0)
	e := &tr.history.estimator
	for n := range uint64(10) {
		e.Estimated(400_000, n*125_000, now.Add(time.Duration(n)*time.Second))
	}
	if e.Limit() != 400_000 {
		t.Fatalf("limit %.0f", e.Limit())
	}
	now = now.Add(time.Minute)
	tr.pacer.on, tr.pacer.at, tr.pacer.rate = true, now, 400_000
	tr.Demand(1_000_000, false)

	var batch Batch
	payload := make([]byte, 1000)
	taken := 0
	add := func(n int, urgent bool) {
		batch.Begin(tr)
		for range n {
			if batch.Add(&Header{SSRC: 1, Index: uint64(1<<16 + taken), PayloadType: 96, TWCC: 2, Urgent: urgent}, nil, payload) {
				taken++
			}
		}
		batch.End()
	}
	arrives := func() (seq, number uint16) {
		t.Helper()
		b := make([]byte, PacketSize)
		_ = far.SetReadDeadline(time.Now().Add(20 * time.Second))
		if _, err := far.Read(b); err != nil {
			t.Fatal(err)
		}
		return binary.BigEndian.Uint16(b[2:]), binary.BigEndian.Uint16(b[17:])
	}
	add(20, false)
	add(1, true)
	if seq, number := arrives(); seq != 20 || number != 1 {
		t.Errorf("first there is packet %d with number %d, not the urgent one", seq, number)
	}
	rounds := 0
	for ; len(tr.pacer.queue) > 0 && rounds < 1000; rounds++ {
		now = now.Add(paceEvery)
		tr.sending.Lock()
		tr.release(e, now)
		tr.sending.Unlock()
	}
	// 21 packets at 400 kbit/s and a bit more.
	if took := time.Duration(rounds) * paceEvery; took < 250*time.Millisecond || took > 500*time.Millisecond {
		t.Errorf("took %v", took)
	}
	for i := range uint16(20) {
		if seq, number := arrives(); seq != i || number != i+2 {
			t.Errorf("packet %d has number %d, want %d and %d", seq, number, i, i+2)
		}
	}
	before := taken
	add(1000, false)
	if held := tr.pacer.size; held > maxHeld || held < 30_000 || taken-before != len(tr.pacer.queue) {
		t.Errorf("%d bytes are held, %d packets of %d", held, len(tr.pacer.queue), taken-before)
	}
	tr.Drop()
	if tr.pacer.size != 0 || len(tr.pacer.queue) != 0 {
		t.Error("something is left")
	}
}
