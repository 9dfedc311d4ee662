package e2e

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"amphi/e2e/probe"
	"amphi/e2e/testbrowser"
	"amphi/e2e/testserver"
)

// figures makes TestFigures measure: go test ./e2e -run TestFigures -v -args -figures.
var figures = flag.Bool("figures", false, "measure speed and size, and print a line \"name value unit\" for each figure")

const (
	warmUp  = 3 * time.Second // the bandwidth estimate's way up
	measure = 15 * time.Second
)

var gallery = flag.Duration("gallery", measure, "how long the gallery's delay is measured with -figures")

// TestFigures prints what people feel: the delay from one person's camera to another one's screen on each level, with
// three people in the room, and what the client costs to load. Run it on a quiet machine.
func TestFigures(t *testing.T) {
	if !*figures {
		t.Skip("measures only with -figures")
	}
	t.Run("client", clientFigures)
	t.Run("delay", delayFigures)
}

// figure prints one.
func figure(name string, value float64, unit string) {
	fmt.Printf("%s %.1f %s\n", name, value, unit)
}

func delayFigures(t *testing.T) {
	l := newLab(t)
	// Without a graphics card the browsers paint with the processor that they and the server need: small windows.
	l.page = testbrowser.PageConfig{Width: 720, Height: 540}
	room := l.room()
	const annCamera, bobCamera = 41, 42
	ann := l.join(room, broadcaster, "Ann", annCamera)
	bob := l.join(room, broadcaster, "Bob", bobCamera)
	ann.view("stage")
	bob.view("stage")
	third := l.join(room, viewer, "Third", 0)
	third.view("floor")

	// One reader at a time: reading costs its page, and all pages share this machine.
	level1 := ann.delay(tile("Bob")+" video", warmUp, measure, bobCamera)
	figure("e2e.l1.p50", level1.P50, "ms")
	figure("e2e.l1.p95", level1.P95, "ms")
	figure("e2e.l1.freezes", float64(level1.Freezes), "count")
	third.Close()
	vic := l.join(room, viewer, "Vic", 0)
	vic.view("floor")
	level2 := vic.delay(tile("Bob")+" video", warmUp, measure, bobCamera)
	figure("e2e.l2.p50", level2.P50, "ms")
	figure("e2e.l2.p95", level2.P95, "ms")
	figure("e2e.l2.freezes", float64(level2.Freezes), "count")
	// The browser moves the picture later, little by little, until the lips fit the sound, whose buffer is larger.
	figure("e2e.l2.settled.p50", vic.delay(tile("Bob")+" video", 0, measure, bobCamera).P50, "ms")

	vic.Close()
	hal := l.join(room, hlsViewer, "Hal", 0)
	hal.view("gallery")
	clicked := time.Now()
	ann.click("go-live")
	hal.playsHLS(20 * time.Second)
	figure("e2e.l3.start", float64(time.Since(clicked).Milliseconds()), "ms")
	if err := hal.Eval(stallsScript, nil); err != nil {
		hal.fatal(err, "watches the stream")
	}
	level3 := hal.delay(hlsVideo, warmUp, *gallery, bobCamera)
	var stalls []string
	if err := hal.Eval("E2E.stalls", &stalls); err != nil {
		hal.fatal(err, "tells when the stream stood")
	}
	for _, stall := range stalls {
		t.Log(stall)
	}
	figure("e2e.l3.p50", level3.P50, "ms")
	figure("e2e.l3.p95", level3.P95, "ms")
	figure("e2e.l3.p99", level3.P99, "ms")
	figure("e2e.l3.freezes", float64(level3.Freezes), "count")
}

// stallsScript notes when the player waits, jumps and goes on, what it has then, and what it loaded in the three seconds
// before: names, and when they were asked for and there, in milliseconds from that moment.
const stallsScript = `{
	const video = E2E.one('video[data-testid="hls-video"], [data-testid="hls-video"] video');
	const began = performance.now();
	performance.setResourceTimingBufferSize(100_000);
	E2E.stalls = [];
	const note = ({ type }) => {
		const now = performance.now();
		const buffered = Array.from({ length: video.buffered.length }, (_, i) => [video.buffered.start(i).toFixed(2), video.buffered.end(i).toFixed(2)].join('-'));
		const loaded = performance.getEntriesByType('resource').filter((entry) => entry.responseEnd > now - 3000)
			.map(({ name, startTime, responseEnd }) => [name.split('/').pop(), Math.round(startTime - now), Math.round(responseEnd - now)].join(' '));
		E2E.stalls.push([((now - began) / 1000).toFixed(1), 's:', type, 'at', video.currentTime.toFixed(2), 'of', ...buffered, ...loaded.map((line) => '\n\t' + line)].join(' '));
	};
	for (const type of ['waiting', 'seeking', 'playing']) video.addEventListener(type, note);
}`

// delay measures one camera in a video for a while.
func (p *person) delay(selector string, warmUp, measure time.Duration, camera int) probe.Summary {
	p.t.Helper()
	summaries, err := p.Measure(selector, warmUp, measure)
	if err != nil {
		p.fatal(err, "measures %s", selector)
	}
	summary := summaries[camera]
	if summary.Count == 0 {
		p.t.Fatalf("%s: camera %d was not in the picture: %+v", p.name, camera, summaries)
	}
	p.t.Logf("%s: %+v", selector, summary)
	return summary
}

// readyScript notes when the Go program has told the page that it is ready.
const readyScript = `{
	let value;
	Object.defineProperty(globalThis, '__amphi', {
		get: () => value,
		set({ ready, ...rest }) {
			value = { ...rest, ready(program) { globalThis.clientReady = performance.now(); ready(program); } };
		},
	});
}`

func clientFigures(t *testing.T) {
	server := testserver.Run(t)
	room, err := server.NewRoom(t.Context(), "client-figures", "")
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(filepath.Join("..", "static", "dist", "manifest.json"))
	if err != nil {
		t.Fatal(err)
	}
	var manifest map[string]struct{ Brotli, Whole float64 }
	if err := json.Unmarshal(data, &manifest); err != nil {
		t.Fatal(err)
	}
	figure("sdk.wasm_brotli", manifest["client.wasm"].Brotli, "bytes")
	figure("sdk.facade_brotli", manifest["amphi.js"].Whole, "bytes") // with what it imports

	for _, f := range []struct {
		name   string
		settle time.Duration
	}{
		{"sdk.ready", 2 * time.Second},
		{"sdk.ready.browser_start", 0}, // the browser's own start takes the processor from the page
	} {
		var cold []float64 // milliseconds from the start of the navigation
		for range 5 {
			ready, err := coldReady(t, server.URL+"/meeting/"+room.Codes[viewer], f.settle)
			if err != nil {
				t.Fatal(err)
			}
			cold = append(cold, ready)
		}
		slices.Sort(cold)
		t.Logf("cold starts: %.0f ms", cold)
		figure(f.name, cold[len(cold)/2], "ms")
	}
}

// coldReady loads a page in a browser that has nothing in its caches and settle to come to rest, and returns when the
// client in it was ready.
func coldReady(t *testing.T, url string, settle time.Duration) (milliseconds float64, err error) {
	browser, err := testbrowser.Start(t.Context(), testbrowser.Config{})
	if err != nil {
		return 0, err
	}
	defer browser.Close()
	page, err := browser.Open(testbrowser.PageConfig{Scripts: []string{readyScript}})
	if err != nil {
		return 0, err
	}
	time.Sleep(settle)
	if err := page.Goto(url); err != nil {
		return 0, err
	}
	if err := page.Wait("globalThis.clientReady", 20*time.Second); err != nil {
		return 0, fmt.Errorf("%w\n%s", err, page.Console())
	}
	err = page.Eval("globalThis.clientReady", &milliseconds)
	return milliseconds, err
}
