package main

import (
	"context"
	"errors"
	"slices"
	"time"

	"amphi/server/live"
	"amphi/server/policy"
	"amphi/server/protocol"
	"amphi/server/room"
	"amphi/server/rtmp"
	"amphi/server/store"
)

// recorder answers rooms that want to be recorded or pushed elsewhere.
type recorder struct {
	db     *store.Store
	live   func() *live.Manager
	pushes *rtmp.Pushes
}

var _ room.Recorder = recorder{}

// StartRTMP implements room.Recorder.
func (c recorder) StartRTMP(ctx context.Context, r *room.Room, req protocol.RTMPStart, by string) error {
	if err := checkRTMPStart(req); err != nil {
		return err
	}
	setup := store.JobSetup{MeetingURL: req.MeetingURL, RTMPURLs: req.RTMPURLs, Recording: req.Record && len(req.RTMPURLs) > 0}
	if req.Resolution != nil {
		setup.Width, setup.Height = req.Resolution.Width, req.Resolution.Height
	}
	if len(req.RTMPURLs) > 0 {
		_, err := c.pushes.Start(ctx, r, setup, by)
		return err
	}
	_, err := c.live().StartRecording(ctx, r, setup, by)
	return err
}

func checkRTMPStart(req protocol.RTMPStart) error {
	size := req.Resolution
	switch {
	case len(req.RTMPURLs) > policy.MaxPushes:
		return protocol.Errorf(protocol.CodeBadRequest, "more than %d rtmp_urls", policy.MaxPushes)
	case slices.ContainsFunc(req.RTMPURLs, func(u string) bool { return !policy.IsRTMP(u) }):
		return protocol.Errorf(protocol.CodeBadRequest, "rtmp_urls must be of the form rtmp://host/app/STREAM_KEY or rtmps://…")
	case size != nil && !policy.ValidComposition(size.Width, size.Height):
		return protocol.Errorf(protocol.CodeBadRequest, "resolution: width is 500 to 1920, height 480 to 1920, and only one of them above 1080")
	case req.MeetingURL != "" && !policy.IsMeetingURL(req.MeetingURL):
		return protocol.Errorf(protocol.CodeBadRequest, "meeting_url must be an http or https URL")
	}
	return nil
}

// StopRTMP implements room.Recorder.
func (c recorder) StopRTMP(ctx context.Context, r *room.Room, by string) error {
	pushed := c.pushes.Stop(ctx, r.ID(), by)
	if e := room.AsProtocol(pushed); pushed != nil && e.Code != protocol.CodeNotFound {
		return pushed
	}
	j, err := c.db.ActiveJob(ctx, r.ID(), store.Recording)
	if errors.Is(err, store.ErrNotFound) {
		return pushed
	}
	if err != nil {
		return err
	}
	if _, err := c.db.JobStopping(ctx, j.ID, by, time.Now()); err != nil {
		return err
	}
	return c.live().StopRecording(r.ID())
}
