// Package pagecast films web pages: a browser shows one on a screen that nobody sees, plays its sound to a card that
// nobody hears, and both are recorded as they come.
//
// Four programs make a film, each a child of its own (see [children]): Xvfb is the screen, PulseAudio the sound card,
// Chromium the browser, and ffmpeg records the two as H.264 and Opus. They share a directory that only their user may
// enter, where the screen's key, the card's socket and the browser's profile are; it is gone with them.
//
// What a page is comes from somebody else, so the browser reaches nothing by itself: all that it asks for goes through
// a proxy of this process, which lets it go where webhooks may go, and to this server (see [proxy]). WebRTC goes there too,
// over TCP, as UDP is nothing that a proxy could look at. Chromium keeps its own sandbox, which needs user namespaces
// and another user than root.
package pagecast

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"amphi/server/egress"
)

// startLimit is how long the programs may take until there is a picture: a browser alone takes a second or two, and many
// more beside others on a busy machine.
const startLimit = 30 * time.Second

// Config is what a Studio needs.
type Config struct {
	Browser string // the program: Chromium, or one that takes its flags
	// User is whom the programs run as when this process is root's. They do not run as root, where the browser has no sandbox.
	User string
	// NoSandbox is for machines that have no user namespaces for a sandbox: then a page that breaks out of the browser's
	// own walls is the programs' user.
	NoSandbox bool

	Rule egress.Rule // where pages may go
	// Own are the addresses, "host:port", of this server's pages and media. Pages may go there whatever addresses they are.
	Own []string

	Log *slog.Logger
}

// Studio makes films.
type Studio struct {
	cfg        Config
	credential *syscall.Credential // of the programs; nil: this process's own

	agentOnce sync.Once
	agent     string // what the browser says of itself
}

// programs are what a film needs besides the browser, and the Debian packages that they come with. The last three see to
// limits.
var programs = []struct{ name, packaged string }{
	{"Xvfb", "xvfb"}, {"pulseaudio", "pulseaudio"}, {"ffmpeg", "ffmpeg"},
	{"prlimit", "util-linux"}, {"setpriv", "util-linux"}, {"nice", "coreutils"},
}

// Open looks whether films can be made here, and says what is missing if they cannot.
func Open(cfg Config) (*Studio, error) {
	s := &Studio{cfg: cfg}
	path, err := exec.LookPath(cfg.Browser)
	if err != nil {
		return nil, fmt.Errorf("the browser: %w", err)
	}
	if s.cfg.Browser, err = filepath.Abs(path); err != nil {
		return nil, err
	}
	for _, p := range programs {
		if _, err := exec.LookPath(p.name); err != nil {
			return nil, fmt.Errorf("%w (apt-get install %s)", err, p.packaged)
		}
	}
	switch {
	case os.Getuid() != 0 && cfg.User != "":
		return nil, errors.New("only root can have the browser run as another user")
	case os.Getuid() == 0 && cfg.User == "":
		return nil, errors.New("a browser has no sandbox as root: name another user for it, such as nobody, or start the server as another one")
	case cfg.User != "":
		s.credential, err = credential(cfg.User)
	}
	s.tidy()
	return s, err
}

// dirPrefix is that of the names of films' directories, which the process's number follows.
const dirPrefix = "amphi-page-"

// tidy takes away what a server left that was killed.
func (s *Studio) tidy() {
	dirs, _ := filepath.Glob(filepath.Join(os.TempDir(), dirPrefix+"*"))
	for _, dir := range dirs {
		number, _, _ := strings.Cut(strings.TrimPrefix(filepath.Base(dir), dirPrefix), "-")
		pid, err := strconv.Atoi(number)
		if err != nil || syscall.Kill(pid, 0) != syscall.ESRCH {
			continue
		}
		if err := os.RemoveAll(dir); err != nil { // another user's server may have left it
			s.cfg.Log.Debug("an old film's directory stays", "dir", dir, "err", err)
		}
	}
}

// credential is that of a user without other groups.
func credential(name string) (*syscall.Credential, error) {
	u, err := user.Lookup(name)
	if err != nil {
		return nil, err
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		return nil, err
	}
	if uid == 0 {
		return nil, errors.New("the browser's user must be another one than root")
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
}

// Page is what is filmed.
type Page struct {
	URL           string
	Token         string // the last word of the browser's user agent, after [AgentName]: who comes with it was brought by the page
	Width, Height int    // pixels
	FPS           int
}

// AgentName stands before a page's token in its browser's user agent.
const AgentName = "AmphiPage/"

var tokenInAgent = regexp.MustCompile(`(?:^| )` + AgentName + `([A-Za-z0-9]{1,64})$`)

// TokenOf is the token of the page that a browser shows, by its User-Agent header; empty if that is not one of ours.
func TokenOf(userAgent string) string {
	if m := tokenInAgent.FindStringSubmatch(userAgent); m != nil {
		return m[1]
	}
	return ""
}

// Sink takes a film. Its methods are called from one goroutine; at is the wall clock of the picture or sound.
type Sink interface {
	// Picture takes an H.264 access unit in Annex B form. Key pictures come once a second, with their parameter sets.
	Picture(at time.Time, key bool, au []byte)
	// Sound takes an Opus packet of 20 ms.
	Sound(at time.Time, packet []byte)
}

// Film shows a page and gives what is seen and heard to the sink, until the context is done or one of the programs ends.
// When it returns nothing of it is left. The error is never nil; that of a context that is done is its cause.
func (s *Studio) Film(ctx context.Context, p Page, sink Sink) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	dir, err := s.makeDir()
	if err != nil {
		return err
	}
	door, err := openProxy(s.cfg.Rule, s.cfg.Own, s.cfg.Log)
	if err != nil {
		return errors.Join(err, os.RemoveAll(dir))
	}
	defer door.close()
	c := &children{dir: dir, credential: s.credential, log: s.cfg.Log, ended: cancel}
	defer c.end()

	late := time.AfterFunc(startLimit, func() { cancel(fmt.Errorf("there was no picture within %v", startLimit)) })
	defer late.Stop()
	display, err := c.screen(ctx, p.Width, p.Height)
	if err == nil {
		err = c.card(ctx)
	}
	if err == nil {
		err = c.browser(s.cfg.Browser, s.browserFlags(p, dir, display, door.address()), display)
	}
	if err != nil {
		return reason(ctx, err)
	}
	film, err := c.camera(p, display)
	if err != nil {
		return reason(ctx, err)
	}
	defer film.Close()
	defer context.AfterFunc(ctx, func() { film.Close() })()
	err = develop(film, time.Now, &premiere{sink, func() { late.Stop() }})
	if ctx.Err() == nil {
		c.wait() // for the word of the program that has ended: it says more
	}
	return reason(ctx, err)
}

// reason is why the context is done, or else the error.
func reason(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return err
}

// premiere tells of the first picture.
type premiere struct {
	Sink
	begun func()
}

func (f *premiere) Picture(at time.Time, key bool, au []byte) {
	f.begun()
	f.Sink.Picture(at, key, au)
}

// makeDir makes the directory of a film, which only the programs' user may enter.
func (s *Studio) makeDir() (string, error) {
	dir, err := os.MkdirTemp("", dirPrefix+strconv.Itoa(os.Getpid())+"-")
	if err == nil && s.credential != nil {
		if err = os.Chown(dir, int(s.credential.Uid), int(s.credential.Gid)); err != nil {
			os.Remove(dir)
		}
	}
	return dir, err
}

// userAgent is what Chromium says of itself, as its version fills it in: with a token at its end.
func (s *Studio) userAgent(token string) string {
	s.agentOnce.Do(func() {
		version := "140" // of a browser that does not tell
		out, err := exec.Command(s.cfg.Browser, "--product-version").Output()
		if major, _, ok := bytes.Cut(bytes.TrimSpace(out), []byte(".")); err == nil && ok {
			if _, err := strconv.Atoi(string(major)); err == nil {
				version = string(major)
			}
		}
		s.agent = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/" + version + ".0.0.0 Safari/537.36"
	})
	return s.agent + " " + AgentName + token
}

// browserFlags are the command line of the browser.
func (s *Studio) browserFlags(p Page, dir, display, proxy string) []string {
	flags := []string{
		"--user-data-dir=" + filepath.Join(dir, "profile"),
		"--user-agent=" + s.userAgent(p.Token),
		"--app=" + p.URL, "--kiosk", "--window-position=0,0", fmt.Sprintf("--window-size=%d,%d", p.Width, p.Height),
		"--force-device-scale-factor=1", "--hide-scrollbars", "--lang=en-US",

		// The network.
		"--proxy-server=http://" + proxy, "--proxy-bypass-list=<-loopback>", // not even loopback without it
		"--force-webrtc-ip-handling-policy=disable_non_proxied_udp", "--disable-quic",

		// Nobody is there to answer questions, and nothing but the page is looked at.
		"--autoplay-policy=no-user-gesture-required", "--deny-permission-prompts", "--noerrdialogs", "--no-first-run",
		"--no-default-browser-check", "--disable-notifications", "--block-new-web-contents", "--disable-session-crashed-bubble",
		"--disable-extensions", "--disable-default-apps", "--disable-background-networking", "--disable-component-update",
		"--disable-sync", "--disable-domain-reliability", "--disable-client-side-phishing-detection", "--disable-breakpad",
		"--disable-features=Translate,MediaRouter,OptimizationHints,DialMediaRouteProvider", "--password-store=basic",
		"--metrics-recording-only", "--test-type", // without a bar that tells of these flags

		// A window that is always seen, drawn by the processor.
		"--disable-gpu", "--disable-backgrounding-occluded-windows", "--disable-renderer-backgrounding", "--disable-background-timer-throttling",
	}
	var shm syscall.Statfs_t
	if err := syscall.Statfs("/dev/shm", &shm); err != nil || shm.Bavail*uint64(shm.Bsize) < 256<<20 { // containers have 64 MB
		flags = append(flags, "--disable-dev-shm-usage")
	}
	if s.cfg.NoSandbox {
		flags = append(flags, "--no-sandbox")
	}
	return flags
}
