// Signalbench measures what a crowd of sockets costs the server: one large room, thousands of
// gallery viewers, one chatter. The server is the real binary in a process of its own; the
// viewers are this process. It prints one line "name value unit" for each figure.
//
// The crowd is told of single messages first, four in a second: each is a write of its own for
// every socket. Then it chats as crowds do, and several messages go out in one write.
//
//	go run ./e2e/signalbench [-peers 5000] [-rate 50] [-chat 20,50]
//
// Needs a built bin/amphi, and as many open files as peers in both processes.
package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"amphi/e2e/testserver"
)

func main() {
	peers := flag.Int("peers", 5000, "viewers in the room")
	rate := flag.Int("rate", 50, "joins in a second")
	chat := flag.String("chat", "20,50", "chat messages in a second; the first is what cpu_per_delivery is measured at")
	lasts := flag.Duration("lasts", 20*time.Second, "how long people chat at each rate")
	flag.Parse()
	var chats []int
	for text := range strings.SplitSeq(*chat, ",") {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			fmt.Fprintf(os.Stderr, "signalbench: -chat %s: whole numbers above 0, please\n", *chat)
			os.Exit(2)
		}
		chats = append(chats, n)
	}
	if err := bench(*peers, *rate, chats, *lasts); err != nil {
		fmt.Fprintln(os.Stderr, "signalbench:", err)
		os.Exit(1)
	}
}

func bench(peers, rate int, chats []int, lasts time.Duration) error {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "amphi-bench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	server, err := testserver.Start(ctx, testserver.Config{DataDir: dir})
	if err != nil {
		return err
	}
	defer server.Stop()
	var room struct {
		ID string `json:"id"`
	}
	if err := server.API(ctx, "POST", "/v2/rooms", map[string]any{"name": "crowd", "large_room": true, "size": peers + 10}, &room); err != nil {
		return err
	}
	address := strings.TrimPrefix(server.URL, "http://")
	keys := server.Keys()

	before := testserver.Memory(server.PID())
	cpuBefore := testserver.CPU(server.PID())
	var crowd []*viewer
	heard := new(delays)
	var took []time.Duration
	var mu sync.Mutex
	var joins sync.WaitGroup
	var failure error
	begin := time.Now()
	for i := range peers {
		time.Sleep(time.Until(begin.Add(time.Duration(i) * time.Second / time.Duration(rate))))
		joins.Go(func() {
			token := keys.AuthToken(room.ID, "hls-viewer", fmt.Sprintf("user-%d", i))
			start := time.Now()
			v, err := join(address, fmt.Sprintf("viewer-%d", i), token, heard)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				failure = err
				return
			}
			crowd, took = append(crowd, v), append(took, time.Since(start))
		})
	}
	joins.Wait()
	if failure != nil {
		return failure
	}
	slices.Sort(took)
	joinCPU := testserver.CPU(server.PID()) - cpuBefore
	fmt.Printf("signal.join.p50 %.1f ms\n", ms(took[len(took)/2]))
	fmt.Printf("signal.join.p99 %.1f ms\n", ms(took[len(took)*99/100]))
	fmt.Printf("signal.join.cpu %.2f ms\n", ms(joinCPU)/float64(peers))
	time.Sleep(8 * time.Second) // the last count is announced, garbage is collected
	fmt.Printf("signal.mem_per_peer %.1f KiB\n", float64(testserver.Memory(server.PID())-before)/1024/float64(peers))

	// Nobody does anything: what the sockets cost by being there.
	idle := testserver.CPU(server.PID())
	time.Sleep(10 * time.Second)
	idle = testserver.CPU(server.PID()) - idle
	fmt.Printf("signal.idle.cores %.4f cores\n", idle.Seconds()/10)

	quiet := idle.Seconds() / 10
	if err := talk(server.PID(), crowd, heard, ".single", 4, 40, quiet); err != nil {
		return err
	}
	for i, n := range chats {
		suffix := ""
		if i > 0 {
			suffix = fmt.Sprintf(".%d", n)
		}
		fmt.Printf("signal.chat%s %d messages/s\n", suffix, n)
		if err := talk(server.PID(), crowd, heard, suffix, n, int(lasts.Seconds()*float64(n)), quiet); err != nil {
			return err
		}
	}
	return nil
}

// talk has the crowd say so many messages, at that rate, and prints what it costs the server besides
// the quiet share of a core that it takes anyway.
func talk(pid int, crowd []*viewer, heard *delays, suffix string, perSecond, messages int, quiet float64) error {
	heard.clear()
	want := uint64(messages) * uint64(len(crowd)-1)
	start, cpu, kernel := time.Now(), testserver.CPU(pid), testserver.KernelTime(pid)
	for i := range messages {
		time.Sleep(time.Until(start.Add(time.Duration(i) * time.Second / time.Duration(perSecond))))
		if err := crowd[i%len(crowd)].say(fmt.Sprintf("message %d of this evening, as long as people write", i)); err != nil {
			return err
		}
	}
	for deadline := time.Now().Add(30 * time.Second); heard.count() < want && time.Now().Before(deadline); {
		time.Sleep(50 * time.Millisecond)
	}
	spent := testserver.CPU(pid) - cpu - time.Duration(quiet*float64(time.Since(start)))
	kernel = testserver.KernelTime(pid) - kernel
	got := heard.count()
	fmt.Printf("signal.lost%s %d count\n", suffix, int64(want)-int64(got))
	fmt.Printf("signal.chat_delay%s.p50 %d ms\n", suffix, heard.quantile(0.5))
	fmt.Printf("signal.chat_delay%s.p99 %d ms\n", suffix, heard.quantile(0.99))
	fmt.Printf("signal.cpu_per_delivery%s %.2f us\n", suffix, float64(spent.Microseconds())/float64(got))
	fmt.Printf("signal.cpu_per_delivery%s.kernel %.2f us\n", suffix, float64(kernel.Microseconds())/float64(got))
	return nil
}

// delays counts the messages that came, by how many milliseconds after they were said.
type delays [4096]atomic.Uint64

func (d *delays) add(ms int64) { d[min(max(ms, 0), int64(len(d)-1))].Add(1) }

func (d *delays) clear() {
	for i := range d {
		d[i].Store(0)
	}
}

func (d *delays) count() (n uint64) {
	for i := range d {
		n += d[i].Load()
	}
	return n
}

func (d *delays) quantile(q float64) int {
	left := uint64(q * float64(d.count()))
	for i := range d {
		if n := d[i].Load(); n < left {
			left -= n
		} else {
			return i
		}
	}
	return len(d)
}

// saidAt finds the time in a frame of chat, in milliseconds.
func saidAt(frame []byte) (ms int64) {
	_, after, _ := bytes.Cut(frame, []byte(`"timestamp":`))
	for len(after) > 0 && after[0] >= '0' && after[0] <= '9' {
		ms, after = ms*10+int64(after[0]-'0'), after[1:]
	}
	return ms
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// viewer is a socket that costs this process as little as possible: it looks at no more of a
// frame than is needed to count chat.
type viewer struct {
	conn   net.Conn
	heard  *delays
	joined chan error
}

func join(address, peer, token string, heard *delays) (*viewer, error) {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return nil, err
	}
	query := url.Values{"peer": {peer}, "token": {token}, "user_agent_v2": {"bench"}}
	fmt.Fprintf(conn, "GET /ws?%s HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n", query.Encode(), address)
	v := &viewer{conn: conn, heard: heard, joined: make(chan error, 1)}
	r := bufio.NewReaderSize(conn, 1024)
	status, err := r.ReadString('\n')
	if err != nil || !strings.Contains(status, "101") {
		conn.Close()
		return nil, fmt.Errorf("handshake: %q %v", status, err)
	}
	for line := status; line != "\r\n"; {
		if line, err = r.ReadString('\n'); err != nil {
			return nil, err
		}
	}
	go v.read(r)
	if err := v.send(map[string]any{"method": "join", "id": "1", "jsonrpc": "2.0", "params": map[string]any{"name": peer, "data": ""}}); err != nil {
		return nil, err
	}
	return v, <-v.joined
}

func (v *viewer) say(text string) error {
	return v.send(map[string]any{"method": "broadcast", "id": "2", "jsonrpc": "2.0",
		"params": map[string]any{"info": map[string]any{"message": text, "type": "chat"}}})
}

// send writes a masked text frame (RFC 6455, 5.2) whose mask is zero.
func (v *viewer) send(message any) error {
	body, err := json.Marshal(message)
	if err != nil {
		return err
	}
	return v.write(0x1, body)
}

func (v *viewer) write(opcode byte, body []byte) error {
	frame := []byte{0x80 | opcode}
	if len(body) < 126 {
		frame = append(frame, 0x80|byte(len(body)))
	} else {
		frame = binary.BigEndian.AppendUint16(append(frame, 0x80|126), uint16(len(body)))
	}
	_, err := v.conn.Write(append(append(frame, 0, 0, 0, 0), body...))
	return err
}

func (v *viewer) read(r *bufio.Reader) {
	told := false
	tell := func(err error) {
		if !told {
			told = true
			v.joined <- err
		}
	}
	var head [10]byte
	body := make([]byte, 0, 512)
	for {
		if _, err := io.ReadFull(r, head[:2]); err != nil {
			tell(err)
			return
		}
		n := int(head[1] & 0x7f)
		switch n {
		case 126:
			if _, err := io.ReadFull(r, head[:2]); err != nil {
				tell(err)
				return
			}
			n = int(binary.BigEndian.Uint16(head[:2]))
			head[0] = 0x81
		case 127:
			if _, err := io.ReadFull(r, head[:8]); err != nil {
				tell(err)
				return
			}
			n = int(binary.BigEndian.Uint64(head[:8]))
			head[0] = 0x81
		}
		body = slices.Grow(body[:0], n)[:n]
		if _, err := io.ReadFull(r, body); err != nil {
			tell(err)
			return
		}
		switch {
		case head[0]&0xf == 0x9:
			if err := v.write(0xa, body); err != nil {
				return
			}
		case bytes.Contains(body, []byte(`"on-broadcast"`)):
			v.heard.add(time.Now().UnixMilli() - saidAt(body))
		case bytes.Contains(body, []byte(`"id":"1"`)):
			if bytes.Contains(body, []byte(`"error"`)) {
				tell(fmt.Errorf("join: %s", body))
			}
			tell(nil)
		case bytes.Contains(body, []byte(`"on-error"`)):
			tell(fmt.Errorf("refused: %s", body))
		}
	}
}
