// Package rtmp tests what goes out to other services and comes in from them, from outside: pushes, encoders that send
// with stream keys, and streams that are fetched. Debian's nginx-rtmp and ffmpeg are those others.
package rtmp

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"log/slog"
	"math"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pion/rtp/codecs"
	"github.com/pion/webrtc/v4"
	"github.com/pion/webrtc/v4/pkg/media/oggwriter"

	"amphi/e2e/testserver"
	"amphi/wasm/client"
	"amphi/wasm/rtc"
)

const patience = 40 * time.Second

const (
	stage = "broadcaster"
	floor = "viewer-realtime"
)

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain for: %s", what)
		}
	}
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// nginx starts Debian's nginx-rtmp, which keeps what it is sent in a directory.
func nginx(t *testing.T) (url, dir string) {
	t.Helper()
	if _, err := exec.LookPath("nginx"); err != nil {
		t.Skip("nginx-rtmp is not here; go tool task deps:test installs it")
	}
	dir = t.TempDir()
	port := freePort(t)
	conf := fmt.Sprintf(`load_module /usr/lib/nginx/modules/ngx_rtmp_module.so;
daemon off; worker_processes 1; pid %[1]s/pid; error_log %[1]s/log notice;
events {}
rtmp { access_log off; server { listen 127.0.0.1:%[2]d; application live { live on; record all; record_path %[1]s; record_unique on; } } }`, dir, port)
	if os.Getuid() == 0 {
		conf = "user root;\n" + conf
	}
	if err := os.WriteFile(filepath.Join(dir, "conf"), []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("nginx", "-p", dir, "-c", filepath.Join(dir, "conf"), "-e", filepath.Join(dir, "log"))
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		_ = cmd.Wait()
	})
	return fmt.Sprintf("rtmp://127.0.0.1:%d/live", port), dir
}

// person is somebody in the room with the Go client, who keeps the H.264 and the Opus that come.
type person struct {
	*client.Client
	frames, key, sounds atomic.Int64
	file, sound         *os.File
}

func join(t *testing.T, server *testserver.Server, roomID, role, name string) *person {
	t.Helper()
	file, err := os.Create(filepath.Join(t.TempDir(), "seen.h264"))
	if err != nil {
		t.Fatal(err)
	}
	sound, err := os.Create(filepath.Join(t.TempDir(), "heard.ogg"))
	if err != nil {
		t.Fatal(err)
	}
	p := &person{file: file, sound: sound}
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

func (p *person) media(e client.MediaEvent) {
	if e.Remote == nil {
		return
	}
	if e.Remote.Kind == rtc.Audio {
		go p.hear(e.Remote)
		return
	}
	go func() {
		defer p.file.Close()
		var units codecs.H264Packet
		for {
			packet, err := e.Remote.ReadRTP()
			if err != nil {
				return
			}
			if len(packet.Payload) == 0 {
				continue
			}
			au, err := units.Unmarshal(packet.Payload)
			if err != nil {
				continue
			}
			if bytes.Contains(au, []byte{0, 0, 0, 1, 0x67}) {
				p.key.Add(1)
			}
			if p.key.Load() == 0 {
				continue
			}
			_, _ = p.file.Write(au)
			if packet.Marker {
				p.frames.Add(1)
			}
		}
	}()
}

// hear keeps a track's sound.
func (p *person) hear(track *rtc.RemoteTrack) {
	ogg, err := oggwriter.NewWith(p.sound, 48000, 2)
	if err != nil {
		return
	}
	defer ogg.Close()
	for {
		packet, err := track.ReadRTP()
		if err != nil || ogg.WriteRTP(packet) != nil {
			return
		}
		p.sounds.Add(1)
	}
}

// tone has ffmpeg decode a sound, and returns its frequency in the two seconds after the first, or what there is of them,
// by how often it rises through zero.
func tone(t *testing.T, name string) float64 {
	t.Helper()
	var said bytes.Buffer
	cmd := exec.Command("ffmpeg", "-v", "error", "-ss", "1", "-t", "2", "-i", name, "-ac", "1", "-ar", "48000", "-f", "s16le", "-")
	cmd.Stderr = &said
	pcm, err := cmd.Output()
	if err != nil || len(pcm) < 48000 {
		t.Errorf("%d bytes of sound: %v: %s", len(pcm), err, said.String())
		return 0
	}
	rises := 0
	for before, i := int16(0), 0; i+1 < len(pcm); i += 2 {
		v := int16(binary.LittleEndian.Uint16(pcm[i:]))
		if before < 0 && v >= 0 {
			rises++
		}
		before = v
	}
	return float64(rises) * 48000 / float64(len(pcm)/2)
}

func (p *person) peer(name string) *client.Peer {
	for _, o := range p.State().Peers {
		if o.Name == name {
			return &o
		}
	}
	return nil
}

// pictures has ffmpeg decode a file, and returns how many pictures are in it. What it finds wrong fails the test.
func pictures(t *testing.T, name string) int {
	t.Helper()
	n, err := count(name)
	if err != nil {
		t.Error(err)
	}
	return n
}

// arrived is how many pictures of a push are in its file so far.
func arrived(dir, key string) int {
	files, _ := filepath.Glob(filepath.Join(dir, key+"*.flv"))
	if len(files) == 0 {
		return 0
	}
	n, err := count(files[0])
	if err != nil {
		return 0 // it has just begun
	}
	return n
}

func count(name string) (int, error) {
	out, err := exec.Command("ffprobe", "-v", "error", "-select_streams", "v:0", "-count_frames", "-show_entries", "stream=nb_read_frames",
		"-of", "csv=p=0", name).CombinedOutput()
	if err != nil {
		return 0, fmt.Errorf("%s: %w: %s", filepath.Base(name), err, out)
	}
	n, err := strconv.Atoi(strings.Trim(strings.TrimSpace(string(out)), ","))
	if err != nil {
		return 0, fmt.Errorf("%s: %w", filepath.Base(name), err)
	}
	return n, nil
}

// encoder is an ffmpeg that publishes a test picture.
type encoder struct {
	cmd  *exec.Cmd
	done chan struct{}
	out  bytes.Buffer // to be read after done
}

func ffmpeg(t *testing.T, url string, how ...string) *encoder {
	t.Helper()
	args := append([]string{"-v", "error", "-re", "-f", "lavfi", "-i", "testsrc2=rate=30:size=640x360", "-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000",
		"-c:v", "libx264", "-preset", "ultrafast", "-g", "30", "-pix_fmt", "yuv420p"}, how...)
	e := &encoder{cmd: exec.Command("ffmpeg", append(args, "-c:a", "aac", "-f", "flv", url)...), done: make(chan struct{})}
	e.cmd.Stdout, e.cmd.Stderr = &e.out, &e.out
	if err := e.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { _ = e.cmd.Wait(); close(e.done) }()
	t.Cleanup(e.stop)
	return e
}

func (e *encoder) stop() {
	_ = e.cmd.Process.Signal(os.Interrupt)
	select {
	case <-e.done:
	case <-time.After(10 * time.Second):
		_ = e.cmd.Process.Kill()
		<-e.done
	}
}

// isRefused waits until the encoder has given up by itself.
func (e *encoder) isRefused(t *testing.T, why string) {
	t.Helper()
	select {
	case <-e.done:
	case <-time.After(patience):
		t.Errorf("it is not refused: %s", why)
		return
	}
	if e.cmd.ProcessState.Success() || !strings.Contains(e.out.String(), why) {
		t.Errorf("%v, and the encoder says %q, want %q", e.cmd.ProcessState, e.out.String(), why)
	}
}

// push is an external stream, as far as the test reads it.
type push struct {
	ID, Status, Reason string
}

// TestRTMP: an encoder sends with a stream key and is on stage, its room goes live, and is pushed to nginx; all who
// take it see it.
func TestRTMP(t *testing.T) {
	t.Parallel()
	target, dir := nginx(t)
	port := freePort(t)
	server := testserver.Run(t, "--rtmp-port", strconv.Itoa(port), "--rtmp-allow-networks", "127.0.0.0/8")
	ctx := t.Context()
	call := func(method, path string, in, out any) {
		t.Helper()
		if err := server.API(ctx, method, path, in, out); err != nil {
			t.Fatalf("%s %s: %v", method, path, err)
		}
	}
	room, err := server.NewRoom(ctx, "rtmp", "")
	if err != nil {
		t.Fatal(err)
	}
	host := join(t, server, room.ID, stage, "Host")
	viewer := join(t, server, room.ID, floor, "Viewer")
	var key struct{ URL, Key string }
	call("POST", "/v2/stream-keys/room/"+room.ID, nil, &key)
	if want := fmt.Sprintf(":%d/live", port); !strings.HasPrefix(key.URL, "rtmp://") || !strings.HasSuffix(key.URL, want) {
		t.Errorf("send to %s, want …%s", key.URL, want)
	}
	address := fmt.Sprintf("rtmp://127.0.0.1:%d/live/", port)
	ffmpeg(t, address+"no-such-key").isRefused(t, "no such stream key")

	studio := ffmpeg(t, address+key.Key+"?name=Studio", "-tune", "zerolatency")
	studioID := func(p *person) string {
		if peer := p.peer("Studio"); peer != nil {
			return peer.ID
		}
		return ""
	}
	for _, p := range []*person{host, viewer} {
		eventually(t, "the encoder is on stage", func() bool {
			peer := p.peer("Studio")
			return peer != nil && peer.RoleName == stage && peer.VideoTrack != ""
		})
		eventually(t, "its picture comes", func() bool { return p.frames.Load() >= 60 })
		eventually(t, "its sound comes", func() bool { return p.sounds.Load() >= 160 })
	}
	first := studioID(host)
	eventually(t, "the room is live", func() bool { return viewer.State().Room.HLS.Running })
	ffmpeg(t, address+key.Key, "-tune", "zerolatency").isRefused(t, "already connected")

	// It loses its connection, and returns: it is the same one to all, and its picture goes on.
	_ = studio.cmd.Process.Kill()
	eventually(t, "it is missed", func() bool { return strings.Contains(server.Log(), "it may return") })
	seen := host.frames.Load()
	studio = ffmpeg(t, address+key.Key+"?name=Studio", "-tune", "zerolatency")
	eventually(t, "its picture comes again", func() bool { return host.frames.Load() >= seen+30 })
	if id := studioID(host); id != first {
		t.Errorf("peer %q came back as %q", first, id)
	}

	// The same picture goes elsewhere.
	var started push
	call("POST", "/v2/external-streams/room/"+room.ID+"/start", map[string]any{"rtmp_urls": []string{target + "/rest-key"}}, &started)
	status := func() push {
		var p push
		call("GET", "/v2/external-streams/"+started.ID, nil, &p)
		return p
	}
	eventually(t, "the push runs", func() bool { return status().Status == "running" })
	eventually(t, "the room knows", func() bool { return host.State().Room.RTMP.Running })
	eventually(t, "three seconds of it are there", func() bool { return arrived(dir, "rest-key") >= 90 })
	call("POST", "/v2/external-streams/"+started.ID+"/stop", nil, nil)
	eventually(t, "the push has ended", func() bool { return status().Status == "completed" })
	eventually(t, "the room knows", func() bool { return !host.State().Room.RTMP.Running })

	// The live stream ends; a client pushes the room, which is composed for that alone.
	call("POST", "/v2/live-streams/room/"+room.ID+"/stop", nil, nil)
	eventually(t, "the room is not live", func() bool { return !viewer.State().Room.HLS.Running })
	if err := host.StartRTMP(ctx, client.RTMPStart{RTMPURLs: []string{target + "/client-key"}}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the push runs", func() bool { return host.State().Room.RTMP.Running })
	eventually(t, "two seconds of it are there", func() bool { return arrived(dir, "client-key") >= 60 })
	if err := host.StopRTMP(ctx); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the room knows", func() bool { return !host.State().Room.RTMP.Running })

	studio.stop()
	eventually(t, "the encoder is off the stage", func() bool { return host.peer("Studio") == nil })
	for _, p := range []*person{host, viewer} {
		if n := pictures(t, p.file.Name()); n < 60 {
			t.Errorf("%d pictures were seen", n)
		}
		if hz := tone(t, p.sound.Name()); math.Abs(hz-440) > 5 {
			t.Errorf("a tone of %.1f Hz was heard, of 440 Hz", hz)
		}
	}
	for key, least := range map[string]int{"rest-key": 90, "client-key": 60} {
		files, err := filepath.Glob(filepath.Join(dir, key+"*.flv"))
		if err != nil || len(files) != 1 {
			t.Fatalf("%s: %v %v", key, files, err)
		}
		if n := pictures(t, files[0]); n < least {
			t.Errorf("%s: %d pictures were pushed", key, n)
		}
		if hz := tone(t, files[0]); key == "rest-key" && math.Abs(hz-440) > 25 { // it may begin in a pause
			t.Errorf("%s: a tone of %.1f Hz was pushed, of 440 Hz", key, hz)
		}
	}

	// Pictures in another order than they are shown in are refused with the reason in the log.
	ffmpeg(t, address+key.Key+"?name=Reorders", "-bf", "2", "-preset", "veryfast").isRefused(t, "") // ffmpeg does not read why
	eventually(t, "the reason", func() bool { return strings.Contains(server.Log(), "B-frames") })
	if log := server.Log(); strings.Contains(log, key.Key) || strings.Contains(log, "rest-key") || strings.Contains(log, "client-key") {
		t.Error("keys are in the log")
	}
}
