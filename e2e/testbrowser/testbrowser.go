// Package testbrowser drives a real Chromium for the end-to-end tests: pages that are different people, clicks
// where a person could click, and a camera that films a clock.
//
// Each [Page] lives in a browser context of its own, with its own storage and its own window, as if it ran on
// another person's machine. Elements are found across shadow roots, and a click goes through the browser's
// input pipeline to the middle of the element, so that it fails when something else lies over it.
package testbrowser

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"

	"amphi/e2e/probe"
)

//go:embed page.js
var pageScript string

// Config says which browser to start.
type Config struct {
	// Path of the executable; empty means the first of chromium, google-chrome and chrome that the system has.
	Path string
	// Width and Height of a page in CSS pixels unless [PageConfig] says otherwise; 0 means 1280 x 800.
	Width, Height int
	// Scale is how many pixels of the screen are one of CSS, 0 means 1. A browser without a graphics card spends a sixth of
	// its time on painting a screen that nobody looks at.
	Scale float64
	// Prefix is a command that the browser is run by, one that enters a network namespace for example.
	Prefix []string
	// SecureOrigin is one whose pages may use camera and microphone without https.
	SecureOrigin string
}

// Browser is one running Chromium, shared by many pages.
type Browser struct {
	cfg    Config
	ctx    context.Context
	cancel context.CancelFunc
	output *tail
}

// ErrNoBrowser says that the machine has no Chromium.
var ErrNoBrowser = errors.New("no chromium found: go tool task deps installs it")

// Start runs a headless Chromium until Close, or until ctx is done.
func Start(ctx context.Context, cfg Config) (*Browser, error) {
	if cfg.Path == "" {
		for _, name := range []string{"chromium", "google-chrome", "chrome"} {
			if path, err := exec.LookPath(name); err == nil {
				cfg.Path = path
				break
			}
		}
	}
	if cfg.Path == "" {
		return nil, ErrNoBrowser
	}
	if cfg.Width == 0 || cfg.Height == 0 {
		cfg.Width, cfg.Height = 1280, 800
	}
	output := &tail{max: 64 << 10}
	options := append(slices.Clone(chromedp.DefaultExecAllocatorOptions[:]),
		chromedp.ExecPath(cfg.Path),
		chromedp.CombinedOutput(output),
		chromedp.WindowSize(cfg.Width, cfg.Height),
		// Chromium's sandbox cannot be set up by root in a container, and the pages are our own.
		chromedp.NoSandbox,
		chromedp.Flag("disable-gpu", true),
		chromedp.Flag("disable-component-update", true),
		chromedp.Flag("use-fake-device-for-media-stream", true),
		chromedp.Flag("use-fake-ui-for-media-stream", true),
		chromedp.Flag("autoplay-policy", "no-user-gesture-required"),
		// WebRTC leaves 127.0.0.1 out otherwise, and a test machine may have no other address.
		chromedp.Flag("allow-loopback-in-peer-connection", true),
	)
	if cfg.Scale != 0 {
		options = append(options, chromedp.Flag("force-device-scale-factor", strconv.FormatFloat(cfg.Scale, 'f', -1, 64)))
	}
	if cfg.SecureOrigin != "" {
		options = append(options, chromedp.Flag("unsafely-treat-insecure-origin-as-secure", cfg.SecureOrigin))
	}
	if len(cfg.Prefix) > 0 {
		options = append(options, chromedp.ModifyCmdFunc(func(cmd *exec.Cmd) {
			// What chromedp does where nothing is modified: the browser ends with this process.
			cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
			// It is driven through pipes, which the command hands on.
			cmd.Args = slices.Concat(cfg.Prefix, []string{cmd.Path}, cmd.Args[1:])
			if path, err := exec.LookPath(cfg.Prefix[0]); err == nil {
				cmd.Path = path
			}
		}))
	}
	allocated, cancelAllocator := chromedp.NewExecAllocator(ctx, options...)
	browser, cancelBrowser := chromedp.NewContext(allocated)
	b := &Browser{cfg: cfg, ctx: browser, output: output, cancel: func() {
		cancelBrowser()
		cancelAllocator()
	}}
	if err := chromedp.Do(browser); err != nil {
		b.cancel()
		return nil, fmt.Errorf("start %s: %w\n%s", cfg.Path, err, output)
	}
	return b, nil
}

// Close ends the browser and all its pages.
func (b *Browser) Close() error {
	ctx, cancel := context.WithTimeout(b.ctx, 10*time.Second)
	defer cancel()
	err := chromedp.Cancel(ctx)
	b.cancel()
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// Freeze stops all processes of the browser, as when a machine falls asleep, and returns what wakes them up.
func (b *Browser) Freeze() (thaw func(), err error) {
	main := chromedp.FromContext(b.ctx).Browser.Process()
	if main == nil {
		return nil, errors.New("the browser has no process of its own")
	}
	processes := descendants(main.Pid)
	signal := func(s syscall.Signal) {
		for _, pid := range processes {
			_ = syscall.Kill(pid, s) // one that ended meanwhile
		}
	}
	signal(syscall.SIGSTOP)
	return func() { signal(syscall.SIGCONT) }, nil
}

// descendants returns a process and all that it started, and so on.
func descendants(pid int) []int {
	all := []int{pid}
	children, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, path := range children {
		data, _ := os.ReadFile(path)
		for _, field := range strings.Fields(string(data)) {
			if child, err := strconv.Atoi(field); err == nil {
				all = append(all, descendants(child)...)
			}
		}
	}
	return all
}

// PageConfig says what a page is before it loads its first document.
type PageConfig struct {
	// Camera is the id (1 to 255) of the clock that the page's getUserMedia answers with; 0 leaves the browser's
	// own fake devices.
	Camera int
	// Width and Height in CSS pixels; 0 means those of the browser.
	Width, Height int
	// Dark asks for the dark colour scheme.
	Dark bool
	// Scripts run in every document before its own ones, after the probe.
	Scripts []string
}

// Page is one tab of one person.
type Page struct {
	ctx     context.Context
	cancel  context.CancelFunc
	console *tail
	done    chan struct{} // closed when the console reader has ended
}

// Open makes an empty page. A page that is not closed ends with the browser.
func (b *Browser) Open(cfg PageConfig) (*Page, error) {
	if cfg.Width == 0 || cfg.Height == 0 {
		cfg.Width, cfg.Height = b.cfg.Width, b.cfg.Height
	}
	ctx, cancel := chromedp.NewContext(b.ctx, chromedp.WithNewBrowserContext())
	p := &Page{ctx: ctx, cancel: cancel, console: &tail{max: 256 << 10}, done: make(chan struct{})}
	scripts := []string{probe.Source, pageScript}
	if cfg.Camera != 0 {
		scripts = append(scripts, fmt.Sprintf("LatencyProbe.installCamera({ id: %d });", cfg.Camera))
	}
	err := chromedp.Do(ctx,
		chromedp.EmulateViewport(int64(cfg.Width), int64(cfg.Height)),
		inject(strings.Join(append(scripts, cfg.Scripts...), "\n")),
		preferences(cfg.Dark, false),
	)
	if err != nil {
		cancel()
		return nil, fmt.Errorf("open a page: %w", err)
	}
	messages := chromedp.Console(ctx)
	go func() {
		defer close(p.done)
		for message, err := range messages {
			if err != nil {
				return
			}
			fmt.Fprintf(p.console, "%s %s: %s\n", message.Time.Format("15:04:05.000"), message.Type, message.Text)
		}
	}()
	return p, nil
}

// Close ends the page.
func (p *Page) Close() {
	p.cancel()
	<-p.done
}

// Console returns the end of what the page wrote to its console, exceptions included.
func (p *Page) Console() string { return p.console.String() }

// timeout bounds one question to the browser. It is far more than any takes, and ends a test that would hang.
const timeout = 30 * time.Second

// Goto loads a document and waits for its load event.
func (p *Page) Goto(url string) error {
	ctx, cancel := context.WithTimeout(p.ctx, timeout)
	defer cancel()
	if err := chromedp.Do(ctx, chromedp.Navigate(url)); err != nil {
		return fmt.Errorf("go to %s: %w", url, err)
	}
	return nil
}

// Eval evaluates a JavaScript expression, waits for it if it is a promise, and decodes its JSON into out. A nil
// out ignores the value.
func (p *Page) Eval(expression string, out any) error {
	ctx, cancel := context.WithTimeout(p.ctx, timeout)
	defer cancel()
	if out == nil {
		return chromedp.Do(ctx, chromedp.Evaluate[chromedp.Void](expression, chromedp.EvalAwaitPromise))
	}
	raw, err := chromedp.Run(ctx, chromedp.Evaluate[[]byte](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		return fmt.Errorf("evaluate %s: %w", abridged(expression), err)
	}
	if err := json.Unmarshal(raw, out); err != nil {
		return fmt.Errorf("evaluate %s: %w", abridged(expression), err)
	}
	return nil
}

// Wait asks until a JavaScript expression, or the promise that it is, is truthy. An exception counts as not yet:
// the page may be between two documents.
func (p *Page) Wait(expression string, atMost time.Duration) error {
	return wait(p.ctx, p.Eval, expression, atMost)
}

func wait(ctx context.Context, eval func(expression string, out any) error, expression string, atMost time.Duration) error {
	deadline := time.Now().Add(atMost)
	for {
		var ok bool
		err := eval("Promise.resolve("+expression+").then(Boolean)", &ok)
		if ok {
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if time.Now().After(deadline) {
			if err != nil {
				return fmt.Errorf("not within %v: %w", atMost, err)
			}
			return fmt.Errorf("not within %v: %s", atMost, abridged(expression))
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// Click waits until the element can be clicked, and clicks on its middle.
func (p *Page) Click(selector string) error {
	x, y, err := p.point(selector)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(p.ctx, timeout)
	defer cancel()
	return chromedp.Do(ctx, chromedp.MouseClickXY(x, y))
}

// Type clicks on a field, replaces what stands in it and, with a final "\n", presses Enter.
func (p *Page) Type(selector, text string) error {
	if err := p.Click(selector); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(p.ctx, timeout)
	defer cancel()
	text, enter := strings.CutSuffix(text, "\n")
	err := chromedp.Do(ctx,
		chromedp.KeyEvent("a", chromedp.KeyModifiers(chromedp.ModifierCtrl)),
		chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
			_, err := cdp.Call(ctx, t, input.InsertText, input.InsertTextParams{Text: text})
			return err
		}))
	if err == nil && enter {
		err = chromedp.Do(ctx, chromedp.KeyEvent("\r"))
	}
	if err != nil {
		return fmt.Errorf("type into %s: %w", selector, err)
	}
	return nil
}

// point waits until a person could click on the element, and says where.
func (p *Page) point(selector string) (x, y float64, err error) {
	quoted, _ := json.Marshal(selector)
	deadline := time.Now().Add(timeout)
	for {
		var at struct {
			X, Y float64
			Why  string
		}
		err := p.Eval(fmt.Sprintf("E2E.point(%s)", quoted), &at)
		if err == nil && at.Why == "" {
			return at.X, at.Y, nil
		}
		if time.Now().After(deadline) {
			if err != nil {
				return 0, 0, err
			}
			return 0, 0, fmt.Errorf("cannot click on %s: %s", selector, at.Why)
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// Measure reads the clocks in the first video that matches and has a picture: after a warm-up, for so long. It
// returns one summary for each camera id that it saw.
func (p *Page) Measure(selector string, warmUp, length time.Duration) (map[int]probe.Summary, error) {
	quoted, _ := json.Marshal(selector)
	start := fmt.Sprintf(`((video) => video && (E2E.reader = LatencyProbe.read(video)))(E2E.all(%s).find((video) => video.videoWidth > 0))`, quoted)
	if err := p.Wait(start, timeout); err != nil {
		return nil, fmt.Errorf("no picture: %w", err)
	}
	if err := sleep(p.ctx, warmUp); err != nil {
		return nil, err
	}
	if err := p.Eval("E2E.reader.reset()", nil); err != nil {
		return nil, err
	}
	if err := sleep(p.ctx, length); err != nil {
		return nil, err
	}
	var summaries map[int]probe.Summary
	err := p.Eval(`(() => {
		const { reader } = E2E;
		reader.stop();
		return Object.fromEntries(reader.summary().ids.map((id) => [id, reader.summary(id)]));
	})()`, &summaries)
	return summaries, err
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Screenshot returns what the page shows now, as PNG.
func (p *Page) Screenshot() ([]byte, error) {
	ctx, cancel := context.WithTimeout(p.ctx, timeout)
	defer cancel()
	return chromedp.Run(ctx, chromedp.CaptureScreenshot())
}

// inject makes a script run at the start of every document of the page.
func inject(source string) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, page.AddScriptToEvaluateOnNewDocument,
			page.AddScriptToEvaluateOnNewDocumentParams{Source: source})
		return err
	})
}

// abridged makes an expression fit into an error message.
func abridged(expression string) string {
	expression = strings.Join(strings.Fields(expression), " ")
	if len(expression) > 200 {
		return expression[:200] + "…"
	}
	return expression
}

// tail is a writer that keeps the last max bytes.
type tail struct {
	max int

	mu  sync.Mutex
	buf bytes.Buffer
}

func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.buf.Write(b)
	if over := t.buf.Len() - t.max; over > 0 {
		t.buf.Next(over)
	}
	return len(b), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.buf.String()
}
