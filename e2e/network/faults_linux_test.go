package network

import (
	"sync"
	"testing"
	"time"

	"amphi/wasm/client"
)

// faultLength is how long the faults of TestFaults last.
const faultLength = 12 * time.Second

// slowest is how long after a fault people must see again, beyond what those without one wait: the machine is busy.
const slowest = 5 * time.Second

// narrow is the fault of a line that takes too little, widens how long it takes to find out that it is over.
const (
	narrow = "slow_300k"
	widens = 10 * time.Second
)

func both(l Link) func(*Host) { return func(h *Host) { h.Set(l, l) } }

// badLine is the fault that much of the design of such servers is about.
var badLine = Link{Loss: 0.05, Delay: 100 * time.Millisecond, Jitter: 50 * time.Millisecond}

// TestFaults: one broadcaster, and many viewers, each with another fault, at the same time. It prints what they see
// meanwhile, and how soon they see normally again.
func TestFaults(t *testing.T) {
	t.Parallel()
	const ms = time.Millisecond
	faults := []struct {
		name  string
		begin func(*Host)
		// share is the least that must be seen while it lasts, of what is seen without a fault.
		share float64
	}{
		{"none", func(*Host) {}, 1},
		{"loss_2", both(Link{Loss: 0.02}), 0.5},
		{"loss_5", both(Link{Loss: 0.05}), 0.4},
		{"loss_10", both(Link{Loss: 0.10}), 0.3},
		{"bursts_5", both(Link{Loss: 0.05, Burst: 4}), 0.3},
		{"jitter", both(Link{Delay: 100 * ms, Jitter: 50 * ms}), 0.5},
		{"reorder", both(Link{Delay: 100 * ms, Jitter: 50 * ms, Reorder: true}), 0.3},
		{"loss_5_jitter", both(badLine), 0.2},
		{"outage_1s", func(h *Host) {
			h.Set(Link{Down: true}, Link{Down: true})
			time.AfterFunc(time.Second, func() { h.Set(Link{}, Link{}) })
		}, 0.3},
		// One layer of 1 Mbit/s does not fit, and is taken away: see TestNarrow.
		{narrow, func(h *Host) { h.Set(Link{}, Link{Rate: 300_000}) }, 0},
	}
	l := newLab(t, nil)
	room := l.room("faults")
	ann := l.enter(room, broadcaster, "ann")
	ann.isIn()
	viewers := map[string]*person{}
	joined := time.Now()
	for _, fault := range faults {
		viewers[fault.name] = l.enter(room, viewer, fault.name)
	}
	for _, fault := range faults {
		viewers[fault.name].watches(joined)
	}
	calm := time.Now()
	time.Sleep(2 * time.Second)

	begin := time.Now()
	for _, fault := range faults {
		fault.begin(viewers[fault.name].Host)
	}
	time.Sleep(faultLength)
	end := time.Now()
	seen := map[string]sight{}
	for _, fault := range faults {
		seen[fault.name] = viewers[fault.name].saw(begin, end)
		viewers[fault.name].Set(Link{}, Link{})
	}
	recovery := map[string]time.Duration{}
	var mu sync.Mutex
	var all sync.WaitGroup
	for _, fault := range faults {
		from := end
		if fault.name == "outage_1s" {
			from = begin.Add(time.Second)
		}
		all.Go(func() {
			took, err := viewers[fault.name].flow(from)
			mu.Lock()
			defer mu.Unlock()
			if recovery[fault.name] = took; err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()

	none := seen["none"]
	for _, fault := range faults {
		s := seen[fault.name]
		s.report(t, fault.name)
		figure(t, fault.name+".recovery", millis(recovery[fault.name]), "ms")
		longest := slowest
		if fault.name == narrow {
			longest += widens
		}
		if recovery[fault.name] > recovery["none"]+longest {
			t.Errorf("%s: sees normally again only after %v", fault.name, recovery[fault.name])
		}
		if n := viewers[fault.name].heard(string(client.NotifyTrackDegraded), begin); n > 0 && fault.name != narrow {
			t.Errorf("%s: the picture was taken away, though the line is wide enough for it", fault.name)
		}
		if least := int(fault.share * float64(none.pictures)); s.pictures < least {
			t.Errorf("%s: %d pictures, less than %d", fault.name, s.pictures, least)
		}
	}
	// The troubles of some are not those of others: the one without a fault sees as before.
	before := viewers["none"].saw(calm, begin)
	before.report(t, "others_before")
	rate := func(s sight, d time.Duration) float64 { return float64(s.pictures) / d.Seconds() }
	if now, then := rate(none, end.Sub(begin)), rate(before, begin.Sub(calm)); now < then/2 {
		t.Errorf("who has no fault sees %.0f pictures a second, %.0f before the others had theirs", now, then)
	}
	if none.p50 > before.p50+500*ms {
		t.Errorf("who has no fault sees pictures after %v, after %v before the others had theirs", none.p50, before.p50)
	}
}

// TestUplink: a broadcaster's own line is bad.
func TestUplink(t *testing.T) {
	t.Parallel()
	l := newLab(t, nil)
	room := l.room("uplink")
	begin := time.Now()
	ann, vic := l.enter(room, broadcaster, "ann"), l.enter(room, viewer, "vic")
	vic.watches(begin)
	ann.Set(badLine, badLine)
	begin = time.Now()
	time.Sleep(faultLength)
	s := vic.saw(begin, time.Now())
	ann.Set(Link{}, Link{})
	recovery := vic.watches(time.Now())
	s.report(t, "uplink")
	figure(t, "uplink.recovery", millis(recovery), "ms")
	if s.pictures < int(faultLength.Seconds()*pictureRate)/5 {
		t.Errorf("%d pictures in %v", s.pictures, faultLength)
	}
	if recovery > 2*slowest {
		t.Errorf("pictures flow again only after %v", recovery)
	}
}
