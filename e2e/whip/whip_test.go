package whip

import (
	"bufio"
	"context"
	_ "embed"
	"io"
	"log/slog"
	"net"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pion/rtp"
	"github.com/pion/rtp/codecs"
	"github.com/pion/webrtc/v4"

	"amphi/e2e/testserver"
	"amphi/wasm/client"
	"amphi/wasm/rtc"
)

// Roles of the Starter Kit.
const (
	stage = "broadcaster"
	floor = "viewer-realtime"
)

const patience = 60 * time.Second

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatalf("not within %v: %s", patience, what)
}

//go:embed encoder.py
var encoderScript string

// python is Debian's own: GStreamer's bindings are for that one.
const python = "/usr/bin/python3"

// encoder is a running encoder.py.
type encoder struct {
	t     *testing.T
	input io.Closer

	mu    sync.Mutex
	lines []string
	done  bool
}

// How encoders encode.
const (
	vp8  = "vp8enc deadline=1 keyframe-max-dist=300 target-bitrate=500000 ! rtpvp8pay pt=96"
	h264 = "x264enc tune=zerolatency speed-preset=ultrafast key-int-max=300 bitrate=500 ! video/x-h264,profile=constrained-baseline ! " +
		"rtph264pay config-interval=-1 aggregate-mode=zero-latency pt=98"
)

// needGStreamer skips a test where there is none.
func needGStreamer(t *testing.T) {
	t.Helper()
	const check = "import gi; gi.require_version('GstWebRTC', '1.0'); gi.require_version('Gst', '1.0'); from gi.repository import Gst; Gst.init(None); " +
		"assert all(map(Gst.ElementFactory.find, ['webrtcbin', 'nicesink', 'vp8enc', 'x264enc', 'opusenc', 'dtlsenc', 'srtpenc']))"
	if out, err := exec.Command(python, "-c", check).CombinedOutput(); err != nil {
		t.Skipf("GStreamer with webrtcbin is not here; go tool task deps:test installs it: %s", out)
	}
}

// encode publishes a pattern of videotestsrc until the test or the end of its input ends it.
func encode(t *testing.T, endpoint, token, pipeline, pattern string) *encoder {
	t.Helper()
	cmd := exec.Command(python, "-c", encoderScript, endpoint, token, pipeline, pattern)
	input, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	output, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = cmd.Stdout
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	e := &encoder{t: t, input: input}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for s := bufio.NewScanner(output); s.Scan(); {
			e.mu.Lock()
			e.lines = append(e.lines, s.Text())
			e.mu.Unlock()
		}
		_ = cmd.Wait() // what matters, it has said
		e.mu.Lock()
		e.done = true
		e.mu.Unlock()
	}()
	t.Cleanup(func() {
		_ = input.Close()
		late := time.AfterFunc(patience, func() { _ = cmd.Process.Kill() })
		<-ended
		late.Stop()
		if t.Failed() {
			t.Logf("the encoder says:\n%s", strings.Join(e.lines, "\n"))
		}
	})
	return e
}

// says waits for a line that begins so.
func (e *encoder) says(line string) {
	e.t.Helper()
	eventually(e.t, "the encoder says "+line, func() bool {
		e.mu.Lock()
		defer e.mu.Unlock()
		for _, l := range e.lines {
			if strings.HasPrefix(l, line) {
				return true
			}
		}
		return false
	})
}

// person is somebody in the room with the Go client.
type person struct {
	*client.Client
	video, audio frames
}

// frames counts whole frames of a kind, whoever sends them.
type frames struct {
	all, key atomic.Int64
}

func join(t *testing.T, server *testserver.Server, roomID, role, name string) *person {
	t.Helper()
	p := &person{}
	p.Client = client.New(client.Config{
		Engine:  &rtc.Engine{Loopback: true, Settings: func(e *webrtc.SettingEngine) { e.SetIPFilter(net.IP.IsLoopback) }},
		Sink:    client.Sink{Patch: func(client.Patch) {}, Notification: func(client.Notification) {}},
		OnMedia: p.media,
		Log:     slog.New(slog.DiscardHandler),
	})
	t.Cleanup(p.Close)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := p.Join(ctx, client.JoinConfig{
		AuthToken: server.Keys().AuthToken(roomID, role, name), UserName: name, InitEndpoint: server.URL, AutoVideoSubscribe: true,
	}); err != nil {
		t.Fatal(err)
	}
	return p
}

// media counts the frames of a track until it ends.
func (p *person) media(e client.MediaEvent) {
	if e.Remote == nil {
		return
	}
	go func() {
		for {
			packet, err := e.Remote.ReadRTP()
			if err != nil {
				return
			}
			switch {
			case len(packet.Payload) == 0:
			case e.Remote.Kind == rtc.Audio:
				p.audio.all.Add(1)
			default:
				if isKeyFrame(packet) {
					p.video.key.Add(1)
				}
				if packet.Marker {
					p.video.all.Add(1)
				}
			}
		}
	}()
}

// isKeyFrame says whether a packet begins a key frame of VP8, or has the parameter sets before one of H.264.
func isKeyFrame(p *rtp.Packet) bool {
	const vp8, stapA, sps = 96, 24, 7
	if p.PayloadType == vp8 {
		frame := codecs.VP8Packet{}
		payload, err := frame.Unmarshal(p.Payload)
		return err == nil && frame.S == 1 && len(payload) > 0 && payload[0]&1 == 0
	}
	if p.Payload[0]&0x1f != stapA {
		return p.Payload[0]&0x1f == sps
	}
	for units := p.Payload[1:]; len(units) > 2; {
		n := 2 + int(units[0])<<8 + int(units[1])
		if units[2]&0x1f == sps {
			return true
		}
		units = units[min(n, len(units)):]
	}
	return false
}

// peer returns somebody by name, nil if nobody has it.
func (p *person) peer(name string) *client.Peer {
	for _, o := range p.State().Peers {
		if o.Name == name {
			return &o
		}
	}
	return nil
}

// TestGStreamer: an encoder of another make is in the room like everybody.
func TestGStreamer(t *testing.T) {
	needGStreamer(t)
	server := testserver.Run(t)
	for codec, pipeline := range map[string]string{"VP8": vp8, "H.264": h264} {
		t.Run(codec, func(t *testing.T) {
			t.Parallel()
			ctx := t.Context()
			room, err := server.NewRoom(ctx, strings.ToLower(strings.ReplaceAll(codec, ".", "")), "")
			if err != nil {
				t.Fatal(err)
			}
			host := join(t, server, room.ID, stage, "Host")
			viewer := join(t, server, room.ID, floor, "Viewer")
			e := encode(t, server.URL+"/whip/"+room.ID+"?name=Studio", room.Codes[stage], pipeline, "smpte")
			e.says("connected")
			for _, p := range []*person{host, viewer} {
				eventually(t, "the encoder is seen with picture and sound", func() bool {
					studio := p.peer("Studio")
					return studio != nil && studio.RoleName == stage && studio.VideoTrack != "" && studio.AudioTrack != ""
				})
				eventually(t, "its media comes", func() bool { return p.video.key.Load() > 0 && p.video.all.Load() >= 30 && p.audio.all.Load() >= 50 })
			}

			// Muted by the host, it is not heard; unmuted, it begins with a key frame.
			studio := host.peer("Studio")
			for _, id := range []string{studio.VideoTrack, studio.AudioTrack} {
				if err := host.SetRemoteTrackEnabled(ctx, id, false); err != nil {
					t.Fatal(err)
				}
			}
			eventually(t, "the viewer knows of the mute", func() bool {
				s := viewer.State()
				return !s.Tracks[studio.VideoTrack].Enabled && !s.Tracks[studio.AudioTrack].Enabled
			})
			eventually(t, "nothing comes any more", func() bool {
				before := viewer.video.all.Load() + viewer.audio.all.Load()
				time.Sleep(300 * time.Millisecond)
				return viewer.video.all.Load()+viewer.audio.all.Load() == before
			})
			keys, all := viewer.video.key.Load(), viewer.video.all.Load()
			if err := host.SetRemoteTracksEnabled(ctx, true, nil, "", ""); err != nil {
				t.Fatal(err)
			}
			eventually(t, "it goes on with a key frame", func() bool { return viewer.video.key.Load() > keys && viewer.video.all.Load() > all+10 })

			if err := e.input.Close(); err != nil {
				t.Fatal(err)
			}
			e.says("deleted: 200")
			eventually(t, "the encoder has left", func() bool { return viewer.peer("Studio") == nil && host.peer("Studio") == nil })

			// Removed, another one's connection ends.
			e = encode(t, server.URL+"/whip", server.Keys().AuthToken(room.ID, stage, "studio-2"), pipeline, "smpte")
			e.says("connected")
			eventually(t, "the second encoder is seen", func() bool { return host.peer("WHIP") != nil })
			if err := host.RemovePeer(ctx, host.peer("WHIP").ID, "enough"); err != nil {
				t.Fatal(err)
			}
			eventually(t, "it has left", func() bool { return viewer.peer("WHIP") == nil })
			if err := e.input.Close(); err != nil {
				t.Fatal(err)
			}
			e.says("deleted: 404")
		})
	}
	t.Run("a viewer's code", func(t *testing.T) {
		t.Parallel()
		room, err := server.NewRoom(t.Context(), "refused", "")
		if err != nil {
			t.Fatal(err)
		}
		encode(t, server.URL+"/whip", room.Codes[floor], vp8, "smpte").says("refused: 403")
		encode(t, server.URL+"/whip", "nonsense", vp8, "smpte").says("refused: 401")
		encode(t, server.URL+"/whip", room.Codes[stage], "jpegenc ! rtpjpegpay pt=96", "smpte").says("refused: 422")
	})
}
