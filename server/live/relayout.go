package live

import (
	"context"
	"reflect"
	"time"

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

// layoutView is how a destination's picture looks.
type layoutView struct {
	reader *layoutReader
	layout *policy.Layout // may be nil
}

// openLayout reads what a destination looks like now; known is what it looked like when the room opened.
func (s *stream) openLayout(ctx context.Context, destination string, known *policy.Layout) layoutView {
	v := layoutView{&layoutReader{store: s.m.cfg.Store, roomID: s.info.RoomID, workspace: s.info.CustomerID, destination: destination}, known}
	if l, changed, err := v.reader.read(ctx); err != nil {
		s.log.Warn("layout could not be read", "err", err)
	} else if changed {
		v.layout = l
	}
	return v
}

// follow makes the picture look as a destination says, and from now on as that will say.
func (s *stream) follow(v layoutView) {
	s.unfollow()
	s.view, s.design = v, newDesign(v.layout)
	var ctx context.Context
	ctx, s.unfollow = context.WithCancel(context.Background())
	s.watching.Go(func() { s.watchLayout(ctx, v.reader) })
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
			case s.layouts <- layoutView{r, l}:
			case <-ctx.Done():
				return
			}
		}
	}
}

// setLayout makes the picture look otherwise from now on. What is on the stage goes on, and so do
// the workers, unless the picture gets another size.
func (s *stream) setLayout(v layoutView) {
	if v.reader != s.view.reader || reflect.DeepEqual(v.layout, s.view.layout) {
		return
	}
	s.view, s.design = v, newDesign(v.layout)
	s.log.Info("layout changed")
	if !s.plan() {
		s.arrange()
	}
}
