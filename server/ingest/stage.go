// Package ingest puts media on the stage of a room that comes from elsewhere than a client: from an encoder,
// a camera, another service. Where it comes from is the business of other packages; here it is H.264 pictures
// and AAC or Opus sound with timestamps of one clock.
//
// It goes the way of everybody's media: a silent peer, as encoders are that come over WHIP, publishes it over a
// connection of this process with itself. Pictures go on as they are; AAC is made Opus by a media worker.
package ingest

import (
	"context"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/pion/rtp/codecs"

	"amphi/server/policy"
	"amphi/server/protocol"
	"amphi/server/room"
	"amphi/server/sfu"
)

// joinLimit is how long it may take from the first picture to the stage.
const joinLimit = 15 * time.Second

// Config says who comes on stage.
type Config struct {
	Room   *room.Room // held by the caller for as long as the stage is there
	Name   string     // that the others see
	UserID string
	Agent  string // the software, for analytics

	Media  func() []sfu.Address
	Worker string // the media worker's program, see [mediaworker.Path]
	Log    *slog.Logger

	// Closed is called once when the peer is not in the room any more, for whatever reason, unless Enter fails. It must
	// not wait.
	Closed func()
}

// Stage is a source's place on the stage. Its methods may be called from any goroutine.
type Stage struct {
	cfg  Config
	peer *room.Peer
	conn *connection
	once sync.Once

	StreamID string // of its tracks

	camera, microphone protocol.Track
	sound              *transcoder

	mu       sync.Mutex
	timeline timeline
	pictures codecs.H264Payloader
	shown    time.Duration // the last picture's timestamp
	heard    bool          // the microphone is on
	running  sync.WaitGroup
}

// sink is what the room sends the peer: it has no way to hear anything.
type sink struct{ s *Stage }

func (sink) Send([]byte) {}

// Close implements room.Sink: the peer has left the room.
func (k sink) Close(string) { k.s.closed() }

func (s *Stage) closed() { s.once.Do(s.cfg.Closed) }

// Enter joins the room with a camera and a microphone, which is muted until sound comes.
func Enter(ctx context.Context, c Config) (*Stage, error) {
	ctx, cancel := context.WithTimeout(ctx, joinLimit)
	defer cancel()
	role, err := roleFor(c.Room.Info().Template)
	if err != nil {
		return nil, err
	}
	s := &Stage{cfg: c, StreamID: uuid.NewString(), timeline: timeline{began: time.Now()}}
	track := func(kind protocol.TrackKind) protocol.Track {
		return protocol.Track{TrackID: uuid.NewString(), StreamID: s.StreamID, Kind: kind, Source: protocol.SourceRegular, Mute: kind == protocol.Audio}
	}
	s.camera, s.microphone = track(protocol.Video), track(protocol.Audio)
	var offer string
	if s.conn, offer, err = newConnection(ctx, s.camera, s.microphone); err != nil {
		return nil, fmt.Errorf("media: %w", err)
	}
	defer func() {
		if err != nil {
			s.once.Do(func() {}) // the caller hears it from here
			s.Leave()
		}
	}()
	s.peer, err = c.Room.Connect(ctx, room.Identity{PeerID: uuid.NewString(), UserID: c.UserID, Role: role,
		TokenHash: sha256.Sum256([]byte(c.UserID)), Agent: c.Agent, Silent: true}, sink{s})
	if err != nil {
		return nil, err
	}
	answer, err := s.peer.PublishOnly(ctx, c.Name, offer, map[string]protocol.Track{s.camera.TrackID: s.camera, s.microphone.TrackID: s.microphone})
	if err != nil {
		return nil, err
	}
	if err = s.conn.open(ctx, answer, c.Media(), s.closed); err != nil {
		return nil, fmt.Errorf("media: %w", err)
	}
	s.sound = newTranscoder(c.Worker, c.Log, s.hear)
	c.Log.Info("source on stage", "role", role, "peer", s.peer.ID)
	return s, nil
}

// Leave takes the source off the stage. No other method may be called afterwards.
func (s *Stage) Leave() {
	if s.sound != nil {
		s.sound.close()
	}
	if s.peer != nil {
		s.peer.Drop(room.LeftByRequest)
	}
	s.running.Wait()
	_ = s.conn.pc.GracefulClose()
}

// Restart tells that the source is another one now, or began anew: its timestamps go on where time is.
func (s *Stage) Restart() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.timeline.running, s.shown = false, 0
}

// Video takes a picture, made by [H264], and the time it is shown at by the source's clock.
func (s *Stage) Video(stamp time.Duration, au []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if stamp < s.shown && s.shown-stamp < reorderSpan {
		return ErrReordered
	}
	s.shown = stamp
	at := s.timeline.at(stamp, time.Now())
	return s.conn.video.send(s.timeline.wall(at), ticks(at, videoRate), nil, s.pictures.Payload(packetBytes, au)...)
}

// AAC takes an access unit of what an AudioSpecificConfig describes.
func (s *Stage) AAC(stamp time.Duration, config, unit []byte) {
	s.mu.Lock()
	at := s.timeline.at(stamp, time.Now())
	s.mu.Unlock()
	s.sound.push(at, config, unit)
}

// Opus takes a packet.
func (s *Stage) Opus(stamp time.Duration, packet []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	at := s.timeline.at(stamp, time.Now())
	return s.play(ticks(at, audioRate), nil, packet)
}

// hear takes what the transcoder makes.
func (s *Stage) hear(pts int64, level uint8, packet []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.play(uint32(pts), &level, packet); err != nil {
		s.cfg.Log.Debug("sound is not sent", "err", err)
	}
}

// play sends a packet of sound; level is nil when it is not known. The caller holds s.mu.
func (s *Stage) play(at uint32, level *uint8, packet []byte) error {
	if !s.heard {
		s.heard = true
		s.running.Go(s.unmute)
	}
	// The time on the timeline is what the ticks say, which have no other beginning.
	return s.conn.audio.send(s.timeline.wall(s.timeline.near(at)), at, level, packet)
}

func (s *Stage) unmute() {
	ctx, cancel := context.WithTimeout(context.Background(), joinLimit)
	defer cancel()
	t := s.microphone
	t.Mute = false
	if err := s.peer.TrackUpdate(ctx, protocol.TrackUpdate{Tracks: map[string]protocol.Track{t.TrackID: t}}); err != nil {
		s.cfg.Log.Debug("the microphone stays muted", "err", err)
	}
}

// roleFor is the role that a source has: the most important one that may publish video.
func roleFor(t *policy.Template) (string, error) {
	var best *policy.Role
	for _, r := range t.Roles {
		may := false
		for _, p := range r.PublishParams.Allowed {
			may = may || p == policy.PublishVideo
		}
		if may && (best == nil || r.Priority < best.Priority || r.Priority == best.Priority && r.Name < best.Name) {
			best = r
		}
	}
	if best == nil {
		return "", protocol.Errorf(protocol.CodeForbidden, "no role of the room's template may publish video")
	}
	return best.Name, nil
}
