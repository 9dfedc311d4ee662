package protocol

import "encoding/json"

// Analytics is the params of analytics (§8): what a client tells of itself. What Info has depends on Name.
type Analytics struct {
	Name      string          `json:"name"`
	Info      json.RawMessage `json:"info"`
	Timestamp int64           `json:"timestamp"` // milliseconds since 1970, by the client's clock
}

// Names of reports that the server keeps.
const (
	ReportConnectFailed   = "connect.failed"
	ReportJoinFailed      = "join.failed"
	ReportPublishFailed   = "publish.failed"
	ReportSubscribeFailed = "subscribe.failed"
	ReportDisconnected    = "disconnected"
	ReportPublisherStats  = "publisher.stats"
	ReportSubscriberStats = "subscriber.stats"
)

// Stats is the info of publisher.stats and subscriber.stats (§8). Clients send more than is named here, which nobody reads.
type Stats struct {
	Audio []TrackStats `json:"audio"`
	Video []TrackStats `json:"video"`
}

// TrackStats is a track, or one layer of it.
type TrackStats struct {
	TrackID string        `json:"track_id"`
	RID     string        `json:"rid,omitempty"`
	Source  string        `json:"source,omitempty"`
	Samples []StatsSample `json:"samples"`
}

// StatsSample is what was measured in a window of time that ended then. What was not measured is nil.
type StatsSample struct {
	At        float64  `json:"timestamp"` // milliseconds since 1970, by the client's clock
	Bitrate   *float64 `json:"avg_bitrate_bps,omitempty"`
	FPS       *float64 `json:"avg_fps,omitempty"`                    // sent
	Decoded   *float64 `json:"avg_frames_decoded_per_sec,omitempty"` // received
	RTT       *float64 `json:"avg_round_trip_time_ms,omitempty"`
	Jitter    *float64 `json:"avg_jitter_ms,omitempty"`
	Lost      *float64 `json:"total_packets_lost,omitempty"`     // of sent tracks since they began, of received ones in this window
	Sent      *float64 `json:"total_packets_sent,omitempty"`     // since the track began
	Received  *float64 `json:"total_packets_received,omitempty"` // in this window
	Freezes   *float64 `json:"freeze_count,omitempty"`
	Concealed *float64 `json:"audio_concealed_samples,omitempty"`
}
