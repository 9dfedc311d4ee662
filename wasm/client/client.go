package client

import (
	"context"
	"errors"
	"log/slog"
	"sync"

	"amphi/wasm/rtc"
)

// Config is what a client is made with. All of it is constant afterwards.
type Config struct {
	// Engine makes the peer connections. Nil means one with defaults.
	Engine *rtc.Engine
	// Capture is where microphone, camera and screen come from. Nil: nothing is
	// ever published, whatever the role allows.
	Capture *rtc.Capture
	// Sink gets patches of the state and notifications. Its functions are
	// called one at a time; while one runs, changes gather.
	Sink Sink
	// OnMedia is told when a track that is visible in the state gets media, or
	// loses it. Nil: remote media is received and dropped.
	OnMedia func(MediaEvent)
	Log     *slog.Logger
}

// MediaEvent says what to show or play for a track. Of Remote and Local one is
// set; none when the track is gone.
type MediaEvent struct {
	TrackID string
	Kind    rtc.Kind
	IsLocal bool
	Remote  *rtc.RemoteTrack
	Local   *rtc.LocalTrack
}

// JoinConfig says which room to join, and as whom.
type JoinConfig struct {
	AuthToken string `json:"authToken"`
	UserName  string `json:"userName"`
	// MetaData is the peer's own, opaque to everybody else.
	MetaData string `json:"metaData"`
	// InitEndpoint is the server's origin, http or https.
	InitEndpoint string `json:"initEndpoint"`
	// AutoVideoSubscribe lets the server send every video unasked. Otherwise
	// video comes when a track has a view (SetViewport) or a preferred layer.
	AutoVideoSubscribe bool            `json:"autoVideoSubscribe"`
	Settings           InitialSettings `json:"settings"`
	// ICEServers replace the server's.
	ICEServers []iceServer `json:"iceServers"`
	// AsRole is the role to preview; empty means the token's.
	AsRole string `json:"asRole"`
}

// InitialSettings is how local media begins. Nil: on for who joins, off for who
// is brought to the stage later.
type InitialSettings struct {
	IsAudioMuted       *bool  `json:"isAudioMuted"`
	IsVideoMuted       *bool  `json:"isVideoMuted"`
	AudioInputDeviceID string `json:"audioInputDeviceId"`
	VideoDeviceID      string `json:"videoDeviceId"`
}

// Client is one participant. It can join, leave and join again.
type Client struct {
	cfg    Config
	log    *slog.Logger
	timing timing
	store  *store
	ctx    context.Context
	cancel context.CancelFunc
	stop   func() // watching devices

	mu       sync.Mutex
	session  *session // nil while in no room
	busy     bool     // preview or join is under way
	last     *stay    // the last call that is over
	watching bool     // the application wants figures
}

// New makes a client. Close frees it.
func New(cfg Config) *Client {
	if cfg.Engine == nil {
		cfg.Engine = &rtc.Engine{}
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	c := &Client{cfg: cfg, log: cfg.Log, timing: defaultTiming(), store: newStore(cfg.Sink)}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	spawn(func() { c.store.run(c.ctx) })
	c.stop = func() {}
	if cfg.Capture != nil {
		c.stop = cfg.Capture.WatchDevices(func() { spawn(c.devicesChanged) })
	}
	return c
}

// Close leaves the room, if there is one, and ends the client.
func (c *Client) Close() {
	_ = c.Leave(context.Background())
	c.stop()
	c.cancel()
}

// State is a copy of the present state.
func (c *Client) State() State { return c.store.snapshot() }

// Flush waits until everything that happened so far has been told to the Sink.
func (c *Client) Flush(ctx context.Context) { c.store.flush(ctx) }

// Preview connects, learns the role and opens local media, without being in
// the room. Join then continues from there.
func (c *Client) Preview(ctx context.Context, config JoinConfig) error {
	return c.enter(ctx, config, func(s *session) error {
		role := s.role()
		if config.AsRole != "" {
			var err error
			if role, err = c.roleNamed(config.AsRole); err != nil {
				return err
			}
		}
		if err := s.acquire(ctx); err != nil {
			return err
		}
		s.prepare(ctx, role, s.mutedDefault(rtc.Audio, false), s.mutedDefault(rtc.Video, false))
		s.release()
		c.store.update(func(t *tx) {
			local := t.LocalPeer()
			t.setRoom(func(r *Room) { r.RoomState = Preview })
			t.setPreview(&PreviewState{
				LocalPeer: local.ID, AsRole: config.AsRole, VideoTrack: local.VideoTrack, AudioTrack: local.AudioTrack,
			})
		})
		return nil
	})
}

// Join enters the room. It returns when the server has let the peer in and what
// the role and settings allow is published; what cannot be published is told as
// an error notification.
func (c *Client) Join(ctx context.Context, config JoinConfig) error {
	return c.enter(ctx, config, func(s *session) error {
		s.config.UserName, s.config.MetaData = config.UserName, config.MetaData
		c.store.update(func(t *tx) {
			local := t.LocalPeer()
			local.Name, local.Metadata = config.UserName, config.MetaData
			t.setPeer(local)
		})
		return s.join(ctx)
	})
}

// enter makes a session, or takes the one of a preview, and does work in it. A
// failure ends the session.
func (c *Client) enter(ctx context.Context, config JoinConfig, work func(*session) error) error {
	token, err := parseToken(config.AuthToken)
	if err != nil {
		return err
	}
	s, isNew, err := c.claim(ctx, config, token)
	if err != nil {
		return err
	}
	defer func() {
		c.mu.Lock()
		c.busy = false
		c.mu.Unlock()
	}()
	if isNew {
		c.store.update(func(t *tx) {
			t.reset()
			t.setRoom(func(r *Room) { r.ID, r.LocalPeer, r.RoomState = token.RoomID, s.peerID, Connecting })
			t.setPeer(Peer{
				ID: s.peerID, Name: config.UserName, RoleName: token.Role, IsLocal: true, Metadata: config.MetaData,
				CustomerUserID: token.UserID, Type: "regular",
			})
		})
		err = s.connect(ctx)
	}
	if err == nil {
		err = work(s)
	}
	if err == nil {
		return nil
	}
	if s.ctx.Err() != nil { // ended meanwhile: that is the better reason
		if cause := context.Cause(s.ctx); cause != nil && !errors.Is(cause, context.Canceled) {
			err = cause
		}
	}
	e := terminal(asError(err, "JOIN"))
	s.end(e, "sdk request")
	<-s.done
	return e
}

// claim reserves the client for one preview or join.
func (c *Client) claim(ctx context.Context, config JoinConfig, token claims) (s *session, isNew bool, err error) {
	c.mu.Lock()
	s = c.session
	if c.busy {
		c.mu.Unlock()
		return nil, false, newError(codeNotReady, "JOIN", "a preview or join is under way")
	}
	if c.ctx.Err() != nil {
		c.mu.Unlock()
		return nil, false, newError(codeNotReady, "JOIN", "the client is closed")
	}
	c.busy = true
	c.mu.Unlock()
	if s != nil {
		s.mu.Lock()
		joined, ending := s.joined, s.ending
		s.mu.Unlock()
		switch {
		case ending:
			<-s.done
		case joined:
			err = newError(codeAlreadyJoined, "JOIN", "already in a room")
		case s.claims.RoomID == token.RoomID && s.claims.Role == token.Role && s.config.InitEndpoint == config.InitEndpoint:
			return s, false, nil // the token may be another one: a room code gives a new one each time
		default: // a preview of something else
			s.end(nil, "")
			<-s.done
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if err == nil && ctx.Err() != nil {
		err = ctx.Err()
	}
	if err != nil {
		c.busy = false
		return nil, false, err
	}
	c.session = newSession(c, config, token)
	return c.session, true, nil
}

// Leave leaves the room, or ends the preview. Without either it does nothing.
func (c *Client) Leave(ctx context.Context) error {
	c.mu.Lock()
	s := c.session
	c.mu.Unlock()
	if s == nil {
		return nil
	}
	c.store.update(func(t *tx) { t.setRoom(func(r *Room) { r.RoomState = Disconnecting }) })
	s.end(nil, "user request")
	select {
	case <-s.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// SetOnline tells the client that the network of the machine came or went. It
// need not be told, but then it takes longer to notice.
func (c *Client) SetOnline(online bool) {
	if s := c.active(); s != nil && !online {
		s.link.drop()
	}
}

// active is the present session, nil without one.
func (c *Client) active() *session {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.session
}

// inRoom is the present session if it has joined.
func (c *Client) inRoom() (*session, error) {
	if s := c.active(); s != nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.joined && !s.ending {
			return s, nil
		}
	}
	return nil, newError(codeNotConnected, "NONE", "not in a room")
}

// ended is called once by each session that is over, e being the error that
// ended it, if one did.
func (c *Client) ended(s *session, e *Error) {
	var last *stay
	c.store.read(func(st *State) { last = stayOf(s, st) })
	c.mu.Lock()
	if c.session == s {
		c.session = nil
	}
	c.last = last
	c.mu.Unlock()
	c.store.update(func(t *tx) {
		t.reset()
		t.setRoom(func(r *Room) {
			r.RoomState = Disconnected
			if e != nil {
				r.RoomState = Failed
			}
		})
		if e != nil {
			t.fail(e)
		}
	})
}

// fail tells the application of an error that does not end the session.
func (c *Client) fail(e *Error) {
	c.log.Warn("error", "err", e)
	c.store.update(func(t *tx) { t.fail(e) })
}

func (c *Client) remoteMedia(id string, kind rtc.Kind, track *rtc.RemoteTrack) {
	if c.cfg.OnMedia == nil {
		if track != nil {
			track.Discard()
		}
		return
	}
	c.cfg.OnMedia(MediaEvent{TrackID: id, Kind: kind, Remote: track})
}

func (c *Client) localMedia(p *published, gone bool) {
	if c.cfg.OnMedia == nil {
		return
	}
	event := MediaEvent{TrackID: p.ID, Kind: p.Kind, IsLocal: true}
	if !gone {
		event.Local = p.LocalTrack
	}
	c.cfg.OnMedia(event)
}

// refreshDevices reads which devices there are.
func (c *Client) refreshDevices(ctx context.Context) {
	if c.cfg.Capture == nil {
		return
	}
	list, err := c.cfg.Capture.Devices(ctx)
	if err != nil {
		c.log.Debug("devices", "err", err)
		return
	}
	devices := newState().Devices
	for _, d := range list {
		switch d.Kind {
		case "audioinput":
			devices.AudioInput = append(devices.AudioInput, d)
		case "audiooutput":
			devices.AudioOutput = append(devices.AudioOutput, d)
		case "videoinput":
			devices.VideoInput = append(devices.VideoInput, d)
		}
	}
	c.store.update(func(t *tx) {
		t.Devices = devices
		t.markField(fieldDevices)
	})
}

// devicesChanged: something was plugged in or out.
func (c *Client) devicesChanged() {
	c.refreshDevices(c.ctx)
	c.store.update(func(t *tx) {
		t.notify(info(NotifyDeviceChange, DeviceChange{Type: "audioInput", Devices: t.Devices}))
	})
}
