package sfu

import (
	"encoding/json"
	"slices"

	"amphi/server/sfu/transport"
)

// channelLabel is the label by which clients know the channel; they ignore
// others.
const channelLabel = "ion-sfu"

// maxChannelMessage is the longest message that clients are allowed on the
// channel, in bytes; the longest that is understood is maxMessage.
const maxChannelMessage = transport.MaxMessage

// layerNames are the protocol's, by rank.
var layerNames = [...]string{"high", "medium", "low"}

const layerNone = "none"

// layerUpdate tells which layer a client gets, which it would get if nothing were
// in the way, and whether the subscriber's network is what is in the way.
type layerUpdate struct {
	TrackID    string `json:"track_id"`
	Current    string `json:"current_layer"`
	Expected   string `json:"expected_layer"`
	Subscriber bool   `json:"subscriber_degraded"`
	Publisher  bool   `json:"publisher_degraded"`
}

// request is what clients send.
type request struct {
	ID     string `json:"id"`
	Method string `json:"method"`
	Params struct {
		TrackID  string `json:"track_id"`
		MaxLayer string `json:"max_spatial_layer"`
		// Subscribed is a pointer because leaving it out is an error.
		Subscribed *bool `json:"subscribed"`
	} `json:"params"`
}

// response is the answer to every request: clients ask again when none comes.
type response struct {
	ID      string    `json:"id"`
	Version string    `json:"jsonrpc"`
	Result  *struct{} `json:"result,omitempty"`
	Error   *rpcError `json:"error,omitempty"`
}

type rpcError struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
}

// Message is part of transport.Handler: one message of the client's.
func (l *session) Message(data []byte) {
	stats := &l.down.peer.sfu.stats
	var q request
	r := response{Version: "2.0"}
	switch {
	case len(data) > maxMessage:
		r.Error = &rpcError{400, "message too long"}
	case json.Unmarshal(data, &q) != nil:
		r.Error = &rpcError{400, "not a request"}
	default:
		r.Error = l.prefer(&q)
	}
	if r.ID = q.ID; len(r.ID) > 128 {
		r.ID = ""
	}
	if r.Error == nil {
		r.Result = &struct{}{}
	} else if r.Error.Code == 400 {
		stats.badMessages.Add(1)
	}
	text, err := json.Marshal(r)
	if err != nil {
		return // strings only: cannot be
	}
	l.send(text)
}

// prefer carries out a request.
func (l *session) prefer(q *request) *rpcError {
	var kind Kind
	var on bool
	var rank int
	switch q.Method {
	case "prefer-video-track-state":
		kind = Video
		switch q.Params.MaxLayer {
		case layerNone:
		default:
			if rank = slices.Index(layerNames[:], q.Params.MaxLayer); rank < 0 {
				return &rpcError{400, "unknown layer"}
			}
			on = true
		}
	case "prefer-audio-track-state":
		kind = Audio
		if q.Params.Subscribed == nil {
			return &rpcError{400, "subscribed is missing"}
		}
		on = *q.Params.Subscribed
	default:
		return &rpcError{400, "unknown method"}
	}
	d := (*l.tracks.Load())[q.Params.TrackID]
	if d == nil || d.track.info.Kind != kind {
		return &rpcError{404, "track not found"}
	}
	d.want(on, int32(rank))
	l.LimitChanged() // others may fit now
	return nil
}

// tell sends a notification.
func (l *session) tell(method string, params any) {
	text, err := json.Marshal(map[string]any{"jsonrpc": "2.0", "method": method, "params": params})
	if err != nil {
		return // of our own types: cannot be
	}
	l.send(text)
}

// send puts a text message on the channel unless that is not open or too much
// waits there.
func (l *session) send(text []byte) bool {
	ok := l.transport.SendText(text)
	if !ok {
		l.down.peer.sfu.stats.droppedEvents.Add(1)
	}
	return ok
}
