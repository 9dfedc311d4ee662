package e2e

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"amphi/e2e/testserver"
)

// composedPage joins a room with Amphi's client, shows red, green and blue in turn, each for a second, and plays a tone. It
// tells its site what it sees of the network.
const composedPage = `<!doctype html><meta charset="utf-8"><title>show</title>
<style>html{background:#f00}</style>
<script type="module">
  const q = new URLSearchParams(location.search);
  const tell = (what) => fetch('/told?' + new URLSearchParams({ what }));
  const colors = ['#f00', '#0f0', '#00f'];
  setInterval(() => { document.documentElement.style.background = colors[Math.floor(Date.now() / 1000) % 3]; }, 50);
  const sound = new AudioContext();
  const tone = new OscillatorNode(sound, { frequency: 1000 });
  tone.connect(new GainNode(sound, { gain: 0.5 })).connect(sound.destination);
  tone.start();
  fetch(q.get('forbidden'), { mode: 'no-cors' }).then((r) => tell('forbidden ' + r.type), () => tell('forbidden failed'));
  const Native = RTCPeerConnection;
  globalThis.RTCPeerConnection = class extends Native {
    constructor(...args) {
      super(...args);
      this.addEventListener('connectionstatechange', () => tell('media ' + this.connectionState));
    }
  };
  const { HMSReactiveStore } = await import(q.get('server') + '/sdk/amphi.js');
  await new HMSReactiveStore().getActions().join({ userName: 'Beam', authToken: q.get('token'), initEndpoint: q.get('server'),
    settings: { isAudioMuted: true, isVideoMuted: true } });
  await tell('joined');
</script>`

// site serves the composed page, and notes what it tells.
type site struct {
	*httptest.Server
	mu   sync.Mutex
	told map[string]int
}

func newSite(t *testing.T) *site {
	s := &site{told: make(map[string]int)}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/told" {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.told[r.FormValue("what")]++
			return
		}
		w.Header().Set("Content-Type", "text/html")
		io.WriteString(w, composedPage)
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *site) heard(what string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.told[what]
}

// eventually waits for something to become true.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(60 * time.Second); !ok(); time.Sleep(100 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("never: %s", what)
		}
	}
}

// TestComposedPage has a page of an app's own composed instead of the stage: it is seen and heard in the stream, reaches
// nothing private, comes back when its browser dies, and leaves nothing behind.
func TestComposedPage(t *testing.T) {
	args := []string{"--composition-browser", "chromium", "--composition-allow-networks", "127.0.0.1/32"}
	if os.Getuid() == 0 {
		args = append(args, "--composition-user", "nobody")
	}
	server := testserver.Run(t, args...)
	page := newSite(t)
	forbidden, err := net.Listen("tcp", "127.0.0.2:0") // private, and not among the networks that pages may reach
	if err != nil {
		t.Fatal(err)
	}
	defer forbidden.Close()
	go func() {
		if c, err := forbidden.Accept(); err == nil {
			t.Error("the page reached a private address")
			c.Close()
		}
	}()
	room, err := server.NewRoom(t.Context(), "composed-page", "")
	if err != nil {
		t.Fatal(err)
	}
	address := page.URL + "/?" + url.Values{"server": {server.URL}, "forbidden": {"http://" + forbidden.Addr().String() + "/"},
		"token": {server.Keys().AuthToken(room.ID, viewer, "beam")}}.Encode()
	var live struct{ ID, Status string }
	if err := server.API(t.Context(), http.MethodPost, "/v2/live-streams/room/"+room.ID+"/start", map[string]any{"meeting_url": address}, &live); err != nil {
		t.Fatal(err)
	}
	state := func() string {
		if err := server.API(t.Context(), http.MethodGet, "/v2/live-streams/"+live.ID, nil, &live); err != nil {
			t.Fatal(err)
		}
		return live.Status
	}
	began := time.Now()
	eventually(t, "the page is on the air", func() bool { return state() != "starting" })
	if live.Status != "running" {
		t.Fatalf("the stream is %q\n%s", live.Status, server.Log())
	}
	t.Logf("on the air after %v", time.Since(began).Round(time.Millisecond))
	eventually(t, "the page has told", func() bool {
		return page.heard("joined") == 1 && page.heard("forbidden opaque")+page.heard("forbidden failed") == 1
	})
	eventually(t, "media over TCP", func() bool { return page.heard("media connected") > 0 })
	playlist := fmt.Sprintf("%s/beam/%s/%s/master.m3u8", server.URL, room.CustomerID, room.ID)
	used, from := filmCPU(t, server), time.Now()
	if problem := notComposed(t, playlist); problem != "" {
		t.Error(problem)
	}
	t.Logf("browser, screen, sound card and camera take %.2f cores", (filmCPU(t, server)-used).Seconds()/time.Since(from).Seconds())

	browser := browserOf(t, server)
	if err := syscall.Kill(browser, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, "another browser has joined", func() bool { return page.heard("joined") == 2 })
	eventually(t, "its picture and sound", func() bool { return notComposed(t, playlist) == "" }) // players are a moment behind
	if state() != "running" {
		t.Errorf("the stream is %q when the browser was killed", live.Status)
	}

	if err := server.API(t.Context(), http.MethodPost, "/v2/live-streams/"+live.ID+"/stop", nil, nil); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the end", func() bool { return state() == "completed" })
	left := func() []string {
		dirs, _ := filepath.Glob(filepath.Join(os.TempDir(), fmt.Sprintf("amphi-page-%d-*", server.PID())))
		return dirs
	}
	eventually(t, "nothing is left", func() bool { return len(left()) == 0 && len(filmProcesses(server)) == 0 })

	// A link of the room's own is composed without a browser, unless it asks for what only the page does.
	for query, browsers := range map[string]bool{"?skip_preview=true": false, "?skip_preview=true&ui_mode=activespeaker": true} {
		link := server.URL + "/preview/" + room.ID + "/" + viewer + query
		if err := server.API(t.Context(), http.MethodPost, "/v2/live-streams/room/"+room.ID+"/start", map[string]any{"meeting_url": link}, &live); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the room's link is on the air", func() bool { return state() == "running" })
		if filmed := len(filmProcesses(server)) > 0; filmed != browsers {
			t.Errorf("%s is filmed: %v", query, filmed)
		}
		if err := server.API(t.Context(), http.MethodPost, "/v2/live-streams/"+live.ID+"/stop", nil, nil); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the end", func() bool { return state() == "completed" })
	}
}

// notComposed decodes four seconds of a stream and says what is wrong with them; empty when all of the picture has the
// page's colours, one after the other, and its tone is heard.
func notComposed(t *testing.T, playlist string) (problem string) {
	t.Helper()
	var said bytes.Buffer
	cmd := exec.CommandContext(t.Context(), "ffmpeg", "-v", "error", "-i", playlist, "-t", "4",
		"-map", "0:v:0", "-vf", "fps=5,scale=4:4:flags=area,format=rgb24", "-f", "rawvideo", "pipe:1",
		"-t", "4", "-map", "0:a:0", "-ac", "1", "-ar", "8000", "-f", "s16le", "pipe:3")
	sound, theirs, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer sound.Close()
	cmd.ExtraFiles, cmd.Stderr = []*os.File{theirs}, &said
	heard := make(chan []byte)
	go func() {
		pcm, _ := io.ReadAll(sound)
		heard <- pcm
	}()
	pictures, err := cmd.Output()
	theirs.Close()
	pcm := <-heard
	if err != nil {
		t.Fatalf("ffmpeg: %v: %s", err, said.String())
	}
	const size = 4 * 4 * 3
	seen := make(map[string]int)
	for i := 0; i+size <= len(pictures); i += size {
		seen[colorOf(pictures[i:i+size])]++
	}
	if seen["red"] == 0 || seen["green"] == 0 || seen["blue"] == 0 {
		problem = fmt.Sprintf("colours of %d pictures: %v; ", len(pictures)/size, seen)
	}
	if tone, other := pitch(pcm, 8000, 1000), pitch(pcm, 8000, 1700); tone < 0.1 || other > tone/20 {
		problem += fmt.Sprintf("of the tone %.3f is heard, beside it %.3f, in %d samples", tone, other, len(pcm)/2)
	}
	return problem
}

// colorOf names the colour that all of a picture has.
func colorOf(rgb []byte) string {
	names := []string{"red", "green", "blue"}
	for main, name := range names {
		all := true
		for i, v := range rgb {
			all = all && (i%3 == main && v > 180 || i%3 != main && v < 80)
		}
		if all {
			return name
		}
	}
	return fmt.Sprint("mixed, at first ", rgb[:3])
}

// pitch is how loud a frequency is (Goertzel), 0.5 for a sine of half the full scale: the mean of windows so short that
// it does not matter when the sound is played a little faster.
func pitch(pcm []byte, rate, frequency float64) float64 {
	const window = 400
	sum, windows := 0.0, 0.0
	for ; len(pcm) >= 2*window; pcm = pcm[2*window:] {
		var re, im float64
		for i := range window {
			v := float64(int16(uint16(pcm[2*i])|uint16(pcm[2*i+1])<<8)) / 32768
			sin, cos := math.Sincos(2 * math.Pi * frequency * float64(i) / rate)
			re, im = re+v*cos, im+v*sin
		}
		sum, windows = sum+2*math.Hypot(re, im)/window, windows+1
	}
	return sum / max(1, windows)
}

// filmProcesses are the programs of a server's films, with what they have started: all that descends from the server,
// but for the media workers.
func filmProcesses(server *testserver.Server) (pids []int) {
	parents := make(map[int]int)
	procs, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, proc := range procs {
		text, err := os.ReadFile(proc)
		if _, rest, ok := bytes.Cut(text, []byte(") ")); err == nil && ok && !bytes.Contains(text, []byte("(amphi-composito")) {
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(proc)))
			parents[pid], _ = strconv.Atoi(string(bytes.Fields(rest)[1]))
		}
	}
	for pid := range parents {
		for p := parents[pid]; p > 1; p = parents[p] {
			if p == server.PID() {
				pids = append(pids, pid)
			}
		}
	}
	return pids
}

func filmCPU(t *testing.T, server *testserver.Server) (sum time.Duration) {
	t.Helper()
	for _, pid := range filmProcesses(server) {
		sum += testserver.CPU(pid)
	}
	return sum
}

// browserOf is the browser's first process.
func browserOf(t *testing.T, server *testserver.Server) int {
	t.Helper()
	for _, pid := range filmProcesses(server) {
		line, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		if bytes.Contains(line, []byte("--user-data-dir=")) && !bytes.Contains(line, []byte("--type=")) {
			return pid
		}
	}
	t.Fatalf("no browser\n%s", server.Log())
	return 0
}
