package jsbridge

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"strings"
	"syscall/js"
)

// Error is what JavaScript threw or rejected with.
type Error struct {
	Value   js.Value
	Name    string // "NotAllowedError" and the like; empty for things that are no Error
	Message string
}

// Error implements error.
func (e *Error) Error() string {
	if e.Name == "" {
		return e.Message
	}
	return e.Name + ": " + e.Message
}

// newError reads a thrown value. It must not throw itself, whatever was thrown.
func newError(v js.Value) *Error {
	if v.Type() != js.TypeObject {
		return &Error{Value: v, Message: fmt.Sprint(v)}
	}
	text := func(key string) string {
		if s := v.Get(key); s.Type() == js.TypeString {
			return s.String()
		}
		return ""
	}
	return &Error{Value: v, Name: text("name"), Message: text("message")}
}

// rescue turns a panic of syscall/js into an error; other panics go on.
func rescue(err *error) {
	switch e := recover().(type) {
	case nil:
	case js.Error:
		*err = newError(e.Value)
	case *js.ValueError:
		*err = e // a method of undefined: as much the page's fault as an exception
	case string:
		// That is how syscall/js says that there is no such method.
		if !strings.HasPrefix(e, "syscall/js:") {
			panic(e)
		}
		*err = errors.New(e)
	default:
		panic(e)
	}
}

// Call calls a method and returns an exception as an *[Error].
func Call(v js.Value, method string, args ...any) (result js.Value, err error) {
	defer rescue(&err)
	return v.Call(method, args...), nil
}

// New constructs an object of the global class and returns an exception as an *[Error].
func New(class string, args ...any) (result js.Value, err error) {
	defer rescue(&err)
	return js.Global().Get(class).New(args...), nil
}

// Await blocks the goroutine until the promise is settled or ctx is done. A
// promise that settles after that is ignored.
func Await(ctx context.Context, promise js.Value) (js.Value, error) {
	type outcome struct {
		value js.Value
		err   error
	}
	settled := make(chan outcome, 1)
	var resolved, rejected js.Func
	settle := func(o outcome) any {
		resolved.Release()
		rejected.Release()
		settled <- o // one of the two is called, once
		return nil
	}
	resolved = js.FuncOf(func(_ js.Value, args []js.Value) any { return settle(outcome{value: first(args)}) })
	rejected = js.FuncOf(func(_ js.Value, args []js.Value) any { return settle(outcome{err: newError(first(args))}) })
	// Both callbacks in one then: with then().catch() an exception between them would be lost.
	if _, err := Call(promise, "then", resolved, rejected); err != nil {
		resolved.Release()
		rejected.Release()
		return js.Undefined(), err
	}
	select {
	case o := <-settled:
		return o.value, o.err
	case <-ctx.Done():
		return js.Undefined(), ctx.Err()
	}
}

// CallAsync calls a method that returns a promise, and waits for it.
func CallAsync(ctx context.Context, v js.Value, method string, args ...any) (js.Value, error) {
	promise, err := Call(v, method, args...)
	if err != nil {
		return js.Undefined(), err
	}
	return Await(ctx, promise)
}

func first(args []js.Value) js.Value {
	if len(args) == 0 {
		return js.Undefined()
	}
	return args[0]
}

// Promise runs work in a goroutine of its own and returns the promise of its
// outcome. reject makes the value that the promise is rejected with.
func Promise(work func() (any, error), reject func(error) any) js.Value {
	var executor js.Func
	executor = js.FuncOf(func(_ js.Value, args []js.Value) any {
		executor.Release()
		resolve, fail := args[0], args[1]
		Go(func() {
			value, err := protect(work)
			if err != nil {
				fail.Invoke(reject(err))
				return
			}
			resolve.Invoke(value)
		})
		return nil
	})
	return js.Global().Get("Promise").New(executor)
}

// protect turns a panic of work into an error, so that a promise is always settled.
func protect(work func() (any, error)) (value any, err error) {
	defer func() {
		if e := recover(); e != nil {
			Report(e)
			err = fmt.Errorf("internal error: %v", e)
		}
	}()
	return work()
}

// Func makes a function that JavaScript may call. fn must not block. A panic
// in it is reported, and the caller gets undefined. The owner releases it.
func Func(fn func(this js.Value, args []js.Value) any) js.Func {
	return js.FuncOf(func(this js.Value, args []js.Value) (result any) {
		defer func() {
			if e := recover(); e != nil {
				Report(e)
				result = nil
			}
		}()
		return fn(this, args)
	})
}

// Listen adds an event listener and returns what removes it. fn must not block.
func Listen(target js.Value, event string, fn func(event js.Value)) (stop func()) {
	f := Func(func(_ js.Value, args []js.Value) any {
		fn(first(args))
		return nil
	})
	target.Call("addEventListener", event, f)
	return func() {
		target.Call("removeEventListener", event, f)
		f.Release()
	}
}

// Go runs fn in a goroutine; a panic in it is reported, and ends only that goroutine.
func Go(fn func()) {
	go func() {
		defer func() {
			if e := recover(); e != nil {
				Report(e)
			}
		}()
		fn()
	}()
}

// Report writes a recovered panic and where it came from to the console.
func Report(e any) {
	js.Global().Get("console").Call("error", fmt.Sprintf("amphi: recovered from %v\n%s", e, debug.Stack()))
}
