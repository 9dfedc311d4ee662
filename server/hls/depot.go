package hls

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
)

// Bucket is where the segments of events go that have left memory. Keys are those of the addresses without the first
// slash, such as beam/{customer}/{room}/720p/17.m4s, so that a CDN may fetch from the bucket what is in it and all else
// from the server.
//
// Viewers get them from the server, which fetches them: a redirection would want the bucket to let pages of any origin
// read, which buckets do not by themselves, and would have each player know another address of the same segment, which no
// cache between could keep. Who wants the server spared puts a CDN in front, which keeps segments for ever.
type Bucket interface {
	// Write stores a file, all or nothing; one that is there is replaced.
	Write(ctx context.Context, key, contentType, cacheControl string, body []byte) error
	// Read returns a file. It is an error if that has more bytes than most.
	Read(ctx context.Context, key string, most int) ([]byte, error)
	// Delete removes a file. It is no error if there is none.
	Delete(ctx context.Context, key string) error
}

const (
	// defaultSpool bounds what waits on disk for a bucket that takes nothing: an hour and a half at 3 Mbit/s.
	defaultSpool = 2 << 30

	// A bucket that fails is asked again after a pause, which doubles.
	firstPause = 500 * time.Millisecond
	maxPause   = 10 * time.Second

	// requestLimit bounds one request to a bucket.
	requestLimit = 20 * time.Second

	// maxFetches bounds the segments that are fetched at a time, as they are in memory meanwhile.
	maxFetches = 32

	// deletions is how many files are removed at a time.
	deletions = 8
)

// depot brings an event's segments from the disk to a bucket, in their order, and fetches them.
type depot struct {
	cfg *Config
	log *slog.Logger

	spooled atomic.Int64  // bytes on disk
	stored  atomic.Uint64 // segments in the bucket, of those of this run
	fetches chan struct{}

	mu      sync.Mutex
	waiting []parcel
	wake    chan struct{} // one slot

	stop  context.CancelFunc
	ended chan struct{}
	init  *initial // that the bucket has; belongs to the goroutine of run
}

// parcel is a segment that waits on disk.
type parcel struct {
	seg  *segment
	size int // of its files
}

// openDepot finds which of the segments that there are wait on disk, and begins. It must be closed.
func openDepot(c *Config, segments []*segment) *depot {
	ctx, stop := context.WithCancel(context.Background())
	d := &depot{cfg: c, log: c.Log, fetches: make(chan struct{}, maxFetches), wake: make(chan struct{}, 1), stop: stop, ended: make(chan struct{})}
	for _, seg := range segments {
		size, waits := 0, false
		for r := range c.Renditions {
			if info, err := os.Stat(c.path(r, seg)); err == nil {
				size, waits = size+int(info.Size()), true
			}
		}
		if waits {
			d.take(seg, size)
		}
	}
	go d.run(ctx)
	return d
}

// key is that of a file in the bucket.
func (c *Config) key(rendition int, name string) string {
	return c.Prefix + c.Renditions[rendition].Name + "/" + name
}

func (c *Config) spool() int64 {
	if c.Spool > 0 {
		return c.Spool
	}
	return defaultSpool
}

func (d *depot) hasRoom(size int) bool { return d.spooled.Load()+int64(size) <= d.cfg.spool() }

// take takes a segment that is on disk.
func (d *depot) take(seg *segment, size int) {
	kept := *seg // without what is in memory
	kept.bodies, kept.transports, kept.parts = nil, nil, nil
	d.spooled.Add(int64(size))
	d.mu.Lock()
	d.waiting = append(d.waiting, parcel{&kept, size})
	d.mu.Unlock()
	select {
	case d.wake <- struct{}{}:
	default:
	}
}

func (d *depot) next() (p parcel, ok bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.waiting) == 0 {
		return p, false
	}
	p, d.waiting = d.waiting[0], d.waiting[1:]
	return p, true
}

func (d *depot) run(ctx context.Context) {
	defer close(d.ended)
	for {
		p, ok := d.next()
		if !ok {
			select {
			case <-d.wake:
				continue
			case <-ctx.Done():
				return
			}
		}
		if !d.bring(ctx, p) {
			return
		}
	}
}

// bring brings a segment to the bucket, whenever that takes it. It gives false when it is to end.
func (d *depot) bring(ctx context.Context, p parcel) bool {
	var since time.Time // the bucket takes nothing
	for pause := firstPause; ; pause = min(2*pause, maxPause) {
		err := d.send(ctx, p.seg)
		if ctx.Err() != nil {
			return false
		}
		if err == nil {
			break
		}
		if since.IsZero() {
			since = time.Now()
			d.log.Warn("the bucket does not take segments of a live stream: they wait on disk", "most_bytes", d.cfg.spool(), "err", err)
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return false
		}
	}
	if !since.IsZero() {
		d.log.Info("the bucket takes segments of a live stream again", "after", time.Since(since).Round(time.Second), "waiting_bytes", d.spooled.Load())
	}
	for r := range d.cfg.Renditions {
		if err := os.Remove(d.cfg.path(r, p.seg)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			d.log.Warn("segment stays on disk", "err", err)
		}
	}
	d.spooled.Add(-int64(p.size))
	d.stored.Add(1)
	return true
}

// send sends a segment's files, and before them the initialisation sections if they are new.
func (d *depot) send(ctx context.Context, seg *segment) error {
	all, ctx := errgroup.WithContext(ctx)
	for r := range d.cfg.Renditions {
		all.Go(func() error {
			if seg.init != d.init {
				if err := d.write(ctx, d.cfg.key(r, seg.init.name()), seg.init.bodies[r]); err != nil {
					return err
				}
			}
			body, err := os.ReadFile(d.cfg.path(r, seg))
			if errors.Is(err, fs.ErrNotExist) { // sent by the server before
				return nil
			}
			if err != nil {
				return err
			}
			return d.write(ctx, d.cfg.key(r, seg.name()), body)
		})
	}
	err := all.Wait()
	if err == nil {
		d.init = seg.init
	}
	return err
}

func (d *depot) write(ctx context.Context, key string, body []byte) error {
	ctx, cancel := context.WithTimeout(ctx, requestLimit)
	defer cancel()
	return d.cfg.Bucket.Write(ctx, key, mediaType, cacheForever, body)
}

// fetch gets a file out of the bucket.
func (d *depot) fetch(ctx context.Context, key string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, requestLimit)
	defer cancel()
	select {
	case d.fetches <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer func() { <-d.fetches }()
	return d.cfg.Bucket.Read(ctx, key, maxSegmentBytes+maxSegmentBytes/4)
}

func (d *depot) close() {
	d.stop()
	<-d.ended
}

// Discard removes what a stream whose [Config.Dir] that was has left: its directory, and its files in the bucket, which
// may be nil if there never was one. A directory of which something stays in the bucket stays too, to be tried again.
func Discard(ctx context.Context, dir string, b Bucket) error {
	h, all, _, err := readIndex(dir)
	if err == nil && h.Prefix != "" && len(all) > 0 {
		if b == nil {
			return fmt.Errorf("hls: %d segments of %s are in a bucket that is not set up any more", len(all), dir)
		}
		removing, ctx := errgroup.WithContext(ctx)
		removing.SetLimit(deletions)
		remove := func(rendition, name string) {
			removing.Go(func() error {
				ctx, cancel := context.WithTimeout(ctx, requestLimit)
				defer cancel()
				return b.Delete(ctx, h.Prefix+rendition+"/"+name)
			})
		}
		for _, e := range all {
			for _, r := range h.Renditions {
				remove(r, (&segment{msn: e.MSN}).name())
				if len(e.Sets) > 0 {
					remove(r, (&initial{msn: e.Init}).name())
				}
			}
			if ctx.Err() != nil {
				break
			}
		}
		if err := removing.Wait(); err != nil {
			return fmt.Errorf("hls: segments stay in the bucket: %w", err)
		}
	}
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("hls: segments stay on disk: %w", err)
	}
	return nil
}

// Prefix is what the keys of a place's files in a [Bucket] begin with.
func (k Key) Prefix() string { return Prefix[1:] + k.Customer + "/" + k.Room + "/" }
