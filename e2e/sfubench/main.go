// Sfubench measures what forwarding costs: one publisher of 720p30 with 2 Mbit/s and a microphone,
// and more and more viewers. The server is the real binary in a process of its own, on one
// processor; publisher and viewers are this process, on another. It prints one line
// "name value unit" for each figure.
//
//	go run ./e2e/sfubench [-viewers 50,100,200,400] [-joins 30] [-server bin/amphi]
//
// Viewers join as the Go client does. What comes then is counted at their sockets by the clear part
// of its header and thrown away, so that they cost less than the server. Nothing is asked for again.
//
// Needs a built bin/amphi, and as many open files as viewers in this process.
//
// # Where each microsecond goes
//
// By CPU profiles of the server at 200 viewers, 54,500 packets/s, on two processors that were shared
// with other work (load 10; on such a machine a system call takes twice as long as on a quiet one, so
// the shares say more than the times):
//
//	                                              us a packet   share
//	the kernel: sendmsg of a frame's packets          2.2         38 %
//	the kernel: sendto of lone packets, sound         1.7         29 %
//	AES-GCM, in place                                 0.7         12 %
//	our own: munger, header, layers, statistics       0.6         11 %
//	reports of viewers, what is left of pion,
//	signalling, garbage collection                    0.6         10 %
//	in all                                            5.8
//
// In the same hour the same machine took 7.6 us with a subscribe connection of pion's, which sealed and
// batched the same way: 3.4 of them in the kernel, 4.2 above it. Here it is 3.3 and 2.2. Transport's
// BenchmarkBatch, which is sealing and sending and nothing else, takes 2.1.
//
// So two thirds are the kernel's, and nearly all of that is the delivery on loopback, the readers' wake-ups
// with it, which is charged to who sends. What goes to one viewer in one frame is one call already
// (7.6 packets of video). The dearest packets are those of sound: 50 of a viewer's 280 packets a
// second, each in a call of its own, 9 us here where one of a frame costs 2.6. They could only wait for
// company at the price of their delay.
//
// A viewer costs 0.41 MiB (with pion 0.98), of which the greater part is its publish connection, that
// carries nothing: it still is one of pion's, with twenty goroutines and a buffer for each of the
// server's addresses. A join costs 7 to 8 ms (12.5): the DTLS handshakes of two connections 1.4,
// records of the session in SQL 1.2, signalling and its JSON 1.2, pion's publish connection 1.5, the
// garbage collector and the scheduler the rest.
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
)

func main() {
	viewers := flag.String("viewers", "50,100,200,400", "how many viewers to measure with, growing")
	joins := flag.Int("joins", 30, "joins to measure, with ten viewers there")
	binary := flag.String("server", "", "the server's program, to compare two; bin/amphi if empty")
	flag.Parse()
	if err := run(*viewers, *joins, *binary); err != nil {
		fmt.Fprintln(os.Stderr, "sfubench:", err)
		os.Exit(1)
	}
}

func run(list string, joins int, binary string) error {
	var counts []int
	for _, s := range strings.Split(list, ",") {
		n, err := strconv.Atoi(s)
		if err != nil || n < 1 || len(counts) > 0 && n <= counts[len(counts)-1] {
			return fmt.Errorf("-viewers: %q is no growing list of numbers", list)
		}
		counts = append(counts, n)
	}
	dir, err := os.MkdirTemp("", "amphi-sfubench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	// The server is started by a thread that may use the first processor only, and inherits that.
	if err := pin(0); err != nil {
		return err
	}
	server, err := testserver.Start(context.Background(), testserver.Config{Binary: binary, DataDir: dir, Args: []string{"--log-level", "warn", "--node-ip", "127.0.0.1"}})
	if err != nil {
		return err
	}
	if err := pin(1); err != nil {
		return errors.Join(err, server.Stop())
	}
	b := &bench{server: server, sent: newSendTimes()}
	err = b.run(counts, joins)
	b.close()
	return errors.Join(err, server.Stop())
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

func (b *bench) run(counts []int, joins int) error {
	ctx := context.Background()
	var room struct {
		ID string `json:"id"`
	}
	if err := b.server.API(ctx, "POST", "/v2/rooms", map[string]any{"name": "fan-out", "size": counts[len(counts)-1] + joins + 10}, &room); err != nil {
		return err
	}
	b.room = room.ID
	var err error
	if b.publisher, err = b.join(ctx, "broadcaster", "publisher"); err != nil {
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
		m, err := b.measure()
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
	return nil
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
			p, err := b.join(ctx, "viewer-realtime", fmt.Sprintf("viewer-%d-%d", n, i))
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
		time.Sleep(200*time.Millisecond + rand.N(800*time.Millisecond))
		begin := time.Now()
		p, err := b.join(ctx, "viewer-realtime", fmt.Sprintf("joiner-%d", i))
		if err != nil {
			return err
		}
		first, ok := p.seen.firstFrame(ctx)
		p.close()
		if !ok {
			return fmt.Errorf("join %d: no frame came", i)
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
func (b *bench) packets() (n uint64) {
	for _, v := range b.viewers {
		n += v.seen.received()
	}
	return n
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

func (b *bench) measure() (m measurement, err error) {
	for _, v := range b.viewers {
		v.seen.begin()
	}
	pid := b.server.PID()
	start, cpu, kernel, packets := time.Now(), testserver.CPU(pid), testserver.KernelTime(pid), b.packets()
	time.Sleep(length)
	elapsed := time.Since(start)
	used, inKernel, forwarded := testserver.CPU(pid)-cpu, testserver.KernelTime(pid)-kernel, b.packets()-packets
	if forwarded == 0 {
		return m, errors.New("nothing was forwarded")
	}
	m.cores, m.kernel = used.Seconds()/elapsed.Seconds(), inKernel.Seconds()/elapsed.Seconds()
	m.perPacket = float64(used) / float64(forwarded)
	m.rate = float64(forwarded) / elapsed.Seconds()
	var missing, expected uint64
	for _, v := range b.viewers {
		seen := v.seen.end()
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
