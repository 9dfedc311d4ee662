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
	s.sel = choose(s.painter.canvas, stage)

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
	for id, f := range s.feeds {
		if wanted[id] != f.media {
			s.dropFeed(id, f)
		}
	}
	for _, t := range s.sel.tracks {
		if s.feeds[t.ID] == nil {
			s.nextInput++
			s.feeds[t.ID] = startFeed(s, wire.AddInput{ID: s.nextInput, Codec: codecOf(t.Media.Codec()), Sync: s.syncs[t.peer]}, t.Media)
		}
	}
	s.present()
}

func (s *stream) dropFeed(id string, f *feed) {
	f.stop()
	delete(s.feeds, id)
	delete(s.pictured, f.input.ID)
	if w := s.worker.Load(); w != nil {
		w.outgoing.push(&wire.RemoveInput{ID: f.input.ID})
	}
}

// present sends the current scene to the worker: first the bitmaps that it needs and has not,
// last word of those that it needs no more.
func (s *stream) present() {
	w := s.worker.Load()
	if w == nil {
		return
	}
	sc := s.painter.paint(s.sel, func(track string) (uint32, bool, bool) {
		f := s.feeds[track]
		if f == nil {
			return 0, false, false
		}
		return f.input.ID, s.pictured[f.input.ID], true
	})
	var ms []wire.Message
	for id, b := range sc.bitmaps {
		if !s.sent[id] {
			s.sent[id] = true
			ms = append(ms, &wire.Bitmap{ID: id, W: uint16(b.W), H: uint16(b.H), Pix: b.Pix})
		}
	}
	ms = append(ms, sc.message)
	for id := range s.sent {
		if _, used := sc.bitmaps[id]; !used {
			delete(s.sent, id)
			ms = append(ms, &wire.DropBitmap{ID: id})
		}
	}
	if !w.outgoing.push(ms...) {
		s.log.Warn("media worker does not read")
		s.current.kill()
	}
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
		s.present()
	}
}
