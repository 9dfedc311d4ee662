package probe_test

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"amphi/e2e/probe"
	"amphi/e2e/testbrowser"
)

//go:embed selftest.html
var selftest []byte

// loop is what selftest.html's measure() is asked for.
type loop struct {
	IDs    []int   `json:"ids"` // of the cameras; two are tiles of a composite
	Codec  string  `json:"codec"`
	Scale  int     `json:"scale,omitempty"` // the sent picture is so many times smaller
	LateMs float64 `json:"lateMs"`          // the first camera's clock is late by so much
}

// measured is what it answers.
type measured struct {
	All    probe.Summary
	Each   []probe.Summary
	Energy float64 // of the received sound
}

// TestProbe measures the probe: whether it reads every picture after each codec and size, and whether it reads a
// delay that it was told to have.
func TestProbe(t *testing.T) {
	if testing.Short() {
		t.Skip("needs Chromium, left out by -short")
	}
	// http://localhost is a secure context, which the camera interfaces want
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		w.Write(selftest)
	}))
	defer server.Close()
	browser, err := testbrowser.Start(t.Context(), testbrowser.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer browser.Close()
	page, err := browser.Open(testbrowser.PageConfig{})
	if err != nil {
		t.Fatal(err)
	}
	if err := page.Goto(server.URL); err != nil {
		t.Fatal(err)
	}

	t.Run("panel", func(t *testing.T) {
		var decoded []struct{ ID, Time int64 }
		const far = 1<<32 + 123456
		err := page.Eval(fmt.Sprintf(`[[7, 1795374311032], [255, %d], [0, 0]].map(([id, time]) => LatencyProbe.decode(LatencyProbe.encode(id, time)))`, far), &decoded)
		if err != nil {
			t.Fatal(err)
		}
		if decoded[0].ID != 7 || decoded[0].Time != 1795374311032%(1<<32) || decoded[1].ID != 255 || decoded[1].Time != 123456 {
			t.Errorf("decoded %+v", decoded)
		}
		var flipped []any
		err = page.Eval(`LatencyProbe.encode(7, 1795374311032).map((_, i, bits) => LatencyProbe.decode(bits.map((b, j) => i === j ? 1 - b : b)))`, &flipped)
		if err != nil {
			t.Fatal(err)
		}
		for i, got := range flipped {
			if got != nil {
				t.Errorf("bit %d flipped: decoded %v", i, got)
			}
		}
	})

	// The first call of a browser that has just started says more of its start than of the probe.
	if err := page.Eval(`void (globalThis.warm = measure({ ids: [42], codec: 'video/VP8', lateMs: 0 }).then(() => { globalThis.warmed = true; }))`, nil); err != nil {
		t.Fatal(err)
	}
	if err := page.Wait("globalThis.warmed", 30*time.Second); err != nil {
		t.Fatal(err)
	}

	var plain float64 // p50 of the first case
	for _, test := range []struct {
		name string
		loop loop
	}{
		{"VP8 640x360", loop{IDs: []int{42}, Codec: "video/VP8"}},
		{"H264 640x360", loop{IDs: []int{42}, Codec: "video/H264"}},
		{"VP8 160x90", loop{IDs: []int{42}, Codec: "video/VP8", Scale: 4}},
		{"a clock 5 min late", loop{IDs: []int{42}, Codec: "video/VP8", LateMs: 300_000}},
		{"two tiles of a composite", loop{IDs: []int{42, 43}, Codec: "video/VP8"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			var got measured
			options, err := json.Marshal(test.loop)
			if err != nil {
				t.Fatal(err)
			}
			if err := page.Eval(fmt.Sprintf("measure(%s)", options), &got); err != nil {
				t.Fatal(err)
			}
			t.Logf("%+v", got.All)
			if got.All.Count < 20 || got.All.Unreadable*20 > got.All.Frames {
				t.Fatalf("read %d clocks, %d of %d pictures unreadable", got.All.Count, got.All.Unreadable, got.All.Frames)
			}
			if plain == 0 {
				plain = got.All.P50
			}
			// A second tile's clock is a minute later than the first one's. What the machine does meanwhile
			// moves the delay by up to some seconds; the wrong clock would move it by a minute.
			for i, each := range got.Each {
				want := plain + test.loop.LateMs + 60_000*float64(i)
				if math.Abs(each.P50-want) > 20_000 {
					t.Errorf("camera %d: p50 %.0f ms, want about %.0f", i, each.P50, want)
				}
			}
			if len(got.Each) == 1 && got.Energy <= 0 {
				t.Error("the beeps did not arrive")
			}
			if !slices.Equal(got.All.IDs, test.loop.IDs) {
				t.Errorf("saw cameras %v, want %v", got.All.IDs, test.loop.IDs)
			}
		})
	}
	if t.Failed() {
		t.Log(page.Console())
	}
}
