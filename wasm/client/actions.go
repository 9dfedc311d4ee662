package client

import (
	"context"
	"strings"
	"time"

	"amphi/server/protocol"
	"amphi/wasm/rtc"
)

// Local media

// SetLocalEnabled turns the microphone or camera on or off. A track that the
// role allows and that could not be had before is tried again.
func (c *Client) SetLocalEnabled(ctx context.Context, kind rtc.Kind, on bool) error {
	s := c.active()
	if s == nil {
		return newError(codeNotConnected, "TRACK", "not in a room")
	}
	p := s.local(kind)
	if p == nil {
		return newError(codeNothingToReturn, "TRACK", "there is no local %s track", kind)
	}
	return c.setEnabled(ctx, s, p, on)
}

// SetTrackEnabled turns any local track on or off.
func (c *Client) SetTrackEnabled(ctx context.Context, trackID string, on bool) error {
	s := c.active()
	if s == nil {
		return newError(codeNotConnected, "TRACK", "not in a room")
	}
	p := s.find(trackID)
	if p == nil {
		return newError(codeNothingToReturn, "TRACK", "no local track has the id %q", trackID)
	}
	return c.setEnabled(ctx, s, p, on)
}

func (c *Client) setEnabled(ctx context.Context, s *session, p *published, on bool) error {
	if err := s.acquire(ctx); err != nil {
		return err
	}
	defer s.release()
	return s.setEnabled(ctx, p, on)
}

// ScreenShare says what of a screen to share. Browser holds options of
// getDisplayMedia.
type ScreenShare struct {
	VideoOnly bool
	Browser   map[string]any
}

// StartScreenShare asks the user for a screen and publishes it.
func (c *Client) StartScreenShare(ctx context.Context, o ScreenShare) error {
	s, err := c.inRoom()
	if err != nil {
		return err
	}
	return s.startScreen(ctx, o)
}

// StopScreenShare ends it.
func (c *Client) StopScreenShare(ctx context.Context) error {
	s, err := c.inRoom()
	if err != nil {
		return err
	}
	return s.stopScreen(ctx)
}

// SetAudioDevice chooses the microphone.
func (c *Client) SetAudioDevice(ctx context.Context, deviceID string) error {
	return c.setDevice(ctx, rtc.Audio, func(p *published) error {
		return p.SetAudio(ctx, rtc.AudioConstraints{DeviceID: deviceID})
	})
}

// SetVideo changes what is asked of the camera.
func (c *Client) SetVideo(ctx context.Context, change func(*rtc.VideoConstraints)) error {
	return c.setDevice(ctx, rtc.Video, func(p *published) error {
		v := p.Video()
		change(&v)
		return p.SetVideo(ctx, v)
	})
}

func (c *Client) setDevice(ctx context.Context, kind rtc.Kind, set func(*published) error) error {
	s := c.active()
	if s == nil {
		return newError(codeNotConnected, "TRACK", "not in a room")
	}
	if err := s.acquire(ctx); err != nil {
		return err
	}
	defer s.release()
	p := s.local(kind)
	if p == nil {
		return newError(codeNothingToReturn, "TRACK", "there is no local %s track", kind)
	}
	if err := set(p); err != nil {
		e := trackError(err, string(kind))
		c.fail(e)
		return e
	}
	s.refreshLocal(p)
	return nil
}

// RefreshDevices reads which devices there are.
func (c *Client) RefreshDevices(ctx context.Context) { c.refreshDevices(ctx) }

// Remote media

// SetViewport says how large a remote video is seen, in device pixels; 0×0
// means not at all. The fitting layer is asked of the server.
func (c *Client) SetViewport(trackID string, width, height int) {
	if s := c.active(); s != nil {
		v := s.sub.viewOf(trackID)
		v.width, v.height = width, height
		if width == 0 && height == 0 {
			v = view{} // a preferred layer is for who looks
		}
		s.sub.setView(trackID, v)
	}
}

// SetPreferredLayer asks for a layer ("high", "medium", "low" or "none")
// whatever the size; an empty one lets the size decide again.
func (c *Client) SetPreferredLayer(trackID, layer string) error {
	s, err := c.inRoom()
	if err != nil {
		return err
	}
	switch layer {
	case "", layerNone, layerLow, layerMedium, layerHigh:
	default:
		return newError(codeValidationFailed, "NONE", "no such layer: %q", layer)
	}
	v := s.sub.viewOf(trackID)
	v.layer = layer
	s.sub.setView(trackID, v)
	return nil
}

// SetVolume notes the loudness, 0 to 100, of one remote track or of all (""). At
// 0 the server is asked not to send it.
func (c *Client) SetVolume(value int, trackID string) error {
	s, err := c.inRoom()
	if err != nil {
		return err
	}
	value = min(100, max(0, value))
	var changed []string
	c.store.update(func(t *tx) {
		for id, track := range t.Tracks {
			if track.Volume != nil && (trackID == "" || id == trackID) {
				track.Volume = &value
				t.setTrack(track)
				changed = append(changed, id)
			}
		}
	})
	for _, id := range changed {
		s.sub.refresh(id)
	}
	return nil
}

// Messages

// Send sends a chat message or custom event: to one peer, to the peers of some
// roles, or (neither) to all others. An empty kind means "chat".
func (c *Client) Send(ctx context.Context, text, kind string, roles []string, peerID string) (Message, error) {
	s, err := c.inRoom()
	if err != nil {
		return Message{}, err
	}
	if strings.TrimSpace(text) == "" {
		return Message{}, newError(codeValidationFailed, "BROADCAST", "an empty message")
	}
	if kind == "" {
		kind = "chat"
	}
	var result protocol.BroadcastResult
	err = s.link.request(ctx, protocol.MethodBroadcast, protocol.Broadcast{
		Info: protocol.Message{Message: text, Type: kind}, Roles: roles, PeerID: peerID,
	}, &result)
	if err != nil {
		return Message{}, asError(err, "BROADCAST")
	}
	var m Message
	c.store.update(func(t *tx) {
		local := t.LocalPeer()
		m = Message{
			ID: result.MessageID, Time: result.Timestamp, Type: kind, Message: text, Read: true, RecipientRoles: roles,
			RecipientPeer: peerID, Sender: local.ID, SenderName: local.Name, SenderRole: local.RoleName,
			SenderUserID: local.CustomerUserID,
		}
		if !t.ignored[kind] {
			t.addMessage(m)
		}
	})
	return m, nil
}

// IgnoreMessages: messages of these types are told, but not kept from now on;
// besides those ignored before, or (replace) instead of them.
func (c *Client) IgnoreMessages(types []string, replace bool) {
	c.store.update(func(t *tx) {
		if replace {
			t.ignored = map[string]bool{}
		}
		for _, kind := range types {
			t.ignored[kind] = true
		}
	})
}

// SetMessageRead marks one message, or all (""), as read or not.
func (c *Client) SetMessageRead(read bool, id string) {
	c.store.update(func(t *tx) {
		for _, m := range t.Messages {
			if m.Read != read && (id == "" || m.ID == id) {
				m.Read = read
				t.addMessage(m)
			}
		}
	})
}

// Roles

// ChangeRole asks a peer to take a role, or (force) makes it.
func (c *Client) ChangeRole(ctx context.Context, peerID, role string, force bool) error {
	return c.request(ctx, protocol.MethodRoleChangeRequest, protocol.RoleChangeRequest{RequestedFor: peerID, Role: role, Force: force})
}

// ChangeRoles makes all peers of some roles take another.
func (c *Client) ChangeRoles(ctx context.Context, roles []string, role string) error {
	return c.request(ctx, protocol.MethodRoleChangeRequest, protocol.RoleChangeRequest{Roles: roles, Role: role, Force: true})
}

// AcceptRole says yes to the role change request with the token.
func (c *Client) AcceptRole(ctx context.Context, token string) error {
	request, ok := c.takeRequest(token)
	if !ok {
		return newError(codeValidationFailed, "ROLE_CHANGE", "there is no such request")
	}
	return c.request(ctx, protocol.MethodRoleChange, protocol.RoleChange{
		RequestedBy: request.RequestedBy, Role: request.RoleName, Token: request.Token,
	})
}

// RejectRole says no to it. The protocol has no message for that.
func (c *Client) RejectRole(token string) { c.takeRequest(token) }

func (c *Client) takeRequest(token string) (request RoleChangeRequest, ok bool) {
	c.store.update(func(t *tx) {
		for _, r := range t.RoleChangeRequests {
			if r.Token == token {
				request, ok = r, true
				t.RoleChangeRequests = []RoleChangeRequest{}
				t.markField(fieldRequests)
				return
			}
		}
	})
	return request, ok
}

// Others

// SetRemoteTrackEnabled mutes a track of another peer, or asks its peer to unmute it.
func (c *Client) SetRemoteTrackEnabled(ctx context.Context, trackID string, on bool) error {
	var track Track
	var known bool
	var stream string
	s, err := c.inRoom()
	if err != nil {
		return err
	}
	c.store.read(func(st *State) {
		track, known = st.Tracks[trackID]
		stream = s.red.meta[trackID].StreamID
	})
	if !known {
		return newError(codeValidationFailed, "NONE", "no track has the id %q", trackID)
	}
	return c.request(ctx, protocol.MethodTrackUpdateRequest, protocol.TrackUpdateRequest{
		RequestedFor: track.PeerID, TrackID: trackID, StreamID: stream, Mute: !on,
	})
}

// SetRemoteTracksEnabled does it for all tracks of some roles (nil: all), kind
// and source (empty: any).
func (c *Client) SetRemoteTracksEnabled(ctx context.Context, on bool, roles []string, kind rtc.Kind, source string) error {
	return c.request(ctx, protocol.MethodChangeTrackMute, protocol.ChangeTrackMute{
		Value: !on, Roles: roles, Kind: protocol.TrackKind(kind), Source: source,
	})
}

// RemovePeer takes a peer out of the room.
func (c *Client) RemovePeer(ctx context.Context, peerID, reason string) error {
	return c.request(ctx, protocol.MethodPeerLeaveRequest, protocol.PeerLeaveRequest{RequestedFor: peerID, Reason: reason})
}

// EndRoom takes everybody out of the room, and (lock) lets nobody in again.
func (c *Client) EndRoom(ctx context.Context, lock bool, reason string) error {
	if err := c.request(ctx, protocol.MethodEndRoom, protocol.EndRoom{Lock: lock, Reason: reason}); err != nil {
		return err
	}
	return c.Leave(ctx)
}

// ChangeName renames the local peer.
func (c *Client) ChangeName(ctx context.Context, name string) error {
	if err := c.request(ctx, protocol.MethodPeerUpdate, protocol.PeerUpdate{Name: &name}); err != nil {
		return err
	}
	c.updateLocal(NotifyNameUpdated, func(p *Peer) { p.Name = name })
	return nil
}

// ChangeMetadata replaces the local peer's metadata.
func (c *Client) ChangeMetadata(ctx context.Context, metadata string) error {
	if err := c.request(ctx, protocol.MethodPeerUpdate, protocol.PeerUpdate{Data: &metadata}); err != nil {
		return err
	}
	c.updateLocal(NotifyMetadataUpdated, func(p *Peer) { p.Metadata = metadata })
	return nil
}

// updateLocal changes the local peer; the server tells only the others.
func (c *Client) updateLocal(kind NotificationType, change func(*Peer)) {
	c.store.update(func(t *tx) {
		p := t.LocalPeer()
		if p.ID == "" {
			return
		}
		change(&p)
		t.setPeer(p)
		t.notify(info(kind, p))
	})
}

// SetHand raises or lowers a hand: the local peer's (peerID empty) or another's.
func (c *Client) SetHand(ctx context.Context, peerID string, raised bool) error {
	method := map[bool]string{true: protocol.MethodGroupJoin, false: protocol.MethodGroupLeave}[raised]
	if peerID != "" {
		method = map[bool]string{true: protocol.MethodGroupAdd, false: protocol.MethodGroupRemove}[raised]
	}
	return c.request(ctx, method, protocol.GroupChange{Name: protocol.HandRaiseGroup, PeerID: peerID})
}

// FindPeer asks the server for a peer, which need not be in the state.
func (c *Client) FindPeer(ctx context.Context, peerID string) (Peer, error) {
	var found protocol.Peer
	s, err := c.inRoom()
	if err != nil {
		return Peer{}, err
	}
	if err := s.link.request(ctx, protocol.MethodGetPeer, protocol.GetPeer{PeerID: peerID}, &found); err != nil {
		return Peer{}, asError(err, "NONE")
	}
	return peerOf(named(found, peerID), Peer{AuxiliaryTracks: []string{}}), nil
}

// request sends a request whose result has nothing to say.
func (c *Client) request(ctx context.Context, method string, params any) error {
	s, err := c.inRoom()
	if err != nil {
		return err
	}
	if err := s.link.request(ctx, method, params, nil); err != nil {
		return asError(err, "NONE")
	}
	return nil
}

// Analytics sends a telemetry event; nobody answers.
func (c *Client) Analytics(ctx context.Context, name string, details map[string]any) {
	if s, err := c.inRoom(); err == nil {
		s.link.notify(ctx, protocol.MethodAnalytics, map[string]any{
			"name": name, "info": details, "timestamp": time.Now().UnixMilli(),
		})
	}
}
