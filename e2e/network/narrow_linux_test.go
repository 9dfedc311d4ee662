package network

import (
	"testing"
	"time"

	"amphi/wasm/client"
)

// TestNarrow: a viewer's line becomes too narrow for the only picture that there is, which comes in one layer of
// 1 Mbit/s. It is taken away, the viewer is told so, and gets it back when the line is wide again; others see it all the
// time.
func TestNarrow(t *testing.T) {
	t.Parallel()
	l := newLab(t, nil)
	room := l.room("narrow")
	begin := time.Now()
	ann := l.enter(room, broadcaster, "ann")
	ann.isIn()
	vic, others := l.enter(room, viewer, "vic"), l.enter(room, viewer, "others")
	vic.watches(begin)
	others.watches(begin)
	time.Sleep(2 * time.Second)

	narrowed := time.Now()
	vic.Set(Link{}, Link{Rate: 300_000})
	told := vic.hears(string(client.NotifyTrackDegraded), narrowed)
	figure(t, "narrow.told", millis(told), "ms")
	time.Sleep(8 * time.Second)
	end := time.Now()
	vic.Set(Link{}, Link{})
	seen := others.saw(narrowed, end)
	seen.report(t, "narrow.others")
	back := vic.watches(end)
	figure(t, "narrow.recovery", millis(back), "ms")
	vic.hears(string(client.NotifyTrackRestored), narrowed)

	if told > 3*time.Second+slowest {
		t.Errorf("vic is told only after %v", told)
	}
	if back > widens+slowest {
		t.Errorf("vic sees normally again only after %v", back)
	}
	if rate := float64(seen.pictures) / end.Sub(narrowed).Seconds(); rate < pictureRate/2 {
		t.Errorf("others see %.0f pictures a second meanwhile", rate)
	}
}
