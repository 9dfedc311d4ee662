package whip

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/pion/logging"
	"github.com/pion/webrtc/v4"

	"amphi/e2e/testserver"
)

// player is a WHEP client.
type player struct {
	t                     *testing.T
	pc                    *webrtc.PeerConnection
	session               string // its URL
	streams, video, audio atomic.Int64
}

// watch plays what a WHEP endpoint has.
func watch(t *testing.T, endpoint string) *player {
	t.Helper()
	var settings webrtc.SettingEngine
	settings.SetIncludeLoopbackCandidate(true)
	settings.LoggerFactory = &logging.DefaultLoggerFactory{DefaultLogLevel: logging.LogLevelDisabled}
	pc, err := webrtc.NewAPI(webrtc.WithSettingEngine(settings)).NewPeerConnection(webrtc.Configuration{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = pc.Close() })
	p := &player{t: t, pc: pc}
	pc.OnTrack(func(track *webrtc.TrackRemote, _ *webrtc.RTPReceiver) {
		p.streams.Add(1)
		for {
			packet, _, err := track.ReadRTP()
			switch {
			case err != nil:
				return
			case track.Kind() == webrtc.RTPCodecTypeAudio:
				p.audio.Add(1)
			case packet.Marker:
				p.video.Add(1)
			}
		}
	})
	for _, kind := range []webrtc.RTPCodecType{webrtc.RTPCodecTypeAudio, webrtc.RTPCodecTypeVideo} {
		if _, err := pc.AddTransceiverFromKind(kind, webrtc.RTPTransceiverInit{Direction: webrtc.RTPTransceiverDirectionRecvonly}); err != nil {
			t.Fatal(err)
		}
	}
	offer, err := pc.CreateOffer(nil)
	if err != nil {
		t.Fatal(err)
	}
	gathered := webrtc.GatheringCompletePromise(pc)
	if err := pc.SetLocalDescription(offer); err != nil {
		t.Fatal(err)
	}
	<-gathered
	resp, err := http.Post(endpoint, "application/sdp", strings.NewReader(pc.LocalDescription().SDP))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusCreated {
		t.Fatalf("%s %v: %s", resp.Status, err, answer)
	}
	base, err := url.Parse(endpoint)
	if err != nil {
		t.Fatal(err)
	}
	location, err := base.Parse(resp.Header.Get("Location"))
	if err != nil {
		t.Fatal(err)
	}
	p.session = location.String()
	if err := pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: string(answer)}); err != nil {
		t.Fatal(err)
	}
	return p
}

// sees waits for more frames and more sound.
func (p *player) sees(what string) {
	p.t.Helper()
	video, audio := p.video.Load(), p.audio.Load()
	eventually(p.t, what, func() bool { return p.video.Load() > video+30 && p.audio.Load() > audio+30 })
}

// shows waits until the live stream's picture has most of one colour: 0 red, 1 green, 2 blue.
func shows(t *testing.T, stream string, colour int) {
	t.Helper()
	eventually(t, fmt.Sprintf("colour %d in the live stream", colour), func() bool {
		rgb, err := exec.CommandContext(t.Context(), "ffmpeg", "-loglevel", "error", "-live_start_index", "-1", "-i", stream,
			"-frames:v", "1", "-vf", "scale=1:1", "-f", "rawvideo", "-pix_fmt", "rgb24", "-").Output()
		if err != nil || len(rgb) != 3 {
			return false // the stream has just begun
		}
		for i, c := range rgb {
			if i != colour && int(rgb[colour]) < int(c)+40 {
				return false
			}
		}
		return true
	})
}

// TestPlayer: a player and the composed stream see an encoder, and the one that comes after it.
func TestPlayer(t *testing.T) {
	needGStreamer(t)
	server := testserver.Run(t)
	room, err := server.NewRoom(t.Context(), "played", "")
	if err != nil {
		t.Fatal(err)
	}
	first := encode(t, server.URL+"/whip/"+room.Codes[stage], "", vp8, "green")
	first.says("connected")
	p := watch(t, server.URL+"/whep/"+room.Codes[floor])
	p.sees("the first encoder")
	if err := server.API(t.Context(), http.MethodPost, "/v2/live-streams/room/"+room.ID+"/start", map[string]any{}, nil); err != nil {
		t.Fatal(err)
	}
	stream := fmt.Sprintf("%s/beam/%s/%s/master.m3u8", server.URL, room.CustomerID, room.ID)
	shows(t, stream, 1)

	var active struct {
		Session struct {
			ID    string
			Peers []string
		}
	}
	if err := server.API(t.Context(), http.MethodGet, "/v2/active-rooms/"+room.ID, nil, &active); err != nil || len(active.Session.Peers) != 2 {
		t.Fatalf("%v %+v", err, active)
	}
	second := encode(t, server.URL+"/whip/"+room.Codes[stage], "", h264, "blue")
	second.says("connected")
	if err := first.input.Close(); err != nil {
		t.Fatal(err)
	}
	first.says("deleted: 200")
	p.sees("the second encoder, with another codec")
	eventually(t, "how good the first encoder's picture was is on record", func() bool {
		var stats struct {
			Publisher struct {
				Video []struct {
					Series struct{ Bitrate []float64 } `json:"time_series"`
				}
			}
		}
		err := server.API(t.Context(), http.MethodGet, "/v2/analytics/peer-stats?peer_id="+active.Session.Peers[0]+"&session_id="+active.Session.ID, nil, &stats)
		v := stats.Publisher.Video
		return err == nil && len(v) == 1 && len(v[0].Series.Bitrate) == 1 && v[0].Series.Bitrate[0] > 10000
	})
	shows(t, stream, 2)
	if n := p.streams.Load(); n != 2 {
		t.Errorf("%d streams began", n)
	}

	req, err := http.NewRequestWithContext(t.Context(), http.MethodDelete, p.session, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Error(resp.Status)
	}
	eventually(t, "the player sees its end", func() bool { return p.pc.ConnectionState() == webrtc.PeerConnectionStateClosed })
}
