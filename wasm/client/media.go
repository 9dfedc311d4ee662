package client

import (
	"context"
	"errors"
	"slices"

	"amphi/server/policy"
	"amphi/server/protocol"
	"amphi/wasm/rtc"
)

// syncMedia brings connections and local tracks in line with the present role:
// after join, and after each change of the role. It does what is missing, so
// changes that follow each other quickly end in the last one's state.
func (s *session) syncMedia(ctx context.Context) error {
	if err := s.acquire(ctx); err != nil {
		return err
	}
	defer s.release()
	role := s.role()
	s.mu.Lock()
	before := s.applied
	s.applied = role.Name
	s.mu.Unlock()
	old := role
	s.c.store.read(func(st *State) {
		if known, ok := st.Roles[before]; ok {
			old = known
		}
	})

	changed := before != role.Name
	videoMuted, reopen := s.mutedDefault(rtc.Video, changed), false
	if changed {
		// What the new role does not allow goes first.
		if video := s.local(rtc.Video); video != nil && slices.Contains(s.pub.list(), video) && !sameLayers(old, role) && role.MayPublish("video", protocol.SourceRegular) {
			videoMuted, reopen = s.isMuted(video), true
		}
		if err := s.dropDisallowed(ctx, role, reopen); err != nil {
			return err
		}
		if s.webRTC(role) && !s.webRTC(old) {
			// From the gallery: first the connections, then the tracks (§7.5).
			if err := s.sub.start(); err != nil {
				return err
			}
			if err := s.pub.first(ctx); err != nil {
				return err
			}
		}
	}
	err := s.publishAllowed(ctx, role, s.mutedDefault(rtc.Audio, changed), videoMuted)
	if changed {
		s.c.store.update(func(t *tx) {
			t.setPreview(nil)
			t.notify(info(NotifyRoleUpdated, t.LocalPeer()))
		})
	}
	return err
}

// mutedDefault is how a new track begins. Who joins is heard and seen unless
// told otherwise; who is brought to the stage is muted unless told otherwise,
// for the user did not ask for it (§7.5).
func (s *session) mutedDefault(kind rtc.Kind, promoted bool) bool {
	set := s.config.Settings.IsAudioMuted
	if kind == rtc.Video {
		set = s.config.Settings.IsVideoMuted
	}
	if set != nil {
		return *set
	}
	return promoted
}

func (s *session) dropDisallowed(ctx context.Context, role policy.Role, video bool) error {
	var drop []*published
	s.mu.Lock()
	if s.audio != nil && !role.MayPublish("audio", protocol.SourceRegular) {
		drop, s.audio = append(drop, s.audio), nil
	}
	if s.video != nil && (video || !role.MayPublish("video", protocol.SourceRegular)) {
		drop, s.video = append(drop, s.video), nil
	}
	if !role.MayPublish("video", protocol.SourceScreen) {
		drop, s.screen = append(drop, s.screen...), nil
	}
	s.added = slices.DeleteFunc(s.added, func(p *published) bool {
		gone := !role.MayPublish(string(p.Kind), p.source)
		if gone {
			drop = append(drop, p)
		}
		return gone
	})
	s.mu.Unlock()
	return s.drop(ctx, drop...)
}

// drop unpublishes tracks and forgets them.
func (s *session) drop(ctx context.Context, tracks ...*published) error {
	if len(tracks) == 0 {
		return nil
	}
	err := s.pub.unpublish(ctx, tracks...)
	for _, p := range tracks {
		p.Close()
		s.c.localMedia(p, true)
	}
	s.c.store.update(func(t *tx) {
		for _, p := range tracks {
			track, known := t.Tracks[p.ID]
			if !known {
				continue
			}
			t.deleteTrack(p.ID)
			t.setPeer(withoutTrack(t.Peers[s.peerID], p.ID))
			t.notify(info(NotifyTrackRemoved, track))
		}
	})
	return err
}

// publishAllowed makes and publishes microphone and camera, as far as the role
// allows and they are not there yet. A device that cannot be opened is told of
// and published muted: the user may allow it later.
func (s *session) publishAllowed(ctx context.Context, role policy.Role, audioMuted, videoMuted bool) error {
	s.prepare(ctx, role, audioMuted, videoMuted)
	s.mu.Lock()
	tracks := []*published{s.audio, s.video}
	s.mu.Unlock()
	for _, p := range tracks {
		if p == nil || slices.Contains(s.pub.list(), p) {
			continue
		}
		if err := s.publish(ctx, role, p); err != nil {
			return err
		}
	}
	return nil
}

func (s *session) publish(ctx context.Context, role policy.Role, p *published) error {
	if err := s.pub.publish(ctx, p, encodings(role, p.Kind, p.source, s.init.flag(flagSimulcast))); err != nil {
		return err
	}
	s.c.store.update(func(t *tx) {
		if track, ok := t.Tracks[p.ID]; ok {
			track.IsPublished = true
			t.setTrack(track)
			t.notify(info(NotifyTrackAdded, track))
		}
	})
	return nil
}

// prepare makes the tracks of a role and opens those that are not muted.
func (s *session) prepare(ctx context.Context, role policy.Role, audioMuted, videoMuted bool) {
	capture := s.c.cfg.Capture
	if capture == nil {
		return
	}
	settings := s.config.Settings
	var openAudio, openVideo *rtc.LocalTrack
	s.mu.Lock()
	if s.stream == nil {
		s.stream = rtc.NewStream()
	}
	var added []*published
	if s.audio == nil && role.MayPublish("audio", protocol.SourceRegular) {
		track := capture.Microphone(s.stream, rtc.AudioConstraints{DeviceID: settings.AudioInputDeviceID})
		s.audio = &published{LocalTrack: track, source: protocol.SourceRegular, muted: audioMuted}
		added = append(added, s.audio)
		if !audioMuted {
			openAudio = track
		}
	}
	if s.video == nil && role.MayPublish("video", protocol.SourceRegular) {
		constraints := rtc.VideoConstraints{DeviceID: settings.VideoDeviceID}
		if v := role.PublishParams.Video; v != nil {
			constraints.Width, constraints.Height, constraints.FrameRate = v.Width, v.Height, v.FrameRate
		}
		track := capture.Camera(s.stream, constraints)
		s.video = &published{LocalTrack: track, source: protocol.SourceRegular, muted: videoMuted}
		added = append(added, s.video)
		if !videoMuted {
			openVideo = track
		}
	}
	audio, video := s.audio, s.video
	s.mu.Unlock()
	for _, p := range added {
		s.watch(p)
	}
	if openAudio == nil && openVideo == nil {
		return
	}
	audioErr, videoErr := capture.Open(ctx, openAudio, openVideo)
	for _, problem := range []struct {
		p   *published
		err error
	}{{audio, audioErr}, {video, videoErr}} {
		if problem.err != nil {
			s.mute(ctx, problem.p)
			s.c.fail(trackError(problem.err, string(problem.p.Kind)))
		}
	}
	s.refreshLocal(audio, video)
	s.c.refreshDevices(ctx) // names of devices are known from now on
}

// watch shows a local track in the state and follows what happens to it.
func (s *session) watch(p *published) {
	p.Notify(
		func() { s.c.localMedia(p, false) },
		func() { s.deviceEnded(p) },
	)
	s.c.store.update(func(t *tx) {
		local, ok := t.Peers[s.peerID]
		if !ok {
			return
		}
		track := Track{
			ID: p.ID, Source: p.source, Type: p.Kind, Enabled: !p.muted, DisplayEnabled: !p.muted, PeerID: s.peerID,
			DeviceID: p.DeviceID(),
		}
		t.setTrack(track)
		t.setPeer(withTrack(local, track))
	})
}

// refreshLocal brings the device ids of local tracks up to date.
func (s *session) refreshLocal(tracks ...*published) {
	s.c.store.update(func(t *tx) {
		for _, p := range tracks {
			if p == nil {
				continue
			}
			device := p.DeviceID()
			if track, ok := t.Tracks[p.ID]; ok && track.DeviceID != device {
				track.DeviceID = device
				t.setTrack(track)
			}
			if p.source != protocol.SourceRegular {
				continue
			}
			if p.Kind == rtc.Audio {
				t.Settings.AudioInputDeviceID = device
			} else {
				t.Settings.VideoInputDeviceID = device
			}
			t.markField(fieldSettings)
		}
	})
}

// deviceEnded: the device is gone, or the browser's own button ended a share.
func (s *session) deviceEnded(p *published) {
	var err error
	switch {
	case s.isAdded(p):
		err = s.removeAdded(s.ctx, p.ID)
	case p.source == protocol.SourceScreen:
		err = s.stopScreen(s.ctx)
	default:
		s.deviceLost(p)
	}
	if err != nil && s.ctx.Err() == nil {
		s.c.log.Warn("end of a local track", "source", p.source, "err", err)
	}
}

func (s *session) deviceLost(p *published) {
	if s.acquire(s.ctx) != nil {
		return
	}
	defer s.release()
	_ = p.SetEnabled(s.ctx, false)
	s.mute(s.ctx, p)
	s.c.fail(trackError(rtc.ErrNoDevice, string(p.Kind)))
}

// mute notes that a track is off, here and at the server.
func (s *session) mute(ctx context.Context, p *published) {
	s.pub.setMuted(ctx, p, true)
	s.showMuted(p, true)
}

func (s *session) showMuted(p *published, muted bool) {
	s.c.store.update(func(t *tx) {
		track, ok := t.Tracks[p.ID]
		if !ok {
			return
		}
		was := track.Enabled
		track.Enabled, track.DisplayEnabled, track.DeviceID = !muted, !muted, p.DeviceID()
		t.setTrack(track)
		switch {
		case was && muted:
			t.notify(info(NotifyTrackMuted, track))
		case !was && !muted:
			t.notify(info(NotifyTrackUnmuted, track))
		}
	})
}

// setEnabled turns a local track on or off. The caller holds the lock.
func (s *session) setEnabled(ctx context.Context, p *published, on bool) error {
	s.c.store.update(func(t *tx) { // the button moves at once; a camera takes a while
		if track, ok := t.Tracks[p.ID]; ok && track.DisplayEnabled != on {
			track.DisplayEnabled = on
			t.setTrack(track)
		}
	})
	if err := p.SetEnabled(ctx, on); err != nil {
		s.mute(ctx, p)
		e := trackError(err, string(p.Kind))
		s.c.fail(e)
		return e
	}
	s.pub.setMuted(ctx, p, !on)
	s.showMuted(p, !on)
	if on && p.source == protocol.SourceRegular {
		s.refreshLocal(p)
	}
	return nil
}

// locals are all local tracks.
func (s *session) locals() []*published {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := slices.Concat([]*published{s.audio, s.video}, s.screen, s.added)
	return slices.DeleteFunc(all, func(p *published) bool { return p == nil })
}

// find returns a local track by id.
func (s *session) find(id string) *published {
	for _, p := range s.locals() {
		if p.ID == id {
			return p
		}
	}
	return nil
}

func (s *session) local(kind rtc.Kind) *published {
	s.mu.Lock()
	defer s.mu.Unlock()
	if kind == rtc.Audio {
		return s.audio
	}
	return s.video
}

// startScreen shares what the user chooses.
func (s *session) startScreen(ctx context.Context, o ScreenShare) error {
	role := s.role()
	if !role.MayPublish("video", protocol.SourceScreen) {
		return newError(codeValidationFailed, "TRACK", "role %q may not share a screen", role.Name)
	}
	if s.c.cfg.Capture == nil {
		return trackError(rtc.ErrNoDevice, "screen")
	}
	// Asking needs no lock, and takes as long as the user does.
	options := rtc.ScreenOptions{Audio: !o.VideoOnly, Browser: o.Browser}
	if p := role.PublishParams.Screen; p != nil {
		options.Width, options.Height, options.FrameRate = p.Width, p.Height, p.FrameRate
	}
	video, audio, err := s.c.cfg.Capture.Screen(ctx, options)
	if err != nil {
		e := trackError(err, "screen")
		s.c.fail(e)
		return e
	}
	if err := s.acquire(ctx); err != nil {
		closeTracks(video, audio)
		return err
	}
	defer s.release()
	s.mu.Lock()
	sharing := len(s.screen) > 0
	s.mu.Unlock()
	if sharing {
		closeTracks(video, audio)
		return newError(codeValidationFailed, "TRACK", "a screen is shared already")
	}
	for _, track := range []*rtc.LocalTrack{video, audio} {
		if track == nil {
			continue
		}
		p := &published{LocalTrack: track, source: protocol.SourceScreen}
		s.mu.Lock()
		s.screen = append(s.screen, p)
		s.mu.Unlock()
		s.watch(p)
		s.c.localMedia(p, false)
		if err := s.publish(ctx, role, p); err != nil {
			s.mu.Lock()
			tracks := s.screen
			s.screen = nil
			s.mu.Unlock()
			return errors.Join(err, s.drop(ctx, tracks...))
		}
	}
	return nil
}

func closeTracks(tracks ...*rtc.LocalTrack) {
	for _, t := range tracks {
		if t != nil {
			t.Close()
		}
	}
}

func (s *session) stopScreen(ctx context.Context) error {
	if err := s.acquire(ctx); err != nil {
		return err
	}
	defer s.release()
	s.mu.Lock()
	tracks := s.screen
	s.screen = nil
	s.mu.Unlock()
	return s.drop(ctx, tracks...)
}

// trackRequested: somebody mutes a track of this peer, or asks to unmute it.
func (s *session) trackRequested(p protocol.TrackUpdateRequest) {
	local := s.find(p.TrackID)
	if local == nil {
		return
	}
	spawn(func() {
		if p.Mute && !s.muteOnRequest(local) {
			return
		}
		s.c.store.update(func(t *tx) {
			if track, ok := t.Tracks[local.ID]; ok {
				t.notify(info(NotifyChangeTrackState, TrackStateRequest{
					RequestedBy: peerPointer(t.State, p.RequestedBy), Track: track, Enabled: !p.Mute,
				}))
			}
		})
	})
}

// tracksRequested is the same for all tracks of a kind or source.
func (s *session) tracksRequested(p protocol.ChangeTrackMute) {
	all := s.locals()
	spawn(func() {
		var ids []string
		for _, local := range all {
			if p.Kind != "" && p.Kind != protocol.TrackKind(local.Kind) || p.Source != "" && p.Source != local.source {
				continue
			}
			if p.Value && s.muteOnRequest(local) || !p.Value && s.isMuted(local) {
				ids = append(ids, local.ID)
			}
		}
		if len(ids) == 0 {
			return // all are as wanted already
		}
		s.c.store.update(func(t *tx) {
			request := TracksStateRequest{
				RequestedBy: peerPointer(t.State, p.RequestedBy), Type: rtc.Kind(p.Kind), Source: p.Source, Enabled: !p.Value,
			}
			for _, id := range ids {
				if track, ok := t.Tracks[id]; ok {
					request.Tracks = append(request.Tracks, track)
				}
			}
			t.notify(info(NotifyChangeTrackStates, request))
		})
	})
}

func (s *session) isMuted(p *published) bool {
	s.pub.mu.Lock()
	defer s.pub.mu.Unlock()
	return p.muted
}

// muteOnRequest tells whether the track was on.
func (s *session) muteOnRequest(p *published) bool {
	if s.acquire(s.ctx) != nil {
		return false
	}
	defer s.release()
	if s.isMuted(p) {
		return false
	}
	return s.setEnabled(s.ctx, p, false) == nil
}
