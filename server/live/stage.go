package live

import (
	"time"

	"amphi/compositor/wire"
	"amphi/server/room"
	"amphi/server/sfu"
)

// setStage takes a new snapshot of the stage: tracks that came are fed to the worker, tracks
// that went are not, and the picture is arranged anew.
func (s *stream) setStage(stage *room.Stage) {
	switch {
	case len(stage.Peers) > 0:
		s.emptySince = time.Time{}
	case s.emptySince.IsZero():
		s.emptySince = time.Now()
	}
	s.sel = choose(s.canvas, stage)

	wanted := make(map[string]*sfu.Track, len(s.sel.tracks))
	syncs := make(map[string]uint32)
	for _, t := range s.sel.tracks {
		wanted[t.ID] = t.Media
		if g, ok := s.syncs[t.peer]; ok {
			syncs[t.peer] = g
		} else if syncs[t.peer] == 0 {
			s.nextInput++
			syncs[t.peer] = s.nextInput
		}
	}
	s.syncs = syncs
	var gone []uint32
	for id, f := range s.feeds {
		if wanted[id] != f.media {
			f.stop()
			delete(s.feeds, id)
			delete(s.pictured, f.input.ID)
			gone = append(gone, f.input.ID)
		}
	}
	for _, t := range s.sel.tracks {
		if s.feeds[t.ID] == nil {
			s.nextInput++
			s.feeds[t.ID] = startFeed(s, wire.AddInput{ID: s.nextInput, Codec: codecOf(t.Media.Codec()), Sync: s.syncs[t.peer]}, t.Media)
		}
	}
	s.show(nil, gone...)
}

// show has the current scene sent to the current worker, after start when it is its first.
// Inputs that are gone are removed after it.
func (s *stream) show(start *wire.Start, gone ...uint32) {
	w := s.worker.Load()
	if w == nil {
		return
	}
	inputs := make(map[string]shownInput, len(s.feeds))
	for track, f := range s.feeds {
		inputs[track] = shownInput{id: f.input.ID, pictured: s.pictured[f.input.ID]}
	}
	s.presenter.show(showing{worker: w, start: start, sel: s.sel, inputs: inputs}, gone...)
}

// takeStats keeps a worker's counters, and takes the stand-ins away below inputs that have a
// picture now.
func (s *stream) takeStats(m *wire.Stats) {
	s.current.stats.Store(m)
	changed := false
	for _, in := range m.Inputs {
		if in.Width > 0 && !s.pictured[in.ID] {
			s.pictured[in.ID] = true
			changed = true
		}
	}
	if changed {
		s.show(nil)
	}
}
