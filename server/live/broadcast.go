package live

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"sync/atomic"
	"time"

	"amphi/compositor/wire"
	"amphi/server/hls"
	"amphi/server/policy"
	"amphi/server/protocol"
	"amphi/server/room"
	"amphi/server/store"
)

// errStoppedEarly is the failure of a live stream that was stopped before anybody could play it
// (the API wants it to count as one).
var errStoppedEarly = store.Failure{Type: "BEAM_STOPPED", Message: "Beam stopped too early"}

// broadcast is a stream on the air as HLS: the record that clients and the API know as the live
// stream, and the playlists.
type broadcast struct {
	m      *Manager
	stream *stream
	room   *room.Room
	dest   *policy.HLSDestination
	key    hls.Key
	log    *slog.Logger

	record   store.LiveStream
	initTime time.Time // the start was accepted
	limits   limits
	stopping atomic.Bool // a stop was accepted
	resumed  bool        // the server before this one began it
	taping   *taping     // nil: it is not recorded

	// What follows belongs to the stream's goroutine.
	out       *hls.Stream // nil until a worker has set the clock
	onAir     bool
	startTime time.Time // the playlist could be played
}

// openBroadcast records the start, keeps the room alive, and tells it. It runs in the caller's goroutine.
func openBroadcast(ctx context.Context, s *stream, dest *policy.HLSDestination, l *policy.Layout, o Options) (*broadcast, error) {
	b := &broadcast{m: s.m, stream: s, room: s.room, dest: dest, key: hls.Key{Customer: s.info.CustomerID, Room: s.info.RoomID}}
	// Asking the room makes sure that its session is recorded, which the record needs.
	if _, err := s.room.HLS(ctx); err != nil {
		return nil, refusal(err)
	}
	if err := s.hold(ctx); err != nil {
		return nil, err
	}
	var err error
	if o.resumed != nil {
		b.record, b.resumed, b.initTime, b.startTime = *o.resumed, true, o.resumed.CreatedAt, o.resumed.StartedAt
	} else if b.record, err = b.accept(ctx, l, o); err != nil {
		s.room.Release()
		s.log.Error("live stream refused", "err", err)
		return nil, refusal(err)
	}
	b.log = s.log.With("stream", b.record.ID)
	b.limits = s.m.limits(b.initTime, dest.MaxDuration, dest.AutoStopTimeout)
	if b.startTime.IsZero() {
		s.room.SetHLS(b.state(protocol.StateInitialised, nil))
	} else {
		s.room.SetHLS(b.state(protocol.StateStarted, nil))
	}
	b.taping = newTaping(b)
	b.log.Info("live stream starting", "by", o.StartedBy, "again", b.resumed)
	return b, nil
}

// accept records the start.
func (b *broadcast) accept(ctx context.Context, l *policy.Layout, o Options) (store.LiveStream, error) {
	s, dest := b.stream, b.dest
	best := layersOf(dest, l)[0]
	kept := store.StreamRecording{}
	if r := dest.Recording; r != nil {
		kept = store.StreamRecording{HLSVOD: r.HLSVOD, SingleFilePerLayer: r.SingleFilePerLayer}
	}
	if o.Recording != nil {
		kept = *o.Recording
	}
	b.initTime = time.Now()
	return s.m.cfg.Store.StartLiveStream(ctx, store.LiveStream{
		RoomID:      s.info.RoomID,
		SessionID:   s.info.SessionID,
		Destination: dest.Name,
		MeetingURL:  o.MeetingURL,
		PlaybackURL: s.m.playlistURL(b.key),
		Width:       best.Width,
		Height:      best.Height,
		Recording:   kept,
		StartedBy:   o.StartedBy,
	})
}

// event says that viewers can go back to the start.
func (b *broadcast) event() bool { return b.dest.PlaylistType == "event" }

// playlistTypes are what clients are told of that.
var playlistTypes = map[bool]string{true: "dvr", false: "no-dvr"}

func (b *broadcast) frameRate() int {
	if b.dest.VideoFrameRate > 0 {
		return min(b.dest.VideoFrameRate, 60)
	}
	return defaultFrameRate
}

// recordStop writes down that a stop was accepted, and by whom.
func (b *broadcast) recordStop(ctx context.Context, by string) {
	if err := b.m.cfg.Store.LiveStreamStopping(ctx, b.record.ID, by, time.Now()); err != nil {
		b.log.Error("stop could not be recorded", "err", err)
	}
}

// state is what clients see of the live stream.
func (b *broadcast) state(state string, failure *protocol.Error) protocol.HLSState {
	v := protocol.HLSVariant{
		State:         state,
		MeetingURL:    b.record.MeetingURL,
		PlaylistType:  playlistTypes[b.event()],
		StreamType:    "composite",
		InitialisedAt: b.initTime.UnixMilli(),
	}
	if !b.startTime.IsZero() {
		v.URL, v.StartedAt = b.record.PlaybackURL, b.startTime.UnixMilli()
	}
	return protocol.HLSState{
		Enabled:  state == protocol.StateInitialised || state == protocol.StateStarted,
		Variants: []protocol.HLSVariant{v},
		Error:    failure,
	}
}

// put puts the playlists in place, for what a worker that has set the clock makes.
func (b *broadcast) put(epoch time.Time, layers []policy.HLSLayer) error {
	out, err := hls.NewStream(hls.Config{
		Start: epoch, FrameRate: b.frameRate(), Renditions: variants(layers),
		SampleRate: audioRate, Channels: audioChannels, Log: b.log,
		Event: b.event(), Dir: filepath.Join(b.m.cfg.Dir, b.record.ID), Keep: b.taping.keep(layers), Resume: b.resumed,
		Bucket: b.m.cfg.Bucket, Prefix: b.key.Prefix(), Spool: b.m.cfg.Spool,
	})
	if err != nil { // its directory; the parameters are constant here
		return err
	}
	b.out = out
	b.m.cfg.Origin.Put(b.key, out)
	return nil
}

// ready is closed when players can begin; nil when there is nothing to wait for.
func (b *broadcast) ready() <-chan struct{} {
	if b == nil || b.out == nil || b.onAir {
		return nil
	}
	return b.out.Ready()
}

// announce tells the room, and the customer's server, that the stream can be played.
func (b *broadcast) announce() error {
	b.onAir = true
	if !b.startTime.IsZero() {
		b.log.Info("live stream on the air again", "url", b.record.PlaybackURL)
		return nil
	}
	b.startTime = time.Now()
	ctx, cancel := context.WithTimeout(context.Background(), storeLimit)
	defer cancel()
	switch err := b.m.cfg.Store.LiveStreamRunning(ctx, b.record.ID, b.startTime); {
	case errors.Is(err, store.ErrConflict): // a stop was accepted meanwhile; its ending comes next
		b.startTime = time.Time{}
		return nil
	case err != nil:
		b.log.Error("start could not be recorded", "err", err)
		return errors.New("the start could not be recorded")
	}
	b.log.Info("live stream on the air", "url", b.record.PlaybackURL, "after", b.startTime.Sub(b.initTime).Round(time.Millisecond))
	b.room.SetHLS(b.state(protocol.StateStarted, nil))
	return nil
}

// packageVideo puts a picture on the air. needKey says that only a key picture can be next.
func (b *broadcast) packageVideo(m *wire.Video, pts time.Duration) (taken, needKey bool) {
	if b.out == nil {
		return false, false
	}
	switch err := b.out.WriteVideo(int(m.Rendition), pts, m.Key, m.Data); {
	case err == nil:
		return true, false
	case errors.Is(err, hls.ErrNeedKey):
		b.m.counters.refused.Add(1)
		return false, true
	default:
		b.m.counters.refused.Add(1)
		b.log.Error("picture could not be packaged", "err", err)
		return false, false
	}
}

func (b *broadcast) packageAudio(au []byte, pts time.Duration) {
	if b.out == nil {
		return
	}
	if err := b.out.WriteAudio(pts, au); err != nil {
		b.log.Error("audio could not be packaged", "err", err)
	}
}

// close takes the stream off the air, and writes down and tells how it ended.
func (b *broadcast) close(end Ended) {
	if b.out != nil {
		b.m.cfg.Origin.Retire(b.key, b.out)
	}
	ctx, cancel := context.WithTimeout(context.Background(), storeEndLimit)
	defer cancel()
	now := time.Now()
	var err error
	state := b.state(protocol.StateStopped, nil)
	switch {
	case end.Failure != "":
		b.m.counters.failed.Add(1)
		err = b.m.cfg.Store.LiveStreamFailed(ctx, b.record.ID, end.Record())
		state = b.state(protocol.StateFailed, protocol.Errorf(protocol.CodeInternal, "%s", end.Failure))
		state.Variants[0].URL = ""
	case b.startTime.IsZero():
		early := errStoppedEarly
		early.At = now
		err = b.m.cfg.Store.LiveStreamFailed(ctx, b.record.ID, early)
	case b.taping != nil:
		err = b.m.cfg.Store.LiveStreamRecorded(ctx, b.record.ID, end.Reason, now)
	default:
		err = b.m.cfg.Store.LiveStreamStopped(ctx, b.record.ID, end.Reason, now)
	}
	if err != nil {
		b.log.Error("end could not be recorded", "err", err)
	}
	b.log.Info("live stream ended", "reason", end.Reason, "failure", end.Failure, "lasted", now.Sub(b.initTime).Round(time.Millisecond))
	b.taping.end(ctx)
	b.room.SetHLS(state)
	b.room.Release()
}
