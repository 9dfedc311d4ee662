package transport

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pion/ice/v4"
	"github.com/pion/rtcp"
	"github.com/pion/webrtc/v4"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 20 * time.Second

func eventually(t testing.TB, what string, f func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(2 * time.Millisecond) {
		if f() {
			return
		}
	}
	t.Fatalf("not within %v: %s", patience, what)
}

func quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

func testPort(t testing.TB) *Port {
	return timedPort(t, Config{Disconnected: 10 * time.Second, Failed: 20 * time.Second, Keepalive: 200 * time.Millisecond})
}

func timedPort(t testing.TB, c Config) *Port {
	t.Helper()
	cert, err := NewCertificate()
	if err != nil {
		t.Fatal(err)
	}
	c.Loopback, c.Certificate, c.Log = true, cert, quiet()
	p, err := Open(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

// owner is who has a transport.
type owner struct {
	mu       sync.Mutex
	messages []string
	rtcp     []rtcp.Packet
	moves    atomic.Int32
}

func (o *owner) StateChanged() {}
func (o *owner) LimitChanged() {}
func (o *owner) Moved()        { o.moves.Add(1) }
func (o *owner) Pad(int)       {}
func (o *owner) RTCP(b []byte) {
	packets, err := rtcp.Unmarshal(b)
	if err != nil {
		panic(err)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.rtcp = append(o.rtcp, packets...)
}
func (o *owner) Message(b []byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.messages = append(o.messages, string(b))
}

func (o *owner) got(text string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, m := range o.messages {
		if m == text {
			return true
		}
	}
	return false
}

// client is pion as a client that answers.
type client struct {
	t        testing.TB
	pc       *webrtc.PeerConnection
	messages chan string
	frames   chan string // payloads of the packets that came
	tracks   chan *webrtc.TrackRemote
	open     chan *webrtc.DataChannel
}

func newClient(t testing.TB, settings ...func(*webrtc.SettingEngine)) *client {
	t.Helper()
	var e webrtc.SettingEngine
	e.LoggerFactory = PionLog(quiet())
	e.SetIncludeLoopbackCandidate(true)
	e.SetInterfaceFilter(func(name string) bool { return name == "lo" })
	e.SetICEMulticastDNSMode(ice.MulticastDNSModeDisabled)
	e.SetICETimeouts(10*time.Second, 20*time.Second, 200*time.Millisecond)
	for _, f := range settings {
		f(&e)
	}
	pc, err := webrtc.NewAPI(webrtc.WithSettingEngine(e)).NewPeerConnection(webrtc.Configuration{})
	if err != nil {
		t.Fatal(err)
	}
	c := &client{
		t: t, pc: pc, messages: make(chan string, 100), frames: make(chan string, 10000),
		tracks: make(chan *webrtc.TrackRemote, 10), open: make(chan *webrtc.DataChannel, 10),
	}
	pc.OnDataChannel(func(dc *webrtc.DataChannel) {
		dc.OnMessage(func(m webrtc.DataChannelMessage) { c.messages <- string(m.Data) })
		dc.OnOpen(func() { c.open <- dc })
	})
	pc.OnTrack(func(r *webrtc.TrackRemote, _ *webrtc.RTPReceiver) {
		c.tracks <- r
		for {
			p, _, err := r.ReadRTP()
			if err != nil {
				return
			}
			c.frames <- string(p.Payload[1:])
		}
	})
	t.Cleanup(func() { _ = pc.GracefulClose() })
	return c
}

// offer is an offer with a data channel and a VP8 track of SSRC 1000.
func (p *Port) offer(t *Transport, version int) string {
	c := t.Local()
	var candidates strings.Builder
	for _, l := range p.Candidates() {
		fmt.Fprintf(&candidates, "a=candidate:%s\r\n", l)
	}
	ice := fmt.Sprintf("c=IN IP4 0.0.0.0\r\na=setup:actpass\r\na=ice-ufrag:%s\r\na=ice-pwd:%s\r\na=fingerprint:%s\r\n", c.Ufrag, c.Password, p.Fingerprint())
	return fmt.Sprintf("v=0\r\no=- 7 %d IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0 1\r\na=ice-lite\r\n", version) +
		"m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n" + ice + "a=mid:0\r\na=sctp-port:5000\r\na=max-message-size:65536\r\n" +
		candidates.String() + "a=end-of-candidates\r\n" +
		"m=video 9 UDP/TLS/RTP/SAVPF 96\r\n" + ice + "a=mid:1\r\na=sendonly\r\na=rtcp-mux\r\na=rtpmap:96 VP8/90000\r\na=rtcp-fb:96 nack pli\r\n" +
		"a=msid:s v\r\na=ssrc:1000 cname:s\r\na=ssrc:1000 msid:s v\r\n"
}

// answer lets the client answer an offer and returns what the answer says.
func (c *client) answer(offer string) Remote {
	c.t.Helper()
	if err := c.pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeOffer, SDP: offer}); err != nil {
		c.t.Fatal(err)
	}
	a, err := c.pc.CreateAnswer(nil)
	if err != nil {
		c.t.Fatal(err)
	}
	if err := c.pc.SetLocalDescription(a); err != nil {
		c.t.Fatal(err)
	}
	return remoteOf(c.pc.LocalDescription().SDP)
}

func remoteOf(sdp string) Remote {
	attribute := func(key string) string {
		_, rest, _ := strings.Cut(sdp, "a="+key+":")
		value, _, _ := strings.Cut(rest, "\r\n")
		return value
	}
	return Remote{
		Credentials: Credentials{attribute("ice-ufrag"), attribute("ice-pwd")},
		Fingerprint: attribute("fingerprint"), Passive: attribute("setup") == "passive",
	}
}

// connect makes a transport and a client of it.
func connect(t testing.TB, p *Port, settings ...func(*webrtc.SettingEngine)) (*Transport, *owner, *client) {
	t.Helper()
	return connectTo(t, p, "events", settings...)
}

// connectTo makes a transport with a data channel of that name, or without one, and a client of it.
func connectTo(t testing.TB, p *Port, label string, settings ...func(*webrtc.SettingEngine)) (*Transport, *owner, *client) {
	t.Helper()
	o := &owner{}
	tr := p.New(label, o, quiet())
	t.Cleanup(tr.Close)
	c := newClient(t, settings...)
	if err := tr.SetRemote(c.answer(p.offer(tr, 1))); err != nil {
		t.Fatal(err)
	}
	return tr, o, c
}

func (t *Transport) is(want webrtc.PeerConnectionState) func() bool {
	return func() bool { return t.State() == want }
}

// send sends numbered packets, each a VP8 frame of one, until one of them comes out at the client.
func send(t testing.TB, tr *Transport, c *client, from *uint64) {
	t.Helper()
	var b Batch
	want := ""
	eventually(t, "a packet", func() bool {
		*from++
		want = fmt.Sprintf("frame %d", *from)
		if b.Begin(tr) {
			b.Add(&Header{SSRC: 1000, Index: *from, Timestamp: uint32(*from) * 3000, PayloadType: 96, Marker: true}, []byte{0x10}, []byte(want))
			b.End()
		}
		for {
			select {
			case got := <-c.frames:
				if got == want {
					return true
				}
			case <-time.After(100 * time.Millisecond):
				return false
			}
		}
	})
}

func TestConnection(t *testing.T) {
	for name, setting := range map[string]func(*webrtc.SettingEngine){
		"gcm":     func(e *webrtc.SettingEngine) {},
		"sha1":    func(e *webrtc.SettingEngine) { e.SetSRTPProtectionProfiles(profiles[2]) },
		"gcm256":  func(e *webrtc.SettingEngine) { e.SetSRTPProtectionProfiles(profiles[1]) },
		"passive": func(e *webrtc.SettingEngine) { _ = e.SetAnsweringDTLSRole(webrtc.DTLSRoleServer) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := testPort(t)
			tr, o, c := connect(t, p, setting)
			eventually(t, "connection", tr.is(webrtc.PeerConnectionStateConnected))
			n := uint64(65530)
			for range 10 { // over a rollover
				send(t, tr, c, &n)
			}
			track := <-c.tracks
			if track.ID() != "v" || track.SSRC() != 1000 {
				t.Errorf("track %q, ssrc %d", track.ID(), track.SSRC())
			}
			dc := <-c.open
			if dc.Label() != "events" || !dc.Ordered() {
				t.Errorf("channel %q", dc.Label())
			}
			eventually(t, "the channel", func() bool { return tr.SendText([]byte("hello")) })
			if m := <-c.messages; m != "hello" {
				t.Errorf("%q came", m)
			}
			long := strings.Repeat("x", 20000)
			for _, text := range []string{"hi", long} {
				if err := dc.SendText(text); err != nil {
					t.Fatal(err)
				}
				eventually(t, "a message", func() bool { return o.got(text) })
			}
			if tr.SendText(make([]byte, MaxBuffered+1)) {
				t.Error("a message over the limit was taken")
			}
			eventually(t, "a picture loss", func() bool {
				_ = c.pc.WriteRTCP([]rtcp.Packet{&rtcp.PictureLossIndication{MediaSSRC: 1000}})
				o.mu.Lock()
				defer o.mu.Unlock()
				return len(o.rtcp) > 0
			})
			if s := p.Stats(); s != (Stats{}) {
				t.Errorf("%+v", s)
			}
			_ = c.pc.GracefulClose()
			eventually(t, "the client's goodbye", tr.is(webrtc.PeerConnectionStateClosed))
		})
	}
}

func TestServerCloses(t *testing.T) {
	t.Parallel()
	for name, label := range map[string]string{"a data channel": "events", "none": ""} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := testPort(t)
			var all []*Transport
			var clients []*client
			for range 20 { // a goodbye that is said too late is lost now and then only
				tr, _, c := connectTo(t, p, label)
				all, clients = append(all, tr), append(clients, c)
			}
			for i, tr := range all {
				eventually(t, "connection", tr.is(webrtc.PeerConnectionStateConnected))
				if label != "" {
					<-clients[i].open
				}
			}
			var closing sync.WaitGroup
			for _, tr := range all {
				closing.Go(tr.Close)
			}
			closing.Wait()
			for i, tr := range all {
				eventually(t, "the client to notice", func() bool { return clients[i].pc.ConnectionState() == webrtc.PeerConnectionStateClosed })
				if tr.State() != webrtc.PeerConnectionStateClosed || tr.SetRemote(Remote{Fingerprint: p.Fingerprint()}) == nil {
					t.Error("it is not closed")
				}
			}
			if len(p.byAddr) > 0 || len(p.byUfrag) > 0 || len(p.sessions) > 0 {
				t.Errorf("left: %d addresses, %d names, %d transports", len(p.byAddr), len(p.byUfrag), len(p.sessions))
			}
		})
	}
}

func TestWrongFingerprint(t *testing.T) {
	t.Parallel()
	p := testPort(t)
	tr := p.New("events", &owner{}, quiet())
	defer tr.Close()
	c := newClient(t)
	r := c.answer(p.offer(tr, 1))
	for _, bad := range []string{"", "sha-1 00:11", "sha-256 00", "sha-256 zz", "sha-512 " + strings.TrimPrefix(r.Fingerprint, "sha-256 ")} {
		other := r
		other.Fingerprint = bad
		if err := tr.SetRemote(other); err == nil {
			t.Errorf("fingerprint %q is taken", bad)
		}
	}
	r.Fingerprint = p.Fingerprint()
	if err := tr.SetRemote(r); err != nil {
		t.Fatal(err)
	}
	eventually(t, "failure", tr.is(webrtc.PeerConnectionStateFailed))
	if p.Stats().Unmatched != 1 {
		t.Errorf("%+v", p.Stats())
	}
	if new(Batch).Begin(tr) || tr.SendText([]byte("x")) {
		t.Error("something is sent to a stranger")
	}
}

func TestRestart(t *testing.T) {
	t.Parallel()
	p := testPort(t)
	tr, _, c := connect(t, p)
	n := uint64(1)
	send(t, tr, c, &n)
	for i := range 3 {
		before := tr.Local()
		tr.Restart()
		if i == 1 {
			tr.Restart() // an offer that nobody sees
		}
		if tr.Local() == before {
			t.Fatal("the same credentials")
		}
		send(t, tr, c, &n) // the old path goes on
		if err := tr.SetRemote(c.answer(p.offer(tr, i+2))); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the new generation alone", func() bool {
			p.mu.Lock()
			defer p.mu.Unlock()
			return len(p.byUfrag) == 1
		})
		send(t, tr, c, &n)
	}
	if tr.State() != webrtc.PeerConnectionStateConnected {
		t.Error(tr.State())
	}
}

// A path that falls silent is noticed, and comes back.
func TestSilence(t *testing.T) {
	t.Parallel()
	p := timedPort(t, Config{Disconnected: 300 * time.Millisecond, Failed: 500 * time.Millisecond, Keepalive: 50 * time.Millisecond})
	gate := &gate{}
	tr, _, c := connect(t, p, gate.use)
	eventually(t, "connection", tr.is(webrtc.PeerConnectionStateConnected))
	gate.shut.Store(true)
	eventually(t, "disconnection", tr.is(webrtc.PeerConnectionStateDisconnected))
	eventually(t, "failure", tr.is(webrtc.PeerConnectionStateFailed))
	gate.shut.Store(false)
	tr.Restart()
	if err := tr.SetRemote(c.answer(p.offer(tr, 2))); err != nil {
		t.Fatal(err)
	}
	eventually(t, "recovery", tr.is(webrtc.PeerConnectionStateConnected))
	n := uint64(1)
	send(t, tr, c, &n)
}

// The client's address changes, as behind a NAT that forgot it: checks from the new one move the path.
func TestAddressChange(t *testing.T) {
	t.Parallel()
	p := testPort(t)
	r := newRelay(t, p)
	tr, o, c := connect(t, p, r.use)
	n := uint64(1)
	send(t, tr, c, &n)
	before := *tr.path.Load()
	r.move()
	eventually(t, "another path", func() bool { return *tr.path.Load() != before })
	eventually(t, "the news of it", func() bool { return o.moves.Load() > 0 })
	send(t, tr, c, &n)
}

// A quarter of the datagrams of the handshake gets lost.
func TestLossyHandshake(t *testing.T) {
	t.Parallel()
	p := testPort(t)
	gate := &gate{lose: 4}
	tr, _, c := connect(t, p, gate.use, func(e *webrtc.SettingEngine) { e.SetDTLSRetransmissionInterval(50 * time.Millisecond) })
	eventually(t, "connection", tr.is(webrtc.PeerConnectionStateConnected))
	gate.losing.Store(false)
	<-c.open
	n := uint64(1)
	send(t, tr, c, &n)
}

func TestAddressesFor(t *testing.T) {
	ip := netip.MustParseAddr
	local := []netip.Addr{ip("127.0.0.1"), ip("::1"), ip("172.17.0.1"), ip("10.0.0.5"), ip("2001:db8::5")}
	route := []netip.Addr{ip("10.0.0.5"), ip("2001:db8::5")}
	for _, tt := range []struct {
		name  string
		local []netip.Addr
		cfg   Config
		want  string // local=announced, or an error's part
	}{
		{"plain", local, Config{}, "172.17.0.1 10.0.0.5 2001:db8::5"},
		{"loopback too", local, Config{Loopback: true}, "172.17.0.1 10.0.0.5 2001:db8::5 127.0.0.1 ::1"},
		{"nothing else", local[:2], Config{}, "127.0.0.1 ::1"},
		{"behind nat", local, Config{NodeIPs: []string{"203.0.113.9"}}, "10.0.0.5=203.0.113.9"},
		{"one of its own", local, Config{NodeIPs: []string{"172.17.0.1"}}, "172.17.0.1"},
		{"both families and loopback", local, Config{NodeIPs: []string{"203.0.113.9", "2001:db8::5"}, Loopback: true}, "10.0.0.5=203.0.113.9 2001:db8::5 127.0.0.1 ::1"},
		{"two foreign ones", local, Config{NodeIPs: []string{"203.0.113.9", "203.0.113.10"}}, "only one"},
		{"no such family", local[:4], Config{NodeIPs: []string{"2001:db8::9"}}, "no address of that family"},
		{"nonsense", local, Config{NodeIPs: []string{"example.org"}}, "node ip"},
		{"no address", nil, Config{}, "no address to listen on"},
	} {
		addrs, err := addressesFor(tt.local, route, tt.cfg)
		if err != nil {
			if !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%s: %v", tt.name, err)
			}
			continue
		}
		var got []string
		for _, a := range addrs {
			s := a.local.String()
			if a.announce != a.local {
				s += "=" + a.announce.String()
			}
			got = append(got, s)
		}
		if s := strings.Join(got, " "); s != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, s, tt.want)
		}
	}
}

// Packets of any sizes arrive as they were and in their order, with and without the kernel's help.
func TestSocketSends(t *testing.T) {
	t.Parallel()
	p := testPort(t)
	far, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer far.Close()
	_ = far.SetReadBuffer(socketBuffer)
	for _, single := range []bool{false, true} {
		conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
		if err != nil {
			t.Fatal(err)
		}
		s := newSocket(p, conn)
		if single {
			s.single.Store(true)
		}
		random := rand.New(rand.NewPCG(3, 4))
		for range 60 {
			// A frame as browsers cut it: equal packets, some a byte larger, a smaller one at the end.
			var packets []byte
			var ends []int
			n, size := 1+random.IntN(maxSegments-1), 200+random.IntN(1000)
			for i := range n + 1 {
				k := size + i*2/n
				if i == n {
					k = 20 + random.IntN(100)
				}
				for range k {
					packets = append(packets, byte(random.Uint32()))
				}
				ends = append(ends, len(packets))
			}
			if failed := s.send(packets, ends, far.LocalAddr().(*net.UDPAddr).AddrPort(), newDatagram()); failed > 0 {
				t.Fatalf("%d packets were not sent", failed)
			}
			buf := make([]byte, 64<<10)
			start := 0
			for i, end := range ends {
				_ = far.SetReadDeadline(time.Now().Add(patience))
				k, err := far.Read(buf)
				if err != nil || !bytes.Equal(buf[:k], packets[start:end]) {
					t.Fatalf("packet %d of %d bytes came as %d bytes, %v", i, end-start, k, err)
				}
				start = end
			}
		}
		if s.single.Load() != single {
			t.Log("this kernel does not cut datagrams")
		}
		conn.Close()
	}
}

// loopback is the port's address on the loopback interface.
func (p *Port) loopback() *net.UDPAddr {
	return &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: p.number}
}
