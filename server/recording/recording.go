// Package recording keeps what a composed stream shows, without encoding it again.
//
// A [Tape] writes the segments of a stream to the disk as they come, one behind the other, and a journal of them: what
// a killed server leaves is complete up to the last segment. When a tape has ended, or a server finds one of a server
// before, the [Manager] makes its files: a ZIP of playlists and segments to be played from any place that serves files,
// an MP4 for each layer, or both. It stores them, and tells of them in the store, which has the webhook sent. Only then
// what the tape wrote is removed; until then all of this can be done again.
package recording

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"time"

	"amphi/server/policy"
	"amphi/server/storage"
	"amphi/server/store"
)

const (
	// maxFinishing is how many recordings are brought to their place at a time: one whose bucket cannot be reached
	// must not hold up the others.
	maxFinishing = 16

	// sweepEvery is how often files are looked for that are kept long enough.
	sweepEvery = time.Hour

	// recordPause is between attempts to write the record of a finished recording.
	recordPause = 5 * time.Second
)

// Layer is a rendition of the stream that is recorded.
type Layer struct {
	Rendition int `json:"rendition"` // its number in the stream
	Bitrate   int `json:"bitrate"`   // bit/s, that the encoder was told
}

// Spec says what is recorded and what is to be made of it.
type Spec struct {
	ID       string        `json:"id"`   // of the live stream or the job
	Job      store.JobKind `json:"kind"` // empty: of a live stream
	Customer string        `json:"customer"`
	Room     string        `json:"room"`
	Session  string        `json:"session"`
	Began    time.Time     `json:"began"`

	VOD       bool          `json:"vod"`    // make a ZIP of playlists and segments
	Files     bool          `json:"files"`  // make an MP4 for each layer
	AudioOnly bool          `json:"audio"`  // of the sound alone
	FrameRate int           `json:"fps"`    // pictures a second
	Layers    []Layer       `json:"layers"` // the best first
	URLsFor   time.Duration `json:"urls"`   // how long the addresses in the webhook are good; 0: see defaultURLs
	// Thumbnails are those that a template wants; nil: none. There is a poster in any case.
	Thumbnails *policy.Thumbnails `json:"thumbnails,omitempty"`

	Track *TrackSpec `json:"track,omitempty"` // nil: of what is composed

	Failed func(error) `json:"-"` // is told once if the recording ends by itself; may be nil
}

// name is that of the recording's files, with other ends; folder is where they are below the customer's place. Both are
// those of the API's documentation.
func (s Spec) name() string { return fmt.Sprintf("Rec-%s-%d", s.Room, s.Began.UnixMilli()) }

func (s Spec) folder() string {
	if s.Job == "" {
		return fmt.Sprintf("hls/%s/%s/%d", s.Room, s.day(), s.Began.UnixMilli())
	}
	return fmt.Sprintf("beam/%s/%s", s.Room, s.day())
}

func (s Spec) day() string { return s.Began.UTC().Format("20060102") }

func (s Spec) check() error {
	if !store.IsID(s.ID) || s.Track == nil && (len(s.Layers) == 0 || len(s.Layers) > 16) {
		return fmt.Errorf("recording: %q with %d layers", s.ID, len(s.Layers))
	}
	return nil
}

// Config is what a Manager needs.
type Config struct {
	Dir     string // of what is recorded; what it has from before is finished
	Storage *storage.Storage
	Store   *store.Store
	// Place is where the files of a room's recordings belong; nil: to the default of Storage.
	Place func(ctx context.Context, customerID, roomID string) (storage.Place, error)

	Reserve int64 // bytes of the disk that recordings leave to others
	// WaitForRoom is how long a file that the disk has no room for waits for some. What was recorded is lost after that.
	WaitForRoom time.Duration
	Keep        time.Duration // of files in the server's own directory; 0: for ever

	Free func(dir string) (int64, error) // bytes that can still be written; nil: what the file system says

	// Still makes a file, of the format png or jpeg, of a key picture of H.264 with its parameter sets, in Annex-B form:
	// as large as fits into the size, in pixels. Nil: there are no stills.
	Still func(ctx context.Context, picture []byte, format string, width, height int) ([]byte, error)

	Log *slog.Logger
}

// Manager makes tapes and finishes them.
type Manager struct {
	cfg Config

	mu      sync.Mutex
	running map[string]*Tape
	tracks  int      // that are recorded
	waiting []string // ended recordings, by their directories' names
	wake    chan struct{}
	making  sync.Mutex // files are made one after another: that is work for disk and processor

	finished chan string // tests only: told of each recording that is done
}

// New finds what the server before left.
func New(c Config) (*Manager, error) {
	if err := os.MkdirAll(c.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("recording: %w", err)
	}
	if c.Free == nil {
		c.Free = free
	}
	m := &Manager{cfg: c, running: make(map[string]*Tape), wake: make(chan struct{}, 1)}
	left, err := os.ReadDir(c.Dir)
	if err != nil {
		return nil, fmt.Errorf("recording: %w", err)
	}
	for _, e := range left {
		if e.IsDir() && store.IsID(e.Name()) {
			c.Log.Info("recording of the last run is finished now", "recording", e.Name())
			m.finish(e.Name())
		}
	}
	return m, nil
}

// Begin begins a recording.
func (m *Manager) Begin(spec Spec) (*Tape, error) {
	if err := spec.check(); err != nil || spec.Track != nil {
		return nil, errors.Join(errors.New("recording: not of what is composed"), err)
	}
	t, err := newTape(m, spec)
	if err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.running[spec.ID] = t
	return t, nil
}

// ErrNotFound says that a server left no such recording.
var ErrNotFound = errors.New("recording: not found")

// Resume goes on with a recording that the server before left, before [Manager.Run] finishes it. Failed is told once if
// it ends by itself. With an error it is finished as ever; [ErrNotFound] if there is none.
func (m *Manager) Resume(id string, failed func(error)) (*Tape, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	i := slices.Index(m.waiting, id)
	if i < 0 {
		return nil, fmt.Errorf("%w: %s", ErrNotFound, id)
	}
	t, err := resumeTape(m, id, failed)
	if err != nil {
		return nil, err
	}
	m.waiting = slices.Delete(m.waiting, i, i+1)
	m.running[id] = t
	return t, nil
}

// finish queues a recording that has ended.
func (m *Manager) finish(id string) {
	m.mu.Lock()
	delete(m.running, id)
	m.waiting = append(m.waiting, id)
	m.mu.Unlock()
	select {
	case m.wake <- struct{}{}:
	default:
	}
}

func (m *Manager) next() (id string, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.waiting) == 0 {
		return "", false
	}
	id, m.waiting = m.waiting[0], m.waiting[1:]
	return id, true
}

// Run finishes recordings, and removes files that were kept long enough, until ctx ends. What is not finished then is
// so by the next run.
func (m *Manager) Run(ctx context.Context) error {
	m.settle(ctx)
	var running sync.WaitGroup
	defer running.Wait()
	places := make(chan struct{}, maxFinishing)
	sweep := time.NewTicker(sweepEvery)
	defer sweep.Stop()
	m.sweep()
	for {
		select {
		case <-m.wake:
		case <-sweep.C:
			m.sweep()
		case <-ctx.Done():
			return nil
		}
		for {
			id, ok := m.next()
			if !ok {
				break
			}
			select {
			case places <- struct{}{}:
			case <-ctx.Done():
				return nil
			}
			running.Go(func() {
				defer func() { <-places }()
				m.deliver(ctx, id)
			})
		}
	}
}

// settle ends the wait of records for files that will not come: of recordings that never began.
func (m *Manager) settle(ctx context.Context) {
	m.mu.Lock()
	expected := slices.Clone(m.waiting)
	m.mu.Unlock()
	if err := m.cfg.Store.SettleRecordings(ctx, expected, time.Now()); err != nil {
		m.cfg.Log.Error("records of recordings could not be settled", "err", err)
	}
}

func (m *Manager) sweep() {
	if m.cfg.Keep <= 0 {
		return
	}
	n, err := m.cfg.Storage.Local.Sweep(m.cfg.Keep)
	if err != nil {
		m.cfg.Log.Warn("old files of recordings could not be removed", "err", err)
	}
	if n > 0 {
		m.cfg.Log.Info("old files of recordings removed", "files", n, "kept", m.cfg.Keep)
	}
}

// room says whether the disk takes a recording of so many bytes, with the files that will be made of it.
func (m *Manager) room(s Spec, recorded int64) error {
	left, err := m.cfg.Free(m.cfg.Dir)
	if err != nil {
		return fmt.Errorf("recording: %w", err)
	}
	need := m.cfg.Reserve
	if s.VOD {
		need += recorded + recorded/64 // and the names of the segments
	}
	if s.Files || s.Track != nil {
		need += recorded + recorded/64
	}
	if left < need {
		return errDiskFull
	}
	return nil
}

// free is what the file system says.
func free(dir string) (int64, error) {
	var st syscall.Statfs_t
	if err := syscall.Statfs(dir, &st); err != nil {
		return 0, err
	}
	return int64(st.Bavail) * st.Bsize, nil
}

// deliver makes the files of a recording, stores them, and tells of them.
func (m *Manager) deliver(ctx context.Context, id string) {
	log := m.cfg.Log.With("recording", id)
	dir := filepath.Join(m.cfg.Dir, id)
	r, err := openReel(dir)
	if err != nil {
		// Of the journal not even the first line is there: nothing was recorded.
		log.Warn("recording is empty", "err", err)
		r = &reel{dir: dir}
	}
	defer r.close()
	var record func(context.Context) error
	var files int
	if r.spec.Track != nil {
		track, err := m.produceTrack(ctx, r, log)
		if err != nil { // ctx has ended
			return
		}
		files = 1
		record = func(ctx context.Context) error { return m.cfg.Store.TrackRecorded(ctx, track) }
	} else {
		result, err := m.produce(ctx, r, log)
		if err != nil { // likewise
			return
		}
		result.ID, result.At = id, time.Now()
		files = len(result.Files)
		record = func(ctx context.Context) error { return m.cfg.Store.RecordingDone(ctx, result) }
	}
	for {
		err := record(ctx)
		if errors.Is(err, store.ErrNotFound) {
			log.Error("recording without a record is removed", "err", err)
			break
		}
		if err == nil {
			break
		}
		log.Error("recording could not be put on record", "err", err, "again_in", recordPause)
		select {
		case <-time.After(recordPause):
		case <-ctx.Done():
			return
		}
	}
	if err := os.RemoveAll(dir); err != nil {
		log.Warn("recording stays on disk", "err", err)
	}
	log.Info("recording done", "files", files)
	if m.finished != nil {
		m.finished <- id
	}
}
