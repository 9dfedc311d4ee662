package recording

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// The files in the directory of a recording that is made:
//
//	journal   what the others are, a JSON text a line: the Spec, an entry for each segment, and the end
//	layer-N   the segments of a layer, one behind the other
//
// A line is written after what it is about. So what a killed server leaves is complete up to the last whole line.
const journalName = "journal"

func layerName(layer int) string { return "layer-" + strconv.Itoa(layer) }

// entry is a line of the journal after the first.
type entry struct {
	Init     [][]byte      `json:"init,omitempty"` // by layer: the initialisation sections from this segment on
	Start    time.Time     `json:"start,omitzero"`
	Duration time.Duration `json:"duration,omitempty"`
	Cut      bool          `json:"cut,omitempty"`   // it does not continue the segment before
	Sizes    []int64       `json:"sizes,omitempty"` // by layer
	Sums     []uint32      `json:"sums,omitempty"`  // by layer: CRC-32C of the bytes

	Paused *bool   `json:"paused,omitempty"` // of what follows nothing is recorded, or all again; there is nothing else in the line
	End    *Ending `json:"end,omitempty"`    // nothing follows
}

// Ending says how a recording ended. One whose server was killed has none.
type Ending struct {
	At      time.Time `json:"at"`
	Failure string    `json:"failure,omitempty"` // why it has not all that it should; empty if it has
}

// journal is that of a recording that runs: of a Tape or a TrackTape.
type journal struct {
	dir  string
	log  *slog.Logger
	file *os.File
}

// newJournal makes the directory of a recording, with the journal's first line.
func (m *Manager) newJournal(spec Spec) (*journal, error) {
	j := &journal{dir: filepath.Join(m.cfg.Dir, spec.ID), log: m.cfg.Log.With("recording", spec.ID)}
	if err := m.room(spec, 0); err != nil {
		return nil, err
	}
	if err := os.Mkdir(j.dir, 0o700); err != nil {
		return nil, fmt.Errorf("recording: %w", err)
	}
	var err error
	j.file, err = os.OpenFile(filepath.Join(j.dir, journalName), os.O_CREATE|os.O_EXCL|os.O_WRONLY|os.O_APPEND, 0o600)
	if err == nil {
		err = j.line(spec)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("recording: %w", err), j.abandon())
	}
	return j, nil
}

// reopenJournal opens that of a recording which the server before left, to go on after what is whole.
func (m *Manager) reopenJournal(r *reel) (*journal, error) {
	j := &journal{dir: r.dir, log: m.cfg.Log.With("recording", r.spec.ID)}
	var err error
	j.file, err = os.OpenFile(filepath.Join(j.dir, journalName), os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return nil, fmt.Errorf("recording: %w", err)
	}
	if err := j.file.Truncate(r.length); err != nil {
		return nil, errors.Join(fmt.Errorf("recording: %w", err), j.file.Close())
	}
	return j, nil
}

// abandon removes a recording that could not begin.
func (j *journal) abandon() error {
	if j.file != nil {
		_ = j.file.Close()
	}
	return os.RemoveAll(j.dir)
}

// line appends a line.
func (j *journal) line(v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("recording: %w", err)
	}
	if _, err := j.file.Write(append(text, '\n')); err != nil {
		return diskError(err)
	}
	return nil
}

// end writes the last line, and makes all outlast a power failure: the journal and the files of which it tells. Lost are
// as many parts, which are named, as the disk was too slow for.
func (j *journal) end(failure error, lost int, parts string, files ...*os.File) {
	end := Ending{At: time.Now()}
	switch {
	case failure != nil:
		end.Failure = failure.Error()
	case lost > 0:
		end.Failure = fmt.Sprintf("the disk was too slow: %d %s are missing", lost, parts)
	}
	// On a disk without room for a line the journal ends as that of a killed server does.
	if err := j.line(entry{End: &end}); err != nil {
		j.log.Warn("end of the recording is not in its journal", "err", err)
	}
	j.sync(files...)
	_ = j.file.Close()
}

// sync makes what is written outlast a power failure. What fails here fails at the next write too.
func (j *journal) sync(files ...*os.File) {
	for _, f := range append(files, j.file) {
		if err := f.Sync(); err != nil {
			j.log.Warn("recording could not be synced", "err", err)
			return
		}
	}
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// segment is one that was recorded.
type segment struct {
	entry
	init    int     // which of the reel's
	offsets []int64 // by layer
	line    int64   // where its line ends in the journal
}

// reel is what was recorded, to be read.
type reel struct {
	dir      string
	spec     Spec
	inits    [][][]byte // by number and layer
	segments []segment
	ending   *Ending
	paused   bool
	length   int64 // bytes of the journal that are whole
	files    []*os.File
	poster   string // a file, JPEG, that goes with the VOD; empty: none
}

// maxLine bounds a line of a journal: initialisation sections are less than 1 kB each.
const maxLine = 1 << 20

// unsynced is how many of the last segments a power failure may have damaged: see syncEvery.
const unsynced = 3 * syncEvery

// openReel reads a journal. It takes what is whole: a torn line, and a segment whose bytes are not there, end it.
func openReel(dir string) (r *reel, err error) {
	f, err := os.Open(filepath.Join(dir, journalName))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	r = &reel{dir: dir}
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, maxLine)
	if !lines.Scan() || json.Unmarshal(lines.Bytes(), &r.spec) != nil || r.spec.check() != nil {
		return nil, fmt.Errorf("recording: %s has no beginning: %w", dir, errors.Join(lines.Err(), io.ErrUnexpectedEOF))
	}
	heading := int64(len(lines.Bytes())) + 1
	r.length = heading
	if r.spec.Track != nil {
		return r, nil
	}
	layers := len(r.spec.Layers)
	lengths := make([]int64, layers)
	defer func() {
		if err != nil {
			r.close()
		}
	}()
	for i := range r.spec.Layers {
		data, err := os.Open(filepath.Join(dir, layerName(i)))
		if err != nil {
			return nil, fmt.Errorf("recording: %w", err)
		}
		r.files = append(r.files, data)
		info, err := data.Stat()
		if err != nil {
			return nil, fmt.Errorf("recording: %w", err)
		}
		lengths[i] = info.Size()
	}
	at := make([]int64, layers)
	for lines.Scan() {
		var e entry
		if json.Unmarshal(lines.Bytes(), &e) != nil {
			break
		}
		if e.End != nil {
			r.ending = e.End
			break
		}
		end := r.length + int64(len(lines.Bytes())) + 1
		if e.Paused != nil {
			r.paused, r.length = *e.Paused, end
			continue
		}
		if e.Init != nil {
			r.inits = append(r.inits, e.Init)
		}
		if len(r.inits) == 0 || len(r.inits[len(r.inits)-1]) != layers || len(e.Sizes) != layers || len(e.Sums) != layers || e.Duration <= 0 {
			break
		}
		s := segment{entry: e, init: len(r.inits) - 1, line: end}
		s.Init = nil
		whole := true
		for i, n := range e.Sizes {
			s.offsets = append(s.offsets, at[i])
			at[i] += n
			whole = whole && n >= 0 && at[i] <= lengths[i]
		}
		if !whole {
			break
		}
		r.segments, r.length = append(r.segments, s), end
	}
	for i := max(0, len(r.segments)-unsynced); i < len(r.segments); i++ {
		for layer := range layers {
			if _, err := r.body(i, layer); err != nil {
				if r.segments, r.length = r.segments[:i], heading; i > 0 {
					r.length = r.segments[i-1].line
				}
				return r, nil
			}
		}
	}
	return r, nil
}

func (r *reel) close() {
	for _, f := range r.files {
		_ = f.Close()
	}
}

// errDamaged says that a disk gives other bytes than were written.
var errDamaged = errors.New("recording: segment is damaged")

// body reads a segment.
func (r *reel) body(i, layer int) ([]byte, error) {
	s := r.segments[i]
	b := make([]byte, s.Sizes[layer])
	if _, err := r.files[layer].ReadAt(b, s.offsets[layer]); err != nil {
		return nil, fmt.Errorf("recording: %w", err)
	}
	if crc32.Checksum(b, castagnoli) != s.Sums[layer] {
		return nil, errDamaged
	}
	return b, nil
}

// duration of all that was recorded.
func (r *reel) duration() (d time.Duration) {
	for _, s := range r.segments {
		d += s.Duration
	}
	return d
}
