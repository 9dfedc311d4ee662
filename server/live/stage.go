package live

import (
	"time"

	"amphi/compositor/wire"
	"amphi/server/protocol"
	"amphi/server/room"
	"amphi/server/sfu"
)

// setStage takes a new snapshot of the stage: tracks that came are fed to the worker, tracks
// that went are not, and the picture is arranged anew.
func (s *stream) setStage(stage *room.Stage) {
	if s.page == nil {
		s.attended(len(stage.Peers))
	}
	s.onStage = stage
	s.arrange()
}

// attended takes how many are there who count: with nobody there for long the stream ends.
func (s *stream) attended(people int) {
	switch {
	case people > 0:
		s.emptySince = time.Time{}
	case s.emptySince.IsZero():
		s.emptySince = time.Now()
	}
}

// arrange decides anew what of the stage is in the picture, and where.
func (s *stream) arrange() {
	if s.onStage == nil {
		return
	}
	if s.page != nil {
		s.sel = s.page.selection(s.canvas)
		s.show(nil)
		return
	}
	s.sel = s.cast.choose(s.canvas, s.design, s.onStage)

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
	for _, t := range s.sel.tiles {
		// Of a screen the best is wanted in any place: it is read.
		if f := s.feeds[t.video]; f != nil && !t.screen {
			f.tap.Want(t.place.Rect.Dx(), t.place.Rect.Dy())
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
	if s.page != nil {
		inputs[pageTrack] = shownInput{id: s.page.picture.ID, pictured: true}
	}
	s.presenter.show(showing{worker: w, start: start, sel: s.sel, inputs: inputs, chat: s.chat}, gone...)
}

// takeStats keeps a worker's counters, takes the stand-ins away below inputs that have a picture
// now, and lets the picture follow who speaks.
func (s *stream) takeStats(m *wire.Stats) {
	s.load.measure(s.current.stats.Swap(m), m, s.fps)
	if j := s.jukebox.Load(); j != nil {
		j.serve(s.current)
	}
	changed := false
	for _, in := range m.Inputs {
		if in.Width > 0 && !s.pictured[in.ID] {
			s.pictured[in.ID] = true
			changed = true
		}
	}
	if s.hearVoices(m) {
		s.arrange()
	} else if changed {
		s.show(nil)
	}
}

// hearVoices takes the levels of microphones and reports whether somebody begins or ends to speak.
func (s *stream) hearVoices(m *wire.Stats) bool {
	peers := make(map[uint32]string)
	for _, t := range s.sel.tracks {
		if f := s.feeds[t.ID]; f != nil && t.Kind == protocol.Audio && t.Source != sourceScreen {
			peers[f.input.ID] = t.peer
		}
	}
	levels := make(map[string]uint8, len(peers))
	for _, in := range m.Inputs {
		if peer, ok := peers[in.ID]; ok {
			if before, several := levels[peer]; !several || in.Level < before {
				levels[peer] = in.Level
			}
		}
	}
	return s.cast.voices.Hear(time.Now(), levels)
}

// turnPage shows the next page of a crowd when it is time.
func (s *stream) turnPage(now time.Time) {
	if s.design.page <= 0 {
		return
	}
	if page := int(now.Sub(s.cast.began) / s.design.page); page != s.cast.page {
		s.cast.page = page
		s.arrange()
	}
}
