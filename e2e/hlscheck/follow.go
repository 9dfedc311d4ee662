package hlscheck

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/fmp4"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/mp4/codecs"
)

// Report is what was seen of a stream.
type Report struct {
	Playlists int      // loaded and checked
	Parts     int      // loaded and checked
	Wrong     []string // each breach of a rule, the first hundred
	// Edge is how long after the end of its newest part a playlist arrived, one for each: the part's pictures were
	// composed until so long ago.
	Edge []time.Duration
	// Slowest is how long the slowest answer to a blocking reload took. RFC 8216bis 6.2.2 wants one and a half target
	// durations at most, which a test on a busy machine cannot.
	Slowest time.Duration
}

// Follow loads the stream at an address until the context ends or the stream does. It loads all renditions, each playlist
// by blocking reloads, in full and as delta updates, and all parts and segments in it.
func Follow(ctx context.Context, address string) (*Report, error) {
	base, err := url.Parse(address)
	if err != nil {
		return nil, err
	}
	f := &follower{client: &http.Client{Transport: &http.Transport{}}, main: base, timeline: map[int]segment{}}
	defer f.client.CloseIdleConnections()
	variants, err := f.variants(ctx)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, v := range variants {
		names = append(names, v.name)
	}
	var wg sync.WaitGroup
	failed := make([]error, len(names))
	for i, name := range names {
		wg.Go(func() {
			r := &rendition{follower: f, base: base.ResolveReference(&url.URL{Path: name}), name: name, all: names, ends: map[int]uint64{}}
			if failed[i] = r.checkRefusals(ctx); failed[i] == nil {
				failed[i] = r.follow(ctx)
			}
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
	main   *url.URL
	mu     sync.Mutex
	report Report
	// timeline is what all renditions have alike, by media sequence number, as the first of them listed it.
	timeline map[int]segment
}

// variants loads the multivariant playlist.
func (f *follower) variants(ctx context.Context) ([]variant, error) {
	text, err := f.get(ctx, f.main)
	if err != nil {
		return nil, err
	}
	return parseVariants(string(text))
}

// align compares a playlist's segments with those of the other renditions (6.2.4).
func (f *follower) align(name string, p *playlist) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := range p.segments {
		msn, s := p.first+p.skipped+i, p.segments[i]
		other, known := f.timeline[msn]
		if !known {
			f.timeline[msn] = s
			delete(f.timeline, msn-1000) // nobody is so far behind
			continue
		}
		if !other.date.Equal(s.date) || other.duration != s.duration || other.discontinuity != s.discontinuity || other.gap != s.gap {
			f.report.add("%s: segment %d is %+v, of another rendition %+v", name, msn, s, other)
		}
	}
}

func (r *Report) add(format string, args ...any) {
	if len(r.Wrong) < 100 {
		r.Wrong = append(r.Wrong, fmt.Sprintf(format, args...))
	}
}

func (f *follower) wrong(format string, args ...any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.report.add(format, args...)
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
		err = &refused{u.String(), resp.StatusCode}
	}
	return body, err
}

// refused is an answer with another status than 200.
type refused struct {
	address string
	status  int
}

func (e *refused) Error() string { return fmt.Sprintf("%s: status %d", e.address, e.status) }

// checkRefusals asks for what must be refused (6.2.5.2), and for what is not there.
func (r *rendition) checkRefusals(ctx context.Context) error {
	for reference, status := range map[string]int{
		"?_HLS_part=1": http.StatusBadRequest, "?_HLS_msn=9000000000000": http.StatusBadRequest, "none.m4s": http.StatusNotFound, "gap.mp4": http.StatusNotFound,
	} {
		u, err := r.base.Parse(reference)
		if err != nil {
			return err
		}
		_, err = r.get(ctx, u)
		var answer *refused
		switch {
		case errors.As(err, &answer) && answer.status == status:
		case err != nil && answer == nil:
			return err
		default:
			r.wrong("%s: %v, want %d", u, err, status)
		}
	}
	return nil
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
	left    int            // segments that have left the playlist
	whole   int            // segments compared with their parts
}

func (r *rendition) follow(ctx context.Context) error {
	want := ""
	var msn, part int // that are wanted
	for {
		u := *r.base
		u.RawQuery = want
		asked := time.Now()
		text, err := r.get(ctx, &u)
		if err != nil {
			return err
		}
		arrived := time.Now()
		p, err := parse(string(text))
		if err != nil {
			return err
		}
		if want != "" && !p.has(msn, part) || p.skipped > 0 {
			r.wrong("%s?%s: ends with part %v, and skips %d segments", r.name, want, p.end(), p.skipped)
		}
		before := r.history.last
		for _, breach := range r.history.check(p, r.name, r.all) {
			r.wrong("%s?%s: %s", r.name, want, breach)
		}
		r.align(r.name, p)
		if err := r.checkLeft(ctx, before, p); err != nil {
			return err
		}
		if err := r.checkDelta(ctx, p); err != nil {
			return err
		}
		r.mu.Lock()
		r.report.Playlists++
		if want != "" {
			r.report.Edge = append(r.report.Edge, p.age(arrived))
			r.report.Slowest = max(r.report.Slowest, arrived.Sub(asked))
		}
		r.mu.Unlock()
		if err := r.load(ctx, p); err != nil {
			return err
		}
		if p.ended || ctx.Err() != nil {
			return ctx.Err()
		}
		msn, part = p.next(), len(p.open)
		want = fmt.Sprintf("_HLS_msn=%d&_HLS_part=%d", msn, part)
	}
}

// checkLeft loads now and then a segment that has just left the playlist: players with the one before may ask for it (6.2.2).
func (r *rendition) checkLeft(ctx context.Context, before, p *playlist) error {
	if before == nil || p.first == before.first {
		return nil
	}
	s := before.segment(p.first - 1)
	if r.left++; s == nil || s.gap || r.left%10 != 1 {
		return nil
	}
	_, err := r.get(ctx, r.base.ResolveReference(&url.URL{Path: s.uri}))
	var answer *refused
	if errors.As(err, &answer) {
		r.wrong("%s: %s has left the playlist and is gone: %v", r.name, s.uri, err)
		return nil
	}
	return err
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
	if p.hint != full.hint {
		return nil
	}
	for _, breach := range new(history).check(p, r.name, r.all) {
		r.wrong("%s: delta update: %s", r.name, breach)
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
				if err := r.checkVariant(ctx, s, len(whole)); err != nil {
					return err
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

// checkVariant holds what the multivariant playlist says of the rendition against a segment, now and then (4.4.6.2).
func (r *rendition) checkVariant(ctx context.Context, s segment, size int) error {
	if r.whole++; r.whole%20 != 1 {
		return nil
	}
	all, err := r.variants(ctx)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(all, func(v variant) bool { return v.name == r.name })
	if i < 0 {
		r.wrong("%s is not in the multivariant playlist any more", r.name)
		return nil
	}
	v := all[i]
	if rate := float64(8*size) / s.duration; rate > float64(v.peak)+1 && s.duration > 0.5 {
		r.wrong("%s: %s has %.0f bit/s, BANDWIDTH is %d", r.name, s.uri, rate, v.peak)
	}
	for _, track := range r.inits[s.init].Tracks {
		c, ok := track.Codec.(*codecs.H264)
		if !ok {
			continue
		}
		var sps h264.SPS
		if err := sps.Unmarshal(c.SPS); err != nil {
			return fmt.Errorf("%s: %w", s.init, err)
		}
		if want := fmt.Sprintf("avc1.%02x%02x%02x,mp4a.40.2", c.SPS[1], c.SPS[2], c.SPS[3]); sps.Width() != v.width || sps.Height() != v.height || v.codecs != want {
			r.wrong("%s: has %dx%d, %s, listed with %dx%d, %s", r.name, sps.Width(), sps.Height(), want, v.width, v.height, v.codecs)
		}
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
