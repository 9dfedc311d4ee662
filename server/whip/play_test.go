package whip

import (
	"strings"
	"sync/atomic"
	"testing"

	"github.com/pion/webrtc/v4"

	"amphi/server/protocol"
	"amphi/server/room"
)

// player is a WHEP client.
type player struct {
	*encoder
	streams, video, audio atomic.Int64 // that began, packets of each kind
}

func newPlayer(t *testing.T) *player {
	t.Helper()
	pc := newConnection(t)
	t.Cleanup(func() { _ = pc.GracefulClose() })
	p := &player{encoder: &encoder{t: t, pc: pc}}
	pc.OnTrack(func(track *webrtc.TrackRemote, _ *webrtc.RTPReceiver) {
		p.streams.Add(1)
		count := &p.video
		if track.Kind() == webrtc.RTPCodecTypeAudio {
			count = &p.audio
		}
		for {
			if _, _, err := track.ReadRTP(); err != nil {
				return
			}
			count.Add(1)
		}
	})
	for _, kind := range []webrtc.RTPCodecType{webrtc.RTPCodecTypeVideo, webrtc.RTPCodecTypeAudio} {
		if _, err := pc.AddTransceiverFromKind(kind, webrtc.RTPTransceiverInit{Direction: webrtc.RTPTransceiverDirectionRecvonly}); err != nil {
			t.Fatal(err)
		}
	}
	return p
}

// more waits for packets of both kinds.
func (p *player) more(what string) {
	p.t.Helper()
	video, audio := p.video.Load(), p.audio.Load()
	eventually(p.t, what, func() bool { return p.video.Load() > video+20 && p.audio.Load() > audio+20 })
}

// TestPlayer: somebody with a player watches whoever publishes.
func TestPlayer(t *testing.T) {
	s := newStudio(t)
	_, r := s.sit("r1", "broadcaster")
	first := newEncoder(t, webrtc.MimeTypeVP8, webrtc.MimeTypeOpus)
	first.publish(s, "/whip/r1", "broadcaster")
	p := newPlayer(t)
	p.publish(s, "/whep/r1?name=Lobby", "viewer-realtime")
	if !strings.HasPrefix(p.resource, "/whep/r1/") || strings.Contains(p.answer, "sendrecv") || strings.Contains(p.answer, "recvonly") {
		t.Errorf("%s\n%s", p.resource, p.answer)
	}
	p.more("picture and sound")
	if a := encoders(t, r); len(a) != 2 || a[1].Name != "Lobby" || a[1].Role != "viewer-realtime" || len(a[1].Tracks) != 0 {
		t.Errorf("%+v", a)
	}

	second := newEncoder(t, webrtc.MimeTypeVP8, webrtc.MimeTypeOpus)
	second.publish(s, "/whip/r1", "broadcaster")
	s.want(200, "DELETE", first.resource, "broadcaster", "")
	p.more("picture and sound of the second publisher")
	if n := p.streams.Load(); n != 2 {
		t.Errorf("%d streams began", n)
	}
	u, pwd := ownCredentials(p.pc.LocalDescription().SDP)
	s.want(204, "PATCH", p.resource, p.token, "a=ice-ufrag:"+u+"\r\na=ice-pwd:"+pwd+"\r\na=candidate:1 1 udp 1 127.0.0.1 9 typ host\r\n",
		"Content-Type", "application/trickle-ice-sdpfrag", "If-Match", p.tag)
	p.restarts(s)
	p.more("picture and sound after an ICE restart")

	for _, m := range mediaOf(t, r) {
		if (m.Name == "Lobby") != (m.Via == "WHEP") || m.Via == "WHEP" && len(m.Figures.Subscriptions) != 2 {
			t.Errorf("%+v", m)
		}
	}
	s.want(200, "DELETE", p.resource, p.token, "")
	s.want(404, "DELETE", p.resource, p.token, "")
	if !s.diary.has(protocol.ReportSubscriberStats, `"total_packets_received"`) {
		t.Errorf("nothing is reported of the player: %q", s.diary.reports)
	}
	eventually(t, "the player sees its end", func() bool { return p.pc.ConnectionState() == webrtc.PeerConnectionStateClosed })

	gone := newPlayer(t)
	gone.publish(s, "/whep/r1", "viewer-realtime")
	gone.more("picture and sound for another player")
	if err := gone.pc.Close(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "who hangs up is taken out", func() bool { return len(encoders(t, r)) == 1 })
}

func mediaOf(t *testing.T, r *room.Room) []room.AttendeeMedia {
	t.Helper()
	all, err := r.Media(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestPlayerRefusals(t *testing.T) {
	s := newStudio(t)
	good := newPlayer(t).offer(nil)
	for name, c := range map[string]struct {
		status      int
		token, body string
	}{
		"garbage":         {400, "viewer-realtime", "garbage"},
		"an encoder":      {422, "viewer-realtime", newEncoder(t, webrtc.MimeTypeOpus).offer(nil)},
		"nothing to play": {400, "viewer-realtime", strings.NewReplacer("m=audio 9", "m=audio 0", "m=video 9", "m=video 0").Replace(good)},
		"the gallery":     {403, "hls-viewer", good},
	} {
		if resp, text := s.call("POST", "/whep/r1", c.token, c.body, "Content-Type", "application/sdp"); resp.StatusCode != c.status {
			t.Errorf("%s: %d %s, want %d", name, resp.StatusCode, text, c.status)
		}
	}
	eventually(t, "no room is open", func() bool { return len(s.Rooms.Rooms()) == 0 })
	// One code for many.
	s.PerCredential = 1
	for range 3 {
		s.want(201, "POST", "/whep/r1", "viewer-realtime", newPlayer(t).offer(nil), "Content-Type", "application/sdp")
	}
}
