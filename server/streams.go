package main

import (
	"context"

	"amphi/server/api"
	"amphi/server/live"
	"amphi/server/protocol"
	"amphi/server/room"
	"amphi/server/store"
)

// streams lets the API reach what is live.
type streams struct {
	rooms *room.Registry
	live  *live.Manager
}

var _ api.Live = streams{}

// StartStream implements api.Live.
func (s streams) StartStream(ctx context.Context, roomID string, o api.StreamOptions) (store.LiveStream, error) {
	r, err := s.rooms.Open(ctx, roomID)
	if err != nil {
		return store.LiveStream{}, room.AsProtocol(err)
	}
	defer r.Release() // the stream holds a reference of its own
	return s.live.Start(ctx, r, live.Options{Destination: o.Destination, MeetingURL: o.MeetingURL, Recording: o.Recording})
}

// StopStream implements api.Live.
func (s streams) StopStream(ctx context.Context, roomID string) error {
	r := s.rooms.Lookup(roomID)
	if r == nil {
		return protocol.Errorf(protocol.CodeNotFound, "hls not running")
	}
	return s.live.StopHLS(ctx, r, "")
}

// SendMetadata implements api.Live.
func (s streams) SendMetadata(ctx context.Context, roomID string, m protocol.TimedMetadata) error {
	r := s.rooms.Lookup(roomID)
	if r == nil {
		return protocol.Errorf(protocol.CodeNotFound, "hls not running")
	}
	return s.live.Metadata(ctx, r, []protocol.TimedMetadata{m})
}

// StartPlaylist implements api.Live.
func (s streams) StartPlaylist(ctx context.Context, roomID string, p api.PlaylistSetup) (api.Playlist, error) {
	setup := live.PlaylistSetup{Loop: p.Loop, Volume: p.Volume}
	for _, it := range p.Items {
		setup.Items = append(setup.Items, live.Tune(it))
	}
	return showPlaylist(s.live.StartPlaylist(ctx, roomID, setup))
}

// Playlist implements api.Live.
func (s streams) Playlist(roomID string) (api.Playlist, error) {
	return showPlaylist(s.live.Playlist(roomID))
}

// ControlPlaylist implements api.Live.
func (s streams) ControlPlaylist(roomID, action string, volume int) (api.Playlist, error) {
	return showPlaylist(s.live.ControlPlaylist(roomID, live.PlaylistAction(action), volume))
}

func showPlaylist(p live.Playlist, err error) (api.Playlist, error) {
	v := api.Playlist{PlaylistSetup: api.PlaylistSetup{Loop: p.Loop, Volume: p.Volume}, State: p.State, Index: p.Index,
		Position: p.Position.Seconds(), Duration: p.Length.Seconds(), Error: p.Error}
	for _, it := range p.Items {
		v.Items = append(v.Items, api.PlaylistItem(it))
	}
	return v, err
}

// Knows implements api.Live.
func (s streams) Knows(ctx context.Context, roomID, peerID string) bool {
	r := s.rooms.Lookup(roomID)
	return r != nil && r.Knows(ctx, peerID)
}
