package analytics

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"amphi/server/protocol"
	"amphi/server/room"
	"amphi/server/store"
)

// Bounds of one report. Clients send one a minute, with a sample for every 10 or 30 seconds.
const (
	maxTracks      = 64
	maxSamples     = 120 // of a track
	maxReportBytes = 64 << 10
	maxIDBytes     = 128
)

// report is what is kept of a client's publisher.stats or subscriber.stats.
type report struct {
	Sent   bool       `json:"sent"` // what the client published, not what it received
	Tracks []measured `json:"tracks"`
}

// measured is a track, or one layer of it.
type measured struct {
	ID      string             `json:"id"`
	Kind    protocol.TrackKind `json:"kind"`
	Screen  bool               `json:"screen,omitempty"`
	RID     string             `json:"rid,omitempty"`
	Samples []sample           `json:"samples"`
}

// sample is what was measured in a window of time that ended then. What the client did not measure is absent.
type sample struct {
	At        int64    `json:"at"`          // milliseconds since 1970, by the client's clock
	Bitrate   *float64 `json:"b,omitempty"` // bit/s
	FPS       *float64 `json:"f,omitempty"`
	RTT       *float64 `json:"r,omitempty"` // milliseconds
	Jitter    *float64 `json:"j,omitempty"` // milliseconds
	Lost      *float64 `json:"l,omitempty"` // packets; of sent tracks since they began, of received ones in this window
	Packets   *float64 `json:"p,omitempty"` // sent or received, likewise
	Freezes   *float64 `json:"z,omitempty"`
	Concealed *float64 `json:"c,omitempty"` // audio samples
}

// measured records what a client measured.
func (c *Collector) measured(i room.Info, p room.Stay, r protocol.Analytics) {
	text, err := parseStats(r.Name == protocol.ReportPublisherStats, r.Info)
	if err != nil {
		c.stats.refused.Add(1)
		return
	}
	if text == nil {
		return
	}
	c.add(row{report: &store.PeerReport{WorkspaceID: i.CustomerID, RoomID: i.RoomID, SessionID: i.SessionID, PeerID: p.PeerID,
		Report: text, At: millis(time.Now())}})
}

var errTooLarge = errors.New("a report is too large")

// parseStats turns a client's report into the form that is kept; nothing when it measured nothing.
func parseStats(sent bool, info []byte) (json.RawMessage, error) {
	var in protocol.Stats
	if err := json.Unmarshal(info, &in); err != nil {
		return nil, err
	}
	if len(in.Audio)+len(in.Video) > maxTracks {
		return nil, errTooLarge
	}
	out := report{Sent: sent}
	for kind, list := range map[protocol.TrackKind][]protocol.TrackStats{protocol.Audio: in.Audio, protocol.Video: in.Video} {
		for _, t := range list {
			switch {
			case len(t.TrackID) == 0 || len(t.TrackID) > maxIDBytes || len(t.RID) > maxIDBytes:
				return nil, fmt.Errorf("a track has an id of %d bytes", len(t.TrackID))
			case len(t.Samples) > maxSamples:
				return nil, errTooLarge
			case len(t.Samples) == 0:
				continue
			}
			m := measured{ID: t.TrackID, Kind: kind, Screen: t.Source == protocol.SourceScreen, RID: t.RID}
			for _, s := range t.Samples {
				v := sample{At: int64(max(0, min(s.At, 1<<53))), Bitrate: s.Bitrate, FPS: s.FPS, RTT: s.RTT, Jitter: s.Jitter, Lost: s.Lost,
					Packets: s.Received, Freezes: s.Freezes, Concealed: s.Concealed}
				if sent {
					v.Packets = s.Sent
				} else {
					v.FPS = s.Decoded
				}
				m.Samples = append(m.Samples, v)
			}
			out.Tracks = append(out.Tracks, m)
		}
	}
	if len(out.Tracks) == 0 {
		return nil, nil
	}
	text, err := json.Marshal(out)
	if err == nil && len(text) > maxReportBytes {
		err = errTooLarge
	}
	return text, err
}

// PeerStats is what a peer measured in a session, as the API shows it. Lists are never null.
type PeerStats struct {
	Publisher struct {
		Video []SentVideo `json:"video"`
		Audio []SentAudio `json:"audio"`
	} `json:"publisher"`
	Subscriber struct {
		Video []ReceivedVideo `json:"video"`
		Audio []ReceivedAudio `json:"audio"`
	} `json:"subscriber"`
}

// SentVideo is a layer of a video track that the peer published. The lists of a series are equally long.
type SentVideo struct {
	TrackID string  `json:"track_id"`
	Type    string  `json:"type"` // regular or screen
	RID     *string `json:"rid"`  // h, m, l from the best layer down; null without layers
	Series  struct {
		At      []int64   `json:"timestamps"` // milliseconds since 1970
		Bitrate []float64 `json:"bitrate"`    // bit/s
		FPS     []float64 `json:"fps"`
		Loss    []float64 `json:"packet_loss_percent"`
		RTT     []float64 `json:"rtt_ms"`
	} `json:"time_series"`
}

// SentAudio is an audio track that the peer published.
type SentAudio struct {
	TrackID string `json:"track_id"`
	Series  struct {
		At      []int64   `json:"timestamps"`
		Bitrate []float64 `json:"bitrate"`
		Loss    []float64 `json:"packet_loss_percent"`
		RTT     []float64 `json:"rtt_ms"`
		Jitter  []float64 `json:"jitter_ms"`
	} `json:"time_series"`
}

// ReceivedVideo is a video track of somebody else.
type ReceivedVideo struct {
	TrackID string `json:"track_id"`
	Type    string `json:"type"`
	Series  struct {
		At      []int64    `json:"timestamps"`
		Bitrate []*float64 `json:"bitrate"` // null: not measured
		FPS     []float64  `json:"fps"`
		Freezes []float64  `json:"freeze_count"`
	} `json:"time_series"`
}

// ReceivedAudio is an audio track of somebody else.
type ReceivedAudio struct {
	TrackID string `json:"track_id"`
	Series  struct {
		At        []int64    `json:"timestamps"`
		Bitrate   []*float64 `json:"bitrate"`
		Concealed []float64  `json:"concealed_samples"`
		Loss      []float64  `json:"packet_loss_percent"`
	} `json:"time_series"`
}

// Summarize puts a peer's reports together, in the order in which they came.
func Summarize(reports []store.PeerReport) (PeerStats, error) {
	type key struct {
		sent    bool
		kind    protocol.TrackKind
		id, rid string
	}
	var order []key
	whole := make(map[key]*measured)
	for _, r := range reports {
		var v report
		if err := json.Unmarshal(r.Report, &v); err != nil {
			return PeerStats{}, fmt.Errorf("a report of peer %s: %w", r.PeerID, err)
		}
		for _, m := range v.Tracks {
			k := key{v.Sent, m.Kind, m.ID, m.RID}
			if whole[k] == nil {
				order = append(order, k)
				whole[k] = &measured{ID: m.ID, Kind: m.Kind, Screen: m.Screen, RID: m.RID}
			}
			whole[k].Samples = append(whole[k].Samples, m.Samples...)
		}
	}
	var s PeerStats
	s.Publisher.Video, s.Publisher.Audio = []SentVideo{}, []SentAudio{}
	s.Subscriber.Video, s.Subscriber.Audio = []ReceivedVideo{}, []ReceivedAudio{}
	for _, k := range order {
		switch m := whole[k]; {
		case k.sent && k.kind == protocol.Video:
			s.Publisher.Video = append(s.Publisher.Video, m.sentVideo())
		case k.sent:
			s.Publisher.Audio = append(s.Publisher.Audio, m.sentAudio())
		case k.kind == protocol.Video:
			s.Subscriber.Video = append(s.Subscriber.Video, m.receivedVideo())
		default:
			s.Subscriber.Audio = append(s.Subscriber.Audio, m.receivedAudio())
		}
	}
	return s, nil
}

// layerNames are the API's names of layers, by those on the wire (full, half, quarter).
var layerNames = map[string]string{"f": "h", "h": "m", "q": "l"}

func (m *measured) source() string {
	if m.Screen {
		return protocol.SourceScreen
	}
	return protocol.SourceRegular
}

func (m *measured) sentVideo() (v SentVideo) {
	v.TrackID, v.Type = m.ID, m.source()
	if m.RID != "" {
		name := m.RID
		if known, ok := layerNames[name]; ok {
			name = known
		}
		v.RID = &name
	}
	v.Series.Loss = m.sentLoss()
	for _, s := range m.Samples {
		v.Series.At = append(v.Series.At, s.At)
		v.Series.Bitrate = append(v.Series.Bitrate, number(s.Bitrate))
		v.Series.FPS = append(v.Series.FPS, number(s.FPS))
		v.Series.RTT = append(v.Series.RTT, number(s.RTT))
	}
	return v
}

func (m *measured) sentAudio() (v SentAudio) {
	v.TrackID, v.Series.Loss = m.ID, m.sentLoss()
	for _, s := range m.Samples {
		v.Series.At = append(v.Series.At, s.At)
		v.Series.Bitrate = append(v.Series.Bitrate, number(s.Bitrate))
		v.Series.RTT = append(v.Series.RTT, number(s.RTT))
		v.Series.Jitter = append(v.Series.Jitter, number(s.Jitter))
	}
	return v
}

func (m *measured) receivedVideo() (v ReceivedVideo) {
	v.TrackID, v.Type = m.ID, m.source()
	for _, s := range m.Samples {
		v.Series.At = append(v.Series.At, s.At)
		v.Series.Bitrate = append(v.Series.Bitrate, s.Bitrate)
		v.Series.FPS = append(v.Series.FPS, number(s.FPS))
		v.Series.Freezes = append(v.Series.Freezes, number(s.Freezes))
	}
	return v
}

func (m *measured) receivedAudio() (v ReceivedAudio) {
	v.TrackID = m.ID
	for _, s := range m.Samples {
		v.Series.At = append(v.Series.At, s.At)
		v.Series.Bitrate = append(v.Series.Bitrate, s.Bitrate)
		v.Series.Concealed = append(v.Series.Concealed, number(s.Concealed))
		v.Series.Loss = append(v.Series.Loss, percent(number(s.Lost), number(s.Lost)+number(s.Packets)))
	}
	return v
}

// sentLoss is the loss in each window, from counters that run since the track began.
func (m *measured) sentLoss() []float64 {
	loss := make([]float64, len(m.Samples))
	lost, sent := 0., 0.
	for i, s := range m.Samples {
		loss[i] = percent(number(s.Lost)-lost, number(s.Packets)-sent)
		lost, sent = number(s.Lost), number(s.Packets)
	}
	return loss
}

// percent is a share of packets, whatever a client counted.
func percent(part, of float64) float64 {
	if part <= 0 || of <= 0 {
		return 0
	}
	return min(100*part/of, 100)
}

func number(v *float64) float64 {
	if v == nil {
		return 0
	}
	return *v
}
