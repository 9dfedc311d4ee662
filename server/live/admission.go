package live

import (
	"sync/atomic"
	"time"

	"amphi/compositor/wire"
	"amphi/server/policy"
	"amphi/server/protocol"
)

// The model of what a stream takes: cores at 30 pictures a second, by the bench of the compositor. It
// is for stages of usual size; a stream that is seen to take more counts with that.
const (
	coresBase      = 0.04  // sound, the pipe, the process
	coresTile      = 0.015 // of a camera: decoding the layer that fits its tile, and drawing it
	coresCanvas    = 0.22  // of a megapixel: drawing and encoding
	coresRendition = 0.17  // of a megapixel of another size: scaling and encoding
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

// admit books what a stream takes from now on, or says that the machine has no room for it. One stream
// alone is always composed: where that is too much the picture changes less often. A number of streams
// that somebody has configured decides alone. The caller holds m.mu.
func (m *Manager) admit(s *stream, need float64) error {
	others, taken := 0, 0.0
	for _, o := range m.streams {
		if o != s {
			others++
			taken += o.load.cores()
		}
	}
	if m.cfg.MaxStreams == 0 && others > 0 && need > s.load.planned && taken+need > m.cfg.Cores {
		m.counters.turnedAway.Add(1)
		return protocol.Errorf(protocol.CodeUnavailable,
			"the processors are taken: composing this room needs about %.2f cores, and other rooms take %.2f of the %.2f that are for this", need, taken, m.cfg.Cores)
	}
	s.load.planned = max(s.load.planned, need)
	return nil
}

// cores is what all streams take. The caller holds m.mu.
func (m *Manager) cores() (sum float64) {
	for _, s := range m.streams {
		sum += s.load.cores()
	}
	return sum
}
