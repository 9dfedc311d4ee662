// Sfubench measures what forwarding costs: one publisher of 720p30 with 2 Mbit/s and a microphone,
// and more and more viewers. The server is the real binary in a process of its own, on one
// processor; publisher and viewers are this process, on another. It prints one line
// "name value unit" for each figure.
//
//	go run ./e2e/sfubench [-viewers 50,100,200,400] [-joins 200] [-meeting 10] [-hold 1000] [-server bin/amphi]
//
// Then there is a meeting where everybody sends video in three layers and sees one of the others large, three of middle
// size and the rest small; and a crowd (-hold) that stays for a minute, which is more than one processor carries: its
// figures say what becomes of those who are there.
//
// Another server is measured in the same run, with the same clip and viewers, if an environment variable names its
// program: PEER_MEDIAMTX. Then publisher and viewers are those of WHIP and WHEP, which both servers speak, and each figure
// is followed by the ratio, ours to theirs. Galene (no WHEP) and LiveKit (neither) speak protocols of their own, which
// nothing here does.
//
// Viewers join as the Go client does. What comes then is counted at their sockets by the clear part
// of its header and thrown away, so that they cost less than the server. Nothing is asked for again.
//
// Needs a built bin/amphi, and as many open files as viewers in this process.
//
// # Where each microsecond goes
//
// By a profile (perf) of the server with 200 viewers, 54,400 packets/s in 16,000 calls, on one processor:
//
//	                                                  us a packet   share
//	the kernel: sendmsg, of a frame or of a sound         2.8        37 %
//	AES-GCM, in place                                     0.8        11 %
//	our own: munger, header, layers, statistics           0.6         8 %
//	what comes in: checks of ICE, reports, and answers    0.6         8 %
//	Go's monitor thread, which looks every 20 us          0.7        10 %
//	pion's publish connections, signalling, scheduling,
//	garbage collection                                    2.1        26 %
//	in all                                                7.6
//
// Most of sendmsg is the delivery on loopback with the readers' wake-ups, each of which is an interrupt to another
// processor: 5 us for a lone packet, 10 for a frame of seven. With 400 viewers, who find their process awake, a packet costs
// 5.5 in all. Sound is dearest: 50 of a viewer's 280 packets a second, each in a call of its own. They could only wait for
// company at the price of their delay.
//
// The same 200 viewers by WHEP, who have one connection each, not two: 6.4 us, and 0.145 MiB a viewer (0.42 as SDK). In the
// same run MediaMTX takes 15.6 us and 4.2 MiB: the ratio is 0.41. Absolute figures are this machine's: by
// others' measurements MediaMTX takes 7.4 us for this, so ours would be 3.0 there.
//
// A viewer's key frame is 50 packets; 200 of them are 10,000, which take 60 ms of one processor. That is what the 99th
// percentile of video shows.
//
// The greater part of a viewer's 0.42 MiB is its publish connection, which carries nothing: it still is one of pion's, with
// twenty goroutines and a buffer for each of the server's addresses. A join costs 7 to 8 ms: the DTLS handshakes of two
// connections 1.4, records of the session in SQL 1.2, signalling and its JSON 1.2, pion's publish connection 1.5, the garbage
// collector and the scheduler the rest.
//
// A thousand viewers on one processor all stay in the room, and get 113,000 packets/s of the 280,000 there are.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"amphi/e2e/testserver"
)

const (
	settle = 3 * time.Second  // from the last join to the measurement
	length = 10 * time.Second // of a measurement
	held   = time.Minute      // of that of a crowd
)

func main() {
	viewers := flag.String("viewers", "50,100,200,400", "how many viewers to measure with, growing")
	var o options
	flag.IntVar(&o.joins, "joins", 200, "joins to measure, with ten viewers there")
	flag.IntVar(&o.meeting, "meeting", 10, "people in the meeting where everybody sends; 0: there is none")
	flag.IntVar(&o.hold, "hold", 1000, "viewers to hold for a minute; 0: none")
	flag.IntVar(&o.compared, "compared", 100, "viewers of each server that is compared")
	flag.StringVar(&o.binary, "server", "", "the server's program, to compare two; bin/amphi if empty")
	flag.Parse()
	if err := run(*viewers, o); err != nil {
		fmt.Fprintln(os.Stderr, "sfubench:", err)
		os.Exit(1)
	}
}

// options say what to measure.
type options struct {
	counts                         []int
	joins, meeting, hold, compared int
	binary                         string
}

func run(list string, o options) error {
	counts := o.counts
	for _, s := range strings.FieldsFunc(list, func(r rune) bool { return r == ',' }) {
		n, err := strconv.Atoi(s)
		if err != nil || n < 1 || len(counts) > 0 && n <= counts[len(counts)-1] {
			return fmt.Errorf("-viewers: %q is no growing list of numbers", list)
		}
		counts = append(counts, n)
	}
	o.counts = counts
	dir, err := os.MkdirTemp("", "amphi-sfubench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	server, err := startServer(context.Background(), o.binary, dir)
	if err != nil {
		return err
	}
	b := &bench{server: server, sent: newSendTimes()}
	err = b.run(o)
	b.close()
	if err == nil && o.meeting > 0 {
		err = b.meeting(context.Background(), o.meeting)
	}
	if err = errors.Join(err, server.Stop()); err != nil {
		return err
	}
	return compare(context.Background(), o.binary, o.compared)
}

// startServer starts ours on the first processor.
func startServer(ctx context.Context, binary, dir string) (server *testserver.Server, err error) {
	err = pinned(func() (err error) {
		server, err = testserver.Start(ctx, testserver.Config{Binary: binary, DataDir: dir, Args: []string{"--log-level", "warn", "--node-ip", "127.0.0.1"}})
		return err
	})
	return server, err
}

// pinned has a server started by threads that may use the first processor only, which it inherits. This process keeps to the
// other one.
func pinned(start func() error) error {
	if err := pin(0); err != nil {
		return err
	}
	err := start()
	return errors.Join(err, pin(1))
}

// bench is a room with a publisher and viewers.
type bench struct {
	server    *testserver.Server
	room      string
	sent      *sendTimes
	publisher *participant

	mu      sync.Mutex
	viewers []*participant
}

func (b *bench) run(o options) error {
	ctx := context.Background()
	counts, joins := o.counts, o.joins
	if len(counts) == 0 {
		return nil
	}
	var err error
	if b.room, err = newRoom(ctx, b.server, "fan-out", max(counts[len(counts)-1], o.hold)+joins+10); err != nil {
		return err
	}
	if b.publisher, err = b.join(ctx, visit{role: "broadcaster", name: "publisher", room: b.room, all: true}); err != nil {
		return err
	}
	if err := b.grow(ctx, min(10, counts[0])); err != nil {
		return err
	}
	if err := b.firstFrames(ctx, joins); err != nil {
		return err
	}
	var memory, there int
	for i, n := range counts {
		cpu, packets, before := testserver.CPU(b.server.PID()), b.packets(), len(b.viewers)
		if err := b.grow(ctx, n); err != nil {
			return err
		}
		joined, forwarded := testserver.CPU(b.server.PID())-cpu, b.packets()-packets
		time.Sleep(settle)
		m, err := measure(b.server.PID(), taps(b.viewers), length)
		if err != nil {
			return err
		}
		m.print(strconv.Itoa(n))
		if n > before {
			own := joined - time.Duration(float64(forwarded)*m.perPacket)
			fmt.Printf("sfu.join_cpu.%d %.2f ms\n", n, own.Seconds()*1000/float64(n-before))
		}
		now := int(testserver.Memory(b.server.PID()))
		if i > 0 {
			fmt.Printf("sfu.mem_per_viewer.%d %.3f MiB\n", n, float64(now-memory)/float64(n-there)/(1<<20))
		}
		memory, there = now, n
	}
	if o.hold <= there {
		return nil
	}
	if err := b.grow(ctx, o.hold); err != nil {
		fmt.Fprintln(os.Stderr, "sfubench: not everybody gets in:", err)
	}
	time.Sleep(settle)
	m, err := measure(b.server.PID(), taps(b.viewers), held)
	if err != nil {
		return err
	}
	name := "held." + strconv.Itoa(o.hold)
	fmt.Printf("sfu.viewers.%s %d count\n", name, len(b.viewers))
	fmt.Printf("sfu.memory.%s %.0f MiB\n", name, float64(testserver.Memory(b.server.PID()))/(1<<20))
	m.print(name)
	return nil
}

// newRoom makes a room where viewers are not told of each other, as hosts of so many have it. Else a thousand who join are
// half a million messages, which this process would decode in the place of taking packets.
func newRoom(ctx context.Context, server *testserver.Server, name string, size int) (id string, err error) {
	var room struct {
		ID string `json:"id"`
	}
	err = server.API(ctx, "POST", "/v2/rooms", map[string]any{"name": name, "size": size, "large_room": true}, &room)
	return room.ID, err
}

func (b *bench) close() {
	var all sync.WaitGroup
	for _, p := range append(b.viewers, b.publisher) {
		if p != nil {
			all.Go(p.close)
		}
	}
	all.Wait()
}

// grow lets viewers join, 20 in a second, until there are so many.
func (b *bench) grow(ctx context.Context, n int) error {
	const rate = 20
	var joining sync.WaitGroup
	var failure error
	begin := time.Now()
	for i := range n - len(b.viewers) {
		time.Sleep(time.Until(begin.Add(time.Duration(i) * time.Second / rate)))
		joining.Go(func() {
			p, err := b.join(ctx, visit{role: "viewer-realtime", name: fmt.Sprintf("viewer-%d-%d", n, i), room: b.room, all: true})
			b.mu.Lock()
			defer b.mu.Unlock()
			if err != nil {
				failure = err
				return
			}
			b.viewers = append(b.viewers, p)
		})
	}
	joining.Wait()
	return failure
}

// firstFrames measures from the start of a join to the last packet of the first frame.
func (b *bench) firstFrames(ctx context.Context, joins int) error {
	var took []time.Duration
	late := 0
	for i := range joins {
		time.Sleep(rand.N(600 * time.Millisecond))
		begin := time.Now()
		p, err := b.join(ctx, visit{role: "viewer-realtime", name: fmt.Sprintf("joiner-%d", i), room: b.room, all: true})
		if err != nil {
			return err
		}
		first, ok := p.seen.firstFrame(ctx)
		packets := p.seen.received()
		p.close()
		if !ok {
			return fmt.Errorf("join %d: no frame came, of %d packets", i, packets)
		}
		took = append(took, first.Sub(begin))
		if first.Sub(begin) > 500*time.Millisecond {
			late++
		}
	}
	if len(took) == 0 {
		return nil
	}
	slices.Sort(took)
	fmt.Printf("sfu.join_first_frame.p50 %.1f ms\n", took[len(took)/2].Seconds()*1000)
	fmt.Printf("sfu.join_first_frame.p95 %.1f ms\n", took[len(took)*95/100].Seconds()*1000)
	fmt.Printf("sfu.join_first_frame.max %.1f ms\n", took[len(took)-1].Seconds()*1000)
	fmt.Printf("sfu.join_first_frame.over_500ms %d count\n", late)
	return nil
}

// packets is how many all viewers have received.
func (b *bench) packets() uint64 { return packets(taps(b.viewers)) }

func packets(viewers []*tap) (n uint64) {
	for _, v := range viewers {
		n += v.received()
	}
	return n
}

func taps(people []*participant) (all []*tap) {
	for _, p := range people {
		all = append(all, p.seen)
	}
	return all
}

// measurement is what was seen with a number of viewers.
type measurement struct {
	cores     float64
	kernel    float64 // part of cores
	perPacket float64 // nanoseconds
	rate      float64 // packets a second
	gaps      float64 // share of the sequence numbers
	audio     []time.Duration
	video     []time.Duration
}

// measure looks at what viewers of a server get for so long.
func measure(pid int, viewers []*tap, length time.Duration) (m measurement, err error) {
	for _, v := range viewers {
		v.begin()
	}
	start, cpu, kernel, before := time.Now(), testserver.CPU(pid), testserver.KernelTime(pid), packets(viewers)
	time.Sleep(length)
	elapsed := time.Since(start)
	used, inKernel, forwarded := testserver.CPU(pid)-cpu, testserver.KernelTime(pid)-kernel, packets(viewers)-before
	if forwarded == 0 {
		return m, errors.New("nothing was forwarded")
	}
	m.cores, m.kernel = used.Seconds()/elapsed.Seconds(), inKernel.Seconds()/elapsed.Seconds()
	m.perPacket = float64(used) / float64(forwarded)
	m.rate = float64(forwarded) / elapsed.Seconds()
	var missing, expected uint64
	for _, v := range viewers {
		seen := v.end()
		missing, expected = missing+seen.missing, expected+seen.expected
		m.audio, m.video = append(m.audio, seen.audio...), append(m.video, seen.video...)
	}
	m.gaps = float64(missing) / float64(max(expected, 1))
	slices.Sort(m.audio)
	slices.Sort(m.video)
	return m, nil
}

func (m *measurement) print(name string) {
	fmt.Printf("sfu.cpu_per_packet.%s %.2f us\n", name, m.perPacket/1000)
	fmt.Printf("sfu.cores.%s %.3f cores\n", name, m.cores)
	fmt.Printf("sfu.cores.kernel.%s %.3f cores\n", name, m.kernel)
	fmt.Printf("sfu.packets.%s %.0f packets/s\n", name, m.rate)
	fmt.Printf("sfu.gaps.%s %.3f %%\n", name, 100*m.gaps)
	for _, d := range []struct {
		name string
		all  []time.Duration
	}{{"audio", m.audio}, {"video", m.video}} {
		if len(d.all) > 0 {
			fmt.Printf("sfu.%s.p50.%s %.2f ms\n", d.name, name, d.all[len(d.all)/2].Seconds()*1000)
			fmt.Printf("sfu.%s.p99.%s %.2f ms\n", d.name, name, d.all[len(d.all)*99/100].Seconds()*1000)
		}
	}
}
