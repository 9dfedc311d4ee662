package dashboard

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"sync"

	"golang.org/x/time/rate"

	"amphi/server/live"
)

const (
	// maxStills and maxStillBytes bound what is kept of previews: what they are made from may have pictures in it.
	maxStills     = 64
	maxStillBytes = 32 << 20

	drawnAtOnce    = 2
	drawsPerSecond = 4
	drawBurst      = 16
)

var errBusy = problem{http.StatusTooManyRequests, "Too many previews at once", "Wait a moment, then load the page again."}

// stills are previews by a key, which is a hash of what they are made from: pages name a picture, and it is drawn when
// it is asked for, once.
type stills struct {
	draw  func(context.Context, live.Still) ([]byte, error)
	slots chan struct{}
	rate  *rate.Limiter

	mu    sync.Mutex
	kept  map[string]*still
	order []string // keys, the oldest first
	bytes int
}

type still struct {
	live.Still
	size int
	png  []byte // nil: not drawn yet
}

func newStills(draw func(context.Context, live.Still) ([]byte, error)) *stills {
	return &stills{draw: draw, slots: make(chan struct{}, drawnAtOnce), rate: rate.NewLimiter(drawsPerSecond, drawBurst), kept: make(map[string]*still)}
}

// add notes what a picture is made from, and returns its key.
func (s *stills) add(of live.Still) (string, error) {
	text, err := json.Marshal(of)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(text)
	key := hex.EncodeToString(sum[:16])
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.kept[key] == nil {
		s.kept[key] = &still{Still: of, size: len(text)}
		s.order = append(s.order, key)
		s.bytes += len(text)
		s.trim()
	}
	return key, nil
}

// trim forgets the oldest, but for one. The caller holds mu.
func (s *stills) trim() {
	for len(s.order) > maxStills || s.bytes > maxStillBytes && len(s.order) > 1 {
		s.bytes -= s.kept[s.order[0]].size
		delete(s.kept, s.order[0])
		s.order = s.order[1:]
	}
}

// get returns a picture. One that is forgotten is not there.
func (s *stills) get(ctx context.Context, key string) ([]byte, error) {
	kept := func() (*still, []byte) {
		s.mu.Lock()
		defer s.mu.Unlock()
		if k := s.kept[key]; k != nil {
			return k, k.png
		}
		return nil, nil
	}
	k, png := kept()
	switch {
	case k == nil:
		return nil, errNoPage
	case png != nil:
		return png, nil
	case !s.rate.Allow():
		return nil, errBusy
	}
	select {
	case s.slots <- struct{}{}:
		defer func() { <-s.slots }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if _, png = kept(); png != nil { // somebody else was waiting for it too
		return png, nil
	}
	png, err := s.draw(ctx, k.Still)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.kept[key] == k {
		k.png, k.size = png, k.size+len(png)
		s.bytes += len(png)
		s.trim()
	}
	return png, nil
}
