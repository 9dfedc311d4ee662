package pagecast

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	// endLimit is how long a program may take to end by itself.
	endLimit = 2 * time.Second

	niceness = "5" // rooms come before films

	// Limits of each process. How much memory a browser maps says nothing of what it uses, so of that there is none; but
	// films are what the system ends first when it runs out.
	maxFile     = 256 << 20 // bytes of a file
	maxOpen     = 4096      // files
	oomScoreAdj = "500"

	logLines   = 50 // of a program; a browser that has trouble repeats itself
	lastWords  = 200
	soundCard  = "page" // its name
	soundRate  = 48000
	audioBits  = 128000
	cookieSize = 16
)

// children are the programs of one film, each the leader of a process group.
type children struct {
	dir        string
	credential *syscall.Credential
	log        *slog.Logger
	ended      context.CancelCauseFunc // called when one of them ends

	mu   sync.Mutex
	list []*child
}

// child is one of them.
type child struct {
	name   string
	cmd    *exec.Cmd
	exited chan struct{}
	words  string // the last line that it said, after exited
}

// command is a program under limits. Nothing of this process's environment goes with it, which may hold secrets.
func (c *children) command(name string, args ...string) *exec.Cmd {
	limited := append([]string{"--no-new-privs", "prlimit", "--core=0", fmt.Sprintf("--fsize=%d", maxFile), fmt.Sprintf("--nofile=%d", maxOpen),
		"nice", "-n", niceness, name}, args...)
	cmd := exec.Command("setpriv", limited...)
	cmd.Dir = c.dir
	cmd.Env = []string{"PATH=/usr/local/bin:/usr/bin:/bin", "LANG=C.UTF-8", "HOME=" + c.dir, "TMPDIR=" + c.dir, "XDG_RUNTIME_DIR=" + c.dir,
		"XDG_CONFIG_HOME=" + c.path("config"), "XDG_CACHE_HOME=" + c.path("cache"), "XAUTHORITY=" + c.path("xauthority"),
		"PULSE_SERVER=unix:" + c.path("sound"), "DBUS_SESSION_BUS_ADDRESS=disabled:"}
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Credential: c.credential,
		Setpgid:    true,
		Pdeathsig:  syscall.SIGTERM, // the screen takes its lock away, which SIGKILL would leave behind
	}
	return cmd
}

func (c *children) path(name string) string { return filepath.Join(c.dir, name) }

// start starts a program, and tells when it has ended.
func (c *children) start(name string, cmd *exec.Cmd) error {
	stderr, err := cmd.StderrPipe()
	if err != nil {
		return err
	}
	ch := &child{name: name, cmd: cmd, exited: make(chan struct{})}
	started := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // its end would be the program's, see prctl(2), PR_SET_PDEATHSIG
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err != nil {
			return
		}
		said := make(chan string, 1)
		go func() { said <- c.hear(name, stderr) }()
		// Not cmd.Wait yet: it closes the pipe, and other processes of the group may hold it when this one has ended.
		_ = awaitExit(cmd.Process.Pid)
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // what it has left in its group
		select {
		case ch.words = <-said:
		case <-time.After(endLimit): // somebody outside the group holds the pipe
		}
		err = cmd.Wait()
		close(ch.exited)
		c.ended(fmt.Errorf("%s ended: %w", name, ended(err, ch.words)))
	}()
	if err := <-started; err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	_ = os.WriteFile("/proc/"+strconv.Itoa(cmd.Process.Pid)+"/oom_score_adj", []byte(oomScoreAdj), 0) // where that is possible
	c.mu.Lock()
	defer c.mu.Unlock()
	c.list = append(c.list, ch)
	return nil
}

// awaitExit waits for the end of a child, which stays to be waited for: its number, and its group's, are nobody else's yet.
func awaitExit(pid int) error {
	const pidType = 1 // P_PID
	for {
		_, _, e := syscall.Syscall6(syscall.SYS_WAITID, pidType, uintptr(pid), 0, syscall.WEXITED|syscall.WNOWAIT, 0, 0)
		if e != syscall.EINTR {
			return e
		}
	}
}

// ended says how a program ended, with what it said last.
func ended(err error, words string) error {
	if err == nil {
		err = errors.New("exit status 0")
	}
	if words != "" {
		return fmt.Errorf("%w: %s", err, words)
	}
	return err
}

// hear logs what a program says, up to a number of lines, and returns the last of them.
func (c *children) hear(name string, stderr io.Reader) (last string) {
	lines := bufio.NewReaderSize(stderr, 1024)
	for n := 0; ; {
		line, more, err := lines.ReadLine()
		if err != nil {
			return last
		}
		text := strings.ToValidUTF8(string(line), "")
		for more && err == nil {
			_, more, err = lines.ReadLine()
		}
		if text == "" || strings.Contains(text, "dbus") || strings.Contains(text, "system bus") { // there is none
			continue
		}
		last = text[:min(len(text), lastWords)]
		if n++; n <= logLines {
			c.log.Debug("film", "program", name, "says", last)
		}
	}
}

// wait waits a moment for the first program to end.
func (c *children) wait() {
	c.mu.Lock()
	list := c.list
	c.mu.Unlock()
	if len(list) > 0 {
		select {
		case <-list[len(list)-1].exited:
		case <-time.After(endLimit):
		}
	}
}

// end ends all programs, the last first, with what they have started, and takes their directory away.
func (c *children) end() {
	c.mu.Lock()
	list := c.list
	c.mu.Unlock()
	for i := len(list) - 1; i >= 0; i-- {
		ch := list[i]
		_ = syscall.Kill(-ch.cmd.Process.Pid, syscall.SIGTERM)
		select {
		case <-ch.exited:
			continue
		case <-time.After(endLimit):
		}
		_ = syscall.Kill(-ch.cmd.Process.Pid, syscall.SIGKILL)
		<-ch.exited
	}
	c.sweep()
	// What is killed may still make files for a moment.
	for range 5 {
		if err := os.RemoveAll(c.dir); err == nil {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	c.log.Warn("a film's directory stays", "dir", c.dir)
}

// sweep kills what has left its group: who has the directory of the film on its command line or in its environment.
func (c *children) sweep() {
	procs, _ := filepath.Glob("/proc/[0-9]*")
	for _, proc := range procs {
		for _, file := range []string{"cmdline", "environ"} {
			text, err := os.ReadFile(filepath.Join(proc, file))
			if pid, _ := strconv.Atoi(filepath.Base(proc)); err == nil && pid != os.Getpid() && bytes.Contains(text, []byte(c.dir)) {
				_ = syscall.Kill(pid, syscall.SIGKILL)
				break
			}
		}
	}
}

// screen starts a screen of a size, which only who knows its key may look at, and returns its name.
func (c *children) screen(ctx context.Context, width, height int) (display string, err error) {
	if err := c.writeFile("xauthority", authority()); err != nil {
		return "", err
	}
	number, theirs, err := os.Pipe()
	if err != nil {
		return "", err
	}
	defer number.Close()
	cmd := c.command("Xvfb", "-displayfd", "3", "-screen", "0", fmt.Sprintf("%dx%dx24", width, height), "-nolisten", "tcp", "-nolisten", "local",
		"-auth", c.path("xauthority"), "-nocursor", "-noreset")
	cmd.ExtraFiles = []*os.File{theirs}
	err = c.start("Xvfb", cmd)
	theirs.Close()
	if err != nil {
		return "", err
	}
	defer context.AfterFunc(ctx, func() { number.Close() })()
	line, err := bufio.NewReader(io.LimitReader(number, 16)).ReadString('\n')
	if err != nil {
		return "", fmt.Errorf("screen: %w", err)
	}
	return ":" + strings.TrimSpace(line), nil
}

// authority is an Xauthority file with a new key, for a display of any name.
func authority() []byte {
	const wild = 0xffff // FamilyWild
	b := binary.BigEndian.AppendUint16(nil, wild)
	cookie := make([]byte, cookieSize)
	_, _ = rand.Read(cookie)
	for _, field := range [][]byte{nil, nil, []byte("MIT-MAGIC-COOKIE-1"), cookie} { // address, display, protocol, key
		b = append(binary.BigEndian.AppendUint16(b, uint16(len(field))), field...)
	}
	return b
}

// writeFile writes a file that only the programs' user reads.
func (c *children) writeFile(name string, data []byte) error {
	if err := os.WriteFile(c.path(name), data, 0o600); err != nil {
		return err
	}
	if c.credential == nil {
		return nil
	}
	return os.Chown(c.path(name), int(c.credential.Uid), int(c.credential.Gid))
}

// card starts a sound card that plays to nobody, and waits until it is there.
func (c *children) card(ctx context.Context) error {
	cmd := c.command("pulseaudio", "-n", "--daemonize=no", "--use-pid-file=no", "--exit-idle-time=-1", "--disallow-exit=yes", "--disable-shm=yes",
		"--realtime=no", "--high-priority=no", "--log-target=stderr", "--log-level=error",
		"-L", "module-null-sink sink_name="+soundCard+" rate="+strconv.Itoa(soundRate)+" channels=2 format=s16le",
		"-L", "module-native-protocol-unix auth-anonymous=1 socket="+c.path("sound"))
	if err := c.start("pulseaudio", cmd); err != nil {
		return err
	}
	for {
		if _, err := os.Stat(c.path("sound")); err == nil || !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func (c *children) browser(path string, flags []string, display string) error {
	cmd := c.command(path, flags...)
	cmd.Env = append(cmd.Env, "DISPLAY="+display)
	return c.start("browser", cmd)
}

// camera starts to record screen and sound. Its file is an MPEG transport stream whose clock is the wall's, modulo 2^33
// ticks of 90 kHz.
func (c *children) camera(p Page, display string) (*os.File, error) {
	film, theirs, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	fps := strconv.Itoa(p.FPS)
	input := func(format string, args ...string) []string {
		// Nothing is learned by looking at it first.
		return append([]string{"-probesize", "32", "-analyzeduration", "0", "-thread_queue_size", "64", "-f", format}, args...)
	}
	args := []string{"-nostdin", "-hide_banner", "-loglevel", "error"}
	args = append(args, input("x11grab", "-framerate", fps, "-draw_mouse", "0", "-video_size", fmt.Sprintf("%dx%d", p.Width, p.Height), "-i", display)...)
	args = append(args, input("pulse", "-sample_rate", strconv.Itoa(soundRate), "-channels", "2", "-fragment_size", "3840", "-i", soundCard+".monitor")...)
	args = append(args, "-copyts", "-max_interleave_delta", "200000",
		// It is decoded once more on this machine, so it may be large: quick and good, and with a key picture a second for
		// media workers that are new.
		"-map", "0:v", "-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-crf", "16", "-pix_fmt", "yuv420p", "-g", fps,
		"-threads", "1", "-color_range", "tv",
		"-map", "1:a", "-af", "aresample=async=1", "-c:a", "libopus", "-b:a", strconv.Itoa(audioBits), "-frame_duration", "20",
		"-f", "mpegts", "-mpegts_flags", "+resend_headers", "-muxdelay", "0", "-muxpreload", "0", "-flush_packets", "1", "pipe:3")
	cmd := c.command("ffmpeg", args...)
	cmd.Env = append(cmd.Env, "DISPLAY="+display)
	cmd.ExtraFiles = []*os.File{theirs}
	err = c.start("ffmpeg", cmd)
	theirs.Close()
	if err != nil {
		film.Close()
		return nil, err
	}
	return film, nil
}
