package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"time"

	"amphi/e2e/testserver"
)

// contender is a server that is compared with others.
type contender struct {
	name          string
	pid           int
	publish, play endpoint
	stop          func() error
}

// result is what a server needed.
type result struct {
	perPacket float64 // ns
	memory    float64 // bytes a viewer
}

// compare runs the clip through our server and through those that the environment names, each with as many viewers, and
// each begun for that.
func compare(ctx context.Context, binary string, viewers int) error {
	program := os.Getenv("PEER_MEDIAMTX")
	for _, other := range []string{"PEER_GALENE", "PEER_LIVEKIT"} {
		if os.Getenv(other) != "" {
			fmt.Fprintf(os.Stderr, "sfubench: %s: that server has no WHEP: not compared\n", other)
		}
	}
	if program == "" {
		return nil
	}
	var results []result
	for _, start := range []func() (*contender, error){
		func() (*contender, error) { return startAmphi(ctx, binary, viewers) },
		func() (*contender, error) { return startMediaMTX(ctx, program) },
	} {
		c, err := start()
		if err != nil {
			return err
		}
		r, err := c.run(ctx, viewers)
		if err = errors.Join(err, c.stop()); err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
		results = append(results, r)
	}
	ours, theirs := results[0], results[1]
	fmt.Printf("sfu.ratio.cpu_per_packet.mediamtx.%d %.2f ours/theirs\n", viewers, ours.perPacket/theirs.perPacket)
	fmt.Printf("sfu.ratio.mem_per_viewer.mediamtx.%d %.2f ours/theirs\n", viewers, ours.memory/theirs.memory)
	return nil
}

// startAmphi runs ours, with a room.
func startAmphi(ctx context.Context, binary string, viewers int) (*contender, error) {
	dir, err := os.MkdirTemp("", "amphi-sfubench")
	if err != nil {
		return nil, err
	}
	server, err := startServer(ctx, binary, dir)
	if err != nil {
		return nil, err
	}
	stop := func() error { return errors.Join(server.Stop(), os.RemoveAll(dir)) }
	room, err := newRoom(ctx, server, "compared", viewers+10)
	if err != nil {
		return nil, errors.Join(err, stop())
	}
	keys := server.Keys()
	return &contender{
		name: "amphi", pid: server.PID(), stop: stop,
		publish: endpoint{server.URL + "/whip", keys.AuthToken(room, "broadcaster", "publisher")},
		play:    endpoint{server.URL + "/whep", keys.AuthToken(room, "viewer-realtime", "viewer")},
	}, nil
}

// run measures one of them.
func (c *contender) run(ctx context.Context, n int) (r result, err error) {
	sent := newSendTimes()
	publisher, err := publish(ctx, c.publish, newTap(sent), layer{rate: clipRate})
	if err != nil {
		return r, err
	}
	defer publisher.close()
	time.Sleep(settle)
	before := testserver.Memory(c.pid)
	var mu sync.Mutex
	var seen []*tap
	var joining sync.WaitGroup
	var failure error
	var sessions []*web
	for range n {
		const rate = 20
		time.Sleep(time.Second / rate)
		joining.Go(func() {
			t := newTap(sent)
			w, err := play(ctx, c.play, t)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				failure = err
				return
			}
			seen, sessions = append(seen, t), append(sessions, w)
		})
	}
	joining.Wait()
	defer func() {
		for _, w := range sessions {
			joining.Go(w.close)
		}
		joining.Wait()
	}()
	if failure != nil {
		return r, failure
	}
	time.Sleep(settle)
	m, err := measure(c.pid, seen, length)
	if err != nil {
		return r, err
	}
	r = result{m.perPacket, float64(testserver.Memory(c.pid)-before) / float64(n)}
	name := fmt.Sprintf("whep.%s.%d", c.name, n)
	m.print(name)
	fmt.Printf("sfu.mem_per_viewer.%s %.3f MiB\n", name, r.memory/(1<<20))
	return r, nil
}

// startMediaMTX runs it with nothing but WebRTC, on loopback.
func startMediaMTX(ctx context.Context, program string) (*contender, error) {
	dir, err := os.MkdirTemp("", "amphi-sfubench")
	if err != nil {
		return nil, err
	}
	page, err := free("tcp")
	if err != nil {
		return nil, err
	}
	media, err := free("udp")
	if err != nil {
		return nil, err
	}
	config := filepath.Join(dir, "mediamtx.yml")
	if err := os.WriteFile(config, []byte("paths:\n  all_others:\n"), 0o600); err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, program, config)
	cmd.Dir, cmd.Stderr = dir, os.Stderr
	cmd.Env = append(os.Environ(), "MTX_LOGLEVEL=error", "MTX_RTSP=no", "MTX_RTMP=no", "MTX_HLS=no", "MTX_SRT=no", "MTX_MOQ=no",
		"MTX_WEBRTCADDRESS="+page, "MTX_WEBRTCLOCALUDPADDRESS="+media, "MTX_WEBRTCIPSFROMINTERFACES=no", "MTX_WEBRTCADDITIONALHOSTS=127.0.0.1")
	if err := pinned(cmd.Start); err != nil {
		return nil, fmt.Errorf("start %s: %w", program, err)
	}
	base := "http://" + page + "/clip/"
	c := &contender{name: "mediamtx", pid: cmd.Process.Pid, publish: endpoint{url: base + "whip"}, play: endpoint{url: base + "whep"}}
	c.stop = func() error {
		err := cmd.Process.Signal(os.Interrupt)
		_ = cmd.Wait() // it says that it was interrupted
		return errors.Join(err, os.RemoveAll(dir))
	}
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		resp, err := http.Get(base)
		if err == nil {
			resp.Body.Close()
			return c, nil
		}
		if time.Now().After(deadline) {
			return nil, errors.Join(fmt.Errorf("%s does not answer: %w", program, err), c.stop())
		}
	}
}

// free is an address of loopback that nobody uses.
func free(kind string) (string, error) {
	if kind == "udp" {
		c, err := net.ListenPacket(kind, "127.0.0.1:0")
		if err != nil {
			return "", err
		}
		return c.LocalAddr().String(), c.Close()
	}
	l, err := net.Listen(kind, "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}
