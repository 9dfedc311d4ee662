package room

import (
	"context"
	"encoding/json"
	"slices"
	"testing"

	"amphi/server/policy"
	"amphi/server/protocol"
)

// failingRecorder accepts what is asked for, and fails.
type failingRecorder struct{}

func (failingRecorder) StartRTMP(_ context.Context, r *Room, req protocol.RTMPStart, by string) error {
	failed := protocol.RunState{State: protocol.StateFailed, Error: protocol.Errorf(503, "for %s", by)}
	r.SetRTMP(protocol.RunState{Enabled: true, State: protocol.StateStarted, StartedAt: 1})
	if req.Record {
		r.SetRecording(protocol.RecordBrowser, failed)
	}
	r.SetRTMP(failed)
	return nil
}

func (failingRecorder) StopRTMP(context.Context, *Room, string) error {
	return protocol.Errorf(protocol.CodeNotFound, "nothing runs")
}

func TestRecorder(t *testing.T) {
	t.Parallel()
	h := newHouse(t, Limits{})
	h.record.Template.Roles[policy.RoleBroadcaster].Permissions.BrowserRecording = false
	ann, annIn := h.join("ann", policy.RoleBroadcaster)
	bob, bobIn := h.join("bob", policy.RoleHLSViewer)
	ctx, urls := t.Context(), []string{"rtmp://a.example/live/key"}
	wantCode(t, ann.StartRTMP(ctx, protocol.RTMPStart{RTMPURLs: urls}), protocol.CodeUnavailable)
	h.cfg.Recorder = failingRecorder{}
	annIn.take()
	wantCode(t, ann.StartRTMP(ctx, protocol.RTMPStart{}), protocol.CodeBadRequest)
	wantCode(t, ann.StartRTMP(ctx, protocol.RTMPStart{RTMPURLs: urls, Record: true}), protocol.CodeForbidden)
	wantCode(t, bob.StartRTMP(ctx, protocol.RTMPStart{RTMPURLs: urls}), protocol.CodeForbidden)
	wantCode(t, bob.StopRTMP(ctx, struct{}{}), protocol.CodeForbidden)
	wantCode(t, ann.StopRTMP(ctx, struct{}{}), protocol.CodeNotFound)
	if err := ann.StartRTMP(ctx, protocol.RTMPStart{RTMPURLs: urls}); err != nil {
		t.Fatal(err)
	}
	frames := bobIn.take()
	if len(frames) != 2 || frames[0].Method != protocol.OnRTMPUpdate || string(frames[1].Params) != `{"enabled":false,"state":"failed","error":{"code":503,"message":"for ann"}}` {
		t.Errorf("%+v", frames)
	}
	h.Lookup("r1").SetRecording(protocol.RecordHLS, protocol.RunState{Enabled: true, State: protocol.StateStarted, StartedAt: 2})
	if got := one[protocol.RecordUpdate](t, bobIn, protocol.OnRecordUpdate); got.Type != "HLS" || got.State != "started" {
		t.Errorf("%+v", got)
	}
	// Who joins late finds it in the list.
	_, late, err := h.connect("bob", policy.RoleHLSViewer)
	if err != nil {
		t.Fatal(err)
	}
	if got := one[protocol.PeerList](t, late, protocol.OnPeerList); got.Room.Recording.HLS.StartedAt != 2 || got.Room.Streaming.RTMP.State != "failed" {
		t.Errorf("%+v", got.Room)
	}
}

// board is a store of whiteboards.
type board struct{ given []WhiteboardAccess }

func (b *board) Access(a WhiteboardAccess) (addr, token string, err error) {
	b.given = append(b.given, a)
	return "board.example", "t", nil
}

func TestWhiteboard(t *testing.T) {
	t.Parallel()
	h := newHouse(t, Limits{})
	var plugins map[string]any
	if err := json.Unmarshal([]byte(`{"whiteboard":{"permissions":{"admin":["broadcaster"],"writer":["broadcaster"],"reader":["viewer-realtime",7]}},
		"transcriptions":{"mode":"caption","permissions":{"admin":["broadcaster"]}}}`), &plugins); err != nil {
		t.Fatal(err)
	}
	h.record.Template.Plugins = plugins
	ann, annIn, err := h.connect("ann", policy.RoleBroadcaster)
	if err != nil {
		t.Fatal(err)
	}
	var sent struct {
		Plugins struct {
			Whiteboard     json.RawMessage
			Transcriptions []struct{ Mode string }
		}
	}
	if f := annIn.take()[0]; json.Unmarshal(f.Params, &sent) != nil || sent.Plugins.Transcriptions[0].Mode != "caption" || sent.Plugins.Whiteboard == nil {
		t.Errorf("policy %s", f.Params)
	}
	ctx := t.Context()
	if _, err := ann.Join(ctx, protocol.Join{}); err != nil {
		t.Fatal(err)
	}
	bob, bobIn := h.join("bob", policy.RoleViewerRealtime)
	cat, catIn := h.join("cat", policy.RoleHLSViewer)
	_, err = ann.CreateWhiteboard(ctx, protocol.WhiteboardCreate{})
	wantCode(t, err, protocol.CodeForbidden)
	_, err = ann.Whiteboard(ctx, protocol.WhiteboardRef{})
	wantCode(t, err, protocol.CodeForbidden)

	store := &board{}
	h.cfg.Whiteboard = store
	_, err = bob.CreateWhiteboard(ctx, protocol.WhiteboardCreate{})
	wantCode(t, err, protocol.CodeForbidden)
	_, err = ann.CreateWhiteboard(ctx, protocol.WhiteboardCreate{Reader: []string{"king"}})
	wantCode(t, err, protocol.CodeBadRequest)
	_, err = ann.CreateWhiteboard(ctx, protocol.WhiteboardCreate{Title: string(make([]byte, maxBoardTitle+1))})
	wantCode(t, err, protocol.CodeTooLarge)
	ref, err := ann.CreateWhiteboard(ctx, protocol.WhiteboardCreate{Title: "W"})
	if err != nil || ref.ID == "" || ref.Owner != "u-ann" {
		t.Fatalf("%+v %v", ref, err)
	}
	if got := one[protocol.WhiteboardUpdate](t, bobIn, protocol.OnWhiteboardUpdate); got != (protocol.WhiteboardUpdate{ID: ref.ID, Title: "W", Owner: "u-ann", State: "open"}) {
		t.Errorf("%+v", got)
	}
	catIn.take()
	for p, want := range map[*Peer][]string{ann: {"write", "admin"}, bob: {"read"}, cat: {}} {
		w, err := p.Whiteboard(ctx, protocol.WhiteboardRef{ID: ref.ID})
		if err != nil || !slices.Equal(w.Permissions, want) || (w.Token == "") != (len(want) == 0) || w.Owner != "u-ann" {
			t.Errorf("%s: %+v %v", p.ID, w, err)
		}
	}
	_, err = cat.Whiteboard(ctx, protocol.WhiteboardRef{ID: "other"})
	wantCode(t, err, protocol.CodeNotFound)
	if len(store.given) != 2 {
		t.Errorf("%+v", store.given)
	}
	if _, _, err = h.connect("dan", policy.RoleHLSViewer); err != nil {
		t.Fatal(err)
	}
	if err := ann.Leave(ctx); err != nil {
		t.Fatal(err)
	}
	if got := one[protocol.WhiteboardUpdate](t, catIn, protocol.OnWhiteboardUpdate); got.State == protocol.WhiteboardOpen {
		t.Errorf("%+v", got)
	}
}

// Previews are told what goes on, as the settings say.
func TestRoomStateInPreview(t *testing.T) {
	t.Parallel()
	h := newHouse(t, Limits{})
	h.record.Template.Roles[policy.RoleHLSViewer].Permissions.SendRoomState = true
	h.record.Template.Settings.RoomState = &policy.RoomState{Enabled: true, SendPeerList: true, MessageInterval: 1}
	h.join("ann", policy.RoleBroadcaster)
	bob, bobIn, err := h.connect("bob", policy.RoleHLSViewer)
	if err != nil {
		t.Fatal(err)
	}
	_, quiet, err := h.connect("cat", policy.RoleBroadcaster)
	if err != nil {
		t.Fatal(err)
	}
	var got protocol.RoomStateEvent
	for i := range 2 { // at once, and after a while
		eventually(t, "room-state", func() bool {
			for _, f := range bobIn.take() {
				if f.Method == protocol.OnRoomState {
					return json.Unmarshal(f.Params, &got) == nil
				}
			}
			return false
		})
		if got.PeerCount != 1 || got.Peers["ann"].Info.Name != "name of ann" || got.Room.SessionID != "s1" {
			t.Errorf("%d: %+v", i, got)
		}
	}
	if _, err := bob.Join(t.Context(), protocol.Join{}); err != nil {
		t.Fatal(err)
	}
	if methods := quiet.methods(); slices.Contains(methods, protocol.OnRoomState) {
		t.Errorf("got %v", methods)
	}
}
