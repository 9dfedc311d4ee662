package jsbridge

import (
	"context"
	"errors"
	"syscall/js"
	"testing"
	"time"
)

func eval(t *testing.T, code string) js.Value {
	t.Helper()
	return js.Global().Call("eval", "("+code+")")
}

func TestCallReturnsExceptions(t *testing.T) {
	object := eval(t, `{good: (a, b) => a + b, bad: () => { throw new TypeError('no') }, odd: () => { throw 'text' },
		nothing: () => { throw null }}`)
	if v, err := Call(object, "good", 1, 2); err != nil || v.Int() != 3 {
		t.Errorf("%v %v", v, err)
	}
	for method, want := range map[string]string{"bad": "TypeError: no", "odd": "text", "nothing": "<null>"} {
		if _, err := Call(object, method); err == nil || err.Error() != want {
			t.Errorf("%s: %v", method, err)
		}
	}
	if _, err := Call(object, "missing"); err == nil {
		t.Error("a method that is not there")
	}
	if _, err := Call(js.Undefined(), "x"); err == nil {
		t.Error("a method of undefined")
	}
	if _, err := New("NoSuchClass"); err == nil {
		t.Error("a class that is not there")
	}
}

func TestAwait(t *testing.T) {
	ctx := context.Background()
	if v, err := Await(ctx, eval(t, `Promise.resolve(7)`)); err != nil || v.Int() != 7 {
		t.Errorf("%v %v", v, err)
	}
	_, err := Await(ctx, eval(t, `Promise.reject(new RangeError('far'))`))
	var thrown *Error
	if !errors.As(err, &thrown) || thrown.Name != "RangeError" || thrown.Message != "far" {
		t.Errorf("%v", err)
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Millisecond)
	defer cancel()
	if _, err := Await(ctx, eval(t, `new Promise((ok) => setTimeout(ok, 50))`)); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v", err)
	}
	time.Sleep(80 * time.Millisecond) // it settles afterwards, which must do no harm
	if _, err := Await(context.Background(), js.ValueOf(1)); err == nil {
		t.Error("a number is no promise")
	}
}

func TestPromise(t *testing.T) {
	ctx := context.Background()
	reject := func(err error) any { return "rejected: " + err.Error() }
	if v, err := Await(ctx, Promise(func() (any, error) { return "ok", nil }, reject)); err != nil || v.String() != "ok" {
		t.Errorf("%v %v", v, err)
	}
	if _, err := Await(ctx, Promise(func() (any, error) { return nil, errors.New("no") }, reject)); err == nil || err.Error() != "rejected: no" {
		t.Errorf("%v", err)
	}
	// A panic rejects, and the program goes on.
	if _, err := Await(ctx, Promise(func() (any, error) { panic("oh") }, reject)); err == nil {
		t.Error("a panic resolved")
	}
	// Work may block: it is not in the callback.
	slow := Promise(func() (any, error) { time.Sleep(10 * time.Millisecond); return 1, nil }, reject)
	if v, err := Await(ctx, slow); err != nil || v.Int() != 1 {
		t.Errorf("%v %v", v, err)
	}
}

func TestPanicsAreRecovered(t *testing.T) {
	f := Func(func(js.Value, []js.Value) any { panic("in a callback") })
	defer f.Release()
	if v := f.Invoke(); !v.IsNull() && !v.IsUndefined() {
		t.Errorf("a panic returned %v", v)
	}
	done := make(chan struct{})
	Go(func() {
		defer close(done)
		panic("in a goroutine")
	})
	<-done
}

func TestListen(t *testing.T) {
	target := eval(t, `new EventTarget()`)
	heard := 0
	stop := Listen(target, "ping", func(event js.Value) {
		if event.Get("type").String() == "ping" {
			heard++
		}
	})
	fire := func() { target.Call("dispatchEvent", js.Global().Get("Event").New("ping")) }
	fire()
	stop()
	fire()
	if heard != 1 {
		t.Errorf("heard %d", heard)
	}
}

func TestFetch(t *testing.T) {
	ctx := context.Background()
	status, body, err := Fetch(ctx, Request{Method: "GET", URL: "data:text/plain,hello"}, 100)
	if err != nil || status != 200 || string(body) != "hello" {
		t.Errorf("%d %q %v", status, body, err)
	}
	if _, _, err := Fetch(ctx, Request{Method: "GET", URL: "data:text/plain,hello"}, 4); !errors.Is(err, ErrTooLarge) {
		t.Errorf("too large: %v", err)
	}
	if _, _, err := Fetch(ctx, Request{Method: "GET", URL: "no address"}, 4); err == nil {
		t.Error("no address")
	}
}
