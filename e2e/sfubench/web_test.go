package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/pion/webrtc/v4"
)

// TestPublishInLayers: an endpoint gets a sound and each layer of the video, and hears of the end.
func TestPublishInLayers(t *testing.T) {
	seen := newTap(newSendTimes())
	seen.takes = true
	settings, err := seen.settings()
	if err != nil {
		t.Fatal(err)
	}
	var engine webrtc.SettingEngine
	settings(&engine)
	pc, err := webrtc.NewAPI(webrtc.WithSettingEngine(engine)).NewPeerConnection(webrtc.Configuration{})
	if err != nil {
		t.Fatal(err)
	}
	defer pc.GracefulClose()
	came := make(chan string, 16)
	pc.OnTrack(func(track *webrtc.TrackRemote, _ *webrtc.RTPReceiver) {
		if _, _, err := track.ReadRTP(); err == nil {
			came <- track.Kind().String() + track.RID()
		}
	})
	deleted := make(chan bool, 1)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer token" {
			http.Error(w, "who are you?", http.StatusUnauthorized)
			return
		}
		if r.Method == http.MethodDelete {
			deleted <- r.URL.Path == "/whip/1"
			return
		}
		offer, _ := io.ReadAll(r.Body)
		err := pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeOffer, SDP: string(offer)})
		var answer webrtc.SessionDescription
		if err == nil {
			answer, err = pc.CreateAnswer(nil)
		}
		gathered := webrtc.GatheringCompletePromise(pc)
		if err == nil {
			err = pc.SetLocalDescription(answer)
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		<-gathered
		w.Header().Set("Location", "/whip/1")
		w.WriteHeader(http.StatusCreated)
		_, _ = io.WriteString(w, pc.LocalDescription().SDP)
	}))
	defer server.Close()

	if _, err := publish(t.Context(), endpoint{url: server.URL + "/whip"}, newTap(newSendTimes()), layer{rate: clipRate}); err == nil || !strings.Contains(err.Error(), "who are you?") {
		t.Errorf("a refusal became %v", err)
	}
	w, err := publish(t.Context(), endpoint{server.URL + "/whip", "token"}, newTap(newSendTimes()), layersOf720p...)
	if err != nil {
		t.Fatal(err)
	}
	missing := map[string]bool{"audio": true, "videoq": true, "videoh": true, "videof": true}
	for timeout := time.After(20 * time.Second); len(missing) > 0; {
		select {
		case name := <-came:
			delete(missing, name)
		case <-timeout:
			t.Fatalf("never came: %v", missing)
		}
	}
	w.close()
	if !<-deleted {
		t.Error("another session was deleted")
	}
}
