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
