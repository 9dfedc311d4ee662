package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"amphi/e2e/hlscheck"
	"amphi/e2e/testbrowser"
	"amphi/e2e/testserver"
)

// streamLength is how long TestStream watches before it kills the worker.
var streamLength = flag.Duration("stream", time.Minute, "how long TestStream watches")

// playerPage is a page that knows hls.js and nothing of Amphi.
const playerPage = `<!doctype html>
<meta charset="utf-8">
<title>player</title>
<video id="video" muted autoplay playsinline></video>
<script src="/hls.js"></script>
<script>
  const video = document.getElementById('video');
  const errors = []; // fatal ones; a player mends the others itself
  const mended = [];
  function play(url, height) {
    const hls = globalThis.hls = new Hls();
    // so that what is measured does not depend on what the player makes of a busy machine
    if (height) hls.once(Hls.Events.MANIFEST_PARSED, () => { hls.currentLevel = hls.levels.findIndex((level) => level.height === height); });
    hls.on(Hls.Events.ERROR, (_, { fatal, type, details, reason }) => (fatal ? errors : mended).push([type, details, reason].join(' ')));
    hls.loadSource(url);
    hls.attachMedia(video);
  }
</script>`

// servePlayer serves the player's page on another origin than the stream's.
func servePlayer(t *testing.T) (url string) {
	t.Helper()
	script, err := os.ReadFile(filepath.Join("node_modules", "hls.js", "dist", "hls.min.js"))
	if err != nil {
		t.Fatalf("hls.js is not there (go tool task test:e2e installs it): %v", err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /hls.js", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/javascript")
		w.Write(script)
	})
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		w.Write([]byte(playerPage))
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server.URL + "/"
}

// goLive starts the room's stream over the server API and returns its static address.
func goLive(t *testing.T, server *testserver.Server, room *testserver.Room) (url string) {
	t.Helper()
	var started struct{ Status string }
	if err := server.API(t.Context(), http.MethodPost, "/v2/live-streams/room/"+room.ID+"/start", map[string]any{}, &started); err != nil {
		t.Fatal(err)
	}
	if started.Status != "starting" && started.Status != "running" {
		t.Errorf("the started stream is %q", started.Status)
	}
	url = fmt.Sprintf("%s/beam/%s/%s/master.m3u8", server.URL, room.CustomerID, room.ID)
	deadline := time.Now().Add(20 * time.Second)
	for {
		resp, err := http.Get(url)
		if err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return url
			}
		}
		if time.Now().After(deadline) {
			t.Fatalf("no playlist at %s: %v, %v", url, resp, err)
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// ladder has a room's streams in two sizes.
func (l *lab) ladder(room *testserver.Room) {
	l.t.Helper()
	var r struct {
		TemplateID string `json:"template_id"`
	}
	if err := l.server.API(l.t.Context(), http.MethodGet, "/v2/rooms/"+room.ID, nil, &r); err != nil {
		l.t.Fatal(err)
	}
	layers := []any{
		map[string]any{"width": 1280, "height": 720, "videoBitrate": 1200, "audioBitrate": 128},
		map[string]any{"width": 640, "height": 360, "videoBitrate": 400, "audioBitrate": 128},
	}
	in := map[string]any{"hlsDestinations": map[string]any{"main": map[string]any{"name": "main", "layers": layers}}}
	if err := l.server.API(l.t.Context(), http.MethodPost, "/v2/templates/"+r.TemplateID+"/destinations", in, nil); err != nil {
		l.t.Fatal(err)
	}
}

// TestStream holds one live stream of two people, in two sizes, against players that know nothing of Amphi: ffprobe, ffmpeg
// over a minute, hls.js in Chromium and in Firefox, which goes from size to size; and kills the worker under Chromium's.
func TestStream(t *testing.T) {
	l := newLab(t)
	playerAddress := servePlayer(t)
	room := l.room()
	l.ladder(room)
	const annCamera, bobCamera = 31, 32
	ann := l.join(room, broadcaster, "Ann", annCamera)
	bob := l.join(room, broadcaster, "Bob", bobCamera)
	ann.view("stage")
	bob.view("stage")
	ann.watches("Bob", bobCamera)
	url := goLive(t, l.server, room)

	t.Run("ffprobe", func(t *testing.T) {
		for _, name := range []string{url, oldStream(url)} {
			probeStream(t, name)
		}
	})

	player := &person{Page: l.open("player", testbrowser.PageConfig{}), t: t, name: "the player"}
	if err := player.Goto(playerAddress); err != nil {
		t.Fatal(err)
	}
	if err := player.Eval(fmt.Sprintf("play(%q, 720)", url), nil); err != nil {
		t.Fatal(err)
	}
	player.finds("#video", 3*time.Second, annCamera, bobCamera)

	t.Run("ffmpeg, hls.js and the rules", func(t *testing.T) {
		type measured struct {
			what string
			err  error
		}
		watched := make(chan measured, 1)
		go func() {
			summaries, err := player.Measure("#video", 0, *streamLength-5*time.Second)
			watched <- measured{fmt.Sprintf("%+v", summaries), err}
		}()
		checked := make(chan struct{})
		go func() {
			defer close(checked)
			checkStream(t, url, *streamLength-5*time.Second)
		}()
		flat := watchMemory(t, map[string]int{"the server": l.server.PID(), "the worker": workerOf(t, l.server.PID())})
		decodeStream(t, url, *streamLength)
		<-checked
		flat()
		watch := <-watched
		if watch.err != nil {
			t.Error(watch.err)
		}
		t.Logf("hls.js: %s", watch.what)
		for _, id := range []int{annCamera, bobCamera} {
			if !strings.Contains(watch.what, fmt.Sprintf("%d:{", id)) {
				t.Errorf("camera %d is not in the picture", id)
			}
		}
		noErrors(t, player)
	})

	t.Run("from size to size", func(t *testing.T) {
		if err := player.Eval("void (mended.length = 0)", nil); err != nil { // what was before is of other tests
			t.Fatal(err)
		}
		shows(t, player, "hls.currentLevel = hls.levels.findIndex(({ height }) => height === 360)", 360)
		shows(t, player, "hls.currentLevel = hls.levels.findIndex(({ height }) => height === 720)", 720)
		// by itself, as far as it may; up it is told to go, as it does not trust the network of a busy machine
		shows(t, player, "hls.autoLevelCapping = hls.levels.findIndex(({ height }) => height === 360), hls.nextLevel = -1", 360)
		shows(t, player, "hls.autoLevelCapping = -1, hls.nextLevel = hls.levels.findIndex(({ height }) => height === 720)", 720)
		noErrors(t, player)
		refusedNothing(t, player)
	})

	t.Run("transport streams", func(t *testing.T) {
		old := &person{Page: l.open("old player", testbrowser.PageConfig{}), t: t, name: "the old player"}
		defer old.Close()
		if err := old.Goto(playerAddress); err != nil {
			t.Fatal(err)
		}
		shows(t, old, fmt.Sprintf("play(%q, 360)", oldStream(url)), 360)
		shows(t, old, "hls.nextLevel = hls.levels.findIndex(({ height }) => height === 720)", 720)
		shows(t, old, "hls.nextLevel = hls.levels.findIndex(({ height }) => height === 360)", 360)
		noErrors(t, old)
		refusedNothing(t, old)
	})

	t.Run("Firefox", func(t *testing.T) {
		firefox, err := testbrowser.StartFirefox()
		if err != nil {
			t.Fatal(err)
		}
		defer firefox.Close()
		page, err := firefox.Open()
		if err != nil {
			t.Fatal(err)
		}
		if err := page.Goto(playerAddress); err != nil {
			t.Fatal(err)
		}
		shows(t, page, fmt.Sprintf("play(%q, 360)", url), 360)
		shows(t, page, "hls.nextLevel = hls.levels.findIndex(({ height }) => height === 720)", 720)
		noErrors(t, page)
		refusedNothing(t, page)
	})

	t.Run("the worker is killed", func(t *testing.T) {
		worker := workerOf(t, l.server.PID())
		if err := player.Eval("void (globalThis.reader = LatencyProbe.read(video))", nil); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Second)
		if err := syscall.Kill(worker, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		// until well after whatever was in the player's buffer has been shown
		time.Sleep(12 * time.Second)
		var after struct {
			MaxGap float64 // milliseconds
			Fresh  float64 // of the last two seconds: delay of the newest picture
			Count  int
		}
		err := player.Eval(`(() => {
			const recent = reader.samples.filter(({ at }) => at > Date.now() - 2000);
			return { maxGap: reader.summary().maxGap, fresh: recent.at(-1)?.delay ?? 0, count: recent.length };
		})()`, &after)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("longest pause %.0f ms; afterwards %d pictures in 2 s, delayed by %.0f ms", after.MaxGap, after.Count, after.Fresh)
		if after.MaxGap > 3000 {
			t.Errorf("the picture stood still for %.0f ms", after.MaxGap)
		}
		if after.Count < 5 {
			t.Errorf("only %d pictures in two seconds afterwards", after.Count)
		}
		if next := workerOf(t, l.server.PID()); next == worker {
			t.Error("the same worker still runs")
		}
		noErrors(t, player)
	})
}

// oldStream is the address of a stream for players that know no fragmented MP4.
func oldStream(url string) string { return strings.Replace(url, "master.m3u8", "master-ts.m3u8", 1) }

// player is a page of servePlayer, in whatever browser.
type player interface {
	Eval(expression string, out any) error
	Wait(expression string, atMost time.Duration) error
}

// shows waits until the player, told to do something, plays pictures of that height.
func shows(t *testing.T, p player, what string, height int) {
	t.Helper()
	began := time.Now()
	err := p.Eval("void ("+what+")", nil)
	if err == nil {
		err = p.Wait(fmt.Sprintf("video.videoHeight === %d && (globalThis.shown ??= video.currentTime) + 1 < video.currentTime", height), 30*time.Second)
	}
	if err != nil {
		var state string
		_ = p.Eval(`JSON.stringify({ at: video.currentTime, height: video.videoHeight, level: hls.currentLevel, auto: hls.autoLevelEnabled, estimate: hls.bandwidthEstimate, errors, mended })`, &state)
		t.Fatalf("%s: %v; %s", what, err, state)
	}
	_ = p.Eval("void (globalThis.shown = undefined)", nil)
	t.Logf("%s: %d lines after %v", what, height, time.Since(began).Round(time.Millisecond))
}

// noErrors fails if the player gave up at any time.
func noErrors(t *testing.T, p player) {
	t.Helper()
	var seen struct{ Errors, Mended []string }
	if err := p.Eval("({ errors, mended })", &seen); err != nil {
		t.Fatal(err)
	}
	if len(seen.Errors) > 0 {
		t.Errorf("hls.js gave up: %q", seen.Errors)
	}
	if len(seen.Mended) > 0 {
		kinds := map[string]int{}
		for _, m := range seen.Mended {
			_, kind, _ := strings.Cut(m, " ")
			kind, _, _ = strings.Cut(kind, " ")
			kinds[kind]++
		}
		t.Logf("hls.js mended: %v; first %q", kinds, seen.Mended[:min(10, len(seen.Mended))])
	}
}

// refusedNothing fails if the player was refused anything, or given what it could not parse or append. That it waited in
// vain on a busy machine, that its buffer ran dry there, or that it gave up a load to change the size, says nothing about
// the stream.
func refusedNothing(t *testing.T, p player) {
	t.Helper()
	var refused []string
	if err := p.Eval(`mended.filter((error) => /LoadError|Parsing|Append|Codec|levelEmpty|fragGap|internalException/.test(error))`, &refused); err != nil {
		t.Fatal(err)
	}
	if len(refused) > 0 {
		t.Errorf("hls.js had to mend %q", refused)
	}
}

// longWatch is from when on something can be said of drift and of memory.
const longWatch = 10 * time.Minute

// watchMemory looks at processes until the function that it returns is called, which says whether they grow.
func watchMemory(t *testing.T, pids map[string]int) (flat func()) {
	const every = 5 * time.Second
	seen := map[string][]int64{} // bytes
	stop := make(chan struct{})
	var watching sync.WaitGroup
	watching.Go(func() {
		for {
			for name, pid := range pids {
				seen[name] = append(seen[name], testserver.Memory(pid))
			}
			select {
			case <-stop:
				return
			case <-time.After(every):
			}
		}
	})
	return func() {
		close(stop)
		watching.Wait()
		for name, all := range seen {
			const mib = 1 << 20
			n := len(all)
			median := func(some []int64) int64 { return slices.Sorted(slices.Values(some))[len(some)/2] }
			third, last := median(all[n/2:max(n/2+1, n*3/4)]), median(all[n*3/4:])
			t.Logf("memory of %s: %.1f MiB in the third quarter, %.1f in the last", name, float64(third)/mib, float64(last)/mib)
			if time.Duration(n)*every >= longWatch && last > third+third/10+4*mib {
				t.Errorf("%s grows", name)
			}
		}
	}
}

// checkStream holds all playlists and files of a stream against the rules for a while.
func checkStream(t *testing.T, url string, d time.Duration) {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	report, err := hlscheck.Follow(ctx, url)
	if err != nil {
		t.Errorf("the stream could not be followed: %v", err)
	}
	if report == nil {
		return
	}
	for _, breach := range report.Wrong {
		t.Error(breach)
	}
	if n := len(report.Edge) / 10; d >= longWatch && n > 0 {
		median := func(some []time.Duration) time.Duration { return slices.Sorted(slices.Values(some))[len(some)/2] }
		first, last := median(report.Edge[:n]), median(report.Edge[len(report.Edge)-n:])
		t.Logf("a part is listed %v after its last picture in the first tenth, %v in the last", first.Round(time.Millisecond), last.Round(time.Millisecond))
		if drift := (last - first).Abs(); drift > 100*time.Millisecond {
			t.Errorf("the stream's clock drifts: %v in %v", drift, d)
		}
	}
	slices.Sort(report.Edge)
	if n := len(report.Edge); n > 0 {
		t.Logf("%d playlists, %d parts; a part is listed %v after its last picture was composed (p99 %v)", report.Playlists, report.Parts,
			report.Edge[n/2].Round(time.Millisecond), report.Edge[n*99/100].Round(time.Millisecond))
		t.Logf("the slowest reload took %v", report.Slowest.Round(time.Millisecond))
	}
	if report.Playlists < int(d/time.Second) {
		t.Errorf("only %d playlists in %v", report.Playlists, d)
	}
}

// probeStream asks ffprobe what is in a stream.
func probeStream(t *testing.T, url string) {
	var errs bytes.Buffer
	cmd := exec.CommandContext(t.Context(), "ffprobe", "-v", "error", "-show_streams", "-of", "json", url)
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil || errs.Len() > 0 {
		t.Fatalf("ffprobe: %v\n%s", err, &errs)
	}
	var found struct {
		Streams []struct {
			Type   string `json:"codec_type"`
			Codec  string `json:"codec_name"`
			Width  int    `json:"width"`
			Height int    `json:"height"`
		} `json:"streams"`
	}
	if err := json.Unmarshal(out, &found); err != nil {
		t.Fatal(err)
	}
	codecs, sizes := map[string]string{}, map[string]bool{}
	for _, stream := range found.Streams {
		codecs[stream.Type] = stream.Codec
		if stream.Type == "video" {
			sizes[fmt.Sprintf("%dx%d", stream.Width, stream.Height)] = true
		}
	}
	if len(sizes) != 2 || !sizes["1280x720"] || !sizes["640x360"] {
		t.Errorf("the pictures have %v", sizes)
	}
	if codecs["video"] != "h264" || codecs["audio"] != "aac" {
		t.Errorf("the stream holds %v, want h264 and aac", codecs)
	}
}

var (
	volumeLine = regexp.MustCompile(`max_volume: (-?[\d.]+) dB`)
	framesLine = regexp.MustCompile(`frame= *(\d+)`)
)

// decodeStream lets ffmpeg play and decode a stream for so long: without an error, with sound in it.
func decodeStream(t *testing.T, url string, length time.Duration) {
	t.Helper()
	seconds := strconv.FormatFloat(length.Seconds(), 'f', -1, 64)
	var output bytes.Buffer
	cmd := exec.CommandContext(t.Context(), "ffmpeg", "-nostdin", "-hide_banner", "-nostats", "-loglevel", "level+info", "-xerror",
		"-progress", "pipe:2", "-i", url, "-t", seconds, "-af", "volumedetect", "-f", "null", "-")
	cmd.Stderr = &output
	if err := cmd.Run(); err != nil {
		t.Errorf("ffmpeg: %v\n%s", err, &output)
	}
	out := output.String()
	for line := range strings.Lines(out) {
		if strings.Contains(line, "[error]") || strings.Contains(line, "[fatal]") {
			t.Errorf("ffmpeg: %s", line)
		}
	}
	volume := volumeLine.FindStringSubmatch(out)
	if volume == nil {
		t.Fatalf("ffmpeg measured no sound:\n%s", out)
	}
	loudest, err := strconv.ParseFloat(volume[1], 64)
	if err != nil || loudest < -30 {
		t.Errorf("the loudest sound has %s dB: the beeps are not in it", volume[1])
	}
	frames := 0
	for _, match := range framesLine.FindAllStringSubmatch(out, -1) {
		frames, _ = strconv.Atoi(match[1])
	}
	t.Logf("ffmpeg decoded %d pictures in %v, loudest sound %.1f dB", frames, length, loudest)
	// 30 a second, also where a machine that is too slow for them repeats pictures
	if want := int(length.Seconds() * 29); frames < want {
		t.Errorf("%d pictures in %v, want at least %d", frames, length, want)
	}
}

// workerOf finds the server's one media worker by the process table.
func workerOf(t *testing.T, server int) int {
	t.Helper()
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Fatal(err)
	}
	var workers []int
	for _, path := range stats {
		data, err := os.ReadFile(path)
		if err != nil {
			continue // has ended meanwhile
		}
		// pid (name) state parent ...; the name may contain anything
		fields := strings.Fields(string(data[bytes.LastIndexByte(data, ')')+1:]))
		if len(fields) < 2 || fields[1] != strconv.Itoa(server) || fields[0] == "Z" || !bytes.Contains(data, []byte("(amphi-composit")) {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		if err != nil {
			t.Fatal(err)
		}
		workers = append(workers, pid)
	}
	if len(workers) != 1 {
		t.Fatalf("the server has workers %v, want one", workers)
	}
	return workers[0]
}
