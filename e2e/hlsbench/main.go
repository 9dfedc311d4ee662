// Hlsbench measures what players of a composed stream cost the server. The server and its media
// worker are the real binaries; one person is on stage with a moving picture; the players are this
// process. It prints one line "name value unit" for each figure.
//
// A player of the low-latency variant asks for the playlist with the next part, which the server
// answers when that part is there, and then for the part: ten requests a second. One of the plain
// variant asks for the playlist twice a second, and for segments. All sound is in the picture's
// files, so that there is one playlist to follow.
//
//	go run ./e2e/hlsbench [-players 50,200,500] [-lasts 20s] [-plain]
//
// Needs built bin/amphi and bin/amphi-compositor, ffmpeg, and as many open files as players in
// both processes.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/pion/webrtc/v4"

	"amphi/e2e/testserver"
	"amphi/wasm/client"
	"amphi/wasm/rtc"
)

func main() {
	players := flag.String("players", "50,200,500", "how many players, one measurement after the other")
	lasts := flag.Duration("lasts", 20*time.Second, "how long each takes")
	plain := flag.Bool("plain", false, "players that know nothing of low latency, too")
	flag.Parse()
	var counts []int
	for text := range strings.SplitSeq(*players, ",") {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			fmt.Fprintf(os.Stderr, "hlsbench: -players %s: whole numbers above 0, please\n", *players)
			os.Exit(2)
		}
		counts = append(counts, n)
	}
	if err := bench(counts, *lasts, *plain); err != nil {
		fmt.Fprintln(os.Stderr, "hlsbench:", err)
		os.Exit(1)
	}
}

func bench(counts []int, lasts time.Duration, plain bool) error {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "amphi-bench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	server, err := testserver.Start(ctx, testserver.Config{DataDir: filepath.Join(dir, "data")})
	if err != nil {
		return err
	}
	defer server.Stop()
	room, err := server.NewRoom(ctx, "bench", "")
	if err != nil {
		return err
	}
	actor, err := act(ctx, server, room.ID, dir)
	if err != nil {
		return err
	}
	defer actor.Close()
	address, err := goLive(ctx, server, room.ID)
	if err != nil {
		return err
	}
	pid := server.PID()
	before := testserver.CPU(pid)
	time.Sleep(lasts / 2)
	fmt.Printf("hls.cores.0 %.4f cores\n", (testserver.CPU(pid)-before).Seconds()/(lasts/2).Seconds())
	for _, kind := range []struct {
		name string
		run  func(context.Context, *http.Client, string, *seen) error
		on   bool
	}{{"ll", followParts, true}, {"plain", followSegments, plain}} {
		for _, n := range counts {
			if !kind.on {
				continue
			}
			if err := crowd(ctx, kind.name, kind.run, address, n, lasts, pid); err != nil {
				return err
			}
		}
	}
	return nil
}

// act brings somebody on stage who films a test picture.
func act(ctx context.Context, server *testserver.Server, room, dir string) (*client.Client, error) {
	clip := filepath.Join(dir, "clip.ivf")
	cmd := exec.CommandContext(ctx, "ffmpeg", "-v", "error", "-nostdin", "-f", "lavfi", "-i", "testsrc2=size=1280x720:rate=30,noise=alls=12:allf=t",
		"-t", "10", "-c:v", "libvpx", "-deadline", "realtime", "-cpu-used", "8", "-b:v", "2500k", "-g", "300", clip)
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("the clip: ffmpeg: %w: %s", err, out)
	}
	c := client.New(client.Config{
		Engine:  &rtc.Engine{Loopback: true, Settings: func(e *webrtc.SettingEngine) { e.SetIPFilter(net.IP.IsLoopback) }},
		Capture: &rtc.Capture{Video: rtc.File(clip), Audio: rtc.Silence},
		Log:     slog.New(slog.DiscardHandler),
	})
	err := c.Join(ctx, client.JoinConfig{
		AuthToken: server.Keys().AuthToken(room, "broadcaster", "actor"), UserName: "Actor", InitEndpoint: server.URL,
	})
	if err != nil {
		c.Close()
		return nil, fmt.Errorf("join: %w", err)
	}
	return c, nil
}

// goLive starts the stream and returns the address of its best rendition's playlist, once it plays.
func goLive(ctx context.Context, server *testserver.Server, room string) (string, error) {
	var stream struct {
		Playback struct {
			URL string `json:"url"`
		} `json:"playback"`
	}
	start := time.Now()
	if err := server.API(ctx, "POST", "/v2/live-streams/room/"+room+"/start", struct{}{}, &stream); err != nil {
		return "", err
	}
	fmt.Printf("hls.start %.0f ms\n", ms(time.Since(start)))
	master := stream.Playback.URL
	if i := strings.Index(master, "/beam/"); i >= 0 {
		master = server.URL + master[i:]
	}
	for deadline := start.Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		text, err := get(ctx, http.DefaultClient, master)
		if err != nil {
			continue
		}
		for line := range strings.Lines(text) {
			if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
				playlist := beside(master, line)
				if p, err := load(ctx, http.DefaultClient, playlist); err == nil && len(p.parts) > 0 {
					fmt.Printf("hls.playable %.0f ms\n", ms(time.Since(start)))
					return playlist, nil
				}
			}
		}
	}
	return "", fmt.Errorf("%s cannot be played", master)
}

// seen is what a player saw.
type seen struct {
	requests int
	bytes    int64
	edges    []time.Duration // between the end of a file's pictures and its arrival
	longest  time.Duration   // between two files
	last     time.Time
}

func (s *seen) take(n int, end time.Time) {
	now := time.Now()
	if !s.last.IsZero() {
		s.longest = max(s.longest, now.Sub(s.last))
	}
	s.last = now
	s.bytes += int64(n)
	s.edges = append(s.edges, now.Sub(end))
}

// crowd has n players play for a while.
func crowd(ctx context.Context, name string, play func(context.Context, *http.Client, string, *seen) error, address string, n int, lasts time.Duration, pid int) error {
	const come = 3 * time.Second // until all are there
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	web := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: n, DisableCompression: true}}
	defer web.CloseIdleConnections()
	all := make([]seen, n)
	failed := make(chan error, n)
	var running sync.WaitGroup
	for i := range all {
		running.Go(func() {
			time.Sleep(time.Duration(i) * come / time.Duration(n))
			if err := play(ctx, web, address, &all[i]); err != nil && ctx.Err() == nil {
				failed <- fmt.Errorf("player %d: %w", i, err)
			}
		})
	}
	time.Sleep(come + 2*time.Second)
	began, cpu := time.Now(), testserver.CPU(pid)
	time.Sleep(lasts)
	used, elapsed, memory := testserver.CPU(pid)-cpu, time.Since(began), testserver.Memory(pid)
	cancel()
	running.Wait()
	select {
	case err := <-failed:
		return err
	default:
	}
	var edges []time.Duration
	var sum seen
	stood := 0
	for i := range all {
		s := &all[i]
		sum.requests += s.requests
		sum.bytes += s.bytes
		edges = append(edges, s.edges...)
		if s.longest > 3*time.Second {
			stood++
		}
	}
	if len(edges) == 0 {
		return fmt.Errorf("%d players got nothing", n)
	}
	slices.Sort(edges)
	cores := used.Seconds() / elapsed.Seconds()
	whole := (come/2 + 2*time.Second + lasts).Seconds() // that a player was there
	fmt.Printf("hls.%s.cpu_per_player.%d %.4f %%\n", name, n, 100*cores/float64(n))
	fmt.Printf("hls.%s.cores.%d %.3f cores\n", name, n, cores)
	fmt.Printf("hls.%s.requests.%d %.0f requests/s\n", name, n, float64(sum.requests)/whole)
	fmt.Printf("hls.%s.rate.%d %.2f Mbit/s\n", name, n, float64(sum.bytes)*8/1e6/whole/float64(n))
	fmt.Printf("hls.%s.edge.p50.%d %.1f ms\n", name, n, ms(edges[len(edges)/2]))
	fmt.Printf("hls.%s.edge.p99.%d %.1f ms\n", name, n, ms(edges[len(edges)*99/100]))
	fmt.Printf("hls.%s.stood.%d %d players\n", name, n, stood)
	fmt.Printf("hls.%s.mem.%d %.0f MiB\n", name, n, float64(memory)/(1<<20))
	return nil
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

func get(ctx context.Context, web *http.Client, address string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return "", err
	}
	resp, err := web.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return "", err
	}
	if resp.StatusCode != http.StatusOK {
		return "", fmt.Errorf("%s: status %d", address, resp.StatusCode)
	}
	return string(body), nil
}
