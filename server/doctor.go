package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"amphi/server/config"
	"amphi/server/mediaworker"
	"amphi/server/store"
	"amphi/static"
)

// finding is what doctor says about one thing: nothing or something to know when all is well, a hint when it may
// matter, or what is wrong.
type finding struct {
	info  string
	hint  string
	wrong error
}

func wrong(format string, args ...any) finding { return finding{wrong: fmt.Errorf(format, args...)} }
func hint(format string, args ...any) finding  { return finding{hint: fmt.Sprintf(format, args...)} }
func info(format string, args ...any) finding  { return finding{info: fmt.Sprintf(format, args...)} }

// checks in the order in which they are printed.
var checks = []struct {
	name  string
	check func(context.Context, config.Config) finding
}{
	{"data directory", checkData},
	{"database", checkDatabase},
	{"HTTP address", checkHTTP},
	{"media port", checkMedia},
	{"announced addresses", checkNodeIPs},
	{"way to the media port", checkReach},
	{"TURN", checkTURN},
	{"certificates", checkCertificates},
	{"public address", checkPublicURL},
	{"media worker", checkWorker},
	{"other pages", checkComposition},
	{"pages", checkPages},
	{"open files", checkFiles},
	{"clock", checkClock},
}

// doctor looks at everything that a server needs, and says what is wrong and what to do.
func (c *command) doctor(ctx context.Context, args []string) error {
	cfg, err := c.configure("doctor", args, nil)
	if err != nil {
		return err
	}
	failed := 0
	for _, check := range checks {
		switch f := check.check(ctx, cfg); {
		case f.wrong != nil:
			failed++
			fmt.Fprintf(c.out, "WRONG %s: %v\n", check.name, f.wrong)
		case f.hint != "":
			fmt.Fprintf(c.out, "note  %s: %s\n", check.name, f.hint)
		case f.info != "":
			fmt.Fprintf(c.out, "ok    %s: %s\n", check.name, f.info)
		default:
			fmt.Fprintf(c.out, "ok    %s\n", check.name)
		}
	}
	if failed > 0 {
		return fmt.Errorf("%d of %d checks failed", failed, len(checks))
	}
	return nil
}

func checkData(_ context.Context, cfg config.Config) finding {
	if err := os.MkdirAll(cfg.Data, 0o700); err != nil {
		return wrong("%v (choose another with --data)", err)
	}
	f, err := os.CreateTemp(cfg.Data, ".doctor-*")
	if err != nil {
		return wrong("not writable: %v", err)
	}
	defer os.Remove(f.Name())
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return wrong("not writable: %v", err)
	}
	var fs syscall.Statfs_t
	if err := syscall.Statfs(cfg.Data, &fs); err == nil {
		if free := fs.Bavail * uint64(fs.Bsize) >> 20; free < 1024 {
			return hint("only %d MiB are free", free)
		}
	}
	return finding{}
}

func checkDatabase(ctx context.Context, cfg config.Config) finding {
	if _, err := os.Stat(cfg.Database()); cfg.DB == "" && errors.Is(err, os.ErrNotExist) {
		return hint("not there yet: the first start makes it")
	}
	db, err := store.Open(ctx, cfg.Database())
	if err != nil {
		return finding{wrong: err}
	}
	defer db.Close()
	if err := db.Check(ctx); err != nil {
		return finding{wrong: err}
	}
	events, err := db.CountEvents(ctx)
	if err != nil {
		return finding{wrong: err}
	}
	if n := events[store.Dead]; n > 0 {
		return hint("%d webhook events could not be delivered", n)
	}
	return finding{}
}

func checkHTTP(ctx context.Context, cfg config.Config) finding {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", cfg.Addr)
	return portFinding(l, err, "--addr")
}

func checkMedia(ctx context.Context, cfg config.Config) finding {
	at := fmt.Sprintf(":%d", cfg.RTC.Port)
	udp, err := new(net.ListenConfig).ListenPacket(ctx, "udp", at)
	if f := portFinding(udp, err, "--rtc-port"); f != (finding{}) {
		return f
	}
	tcp, err := new(net.ListenConfig).Listen(ctx, "tcp", at)
	return portFinding(tcp, err, "--rtc-port")
}

func portFinding(l interface{ Close() error }, err error, flag string) finding {
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return hint("in use: right if amphi is running, otherwise choose another with %s (%v)", flag, err)
	case errors.Is(err, syscall.EACCES):
		return wrong("%v: ports below 1024 need a privilege (setcap cap_net_bind_service=+ep, or another port with %s)", err, flag)
	case err != nil:
		return wrong("%v (choose another with %s)", err, flag)
	}
	l.Close()
	return finding{}
}

func checkPublicURL(ctx context.Context, cfg config.Config) finding {
	if cfg.PublicURL == "" {
		return hint("none is set: live streams are announced for this machine only; set --public-url for others")
	}
	u, err := url.Parse(cfg.PublicURL)
	if err != nil {
		return finding{wrong: err}
	}
	host := u.Hostname()
	ip := net.ParseIP(host)
	if u.Scheme == "http" && host != "localhost" && !ip.IsLoopback() {
		return hint("browsers give camera and microphone to https only; %s works for watching", cfg.PublicURL)
	}
	if ip == nil {
		ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
		defer cancel()
		if _, err := net.DefaultResolver.LookupHost(ctx, host); err != nil {
			return wrong("%s does not resolve: %v", host, err)
		}
	}
	return finding{}
}

// checkWorker runs the worker's self-check, which tries the codecs.
func checkWorker(ctx context.Context, cfg config.Config) finding {
	path := cfg.Compositor.Path
	if path == "" {
		path = mediaworker.Name
		if self, err := os.Executable(); err == nil {
			if beside := filepath.Join(filepath.Dir(self), mediaworker.Name); isExecutable(beside) {
				path = beside
			}
		}
	}
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, "--check")
	var said bytes.Buffer
	cmd.Stderr = &said
	err := cmd.Run()
	switch {
	case errors.Is(err, exec.ErrNotFound):
		return wrong("%s is neither beside amphi nor in $PATH: no live streams (level 3) without it", mediaworker.Name)
	case err != nil:
		return wrong("%s --check: %v %s", path, err, strings.TrimSpace(said.String()))
	case said.Len() > 0: // what the machine does not grant to confine it
		return hint("%s", strings.TrimSpace(said.String()))
	}
	return finding{}
}

func isExecutable(path string) bool {
	fi, err := os.Stat(path)
	return err == nil && fi.Mode().IsRegular() && fi.Mode().Perm()&0o111 != 0
}

func checkPages(context.Context, config.Config) finding {
	if !static.Embedded().Built() {
		return wrong("not in this binary: build them first (go tool task web), then the server (go tool task server)")
	}
	return finding{}
}

// wantFiles is enough for some thousand people: a socket each, and as much again for HTTP.
const wantFiles = 16384

func checkFiles(context.Context, config.Config) finding {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return finding{wrong: err}
	}
	// The Go runtime raises the soft limit to the hard one.
	if limit.Max < wantFiles {
		return hint("at most %d: raise it for more than about %d people (ulimit -n)", limit.Max, limit.Max/3)
	}
	return finding{}
}

// checkClock finds a clock that was never set; tokens and certificates would be refused.
func checkClock(context.Context, config.Config) finding {
	self, err := os.Executable()
	if err != nil {
		return finding{}
	}
	fi, err := os.Stat(self)
	if err == nil && time.Now().Add(time.Minute).Before(fi.ModTime()) {
		return wrong("it is %s here, before this program was made (%s)", time.Now().Format(time.DateTime), fi.ModTime().Format(time.DateTime))
	}
	return finding{}
}
