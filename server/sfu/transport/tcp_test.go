package transport

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"github.com/pion/ice/v4"
	"github.com/pion/webrtc/v4"
)

// onlyTCP makes a client that has no UDP.
func onlyTCP(e *webrtc.SettingEngine) {
	e.SetNetworkTypes([]webrtc.NetworkType{webrtc.NetworkTypeTCP4})
}

func (m *streams) left() (open, strangers, pions int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.open), m.strangers, len(m.pions)
}

func TestTCP(t *testing.T) {
	t.Parallel()
	p := testPort(t)
	tr, o, c := connect(t, p, onlyTCP)
	eventually(t, "connection", tr.is(webrtc.PeerConnectionStateConnected))
	if w := tr.path.Load(); w.at.stream == nil {
		t.Errorf("the path is to %v by UDP", w.to)
	}
	n := uint64(1)
	for range 10 {
		send(t, tr, c, &n)
	}
	dc := <-c.open
	if err := dc.SendText("hi"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a message", func() bool { return o.got("hi") })
	tr.Restart()
	if err := tr.SetRemote(c.answer(p.offer(tr, 2))); err != nil {
		t.Fatal(err)
	}
	send(t, tr, c, &n)
	_ = c.pc.GracefulClose()
	eventually(t, "the client's goodbye", tr.is(webrtc.PeerConnectionStateClosed))
	eventually(t, "the connections to end", func() bool {
		open, strangers, _ := p.streams.left()
		p.mu.Lock()
		defer p.mu.Unlock()
		return open == 0 && strangers == 0 && len(p.byAddr) == 0
	})
}

// TestTCPForPion: connections of pion's that share the port are reached, too.
func TestTCPForPion(t *testing.T) {
	t.Parallel()
	p := testPort(t)
	var e webrtc.SettingEngine
	e.LoggerFactory = PionLog(quiet())
	e.SetIncludeLoopbackCandidate(true)
	e.SetICEUDPMux(p.Mux())
	e.SetICETCPMux(p.TCPMux())
	e.DisableActiveTCP(true)
	e.SetICEMulticastDNSMode(ice.MulticastDNSModeDisabled)
	e.SetNetworkTypes([]webrtc.NetworkType{webrtc.NetworkTypeUDP4, webrtc.NetworkTypeTCP4})
	server, err := webrtc.NewAPI(webrtc.WithSettingEngine(e)).NewPeerConnection(webrtc.Configuration{})
	if err != nil {
		t.Fatal(err)
	}
	defer server.GracefulClose() //nolint:errcheck // it is over
	c := newClient(t, onlyTCP)
	channel, err := server.CreateDataChannel("x", nil)
	if err != nil {
		t.Fatal(err)
	}
	got := make(chan string, 1)
	channel.OnMessage(func(m webrtc.DataChannelMessage) { got <- string(m.Data) })
	offer, err := server.CreateOffer(nil)
	if err != nil {
		t.Fatal(err)
	}
	gathered := webrtc.GatheringCompletePromise(server)
	if err := server.SetLocalDescription(offer); err != nil {
		t.Fatal(err)
	}
	<-gathered
	c.answer(server.LocalDescription().SDP)
	if err := server.SetRemoteDescription(*c.pc.LocalDescription()); err != nil {
		t.Fatal(err)
	}
	dc := <-c.open
	if err := dc.SendText("by TCP"); err != nil {
		t.Fatal(err)
	}
	if m := <-got; m != "by TCP" {
		t.Errorf("%q", m)
	}
	pair, err := server.SCTP().Transport().ICETransport().GetSelectedCandidatePair()
	if err != nil || pair.Local.Protocol != webrtc.ICEProtocolTCP {
		t.Errorf("%v, %v", pair, err)
	}
	_ = server.GracefulClose()
	eventually(t, "nothing to be left", func() bool {
		open, strangers, pions := p.streams.left()
		return open == 0 && strangers == 0 && pions == 0
	})
}

func framed(b []byte) []byte { return append(binary.BigEndian.AppendUint16(nil, uint16(len(b))), b...) }

// TestTCPStrangers: who does not prove whose it is, is sent away.
func TestTCPStrangers(t *testing.T) {
	t.Parallel()
	p := testPort(t)
	tr := p.New("events", &owner{}, quiet())
	t.Cleanup(tr.Close)
	c := tr.Local()
	address := p.streams.listeners[len(p.streams.listeners)-1].Addr().String()
	for name, b := range map[string][]byte{
		"nothing":        nil,
		"http":           []byte("GET / HTTP/1.1\r\nHost: here\r\n\r\n"),
		"an empty frame": {0, 0},
		"half a frame":   {0, 100, 1, 2, 3},
		"too long":       append([]byte{0xff, 0xff}, make([]byte, 5000)...),
		"nobody's name":  framed(request("nobody", c.Password, controlling)),
		"forged":         framed(request(c.Ufrag, "not the password, but as long", controlling)),
		"media first":    framed(append([]byte{0x80, 96}, make([]byte, 100)...)),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conn, err := net.Dial("tcp", address)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			_, _ = conn.Write(b)
			_ = conn.SetReadDeadline(time.Now().Add(patience))
			if _, err := io.Copy(io.Discard, conn); errors.Is(err, os.ErrDeadlineExceeded) {
				t.Error("stays connected")
			}
		})
	}
	t.Cleanup(func() {
		eventually(t, "all to be counted and gone", func() bool {
			open, strangers, _ := p.streams.left()
			s := p.Stats()
			return s.Garbage == 8 && s.Forged == 1 && open == 0 && strangers == 0
		})
	})
}

// TestTCPIsBounded: many silent connections leave room for nobody else, and no more than that.
func TestTCPIsBounded(t *testing.T) {
	t.Parallel()
	p := testPort(t)
	address := p.streams.listeners[0].Addr().String()
	var all []net.Conn
	for range maxStrangers + 50 {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, conn)
	}
	eventually(t, "some to be refused", func() bool { return p.Stats().Refused > 0 })
	if _, strangers, _ := p.streams.left(); strangers > maxStrangers {
		t.Errorf("%d strangers", strangers)
	}
	for _, conn := range all {
		conn.Close()
	}
	eventually(t, "room again", func() bool { _, strangers, _ := p.streams.left(); return strangers == 0 })
}

// TestStreamNeverWaits: what a client does not take is lost, not kept.
func TestStreamNeverWaits(t *testing.T) {
	t.Parallel()
	l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	far, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer far.Close()
	conn, err := l.AcceptTCP()
	if err != nil {
		t.Fatal(err)
	}
	s := newStream(conn)
	ended := make(chan struct{})
	go func() { defer close(ended); s.write() }()
	lost, sent := 0, 0
	two := make([]byte, 2400)
	for range 10_000 { // 24 MB, which nobody reads
		lost += s.put(two, 1200, 2400)
		sent += 2
	}
	s.mu.Lock()
	waiting := len(s.waiting)
	s.mu.Unlock()
	if lost == 0 || waiting > maxBehind {
		t.Errorf("%d of %d lost", lost, sent)
	}
	b := make([]byte, 2)
	if _, err := io.ReadFull(far, b); err != nil || binary.BigEndian.Uint16(b) != 1200 {
		t.Errorf("%x, %v", b, err)
	}
	_ = s.Close()
	<-ended
}
