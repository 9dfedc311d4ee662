package jsbridge

import (
	"context"
	"errors"
	"strings"
	"syscall/js"
	"testing"
	"time"
)

// fakeSockets stands for the browser's WebSocket, which Node 20 does not have: each socket opens unless its address says
// otherwise, and sends back what it is sent.
const fakeSockets = `class extends EventTarget {
	constructor(url) {
		super();
		if (url === 'bad') throw new SyntaxError('bad address');
		this.readyState = 0;
		this.bufferedAmount = 0;
		setTimeout(() => { this.readyState = url === 'refused' ? 3 : 1; this.dispatchEvent(this.readyState === 1 ? new Event('open') : this.closing(1006, '')); });
	}
	closing(code, reason) { return Object.assign(new Event('close'), { code, reason }); }
	send(data) {
		if (data === 'flood') for (let i = 0; i < 10; i++) this.say('x'.repeat(100));
		else if (data === 'bye') { this.readyState = 3; this.dispatchEvent(this.closing(1001, 'going')); }
		else if (data === 'binary') { this.say(new Uint8Array(3)); this.say('after'); }
		else this.say(data);
	}
	say(data) { this.dispatchEvent(Object.assign(new Event('message'), { data })); }
	close(code) { this.readyState = 3; this.closed = code ?? 'now'; }
}`

func TestSocket(t *testing.T) {
	if js.Global().Get("WebSocket").Truthy() {
		defer js.Global().Set("WebSocket", js.Global().Get("WebSocket"))
	} else {
		defer js.Global().Delete("WebSocket")
	}
	js.Global().Set("WebSocket", eval(t, fakeSockets))
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	for url, want := range map[string]string{"bad": "bad address", "refused": "1006"} {
		if _, err := Dial(ctx, url, 500); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", url, err)
		}
	}
	dial := func() *Socket {
		t.Helper()
		s, err := Dial(ctx, "good", 500)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	send := func(s *Socket, text string) {
		t.Helper()
		if err := s.Write(ctx, []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	s := dial()
	for _, text := range []string{"one", "two"} {
		send(s, text)
	}
	send(s, "binary") // is passed over
	for _, want := range []string{"one", "two", "after"} {
		if got, err := s.Read(ctx); err != nil || string(got) != want {
			t.Errorf("%q %v, want %q", got, err, want)
		}
	}
	short, stop := context.WithTimeout(ctx, 10*time.Millisecond)
	defer stop()
	if _, err := s.Read(short); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	send(s, "bye")
	if _, err := s.Read(ctx); !errors.Is(err, ErrSocketClosed) || !strings.Contains(err.Error(), "1001 going") {
		t.Error(err)
	}
	if err := s.Write(ctx, []byte("x")); !errors.Is(err, ErrSocketClosed) {
		t.Error(err)
	}
	s.CloseNow()
	s.CloseNow()

	s = dial() // a flood ends it, and what came before can be read
	send(s, "flood")
	read := 0
	for ; ; read++ {
		if _, err := s.Read(ctx); err != nil {
			if !errors.Is(err, ErrSocketClosed) {
				t.Error(err)
			}
			break
		}
	}
	if read != 5 {
		t.Errorf("%d messages of 100 bytes within 500", read)
	}
	s = dial()
	if err := s.Close("Normal Close"); err != nil || s.ws.Get("closed").Int() != 1000 {
		t.Error(err)
	}
	s = dial()
	go func() {
		time.Sleep(10 * time.Millisecond)
		s.CloseNow()
	}()
	if _, err := s.Read(ctx); !errors.Is(err, ErrSocketClosed) {
		t.Error(err)
	}
}
