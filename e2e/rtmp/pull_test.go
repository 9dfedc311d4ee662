package rtmp

import (
	"bytes"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/bluenviron/gortsplib/v5"
	"github.com/bluenviron/gortsplib/v5/pkg/base"
	"github.com/bluenviron/gortsplib/v5/pkg/description"
	"github.com/bluenviron/gortsplib/v5/pkg/format"
	"github.com/pion/rtp"

	"amphi/e2e/testserver"
)

// camera is an RTSP server that gives readers what an ffmpeg publishes there.
type camera struct {
	server  *gortsplib.Server
	mu      sync.Mutex
	stream  *gortsplib.ServerStream
	readers []*gortsplib.ServerSession
}

func newCamera(t *testing.T) (c *camera, url string) {
	t.Helper()
	port := freePort(t)
	c = &camera{}
	c.server = &gortsplib.Server{Handler: c, RTSPAddress: fmt.Sprintf("127.0.0.1:%d", port)}
	if err := c.server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.server.Close()
		if c.stream != nil {
			c.stream.Close()
		}
	})
	return c, fmt.Sprintf("rtsp://porter:s3cret-token@127.0.0.1:%d/door", port)
}

func ok() *base.Response { return &base.Response{StatusCode: base.StatusOK} }

func (c *camera) what() (*base.Response, *gortsplib.ServerStream, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stream == nil {
		return &base.Response{StatusCode: base.StatusNotFound}, nil, nil
	}
	return ok(), c.stream, nil
}

func (c *camera) OnDescribe(*gortsplib.ServerHandlerOnDescribeCtx) (*base.Response, *gortsplib.ServerStream, error) {
	return c.what()
}

func (c *camera) OnAnnounce(ctx *gortsplib.ServerHandlerOnAnnounceCtx) (*base.Response, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stream = &gortsplib.ServerStream{Server: c.server, Desc: ctx.Description}
	return ok(), c.stream.Initialize()
}

func (c *camera) OnSetup(ctx *gortsplib.ServerHandlerOnSetupCtx) (*base.Response, *gortsplib.ServerStream, error) {
	if ctx.Session.State() == gortsplib.ServerSessionStatePreRecord {
		return ok(), nil, nil
	}
	return c.what()
}

func (c *camera) OnRecord(ctx *gortsplib.ServerHandlerOnRecordCtx) (*base.Response, error) {
	ctx.Session.OnPacketRTPAny(func(m *description.Media, _ format.Format, p *rtp.Packet) { _ = c.stream.WritePacketRTP(m, p) })
	return ok(), nil
}

func (c *camera) OnPlay(ctx *gortsplib.ServerHandlerOnPlayCtx) (*base.Response, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.readers = append(c.readers, ctx.Session)
	return ok(), nil
}

// drop has all readers lose their connections.
func (c *camera) drop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, r := range c.readers {
		r.Close()
	}
	c.readers = nil
}

// source is an external source, as far as the test reads it.
type source struct {
	ID, Status, Problem, URL string
	RoomID                   string `json:"room_id"`
}

// television is a server of HLS, made by ffmpeg: live, of segments of a second, without B-frames.
func television(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	cmd := exec.Command("ffmpeg", "-v", "error", "-re", "-f", "lavfi", "-i", "testsrc2=rate=30:size=640x360", "-f", "lavfi", "-i", "sine=frequency=660:sample_rate=44100",
		"-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-g", "30", "-pix_fmt", "yuv420p", "-c:a", "aac",
		"-f", "hls", "-hls_time", "1", "-hls_list_size", "6", "-hls_flags", "delete_segments", filepath.Join(dir, "live.m3u8"))
	var said bytes.Buffer
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	served := httptest.NewServer(http.FileServer(http.Dir(dir)))
	t.Cleanup(func() {
		served.Close()
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	eventually(t, "the playlist", func() bool {
		list, err := os.ReadFile(filepath.Join(dir, "live.m3u8"))
		return err == nil && bytes.Count(list, []byte(".ts")) >= 3
	})
	return served.URL + "/live.m3u8"
}

// TestPull: a camera and a television are fetched onto stages, and are seen and heard; the camera is the same peer after
// its connection was lost; addresses of private networks are refused.
func TestPull(t *testing.T) {
	t.Parallel()
	server := testserver.Run(t, "--pull-allow-networks", "127.0.0.0/8")
	ctx := t.Context()
	call := func(method, path string, in, out any) error {
		t.Helper()
		return server.API(ctx, method, path, in, out)
	}
	see := func(name, url string) (p *person, s source) {
		room, err := server.NewRoom(ctx, name, "")
		if err != nil {
			t.Fatal(err)
		}
		p = join(t, server, room.ID, stage, "Host of "+name)
		if err := call("POST", "/v2/external-sources/room/"+room.ID+"/start", map[string]any{"url": "rtsp://10.1.2.3/x"}, nil); err == nil || !strings.Contains(err.Error(), "not a public address") {
			t.Errorf("of another network: %v", err)
		}
		if err := call("POST", "/v2/external-sources/room/"+room.ID+"/start", map[string]any{"url": url, "name": name}, &s); err != nil {
			t.Fatal(err)
		}
		return p, s
	}
	state := func(s source) (now source) {
		if err := call("GET", "/v2/external-sources/"+s.ID, nil, &now); err != nil {
			t.Error(err)
		}
		return now
	}

	// Pictures that are shown in another order than they come in cannot be taken, which is no use trying again.
	dir := t.TempDir()
	if out, err := exec.Command("ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc2=rate=30:size=320x180", "-t", "8", "-c:v", "libx264", "-preset", "veryfast", "-bf", "2",
		"-g", "30", "-pix_fmt", "yuv420p", "-f", "hls", "-hls_time", "1", "-hls_list_size", "0", filepath.Join(dir, "film.m3u8")).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	library := httptest.NewServer(http.FileServer(http.Dir(dir)))
	defer library.Close()
	_, film := see("Film", library.URL+"/film.m3u8")

	door, url := newCamera(t)
	ffmpegRTSP := exec.Command("ffmpeg", "-v", "error", "-re", "-f", "lavfi", "-i", "testsrc2=rate=30:size=640x360", "-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000",
		"-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-g", "30", "-pix_fmt", "yuv420p", "-c:a", "aac", "-rtsp_transport", "tcp", "-f", "rtsp", url)
	if err := ffmpegRTSP.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = ffmpegRTSP.Process.Kill()
		_ = ffmpegRTSP.Wait()
	})
	watcher, viewed := see("TV", television(t))
	porter, watched := see("Door", url)
	id := ""
	for _, who := range []struct {
		p    *person
		name string
		s    source
	}{{porter, "Door", watched}, {watcher, "TV", viewed}} {
		eventually(t, who.name+" is on stage", func() bool { return who.p.peer(who.name) != nil })
		if who.name == "Door" {
			id = who.p.peer("Door").ID
		}
		eventually(t, who.name+" is seen", func() bool { return who.p.frames.Load() >= 60 })
		eventually(t, who.name+" is heard", func() bool { return who.p.sounds.Load() >= 180 })
		if now := state(who.s); now.Status != "running" || strings.Contains(now.URL, "token") || strings.Contains(now.URL, "live.m3u8") {
			t.Errorf("%+v", now)
		}
	}
	if now := state(film); now.Status != "failed" || !strings.Contains(now.Problem, "B-frames") {
		t.Errorf("a film with B-frames: %+v", now)
	}
	door.drop()
	eventually(t, "the camera is missed", func() bool { return strings.Contains(server.Log(), "source lost") })
	seen := porter.frames.Load()
	eventually(t, "it is seen again", func() bool { return porter.frames.Load() >= seen+30 })
	if p := porter.peer("Door"); p == nil || p.ID != id {
		t.Errorf("%q came back as %+v", id, p)
	}
	// One is stopped, the other is taken off the stage like everybody, and does not come back.
	if err := call("POST", "/v2/external-sources/"+watched.ID+"/stop", nil, nil); err != nil {
		t.Error(err)
	}
	if err := call("POST", "/v2/active-rooms/"+viewed.RoomID+"/remove-peers", map[string]any{"peer_id": watcher.peer("TV").ID}, nil); err != nil {
		t.Error(err)
	}
	eventually(t, "they leave", func() bool { return porter.peer("Door") == nil && watcher.peer("TV") == nil })
	eventually(t, "it is known why", func() bool {
		return state(viewed).Status == "stopped" && strings.Contains(state(viewed).Problem, "taken off")
	})
	if now := state(watched); now.Status != "stopped" || now.Problem != "" {
		t.Errorf("%+v", now)
	}
	for _, who := range []struct {
		p  *person
		hz float64
	}{{porter, 440}, {watcher, 660}} {
		if n := pictures(t, who.p.file.Name()); n < 60 {
			t.Errorf("%d pictures were seen", n)
		}
		if hz := tone(t, who.p.sound.Name()); math.Abs(hz-who.hz) > 5 {
			t.Errorf("a tone of %.1f Hz was heard, of %.0f Hz", hz, who.hz)
		}
	}
	if strings.Contains(server.Log(), "s3cret-token") {
		t.Error("the camera's secret is in the log")
	}
}
