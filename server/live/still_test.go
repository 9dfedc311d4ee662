package live

import (
	"errors"
	"path/filepath"
	"testing"

	"amphi/compositor/wire"
	"amphi/server/mediaworker"
	"amphi/server/policy"
)

// The scene of a still is that of its settings: who is seen, in which size, and what is told of them.
func TestStillMessages(t *testing.T) {
	type seen struct{ inputs, bitmaps int }
	shown := func(s Still) seen {
		t.Helper()
		s.Width, s.Height = 640, 360
		list := s.messages(labels())
		start, ok := list[0].(*wire.Start)
		if !ok || start.Renditions[0].Width != 640 || start.Renditions[0].Height != 360 {
			t.Fatalf("the first message is %v", list[0])
		}
		var n seen
		for _, it := range list[len(list)-1].(*wire.Scene).Items {
			switch it.Source {
			case wire.FromInput:
				n.inputs++
			case wire.FromBitmap:
				n.bitmaps++
			}
		}
		return n
	}
	for _, test := range []struct {
		name string
		s    Still
		want seen
	}{
		{"empty stage", Still{}, seen{0, 2}},    // title and text
		{"three", Still{People: 3}, seen{3, 4}}, // names, a hand
		{"five", Still{People: 5}, seen{4, 7}},  // and an avatar
		{"bare", Still{People: 3, Layout: &policy.Layout{HideName: true, HideHand: true}}, seen{3, 0}},
		{"spotlight", Still{People: 5, Layout: &policy.Layout{Mode: "spotlight"}}, seen{1, 1}},
		{"screen", Still{People: 2, Screen: true}, seen{3, 3}},
		{"of a role", Still{People: 3, Layout: &policy.Layout{Roles: []string{"speaker"}}}, seen{3, 4}},
		{"with chat", Still{People: 2, Layout: &policy.Layout{ShowChat: true}}, seen{2, 3}},
		{"too many", Still{People: 1000, Layout: &policy.Layout{TilesPerPage: 4}}, seen{4, 5}},
	} {
		if got := shown(test.s); got != test.want {
			t.Errorf("%s: %+v, want %+v", test.name, got, test.want)
		}
	}
	d := &Stills{Worker: filepath.Join(t.TempDir(), "none"), Labels: labels()}
	if _, err := d.Draw(t.Context(), Still{Width: 640, Height: 360}); !errors.Is(err, mediaworker.ErrNoProgram) {
		t.Errorf("without a worker: %v", err)
	}
}
