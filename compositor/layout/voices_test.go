package layout

import (
	"testing"
	"time"
)

// conversation plays levels to a Voices, at a measurement each 200 ms of a clock of its own.
type conversation struct {
	Voices
	now time.Time
}

const (
	loud  = 20
	talks = 35
	quiet = 100
)

// play repeats the levels for some time and returns who was in front, in the order of changes.
func (c *conversation) play(length time.Duration, levels map[string]uint8) (fronts []string) {
	if c.now.IsZero() {
		c.now = time.Unix(1_700_000_000, 0)
	}
	for end := c.now.Add(length); c.now.Before(end); c.now = c.now.Add(200 * time.Millisecond) {
		before := c.Front()
		c.Hear(c.now, levels)
		if c.Front() != before {
			fronts = append(fronts, c.Front())
		}
	}
	return fronts
}

func TestVoices(t *testing.T) {
	var c conversation
	for _, step := range []struct {
		what   string
		length time.Duration
		levels map[string]uint8
		front  string
	}{
		{"nobody speaks", 3 * time.Second, map[string]uint8{"ann": quiet, "bob": quiet}, ""},
		{"a cough", 200 * time.Millisecond, map[string]uint8{"ann": quiet, "bob": loud}, ""},
		{"silence after it", time.Second, map[string]uint8{"ann": quiet, "bob": quiet}, ""},
		{"ann speaks", 2 * time.Second, map[string]uint8{"ann": talks, "bob": quiet}, "ann"},
		{"ann pauses", 10 * time.Second, map[string]uint8{"ann": quiet, "bob": quiet}, "ann"},
		{"bob answers", 2 * time.Second, map[string]uint8{"ann": quiet, "bob": talks}, "bob"},
		{"both speak", 10 * time.Second, map[string]uint8{"ann": talks - 3, "bob": talks}, "bob"},
		{"ann is louder for a word", time.Second, map[string]uint8{"ann": loud, "bob": talks}, "bob"},
		{"and stops", time.Second, map[string]uint8{"ann": quiet, "bob": talks}, "bob"},
		{"ann is louder for long", 3 * time.Second, map[string]uint8{"ann": loud, "bob": talks}, "ann"},
		{"ann's microphone is off", 2 * time.Second, map[string]uint8{"bob": talks}, "bob"},
		{"bob's is, too", 5 * time.Second, nil, "bob"},
		{"noise", 5 * time.Second, map[string]uint8{"ann": 55, "bob": 58}, "bob"},
	} {
		fronts := c.play(step.length, step.levels)
		if c.Front() != step.front {
			t.Errorf("%s: %q is in front (%q), want %q", step.what, c.Front(), fronts, step.front)
		}
		if len(fronts) > 1 {
			t.Errorf("%s: the front changed %d times: %q", step.what, len(fronts), fronts)
		}
	}
}

// People who talk in turns of a syllable do not make the picture flicker.
func TestVoicesInTurns(t *testing.T) {
	var c conversation
	changes := 0
	for i := range 60 {
		levels := map[string]uint8{"ann": talks, "bob": quiet}
		if i%2 == 1 {
			levels = map[string]uint8{"ann": quiet, "bob": talks}
		}
		changes += len(c.play(600*time.Millisecond, levels))
	}
	if least := int(36 * time.Second / leastInFront); changes > least {
		t.Errorf("%d changes in 36 s, want at most %d", changes, least)
	}
}

func TestSpeaking(t *testing.T) {
	var c conversation
	c.play(time.Second, map[string]uint8{"ann": talks, "bob": quiet})
	if !c.Speaking("ann") || c.Speaking("bob") || c.Speaking("eve") {
		t.Error("not only ann speaks")
	}
	at := c.Last("ann")
	c.play(time.Second, map[string]uint8{"ann": 55, "bob": quiet})
	if !c.Speaking("ann") {
		t.Error("a low word is not the end")
	}
	c.play(2*time.Second, map[string]uint8{"ann": quiet, "bob": quiet})
	if c.Speaking("ann") || !c.Last("ann").After(at) || !c.Last("bob").IsZero() {
		t.Errorf("after the end ann speaks: %v, last at %v", c.Speaking("ann"), c.Last("ann"))
	}
	if c.Hear(c.now, map[string]uint8{"ann": quiet}) {
		t.Error("a change without one")
	}
	c.play(time.Second, map[string]uint8{"ann": talks})
	if !c.Hear(c.now, nil) || c.Speaking("ann") {
		t.Error("somebody who is gone speaks")
	}
}
