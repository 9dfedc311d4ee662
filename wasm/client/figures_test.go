//go:build !js

package client

import (
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"testing"
	"time"

	"amphi/server/protocol"
	"amphi/wasm/rtc"
)

func figuresState() *State {
	st := newState()
	st.Room.LocalPeer = "me"
	st.Peers["me"] = Peer{ID: "me", Name: "Ann", VideoTrack: "v"}
	st.Peers["bo"] = Peer{ID: "bo", Name: "Bo"}
	st.Tracks["v"] = Track{ID: "v", Type: rtc.Video, Source: "regular", PeerID: "me", Enabled: true}
	st.Tracks["a"] = Track{ID: "a", Type: rtc.Audio, Source: "regular", PeerID: "bo", Enabled: true}
	return &st
}

// reports is what both connections measured at a second.
func reports(second float64) (publish, subscribe []rtc.Stat) {
	at := second * 1000
	publish = []rtc.Stat{
		{"type": "transport", "id": "T", "selectedCandidatePairId": "P"},
		{"type": "candidate-pair", "id": "P", "timestamp": at, "localCandidateId": "L"},
		{"type": "local-candidate", "id": "L", "candidateType": "host"},
		{"type": "codec", "id": "C", "mimeType": "video/VP8"},
		{"type": "outbound-rtp", "id": "O", "kind": "video", "timestamp": at, "trackIdentifier": "v", "rid": "f", "ssrc": 7.0,
			"bytesSent": second * 1000, "packetsSent": second * 10, "framesPerSecond": 30.0, "codecId": "C"},
		{"type": "remote-inbound-rtp", "id": "R", "localId": "O", "packetsLost": second, "roundTripTime": 0.02, "jitter": 0.001},
		{"type": "outbound-rtp", "id": "X", "trackIdentifier": "unknown"},
	}
	subscribe = []rtc.Stat{
		{"type": "candidate-pair", "id": "P", "selected": true, "timestamp": at, "bytesReceived": second * 500},
		{"type": "inbound-rtp", "id": "I", "kind": "audio", "timestamp": at, "trackIdentifier": "a", "ssrc": 8.0,
			"bytesReceived": second * 250, "packetsReceived": second * 50, "packetsLost": second * 2, "jitter": 0.003, "concealedSamples": second * 480},
	}
	return publish, subscribe
}

func TestFigures(t *testing.T) {
	st := figuresState()
	var f Figures
	for second := 1.0; second <= 2; second++ {
		publish, subscribe := reports(second)
		f = figuresOf(st, publish, subscribe, f)
	}
	if len(f.LocalTracks) != 1 || len(f.LocalTracks["v"]) != 1 || len(f.RemoteTracks) != 1 {
		t.Fatalf("%+v", f)
	}
	sent, got, peer := f.LocalTracks["v"][0], f.RemoteTracks["a"], f.Peers["me"]
	for what, check := range map[string]bool{
		"bitrate sent":       sent["bitrate"] == 8000.0,
		"codec":              sent["codec"] == "VP8" && sent["peerName"] == "Ann",
		"what came back":     sent["packetsLost"] == 2.0 && sent["roundTripTime"] == 0.02,
		"bitrate received":   got["bitrate"] == 2000.0 && got["packetsLostRate"] == 2.0,
		"bitrate published":  peer.Publish["bitrate"] == 8000.0,
		"bitrate subscribed": peer.Subscribe["bitrate"] == 4000.0,
		"loss and jitter":    peer.Subscribe["packetsLost"] == 4.0 && peer.Subscribe["jitter"] == 0.003,
		"local candidate":    peer.Publish["localCandidate"] != nil,
	} {
		if !check {
			t.Errorf("%s: %v %v %+v", what, sent, got, peer)
		}
	}
}

func TestReport(t *testing.T) {
	st := figuresState()
	sent := newReport(protocol.ReportPublisherStats, statsConfig{Window: 3, Push: 6})
	received := newReport(protocol.ReportSubscriberStats, statsConfig{Window: 3, Push: 60})
	var f Figures
	now := time.UnixMilli(1_700_000_000_000)
	for second := 1; second <= 6; second++ {
		publish, subscribe := reports(float64(second))
		f = figuresOf(st, publish, subscribe, f)
		sent.add(st.Tracks["v"], f.LocalTracks["v"][0])
		received.add(st.Tracks["a"], f.RemoteTracks["a"])
		if due := sent.tick(now); due != (second == 6) || received.tick(now) {
			t.Errorf("second %d: due %v", second, due)
		}
	}
	type form struct {
		Sequence int `json:"sequence_num"`
		Audio    []struct{ Samples []map[string]float64 }
		Video    []struct {
			ID      string `json:"track_id"`
			RID     string
			Samples []struct {
				Bitrate float64 `json:"avg_bitrate_bps"`
				FPS     float64 `json:"avg_fps"`
				RTT     float64 `json:"avg_round_trip_time_ms"`
				Lost    float64 `json:"total_packets_lost"`
				Sent    float64 `json:"total_packets_sent"`
			}
		}
	}
	read := func(r *report) (f form) {
		text, err := json.Marshal(r.take(now, 1))
		if err == nil {
			err = json.Unmarshal(text, &f)
		}
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	got := read(sent)
	if len(got.Video) != 1 || got.Video[0].RID != "f" || len(got.Video[0].Samples) != 2 {
		t.Fatalf("sent %+v", got)
	}
	if s := got.Video[0].Samples[1]; s.Bitrate != 8000 || s.FPS != 30 || s.RTT != 20 || s.Lost != 6 || s.Sent != 60 {
		t.Errorf("second sample %+v", s)
	}
	heard := read(received)
	if len(heard.Audio) != 1 || len(heard.Audio[0].Samples) != 2 {
		t.Fatalf("received %+v", heard)
	}
	// Of what is received, a sample has what came in its own time.
	if s := heard.Audio[0].Samples[1]; s["total_packets_received"] != 100 || s["total_packets_lost"] != 4 || s["audio_concealed_samples"] != 960 {
		t.Errorf("second sample %+v", s)
	}
	if sent.take(now, 1) != nil {
		t.Error("a report of nothing")
	}
}

// A report says the same when only what it is made of was read, and it has all that the protocol knows.
func TestReported(t *testing.T) {
	measured := func(kind string, second float64) rtc.Stat {
		s := rtc.Stat{"type": "inbound-rtp", "id": kind, "kind": kind, "timestamp": second * 1000, "trackIdentifier": kind, "ssrc": 1.0}
		for i, counter := range []string{
			"bytesReceived", "bytesSent", "packetsReceived", "packetsSent", "packetsLost", "pliCount", "nackCount", "framesReceived", "framesDecoded",
			"framesDropped", "freezeCount", "totalFreezesDuration", "concealedSamples", "totalSamplesReceived", "concealmentEvents",
			"totalDecodeTime", "jitterBufferDelay",
		} {
			s[counter] = second * float64(i+1)
		}
		for i, gauge := range []string{"jitter", "roundTripTime", "framesPerSecond", "frameWidth", "frameHeight"} {
			s[gauge] = float64(i+1) / second
		}
		return s
	}
	read := func(only []string) (samples []map[string]any) {
		for _, name := range []string{protocol.ReportPublisherStats, protocol.ReportSubscriberStats} {
			for _, kind := range []string{"audio", "video"} {
				st := figuresState()
				st.Tracks[kind] = Track{ID: kind, Type: rtc.Kind(kind), PeerID: "bo"}
				r := newReport(name, statsConfig{Window: 3})
				var f Figures
				for second := 1.0; second <= 3; second++ {
					s := measured(kind, second)
					maps.DeleteFunc(s, func(name string, _ any) bool { return only != nil && !slices.Contains(only, name) })
					f = figuresOf(st, nil, []rtc.Stat{s}, f)
					r.add(st.Tracks[kind], f.RemoteTracks[kind])
				}
				r.tick(time.UnixMilli(0))
				samples = append(samples, r.tracks[kind+" "].Samples...)
			}
		}
		return samples
	}
	all, some := read(nil), read(reported)
	if !reflect.DeepEqual(all, some) {
		t.Errorf("of everything: %v\nof what is reported: %v", all, some)
	}
	var keys []int
	for _, sample := range all {
		keys = append(keys, len(sample))
	}
	if !slices.Equal(keys, []int{12, 12, 11, 15}) {
		t.Errorf("samples have %v values: %v", keys, all)
	}
}

// What was measured until the end is sent before the farewell.
func TestReportsAreSentAtTheEnd(t *testing.T) {
	t.Parallel()
	s := newTestServer(t, "host")
	s.flags = []string{"publishStats", "subscribeStats"}
	p := newParticipant(t, clips())
	figures := make(chan Figures, 64)
	p.store.sink.Figures = func(f Figures) {
		select {
		case figures <- f:
		default:
		}
	}
	p.timing.measureEvery = 10 * time.Millisecond
	p.WatchFigures()
	p.join(s)
	if f := receive(t, "figures", figures); f.LocalPeer.ID != p.State().LocalPeer().ID {
		t.Errorf("figures of %+v", f.LocalPeer)
	}
	if err := p.Leave(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.wait(protocol.MethodLeave, nil)
}

// What came steadily and stops is noticed, once; what comes now and then is not steady.
func TestFlow(t *testing.T) {
	var f flow
	var stopped []int
	for i, bytes := range []float64{1, 2, 2, 2, 3, 4, 5, 5, 6, 7, 8, 9, 9, 9, 9, 10, 11, 12, 0, 0, 0, -1, -1, 0} {
		pair := rtc.Stat{"bytesReceived": bytes}
		if bytes < 0 {
			pair = nil
		}
		if f.stops(pair) {
			stopped = append(stopped, i)
		}
	}
	if !slices.Equal(stopped, []int{13, 20}) {
		t.Errorf("stops at %v", stopped)
	}
}
