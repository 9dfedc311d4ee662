package analytics

import (
	"bytes"

	"encoding/json"
	"strings"
	"time"

	"github.com/google/uuid"

	"amphi/server/protocol"
	"amphi/server/room"
	"amphi/server/store"
)

// Types of events, as the API names them.
const (
	TrackAdded            = "track.add.success"
	TrackUpdated          = "track.update.success"
	TrackRemoved          = "track.remove.success"
	RecordingDone         = "beam.recording.success"
	ClientConnectFailed   = "client.connect.failed"
	ClientJoinFailed      = "client.join.failed"
	ClientPublishFailed   = "client.publish.failed"
	ClientSubscribeFailed = "client.subscribe.failed"
	ClientDisconnected    = "client.disconnected"
)

// Types is all of them.
var Types = []string{TrackAdded, TrackUpdated, TrackRemoved, RecordingDone, ClientConnectFailed, ClientJoinFailed,
	ClientPublishFailed, ClientSubscribeFailed, ClientDisconnected}

// trackTypes are the types of what becomes of tracks.
var trackTypes = map[room.TrackAct]string{room.TrackAdded: TrackAdded, room.TrackUpdated: TrackUpdated, room.TrackRemoved: TrackRemoved}

// trackData is the data of track.* events.
type trackData struct {
	RoomID    string     `json:"room_id"`
	SessionID string     `json:"session_id"`
	RoomName  string     `json:"room_name"`
	PeerID    string     `json:"peer_id"`
	UserID    string     `json:"user_id"`
	UserName  string     `json:"user_name"`
	JoinedAt  time.Time  `json:"joined_at"`
	Role      string     `json:"role"`
	TrackID   string     `json:"track_id"`
	StreamID  string     `json:"stream_id"`
	Type      string     `json:"type"`   // audio or video
	Source    string     `json:"source"` // regular or screen
	Mute      bool       `json:"mute"`
	StartedAt time.Time  `json:"started_at"`
	StoppedAt *time.Time `json:"stopped_at,omitempty"` // of a removed one
}

// TrackChanged records what became of a track.
func (c *Collector) TrackChanged(i room.Info, p room.Stay, change room.TrackChange) {
	at := millis(change.At)
	d := trackData{RoomID: i.RoomID, SessionID: i.SessionID, RoomName: i.Name, PeerID: p.PeerID, UserID: p.UserID, UserName: p.Name,
		JoinedAt: millis(p.Joined), Role: p.Role, TrackID: change.Track.TrackID, StreamID: change.Track.StreamID, Type: string(change.Track.Kind),
		Source: change.Track.Source, Mute: change.Track.Mute, StartedAt: millis(change.Started)}
	if change.Of == room.TrackRemoved {
		d.StoppedAt = &at
	}
	c.event(i, p, trackTypes[change.Of], false, at, d)
}

// errorData is the data of client.* events. The parts that clients describe are kept as they are.
type errorData struct {
	UserID      string          `json:"user_id"`
	UserName    string          `json:"user_name"`
	PeerID      string          `json:"peer_id"`
	AccountID   string          `json:"account_id"`
	RoomID      string          `json:"room_id"`
	SessionID   string          `json:"session_id,omitempty"`
	RoomName    string          `json:"room_name"`
	TemplateID  string          `json:"template_id"`
	Role        string          `json:"role"`
	Code        int             `json:"error_code"`
	Name        string          `json:"error_name"`
	Message     string          `json:"error_message"`
	Description string          `json:"error_description"`
	Domain      string          `json:"domain"`
	IsTerminal  bool            `json:"is_terminal"`
	Action      string          `json:"action"`
	Agent       agent           `json:"agent"`
	Audio       json.RawMessage `json:"audio,omitempty"`
	Video       json.RawMessage `json:"video,omitempty"`
	Devices     json.RawMessage `json:"devices,omitempty"`
}

// clientTypes are the types of what clients report.
var clientTypes = map[string]string{
	protocol.ReportConnectFailed: ClientConnectFailed, protocol.ReportJoinFailed: ClientJoinFailed, protocol.ReportPublishFailed: ClientPublishFailed,
	protocol.ReportSubscribeFailed: ClientSubscribeFailed, protocol.ReportDisconnected: ClientDisconnected,
}

// Bounds of what a client can make us keep.
const (
	maxTextBytes = 512
	maxPartBytes = 8 << 10 // each of audio, video, devices
)

// Reported records what a client tells of itself, if it is one of the things that are kept.
func (c *Collector) Reported(i room.Info, p room.Stay, r protocol.Analytics) {
	switch r.Name {
	case protocol.ReportPublisherStats, protocol.ReportSubscriberStats:
		c.measured(i, p, r)
		return
	}
	kind, ok := clientTypes[r.Name]
	if !ok {
		return
	}
	d, err := parseError(r.Info)
	if err != nil {
		c.stats.refused.Add(1)
		return
	}
	if r.Name == protocol.ReportDisconnected && d.Code == 0 && d.Name == "" {
		return // a client that left as it should
	}
	d.UserID, d.UserName, d.PeerID, d.Role, d.Agent = p.UserID, p.Name, p.PeerID, p.Role, parseAgent(p.Agent)
	d.AccountID, d.RoomID, d.SessionID, d.RoomName, d.TemplateID = i.CustomerID, i.RoomID, i.SessionID, i.Name, i.TemplateID
	c.event(i, p, kind, true, millis(time.Now()), d)
}

// parseError reads what a client says of an error.
func parseError(info []byte) (errorData, error) {
	var in struct {
		Code        float64 `json:"error_code"` // some are no whole numbers in JavaScript's eyes
		Name        string  `json:"error_name"`
		Message     string  `json:"error_message"`
		Description string  `json:"error_description"`
		Domain      string  `json:"domain"`
		IsTerminal  bool    `json:"is_terminal"`
		Action      string  `json:"action"`
		Audio       part    `json:"audio"`
		Video       part    `json:"video"`
		Devices     part    `json:"devices"`
	}
	if err := json.Unmarshal(info, &in); err != nil {
		return errorData{}, err
	}
	return errorData{Code: int(max(min(in.Code, 1<<31-1), -1<<31)), Name: short(in.Name), Message: short(in.Message), Description: short(in.Description),
		Domain: short(in.Domain), IsTerminal: in.IsTerminal, Action: short(in.Action), Audio: in.Audio.text, Video: in.Video.text, Devices: in.Devices.text}, nil
}

// agent is the software of a client.
type agent struct {
	SDK                 string `json:"sdk"`
	SDKVersion          string `json:"sdk_version"`
	OS                  string `json:"os"`
	OSVersion           string `json:"os_version"`
	DeviceModel         string `json:"device_model"`
	Domain              string `json:"domain"`
	Framework           string `json:"framework"`
	FrameworkVersion    string `json:"framework_version"`
	FrameworkSDKVersion string `json:"framework_sdk_version"`
	IsPrebuilt          bool   `json:"is_prebuilt"`
	String              string `json:"string"` // as the client said it
}

// parseAgent reads "os:web_Chrome,sdk:web,…". What it does not know is in String only.
func parseAgent(text string) agent {
	a := agent{String: strings.ToValidUTF8(short(text), "")}
	fields := map[string]*string{"sdk": &a.SDK, "sdk_version": &a.SDKVersion, "os": &a.OS, "os_version": &a.OSVersion, "device_model": &a.DeviceModel,
		"domain": &a.Domain, "framework": &a.Framework, "framework_version": &a.FrameworkVersion, "framework_sdk_version": &a.FrameworkSDKVersion}
	for _, pair := range strings.Split(a.String, ",") {
		name, value, _ := strings.Cut(pair, ":")
		if field := fields[name]; field != nil {
			*field = value
		}
		a.IsPrebuilt = a.IsPrebuilt || name == "is_prebuilt" && value == "true"
	}
	return a
}

// part is an object of a client's, left out when it is none or too large.
type part struct{ text json.RawMessage }

// UnmarshalJSON implements json.Unmarshaler.
func (p *part) UnmarshalJSON(text []byte) error {
	if len(text) <= maxPartBytes && len(text) > 0 && text[0] == '{' {
		p.text = bytes.Clone(text)
	}
	return nil
}

// short cuts a text that is only to be read by people.
func short(s string) string {
	if len(s) <= maxTextBytes {
		return s
	}
	cut := maxTextBytes
	for cut > 0 && s[cut]&0xC0 == 0x80 { // not in the middle of a character
		cut--
	}
	return s[:cut]
}

func (c *Collector) event(i room.Info, p room.Stay, kind string, isError bool, at time.Time, data any) {
	text, err := json.Marshal(data)
	if err != nil {
		c.cfg.Log.Error("an analytics event does not encode", "type", kind, "err", err)
		return
	}
	c.add(row{event: &store.AnalyticsEvent{ID: uuid.NewString(), WorkspaceID: i.CustomerID, RoomID: i.RoomID, SessionID: i.SessionID,
		PeerID: p.PeerID, UserID: p.UserID, Type: kind, Error: isError, Data: text, At: at}})
}

// millis is how times are kept.
func millis(t time.Time) time.Time { return t.UTC().Truncate(time.Millisecond) }
