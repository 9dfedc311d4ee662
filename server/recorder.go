package main

import (
	"context"
	"errors"
	"slices"
	"time"

	"amphi/server/api"
	"amphi/server/policy"
	"amphi/server/protocol"
	"amphi/server/room"
	"amphi/server/store"
)

// recorder answers rooms that want to be recorded or pushed elsewhere. This server has no part for either: what is asked
// for is checked and put on record, and ends at once with the reason, as over the API.
type recorder struct{ db *store.Store }

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
	job := store.Job{Kind: store.Recording, RoomID: r.ID(), Setup: setup, StartedBy: by}
	why := api.WhyNoRecording
	if len(req.RTMPURLs) > 0 {
		job.Kind, why = store.ExternalStream, api.WhyNoRTMP
	}
	job, err := c.db.StartJob(ctx, job)
	if errors.Is(err, store.ErrConflict) {
		return protocol.Errorf(protocol.CodeConflict, "it runs already")
	}
	if err != nil {
		return err
	}
	at := time.Now()
	if _, err := c.db.JobFailed(ctx, job.ID, store.Failure{At: at, Type: "INTERNAL_ERROR", Message: why}); err != nil {
		return err
	}
	begun := protocol.RunState{Enabled: true, State: protocol.StateInitialised, InitialisedAt: at.UnixMilli()}
	failed := protocol.RunState{State: protocol.StateFailed, Error: protocol.Errorf(protocol.CodeUnavailable, "%s", why)}
	for _, state := range []protocol.RunState{begun, failed} {
		if len(req.RTMPURLs) > 0 {
			r.SetRTMP(state)
		}
		if req.Record {
			r.SetRecording(protocol.RecordBrowser, state)
		}
	}
	return nil
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
func (c recorder) StopRTMP(context.Context, *room.Room, string) error {
	return protocol.Errorf(protocol.CodeNotFound, "neither a push nor a recording runs")
}
