package network

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"amphi/e2e/testserver"
)

// Roles of the Starter Kit.
const (
	broadcaster = "broadcaster"
	viewer      = "viewer-realtime"
)

// httpPort and mediaPort are the server's on its host.
const (
	httpPort  = 8080
	mediaPort = 7882
)

// within bounds every wait: far more than anything takes on a busy machine.
const within = 40 * time.Second

// lab is a server on a host of its own.
type lab struct {
	t      *testing.T
	net    *Network
	host   *Host
	server *testserver.Server
	// environment is added to that of the Go clients.
	environment []string
	tcp         bool // they connect to TCP candidates, too
}

// newLab runs a server until the test ends. args, if not nil, are flags for a server on that host.
func newLab(t *testing.T, args func(*Host) []string) *lab {
	t.Helper()
	if testing.Short() {
		t.Skip("tests the whole system, left out by -short")
	}
	n := newNetwork(t)
	host := newHost(t, n, "server")
	flags := []string{"--addr", fmt.Sprintf("%v:%d", host.IPv4(), httpPort), "--rtc-port", fmt.Sprint(mediaPort), "--rtc-loopback=false"}
	if args != nil {
		flags = append(flags, args(host)...)
	}
	client := host.Client()
	server, err := testserver.Start(context.Background(), testserver.Config{
		Binary: *serverBinary, DataDir: t.TempDir(), Prefix: host.Prefix(), Client: client,
		Args: flags,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		client.CloseIdleConnections()
		testserver.End(t, server)
	})
	return &lab{t: t, net: n, host: host, server: server}
}

// room makes a room of the Starter Kit.
func (l *lab) room(name string) *testserver.Room {
	l.t.Helper()
	room, err := l.server.NewRoom(l.t.Context(), name, "")
	if err != nil {
		l.t.Fatal(err)
	}
	return room
}

// layered is a room whose broadcasters send simulcast: the whole picture, and one of half the width.
func (l *lab) layered(name string) *testserver.Room {
	l.t.Helper()
	type object = map[string]any
	var templates struct{ Data []object }
	if err := l.server.API(l.t.Context(), "GET", "/v2/templates", nil, &templates); err != nil {
		l.t.Fatal(err)
	}
	template := templates.Data[0]
	layer := func(rid string, scale, bitRate int) object {
		return object{"rid": rid, "scaleResolutionDownBy": scale, "maxBitrate": bitRate, "maxFramerate": pictureRate}
	}
	template["roles"].(object)[broadcaster].(object)["publishParams"].(object)["simulcast"] = object{
		"video": object{"layers": []object{layer("f", 1, 700), layer("h", 2, 150)}},
	}
	var made struct{ ID string }
	if err := l.server.API(l.t.Context(), "POST", "/v2/templates", object{"name": name, "roles": template["roles"]}, &made); err != nil {
		l.t.Fatal(err)
	}
	room, err := l.server.NewRoom(l.t.Context(), name, made.ID)
	if err != nil {
		l.t.Fatal(err)
	}
	return room
}

// person is somebody on a host of their own.
type person struct {
	*Host
	t     *testing.T
	cmd   *exec.Cmd
	stdin io.Closer
	view

	// Also guarded by the view's lock.
	joined bool
	failed string
}

// enter has somebody join a room; broadcasters publish.
func (l *lab) enter(room *testserver.Room, role, name string) *person {
	l.t.Helper()
	return l.enterFrom(newHost(l.t, l.net, name), room, role)
}

// enterFrom has somebody join a room from a host that is there.
func (l *lab) enterFrom(host *Host, room *testserver.Room, role string) *person {
	l.t.Helper()
	todo, err := json.Marshal(task{
		URL: l.server.URL, Token: l.server.Keys().AuthToken(room.ID, role, host.Name), Name: host.Name, Publish: role == broadcaster, TCP: l.tcp,
	})
	if err != nil {
		l.t.Fatal(err)
	}
	p := &person{Host: host, t: l.t, view: view{t: l.t, who: host.Name}}
	p.cmd = host.Command(context.Background(), os.Args[0])
	p.cmd.Env = append(append(os.Environ(), l.environment...), taskVariable+"="+string(todo))
	log := new(strings.Builder)
	p.cmd.Stderr = log
	stdout, err := p.cmd.StdoutPipe()
	if err == nil {
		p.stdin, err = p.cmd.StdinPipe()
	}
	if err == nil {
		err = p.cmd.Start()
	}
	if err != nil {
		l.t.Fatal(err)
	}
	read := make(chan struct{})
	go func() {
		defer close(read)
		p.listen(stdout)
	}()
	l.t.Cleanup(func() {
		_ = p.cmd.Process.Kill() // behind a firewall a polite leave takes a minute
		<-read
		_ = p.cmd.Wait()
		if l.t.Failed() {
			testserver.Keep(l.t, host.Name+".log", []byte(fmt.Sprintln(p.told)+log.String()))
		}
	})
	return p
}

// listen takes the events of the process until it ends.
func (p *person) listen(events io.Reader) {
	lines := bufio.NewScanner(events)
	for lines.Scan() {
		var e event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			e = event{Failed: fmt.Sprintf("says %q", lines.Text())}
		}
		at := time.UnixMicro(e.At)
		p.view.mu.Lock()
		switch {
		case e.Picture != nil:
			p.shown = append(p.shown, shown{*e.Picture, at})
		case e.Told != "":
			p.told = append(p.told, told{e.Told, e.About, at})
		case e.Joined:
			p.joined = true
		case e.Failed != "":
			p.failed = e.Failed
		}
		p.view.mu.Unlock()
	}
}

// isIn waits until somebody has joined.
func (p *person) isIn() {
	p.t.Helper()
	for deadline := time.Now().Add(within); ; time.Sleep(20 * time.Millisecond) {
		p.view.mu.Lock()
		joined, failed := p.joined, p.failed
		p.view.mu.Unlock()
		switch {
		case joined:
			return
		case failed != "":
			p.t.Fatalf("%s cannot join: %s", p.Name, failed)
		case time.Now().After(deadline):
			p.t.Fatalf("%s has not joined after %v", p.Name, within)
		}
	}
}
