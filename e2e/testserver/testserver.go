// Package testserver runs the built server as a process of its own for the end-to-end tests: in an empty data
// directory, on free ports, stopped by its id. It speaks the server API with a management token of its own.
package testserver

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"
)

// Config says what to start.
type Config struct {
	// Binary is the path of amphi; empty means bin/amphi of this repository.
	Binary string
	// DataDir is the server's data directory, which outlives it.
	DataDir string
	// Args come after the flags that the package sets itself.
	Args []string
	// Prefix is a command that the server is run by, one that enters a network namespace for example.
	Prefix []string
	// Client reaches the server; nil means http.DefaultClient.
	Client *http.Client
}

// Server is a running server.
type Server struct {
	URL string // "http://localhost:PORT", a secure context for browsers
	cfg Config

	cmd    *exec.Cmd
	output *output
	exited chan struct{} // closed when the process has ended
	err    error         // of its end; valid after exited

	keys Keys
}

// Keys are the workspace's secrets, with which tokens are signed.
type Keys struct{ AccessKey, Secret string }

// ErrNotBuilt says that there is no binary to test.
var ErrNotBuilt = errors.New("bin/amphi is not there: go tool task build")

// startTimeout is far more than a start takes on a busy machine.
const startTimeout = 30 * time.Second

// Start runs a server until Stop, and returns when it answers.
func Start(ctx context.Context, cfg Config) (*Server, error) {
	if cfg.Binary == "" {
		root, err := repository()
		if err != nil {
			return nil, err
		}
		cfg.Binary = filepath.Join(root, "bin", "amphi")
	}
	if _, err := os.Stat(cfg.Binary); err != nil {
		return nil, ErrNotBuilt
	}
	if cfg.Client == nil {
		cfg.Client = http.DefaultClient
	}
	s := &Server{cfg: cfg, output: &output{address: make(chan string, 1)}, exited: make(chan struct{})}
	// How many streams are composed at a time the tests decide: their machines have few processors, and much to do.
	s.cmd = s.command(append([]string{"serve", "--addr", "127.0.0.1:0", "--rtc-port", "0", "--rtc-loopback", "--limits-live-streams", "12"}, cfg.Args...)...)
	s.cmd.Stdout, s.cmd.Stderr = s.output, s.output
	if err := s.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", cfg.Binary, err)
	}
	go func() {
		s.err = s.cmd.Wait()
		close(s.exited)
	}()
	if err := s.ready(ctx); err != nil {
		stopped := s.Stop()
		return nil, fmt.Errorf("%w (stopped: %v)\n%s", err, stopped, s.output)
	}
	return s, nil
}

// ready waits for the printed address and for the server's own word that it can work.
func (s *Server) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	select {
	case s.URL = <-s.output.address:
	case <-s.exited:
		return fmt.Errorf("the server ended at once: %w", s.err)
	case <-ctx.Done():
		return errors.New("the server printed no address")
	}
	for {
		resp, err := s.get(ctx, "/readyz")
		if err == nil && resp == http.StatusOK {
			break
		}
		if ctx.Err() != nil {
			return fmt.Errorf("the server does not become ready: %d, %w", resp, err)
		}
		time.Sleep(20 * time.Millisecond)
	}
	out, err := s.Amphi("keys")
	if err != nil {
		return err
	}
	s.keys, err = parseKeys(out)
	return err
}

// Stop asks the server to end and waits for it. It is an error if it has to be killed, or reports a failure.
func (s *Server) Stop() error {
	select {
	case <-s.exited:
		return fmt.Errorf("the server had ended before: %w", s.err)
	default:
	}
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	select {
	case <-s.exited:
		return s.err
	case <-time.After(20 * time.Second):
		_ = s.cmd.Process.Signal(syscall.SIGQUIT) // its goroutines, into the log
		time.Sleep(time.Second)
		_ = s.cmd.Process.Kill()
		<-s.exited
		return errors.New("the server did not stop within 20 s and was killed")
	}
}

// Kill ends the process as a crash would, and waits for its end.
func (s *Server) Kill() error {
	if err := s.cmd.Process.Kill(); err != nil {
		return err
	}
	<-s.exited
	return nil
}

// Exited reports whether the process has ended by itself.
func (s *Server) Exited() bool {
	select {
	case <-s.exited:
		return true
	default:
		return false
	}
}

// PID is the server's process id.
func (s *Server) PID() int { return s.cmd.Process.Pid }

// Log returns what the server wrote.
func (s *Server) Log() string { return s.output.String() }

// Keys returns the workspace's secrets.
func (s *Server) Keys() Keys { return s.keys }

// Amphi runs a command of the binary on the server's data directory and returns its output.
func (s *Server) Amphi(args ...string) (string, error) {
	cmd := s.command(args...)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("amphi %s: %w: %s", strings.Join(args, " "), err, &errs)
	}
	return string(out), nil
}

func (s *Server) command(args ...string) *exec.Cmd {
	line := slices.Concat(s.cfg.Prefix, []string{s.cfg.Binary}, args, []string{"--data", s.cfg.DataDir})
	cmd := exec.Command(line[0], line[1:]...)
	for _, variable := range os.Environ() {
		if !strings.HasPrefix(variable, "AMPHI_") { // the settings of whoever runs the tests are not the test's
			cmd.Env = append(cmd.Env, variable)
		}
	}
	return cmd
}

// Token signs claims as the workspace would; those given replace the usual ones.
func (k Keys) Token(claims map[string]any) string {
	now := time.Now()
	all := jwt.MapClaims{
		"access_key": k.AccessKey, "version": 2, "jti": uuid.NewString(),
		"iat": now.Unix(), "nbf": now.Unix(), "exp": now.Add(time.Hour).Unix(),
	}
	for name, value := range claims {
		all[name] = value
	}
	token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, all).SignedString([]byte(k.Secret))
	if err != nil {
		panic(err) // the claims are the test's own
	}
	return token
}

// AuthToken lets user into a room with a role.
func (k Keys) AuthToken(roomID, role, user string) string {
	return k.Token(map[string]any{"type": "app", "room_id": roomID, "role": role, "user_id": user})
}

// StatusError is an answer of the server API that is no success.
type StatusError struct {
	Status int
	Body   string
}

func (e *StatusError) Error() string { return fmt.Sprintf("status %d: %s", e.Status, e.Body) }

// API calls the server API with a management token. in, if not nil, is sent as JSON; out, if not nil, receives it.
func (s *Server) API(ctx context.Context, method, path string, in, out any) error {
	var body io.Reader
	if in != nil {
		data, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(data)
	}
	req, err := http.NewRequestWithContext(ctx, method, s.URL+path, body)
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+s.keys.Token(map[string]any{"type": "management"}))
	resp, err := s.cfg.Client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode >= 300 {
		return fmt.Errorf("%s %s: %w", method, path, &StatusError{resp.StatusCode, string(data)})
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(data, out); err != nil {
		return fmt.Errorf("%s %s: %w: %.200s", method, path, err, data)
	}
	return nil
}

// Room is a room with a code for each role.
type Room struct {
	ID         string
	CustomerID string
	Codes      map[string]string // role name to room code
}

// NewRoom makes a room with codes, of a template or, with "", of the Starter Kit.
func (s *Server) NewRoom(ctx context.Context, name, template string) (*Room, error) {
	var made struct {
		ID         string `json:"id"`
		CustomerID string `json:"customer_id"`
	}
	if err := s.API(ctx, http.MethodPost, "/v2/rooms", map[string]any{"name": name, "template_id": template}, &made); err != nil {
		return nil, err
	}
	var codes struct {
		Data []struct {
			Code string `json:"code"`
			Role string `json:"role"`
		} `json:"data"`
	}
	if err := s.API(ctx, http.MethodPost, "/v2/room-codes/room/"+made.ID, nil, &codes); err != nil {
		return nil, err
	}
	room := &Room{ID: made.ID, CustomerID: made.CustomerID, Codes: map[string]string{}}
	for _, code := range codes.Data {
		room.Codes[code.Role] = code.Code
	}
	return room, nil
}

func (s *Server) get(ctx context.Context, path string) (status int, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL+path, nil)
	if err != nil {
		return 0, err
	}
	resp, err := s.cfg.Client.Do(req)
	if err != nil {
		return 0, err
	}
	return resp.StatusCode, resp.Body.Close()
}

// repository finds the top of the repository from the directory that a test runs in.
func repository() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("not inside of the repository")
		}
		dir = parent
	}
}

// parseKeys reads what amphi keys prints: lines of a name, a colon and a value.
func parseKeys(out string) (keys Keys, err error) {
	for line := range strings.Lines(out) {
		name, value, _ := strings.Cut(line, ":")
		switch name {
		case "access key":
			keys.AccessKey = strings.TrimSpace(value)
		case "secret":
			keys.Secret = strings.TrimSpace(value)
		}
	}
	if keys.AccessKey == "" || keys.Secret == "" {
		return Keys{}, fmt.Errorf("no keys in %q", out)
	}
	return keys, nil
}

var addressPattern = regexp.MustCompile(`http://[\w.\[\]:-]+:\d+`)

// output collects what the server writes, and picks the first address out of it.
type output struct {
	mu      sync.Mutex
	buf     bytes.Buffer
	found   bool
	address chan string // holds one
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.buf.Write(b)
	if !o.found {
		// whole lines only: a write may end in the middle of the port
		whole := o.buf.Bytes()[:bytes.LastIndexByte(o.buf.Bytes(), '\n')+1]
		if address := addressPattern.Find(whole); address != nil {
			o.found = true
			o.address <- strings.Replace(string(address), "127.0.0.1", "localhost", 1)
		}
	}
	return len(b), nil
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}
