//go:build !js

package client

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"amphi/server/policy"
	"amphi/server/protocol"
	"amphi/wasm/rtc"
)

func TestAddTrack(t *testing.T) {
	t.Parallel()
	s := newTestServer(t, "host")
	capture := clips()
	p := newParticipant(t, capture)
	p.join(s)
	ctx := context.Background()
	track := capture.Camera(rtc.NewStream(), rtc.VideoConstraints{})
	if err := p.AddTrack(ctx, track, "videoplaylist"); err != nil {
		t.Fatal(err)
	}
	offer := s.wait(protocol.MethodOffer, func(f protocol.Frame) bool { return len(tracksOf(t, f)) == 3 })
	if tracksOf(t, offer)[track.ID].Source != "videoplaylist" {
		t.Errorf("offer %s", offer.Params)
	}
	if aux := p.State().LocalPeer().AuxiliaryTracks; len(aux) != 1 || aux[0] != track.ID {
		t.Errorf("peer %+v", p.State().LocalPeer())
	}
	if err := p.AddTrack(ctx, track, "videoplaylist"); code(err) != codeValidationFailed {
		t.Errorf("the same track twice: %v", err)
	}
	if err := p.RemoveTrack(ctx, p.State().LocalPeer().VideoTrack); code(err) != codeValidationFailed {
		t.Errorf("the camera removed: %v", err)
	}
	if err := p.RemoveTrack(ctx, track.ID); err != nil {
		t.Fatal(err)
	}
	if err := p.RemoveTrack(ctx, track.ID); code(err) != codeNothingToReturn {
		t.Errorf("removed twice: %v", err)
	}
	if st := p.State(); len(st.LocalPeer().AuxiliaryTracks) != 0 || len(st.Tracks) != 2 {
		t.Errorf("peer %+v", st.LocalPeer())
	}

	// A role that publishes nothing takes it away, and lets no other in.
	again := capture.Camera(rtc.NewStream(), rtc.VideoConstraints{})
	if err := p.AddTrack(ctx, again, "regular"); err != nil {
		t.Fatal(err)
	}
	s.setRole("viewer")
	p.until("no tracks", func(st State) bool { return len(st.Tracks) == 0 })
	if err := p.AddTrack(ctx, capture.Camera(rtc.NewStream(), rtc.VideoConstraints{}), "regular"); code(err) != codeValidationFailed {
		t.Errorf("a viewer published: %v", err)
	}
}

// Who is asked to the stage looks into the mirror first; what was previewed is what is published.
func TestPreviewRole(t *testing.T) {
	t.Parallel()
	s := newTestServer(t, "gallery")
	p := newParticipant(t, clips())
	p.join(s)
	ctx := context.Background()
	if err := p.PreviewRole(ctx, "nobody", InitialSettings{}); code(err) != codeInvalidRole {
		t.Errorf("an unknown role: %v", err)
	}
	yes := true
	preview := func() PreviewState {
		t.Helper()
		if err := p.PreviewRole(ctx, "host", InitialSettings{IsAudioMuted: &yes}); err != nil {
			t.Fatal(err)
		}
		st := p.State()
		if st.Preview == nil || st.Preview.AsRole != "host" || st.Preview.VideoTrack == "" {
			t.Fatalf("preview %+v", st.Preview)
		}
		if video := st.Tracks[st.Preview.VideoTrack]; !video.Enabled || video.IsPublished {
			t.Errorf("video %+v", video)
		}
		return *st.Preview
	}
	preview()
	if err := p.CancelPreview(ctx); err != nil {
		t.Fatal(err)
	}
	if st := p.State(); st.Preview != nil || len(st.Tracks) != 0 {
		t.Errorf("after cancelling: %+v, %d tracks", st.Preview, len(st.Tracks))
	}
	seen := preview()
	s.setRole("host")
	offer := s.wait(protocol.MethodOffer, func(f protocol.Frame) bool { return len(tracksOf(t, f)) == 2 })
	tracks := tracksOf(t, offer)
	if tracks[seen.VideoTrack].TrackID == "" || !tracks[seen.AudioTrack].Mute {
		t.Errorf("published %+v, previewed %+v", tracks, seen)
	}
	p.until("no preview", func(st State) bool { return st.Preview == nil })
}

func TestIgnoredMessages(t *testing.T) {
	t.Parallel()
	s := newTestServer(t, "gallery")
	p := newParticipant(t, nil)
	p.join(s)
	p.IgnoreMessages([]string{"EMOJI"}, false)
	if _, err := p.Send(context.Background(), "x", "EMOJI", nil, ""); err != nil {
		t.Fatal(err)
	}
	s.notify(protocol.OnBroadcast, protocol.BroadcastEvent{MessageID: "1", Info: protocol.Message{Message: "y", Type: "EMOJI"}})
	s.notify(protocol.OnBroadcast, protocol.BroadcastEvent{MessageID: "2", Info: protocol.Message{Message: "z", Type: "chat"}})
	p.until("a message", func(st State) bool { return len(st.Messages) > 0 })
	if st := p.State(); len(st.Messages) != 1 || st.Messages[0].ID != "2" {
		t.Errorf("kept %+v", st.Messages)
	}
}

func TestFeedback(t *testing.T) {
	t.Parallel()
	s := newTestServer(t, "gallery")
	p := newParticipant(t, nil)
	ctx := context.Background()
	if err := p.SubmitFeedback(ctx, Feedback{Rating: 5}, ""); code(err) != codeNotReady {
		t.Errorf("before any call: %v", err)
	}
	p.join(s)
	if err := p.Leave(ctx); err != nil {
		t.Fatal(err)
	}
	got := make(chan string, 1)
	s.http.Config.Handler.(*http.ServeMux).HandleFunc("POST /v2/client/feedback", func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got <- r.Header.Get("Authorization") + string(body)
	})
	if err := p.SubmitFeedback(ctx, Feedback{Rating: 4, Comment: "fine"}, ""); err != nil {
		t.Fatal(err)
	}
	text := receive(t, "feedback", got)
	_, text, _ = strings.Cut(text, "{")
	var body struct {
		Peer    struct{ Role string }
		Payload Feedback
	}
	if err := json.Unmarshal([]byte("{"+text), &body); err != nil || body.Peer.Role != "gallery" || body.Payload.Comment != "fine" {
		t.Errorf("sent %s: %v", text, err)
	}
}

// A role that sees nobody takes the tracks away; one that does brings back what is known of them.
func TestHideUnseen(t *testing.T) {
	store := newStore(Sink{})
	r := newReducer("me")
	store.update(func(t *tx) {
		t.setPeer(Peer{ID: "me", RoleName: "viewer", IsLocal: true})
		t.setPeer(Peer{ID: "bo", RoleName: "host"})
		r.register(t, "bo", map[string]protocol.Track{"v": {TrackID: "v", Kind: protocol.Video}})
		r.mediaAdded(t, &rtc.RemoteTrack{ID: "v", Kind: rtc.Video})
	})
	policyOf := func(role string) protocol.PolicyChange[policy.Role] {
		return protocol.PolicyChange[policy.Role]{Name: role, KnownRoles: testRoles()}
	}
	seen := func() bool {
		return store.snapshot().Tracks["v"].ID != "" && store.snapshot().Peers["bo"].VideoTrack == "v"
	}
	if !seen() {
		t.Fatal("no track to begin with")
	}
	store.update(func(t *tx) { r.policy(t, policyOf("gallery")) })
	if seen() || store.snapshot().Peers["bo"].VideoTrack != "" {
		t.Errorf("the gallery sees %+v", store.snapshot().Peers["bo"])
	}
	store.update(func(t *tx) {
		r.policy(t, policyOf("viewer"))
		r.mediaAdded(t, &rtc.RemoteTrack{ID: "v", Kind: rtc.Video})
	})
	if !seen() {
		t.Error("the track does not come back")
	}
}
