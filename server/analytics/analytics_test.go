package analytics

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"go.uber.org/goleak"

	"amphi/server/protocol"
	"amphi/server/room"
	"amphi/server/store"
	"amphi/server/store/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var start = time.Date(2024, 1, 24, 8, 14, 0, 101_999_999, time.UTC)

// house is a collector with its store, and somebody in a room.
type house struct {
	*Collector
	t    *testing.T
	seed store.Seeded
	info room.Info
	ada  room.Stay
}

func newHouse(t *testing.T) *house {
	t.Helper()
	s, err := store.Open(t.Context(), storetest.SQLite(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	n := 0
	seed, err := s.Seed(t.Context(), func() string { n++; return fmt.Sprint(n) })
	if err != nil {
		t.Fatal(err)
	}
	c := New(Config{Store: s, Keep: 100 * 365 * 24 * time.Hour, Most: 1000, Log: slog.New(slog.DiscardHandler)})
	t.Cleanup(c.Close)
	return &house{Collector: c, t: t, seed: seed,
		info: room.Info{RoomID: seed.Room.ID, Name: "lab", CustomerID: seed.Workspace.ID, TemplateID: "T", SessionID: "S"},
		ada: room.Stay{PeerID: "p1", UserID: "u1", Name: "Ada", Role: "broadcaster", Joined: start,
			Agent: "os:web_Linux,os_version:6,sdk:web,sdk_version:0.13,device_model:Chrome_1,env:prod,domain:CUSTOM,is_prebuilt:true,framework:react,framework_version:18,framework_sdk_version:0.11"}}
}

// events closes the collector and returns what it wrote, the oldest first.
func (h *house) events() []store.AnalyticsEvent {
	h.t.Helper()
	h.Close()
	events, _, err := h.cfg.Store.AnalyticsEvents(h.t.Context(), h.seed.Workspace.ID, store.AnalyticsFilter{RoomID: h.seed.Room.ID, Newest: 1 << 40}, 0, 100)
	if err != nil {
		h.t.Fatal(err)
	}
	for i := range len(events) / 2 {
		events[i], events[len(events)-1-i] = events[len(events)-1-i], events[i]
	}
	return events
}

func (h *house) report(name, info string) {
	h.Reported(h.info, h.ada, protocol.Analytics{Name: name, Info: json.RawMessage(info)})
}

func TestEvents(t *testing.T) {
	h := newHouse(t)
	track := protocol.Track{TrackID: "tr", StreamID: "st", Kind: protocol.Video, Source: "regular", Description: "x"}
	for _, of := range []room.TrackAct{room.TrackAdded, room.TrackUpdated, room.TrackRemoved} {
		track.Mute = of == room.TrackUpdated
		h.TrackChanged(h.info, h.ada, room.TrackChange{Of: of, At: start.Add(2 * time.Second), Track: track, Started: start.Add(time.Second)})
	}
	h.report("publish.failed", `{"error_name":"DeviceInUse","error_code":3003,"error_message":"busy","error_description":"d","action":"PUBLISH","is_terminal":false,"domain":"CUSTOM",
		"audio":{"codec":"opus"},"video":null,"devices":{"audioInput":[]},"timestamp":1}`)
	h.report("disconnected", `{"error_name":"WebSocketConnectionLost","error_code":1003.5,"is_terminal":true,"action":"RECONNECT_SIGNAL","error_message":"`+strings.Repeat("ä", 500)+`"}`)
	h.report("disconnected", `{}`)          // as it should be
	h.report("perf.stats", `{}`)            // not kept
	h.report("join.failed", `[]`)           // refused
	h.report("subscribe.failed", `nothing`) // refused
	h.report("connect.failed", `{"devices":{"x":"`+strings.Repeat("x", maxPartBytes)+`"}}`)

	const tr = `{"room_id":"ROOM","session_id":"S","room_name":"lab","peer_id":"p1","user_id":"u1","user_name":"Ada","joined_at":"2024-01-24T08:14:00.101Z","role":"broadcaster","track_id":"tr","stream_id":"st","type":"video","source":"regular","mute":%t,"started_at":"2024-01-24T08:14:01.101Z"%s}`
	const who = `{"user_id":"u1","user_name":"Ada","peer_id":"p1","account_id":"WORKSPACE","room_id":"ROOM","session_id":"S","room_name":"lab","template_id":"T","role":"broadcaster",`
	const agent = `"agent":{"sdk":"web","sdk_version":"0.13","os":"web_Linux","os_version":"6","device_model":"Chrome_1","domain":"CUSTOM","framework":"react","framework_version":"18","framework_sdk_version":"0.11","is_prebuilt":true,` +
		`"string":"os:web_Linux,os_version:6,sdk:web,sdk_version:0.13,device_model:Chrome_1,env:prod,domain:CUSTOM,is_prebuilt:true,framework:react,framework_version:18,framework_sdk_version:0.11"}`
	want := []string{
		"track.add.success false " + fmt.Sprintf(tr, false, ""),
		"track.update.success false " + fmt.Sprintf(tr, true, ""),
		"track.remove.success false " + fmt.Sprintf(tr, false, `,"stopped_at":"2024-01-24T08:14:02.101Z"`),
		"client.publish.failed true " + who + `"error_code":3003,"error_name":"DeviceInUse","error_message":"busy","error_description":"d","domain":"CUSTOM","is_terminal":false,"action":"PUBLISH",` + agent + `,"audio":{"codec":"opus"},"devices":{"audioInput":[]}}`,
		"client.disconnected true " + who + `"error_code":1003,"error_name":"WebSocketConnectionLost","error_message":"` + strings.Repeat("ä", 256) + `","error_description":"","domain":"","is_terminal":true,"action":"RECONNECT_SIGNAL",` + agent + `}`,
		"client.connect.failed true " + who + `"error_code":0,"error_name":"","error_message":"","error_description":"","domain":"","is_terminal":false,"action":"",` + agent + `}`,
	}
	events := h.events()
	for i := range max(len(events), len(want)) {
		var got string
		if i < len(events) {
			e := events[i]
			text := strings.NewReplacer(h.seed.Room.ID, "ROOM", h.seed.Workspace.ID, "WORKSPACE").Replace(string(e.Data))
			got = fmt.Sprint(e.Type, " ", e.Error, " ", text)
			if e.SessionID != "S" || e.PeerID != "p1" || e.UserID != "u1" || e.ID == "" {
				t.Errorf("%+v", e)
			}
		}
		if i >= len(want) || got != want[i] {
			t.Errorf("got  %s\nwant %s", got, append(want, "nothing")[min(i, len(want))])
		}
	}
	if s := h.Stats(); s.Written != 6 || s.Refused != 2 || s.Dropped != 0 || s.Waiting != 0 {
		t.Errorf("%+v", s)
	}
}

func TestPeerStats(t *testing.T) {
	h := newHouse(t)
	h.report("publisher.stats", `{"sequence_num":1,"max_window_sec":30,"joined_at":1,"audio":[{"track_id":"a","ssrc":"1","source":"regular","samples":[
		{"timestamp":1000,"avg_bitrate_bps":32000,"avg_round_trip_time_ms":20,"avg_jitter_ms":3,"total_packets_lost":10,"total_packets_sent":1000}]}],
		"video":[{"track_id":"v","rid":"f","ssrc":"2","source":"screen","samples":[{"timestamp":1000,"avg_fps":30,"avg_bitrate_bps":1500000}]},{"track_id":"w","source":"regular","samples":[]}]}`)
	h.report("publisher.stats", `{"audio":[{"track_id":"a","samples":[{"timestamp":2000,"total_packets_lost":60,"total_packets_sent":1500},{"timestamp":3000,"total_packets_lost":50,"total_packets_sent":1400}]}],"video":[{"track_id":"p","source":"regular","samples":[{"timestamp":1.5}]}]}`)
	h.report("subscriber.stats", `{"audio":[{"track_id":"ra","samples":[{"timestamp":1000,"audio_concealed_samples":480,"total_packets_lost":1,"total_packets_received":99}]}],
		"video":[{"track_id":"rv","source":"regular","samples":[{"timestamp":1000,"avg_frames_decoded_per_sec":24.5,"freeze_count":2,"avg_bitrate_bps":900000}]}]}`)
	h.report("publisher.stats", `{"audio":[],"video":[]}`)
	h.report("publisher.stats", `{"audio":[{"track_id":"","samples":[{}]}]}`) // refused
	h.Close()
	reports, err := h.cfg.Store.PeerReports(t.Context(), "S", "p1")
	if err != nil || len(reports) != 3 {
		t.Fatalf("%d reports, %v", len(reports), err)
	}
	stats, err := Summarize(reports)
	got, _ := json.Marshal(stats)
	want := `{"publisher":{"video":[{"track_id":"v","type":"screen","rid":"h","time_series":{"timestamps":[1000],"bitrate":[1500000],"fps":[30],"packet_loss_percent":[0],"rtt_ms":[0]}},` +
		`{"track_id":"p","type":"regular","rid":null,"time_series":{"timestamps":[1],"bitrate":[0],"fps":[0],"packet_loss_percent":[0],"rtt_ms":[0]}}],` +
		`"audio":[{"track_id":"a","time_series":{"timestamps":[1000,2000,3000],"bitrate":[32000,0,0],"packet_loss_percent":[1,10,0],"rtt_ms":[20,0,0],"jitter_ms":[3,0,0]}}]},` +
		`"subscriber":{"video":[{"track_id":"rv","type":"regular","time_series":{"timestamps":[1000],"bitrate":[900000],"fps":[24.5],"freeze_count":[2]}}],` +
		`"audio":[{"track_id":"ra","time_series":{"timestamps":[1000],"bitrate":[null],"concealed_samples":[480],"packet_loss_percent":[1]}}]}}`
	if err != nil || string(got) != want {
		t.Errorf("got  %s\nwant %s\n%v", got, want, err)
	}
	if s := h.Stats(); s.Written != 3 || s.Refused != 1 {
		t.Errorf("%+v", s)
	}
	none, err := Summarize(nil)
	if got, _ := json.Marshal(none); err != nil || string(got) != `{"publisher":{"video":[],"audio":[]},"subscriber":{"video":[],"audio":[]}}` {
		t.Errorf("%s %v", got, err)
	}
}

// TestFullQueue: the room does not wait, whatever the database does.
func TestFullQueue(t *testing.T) {
	h := newHouse(t)
	h.Close() // nobody writes any more
	h.TrackChanged(h.info, h.ada, room.TrackChange{})
	if s := h.Stats(); s.Dropped != 1 {
		t.Errorf("after the close: %+v", s)
	}
	c := &Collector{cfg: h.cfg, queue: make(chan row, 3)}
	for range 10 {
		c.TrackChanged(h.info, h.ada, room.TrackChange{})
	}
	if s := c.Stats(); s.Waiting != 3 || s.Dropped != 7 {
		t.Errorf("%+v", s)
	}
}

// FuzzReports: whatever a client sends is refused, or kept in bounds and readable.
func FuzzReports(f *testing.F) {
	f.Add([]byte(`{"audio":[{"track_id":"a","rid":"f","samples":[{"timestamp":1e300,"total_packets_lost":-1,"total_packets_sent":1}]}]}`))
	f.Add([]byte(`{"error_code":1e300,"error_name":"x","devices":{},"audio":[1]}`))
	f.Add([]byte(`{"video":[{"track_id":"\u0000","samples":[{"timestamp":-1}]}]}`))
	f.Fuzz(func(t *testing.T, info []byte) {
		for _, sent := range []bool{true, false} {
			text, err := parseStats(sent, info)
			if err != nil || text == nil {
				continue
			}
			if len(text) > maxReportBytes {
				t.Errorf("%d bytes", len(text))
			}
			stats, err := Summarize([]store.PeerReport{{Report: text}})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := json.Marshal(stats); err != nil {
				t.Error(err)
			}
		}
		d, err := parseError(info)
		if err != nil {
			return
		}
		if text, err := json.Marshal(d); err != nil || len(text) > 8*maxTextBytes*6+3*6*maxPartBytes || !utf8.Valid(text) {
			t.Errorf("%d bytes, %v", len(text), err)
		}
	})
}
