//go:build js

// Command wasm is the client in a web page. The SDK facade (static/sdk) loads
// it; it registers one object and then serves calls for as long as the page
// lives:
//
//	{ client(emit) → { call(method, json, track) → Promise<json> }, player() → { tick(…), … } }
//
// emit(kind, json, track) is how a client talks back: "state" carries a patch,
// "notification" an event, "stats" what is measured, "media" the
// MediaStreamTrack of a track.
package main

import (
	"context"
	"encoding/json"
	"log/slog"
	"syscall/js"

	"amphi/wasm/client"
	"amphi/wasm/jsbridge"
	"amphi/wasm/player"
	"amphi/wasm/rtc"
)

// bootstrap is the global that the facade leaves for the program to find.
const bootstrap = "__amphi"

func main() {
	boot := js.Global().Get(bootstrap)
	if !boot.Truthy() {
		jsbridge.Report("there is no " + bootstrap + " object: this program is to be loaded by the SDK facade")
		return
	}
	// These live as long as the program, so nobody releases them.
	program := map[string]any{
		"client": jsbridge.Func(func(_ js.Value, args []js.Value) any { return newClient(args[0]) }),
		"player": jsbridge.Func(func(js.Value, []js.Value) any { return newPlayer() }),
	}
	if _, err := jsbridge.Call(boot, "ready", program); err != nil {
		jsbridge.Report(err)
		return
	}
	select {}
}

// newClient makes one participant. Clients live as long as the page.
func newClient(emit js.Value) any {
	level := &slog.LevelVar{}
	level.Set(slog.LevelWarn)
	send := func(kind string, payload any, track any) {
		data, err := json.Marshal(payload)
		if err != nil {
			jsbridge.Report(err)
			return
		}
		if err := invoke(emit, kind, string(data), track); err != nil {
			jsbridge.Report(err)
		}
	}
	capture := &rtc.Capture{}
	c := client.New(client.Config{
		Capture: capture,
		Sink: client.Sink{
			Patch:        func(p client.Patch) { send("state", p, nil) },
			Notification: func(n client.Notification) { send("notification", n, nil) },
			Figures:      func(f client.Figures) { send("stats", f, nil) },
		},
		OnMedia: func(e client.MediaEvent) {
			var track any
			switch {
			case e.Remote != nil:
				track = e.Remote.Native()
			case e.Local != nil && e.Local.Native().Truthy():
				track = e.Local.Native()
			}
			send("media", map[string]any{"trackId": e.TrackID, "kind": e.Kind, "local": e.IsLocal}, track)
		},
		Log: slog.New(&consoleHandler{level: level}),
	})
	return map[string]any{
		"call": jsbridge.Func(func(_ js.Value, args []js.Value) any {
			method, data := args[0].String(), []byte(args[1].String())
			return jsbridge.Promise(func() (any, error) {
				switch method {
				case "setLogLevel":
					return nil, setLevel(level, data)
				case "addTrack": // the only argument that is no JSON
					return nil, addTrack(c, capture, args[2], data)
				}
				result, err := c.Call(context.Background(), method, data)
				if err != nil || result == nil {
					return nil, err
				}
				text, err := json.Marshal(result)
				return string(text), err
			}, rejection)
		}),
	}
}

func invoke(f js.Value, args ...any) (err error) {
	_, err = jsbridge.Call(f, "call", append([]any{nil}, args...)...)
	return err
}

// rejection is what a promise is rejected with: the error as JSON text, which
// the facade makes an exception of.
func rejection(err error) any {
	e, ok := err.(*client.Error)
	if !ok {
		e = &client.Error{Code: 6002, Name: "Unknown", Message: err.Error(), Description: err.Error()}
	}
	text, _ := json.Marshal(e) // plain strings and numbers
	return string(text)
}

func addTrack(c *client.Client, capture *rtc.Capture, native js.Value, data []byte) error {
	var args struct{ Source string }
	if err := json.Unmarshal(data, &args); err != nil {
		return err
	}
	track, err := capture.Adopt(native)
	if err != nil {
		return err
	}
	return c.AddTrack(context.Background(), track, args.Source)
}

// setLevel takes the SDK's log levels: 0 verbose … 7 none.
func setLevel(to *slog.LevelVar, data []byte) error {
	var args struct{ Level int }
	if err := json.Unmarshal(data, &args); err != nil {
		return err
	}
	levels := []slog.Level{slog.LevelDebug, slog.LevelDebug, slog.LevelInfo, slog.LevelWarn, slog.LevelWarn, slog.LevelWarn, slog.LevelError}
	if args.Level >= 0 && args.Level < len(levels) {
		to.Set(levels[args.Level])
	} else {
		to.Set(slog.LevelError + 1)
	}
	return nil
}

// newPlayer makes the policy for one media element. Its tick is synchronous: ten
// times a second and made of numbers.
func newPlayer() any {
	policy := player.New(player.Config{})
	var funcs []js.Func
	add := func(fn func(args []js.Value) any) js.Func {
		f := jsbridge.Func(func(_ js.Value, args []js.Value) any { return fn(args) })
		funcs = append(funcs, f)
		return f
	}
	return map[string]any{
		"tick": add(func(a []js.Value) any {
			d := policy.Tick(player.Sample{
				Now: a[0].Float() / 1000, Position: a[1].Float(), BufferEnd: a[2].Float(), LiveEdge: a[3].Float(),
				WallLatency: a[4].Float(), Paused: a[5].Bool(), Seeking: a[6].Bool(), Starved: a[7].Bool(),
			})
			return map[string]any{
				"rate": d.Rate, "seek": d.Seek, "state": string(d.State), "latency": d.Latency, "target": d.Target,
				"reload": d.Reload,
			}
		}),
		"seekToLive": add(func([]js.Value) any {
			policy.SeekToLive()
			return nil
		}),
		"release": add(func([]js.Value) any {
			// Not now: release runs inside one of them.
			jsbridge.Go(func() {
				for _, f := range funcs {
					f.Release()
				}
			})
			return nil
		}),
	}
}
