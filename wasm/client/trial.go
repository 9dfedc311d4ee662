package client

import (
	"context"
	"slices"

	"amphi/server/policy"
)

// PreviewRole opens what a role would publish without publishing it, so that
// who was asked to the stage can look into the mirror first. Taking the role
// publishes it; CancelPreview forgets it.
func (c *Client) PreviewRole(ctx context.Context, roleName string, settings InitialSettings) error {
	s, err := c.inRoom()
	if err != nil {
		return err
	}
	role, err := c.roleNamed(roleName)
	if err != nil {
		return err
	}
	if err := s.acquire(ctx); err != nil {
		return err
	}
	defer s.release()
	isOff := func(set *bool) bool { return set != nil && *set }
	s.prepare(ctx, role, isOff(settings.IsAudioMuted), isOff(settings.IsVideoMuted))
	c.store.update(func(t *tx) {
		local := t.LocalPeer()
		t.setPreview(&PreviewState{
			LocalPeer: local.ID, AsRole: roleName, VideoTrack: local.VideoTrack, AudioTrack: local.AudioTrack,
		})
	})
	return nil
}

// CancelPreview closes what PreviewRole opened.
func (c *Client) CancelPreview(ctx context.Context) error {
	s, err := c.inRoom()
	if err != nil {
		return err
	}
	if err := s.acquire(ctx); err != nil {
		return err
	}
	defer s.release()
	c.store.update(func(t *tx) { t.setPreview(nil) })
	kept := s.pub.list()
	var drop []*published
	s.mu.Lock()
	for _, slot := range []**published{&s.audio, &s.video} {
		if *slot != nil && !slices.Contains(kept, *slot) {
			drop, *slot = append(drop, *slot), nil
		}
	}
	s.mu.Unlock()
	return s.drop(ctx, drop...)
}

func (c *Client) roleNamed(name string) (role policy.Role, err error) {
	known := false
	c.store.read(func(st *State) { role, known = st.Roles[name] })
	if !known {
		return role, newError(codeInvalidRole, "PREVIEW", "there is no role %q", name)
	}
	return role, nil
}

func (t *tx) setPreview(p *PreviewState) {
	if t.Preview != nil || p != nil {
		t.Preview = p
		t.markField(fieldPreview)
	}
}
