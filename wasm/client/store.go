package client

import (
	"context"
	"maps"
	"slices"
	"sync"
)

// Bounds of what is remembered and of what waits for the application.
const (
	maxMessages      = 2000
	maxErrors        = 50
	maxNotifications = 1024 // not yet delivered; older ones are dropped and counted
)

// Patch is one step of the state. Applied in the order of their versions, which
// are consecutive, patches make a copy of State elsewhere.
type Patch struct {
	Version uint64 `json:"v"`
	// Reset: start from the state of a client in no room, but for the devices
	// and errors that were known.
	Reset bool `json:"reset,omitempty"`
	// Set holds top-level fields of State that are replaced, by their JSON names.
	Set map[string]any `json:"set,omitempty"`
	// Merge holds entries of top-level maps; nil removes one.
	Merge map[string]map[string]any `json:"merge,omitempty"`
	// Messages are new, or known and changed; Drop are forgotten ones.
	Messages *MessagesPatch `json:"messages,omitempty"`
}

// MessagesPatch is the change of the list of messages.
type MessagesPatch struct {
	Set  []Message `json:"set,omitempty"`
	Drop []string  `json:"drop,omitempty"`
}

// Sink is what a client tells its application, from one goroutine, in order.
type Sink struct {
	Patch        func(Patch)
	Notification func(Notification)
	Figures      func(Figures) // see WatchFigures
}

// store owns the state. Changes are made in update; what changed is delivered
// by a goroutine, which takes all that has gathered at once: a burst of server
// messages becomes one patch.
type store struct {
	sink Sink

	mu        sync.Mutex
	state     State
	dirty     dirty
	waiting   []Notification
	figures   *Figures // the latest, not yet delivered
	dropped   uint64   // notifications nobody took in time
	version   uint64
	changes   uint64 // calls of update
	delivered uint64 // of them
	wake      chan struct{}
	idle      chan struct{} // closed and replaced at each delivery
}

// dirty is what changed since the last patch.
type dirty struct {
	any      bool
	reset    bool
	fields   map[string]bool            // top-level fields
	entries  map[string]map[string]bool // of top-level maps
	messages []string
	drop     []string
}

func newStore(sink Sink) *store {
	return &store{sink: sink, state: newState(), wake: make(chan struct{}, 1), idle: make(chan struct{})}
}

// run delivers until ctx is done.
func (s *store) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.wake:
		}
		s.deliver()
	}
}

func (s *store) deliver() {
	s.mu.Lock()
	patch, changed := s.takePatch()
	notifications := s.waiting
	s.waiting = nil
	figures := s.figures
	s.figures = nil
	upTo := s.changes
	s.mu.Unlock()

	if changed && s.sink.Patch != nil {
		s.sink.Patch(patch)
	}
	if s.sink.Notification != nil {
		for _, n := range notifications {
			s.sink.Notification(n)
		}
	}
	if figures != nil && s.sink.Figures != nil {
		s.sink.Figures(*figures)
	}

	s.mu.Lock()
	s.delivered = upTo
	close(s.idle)
	s.idle = make(chan struct{})
	s.mu.Unlock()
}

// flush waits until all changes made before it are delivered. An action's
// promise is settled after that, so that its caller finds its effect.
func (s *store) flush(ctx context.Context) {
	s.mu.Lock()
	want := s.changes
	for s.delivered < want {
		idle := s.idle
		s.mu.Unlock()
		select {
		case <-idle:
		case <-ctx.Done():
			return
		}
		s.mu.Lock()
	}
	s.mu.Unlock()
}

// takePatch makes a patch of what is dirty. The caller holds mu.
func (s *store) takePatch() (Patch, bool) {
	d := s.dirty
	s.dirty = dirty{}
	if !d.any {
		return Patch{}, false
	}
	s.version++
	p := Patch{Version: s.version, Reset: d.reset}
	for field := range d.fields {
		if p.Set == nil {
			p.Set = map[string]any{}
		}
		p.Set[field] = s.field(field)
	}
	for field, ids := range d.entries {
		if p.Merge == nil {
			p.Merge = map[string]map[string]any{}
		}
		entries := map[string]any{}
		for id := range ids {
			entries[id] = s.entry(field, id)
		}
		p.Merge[field] = entries
	}
	if len(d.messages) > 0 || len(d.drop) > 0 {
		p.Messages = &MessagesPatch{Drop: d.drop}
		for _, m := range s.state.Messages {
			if slices.Contains(d.messages, m.ID) {
				p.Messages.Set = append(p.Messages.Set, m)
			}
		}
	}
	return p, true
}

// field is the present value of a top-level field, safe to use after mu is released.
func (s *store) field(name string) any {
	st := &s.state
	switch name {
	case fieldRoom:
		room := st.Room
		room.Peers = slices.Clone(room.Peers)
		return room
	case fieldSpeakers:
		return maps.Clone(st.Speakers)
	case fieldQualities:
		return maps.Clone(st.ConnectionQualities)
	case fieldSettings:
		return st.Settings
	case fieldDevices:
		return st.Devices
	case fieldRoles:
		return rolesView(st.Roles)
	case fieldAppData:
		return maps.Clone(st.TemplateAppData)
	case fieldRequests:
		return slices.Clone(st.RoleChangeRequests)
	case fieldPreview:
		return st.Preview
	case fieldMetadata:
		return st.SessionMetadata
	case fieldDebug:
		return st.Debug
	case fieldErrors:
		return slices.Clone(st.Errors)
	}
	panic("client: no such field: " + name)
}

func (s *store) entry(field, id string) any {
	switch field {
	case fieldPeers:
		if p, ok := s.state.Peers[id]; ok {
			return p
		}
	case fieldTracks:
		if t, ok := s.state.Tracks[id]; ok {
			return t
		}
	case fieldPolls:
		if p, ok := s.state.Polls[id]; ok {
			return p
		}
	case fieldWhiteboards:
		if w, ok := s.state.Whiteboards[id]; ok {
			return w
		}
	case fieldShared:
		if v, ok := s.state.SessionStore[id]; ok {
			return v
		}
	}
	return nil
}

// JSON names of the top-level fields.
const (
	fieldRoom      = "room"
	fieldPeers     = "peers"
	fieldTracks    = "tracks"
	fieldSpeakers  = "speakers"
	fieldQualities = "connectionQualities"
	fieldSettings  = "settings"
	fieldDevices   = "devices"
	fieldRoles     = "roles"
	fieldAppData   = "templateAppData"
	fieldRequests  = "roleChangeRequests"
	fieldShared    = "sessionStore"
	fieldPolls     = "polls"
	fieldPreview   = "preview"
	fieldErrors    = "errors"
	fieldMetadata  = "sessionMetadata"
	fieldDebug     = "debug"

	fieldWhiteboards = "whiteboards"
)

// tell delivers what was measured; figures that nobody took meanwhile are lost.
func (s *store) tell(f Figures) {
	s.mu.Lock()
	s.figures = &f
	s.mu.Unlock()
	s.signal()
}

func (s *store) signal() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// snapshot copies the state.
func (s *store) snapshot() State {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state.clone()
}

// read calls fn with the state, which fn must neither keep nor change.
func (s *store) read(fn func(*State)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fn(&s.state)
}

// update changes the state. fn must not block, and must change things only
// through tx.
func (s *store) update(fn func(*tx)) {
	t := &tx{State: &s.state, dirty: &s.dirty, notify: s.notifyLocked}
	s.mu.Lock()
	fn(t)
	s.changes++
	s.mu.Unlock()
	s.signal()
	for _, fn := range t.after {
		fn()
	}
}

func (s *store) notifyLocked(n Notification) {
	if len(s.waiting) >= maxNotifications {
		s.waiting = s.waiting[1:]
		s.dropped++
	}
	s.waiting = append(s.waiting, n)
}

// tx is the state during one update: read it freely, change it by the methods.
type tx struct {
	*State
	dirty  *dirty
	notify func(Notification)
	after  []func()
}

// then runs fn once the update is made, outside of the store's lock.
func (t *tx) then(fn func()) { t.after = append(t.after, fn) }

func (t *tx) markField(name string) {
	if t.dirty.fields == nil {
		t.dirty.fields = map[string]bool{}
	}
	t.dirty.any, t.dirty.fields[name] = true, true
}

func (t *tx) markEntry(field, id string) {
	if t.dirty.entries == nil {
		t.dirty.entries = map[string]map[string]bool{}
	}
	if t.dirty.entries[field] == nil {
		t.dirty.entries[field] = map[string]bool{}
	}
	t.dirty.any, t.dirty.entries[field][id] = true, true
}

func (t *tx) setRoom(fn func(*Room)) {
	fn(&t.Room)
	t.markField(fieldRoom)
}

func (t *tx) setPeer(p Peer) {
	if _, known := t.Peers[p.ID]; !known {
		t.setRoom(func(r *Room) { r.Peers = append(slices.Clone(r.Peers), p.ID) })
	}
	if p.AuxiliaryTracks == nil {
		p.AuxiliaryTracks = []string{}
	}
	t.Peers[p.ID] = p
	t.markEntry(fieldPeers, p.ID)
}

func (t *tx) deletePeer(id string) {
	if _, known := t.Peers[id]; !known {
		return
	}
	delete(t.Peers, id)
	t.markEntry(fieldPeers, id)
	t.setRoom(func(r *Room) {
		r.Peers = slices.DeleteFunc(slices.Clone(r.Peers), func(other string) bool { return other == id })
	})
	if _, ok := t.ConnectionQualities[id]; ok {
		delete(t.ConnectionQualities, id)
		t.markField(fieldQualities)
	}
}

func (t *tx) setTrack(track Track) {
	t.Tracks[track.ID] = track
	t.markEntry(fieldTracks, track.ID)
}

func (t *tx) deleteTrack(id string) {
	if _, ok := t.Tracks[id]; !ok {
		return
	}
	delete(t.Tracks, id)
	t.markEntry(fieldTracks, id)
	if _, ok := t.Speakers[id]; ok {
		delete(t.Speakers, id)
		t.markField(fieldSpeakers)
	}
}

// addMessage appends a message, or replaces the one with the same id.
func (t *tx) addMessage(m Message) {
	t.dirty.any = true
	t.dirty.messages = append(t.dirty.messages, m.ID)
	for i := range t.Messages {
		if t.Messages[i].ID == m.ID {
			t.Messages[i] = m
			return
		}
	}
	if len(t.Messages) >= maxMessages {
		t.dirty.drop = append(t.dirty.drop, t.Messages[0].ID)
		t.Messages = slices.Clone(t.Messages[1:])
	}
	t.Messages = append(t.Messages, m)
}

// fail remembers an error and tells of it.
func (t *tx) fail(e *Error) {
	if len(t.Errors) >= maxErrors {
		t.Errors = slices.Clone(t.Errors[1:])
	}
	t.Errors = append(t.Errors, *e)
	t.markField(fieldErrors)
	t.notify(Notification{Type: NotifyError, Message: e.Message, Severity: severityError, Data: e})
}

// reset forgets the room, but not this machine's devices nor what went wrong.
func (t *tx) reset() {
	keep := *t.State
	*t.State = newState()
	t.Devices, t.Settings, t.Errors, t.ignored = keep.Devices, keep.Settings, keep.Errors, keep.ignored
	*t.dirty = dirty{any: true, reset: true}
	t.markField(fieldSettings)
	t.markField(fieldDevices)
	t.markField(fieldErrors)
}
