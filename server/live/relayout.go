package live

import (
	"context"
	"reflect"
	"time"

	"amphi/compositor/layout"
	"amphi/server/policy"
	"amphi/server/store"
)

const (
	// layoutInterval is how often the room's template is looked at for another layout. The store
	// tells no one of changes, which may also be made by another server; and one look at a time
	// stamp costs less than a picture.
	layoutInterval = time.Second
	layoutLimit    = 5 * time.Second // of a look
)

// layoutReader reads a destination's layout, in the room's template of the moment: what the room
// holds is what it was when it opened.
type layoutReader struct {
	store             *store.Store
	roomID, workspace string
	destination       string
	seen              store.TemplateVersion
}

// read returns the layout if the template has changed since the last call, and still has the
// destination.
func (r *layoutReader) read(ctx context.Context) (l *policy.Layout, changed bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, layoutLimit)
	defer cancel()
	version, err := r.store.RoomTemplateVersion(ctx, r.roomID)
	if err != nil || version == r.seen {
		return nil, false, err
	}
	t, err := r.store.Template(ctx, r.workspace, version.TemplateID)
	if err != nil {
		return nil, false, err
	}
	r.seen = version
	d := t.Policy.Destinations.HLS[r.destination]
	if d == nil { // the stream goes on as it is
		return nil, false, nil
	}
	return d.Layout, true, nil
}

// watchLayout sends the stream the layouts that its destination gets until the context is done.
func (s *stream) watchLayout(ctx context.Context, r *layoutReader) {
	ticker := time.NewTicker(layoutInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		switch l, changed, err := r.read(ctx); {
		case err != nil && ctx.Err() == nil:
			s.log.Warn("layout could not be read", "err", err)
		case changed:
			select {
			case s.layouts <- l:
			case <-ctx.Done():
				return
			}
		}
	}
}

// setLayout makes the picture look otherwise from now on. What is on the stage goes on, and so do
// the workers, unless the picture gets another size: no encoder can change that. Then another
// worker takes over, which players see as a discontinuity.
func (s *stream) setLayout(l *policy.Layout) {
	if reflect.DeepEqual(l, s.layout) {
		return
	}
	s.layout, s.design = l, newDesign(l)
	s.log.Info("layout changed")
	s.layers = layersOf(s.dest, l)
	best := s.layers[0]
	if c := (layout.Canvas{W: best.Width, H: best.Height}); c != s.canvas {
		s.canvas = c
		s.replaceWorker()
	}
	s.arrange()
}

// replaceWorker ends the current worker and starts another one.
func (s *stream) replaceWorker() {
	if s.current == nil { // the next one will be told of the new size
		return
	}
	s.worker.Store(nil)
	s.dismiss()
	if err := s.launch(); err != nil {
		s.stop(ending{failure: err.Error()})
	}
}
