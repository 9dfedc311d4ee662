package testbrowser

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sync"
	"syscall"
	"time"

	"github.com/gorilla/websocket"
)

// firefoxPrefs make Firefox answer getUserMedia with moving fake devices, without questions, and let WebRTC use 127.0.0.1.
const firefoxPrefs = `
user_pref("media.navigator.streams.fake", true);
user_pref("media.navigator.permission.disabled", true);
user_pref("media.autoplay.default", 0);
user_pref("media.peerconnection.ice.obfuscate_host_addresses", false);
user_pref("media.peerconnection.ice.loopback", true);
user_pref("media.gmp-manager.updateEnabled", false);
user_pref("browser.shell.checkDefaultBrowser", false);
user_pref("browser.startup.page", 0);
user_pref("datareporting.policy.dataSubmissionEnabled", false);
user_pref("app.update.enabled", false);
user_pref("dom.min_background_timeout_value", 4);
user_pref("dom.timeout.enable_budget_timer_throttling", false);
`

// ErrNoFirefox says that the machine has no Firefox.
var ErrNoFirefox = errors.New("no firefox found: go tool task deps installs it")

// Firefox is one running Firefox, driven by WebDriver BiDi.
type Firefox struct {
	cmd     *exec.Cmd
	profile string
	output  *tail
	socket  *websocket.Conn
	reading sync.WaitGroup

	mu      sync.Mutex
	lastID  int
	answers map[int]chan bidiAnswer // nil once the connection has ended
}

type bidiAnswer struct {
	ID      int             `json:"id"`
	Result  json.RawMessage `json:"result"`
	Error   string          `json:"error"`
	Message string          `json:"message"`
}

var bidiAddress = regexp.MustCompile(`WebDriver BiDi listening on (ws://\S+)`)

// firefoxTries is how often a Firefox is started: on a busy machine it now and then is so far ready that it says where
// it can be driven, and never answers the first command ("No such JSProcessActor" stands in its output then).
const firefoxTries = 3

// StartFirefox runs a headless Firefox until Close.
func StartFirefox() (*Firefox, error) {
	path, err := exec.LookPath("firefox-esr")
	if err != nil {
		if path, err = exec.LookPath("firefox"); err != nil {
			return nil, ErrNoFirefox
		}
	}
	for try := 1; ; try++ {
		f, err := startFirefox(path)
		if err == nil || try == firefoxTries || !errors.Is(err, context.DeadlineExceeded) {
			return f, err
		}
	}
}

func startFirefox(path string) (f *Firefox, err error) {
	profile, err := os.MkdirTemp("", "firefox-")
	if err != nil {
		return nil, err
	}
	f = &Firefox{profile: profile, output: &tail{max: 64 << 10}, answers: map[int]chan bidiAnswer{}}
	defer func() {
		if err != nil {
			err = fmt.Errorf("start %s: %w\n%s", path, errors.Join(err, f.Close()), f.output)
		}
	}()
	if err := os.WriteFile(filepath.Join(profile, "user.js"), []byte(firefoxPrefs), 0o600); err != nil {
		return f, err
	}
	f.cmd = exec.Command(path, "--headless", "--no-remote", "--profile", profile, "--remote-debugging-port", "0")
	f.cmd.Env = append(os.Environ(), "MOZ_CRASHREPORTER_DISABLE=1", "HOME="+profile)
	f.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // its children end with it
	stderr, err := f.cmd.StderrPipe()
	if err != nil {
		return f, err
	}
	if err := f.cmd.Start(); err != nil {
		f.cmd = nil
		return f, err
	}
	address, err := f.address(stderr)
	if err != nil {
		return f, err
	}
	if f.socket, _, err = websocket.DefaultDialer.Dial(address+"/session", nil); err != nil {
		return f, err
	}
	f.reading.Go(f.read)
	return f, f.call("session.new", map[string]any{"capabilities": map[string]any{}}, nil)
}

// address waits until Firefox says where it can be driven, and keeps reading what it writes.
func (f *Firefox) address(stderr io.Reader) (string, error) {
	found := make(chan string, 1)
	f.reading.Go(func() {
		lines := bufio.NewScanner(io.TeeReader(stderr, f.output))
		for lines.Scan() {
			if match := bidiAddress.FindStringSubmatch(lines.Text()); match != nil {
				found <- match[1]
			}
		}
	})
	select {
	case address := <-found:
		return address, nil
	case <-time.After(2 * timeout):
		return "", errors.New("it does not say where it can be driven")
	}
}

// Close ends the browser and all its pages.
func (f *Firefox) Close() error {
	if f.socket != nil {
		_ = f.call("browser.close", map[string]any{}, nil)
		_ = f.socket.Close()
	}
	if f.cmd != nil {
		ended := make(chan struct{})
		go func() {
			_ = f.cmd.Wait()
			close(ended)
		}()
		select {
		case <-ended:
		case <-time.After(10 * time.Second):
		}
		_ = syscall.Kill(-f.cmd.Process.Pid, syscall.SIGKILL)
		<-ended
	}
	f.reading.Wait()
	return os.RemoveAll(f.profile)
}

func (f *Firefox) read() {
	for {
		var answer bidiAnswer
		if err := f.socket.ReadJSON(&answer); err != nil {
			break
		}
		f.mu.Lock()
		if waiting := f.answers[answer.ID]; waiting != nil {
			delete(f.answers, answer.ID)
			waiting <- answer
		}
		f.mu.Unlock()
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, waiting := range f.answers {
		close(waiting)
	}
	f.answers = nil
}

// call makes one BiDi command.
func (f *Firefox) call(method string, params, out any) error {
	waiting := make(chan bidiAnswer, 1)
	f.mu.Lock()
	if f.answers == nil {
		f.mu.Unlock()
		return errors.New("firefox has ended")
	}
	f.lastID++
	id := f.lastID
	f.answers[id] = waiting
	err := f.socket.WriteJSON(map[string]any{"id": id, "method": method, "params": params})
	f.mu.Unlock()
	if err != nil {
		return err
	}
	select {
	case answer, ok := <-waiting:
		switch {
		case !ok:
			return errors.New("firefox has ended")
		case answer.Error != "":
			return fmt.Errorf("%s: %s: %s", method, answer.Error, answer.Message)
		case out == nil:
			return nil
		}
		return json.Unmarshal(answer.Result, out)
	case <-time.After(timeout):
		f.mu.Lock()
		delete(f.answers, id)
		f.mu.Unlock()
		return fmt.Errorf("%s: %w", method, context.DeadlineExceeded)
	}
}

// FirefoxPage is one tab.
type FirefoxPage struct {
	firefox *Firefox
	context string
}

// Open makes an empty page, which ends with the browser.
func (f *Firefox) Open() (*FirefoxPage, error) {
	var made struct{ Context string }
	if err := f.call("browsingContext.create", map[string]any{"type": "window"}, &made); err != nil {
		return nil, err
	}
	return &FirefoxPage{f, made.Context}, nil
}

// Goto loads a document and waits for its load event.
func (p *FirefoxPage) Goto(url string) error {
	return p.firefox.call("browsingContext.navigate", map[string]any{"context": p.context, "url": url, "wait": "complete"}, nil)
}

// Eval is [Page.Eval].
func (p *FirefoxPage) Eval(expression string, out any) error {
	var answer struct {
		Result           struct{ Value string }
		ExceptionDetails struct{ Text string }
	}
	err := p.firefox.call("script.evaluate", map[string]any{
		"expression":   "Promise.resolve(" + expression + ").then((value) => JSON.stringify(value ?? null))",
		"target":       map[string]any{"context": p.context},
		"awaitPromise": true,
	}, &answer)
	switch {
	case err != nil:
	case answer.ExceptionDetails.Text != "":
		err = errors.New(answer.ExceptionDetails.Text)
	case out != nil:
		err = json.Unmarshal([]byte(answer.Result.Value), out)
	}
	if err != nil {
		return fmt.Errorf("evaluate %s: %w", abridged(expression), err)
	}
	return nil
}

// Wait is [Page.Wait].
func (p *FirefoxPage) Wait(expression string, atMost time.Duration) error {
	return wait(context.Background(), p.Eval, expression, atMost)
}
