package rtmp

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg4audio"
	"go.uber.org/goleak"

	"amphi/server/live"
)

// clip is two seconds of what a compositor makes.
var clip struct {
	video [][]byte // Annex B, 30 a second, a key picture a second
	audio [][]byte // AAC-LC, 48 kHz stereo
}

func TestMain(m *testing.M) {
	for program, from := range map[string]string{"ffmpeg": "ffmpeg", "nginx": "libnginx-mod-rtmp"} {
		if _, err := exec.LookPath(program); err != nil {
			fmt.Printf("rtmp: the tests need %s (apt-get install %s)\n", program, from)
			os.Exit(1)
		}
	}
	if err := encodeClip(); err != nil {
		fmt.Println("rtmp:", err)
		os.Exit(1)
	}
	goleak.VerifyTestMain(m)
}

func encodeClip() error {
	run := func(args ...string) ([]byte, error) {
		cmd := exec.Command("ffmpeg", append([]string{"-v", "error"}, args...)...)
		cmd.Stderr = os.Stderr
		return cmd.Output()
	}
	video, err := run("-f", "lavfi", "-i", "testsrc2=rate=30:size=320x180", "-t", "2", "-c:v", "libx264",
		"-preset", "ultrafast", "-tune", "zerolatency", "-pix_fmt", "yuv420p",
		"-x264-params", "keyint=30:min-keyint=30:scenecut=0:bframes=0:aud=1:repeat-headers=1", "-f", "h264", "-")
	if err != nil {
		return err
	}
	adts, err := run("-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000", "-t", "2", "-ac", "2", "-c:a", "aac", "-f", "adts", "-")
	if err != nil {
		return err
	}
	aud := []byte{0, 0, 0, 1, 9}
	for _, au := range bytes.Split(video, aud)[1:] {
		clip.video = append(clip.video, append(bytes.Clone(aud), au...))
	}
	var packets mpeg4audio.ADTSPackets
	if err := packets.Unmarshal(adts); err != nil {
		return err
	}
	for _, p := range packets {
		clip.audio = append(clip.audio, p.AU)
	}
	return nil
}

// play gives a sink the clip again and again in real time, until stop, which returns how many pictures it had.
func play(sink live.Sink) (stop func() int) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan int)
	go func() {
		sink.Begin(live.Format{Sizes: []live.Size{{Width: 320, Height: 180, Bitrate: 500_000}}, AudioBitrate: 128_000,
			FrameRate: 30, SampleRate: 48000, Channels: 2, Epoch: time.Now()})
		began := time.Now()
		i, a := 0, 0
		for ctx.Err() == nil {
			sink.Video(0, time.Duration(i)*time.Second/30, i%30 == 0, clip.video[i%len(clip.video)])
			i++
			for ; a*1024*30 <= i*48000; a++ {
				sink.Audio(time.Duration(a)*1024*time.Second/48000, clip.audio[a%len(clip.audio)])
			}
			time.Sleep(time.Until(began.Add(time.Duration(i) * time.Second / 30)))
		}
		done <- i
	}()
	return func() int { cancel(); return <-done }
}

// nginx is a server of the Debian package that keeps what it is sent.
type nginx struct {
	t    testing.TB
	dir  string
	port int
	cmd  *exec.Cmd
}

func newNginx(t testing.TB) *nginx {
	t.Helper()
	n := &nginx{t: t, dir: t.TempDir(), port: freePort(t)}
	conf := fmt.Sprintf(`load_module /usr/lib/nginx/modules/ngx_rtmp_module.so;
daemon off; worker_processes 1; pid %[1]s/pid; error_log %[1]s/log notice;
events {}
rtmp { access_log off; server { listen 127.0.0.1:%[2]d; ping 2s; ping_timeout 2s;
	application live { live on; record all; record_path %[1]s; record_unique on; record_suffix -%%s.flv; }
} }`, n.dir, n.port)
	if os.Getuid() == 0 {
		conf = "user root;\n" + conf
	}
	if err := os.WriteFile(filepath.Join(n.dir, "conf"), []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	n.start()
	t.Cleanup(n.stop)
	return n
}

func freePort(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

func (n *nginx) start() {
	n.t.Helper()
	n.cmd = exec.Command("nginx", "-p", n.dir, "-c", filepath.Join(n.dir, "conf"), "-e", filepath.Join(n.dir, "log"))
	var out bytes.Buffer
	n.cmd.Stdout, n.cmd.Stderr = &out, &out
	if err := n.cmd.Start(); err != nil {
		n.t.Fatal(err)
	}
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		c, err := net.Dial("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(n.port)))
		if err == nil {
			c.Close()
			return
		}
		if time.Now().After(end) {
			n.t.Fatalf("nginx does not listen: %s", out.String())
		}
	}
}

func (n *nginx) stop() {
	if n.cmd.Process != nil {
		_ = n.cmd.Process.Signal(os.Interrupt)
		_ = n.cmd.Wait()
	}
}

func (n *nginx) url(key string) string {
	return fmt.Sprintf("rtmp://127.0.0.1:%d/live/%s", n.port, key)
}

// kept are the files of what was sent with a key, oldest first, that have more than a few frames.
func (n *nginx) kept(key string) []string {
	n.t.Helper()
	list, err := filepath.Glob(filepath.Join(n.dir, key+"-*.flv"))
	if err != nil {
		n.t.Fatal(err)
	}
	var big []string
	for _, name := range list {
		if info, err := os.Stat(name); err == nil && info.Size() > 20_000 {
			big = append(big, name)
		}
	}
	return big
}

// decode has ffmpeg decode a file, and returns how many pictures and seconds of sound are in it. Any error
// that it finds fails the test.
func decode(t testing.TB, name string) (pictures int, sound time.Duration) {
	t.Helper()
	count := func(stream string, args ...string) int {
		out, err := exec.Command("ffprobe", append([]string{"-v", "error", "-select_streams", stream, "-count_frames",
			"-show_entries", "stream=nb_read_frames", "-of", "csv=p=0", name}, args...)...).CombinedOutput()
		text := string(bytes.TrimSpace(bytes.TrimRight(bytes.TrimSpace(out), ",")))
		n, convErr := strconv.Atoi(text)
		if err != nil || convErr != nil {
			t.Errorf("%s of %s: %v: %s", stream, filepath.Base(name), err, out)
		}
		return n
	}
	return count("v:0"), time.Duration(count("a:0")) * 1024 * time.Second / 48000
}

func until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain for: %s", what)
		}
	}
}
