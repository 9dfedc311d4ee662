package hlscheck

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/bluenviron/mediacommon/v2/pkg/formats/fmp4"
)

// Report is what was seen of a stream.
type Report struct {
	Playlists int      // loaded and checked
	Parts     int      // loaded and checked
	Wrong     []string // each breach of a rule, the first hundred
	// Edge is how long after the end of its newest part a playlist arrived, one for each: the part's pictures were
	// composed until so long ago.
	Edge []time.Duration
}

// Follow loads the stream at an address until the context ends or the stream does. It loads all renditions, each playlist
// by blocking reloads, in full and as delta updates, and all parts and segments in it.
func Follow(ctx context.Context, address string) (*Report, error) {
	base, err := url.Parse(address)
	if err != nil {
		return nil, err
	}
	f := &follower{client: &http.Client{Transport: &http.Transport{}}}
	defer f.client.CloseIdleConnections()
	text, err := f.get(ctx, base)
	if err != nil {
		return nil, err
	}
	names, err := parseMain(string(text))
	if err != nil {
		return nil, err
	}
	var wg sync.WaitGroup
	failed := make([]error, len(names))
	for i, name := range names {
		wg.Go(func() {
			r := &rendition{follower: f, base: base.ResolveReference(&url.URL{Path: name}), name: name, all: names, ends: map[int]uint64{}}
			failed[i] = r.follow(ctx)
		})
	}
	wg.Wait()
	for _, err := range failed {
		if err != nil && ctx.Err() == nil {
			return &f.report, err
		}
	}
	return &f.report, nil
}

type follower struct {
	client *http.Client
	mu     sync.Mutex
	report Report
}

func (f *follower) wrong(format string, args ...any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.report.Wrong) < 100 {
		f.report.Wrong = append(f.report.Wrong, fmt.Sprintf(format, args...))
	}
}

func (f *follower) get(ctx context.Context, u *url.URL) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, err
	}
	resp, err := f.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", u, resp.Status)
	}
	return body, err
}

// rendition follows one playlist.
type rendition struct {
	*follower
	base    *url.URL
	name    string
	all     []string
	history history
	inits   map[string]*fmp4.Init
	ends    map[int]uint64 // by track: where the last part ended, in its time scale
	done    string         // the last part that was loaded
	parts   []byte         // of the segment being loaded
}

func (r *rendition) follow(ctx context.Context) error {
	want := ""
	for {
		u := *r.base
		u.RawQuery = want
		text, err := r.get(ctx, &u)
		if err != nil {
			return err
		}
		arrived := time.Now()
		p, err := parse(string(text))
		if err != nil {
			return err
		}
		for _, breach := range r.history.check(p, r.name, r.all) {
			r.wrong("%s?%s: %s", r.name, want, breach)
		}
		if err := r.checkDelta(ctx, p); err != nil {
			return err
		}
		r.mu.Lock()
		r.report.Playlists++
		if want != "" {
			r.report.Edge = append(r.report.Edge, p.age(arrived))
		}
		r.mu.Unlock()
		if err := r.load(ctx, p); err != nil {
			return err
		}
		if p.ended || ctx.Err() != nil {
			return ctx.Err()
		}
		want = fmt.Sprintf("_HLS_msn=%d&_HLS_part=%d", p.next(), len(p.open))
	}
}

// checkDelta asks for the same as a delta update. A part may have come meanwhile.
func (r *rendition) checkDelta(ctx context.Context, full *playlist) error {
	u := *r.base
	u.RawQuery = "_HLS_skip=YES"
	text, err := r.get(ctx, &u)
	if err != nil {
		return err
	}
	p, err := parse(string(text))
	if err != nil {
		return fmt.Errorf("delta update: %w", err)
	}
	if p.end() != full.end() || p.ended != full.ended {
		return nil
	}
	if differs := p.sameAs(full); differs != "" {
		r.wrong("%s: delta update: %s", r.name, differs)
	}
	return nil
}

// load loads the parts that were not there before, and compares each segment with its parts.
func (r *rendition) load(ctx context.Context, p *playlist) error {
	began := r.done == ""
	passed := began
	for msn := p.first + p.skipped; msn <= p.next(); msn++ {
		s := segment{parts: p.open}
		if msn < p.next() {
			s = *p.segment(msn)
		} else if n := len(p.segments); n > 0 {
			s.init = p.segments[n-1].init // of the open one it is not told
		}
		if began && msn < p.next()-1 {
			continue // begins near the end, as players do
		}
		for i, t := range s.parts {
			if passed {
				if i == 0 {
					r.parts = r.parts[:0]
					if s.discontinuity {
						clear(r.ends)
					}
				}
				if err := r.loadPart(ctx, s, t); err != nil {
					return err
				}
				r.done = t.uri
			}
			if passed = passed || t.uri == r.done; passed && i == len(s.parts)-1 && s.uri != "" && len(r.parts) > 0 {
				whole, err := r.get(ctx, r.base.ResolveReference(&url.URL{Path: s.uri}))
				if err != nil {
					return err
				}
				if !bytes.Equal(whole, r.parts) {
					r.wrong("%s: %s is not its parts in a row", r.name, s.uri)
				}
				r.parts = r.parts[:0]
			}
		}
	}
	if !passed {
		r.wrong("%s: %s is not listed any more: the checker was too slow", r.name, r.done)
		r.done = ""
		clear(r.ends)
	}
	return nil
}

// loadPart loads a part and checks that its tracks go on where those of the one before ended.
func (r *rendition) loadPart(ctx context.Context, s segment, t part) error {
	body, err := r.get(ctx, r.base.ResolveReference(&url.URL{Path: t.uri}))
	if err != nil {
		return err
	}
	r.mu.Lock()
	r.report.Parts++
	r.mu.Unlock()
	r.parts = append(r.parts, body...)
	init, err := r.init(ctx, s.init)
	if err != nil {
		return err
	}
	var fragments fmp4.Parts
	if err := fragments.Unmarshal(body); err != nil {
		return fmt.Errorf("%s: %w", t.uri, err)
	}
	for _, fragment := range fragments {
		if differs := inStep(fragment.Tracks, init.Tracks); differs != "" {
			r.wrong("%s: %s", t.uri, differs)
		}
		for _, track := range fragment.Tracks {
			i := slices.IndexFunc(init.Tracks, func(in *fmp4.InitTrack) bool { return in.ID == track.ID })
			if i < 0 {
				continue
			}
			if end, known := r.ends[track.ID]; known && end != track.BaseTime {
				r.wrong("%s: track %d goes on at %d, not at %d of %d a second", t.uri, track.ID, track.BaseTime, end, init.Tracks[i].TimeScale)
			}
			end := track.BaseTime
			for _, sample := range track.Samples {
				end += uint64(sample.Duration)
			}
			r.ends[track.ID] = end
			if !init.Tracks[i].Codec.IsVideo() {
				continue
			}
			if lasts := float64(end-track.BaseTime) / float64(init.Tracks[i].TimeScale); lasts > t.duration+0.001 || lasts < t.duration-0.001 {
				r.wrong("%s: lasts %v, listed with %v", t.uri, lasts, t.duration)
			}
			if sync := len(track.Samples) > 0 && !track.Samples[0].IsNonSyncSample; sync != t.independent {
				r.wrong("%s: begins with a key picture: %v, listed as independent: %v", t.uri, sync, t.independent)
			}
		}
	}
	return nil
}

// init loads an initialisation section once.
func (r *rendition) init(ctx context.Context, name string) (*fmp4.Init, error) {
	if known := r.inits[name]; known != nil {
		return known, nil
	}
	body, err := r.get(ctx, r.base.ResolveReference(&url.URL{Path: name}))
	if err != nil {
		return nil, err
	}
	var init fmp4.Init
	if err := init.Unmarshal(bytes.NewReader(body)); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	r.inits = map[string]*fmp4.Init{name: &init} // segments refer to the newest
	return &init, nil
}

// inStep says where the tracks of a fragment are not of the same time. hls.js takes a part's place on the timeline from
// one of them, and what it has from what both cover: it passes over a short part that seems to end before that.
func inStep(tracks []*fmp4.PartTrack, init []*fmp4.InitTrack) string {
	if len(tracks) != len(init) {
		return fmt.Sprintf("has %d of %d tracks", len(tracks), len(init))
	}
	const most = 1024.0 / 44100 // an access unit of sound
	var from, to [2]float64     // of pictures, of sound
	for _, track := range tracks {
		i := slices.IndexFunc(init, func(in *fmp4.InitTrack) bool { return in.ID == track.ID })
		if i < 0 {
			return fmt.Sprintf("track %d is not in the initialisation section", track.ID)
		}
		kind := 1
		if init[i].Codec.IsVideo() {
			kind = 0
		}
		end := track.BaseTime
		for _, sample := range track.Samples {
			end += uint64(sample.Duration)
		}
		from[kind], to[kind] = float64(track.BaseTime)/float64(init[i].TimeScale), float64(end)/float64(init[i].TimeScale)
	}
	if math.Abs(from[0]-from[1]) > most || math.Abs(to[0]-to[1]) > most {
		return fmt.Sprintf("has pictures from %.3f to %.3f and sound from %.3f to %.3f", from[0], to[0], from[1], to[1])
	}
	return ""
}
