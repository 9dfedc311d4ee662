package transport

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/pion/interceptor/pkg/twcc"
	"github.com/pion/rtcp"
)

// What pion says as a client arrives here as it was meant: losses, rate and the queue's length.
func TestLine(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	tr := &Transport{port: &Port{}}
	client := twcc.NewRecorder(1)
	start := time.Unix(1_700_000_000, 0)
	packet := make([]byte, 1000)
	var lost uint64
	reported := func(now time.Time) {
		t.Helper()
		for _, p := range client.BuildFeedbackPacket() {
			b, err := p.Marshal()
			if err != nil {
				t.Fatal(err)
			}
			tr.takeFeedback(b, now)
		}
	}
	// 100 packets a second for 100 s, so that numbers wrap; from the 50th second on a queue grows by 1 ms
	// a packet to 100 ms.
	tr.twcc = 60000
	const n = 10000
	for i := range n {
		sent := start.Add(time.Duration(i) * 10 * time.Millisecond)
		tr.number(packet, len(packet), sent)
		delay := 30*time.Millisecond + time.Duration(min(max(i-n/2, 0), 100))*time.Millisecond
		if i%20 == 7 && i < n-20 {
			lost++
			continue
		}
		jitter := time.Duration(random.IntN(500)) * time.Microsecond
		at := sent.Add(delay + jitter)
		// The client's clock is another one.
		client.Record(2, tr.twcc, at.Sub(start).Microseconds()+5_000_000)
		if i%10 == 9 {
			reported(at.Add(30 * time.Millisecond))
		}
		if i == n/2 {
			l := tr.Line()
			if l.Queue > 5*time.Millisecond {
				t.Errorf("a queue of %v on a free line", l.Queue)
			}
		}
		if i == n/2+300 {
			l := tr.Line()
			if l.Queue < 80*time.Millisecond || l.Queue > 120*time.Millisecond {
				t.Errorf("a queue of %v, want 100 ms", l.Queue)
			}
		}
	}
	l := tr.Line()
	if l.Lost != lost || l.Arrived+l.Lost != n {
		t.Errorf("%d arrived, %d lost of %d, %d", l.Arrived, l.Lost, n, lost)
	}
	if l.Rate < 0.9*100*0.95*8000 || l.Rate > 1.1*100*8000 {
		t.Errorf("rate %v", l.Rate)
	}
	if l.Queue > 20*time.Millisecond {
		t.Errorf("a queue of %v after half a minute: the line is what it is", l.Queue)
	}
}

// What is said too early is taken back, and nothing counts twice.
func TestFeedbackTwice(t *testing.T) {
	now := time.Unix(1000, 0)
	h := &history{}
	for i := range uint16(10) {
		h.note(i, 100, now)
	}
	say := func(base uint16, symbols ...uint16) {
		t.Helper()
		b := make([]byte, 20, 64)
		b[0], b[1] = 0x8f, 205
		binary.BigEndian.PutUint16(b[12:], base)
		binary.BigEndian.PutUint16(b[14:], uint16(len(symbols)))
		chunk := uint16(1) << 15
		for i, s := range symbols {
			chunk |= s << (13 - i)
		}
		b = binary.BigEndian.AppendUint16(b, chunk)
		for _, s := range symbols {
			if s == 1 {
				b = append(b, 4)
			}
		}
		f, err := parseFeedback(b)
		if err != nil {
			t.Fatal(err)
		}
		h.take(f, now)
	}
	say(0, 1, 0, 0, 1)
	say(0, 1, 0, 0, 1)
	say(1, 1, 0)
	say(600, 1, 1)         // never sent
	say(historySize, 1, 1) // nor those, though their places are taken
	if h.arrived != 3 || h.lost != 1 {
		t.Errorf("%d arrived, %d lost", h.arrived, h.lost)
	}
}

// FuzzFeedback: whatever comes, nothing breaks; what pion understands is understood alike.
func FuzzFeedback(f *testing.F) {
	seed := twcc.NewRecorder(1)
	for i := range 40 {
		if i%7 != 3 {
			seed.Record(2, uint16(65520+i), int64(i*i)*1000+1e9)
		}
	}
	for _, p := range seed.BuildFeedbackPacket() {
		b, err := p.Marshal()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		tr := &Transport{port: &Port{}, history: &history{}}
		tr.takeFeedback(b, time.Unix(1000, 0))
		mine, err := parseFeedback(b)
		if err != nil {
			return
		}
		n, arrived := 0, 0
		for r := range mine.reports() {
			n++
			if r.arrived {
				arrived++
			}
		}
		if n != int(mine.count) {
			t.Fatalf("%d reports of %d", n, mine.count)
		}
		var theirs rtcp.TransportLayerCC
		if len(b) != int(binary.BigEndian.Uint16(b[2:])+1)*4 || theirs.Unmarshal(b) != nil {
			return
		}
		if len(theirs.RecvDeltas) != arrived || theirs.BaseSequenceNumber != mine.base || theirs.PacketStatusCount != mine.count {
			t.Fatalf("%d arrived, not %d", arrived, len(theirs.RecvDeltas))
		}
	})
}
