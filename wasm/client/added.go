package client

import (
	"context"
	"slices"

	"amphi/wasm/rtc"
)

// AddTrack publishes a track of the application's own, beside microphone,
// camera and screen: a canvas, a file that is played, a second camera. source is
// what the others are told it is. From now on it belongs to the client, which
// closes it.
func (c *Client) AddTrack(ctx context.Context, track *rtc.LocalTrack, source string) error {
	s, err := c.inRoom()
	if err != nil {
		track.Close()
		return err
	}
	if err := s.acquire(ctx); err != nil {
		track.Close()
		return err
	}
	defer s.release()
	role := s.role()
	if !role.MayPublish(string(track.Kind), source) {
		track.Close()
		return newError(codeValidationFailed, "TRACK", "role %q may not publish %s from %q", role.Name, track.Kind, source)
	}
	if s.find(track.ID) != nil {
		return newError(codeValidationFailed, "TRACK", "the track %q is published already", track.ID)
	}
	p := &published{LocalTrack: track, source: source}
	s.mu.Lock()
	s.added = append(s.added, p)
	s.mu.Unlock()
	s.watch(p)
	s.c.localMedia(p, false)
	if err := s.publish(ctx, role, p); err != nil {
		s.forgetAdded(p.ID)
		_ = s.drop(ctx, p) // what was refused is not there to be taken back
		return asError(err, "PUBLISH")
	}
	return nil
}

// RemoveTrack takes back what AddTrack published, or a shared screen.
func (c *Client) RemoveTrack(ctx context.Context, id string) error {
	s, err := c.inRoom()
	if err != nil {
		return err
	}
	p := s.find(id)
	switch {
	case p == nil:
		return newError(codeNothingToReturn, "TRACK", "no local track has the id %q", id)
	case s.isAdded(p):
		return s.removeAdded(ctx, id)
	case p == s.local(rtc.Audio) || p == s.local(rtc.Video):
		return newError(codeValidationFailed, "TRACK", "microphone and camera go with the role; they can be turned off")
	}
	return s.stopScreen(ctx)
}

func (s *session) isAdded(p *published) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Contains(s.added, p)
}

func (s *session) removeAdded(ctx context.Context, id string) error {
	if err := s.acquire(ctx); err != nil {
		return err
	}
	defer s.release()
	if p := s.forgetAdded(id); p != nil {
		return s.drop(ctx, p)
	}
	return nil // another call was quicker
}

func (s *session) forgetAdded(id string) (gone *published) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.added = slices.DeleteFunc(s.added, func(p *published) bool {
		if p.ID == id {
			gone = p
		}
		return p.ID == id
	})
	return gone
}
