package api

import (
	"net/http"
	"time"

	"github.com/pion/webrtc/v4"

	"amphi/server/protocol"
	"amphi/server/room"
	"amphi/server/sfu"
)

// mediaObject is what is counted of the media in a live room at a moment. Counters begin with a track or a
// subscription; rates are those since somebody looked before, at least a second.
type mediaObject struct {
	RoomID    string            `json:"room_id"`
	SessionID string            `json:"session_id"`
	At        time.Time         `json:"at"`
	Peers     []peerMediaObject `json:"peers"` // in the order of joining
}

// peerMediaObject is a peer in a live room with its media.
type peerMediaObject struct {
	ID             string               `json:"id"`
	Name           string               `json:"name"`
	UserID         string               `json:"user_id"`
	Role           string               `json:"role"`
	JoinedAt       time.Time            `json:"joined_at"`
	Agent          string               `json:"agent"`
	Via            string               `json:"via"`             // WHIP or WHEP; empty: the client protocol
	Quality        int                  `json:"quality"`         // of the line: 1 to 5, 0 without a connection, -1 unknown
	PublishState   string               `json:"publish_state"`   // of the connection, as in WebRTC
	SubscribeState string               `json:"subscribe_state"` // likewise
	Uplink         pathObject           `json:"uplink"`
	Downlink       pathObject           `json:"downlink"`
	Limit          float64              `json:"downlink_limit"` // what the network takes, bit/s; 0: everything
	Tracks         []trackMediaObject   `json:"tracks"`
	Subscriptions  []subscriptionObject `json:"subscriptions"`
}

// pathObject is how packets fared in one direction since the peer joined.
type pathObject struct {
	Packets     uint64  `json:"packets"`
	Lost        uint64  `json:"lost"`
	LossPercent float64 `json:"loss_percent"`
	RTT         float64 `json:"rtt_ms"`    // 0: not known
	Jitter      float64 `json:"jitter_ms"` // of sound; 0: not known
}

// trackMediaObject is a published track.
type trackMediaObject struct {
	TrackID     string             `json:"track_id"`
	Type        protocol.TrackKind `json:"type"`
	Source      string             `json:"source"`
	Mute        bool               `json:"mute"`
	Codec       string             `json:"codec"`
	Subscribers int                `json:"subscribers"`
	Layers      []layerObject      `json:"layers"` // the best first; one without simulcast
}

// layerObject is a stream of a track as it comes.
type layerObject struct {
	Layer  string  `json:"layer"` // high, medium, low
	Active bool    `json:"active"`
	Jitter float64 `json:"jitter_ms"` // of sound; 0: not known
	countsObject
}

// subscriptionObject is a track on its way to a subscriber.
type subscriptionObject struct {
	TrackID string             `json:"track_id"`
	PeerID  string             `json:"peer_id"` // who publishes it
	Type    protocol.TrackKind `json:"type"`
	Wanted  bool               `json:"wanted"`  // the client asks for packets
	Layer   string             `json:"layer"`   // that is sent; none: nothing
	Limited bool               `json:"limited"` // no better one, or none, because the network takes no more
	countsObject
}

// countsObject counts packets of a stream. With a published layer they are those that came, with a subscription those that were sent.
type countsObject struct {
	Packets        uint64  `json:"packets"`
	Bytes          uint64  `json:"bytes"`
	Frames         uint64  `json:"frames"`
	Lost           uint64  `json:"lost"`
	NACKs          uint64  `json:"nacks"`
	PLIs           uint64  `json:"plis"`
	Retransmitted  uint64  `json:"retransmitted"`
	Dropped        uint64  `json:"dropped"`
	Bitrate        float64 `json:"bitrate"` // bit/s
	PacketRate     float64 `json:"packets_per_second"`
	FrameRate      float64 `json:"fps"`
	LossPercent    float64 `json:"loss_percent"` // at present
	NACKsPerSecond float64 `json:"nacks_per_second"`
	PLIsPerSecond  float64 `json:"plis_per_second"`
}

// layerNames are those of the client protocol, by rank.
var layerNames = []string{"high", "medium", "low"}

func layerName(rank int) string {
	if rank < 0 || rank >= len(layerNames) {
		return "none"
	}
	return layerNames[rank]
}

func showCounts(s sfu.Stream) countsObject {
	return countsObject{
		Packets: s.Packets, Bytes: s.Bytes, Frames: s.Frames, Lost: s.Lost, NACKs: s.NACKs, PLIs: s.PLIs, Retransmitted: s.Retransmitted, Dropped: s.Dropped,
		Bitrate: s.Rates.Bits, PacketRate: s.Rates.Packets, FrameRate: s.Rates.Frames, LossPercent: percent(s.Rates.Lost, s.Rates.Lost+s.Rates.Packets),
		NACKsPerSecond: s.Rates.NACKs, PLIsPerSecond: s.Rates.PLIs,
	}
}

func showPath(p sfu.Path) pathObject {
	return pathObject{Packets: p.Packets, Lost: p.Lost, LossPercent: percent(float64(p.Lost), float64(p.Packets)), RTT: milliseconds(p.RTT), Jitter: milliseconds(p.Jitter)}
}

func percent(part, whole float64) float64 {
	if whole == 0 {
		return 0
	}
	return 100 * part / whole
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// stateName is a connection's state in the words of WebRTC; none for peers that have no connections.
func stateName(s webrtc.PeerConnectionState) string {
	if s == webrtc.PeerConnectionStateUnknown {
		return "none"
	}
	return s.String()
}

// getMedia shows what is counted of the media in a live room.
func (a *API) getMedia(r *http.Request, workspaceID string, _ nothing) (mediaObject, error) {
	live, record, err := a.activeRoom(r, workspaceID)
	if err != nil {
		return mediaObject{}, err
	}
	all, err := live.Media(r.Context())
	o := mediaObject{RoomID: record.ID, SessionID: live.Info().SessionID, At: time.Now().UTC(), Peers: make([]peerMediaObject, len(all))}
	publishers := make(map[string]string) // peer by track
	for _, p := range all {
		for _, t := range p.Tracks {
			publishers[t.TrackID] = p.PeerID
		}
	}
	for i, p := range all {
		o.Peers[i] = showMedia(p, publishers)
	}
	return o, activeError(err)
}

func showMedia(p room.AttendeeMedia, publishers map[string]string) peerMediaObject {
	f := p.Figures
	o := peerMediaObject{
		ID: p.PeerID, Name: p.Name, UserID: p.UserID, Role: p.Role, JoinedAt: p.Joined.UTC(), Agent: p.Agent, Via: p.Via, Quality: p.Quality,
		PublishState: stateName(f.Publish), SubscribeState: stateName(f.Subscribe), Uplink: showPath(f.Up), Downlink: showPath(f.Down), Limit: f.Line.Limit,
		Tracks: []trackMediaObject{}, Subscriptions: []subscriptionObject{},
	}
	for _, t := range p.Tracks {
		shown := trackMediaObject{TrackID: t.TrackID, Type: t.Kind, Source: t.Source, Mute: t.Mute, Layers: []layerObject{}}
		for _, tf := range f.Tracks {
			if tf.ID != t.TrackID {
				continue
			}
			shown.Codec, shown.Subscribers = tf.Codec.String(), tf.Subscribers
			for _, l := range tf.Layers {
				shown.Layers = append(shown.Layers, layerObject{Layer: layerName(l.Rank), Active: l.Flowing, Jitter: milliseconds(l.Jitter), countsObject: showCounts(l.Stream)})
			}
		}
		o.Tracks = append(o.Tracks, shown)
	}
	for _, s := range f.Subscriptions {
		o.Subscriptions = append(o.Subscriptions, subscriptionObject{
			TrackID: s.TrackID, PeerID: publishers[s.TrackID], Type: protocol.TrackKind(s.Kind.String()), Wanted: s.Wanted, Layer: layerName(s.Layer), Limited: s.Limited, countsObject: showCounts(s.Stream),
		})
	}
	return o
}
