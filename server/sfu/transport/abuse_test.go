package transport

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/srtp/v3"
	"github.com/pion/stun/v4"
	"github.com/pion/webrtc/v4"
	"golang.org/x/sys/unix"
)

func dial(t testing.TB, p *Port) *net.UDPConn {
	t.Helper()
	conn, err := net.DialUDP("udp4", nil, p.loopback())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// request is a connectivity check.
func request(name, key string, more ...stun.Setter) []byte {
	setters := append([]stun.Setter{stun.BindingRequest, stun.TransactionID, stun.NewUsername(name + ":far")}, more...)
	return stun.MustBuild(append(setters, stun.NewShortTermIntegrity(key), stun.Fingerprint)...).Raw
}

var (
	controlling  = stun.RawAttribute{Type: stun.AttrICEControlling, Length: 8, Value: make([]byte, 8)}
	controlled   = stun.RawAttribute{Type: stun.AttrICEControlled, Length: 8, Value: make([]byte, 8)}
	useCandidate = stun.RawAttribute{Type: stun.AttrUseCandidate}
)

func answerTo(t *testing.T, conn *net.UDPConn) *stun.Message {
	t.Helper()
	b := make([]byte, 1500)
	_ = conn.SetReadDeadline(time.Now().Add(patience))
	n, err := conn.Read(b)
	if err != nil {
		t.Fatal(err)
	}
	m := new(stun.Message)
	if err := decode(m, b[:n]); err != nil {
		t.Fatal(err)
	}
	return m
}

func TestChecks(t *testing.T) {
	t.Parallel()
	p := testPort(t)
	tr := p.New("events", &owner{}, quiet())
	defer tr.Close()
	c := tr.Local()
	conn := dial(t, p)
	send := func(b []byte) {
		t.Helper()
		if _, err := conn.Write(b); err != nil {
			t.Fatal(err)
		}
	}
	learnt := func() int {
		p.mu.Lock()
		defer p.mu.Unlock()
		return len(p.byAddr)
	}

	// Without the password nothing is answered, and nothing is learnt.
	send(request(c.Ufrag, "not the password, but as long", controlling))
	send(request(c.Ufrag[:4], c.Password, controlling))
	send(stun.MustBuild(stun.BindingRequest, stun.TransactionID, stun.NewUsername(c.Ufrag+":far")).Raw) // no integrity
	tampered := request(c.Ufrag, c.Password, controlling)
	tampered[8] ^= 1
	send(tampered)
	good := request(c.Ufrag, c.Password, controlling)
	send(append(bytes.Clone(good), 0, 0, 0, 0)) // something follows it
	eventually(t, "the forged ones to be counted", func() bool { s := p.Stats(); return s.Forged == 3 && s.Garbage == 2 })
	if learnt() != 0 {
		t.Error("an address was learnt of a forged check")
	}

	// Who thinks that the server controls is told otherwise (RFC 8445, 7.3.1.1).
	send(request(c.Ufrag, c.Password, controlled))
	m := answerTo(t, conn)
	var code stun.ErrorCodeAttribute
	if err := code.GetFrom(m); m.Type != stun.BindingError || err != nil || code.Code != roleConflict || learnt() != 0 {
		t.Errorf("role conflict: %v, %v", m, err)
	}

	// A good one is answered with the address that it came from, as often as it comes.
	for range 2 {
		send(good)
		m = answerTo(t, conn)
		var mapped stun.XORMappedAddress
		if err := mapped.GetFrom(m); err != nil || mapped.String() != conn.LocalAddr().String() {
			t.Errorf("mapped address %v, %v", mapped, err)
		}
		if m.Type != stun.BindingSuccess || stun.NewShortTermIntegrity(c.Password).Check(m) != nil || stun.Fingerprint.Check(m) != nil {
			t.Errorf("answer %v", m)
		}
	}
	eventually(t, "one address", func() bool { return learnt() == 1 })
	first := *tr.path.Load()

	// The path follows nomination, not mere checks.
	other := dial(t, p)
	_, _ = other.Write(request(c.Ufrag, c.Password, controlling))
	answerTo(t, other)
	if *tr.path.Load() != first {
		t.Error("the path moved without nomination")
	}
	_, _ = other.Write(request(c.Ufrag, c.Password, controlling, useCandidate))
	answerTo(t, other)
	eventually(t, "the nominated path", func() bool { return *tr.path.Load() != first })

	// A client has few addresses at a time, and the one in use is never given up.
	for range 3 * maxPaths {
		conn := dial(t, p)
		_, _ = conn.Write(request(c.Ufrag, c.Password, controlling))
		answerTo(t, conn)
	}
	eventually(t, "few addresses", func() bool { return learnt() == maxPaths })
	if w := *tr.path.Load(); w.to != other.LocalAddr().(*net.UDPAddr).AddrPort() {
		t.Error("the path in use was forgotten")
	}

	// Nobody takes an address from somebody else.
	thief := p.New("events", &owner{}, quiet())
	defer thief.Close()
	k := thief.Local()
	_, _ = other.Write(request(k.Ufrag, k.Password, controlling, useCandidate))
	answerTo(t, other)
	before := p.Stats().Forged
	_, _ = other.Write(request(k.Ufrag, k.Password, controlling, useCandidate))
	eventually(t, "the theft to be counted", func() bool { return p.Stats().Forged > before })
	if thief.path.Load() != nil {
		t.Error("an address was stolen")
	}
}

// Garbage, truncated and replayed datagrams at the port, from strangers and from the client's own
// address, leave the connection alone and are counted.
func TestGarbage(t *testing.T) {
	t.Parallel()
	p := testPort(t)
	r := newRelay(t, p)
	r.record.Store(true)
	tr, o, c := connect(t, p, r.use)
	n := uint64(1)
	send(t, tr, c, &n)
	losses := 0
	eventually(t, "a picture loss", func() bool {
		losses++
		_ = c.pc.WriteRTCP([]rtcp.Packet{&rtcp.PictureLossIndication{MediaSSRC: 1000}})
		o.mu.Lock()
		defer o.mu.Unlock()
		return len(o.rtcp) > 0
	})
	r.record.Store(false)
	r.mu.Lock()
	recorded := r.recorded
	r.mu.Unlock()
	stranger := dial(t, p)
	random := rand.New(rand.NewPCG(1, 2))
	for i, b := range recorded {
		for _, write := range []func([]byte){
			func(b []byte) { _, _ = stranger.Write(b) },
			func(b []byte) { r.inject(b) },
		} {
			cut := b[:random.IntN(len(b))]
			bent := bytes.Clone(b)
			bent[random.IntN(len(bent))] ^= 1 << (i % 8)
			noise := make([]byte, 1+random.IntN(1400))
			for j := range noise {
				noise[j] = byte(random.Uint32())
			}
			noise[0] = b[0]
			for _, bad := range [][]byte{b, cut, bent, noise, {}} {
				if isDTLSAlert(bad) || isDTLSAlert(b) {
					continue // before the keys are there, anybody on the way may end DTLS
				}
				write(bad)
			}
		}
	}
	eventually(t, "garbage counted", func() bool { s := p.Stats(); return s.Unsealed > 0 && s.Garbage > 0 })
	send(t, tr, c, &n)
	if tr.State() != webrtc.PeerConnectionStateConnected {
		t.Errorf("%v", tr.State())
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, packet := range o.rtcp {
		if _, pli := packet.(*rtcp.PictureLossIndication); pli {
			losses--
		}
	}
	if losses < 0 {
		t.Errorf("%d replayed reports were taken", -losses)
	}
}

func isDTLSAlert(b []byte) bool { return len(b) > 0 && b[0] == 21 }

// Without a password nobody makes the port remember anything. It counts
// goroutines and bytes of the whole process, so it runs alone.
func TestOpensAreBounded(t *testing.T) {
	p := testPort(t)
	tr, _, c := connect(t, p)
	n := uint64(1)
	send(t, tr, c, &n)
	memory := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before, routines := memory(), runtime.NumGoroutine()
	hello := append([]byte{22, 254, 253}, make([]byte, 1000)...)
	name := tr.Local().Ufrag
	for i := range 200 {
		conn, err := net.DialUDP("udp4", nil, p.loopback())
		if err != nil {
			t.Fatal(err)
		}
		for j := range 50 {
			switch j % 3 {
			case 0:
				_, _ = conn.Write(request(fmt.Sprintf("name%d", i*j), "some password that is long", controlling))
			case 1:
				_, _ = conn.Write(request(name, "some password that is long", controlling, useCandidate))
			case 2:
				_, _ = conn.Write(hello)
			}
		}
		conn.Close()
	}
	eventually(t, "them to be counted", func() bool { s := p.Stats(); return s.Forged > 1000 && s.Garbage > 1000 })
	send(t, tr, c, &n)
	if after := memory(); after > before+8<<20 {
		t.Errorf("%d bytes more", after-before)
	}
	if now := runtime.NumGoroutine(); now > routines+20 {
		t.Errorf("%d goroutines, %d before", now, routines)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.byAddr) > 4 {
		t.Errorf("%d addresses", len(p.byAddr))
	}
}

// FuzzDoor: whatever comes in at the port, nothing breaks, and nothing is learnt without the password.
func FuzzDoor(f *testing.F) {
	const ufrag, password = "ufragufragab", "passwordpasswordpasswordab"
	f.Add(request(ufrag, "another password that is long", controlling, useCandidate))
	f.Add(request("other", password, controlled))
	f.Add(stun.MustBuild(stun.BindingSuccess, stun.TransactionID, stun.Fingerprint).Raw)
	f.Add([]byte{22, 254, 253, 0, 0})
	f.Add(append([]byte{0x81, 201, 0, 1}, make([]byte, 40)...))
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { conn.Close() })
	p := &Port{byUfrag: map[string]*Transport{}, byAddr: map[source]*Transport{}, sessions: map[*Transport]struct{}{}}
	p.cfg.Disconnected = time.Hour
	s := newSocket(p, conn)
	tr := p.New("events", &owner{}, quiet())
	tr.local = generation{Credentials{ufrag, password}, stun.NewShortTermIntegrity(password)}
	p.byUfrag[ufrag] = tr
	known := netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), 9)
	p.byAddr[source{s, known}] = tr
	f.Fuzz(func(t *testing.T, b []byte) {
		now := time.Unix(1000, 0)
		s.take(bytes.Clone(b), known, now)
		s.take(bytes.Clone(b), netip.AddrPortFrom(known.Addr(), 10), now)
		for len(tr.pipe.in) > 0 {
			<-tr.pipe.in
		}
		if len(p.byAddr) != 1 || tr.path.Load() != nil {
			t.Fatalf("%x made state", b)
		}
	})
}

// What Batch seals, pion opens, and two packets are never sealed alike.
func TestSeal(t *testing.T) {
	t.Parallel()
	for _, profile := range []srtp.ProtectionProfile{
		srtp.ProtectionProfileAeadAes128Gcm, srtp.ProtectionProfileAeadAes256Gcm, srtp.ProtectionProfileAes128CmHmacSha1_80,
	} {
		k := keysOf(t, profile)
		c, err := cryptoOf(profile, k)
		if err != nil {
			t.Fatal(err)
		}
		far, err := srtp.CreateContext(k.LocalMasterKey, k.LocalMasterSalt, profile)
		if err != nil {
			t.Fatal(err)
		}
		tr := &Transport{}
		var nonce [12]byte
		for _, index := range []uint64{65000, 65535, 65536, 65534, 70000, 100000, 131072} {
			for _, h := range []Header{{}, {TWCC: 2}, {LevelID: 1, Level: 0x85}, {TWCC: 2, LevelID: 1, Level: 127, Marker: true}} {
				h.SSRC, h.Index, h.PayloadType, h.Timestamp = 77+uint32(h.TWCC)+uint32(h.LevelID), index, 96, 12345
				payload := []byte("some payload")
				buf := make([]byte, 0, 200)
				b := buf[:12+h.extensions()+len(payload)]
				n := h.marshal(b)
				if h.TWCC != 0 {
					tr.number(b, len(b), time.Now())
				}
				copy(b[n:], payload)
				plain := bytes.Clone(b)
				sealed, err := c.seal(b, n, h.SSRC, h.Index, &nonce)
				if err != nil {
					t.Fatal(err)
				}
				got, err := far.DecryptRTP(nil, sealed, nil)
				if err != nil || !bytes.Equal(got, plain) {
					t.Fatalf("%v, %d: %x became %x: %v", profile, index, plain, got, err)
				}
			}
		}
		// RTCP the other way, from no more senders than there may be.
		out, err := srtp.CreateContext(k.RemoteMasterKey, k.RemoteMasterSalt, profile)
		if err != nil {
			t.Fatal(err)
		}
		taken := 0
		for i := range maxSessions + 50 {
			report, _ := rtcp.Marshal([]rtcp.Packet{&rtcp.ReceiverReport{SSRC: uint32(i)}})
			sealed, err := out.EncryptRTCP(nil, report, nil)
			if err != nil {
				t.Fatal(err)
			}
			if plain, err := c.open(nil, sealed); err == nil && bytes.Equal(plain, report) {
				taken++
			}
			if _, err := c.open(nil, sealed); err == nil {
				t.Fatal("a replayed report was taken")
			}
		}
		if taken != maxSessions {
			t.Errorf("%d senders", taken)
		}
	}
}

func keysOf(t testing.TB, profile srtp.ProtectionProfile) srtp.SessionKeys {
	t.Helper()
	key, err := profile.KeyLen()
	if err != nil {
		t.Fatal(err)
	}
	salt, err := profile.SaltLen()
	if err != nil {
		t.Fatal(err)
	}
	fill := func(n int, b byte) []byte { return bytes.Repeat([]byte{b}, n) }
	return srtp.SessionKeys{
		LocalMasterKey: fill(key, 1), LocalMasterSalt: fill(salt, 2), RemoteMasterKey: fill(key, 3), RemoteMasterSalt: fill(salt, 4),
	}
}

// loopback is a port of this machine until the test ends.
func loopback(tb testing.TB) *net.UDPConn {
	tb.Helper()
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { conn.Close() })
	return conn
}

// BenchmarkBatch is what a packet to a subscriber costs from the payload to the kernel: frames of seven
// packets, as of 2 Mbit/s, to one after the other.
func BenchmarkBatch(b *testing.B) {
	p := &Port{}
	conn := loopback(b)
	far := loopback(b)
	c, err := cryptoOf(srtp.ProtectionProfileAeadAes128Gcm, keysOf(b, srtp.ProtectionProfileAeadAes128Gcm))
	if err != nil {
		b.Fatal(err)
	}
	var all []*Transport
	for range 200 {
		t := &Transport{port: p}
		t.crypto.Store(c)
		t.path.Store(&path{newSocket(p, conn), far.LocalAddr().(*net.UDPAddr).AddrPort()})
		all = append(all, t)
	}
	var batch Batch
	payload := make([]byte, 1100)
	var index atomic.Uint64
	b.ReportAllocs()
	var before, after unix.Rusage
	_ = unix.Getrusage(unix.RUSAGE_SELF, &before)
	for i := 0; i < b.N; {
		for _, t := range all {
			batch.Begin(t)
			for range 7 {
				batch.Add(&Header{SSRC: 1, Index: index.Add(1), PayloadType: 96, TWCC: 2}, nil, payload)
				i++
			}
			batch.End()
		}
	}
	_ = unix.Getrusage(unix.RUSAGE_SELF, &after)
	spent := after.Utime.Nano() + after.Stime.Nano() - before.Utime.Nano() - before.Stime.Nano()
	b.ReportMetric(float64(spent)/float64(b.N), "cpu-ns/op")
}
