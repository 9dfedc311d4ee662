package whip

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pion/ice/v4"
	"github.com/pion/logging"
	"github.com/pion/webrtc/v4"
	"github.com/pion/webrtc/v4/pkg/media"
	"go.uber.org/goleak"

	"amphi/server/policy"
	"amphi/server/protocol"
	"amphi/server/room"
	"amphi/server/sfu"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 20 * time.Second

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatalf("not within %v: %s", patience, what)
}

// shelf keeps no records.
type shelf struct{ room.Records }

func (shelf) LoadRoom(_ context.Context, id string) (room.Record, error) {
	r := room.Record{RoomID: id, Name: "lab", CustomerID: "c1", TemplateID: "t1", Template: policy.StarterKit(), Enabled: id != "closed"}
	if id == "small" {
		r.MaxPeers = 1
	}
	if id == "none" {
		return r, room.ErrNotFound
	}
	return r, nil
}
func (shelf) SessionOpened(context.Context, room.Session) error                           { return nil }
func (shelf) SessionClosed(context.Context, room.Session, time.Time) error                { return nil }
func (shelf) PeerJoined(context.Context, room.Session, room.Stay) error                   { return nil }
func (shelf) PeerLeft(context.Context, room.Session, room.Stay, room.Departure) error     { return nil }
func (shelf) RoleChanged(context.Context, room.Session, room.Stay, room.RoleChange) error { return nil }
func (shelf) SaveState(context.Context, room.Session, []byte) error                       { return nil }
func (shelf) LinkedPolls(context.Context, string) ([]room.LinkedPoll, error)              { return nil, nil }

// diary keeps what the room reports of encoders and players, "name: info".
type diary struct {
	room.Observer
	mu      sync.Mutex
	reports []string
}

func (*diary) Refused(context.Context, room.Session, room.Stay, room.Refusal) error { return nil }
func (*diary) TrackChanged(room.Info, room.Stay, room.TrackChange)                  {}
func (d *diary) Reported(_ room.Info, _ room.Stay, r protocol.Analytics) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.reports = append(d.reports, r.Name+": "+string(r.Info))
}

// has says whether a report of that name has that in it.
func (d *diary) has(name, text string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, r := range d.reports {
		if strings.HasPrefix(r, name+": ") && strings.Contains(r, text) {
			return true
		}
	}
	return false
}

// studio is a whip.Server over HTTP. A bearer is "role" or "role user"; the path names the room.
type studio struct {
	*Server
	t     *testing.T
	media *sfu.SFU
	diary *diary
	http  *httptest.Server
}

func newStudio(t *testing.T) *studio {
	t.Helper()
	m, err := sfu.New(sfu.Config{Loopback: true, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	d := &diary{}
	rooms := room.NewRegistry(room.Config{SFU: m, Records: shelf{}, Observer: d, Streamer: func() room.Streamer { return nil },
		NewID: func() string { return "s1" }, NodeID: "node-1", Log: slog.New(slog.DiscardHandler)})
	s := &studio{Server: New(rooms, slog.New(slog.DiscardHandler)), t: t, media: m, diary: d}
	mux := http.NewServeMux()
	serve := func(pattern string, h func(w http.ResponseWriter, r *http.Request, token string) error) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
			err := h(w, r, token)
			var refusal *protocol.Error
			switch {
			case errors.As(err, &refusal):
				http.Error(w, refusal.Message, refusal.Code)
			case err != nil:
				t.Error(err)
				http.Error(w, err.Error(), 500)
			}
		})
	}
	for prefix, open := range map[string]func(http.ResponseWriter, *http.Request, Grant) error{"/whip/{room}": s.Publish, "/whep/{room}": s.Play} {
		serve("POST "+prefix, func(w http.ResponseWriter, r *http.Request, token string) error {
			role, _, _ := strings.Cut(token, " ")
			return open(w, r, Grant{RoomID: r.PathValue("room"), UserID: "u", Role: role, Credential: sha256.Sum256([]byte(token)), Place: r.PathValue("room")})
		})
		serve("PATCH "+prefix+"/{id}", func(w http.ResponseWriter, r *http.Request, token string) error {
			return s.Patch(w, r, r.PathValue("id"), sha256.Sum256([]byte(token)))
		})
		serve("DELETE "+prefix+"/{id}", func(w http.ResponseWriter, r *http.Request, token string) error {
			return s.Delete(w, r.PathValue("id"), sha256.Sum256([]byte(token)))
		})
	}
	s.http = httptest.NewServer(mux)
	t.Cleanup(func() {
		s.Close()
		s.http.Close()
		rooms.Close()
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// call makes a request; header is name, value, name, value …
func (s *studio) call(method, path, token, body string, header ...string) (*http.Response, string) {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), method, s.http.URL+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := s.http.Client().Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return resp, string(text)
}

// want makes a request and compares the status.
func (s *studio) want(status int, method, path, token, body string, header ...string) {
	s.t.Helper()
	if resp, text := s.call(method, path, token, body, header...); resp.StatusCode != status {
		s.t.Errorf("%s %s %q: %d %s, want %d", method, path, header, resp.StatusCode, text, status)
	}
}

// encoder is a WHIP client, or a WHEP client.
type encoder struct {
	t             *testing.T
	pc            *webrtc.PeerConnection
	resource, tag string
	answer        string
	token         string
}

func newConnection(t *testing.T) *webrtc.PeerConnection {
	t.Helper()
	var settings webrtc.SettingEngine
	settings.SetIncludeLoopbackCandidate(true)
	settings.SetInterfaceFilter(func(name string) bool { return name == "lo" })
	settings.SetICEMulticastDNSMode(ice.MulticastDNSModeDisabled)
	settings.LoggerFactory = &logging.DefaultLoggerFactory{DefaultLogLevel: logging.LogLevelDisabled}
	engine := &webrtc.MediaEngine{}
	if err := engine.RegisterDefaultCodecs(); err != nil {
		t.Fatal(err)
	}
	pc, err := webrtc.NewAPI(webrtc.WithSettingEngine(settings), webrtc.WithMediaEngine(engine)).NewPeerConnection(webrtc.Configuration{})
	if err != nil {
		t.Fatal(err)
	}
	return pc
}

func newEncoder(t *testing.T, codecs ...string) *encoder {
	t.Helper()
	pc := newConnection(t)
	e := &encoder{t: t, pc: pc}
	stop := make(chan struct{})
	var running sync.WaitGroup
	t.Cleanup(func() {
		close(stop)
		running.Wait()
		_ = pc.GracefulClose()
	})
	for _, mime := range codecs {
		track, err := webrtc.NewTrackLocalStaticSample(webrtc.RTPCodecCapability{MimeType: mime}, "track", "stream")
		if err != nil {
			t.Fatal(err)
		}
		tr, err := pc.AddTransceiverFromTrack(track, webrtc.RTPTransceiverInit{Direction: webrtc.RTPTransceiverDirectionSendonly})
		if err != nil {
			t.Fatal(err)
		}
		// The one codec and no other, as encoders offer it.
		var only []webrtc.RTPCodecParameters
		for _, c := range tr.Sender().GetParameters().Codecs {
			if strings.EqualFold(c.MimeType, mime) {
				only = append(only, c)
			}
		}
		if err := tr.SetCodecPreferences(only); err != nil {
			t.Fatal(err)
		}
		running.Go(func() {
			// A VP8 key frame of 640x360 as far as anybody looks (RFC 6386 §9.1), or any packet of sound.
			frame := append([]byte{0x10, 0, 0, 0x9d, 0x01, 0x2a, 0x80, 0x02, 0x68, 0x01}, bytes.Repeat([]byte{1}, 200)...)
			for {
				select {
				case <-stop:
					return
				case <-time.After(20 * time.Millisecond):
					_ = track.WriteSample(media.Sample{Data: frame, Duration: 20 * time.Millisecond})
				}
			}
		})
	}
	return e
}

// offer returns the next offer with its candidates.
func (e *encoder) offer(options *webrtc.OfferOptions) string {
	e.t.Helper()
	o, err := e.pc.CreateOffer(options)
	if err != nil {
		e.t.Fatal(err)
	}
	gathered := webrtc.GatheringCompletePromise(e.pc)
	if err := e.pc.SetLocalDescription(o); err != nil {
		e.t.Fatal(err)
	}
	<-gathered
	return e.pc.LocalDescription().SDP
}

func (e *encoder) take(answer string) {
	e.t.Helper()
	e.answer = answer
	if err := e.pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: answer}); err != nil {
		e.t.Fatalf("%v in\n%s", err, answer)
	}
}

// publish posts the offer and takes the answer.
func (e *encoder) publish(s *studio, path, token string) {
	e.t.Helper()
	resp, text := s.call("POST", path, token, e.offer(nil), "Content-Type", "application/sdp")
	if resp.StatusCode != 201 || resp.Header.Get("Content-Type") != "application/sdp" {
		e.t.Fatalf("%d %v %s", resp.StatusCode, resp.Header, text)
	}
	e.resource, e.tag, e.token = resp.Header.Get("Location"), resp.Header.Get("ETag"), token
	e.take(text)
}

// seat is somebody in the room, who hears all of it.
type seat struct {
	*room.Peer
	mu     sync.Mutex
	frames []protocol.Frame
}

func (s *seat) Send(frame []byte) {
	f, err := protocol.ParseFrame(frame)
	if err != nil {
		panic(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.frames = append(s.frames, f)
}
func (*seat) Close(string) {}

// heard says whether a notification came with that text in it.
func (s *seat) heard(method, text string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.frames {
		if f.Method == method && strings.Contains(string(f.Params), text) {
			return true
		}
	}
	return false
}

func (s *studio) sit(roomID, role string) (*seat, *room.Room) {
	s.t.Helper()
	r, err := s.Rooms.Open(s.t.Context(), roomID)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(r.Release)
	p := &seat{}
	if p.Peer, err = r.Connect(s.t.Context(), room.Identity{PeerID: "host", Role: role}, p); err == nil {
		_, err = p.Join(s.t.Context(), protocol.Join{Name: "Host"})
	}
	if err != nil {
		s.t.Fatal(err)
	}
	return p, r
}

// encoders are the attendees but the host.
func encoders(t *testing.T, r *room.Room) (list []room.Attendee) {
	t.Helper()
	all, err := r.Attendees(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range all {
		if a.PeerID != "host" {
			list = append(list, a)
		}
	}
	return list
}

// TestSession is the life of a session, from the offer to the end.
func TestSession(t *testing.T) {
	s := newStudio(t)
	host, r := s.sit("r1", "broadcaster")
	e := newEncoder(t, webrtc.MimeTypeVP8, webrtc.MimeTypeOpus)
	e.publish(s, "/whip/r1?name=Studio+1", "broadcaster")
	if !strings.Contains(e.answer, "b=AS:700") || !strings.Contains(e.answer, "b=TIAS:32000") || strings.Contains(e.answer, "sendrecv") {
		t.Errorf("the answer has not the role's rates:\n%s", e.answer)
	}
	if !host.heard(protocol.OnPeerJoin, `"Studio 1"`) || !host.heard(protocol.OnTrackAdd, `"video"`) || !host.heard(protocol.OnTrackAdd, `"audio"`) {
		t.Error("the room does not know of the encoder")
	}
	a := encoders(t, r)
	if len(a) != 1 || len(a[0].Tracks) != 2 || a[0].Role != "broadcaster" {
		t.Fatalf("%+v", a)
	}
	eventually(t, "packets come", func() bool { return s.media.Stats().PacketsIn > 20 })

	// A second one has tracks of its own, though it names them as the first one did.
	twin := newEncoder(t, webrtc.MimeTypeH264)
	twin.publish(s, "/whip/r1", "broadcaster")
	if a := encoders(t, r); len(a) != 2 || a[1].Name != "WHIP" || a[1].Tracks[0].TrackID == a[0].Tracks[0].TrackID {
		t.Errorf("%+v", a)
	}

	// Who may mute mutes without the encoder's help.
	for _, track := range a[0].Tracks {
		if err := host.RequestMute(t.Context(), protocol.TrackUpdateRequest{RequestedFor: a[0].PeerID, TrackID: track.TrackID, Mute: true}); err != nil {
			t.Fatal(err)
		}
	}
	for _, track := range encoders(t, r)[0].Tracks {
		if !track.Mute {
			t.Errorf("%s is not muted", track.Kind)
		}
	}
	if err := host.RequestMuteAll(t.Context(), protocol.ChangeTrackMute{Kind: protocol.Audio, Value: false}); err != nil {
		t.Fatal(err)
	}
	for _, track := range encoders(t, r)[0].Tracks {
		if track.Mute != (track.Kind == protocol.Video) {
			t.Errorf("%s muted: %v", track.Kind, track.Mute)
		}
	}
	if !host.heard(protocol.OnTrackUpdate, `"mute":true`) || !host.heard(protocol.OnTrackUpdate, `"mute":false`) {
		t.Error("the room was not told of the mutes")
	}

	e.trickles(s)
	e.restarts(s)
	before := s.media.Stats().PacketsIn
	eventually(t, "packets come after the restart", func() bool { return s.media.Stats().PacketsIn > before+50 })

	s.want(403, "DELETE", e.resource, "broadcaster other", "")
	s.want(200, "DELETE", e.resource, "broadcaster", "", "If-Match", `"whatever"`)
	s.want(404, "DELETE", e.resource, "broadcaster", "")
	if id := a[0].Tracks[0].TrackID; !s.diary.has(protocol.ReportPublisherStats, `"track_id":"`+id) || !s.diary.has(protocol.ReportPublisherStats, `"total_packets_sent"`) {
		t.Errorf("nothing is reported of the encoder: %q", s.diary.reports)
	}
	if !host.heard(protocol.OnPeerLeave, a[0].PeerID) {
		t.Error("the room does not know that the encoder left")
	}
	if err := r.Remove(t.Context(), encoders(t, r)[0].PeerID, "", "enough"); err != nil {
		t.Fatal(err)
	}
	s.want(404, "DELETE", twin.resource, "broadcaster", "")
	eventually(t, "the encoder sees its end", func() bool { return twin.pc.ConnectionState() == webrtc.PeerConnectionStateClosed })
	if st := s.Stats(); st.Sessions != 0 || st.Opened != 2 || st.Restarts != 1 {
		t.Errorf("%+v", st)
	}
}

// trickles sends candidates in all ways that are right and wrong.
func (e *encoder) trickles(s *studio) {
	e.t.Helper()
	const kind = "application/trickle-ice-sdpfrag"
	u, p := ownCredentials(e.pc.LocalDescription().SDP)
	fragment := "a=ice-ufrag:" + u + "\r\na=ice-pwd:" + p + "\r\nm=audio 9 RTP/AVP 0\r\na=mid:0\r\n" +
		"a=candidate:1 1 udp 2122260223 127.0.0.1 9 typ host\r\na=candidate:2 1 udp 1 nowhere.invalid 9 typ host\r\na=end-of-candidates\r\n"
	for _, c := range []struct {
		status            int
		token, body, kind string
		match             string
	}{
		{204, "broadcaster", fragment, kind, e.tag},
		{204, "broadcaster", fragment, kind, `"a", ` + e.tag},
		{204, "broadcaster", "a=candidate:3 1 udp 1 127.0.0.1 9 typ host\r\n", kind, e.tag},
		{428, "broadcaster", fragment, kind, ""},
		{412, "broadcaster", fragment, kind, `"other"`},
		{412, "broadcaster", fragment, kind, "W/" + e.tag},
		{412, "broadcaster", strings.Replace(fragment, u, "restarted", 1), kind, e.tag},
		{415, "broadcaster", fragment, "application/sdp", e.tag},
		{400, "broadcaster", "garbage", kind, e.tag},
		{413, "broadcaster", strings.Repeat("a=x\r\n", 10000), kind, e.tag},
		{403, "broadcaster other", fragment, kind, e.tag},
	} {
		header := []string{"Content-Type", c.kind}
		if c.match != "" {
			header = append(header, "If-Match", c.match)
		}
		s.want(c.status, "PATCH", e.resource, c.token, c.body, header...)
	}
	s.want(404, "PATCH", "/whip/r1/none", "broadcaster", fragment, "Content-Type", kind, "If-Match", "*")
}

// restarts gives the connection new ICE credentials.
func (e *encoder) restarts(s *studio) {
	e.t.Helper()
	offer := e.offer(&webrtc.OfferOptions{ICERestart: true})
	u, p := ownCredentials(offer)
	fragment := "a=ice-ufrag:" + u + "\r\na=ice-pwd:" + p + "\r\nm=audio 9 RTP/AVP 0\r\na=mid:0\r\n"
	for line := range strings.Lines(offer) {
		if strings.HasPrefix(line, "a=candidate:") {
			fragment += line
		}
	}
	resp, text := s.call("PATCH", e.resource, e.token, fragment, "Content-Type", "application/trickle-ice-sdpfrag", "If-Match", "*")
	if resp.StatusCode != 200 || resp.Header.Get("ETag") == e.tag || resp.Header.Get("Content-Type") != "application/trickle-ice-sdpfrag" {
		e.t.Fatalf("%d %v %s", resp.StatusCode, resp.Header, text)
	}
	e.tag = resp.Header.Get("ETag")
	oldU, oldP := ownCredentials(e.answer)
	newU, newP := ownCredentials(text)
	if newU == oldU || newP == oldP || !strings.Contains(text, "a=candidate:") {
		e.t.Fatalf("no new credentials:\n%s", text)
	}
	e.take(strings.NewReplacer(oldU, newU, oldP, newP).Replace(e.answer))
	eventually(e.t, "the client is connected", func() bool { return e.pc.ConnectionState() == webrtc.PeerConnectionStateConnected })
}

func ownCredentials(text string) (ufrag, pwd string) {
	for line := range strings.Lines(text) {
		if v, ok := strings.CutPrefix(line, "a=ice-ufrag:"); ok {
			ufrag = strings.TrimSpace(v)
		}
		if v, ok := strings.CutPrefix(line, "a=ice-pwd:"); ok {
			pwd = strings.TrimSpace(v)
		}
	}
	return ufrag, pwd
}

// TestEnds: whoever does not come, goes, or may no longer publish is taken out.
func TestEnds(t *testing.T) {
	s := newStudio(t)
	s.ConnectWithin = 300 * time.Millisecond
	_, r := s.sit("r1", "broadcaster")

	late := newEncoder(t, webrtc.MimeTypeOpus)
	resp, text := s.call("POST", "/whip/r1", "broadcaster", late.offer(nil), "Content-Type", "application/sdp")
	if resp.StatusCode != 201 {
		t.Fatal(text)
	}
	eventually(t, "who does not connect is taken out", func() bool { return len(encoders(t, r)) == 0 })

	s.ConnectWithin = patience
	gone := newEncoder(t, webrtc.MimeTypeOpus)
	gone.publish(s, "/whip/r1", "broadcaster")
	eventually(t, "it connects", func() bool {
		return s.media.Stats().PublishConnected == 1 && gone.pc.ConnectionState() == webrtc.PeerConnectionStateConnected
	})
	if err := gone.pc.Close(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "who hangs up is taken out", func() bool { return len(encoders(t, r)) == 0 })

	demoted := newEncoder(t, webrtc.MimeTypeOpus)
	demoted.publish(s, "/whip/r1", "broadcaster")
	role := "viewer-realtime"
	if _, err := r.ChangePeer(t.Context(), encoders(t, r)[0].PeerID, room.PeerChange{Role: &role}); err != nil {
		t.Fatal(err)
	}
	if len(encoders(t, r)) != 0 {
		t.Error("who may not publish any more stays")
	}

	last := newEncoder(t, webrtc.MimeTypeOpus)
	last.publish(s, "/whip/r1", "broadcaster")
	s.Close()
	if len(encoders(t, r)) != 0 {
		t.Error("they stay when the server stops")
	}
	s.want(503, "POST", "/whip/r1", "broadcaster", newEncoder(t, webrtc.MimeTypeOpus).offer(nil), "Content-Type", "application/sdp")
	if st := s.Stats(); st.Sessions != 0 || st.NeverCame != 1 {
		t.Errorf("%+v", st)
	}
}

// TestRefusals: nobody is in the room after any of them.
func TestRefusals(t *testing.T) {
	s := newStudio(t)
	s.Sessions, s.PerCredential = 3, 2
	both := newEncoder(t, webrtc.MimeTypeVP8, webrtc.MimeTypeOpus).offer(nil)
	const sdp = "application/sdp"
	for name, c := range map[string]struct {
		status            int
		path, token, body string
		kind              string
	}{
		"another media type":    {415, "/whip/r1", "broadcaster", both, "application/json"},
		"no media type":         {415, "/whip/r1", "broadcaster", both, ""},
		"garbage":               {400, "/whip/r1", "broadcaster", "garbage", sdp},
		"nothing":               {400, "/whip/r1", "broadcaster", "", sdp},
		"too much":              {413, "/whip/r1", "broadcaster", both + strings.Repeat("a=x\r\n", 20000), sdp},
		"no ICE credentials":    {400, "/whip/r1", "broadcaster", strings.ReplaceAll(both, "a=ice-", "a=x-"), sdp},
		"no fingerprint":        {400, "/whip/r1", "broadcaster", strings.ReplaceAll(both, "a=fingerprint", "a=x"), sdp},
		"a player":              {422, "/whip/r1", "broadcaster", strings.ReplaceAll(both, "sendonly", "recvonly"), sdp},
		"two cameras":           {422, "/whip/r1", "broadcaster", newEncoder(t, webrtc.MimeTypeVP8, webrtc.MimeTypeH264).offer(nil), sdp},
		"only a codec unknown":  {422, "/whip/r1", "broadcaster", strings.ReplaceAll(both, " VP8/", " XYZ/"), sdp},
		"no media":              {422, "/whip/r1", "broadcaster", strings.NewReplacer("m=audio 9", "m=audio 0", "m=video 9", "m=video 0").Replace(both), sdp},
		"a viewer":              {403, "/whip/r1", "viewer-realtime", both, sdp},
		"somebody of no level":  {400, "/whip/r1", "nobody", both, sdp},
		"no room":               {404, "/whip/none", "broadcaster", both, sdp},
		"a disabled room":       {403, "/whip/closed", "broadcaster", both, sdp},
		"a name without an end": {413, "/whip/r1?name=" + strings.Repeat("n", 300), "broadcaster", both, sdp},
	} {
		header := []string{}
		if c.kind != "" {
			header = append(header, "Content-Type", c.kind)
		}
		if resp, text := s.call("POST", c.path, c.token, c.body, header...); resp.StatusCode != c.status || resp.Header.Get("Location") != "" {
			t.Errorf("%s: %d %s, want %d", name, resp.StatusCode, text, c.status)
		}
	}
	eventually(t, "no room is open", func() bool { return len(s.Rooms.Rooms()) == 0 })
	if st := s.Stats(); st.Sessions != 0 || st.Opened != 0 || st.Refused != 16 {
		t.Errorf("%+v", st)
	}

	newEncoder(t, webrtc.MimeTypeOpus).publish(s, "/whip/small", "broadcaster")
	resp, _ := s.call("POST", "/whip/small", "broadcaster", newEncoder(t, webrtc.MimeTypeOpus).offer(nil), "Content-Type", sdp)
	if resp.StatusCode != 503 || resp.Header.Get("Retry-After") == "" {
		t.Errorf("a full room: %d %v", resp.StatusCode, resp.Header)
	}
	newEncoder(t, webrtc.MimeTypeOpus).publish(s, "/whip/r1", "broadcaster")
	s.want(429, "POST", "/whip/r1", "broadcaster", newEncoder(t, webrtc.MimeTypeOpus).offer(nil), "Content-Type", sdp)
	newEncoder(t, webrtc.MimeTypeOpus).publish(s, "/whip/r1", "broadcaster 2")
	s.want(503, "POST", "/whip/r1", "broadcaster 3", newEncoder(t, webrtc.MimeTypeOpus).offer(nil), "Content-Type", sdp)
}
