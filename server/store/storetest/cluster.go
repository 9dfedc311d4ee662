package storetest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Cluster is a PostgreSQL server with its files. It is as durable as one in earnest: fsync is on.
type Cluster struct {
	dir    string    // holds the files (data), the log, and the socket
	keeper *exec.Cmd // runs postgres until its standard input ends
	input  io.WriteCloser
	owner  *syscall.Credential
}

// startBound is generous: the machine may be busy with other tests.
const startBound = 2 * time.Minute

// NewCluster starts a cluster for a test that does harm to it. It ends with the test. Without PostgreSQL's programs the
// test is skipped.
func NewCluster(t testing.TB) *Cluster {
	t.Helper()
	if programs() == "" {
		t.Skip(notInstalled)
	}
	c, err := startCluster()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.stop(); err != nil {
			t.Error(err)
		}
	})
	return c
}

const notInstalled = "PostgreSQL is not installed (go tool task deps)"

// startCluster makes a cluster and starts it. It stops when this process ends, if not before.
func startCluster() (*Cluster, error) {
	// The path of a Unix socket has at most 107 bytes, so the folder is not below a test's own.
	dir, err := os.MkdirTemp("", "amphi-pg-")
	if err != nil {
		return nil, err
	}
	c := &Cluster{dir: dir}
	if err := c.init(); err != nil {
		os.RemoveAll(dir)
		return nil, fmt.Errorf("PostgreSQL: %w", err)
	}
	if err := c.start(); err != nil {
		os.RemoveAll(dir)
		return nil, fmt.Errorf("PostgreSQL: %w", err)
	}
	return c, nil
}

// programs returns the folder of PostgreSQL's programs, "" if there is none. Debian keeps them out of $PATH, in a
// folder for each version.
func programs() string {
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/postgres")
	slices.SortFunc(found, func(a, b string) int { return version(a) - version(b) })
	if len(found) > 0 {
		return filepath.Dir(found[len(found)-1])
	}
	if path, err := exec.LookPath("postgres"); err == nil {
		return filepath.Dir(path)
	}
	return ""
}

func version(path string) int {
	n, _ := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(path))))
	return n
}

func (c *Cluster) data() string { return filepath.Join(c.dir, "data") }
func (c *Cluster) log() string  { return filepath.Join(c.dir, "log") }

// init makes the files. postgres refuses to run as root, so root gives them to Debian's user for it.
func (c *Cluster) init() error {
	if os.Geteuid() == 0 {
		u, err := user.Lookup("postgres")
		if err != nil {
			return err
		}
		uid, err := strconv.ParseUint(u.Uid, 10, 32)
		if err != nil {
			return err
		}
		gid, err := strconv.ParseUint(u.Gid, 10, 32)
		if err != nil {
			return err
		}
		c.owner = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
		if err := os.Chown(c.dir, int(uid), int(gid)); err != nil {
			return err
		}
	}
	// --no-sync: a power cut during the tests may cost these files.
	initdb := c.command(filepath.Join(programs(), "initdb"), "--pgdata", c.data(), "--username=postgres", "--auth=trust", "--no-sync",
		"--encoding=UTF8", "--locale=C.UTF-8")
	if out, err := initdb.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w\n%s", err, out)
	}
	return nil
}

// command runs a program as the cluster's owner.
func (c *Cluster) command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(name, args...)
	cmd.Dir = c.dir
	// A process group of its own: Ctrl-C is for the tests, and the keeper notices their end.
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: c.owner, Setpgid: true}
	return cmd
}

// keeper runs postgres until its input ends, which it does however the tests end; then it removes the folder. The word
// "keep" on the input saves the folder.
const keeper = `
dir=$1; shift
"$@" >>"$dir/log" 2>&1 </dev/null &
read -r word
kill -INT $! 2>/dev/null
wait $!
[ "$word" = keep ] || rm -rf "$dir"
`

// start runs postgres on the files and waits until it answers.
func (c *Cluster) start() error {
	c.keeper = c.command("sh", "-c", keeper, "sh", c.dir, filepath.Join(programs(), "postgres"), "-D", c.data(),
		"-c", "listen_addresses=", "-c", "unix_socket_directories="+c.dir, "-c", "fsync=on", "-c", "max_connections=200",
		"-c", "shared_buffers=32MB", "-c", "jit=off")
	input, err := c.keeper.StdinPipe()
	if err != nil {
		return err
	}
	c.input = input
	if err := c.keeper.Start(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), startBound)
	defer cancel()
	for {
		err := c.exec(ctx, "SELECT 1")
		if err == nil {
			return nil
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			said, _ := os.ReadFile(c.log())
			return errors.Join(fmt.Errorf("it does not answer: %w\n%s", err, said), c.stop())
		}
	}
}

// stop ends the server and removes its files.
func (c *Cluster) stop() error { return c.end("") }

func (c *Cluster) end(word string) error {
	if _, err := io.WriteString(c.input, word+"\n"); err != nil {
		return err
	}
	return errors.Join(c.input.Close(), c.keeper.Wait())
}

// Crash kills the server in the middle of what it does: all of its processes at once, as a power cut would. Restart
// starts it again on what is on the disk.
func (c *Cluster) Crash() error {
	pidFile, err := os.ReadFile(filepath.Join(c.data(), "postmaster.pid"))
	if err != nil {
		return err
	}
	first, _, _ := strings.Cut(string(pidFile), "\n")
	postmaster, err := strconv.Atoi(first)
	if err != nil {
		return fmt.Errorf("postmaster.pid: %w", err)
	}
	// The postmaster first: it would start others.
	if err := syscall.Kill(postmaster, syscall.SIGKILL); err != nil {
		return err
	}
	for _, pid := range c.processes() {
		_ = syscall.Kill(pid, syscall.SIGKILL) // it may have ended by itself
	}
	if err := c.end("keep"); err != nil {
		return err
	}
	for deadline := time.Now().Add(startBound); len(c.processes()) > 0; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			return errors.New("processes of a killed PostgreSQL go on")
		}
	}
	return nil
}

// processes returns those that work in the cluster's files, as all of a server's do.
func (c *Cluster) processes() (pids []int) {
	links, _ := filepath.Glob("/proc/[0-9]*/cwd")
	for _, link := range links {
		dir, err := os.Readlink(link)
		pid, atoiErr := strconv.Atoi(filepath.Base(filepath.Dir(link)))
		if err == nil && atoiErr == nil && dir == c.data() {
			pids = append(pids, pid)
		}
	}
	return pids
}

// Restart starts the server after a Crash.
func (c *Cluster) Restart() error { return c.start() }
