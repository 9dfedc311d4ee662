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

// work notes each stretch of the Go program: how long it took with all that it called, and how long itself, without what it
// told the page.
const work = `{
	globalThis.work = { go: [], frames: 0 };
	let inside = ''; // whose code runs: 'go', 'page' when the Go program called it, or neither
	let since = 0;
	let own = 0;
	const charge = () => {
		const now = performance.now();
		if (inside === 'go') own += now - since;
		since = now;
	};
	const timed = (name, call) => (...args) => {
		const outer = inside;
		charge();
		inside = name;
		const at = since;
		if (!outer) own = 0;
		try {
			return call(...args);
		} finally {
			charge();
			inside = outer;
			if (!outer) work.go.push({ at, whole: since - at, own });
		}
	};
	const watched = ({ module, instance }) => {
		const exports = { ...instance.exports, run: timed('go', instance.exports.run), resume: timed('go', instance.exports.resume) };
		return { module, instance: new Proxy(instance, { get: (target, name) => (name === 'exports' ? exports : Reflect.get(target, name, target)) }) };
	};
	for (const name of ['instantiate', 'instantiateStreaming']) {
		const native = WebAssembly[name];
		WebAssembly[name] = async (...args) => {
			const made = await native.apply(WebAssembly, args);
			return made instanceof WebAssembly.Instance ? watched({ instance: made }).instance : watched(made);
		};
	}
	let program;
	Object.defineProperty(globalThis, '__amphi', {
		get: () => program,
		set({ ready }) { program = { ready: ({ client, player }) => ready({ player, client: (emit) => client(timed('page', emit)) }) }; },
	});
	const frame = () => { work.frames++; requestAnimationFrame(frame); };
	frame();
}`

// worked is what work noted, in milliseconds.
type worked struct {
	Go     []struct{ At, Whole, Own float64 }
	Frames float64
}

// phase does something and prints what the page did meanwhile: its longest task, as time that passed and as time that its
// thread had a processor; and the longest stretch of the Go program, of which the client itself had a processor at most that
// long. On a machine that decodes twenty-five pictures without a graphics card, much time passes that is nobody's work.
func (v *visitor) phase(name string, do func()) worked {
	v.t.Helper()
	stop, err := v.Tasks()
	v.must(err)
	do()
	tasks, err := stop()
	v.must(err)
	var w worked
	v.must(v.Eval(`(() => { const noted = { ...work }; Object.assign(work, { go: [], frames: 0 }); return noted; })()`, &w))
	if len(w.Go) == 0 {
		v.t.Fatal("the Go program was not seen at work")
	}
	const ms = float64(time.Millisecond)
	const long = 50 // milliseconds, as browsers have it
	var longTasks int
	var longest, longestCPU, longestGo, longestClient float64
	next := 0 // both are in the order of time
	for _, task := range tasks {
		all, cpu := float64(task.All)/ms, float64(task.CPU)/ms
		longest, longestCPU = max(longest, all), max(longestCPU, cpu)
		own := 0.0
		for ; next < len(w.Go) && w.Go[next].At < task.At+all; next++ {
			if s := w.Go[next]; s.At >= task.At {
				longestGo = max(longestGo, s.Whole)
				own += s.Own
			}
		}
		longestClient = max(longestClient, min(own, cpu))
		if all > long {
			longTasks++
			v.t.Logf("%s: at %.0f ms a task of %.0f ms: %.0f ms of the processor, %.0f ms in the client", name, task.At, all, cpu, own)
		}
	}
	figure("pages.tiles."+name+".long_tasks", float64(longTasks), "count")
	figure("pages.tiles."+name+".longest_task", longest, "ms")
	figure("pages.tiles."+name+".longest_task_cpu", longestCPU, "ms")
	figure("pages.tiles."+name+".longest_go", longestGo, "ms")
	figure("pages.tiles."+name+".longest_client_cpu", longestClient, "ms")
	return w
}

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
	v := l.visitor("watcher", testbrowser.PageConfig{Scripts: []string{work}})
	// The client is compiled, and begins.
	v.phase("start", func() { l.joins(v, room, floor, "Watcher", "floor") })
	var crowd []peer
	v.phase("joins", func() {
		crowd = enter(t, l.server, room, stage, tiles, clip)
		v.must(v.Wait(fmt.Sprintf(`E2E.all('[data-testid="tile"] video').filter((video) => video.videoWidth > 0).length >= %d`, tiles), 4*patience))
		time.Sleep(3 * time.Second)
	})
	began := time.Now()
	w := v.phase("talk", func() {
		for i := 0; time.Since(began) < 20*time.Second; i++ {
			p := crowd[i%len(crowd)]
			switch i % 3 {
			case 0:
				p.writes(t, fmt.Sprintf("message %d", i))
			case 1:
				p.hand(t, i%2 == 0)
			}
			time.Sleep(200 * time.Millisecond)
		}
	})
	seconds := time.Since(began).Seconds() // longer on a busy machine
	inGo := 0.0
	for _, s := range w.Go {
		inGo += s.Whole
	}
	figure("pages.tiles.go_share", inGo/seconds/10, "%")
	figure("pages.tiles.page_fps", w.Frames/seconds, "1/s")
	var pictures []float64 // a second, of each tile
	v.must(v.Eval(`(async () => {
		const count = () => E2E.all('[data-testid="tile"] video').map((video) => video.getVideoPlaybackQuality().totalVideoFrames);
		const before = count();
		await new Promise((done) => setTimeout(done, 5000));
		return count().map((n, i) => (n - before[i]) / 5);
	})()`, &pictures))
	slices.Sort(pictures)
	t.Logf("pictures a second %.0f", pictures)
	figure("pages.tiles.picture_fps", pictures[len(pictures)/2], "1/s")

	// Who comes now is told of everybody at once.
	v.phase("arrival", func() {
		l.joins(v, room, floor, "Watcher", "floor")
		v.pictures(tiles)
	})
}
