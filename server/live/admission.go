package live

import (
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"amphi/compositor/wire"
	"amphi/server/policy"
	"amphi/server/protocol"
)

// The model of what a stream takes: cores at 30 pictures a second. It is for stages of usual size; a stream that is
// seen to take more counts with that.
//
// The numbers are those of the bench of the compositor (go tool task bench:compositor) on a quiet machine of two cores:
// four cameras of 640x360 to one size of 1280x720 take 0.348 cores, nine of them 0.558, so a camera takes 0.042 of the
// difference; sizes of 854x480 and 640x360 beside that, 0.64 megapixels, take 0.236 more.
const (
	coresBase      = 0.04  // sound, the pipe, the process
	coresTile      = 0.042 // of a camera: decoding the layer that fits its tile, and drawing it
	coresCanvas    = 0.15  // of a megapixel: drawing and encoding
	coresPage      = 0.8   // of a page, beside what its stream takes: browser, screen, sound card and recording
	coresRendition = 0.37  // of a megapixel of another size: scaling and encoding
	usualTiles     = 4

	// spare is the part of the processors that streams leave for the rooms.
	spare = 0.2
)

// cost is how many cores a stream of these sizes takes.
func cost(layers []policy.HLSLayer, fps int) float64 {
	pixels := coresTile * usualTiles
	for i, l := range layers {
		megapixels := float64(l.Width*l.Height) / 1e6
		if i == 0 {
			pixels += coresCanvas * megapixels
		} else {
			pixels += coresRendition * megapixels
		}
	}
	return coresBase + pixels*float64(fps)/30
}

// load is what a stream takes of the processors.
type load struct {
	planned  float64      // by the model; guarded by the manager's mutex
	measured atomic.Int64 // by its workers' clocks, in thousandths of a core, over about 20 s
}

// cores is the larger one: the stage may fill up, or be more than it was thought.
func (l *load) cores() float64 { return max(l.planned, float64(l.measured.Load())/1000) }

// measure takes a worker's statistics; last are those before, nil for its first.
func (l *load) measure(last, now *wire.Stats, fps int) {
	if last == nil || now.Ticks <= last.Ticks || now.CPU < last.CPU {
		return
	}
	const over = 20 * time.Second
	between := time.Duration(now.Ticks-last.Ticks) * time.Second / time.Duration(fps)
	before := float64(l.measured.Load())
	seen := 1000 * float64(now.CPU-last.CPU) / float64(between)
	l.measured.Store(int64(before + (seen-before)*min(1, float64(between)/float64(over))))
}

// RetryAfter is when a room that was turned away should ask again.
const RetryAfter = 10 * time.Second

// A room that was turned away has a place in the line for as long as it asks again: nobody who comes later is composed
// in the place that it waits for.
const (
	keepPlace = 3 * RetryAfter
	maxLine   = 1000 // rooms
)

// waiting is a room in the line.
type waiting struct {
	roomID string
	need   float64 // cores
	page   bool    // one is to be composed
	asked  time.Time
}

// admit books what a stream takes from now on, or says that the machine has no room for it. One stream
// alone is always composed: where that is too much the picture changes less often. A number of streams
// that somebody has configured decides alone. The caller holds m.mu.
func (m *Manager) admit(s *stream, need float64) error {
	now := time.Now()
	m.line = slices.DeleteFunc(m.line, func(w waiting) bool { return now.Sub(w.asked) > keepPlace })
	others, pages, taken := 0, 0, 0.0
	for _, o := range m.streams {
		if o != s {
			others++
			taken += o.load.cores()
			pages += boolInt(o.page != nil)
		}
	}
	place := slices.IndexFunc(m.line, func(w waiting) bool { return w.roomID == s.info.RoomID })
	before := m.line
	if place >= 0 {
		before = m.line[:place]
	}
	booked, pagesBefore := 0.0, 0
	for _, w := range before {
		if pagesBefore += boolInt(w.page); !w.page || pages < m.cfg.MaxPages { // or it waits for another page's end
			booked += w.need
		}
	}
	var why string
	switch limit := m.cfg.MaxStreams; {
	case s.page != nil && m.streams[s.info.RoomID] == nil && pages+pagesBefore >= m.cfg.MaxPages:
		why = fmt.Sprintf("this server opens %d pages at a time, its limit", m.cfg.MaxPages)
	case limit > 0 && m.streams[s.info.RoomID] == nil && others+len(before) >= limit:
		why = fmt.Sprintf("this server composes %d rooms at a time, its limit", limit)
	case limit == 0 && others+len(before) > 0 && need > s.load.planned && taken+booked+need > m.cfg.Cores:
		why = fmt.Sprintf("the processors are taken: composing this room needs about %.2f cores, and other rooms take %.2f of the %.2f that are for this",
			need, taken, m.cfg.Cores)
	}
	if why == "" {
		if place >= 0 {
			m.line = slices.Delete(m.line, place, place+1)
		}
		s.load.planned = max(s.load.planned, need)
		return nil
	}
	m.counters.turnedAway.Add(1)
	switch {
	case place >= 0:
		m.line[place].need, m.line[place].asked = need, now
	case len(m.line) < maxLine:
		place = len(m.line)
		m.line = append(m.line, waiting{s.info.RoomID, need, s.page != nil, now})
	default:
		return protocol.Errorf(protocol.CodeUnavailable, "%s; too many rooms wait", why)
	}
	return protocol.Errorf(protocol.CodeUnavailable, "%s; it is number %d of those that wait: ask again in %d s", why, place+1, int(RetryAfter.Seconds()))
}

// waiting is how many rooms stand in the line. The caller holds m.mu.
func (m *Manager) waiting(now time.Time) (n int) {
	for _, w := range m.line {
		if now.Sub(w.asked) <= keepPlace {
			n++
		}
	}
	return n
}

// cores is what all streams take. The caller holds m.mu.
func (m *Manager) cores() (sum float64) {
	for _, s := range m.streams {
		sum += s.load.cores()
	}
	return sum
}
