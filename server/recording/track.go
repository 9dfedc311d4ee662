package recording

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"log/slog"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"amphi/server/store"
)

const (
	// maxTracks bounds the tracks that are recorded at a time: each has two open files and a goroutine.
	maxTracks = 500

	// maxFrames bounds the frames of a track that wait for a disk: half a minute of pictures.
	maxFrames = 1024

	// maxFrame is the largest frame of a track, in bytes.
	maxFrame = 8 << 20

	// flushEvery is how much of a track a killed server may lose.
	flushEvery = time.Second
)

// TrackSpec says whose track a recording is of, by the ids of clients: any text.
type TrackSpec struct {
	ID       string `json:"id"`
	StreamID string `json:"stream"`
	PeerID   string `json:"peer"`
	Kind     string `json:"kind"`  // audio or video
	Codec    string `json:"codec"` // VP8, VP9, AV1, H264 or opus
	Again    bool   `json:"again"` // another track of these ids may have been recorded before
}

// The files in the directory of a track that is recorded are the journal, of a Spec and an [Ending], and the frames, one
// behind the other, each after a head:
//
//	size  uint32  bytes of the frame; the highest bit says that it is a key frame
//	time  int64   nanoseconds since the first frame
//	sum   uint32  CRC-32C of those twelve bytes and the frame
const (
	framesName = "frames"
	frameHead  = 16
	keyBit     = 1 << 31
)

// frame is one frame of a track.
type frame struct {
	at   time.Duration // since the first
	key  bool
	data []byte
}

// TrackTape is the recording of one publisher's track, as it came. Its methods may be called from any goroutine; Frame
// never waits.
type TrackTape struct {
	m       *Manager
	spec    Spec
	journal *journal
	frames  *os.File

	spool[frame]
}

// BeginTrack begins the recording of a track.
func (m *Manager) BeginTrack(spec Spec) (*TrackTape, error) {
	if spec.Track == nil || spec.check() != nil {
		return nil, fmt.Errorf("recording: %q is of no track", spec.ID)
	}
	m.mu.Lock()
	tracks := m.tracks
	if tracks < maxTracks {
		m.tracks++
	}
	m.mu.Unlock()
	if tracks >= maxTracks {
		return nil, fmt.Errorf("recording: %d tracks are recorded already", maxTracks)
	}
	t := &TrackTape{m: m, spec: spec, spool: newSpool[frame](maxFrames)}
	var err error
	if t.journal, err = m.newJournal(spec); err == nil {
		if t.frames, err = os.OpenFile(filepath.Join(t.journal.dir, framesName), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600); err != nil {
			err = errors.Join(diskError(err), t.journal.abandon())
		}
	}
	if err != nil {
		m.endTrack()
		return nil, err
	}
	go t.write()
	return t, nil
}

func (m *Manager) endTrack() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.tracks--
}

// Frame records a frame, at a time since the first one. Times do not go back. The data belongs to the tape from then on.
func (t *TrackTape) Frame(at time.Duration, key bool, data []byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed || len(data) == 0 || len(data) > maxFrame {
		return
	}
	t.put(frame{at, key, data}, t.journal.log)
}

// write is the life of the tape.
func (t *TrackTape) write() {
	defer close(t.ended)
	defer t.m.endTrack()
	out := bufio.NewWriterSize(t.frames, 64<<10)
	flush := time.NewTicker(flushEvery)
	defer flush.Stop()
	var failure error
	var written int64
	synced := time.Now()
	fail := func(err error) {
		if failure == nil && err != nil {
			failure = diskError(err)
			t.journal.log.Error("recording ends", "err", failure)
			if t.spec.Failed != nil {
				go t.spec.Failed(failure)
			}
		}
	}
	for open := true; open; {
		select {
		case f, ok := <-t.queue:
			if open = ok; !ok || failure != nil {
				continue // until the owner has heard
			}
			n, err := writeFrame(out, f)
			written += int64(n)
			fail(err)
		case <-flush.C:
			if failure != nil {
				continue
			}
			fail(t.m.room(t.spec, written))
			fail(out.Flush())
			if time.Since(synced) > syncEvery*time.Second {
				synced = time.Now()
				t.journal.sync(t.frames)
			}
		}
	}
	if failure == nil {
		fail(out.Flush())
	}
	t.journal.end(failure, t.lost, "frames", t.frames) // nothing is queued any more
	_ = t.frames.Close()
	t.m.finish(t.spec.ID)
}

func writeFrame(w io.Writer, f frame) (n int, err error) {
	head := make([]byte, 0, frameHead)
	size := uint32(len(f.data))
	if f.key {
		size |= keyBit
	}
	head = binary.BigEndian.AppendUint32(head, size)
	head = binary.BigEndian.AppendUint64(head, uint64(f.at))
	sum := crc32.Update(crc32.Checksum(head, castagnoli), castagnoli, f.data)
	head = binary.BigEndian.AppendUint32(head, sum)
	if _, err := w.Write(head); err != nil {
		return 0, err
	}
	_, err = w.Write(f.data)
	return len(head) + len(f.data), err
}

// produceTrack makes and stores the file of a track. The error is that ctx ended.
func (m *Manager) produceTrack(ctx context.Context, r *reel, log *slog.Logger) (store.RecordedTrack, error) {
	s := r.spec
	result := store.RecordedTrack{Track: s.Track.ref(s)}
	asset := store.Asset{ID: s.ID, RoomID: s.Room, SessionID: s.Session, Type: store.AssetTrack, Status: store.AssetFailed,
		Metadata: map[string]any{"track_id": s.Track.ID, "stream_id": s.Track.StreamID, "peer_id": s.Track.PeerID, "track_type": s.Track.Kind}}
	d, err := openDubbing(r.dir, s)
	if err == nil && d.duration == 0 {
		err = errNothingDecodable
	}
	if err != nil {
		log.Warn("track is not recorded", "err", err)
		asset.Metadata["error"] = err.Error()
		result.File = store.RecordedFile{Asset: asset}
		result.At = time.Now()
		return result, ctx.Err()
	}
	asset.Duration = int(d.duration.Round(time.Second) / time.Second)
	asset.Metadata["started_at"] = s.Began.Add(d.begin).UTC().Format(time.RFC3339Nano) // tracks are put together by it
	to, prefix := m.place(ctx, s, log)
	p := product{asset: asset, key: path.Join(prefix, s.Track.key(s, d.kind())), make: d.write}
	result.File, _ = m.deliverFile(ctx, p, to, filepath.Join(r.dir, "out"+d.kind()), s, log) // a failed asset says why
	result.At = time.Now()
	return result, ctx.Err()
}

// errNothingDecodable says that a track has not one key frame that a file could begin with.
var errNothingDecodable = errors.New("nothing of the track can be decoded")

func (t *TrackSpec) ref(s Spec) store.TrackRef {
	return store.TrackRef{RoomID: s.Room, SessionID: s.Session, PeerID: t.PeerID, StreamID: t.StreamID, TrackID: t.ID, Kind: t.Kind}
}

// key is that of the API's documentation.
func (t *TrackSpec) key(s Spec, kind string) string {
	name := keyPart(t.ID)
	if t.Again {
		name += "-" + strconv.FormatInt(s.Began.UnixMilli(), 10)
	}
	return path.Join(s.Room, s.day(), s.Session, keyPart(t.PeerID), keyPart(t.StreamID), name+kind)
}

// keyPart makes a part of a key of an id that a client has chosen: no other id has the same, and none leads elsewhere.
func keyPart(id string) string {
	const most = 100 // bytes; file systems have 255 for a name
	var b strings.Builder
	for i, c := range []byte(id) {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '_', c == '{', c == '}', c == '.' && i > 0:
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	if b.Len() == 0 || b.Len() > most {
		return fmt.Sprintf("%%%x", sha256.Sum256([]byte(id)))
	}
	return b.String()
}

// readFrames calls fn with one frame after the other, of which the data is good until it returns. What is torn or
// damaged ends it, as does what goes back in time: a writer does neither.
func readFrames(file string, fn func(frame) error) error {
	f, err := os.Open(file)
	if err != nil {
		return fmt.Errorf("recording: %w", err)
	}
	defer f.Close()
	in := bufio.NewReaderSize(f, 1<<20)
	var head [frameHead]byte
	var data []byte
	var last time.Duration
	for {
		if _, err := io.ReadFull(in, head[:]); err != nil {
			return nil
		}
		size := binary.BigEndian.Uint32(head[:])
		fr := frame{at: time.Duration(binary.BigEndian.Uint64(head[4:])), key: size&keyBit != 0}
		if size &^= keyBit; size == 0 || size > maxFrame || fr.at < last {
			return nil
		}
		if cap(data) < int(size) {
			data = make([]byte, size)
		}
		fr.data = data[:size]
		if _, err := io.ReadFull(in, fr.data); err != nil {
			return nil
		}
		if crc32.Update(crc32.Checksum(head[:12], castagnoli), castagnoli, fr.data) != binary.BigEndian.Uint32(head[12:]) {
			return nil
		}
		last = fr.at
		if err := fn(fr); err != nil {
			return err
		}
	}
}
