package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"amphi/e2e/testbrowser"
	"amphi/e2e/testserver"
	"amphi/server/recording/recordingtest"
)

// patience is how long is waited for what takes a second or two on a machine that has nothing else to do.
const patience = time.Minute

// recorded is what a webhook says of a recording.
type recorded struct {
	BeamID     string `json:"beam_id"`
	ZIP        string `json:"hls_vod_recording_presigned_url"`
	Chat       string `json:"chat_recording_presigned_url"`
	Poster     string `json:"recording_poster_presigned_url"`
	Thumbnails []struct{ URL string }
	Files      []struct {
		URL string `json:"recording_presigned_url"`
	} `json:"recording_single_files"`
}

// hook receives webhooks.
type hook struct {
	*httptest.Server
	started  chan string // addresses of live streams
	recorded chan recorded
}

func newHook(t *testing.T) *hook {
	h := &hook{started: make(chan string, 10), recorded: make(chan recorded, 10)}
	h.Server = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var e struct {
			Type string
			Data struct {
				recorded
				URL string
			}
		}
		if json.NewDecoder(r.Body).Decode(&e) != nil {
			return
		}
		switch e.Type {
		case "hls.started.success":
			h.started <- e.Data.URL
		case "hls.recording.success":
			h.recorded <- e.Data.recorded
		}
	}))
	t.Cleanup(h.Close)
	return h
}

// TestRecording records two live streams, as their templates say. The server of the first is killed, and the next one goes
// on with it. The second is the story of a customised stream: it goes live by a click, is watched, gets
// another layout and another shape on the air, and is ended by a click; a webhook had its address. The webhooks of the
// recordings bring a ZIP, which plays from a server of files, and an MP4, which plays in the browser.
func TestRecording(t *testing.T) {
	if testing.Short() {
		t.Skip("tests the whole system, left out by -short")
	}
	told := newHook(t)
	cfg := testserver.Config{DataDir: t.TempDir(), Args: []string{"--addr", freeAddress(t), "--webhook-url", told.URL, "--webhook-allow-networks", "127.0.0.0/8"}}
	browser, err := testbrowser.Start(context.Background(), testbrowser.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer browser.Close()
	l := &lab{t: t, browser: browser}
	start := func() {
		t.Helper()
		if l.server, err = testserver.Start(context.Background(), cfg); err != nil {
			t.Fatal(err)
		}
	}
	start()
	hear := func() recorded {
		t.Helper()
		select {
		case r := <-told.recorded:
			return r
		case <-time.After(patience):
			t.Fatalf("no webhook of the recording\n%s", l.server.Log())
			return recorded{}
		}
	}

	seen := l.killedStory(start)
	defer func() { testserver.End(t, l.server) }()
	first := hear()
	kept := recordingtest.Fetch(t, first.Files[0].URL)
	if d := lengthOf(t, kept); d < seen-100*time.Millisecond {
		t.Errorf("%v are recorded of %v", d, seen)
	}
	// A few may stand for longer: those that stood still while a worker was awaited.
	if n := decoded(t, kept); n < int(seen.Seconds()*25) {
		t.Errorf("%d pictures in %v", n, seen)
	}
	room := l.room()
	l.customise(room, "live", nil)

	for len(told.started) > 0 { // of the first
		<-told.started
	}
	began := time.Now()
	l.customisedStory(room, told.started)
	lasted := time.Since(began)
	second := hear()
	if second.BeamID == first.BeamID || second.Poster == "" {
		t.Errorf("%+v", second)
	}
	vod := recordingtest.Unzip(t, recordingtest.Fetch(t, second.ZIP))
	if n := decoded(t, vod); n < 180 {
		t.Errorf("%d pictures of the VOD", n)
	}
	if chat, err := os.ReadFile(recordingtest.Fetch(t, second.Chat)); err != nil || !strings.Contains(string(chat), ",chat,hello from Hal\n") {
		t.Errorf("%s %v", chat, err)
	}
	l.playsRecorded(lasted, map[string]string{
		"mp4": "video.src = " + strconv.Quote(second.Files[0].URL),
		"vod": "play(" + strconv.Quote(vod) + ")",
	})
}

// killedStory is one stream that viewers may go back in, whose server is killed and started again: who watches sees it go
// on, by itself, and finds what there was before. It returns how much of it there was at least.
func (l *lab) killedStory(start func()) (length time.Duration) {
	t := l.t
	t.Helper()
	const camera, before, after = 43, 5 * time.Second, 9 * time.Second
	room := l.room()
	l.customise(room, "event", nil)
	ann := l.join(room, broadcaster, "Ann", camera)
	hal := l.join(room, hlsViewer, "Hal", 0)
	ann.view("stage")
	url := goLive(t, l.server, room)
	hal.playsHLS(patience)
	hal.finds(hlsVideo, time.Second, camera)
	if err := hal.Eval(fmt.Sprintf("void (globalThis.reader = LatencyProbe.read(E2E.all(%s)[0]))", quote(hlsVideo)), nil); err != nil {
		t.Fatal(err)
	}
	time.Sleep(before)
	list, _ := listed(t, url)
	killed := time.Now()
	if err := l.server.Kill(); err != nil {
		t.Fatal(err)
	}
	start()
	t.Logf("the server was away for %v", time.Since(killed).Round(time.Millisecond))
	time.Sleep(after)
	var seen struct {
		MaxGap float64 // milliseconds
		Fresh  float64 // of the last two seconds: delay of the newest picture
		Count  int
	}
	err := hal.Eval(`(() => {
		const recent = reader.samples.filter(({ at }) => at > Date.now() - 2000);
		return { maxGap: reader.summary().maxGap, fresh: recent.at(-1)?.delay ?? 0, count: recent.length };
	})()`, &seen)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("longest pause %.0f ms; afterwards %d pictures in 2 s, delayed by %.0f ms", seen.MaxGap, seen.Count, seen.Fresh)
	if seen.MaxGap > 6000 || seen.Count == 0 {
		t.Errorf("the picture stood still for %.0f ms, and afterwards there were %d pictures in two seconds", seen.MaxGap, seen.Count)
	}
	now, length := listed(t, url)
	if len(list) < int(before/time.Second) || len(now) < len(list)+5 || !slices.Equal(list, now[:len(list)]) {
		t.Errorf("%d segments, and afterwards %d", len(list), len(now))
	}
	for _, segment := range now[:len(list)] {
		res, err := http.Get(segment)
		if err != nil || res.StatusCode != http.StatusOK {
			t.Fatalf("%s: %v %v", segment, res, err)
		}
		res.Body.Close()
	}
	if err := l.server.API(t.Context(), http.MethodPost, "/v2/live-streams/room/"+room.ID+"/stop", map[string]any{}, nil); err != nil {
		t.Fatal(err)
	}
	ann.Close()
	hal.Close()
	return length
}

// listed are the addresses of a stream's segments that are there, and how long they last together.
func listed(t *testing.T, master string) (all []string, length time.Duration) {
	t.Helper()
	url := strings.Replace(master, "master.m3u8", "720p/stream.m3u8", 1)
	res, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("%s: %d %v", url, res.StatusCode, err)
	}
	var seconds float64 // of the segment that is named next
	for line := range strings.Lines(string(text)) {
		name := strings.TrimSpace(line)
		if said, ok := strings.CutPrefix(name, "#EXTINF:"); ok {
			if seconds, err = strconv.ParseFloat(strings.TrimSuffix(said, ","), 64); err != nil {
				t.Fatal(err)
			}
		} else if strings.HasSuffix(name, ".m4s") && !strings.HasPrefix(name, "#") {
			all = append(all, strings.Replace(url, "stream.m3u8", name, 1))
			length += time.Duration(seconds * float64(time.Second))
		}
	}
	return all, length
}

// lengthOf is how long a file plays.
func lengthOf(t *testing.T, name string) time.Duration {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "ffprobe", "-v", "error", "-show_entries", "format=duration", "-of", "default=nk=1:nw=1", name).CombinedOutput()
	seconds, bad := strconv.ParseFloat(strings.TrimSpace(string(out)), 64)
	if err != nil || bad != nil {
		t.Errorf("%s: %v %s", name, err, out)
	}
	return time.Duration(seconds * float64(time.Second))
}

// freeAddress is one that a server can take again after it was killed.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// customise says how the streams of a room look, whether viewers may go back in them, and that they are recorded, in the
// room's template.
func (l *lab) customise(room *testserver.Room, playlist string, layout map[string]any) {
	l.t.Helper()
	var r struct {
		TemplateID string `json:"template_id"`
	}
	if err := l.server.API(l.t.Context(), http.MethodGet, "/v2/rooms/"+room.ID, nil, &r); err != nil {
		l.t.Fatal(err)
	}
	destination := map[string]any{
		"name": "main", "playlistType": playlist, "layers": []any{map[string]any{"width": 1280, "height": 720, "videoBitrate": 1500, "audioBitrate": 64}},
		"recording": map[string]any{"hlsVod": true, "singleFilePerLayer": true}, "layout": layout,
	}
	in := map[string]any{"hlsDestinations": map[string]any{"main": destination}}
	if err := l.server.API(l.t.Context(), http.MethodPost, "/v2/templates/"+r.TemplateID+"/destinations", in, nil); err != nil {
		l.t.Fatal(err)
	}
}

// customisedStory is one stream of two people, from the click that starts it to the one that ends it.
func (l *lab) customisedStory(room *testserver.Room, started <-chan string) {
	t := l.t
	t.Helper()
	const annCamera, bobCamera = 41, 42
	ann := l.join(room, broadcaster, "Ann", annCamera)
	bob := l.join(room, broadcaster, "Bob", bobCamera)
	hal := l.join(room, hlsViewer, "Hal", 0)
	ann.view("stage")
	bob.view("stage")
	hal.view("gallery")
	ann.click("go-live")
	select {
	case url := <-started:
		if res, err := http.Get(url); err != nil || res.StatusCode != http.StatusOK {
			t.Errorf("%s of the webhook: %v %v", url, res, err)
		} else {
			res.Body.Close()
		}
	case <-time.After(patience):
		t.Fatal("no webhook of the start")
	}
	hal.playsHLS(patience)
	hal.finds(hlsVideo, time.Second, annCamera, bobCamera)
	hal.says("hello from Hal")
	hal.seesShares("as in a grid", func(ratio float64) bool { return ratio > 0.9 && ratio < 1.1 }, annCamera, bobCamera)
	l.customise(room, "live", map[string]any{"mode": "active-speaker"})
	hal.seesShares("as after who speaks", func(ratio float64) bool { return ratio > 1.5 || ratio < 1/1.5 }, annCamera, bobCamera)
	l.customise(room, "live", map[string]any{"mode": "grid", "aspectRatio": "9:16"})
	if err := hal.Wait(fmt.Sprintf("E2E.all(%s).some((video) => video.videoWidth === 720 && video.videoHeight === 1280)", quote(hlsVideo)), patience); err != nil {
		hal.fatal(err, "sees the stream upright")
	}
	hal.finds(hlsVideo, time.Second, annCamera, bobCamera)
	ann.click("end-stream")
	ann.click("confirm-ok")
	hal.sees(`[data-testid="stream-state"][data-state="ended"]`, patience)
}

// seesShares waits until the widths of two cameras' panels are to each other as they should: when somebody comes, or the
// layout changes, tiles move there.
func (p *person) seesShares(what string, ok func(ratio float64) bool, one, other int) {
	p.t.Helper()
	for end := time.Now().Add(patience); ; {
		p.finds(hlsVideo, time.Second, one, other)
		var shares map[int]float64 // of the picture's width, in the last picture with the camera
		if err := p.Eval("Object.fromEntries(E2E.reader.samples.map(({ id, share }) => [id, share]))", &shares); err != nil {
			p.fatal(err, "measures the cameras")
		}
		if ok(shares[one] / shares[other]) {
			return
		}
		if time.Now().After(end) {
			p.t.Fatalf("%s sees cameras with %v of the width, not %s", p.name, shares, what)
		}
	}
}

// playsRecorded plays recordings, by scripts that load them, from their beginnings, and over what changed to their ends.
// They are of something that lasted so long.
func (l *lab) playsRecorded(lasted time.Duration, scripts map[string]string) {
	t := l.t
	t.Helper()
	player := servePlayer(t)
	for name, script := range scripts { // one after the other: a page that is not in front does not play
		page := l.open(name, testbrowser.PageConfig{})
		if err := page.Goto(player); err != nil {
			t.Fatal(err)
		}
		if err := page.Eval(script+"; true", nil); err != nil {
			t.Fatal(err)
		}
		beginning := fmt.Sprintf("video.videoWidth === 1280 && video.duration > 6 && video.duration < %g && video.currentTime > 1", lasted.Seconds())
		if err := page.Wait(beginning, patience); err != nil {
			t.Errorf("%s does not play: %v", name, err)
		}
		if err := page.Eval("video.currentTime = video.duration - 1.5; true", nil); err != nil {
			t.Fatal(err)
		}
		if err := page.Wait("video.ended && video.videoWidth === 720 && video.videoHeight === 1280", patience); err != nil {
			t.Errorf("%s does not play to its end: %v", name, err)
		}
		var problems string
		if err := page.Eval("errors.join() + (video.error ? video.error.message : '')", &problems); err != nil || problems != "" {
			t.Errorf("%s: %s %v", name, problems, err)
		}
	}
}

// decoded counts the pictures that come out of a file or an address, without an error.
func decoded(t *testing.T, source string) int {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "ffprobe", "-v", "error", "-count_frames", "-select_streams", "v:0",
		"-show_entries", "stream=nb_read_frames", "-of", "default=nk=1:nw=1", source).CombinedOutput()
	n, bad := strconv.Atoi(strings.TrimSpace(strings.SplitN(string(out), "\n", 2)[0]))
	if err != nil || bad != nil {
		t.Errorf("%s: %v %s", source, err, out)
	}
	return n
}
