package pages

import (
	"context"
	"flag"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"amphi/e2e/testbrowser"
	"amphi/e2e/testserver"
)

var figures = flag.Bool("figures", false, "measure, and print a line \"name value unit\" for each figure")

// figure prints one.
func figure(name string, value float64, unit string) {
	fmt.Printf("%s %.1f %s\n", name, value, unit)
}

// tiles is how many pictures a stage shows at most.
const tiles = 25

// usable notes when the form of the preview could be filled in, and when the Go program was ready.
const usable = `{
	let program;
	Object.defineProperty(globalThis, '__amphi', {
		get: () => program,
		set({ ready, ...rest }) { program = { ...rest, ready(go) { globalThis.clientReady = performance.now(); ready(go); } }; },
	});
	const look = () => {
		const button = document.querySelector('[data-testid="join-button"]');
		if (button && document.activeElement?.id === 'name') requestAnimationFrame(() => { globalThis.formReady = performance.now(); });
		else requestAnimationFrame(look);
	};
	look();
}`

// longTasks notes what kept the page from answering for more than 50 ms, and how long the Go program kept the processor each
// time that it was called (with what it called in the page).
const longTasks = `{
	globalThis.goTasks = [];
	const timed = (call) => (...args) => {
		const begin = performance.now();
		try {
			return call(...args);
		} finally {
			goTasks.push(performance.now() - begin);
		}
	};
	const watched = ({ module, instance }) => {
		const exports = { ...instance.exports, run: timed(instance.exports.run), resume: timed(instance.exports.resume) };
		return { module, instance: new Proxy(instance, { get: (target, name) => (name === 'exports' ? exports : Reflect.get(target, name, target)) }) };
	};
	for (const name of ['instantiate', 'instantiateStreaming']) {
		const native = WebAssembly[name];
		WebAssembly[name] = async (...args) => {
			const made = await native.apply(WebAssembly, args);
			return made instanceof WebAssembly.Instance ? watched({ instance: made }).instance : watched(made);
		};
	}
	globalThis.longTasks = [];
	new PerformanceObserver((list) => longTasks.push(...list.getEntries().map(({ duration }) => duration))).observe({ type: 'longtask' });
	globalThis.frames = 0;
	const frame = () => { frames++; requestAnimationFrame(frame); };
	frame();
}`

// TestFigures measures what the pages cost. Run it on a quiet machine.
func TestFigures(t *testing.T) {
	if !*figures {
		t.Skip("measures only with -figures")
	}
	t.Run("preview", previewFigures)
	t.Run("tiles", tileFigures)
}

// previewFigures opens the meeting page in new browsers with a processor four times slower.
func previewFigures(t *testing.T) {
	server := testserver.Run(t)
	room, err := server.NewRoom(t.Context(), "preview-figures", "")
	if err != nil {
		t.Fatal(err)
	}
	const slower = 4
	for _, role := range []string{stage, gallery} {
		var form, client []float64 // milliseconds from the start of the navigation
		for range 5 {
			f, c, err := coldStart(t.Context(), server.URL+"/meeting/"+room.Codes[role], slower)
			if err != nil {
				t.Fatal(err)
			}
			form, client = append(form, f), append(client, c)
		}
		slices.Sort(form)
		slices.Sort(client)
		t.Logf("%s: form %.0f, client %.0f", role, form, client)
		figure("pages.preview."+role+".form", form[len(form)/2], "ms")
		figure("pages.preview."+role+".client", client[len(client)/2], "ms")
	}
}

func coldStart(ctx context.Context, url string, slower float64) (form, client float64, err error) {
	browser, err := testbrowser.Start(ctx, testbrowser.Config{})
	if err != nil {
		return 0, 0, err
	}
	defer browser.Close()
	page, err := browser.Open(testbrowser.PageConfig{Scripts: []string{usable}})
	if err != nil {
		return 0, 0, err
	}
	time.Sleep(2 * time.Second) // the browser's own start
	if err := page.Throttle(slower); err != nil {
		return 0, 0, err
	}
	if err := page.Goto(url); err != nil {
		return 0, 0, err
	}
	if err := page.Wait("globalThis.formReady && globalThis.clientReady", patience); err != nil {
		return 0, 0, fmt.Errorf("%w\n%s", err, page.Console())
	}
	var at struct{ Form, Client float64 }
	err = page.Eval("({ form: formReady, client: clientReady })", &at)
	return at.Form, at.Client, err
}

// tileFigures shows a full stage at 30 pictures a second, while people talk, chat, and raise hands.
func tileFigures(t *testing.T) {
	l := newLab(t)
	room := l.room("tile-figures", "")
	// Small pictures: what is measured is the page and its client, not a decoder without a graphics card.
	clip := filepath.Join(t.TempDir(), "tile.ivf")
	out, err := exec.CommandContext(t.Context(), "ffmpeg", "-loglevel", "error", "-f", "lavfi", "-i", "testsrc2=size=160x90:rate=30:duration=4",
		"-c:v", "libvpx", "-deadline", "realtime", "-b:v", "60k", "-g", "60", clip).CombinedOutput()
	if err != nil {
		t.Fatalf("ffmpeg: %v\n%s", err, out)
	}
	v := l.visitor("watcher", testbrowser.PageConfig{Scripts: []string{longTasks}})
	l.joins(v, room, floor, "Watcher", "floor")
	crowd := enter(t, l.server, room, stage, tiles, clip)
	v.pictures(tiles)
	time.Sleep(3 * time.Second)

	const length = 20 * time.Second
	v.must(v.Eval(`void (longTasks.length = 0, goTasks.length = 0, frames = 0)`, nil))
	begun := time.Now()
	for i := 0; time.Since(begun) < length; i++ {
		p := crowd[i%len(crowd)]
		switch i % 3 {
		case 0:
			p.writes(t, fmt.Sprintf("message %d", i))
		case 1:
			p.hand(t, i%2 == 0)
		}
		time.Sleep(200 * time.Millisecond)
	}
	var seen struct {
		LongTasks []float64
		Go        []float64
		Frames    float64
		Pictures  []float64 // a second, of each tile
	}
	seconds := time.Since(begun).Seconds()
	v.must(v.Eval(`(async () => {
		const count = () => E2E.all('[data-testid="tile"] video').map((video) => video.getVideoPlaybackQuality().totalVideoFrames);
		const before = count();
		const found = { longTasks: [...longTasks], go: [...goTasks], frames };
		await new Promise((done) => setTimeout(done, 5000));
		const after = count();
		return { ...found, pictures: after.map((n, i) => (n - before[i]) / 5) };
	})()`, &seen))
	slices.Sort(seen.LongTasks)
	slices.Sort(seen.Pictures)
	slices.Sort(seen.Go)
	inGo := 0.0
	for _, ms := range seen.Go {
		inGo += ms
	}
	if len(seen.Go) == 0 {
		t.Fatal("the Go program was not seen at work")
	}
	t.Logf("long tasks %.0f; longest of Go %.0f; pictures a second %.0f", seen.LongTasks, seen.Go[max(0, len(seen.Go)-10):], seen.Pictures)
	longest := 0.0
	if n := len(seen.LongTasks); n > 0 {
		longest = seen.LongTasks[n-1]
	}
	figure("pages.tiles.long_tasks", float64(len(seen.LongTasks)), "count")
	figure("pages.tiles.longest_task", longest, "ms")
	figure("pages.tiles.longest_go", seen.Go[len(seen.Go)-1], "ms")
	figure("pages.tiles.go_share", inGo/seconds/10, "%")
	figure("pages.tiles.page_fps", seen.Frames/seconds, "1/s")
	figure("pages.tiles.picture_fps", seen.Pictures[len(seen.Pictures)/2], "1/s")
}
