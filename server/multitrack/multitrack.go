// Package multitrack records what people publish in a room, each track into a file of its own, as it came: to be mixed
// and cut afterwards. Rooms whose template has trackRecording are recorded from the first who comes on stage to the last
// who leaves; nobody starts or stops it.
package multitrack

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"amphi/server/policy"
	"amphi/server/recording"
	"amphi/server/room"
	"amphi/server/sfu"
	"amphi/server/store"
)

// storeLimit bounds the write of a record.
const storeLimit = 5 * time.Second

// Recorder records the tracks of rooms.
type Recorder struct {
	tapes   *recording.Manager
	store   *store.Store
	log     *slog.Logger
	began   time.Time
	rooms   sync.WaitGroup
	running atomic.Int64
	total   atomic.Uint64
}

// New returns a recorder of no rooms.
func New(tapes *recording.Manager, db *store.Store, log *slog.Logger) *Recorder {
	return &Recorder{tapes: tapes, store: db, log: log, began: time.Now()}
}

// Stats is a snapshot of a recorder's counters.
type Stats struct {
	Tracks   int64  // that are recorded
	Recorded uint64 // tracks that were, and are
}

// Stats reads the counters.
func (c *Recorder) Stats() Stats { return Stats{c.running.Load(), c.total.Load()} }

// Wait returns when the rooms have ended and what was recorded of them is on the disk.
func (c *Recorder) Wait() { c.rooms.Wait() }

// Open is told of each room that opens, and records it if its template says so, until it ends. It does not wait.
func (c *Recorder) Open(r *room.Room) {
	roles, wanted := recordedRoles(r.Info().Template)
	if !wanted {
		return
	}
	s := &session{c: c, info: r.Info(), log: c.log.With("room", r.ID()), roles: roles, takes: make(map[track]*take), seen: make(map[track]bool)}
	c.rooms.Go(func() { s.run(r) })
}

// recordedRoles are the roles whose tracks a template wants recorded: those that its recorder's role sees, or all.
func recordedRoles(t *policy.Template) (roles []string, wanted bool) {
	for _, r := range t.Recordings {
		if r.Track == nil || !r.Track.Enabled {
			continue
		}
		if role := t.Roles[r.Role]; role != nil {
			return role.SubscribeParams.SubscribeToRoles, true
		}
		for name := range t.Roles {
			roles = append(roles, name)
		}
		return roles, true
	}
	return nil, false
}

// track names one, by the ids of clients.
type track struct{ peer, stream, id string }

// session is the recording of a room. It belongs to the goroutine of run.
type session struct {
	c     *Recorder
	info  room.Info
	log   *slog.Logger
	roles []string
	takes map[track]*take
	seen  map[track]bool // were recorded before
}

// run is the life of the session.
func (s *session) run(r *room.Room) {
	var stage atomic.Pointer[room.Stage]
	changed := make(chan struct{}, 1)
	unwatch := r.Watch(func(now *room.Stage) {
		stage.Store(now)
		select {
		case changed <- struct{}{}:
		default:
		}
	})
	for {
		select {
		case <-changed:
			s.follow(stage.Load())
		case <-r.Done():
			unwatch()
			s.follow(&room.Stage{})
			return
		}
	}
}

// follow records the tracks that are on stage now, and no others.
func (s *session) follow(stage *room.Stage) {
	there := make(map[track]bool)
	for _, p := range stage.Peers {
		if !slices.Contains(s.roles, p.Role) {
			continue
		}
		for _, t := range p.Tracks {
			if t.Media == nil {
				continue
			}
			name := track{p.ID, t.Media.StreamID(), t.ID}
			there[name] = true
			k := s.takes[name]
			switch {
			case k == nil:
				s.takes[name] = s.begin(name, t.Media)
			case k.media != t.Media: // over a new connection; the recording goes on
				k.stop()
				k.tap(t.Media)
			}
		}
	}
	var over sync.WaitGroup
	for name, k := range s.takes {
		if !there[name] {
			delete(s.takes, name)
			over.Go(k.end)
		}
	}
	over.Wait()
}

func (s *session) begin(name track, media *sfu.Track) *take {
	k := &take{s: s, name: name, again: s.seen[name] || s.info.SessionStarted.Before(s.c.began)}
	s.seen[name] = true
	k.tap(media)
	return k
}

// take is the recording of one track. Its tape begins with its first frame.
type take struct {
	s     *session
	name  track
	again bool

	media *sfu.Track
	from  *sfu.Tap
	done  chan struct{} // closed when from has been read to its end

	// What follows belongs to the goroutine that reads, of which there is one at a time.
	tape     *recording.TrackTape
	failed   bool
	timeline timeline
}

// tap reads the track's frames, until stop.
func (k *take) tap(media *sfu.Track) {
	k.media, k.from, k.done = media, media.Tap(sfu.TapConfig{}), make(chan struct{})
	go func() {
		defer close(k.done)
		for f := range k.from.Frames() {
			k.frame(f)
		}
	}()
}

func (k *take) stop() {
	k.from.Close()
	<-k.done
}

// frame records one.
func (k *take) frame(f sfu.Frame) {
	if k.tape == nil && !k.failed {
		k.failed = !k.open(f)
	}
	if k.tape != nil {
		k.tape.Frame(k.timeline.place(f.RTPTime, f.Capture), f.Key, f.Data)
	}
}

// open begins the tape.
func (k *take) open(first sfu.Frame) bool {
	s, codec := k.s, k.media.Codec()
	kind := "video"
	if k.media.Kind() == sfu.Audio {
		kind = "audio"
	}
	spec := recording.Spec{ID: store.NewID(), Customer: s.info.CustomerID, Room: s.info.RoomID, Session: s.info.SessionID, Began: first.Capture,
		Track: &recording.TrackSpec{ID: k.name.id, StreamID: k.name.stream, PeerID: k.name.peer, Kind: kind, Codec: codec.String(), Again: k.again}}
	for _, r := range s.info.Template.Recordings {
		spec.URLsFor = time.Duration(r.PresignDuration) * time.Second
	}
	tape, err := s.c.tapes.BeginTrack(spec)
	if err != nil {
		s.log.Error("track is not recorded", "peer", k.name.peer, "track", k.name.id, "err", err)
		return false
	}
	k.tape, k.timeline = tape, timeline{rate: codec.ClockRate()}
	s.c.running.Add(1)
	s.c.total.Add(1)
	ctx, cancel := context.WithTimeout(context.Background(), storeLimit)
	defer cancel()
	ref := store.TrackRef{RoomID: s.info.RoomID, SessionID: s.info.SessionID, PeerID: k.name.peer, StreamID: k.name.stream, TrackID: k.name.id, Kind: kind}
	if err := s.c.store.TrackRecording(ctx, ref, time.Now()); err != nil {
		s.log.Error("start of a track's recording could not be recorded", "err", err)
	}
	return true
}

// end ends the recording, whose file follows.
func (k *take) end() {
	k.stop()
	if k.tape != nil {
		k.tape.End()
		k.s.c.running.Add(-1)
	}
}
