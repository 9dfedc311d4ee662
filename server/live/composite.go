package live

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"amphi/server/hls"
	"amphi/server/policy"
	"amphi/server/protocol"
	"amphi/server/recording"
	"amphi/server/room"
	"amphi/server/store"
)

// composite is the recording of a composed room as one file: a [Sink] that makes segments of what it gets, which nobody
// can play but the recording. A goroutine of its own ([composite.run]) writes down what becomes of the job.
type composite struct {
	*recorder
	m   *Manager
	job store.Job // as it was when the recording began here
	log *slog.Logger

	resumed bool // the server before this one began it

	attached chan struct{} // closed when outlet is set
	outlet   *Outlet       // nil when the stream could not be had

	began  chan struct{} // closed with the first picture
	ended  chan struct{} // closed with the end of the sink
	ending Ended         // after ended

	// settled is closed when the job's end is on record, so that files may follow: by the goroutine of the recording's
	// own job, or by the owner of the push that is recorded too.
	settled chan struct{}
	once    sync.Once

	// What follows belongs to the stream's goroutine.
	out     *hls.Stream
	running bool // a picture came
}

// own says that the job is the recording's and not that of a push.
func (c *composite) own() bool { return c.job.Kind == store.Recording }

// newComposite prepares the recording of a job.
func (m *Manager) newComposite(r *room.Room, j store.Job, how policy.Composite) *composite {
	info := r.Info()
	c := &composite{m: m, job: j, log: m.cfg.Log.With("room", info.RoomID, "recording", j.ID),
		attached: make(chan struct{}), began: make(chan struct{}), ended: make(chan struct{}), settled: make(chan struct{})}
	c.recorder = newRecorder(m, r, protocol.RecordBrowser, recording.Spec{ID: j.ID, Job: j.Kind, Customer: info.CustomerID, Room: info.RoomID,
		Session: j.SessionID, Began: time.Now(), Files: true, AudioOnly: j.Setup.AudioOnly, URLsFor: how.URLsFor,
		Thumbnails: how.Thumbnails}, func() { c.detach("") })
	switch err := c.resume(j.ID); {
	case err == nil:
		c.resumed = true
	case !errors.Is(err, recording.ErrNotFound):
		c.log.Warn("recording begins anew", "err", err)
	}
	return c
}

var (
	errNoRecorder    = protocol.Errorf(protocol.CodeUnavailable, "recording is not available on this server")
	errNoRecording   = protocol.Errorf(protocol.CodeNotFound, "recording not running")
	errRecordingRuns = protocol.Errorf(protocol.CodeConflict, "beam already started")
)

// StartRecording starts a recording of the composed room and returns its record when the start is accepted. The error
// is a [*protocol.Error].
func (m *Manager) StartRecording(ctx context.Context, r *room.Room, setup store.JobSetup, by string) (store.Job, error) {
	if m.cfg.Recordings == nil {
		return store.Job{}, errNoRecorder
	}
	if err := m.CheckMeetingURL(ctx, r, setup.MeetingURL); err != nil { // before it is on record
		return store.Job{}, err
	}
	// Asking the room makes sure that its session is recorded, which the record names.
	if _, err := r.HLS(ctx); err != nil {
		return store.Job{}, refusal(err)
	}
	how, _ := r.Info().Template.CompositeRecording(setup.Destination)
	if setup.Width <= 0 || setup.Height <= 0 {
		setup.Width, setup.Height = how.Width, how.Height
	}
	j, err := m.cfg.Store.StartJob(ctx, store.Job{Kind: store.Recording, RoomID: r.ID(), Setup: setup, StartedBy: by})
	if errors.Is(err, store.ErrConflict) {
		return j, errRecordingRuns
	}
	if err != nil {
		return j, refusal(err)
	}
	if err := m.record(ctx, r, j); err != nil {
		m.recordingFailed(ctx, j, err)
		return j, err
	}
	return j, nil
}

// record records the room for a job of its own.
func (m *Manager) record(ctx context.Context, r *room.Room, j store.Job) error {
	how, _ := r.Info().Template.CompositeRecording(j.Setup.Destination)
	c := m.newComposite(r, j, how)
	return m.attach(ctx, c, OutletConfig{Sink: c, MeetingURL: j.Setup.MeetingURL, Width: j.Setup.Width, Height: j.Setup.Height,
		MaxDuration: how.MaxDuration, AutoStop: how.AutoStop, Began: j.CreatedAt})
}

// recordingFailed writes down that a recording which was accepted does not begin, or does not go on.
func (m *Manager) recordingFailed(ctx context.Context, j store.Job, why error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeLimit)
	defer cancel()
	if _, err := m.cfg.Store.JobFailed(ctx, j.ID, store.Failure{At: time.Now(), Type: "INTERNAL_ERROR", Message: why.Error()}); err != nil {
		m.cfg.Log.Error("failure could not be recorded", "room", j.RoomID, "recording", j.ID, "err", err)
	}
}

// RecordPush records what a push shows. The record of the job is the caller's: when its end is on record he calls done,
// and the files follow.
func (m *Manager) RecordPush(ctx context.Context, r *room.Room, j store.Job) (done func(reason string), err error) {
	if m.cfg.Recordings == nil {
		return nil, errNoRecorder
	}
	how, _ := r.Info().Template.CompositeRecording("")
	c := m.newComposite(r, j, how)
	if err := m.attach(ctx, c, OutletConfig{Sink: c, MeetingURL: j.Setup.MeetingURL, Width: j.Setup.Width, Height: j.Setup.Height, Began: j.CreatedAt}); err != nil {
		return nil, err
	}
	return func(reason string) {
		c.once.Do(func() { close(c.settled) })
		c.detach(reason)
	}, nil
}

// attach gives the room's stream to the recording.
func (m *Manager) attach(ctx context.Context, c *composite, cfg OutletConfig) error {
	m.mu.Lock()
	if m.composites[c.spec.Room] != nil {
		m.mu.Unlock()
		return errRecordingRuns // of which the room hears
	}
	m.composites[c.spec.Room] = c
	m.mu.Unlock()
	if !c.resumed {
		c.announce()
	}
	var err error
	c.outlet, err = m.Attach(ctx, c.room, cfg)
	close(c.attached)
	if err != nil {
		m.forgetComposite(c)
		c.fail(err)
		c.recorder.end() // of what the server before recorded there are files
		return err
	}
	m.running.Go(c.run)
	return nil
}

// detach ends the recording. It does not wait, as the stream's goroutine is among its callers, and may come here before
// Attach returns.
func (c *composite) detach(reason string) {
	go func() {
		<-c.attached
		if c.outlet != nil {
			c.outlet.Detach(reason)
		}
	}()
}

func (m *Manager) forgetComposite(c *composite) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.composites[c.spec.Room] == c {
		delete(m.composites, c.spec.Room)
	}
}

func (m *Manager) composite(roomID string) *composite {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.composites[roomID]
}

// StopRecording ends the recording of a room whose stop is on record. Code 404 when none runs.
func (m *Manager) StopRecording(roomID string) error {
	c := m.composite(roomID)
	if c == nil || !c.own() {
		return errNoRecording
	}
	c.detach(store.StoppedByRequest)
	return nil
}

// PauseRecording leaves out what happens, or no longer does. Code 404 when nothing is recorded.
func (m *Manager) PauseRecording(roomID string, paused bool) error {
	c := m.composite(roomID)
	if c == nil || !c.pause(paused) {
		return errNoRecording
	}
	return nil
}

// Begin implements Sink. Of several sizes the best is recorded.
func (c *composite) Begin(f Format) {
	c.closeStream()
	best := f.Sizes[0]
	bitrate := best.Bitrate + f.AudioBitrate
	segment := c.begin(f.FrameRate, []recording.Layer{{Bitrate: bitrate}})
	if segment == nil {
		c.detach("")
		return
	}
	out, err := hls.NewStream(hls.Config{Start: f.Epoch, FrameRate: f.FrameRate, SampleRate: f.SampleRate, Channels: f.Channels,
		Renditions: []hls.Rendition{{Name: "best", Bitrate: bitrate}}, Keep: segment, Log: c.log})
	if err != nil { // the parameters are constant
		c.fail(err)
		return
	}
	c.out = out
}

// Video implements Sink.
func (c *composite) Video(rendition int, pts time.Duration, key bool, au []byte) {
	if rendition != 0 || c.out == nil {
		return
	}
	switch err := c.out.WriteVideo(0, pts, key, au); {
	case err == nil && !c.running:
		c.running = true
		close(c.began)
	case err != nil && !errors.Is(err, hls.ErrNeedKey): // the next one is at most a second away
		c.log.Error("picture could not be recorded", "err", err)
	}
}

// Audio implements Sink.
func (c *composite) Audio(pts time.Duration, au []byte) {
	if c.out == nil {
		return
	}
	if err := c.out.WriteAudio(pts, au); err != nil {
		c.log.Error("sound could not be recorded", "err", err)
	}
}

// End implements Sink.
func (c *composite) End(e Ended) {
	c.closeStream()
	c.ending = e
	close(c.ended)
}

// closeStream ends what makes segments, with the last of them.
func (c *composite) closeStream() {
	if c.out != nil {
		c.out.End()
		c.out.Close()
		c.out = nil
	}
}

// run writes down, and tells, how the recording begins and ends.
func (c *composite) run() {
	defer c.m.forgetComposite(c)
	select {
	case <-c.began:
		at := time.Now()
		if c.own() && c.job.Status == store.StatusStarting {
			ctx, cancel := context.WithTimeout(context.Background(), storeLimit)
			// Of one whose stop was accepted meanwhile the end comes next.
			if _, err := c.m.cfg.Store.JobRunning(ctx, c.job.ID, at); err != nil && !errors.Is(err, store.ErrConflict) {
				c.log.Error("start could not be recorded", "err", err)
			}
			cancel()
		}
		c.log.Info("recording", "after", at.Sub(c.spec.Began).Round(time.Millisecond))
		c.started()
		<-c.ended
	case <-c.ended:
	}
	failure := c.ending.Failure
	if err := c.failed(); err != nil {
		failure = err.Error()
	}
	if failure != "" {
		c.fail(errors.New(failure)) // tells, unless it was the recording's own
	}
	if c.own() {
		c.settle(failure)
	} else {
		<-c.settled
	}
	c.recorder.end()
	c.log.Info("recording ended", "reason", c.ending.Reason, "failure", failure)
}

// settle writes down the end of the recording's own job.
func (c *composite) settle(failure string) {
	ctx, cancel := context.WithTimeout(context.Background(), storeEndLimit)
	defer cancel()
	var err error
	switch now := time.Now(); {
	case failure != "":
		_, err = c.m.cfg.Store.JobFailed(ctx, c.job.ID, Ended{Failure: failure, Type: c.ending.Type}.Record())
	case c.job.Status == store.StatusStarting && !c.hasBegun():
		early := errStoppedEarly
		early.At = now
		_, err = c.m.cfg.Store.JobFailed(ctx, c.job.ID, early)
	default:
		_, err = c.m.cfg.Store.JobRecorded(ctx, c.job.ID, c.ending.Reason, now)
	}
	if err != nil {
		c.log.Error("end could not be recorded", "err", err)
	}
}

func (c *composite) hasBegun() bool {
	select {
	case <-c.began:
		return true
	default:
		return false
	}
}
