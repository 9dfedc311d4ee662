package room

import (
	"context"

	"amphi/server/protocol"
)

// What leaves the room for others: the live stream, recordings and pushes. Others
// make them; the room checks who asks, and tells everybody how they are.

// StartHLS and StopHLS start and end the room's live stream.
func (p *Peer) StartHLS(ctx context.Context, req protocol.HLSStart) error {
	return p.withStreamer(ctx, func(s Streamer) error { return s.StartHLS(ctx, p.room, req, p.ID) })
}

// StopHLS is the opposite of StartHLS.
func (p *Peer) StopHLS(ctx context.Context, _ protocol.HLSStop) error {
	return p.withStreamer(ctx, func(s Streamer) error { return s.StopHLS(ctx, p.room, p.ID) })
}

// SendMetadata puts timed metadata into the room's live stream.
func (p *Peer) SendMetadata(ctx context.Context, req protocol.HLSMetadata) error {
	if len(req.Objects) == 0 || len(req.Objects) > protocol.MaxMetadataObjects {
		return protocol.Errorf(protocol.CodeBadRequest, "metadata_objs must have 1 to %d entries", protocol.MaxMetadataObjects)
	}
	for _, m := range req.Objects {
		if err := m.Check(); err != nil {
			return err
		}
	}
	if !p.chat.Allow() {
		return errTooFast
	}
	return p.withStreamer(ctx, func(s Streamer) error { return s.Metadata(ctx, p.room, req.Objects) })
}

func (p *Peer) withStreamer(ctx context.Context, fn func(Streamer) error) error {
	err := p.doJoined(ctx, func() error {
		if !p.role.Permissions.HLSStreaming {
			return errNotAllowed
		}
		return nil
	})
	if err != nil {
		return err
	}
	s := p.room.registry.cfg.Streamer()
	if s == nil {
		return protocol.Errorf(protocol.CodeUnavailable, "live streaming is not available on this server")
	}
	return fn(s)
}

// Recorder records rooms and pushes them to other services. Called like a
// Streamer.
type Recorder interface {
	// StartRTMP returns when the start is accepted; Room.SetRTMP and
	// Room.SetRecording tell the rest.
	StartRTMP(ctx context.Context, r *Room, req protocol.RTMPStart, startedBy string) error
	// StopRTMP ends both, 404 when neither runs.
	StopRTMP(ctx context.Context, r *Room, stoppedBy string) error
}

// StartRTMP starts a push to other services, a recording, or both.
func (p *Peer) StartRTMP(ctx context.Context, req protocol.RTMPStart) error {
	if len(req.RTMPURLs) == 0 && !req.Record {
		return protocol.Errorf(protocol.CodeBadRequest, "neither rtmp_urls nor record is given")
	}
	return p.withRecorder(ctx, len(req.RTMPURLs) > 0, req.Record, func(rec Recorder) error { return rec.StartRTMP(ctx, p.room, req, p.ID) })
}

// StopRTMP ends what StartRTMP started. Who may start one of both may end it.
func (p *Peer) StopRTMP(ctx context.Context, _ struct{}) error {
	return p.withRecorder(ctx, false, false, func(rec Recorder) error { return rec.StopRTMP(ctx, p.room, p.ID) })
}

func (p *Peer) withRecorder(ctx context.Context, push, record bool, fn func(Recorder) error) error {
	err := p.doJoined(ctx, func() error {
		may := p.role.Permissions
		if push && !may.RTMPStreaming || record && !may.BrowserRecording || !may.RTMPStreaming && !may.BrowserRecording {
			return errNotAllowed
		}
		return nil
	})
	if err != nil {
		return err
	}
	rec := p.room.registry.cfg.Recorder
	if rec == nil {
		return protocol.Errorf(protocol.CodeUnavailable, "recording is not available on this server")
	}
	return fn(rec)
}

// SetRTMP keeps the state of the push for late joiners and tells everybody.
func (r *Room) SetRTMP(state protocol.RunState) {
	r.set(func() {
		r.rtmp = state
		r.tell(protocol.OnRTMPUpdate, state, everybody)
	})
}

// SetRecording does the same for one of the kinds of recordings.
func (r *Room) SetRecording(kind string, state protocol.RunState) {
	r.set(func() {
		switch kind {
		case protocol.RecordSFU:
			r.recordings.SFU = state
		case protocol.RecordBrowser:
			r.recordings.Browser = state
		case protocol.RecordHLS:
			r.recordings.HLS = state
		}
		r.tell(protocol.OnRecordUpdate, protocol.RecordUpdate{Type: kind, RunState: state}, everybody)
	})
}

// set runs fn on the room's goroutine. A room that has ended has nobody to tell.
func (r *Room) set(fn func()) {
	_ = r.do(context.Background(), func() error { fn(); return nil })
}

// HLS returns the state of the room's live stream.
func (r *Room) HLS(ctx context.Context) (state protocol.HLSState, err error) {
	err = r.do(ctx, func() error { state = r.hls; return nil })
	return state, err
}

// SetHLS keeps the state of the live stream for late joiners and tells everybody.
func (r *Room) SetHLS(state protocol.HLSState) {
	if state.Variants == nil {
		state.Variants = []protocol.HLSVariant{}
	}
	r.set(func() {
		r.hls = state
		r.tell(protocol.OnHLSUpdate, state, everybody)
	})
}
