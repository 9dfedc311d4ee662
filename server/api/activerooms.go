package api

import (
	"cmp"
	"errors"
	"net/http"
	"time"

	"amphi/server/protocol"
	"amphi/server/room"
	"amphi/server/store"
)

// maxReasonBytes bounds what removed peers are told.
const maxReasonBytes = 1024

func (a *API) activeRoomEndpoints() []endpoint {
	return described("Active rooms",
		managed("GET", "/v2/active-rooms/{room_id}", "Get a live room with its session", a.getActiveRoom),
		managed("GET", "/v2/active-rooms/{room_id}/stats", "Get what is counted of the media at this moment: by peer, track, layer and subscription", a.getMedia),
		managed("GET", "/v2/active-rooms/{room_id}/peers", "Get the peers in a live room, by id", a.listActivePeers),
		managed("GET", "/v2/active-rooms/{room_id}/peers/{peer_id}", "Get a peer with its tracks", a.getActivePeer),
		managed("POST", "/v2/active-rooms/{room_id}/peers/{peer_id}", "Change a peer's name, role or metadata", a.changeActivePeer),
		managed("POST", "/v2/active-rooms/{room_id}/peers/{peer_id}/mute", "Ask a peer to mute its microphone (audio), or its camera and screen (video)", a.mutePeer),
		managed("POST", "/v2/active-rooms/{room_id}/send-message", "Send a message to all, to a role or to a peer", a.sendMessage),
		managed("POST", "/v2/active-rooms/{room_id}/remove-peers", "Remove a peer, or all of a role", a.removePeers),
		managed("POST", "/v2/active-rooms/{room_id}/end-room", "End the session, and lock the room if wanted", a.endRoom),
	)
}

// activeRoomObject is a live room as it is answered.
type activeRoomObject struct {
	ID         string              `json:"id"`
	Name       string              `json:"name"`
	CustomerID string              `json:"customer_id"`
	Session    activeSessionObject `json:"session"`
}

// activeSessionObject is the session of a live room.
type activeSessionObject struct {
	ID        string    `json:"id"`
	CreatedAt time.Time `json:"created_at"`
	Peers     []string  `json:"peers"` // ids
}

// activePeerObject is a peer in a live room.
type activePeerObject struct {
	ID       string    `json:"id"`
	Name     string    `json:"name"`
	UserID   string    `json:"user_id"`
	Metadata string    `json:"metadata"`
	Role     string    `json:"role"`
	JoinedAt time.Time `json:"joined_at"`
}

// peerWithTracksObject is a peer with what it publishes, by track id.
type peerWithTracksObject struct {
	activePeerObject
	Tracks map[string]trackObject `json:"tracks"`
}

// trackObject is a published track.
type trackObject struct {
	ID          string             `json:"id"`
	StreamID    string             `json:"stream_id"`
	Mute        bool               `json:"mute"`
	Type        protocol.TrackKind `json:"type"`   // audio or video
	Source      string             `json:"source"` // regular, screen, or of the client's own
	StartedAt   time.Time          `json:"started_at"`
	Description string             `json:"description"`
}

// activePeersObject is the peers of a live room.
type activePeersObject struct {
	Peers map[string]activePeerObject `json:"peers"`
}

// messageObject says what was done.
type messageObject struct {
	Message string `json:"message"`
}

func showActivePeer(p room.Attendee) activePeerObject {
	return activePeerObject{ID: p.PeerID, Name: p.Name, UserID: p.UserID, Metadata: p.Data, Role: p.Role, JoinedAt: p.Joined.UTC()}
}

func showPeerWithTracks(p room.Attendee) peerWithTracksObject {
	o := peerWithTracksObject{activePeerObject: showActivePeer(p), Tracks: make(map[string]trackObject, len(p.Tracks))}
	for _, t := range p.Tracks {
		o.Tracks[t.TrackID] = trackObject{ID: t.TrackID, StreamID: t.StreamID, Mute: t.Mute, Type: t.Kind, Source: t.Source,
			StartedAt: t.Started.UTC(), Description: t.Description}
	}
	return o
}

// activeRoom returns the live room of the path.
func (a *API) activeRoom(r *http.Request, workspaceID string) (*room.Room, store.Room, error) {
	record, err := a.room(r, workspaceID)
	if err != nil {
		return nil, record, err
	}
	live := a.Rooms.Lookup(record.ID)
	if live == nil {
		return nil, record, errNoSession
	}
	return live, record, nil
}

// activeError turns an error of a live room into the API's.
func activeError(err error) error {
	if errors.Is(err, room.ErrClosed) {
		return errNoSession
	}
	return err
}

func (a *API) getActiveRoom(r *http.Request, workspaceID string, _ nothing) (activeRoomObject, error) {
	live, record, err := a.activeRoom(r, workspaceID)
	if err != nil {
		return activeRoomObject{}, err
	}
	peers, err := live.Attendees(r.Context())
	info := live.Info()
	o := activeRoomObject{ID: record.ID, Name: info.Name, CustomerID: record.WorkspaceID,
		Session: activeSessionObject{ID: info.SessionID, CreatedAt: info.SessionStarted.UTC(), Peers: make([]string, len(peers))}}
	for i, p := range peers {
		o.Session.Peers[i] = p.PeerID
	}
	return o, activeError(err)
}

// activePeerQuery says which peers are listed.
type activePeerQuery struct {
	UserID string `query:"user_id"`
	Role   string `query:"role"`
}

func (a *API) listActivePeers(r *http.Request, workspaceID string, in activePeerQuery) (activePeersObject, error) {
	o := activePeersObject{Peers: make(map[string]activePeerObject)}
	live, _, err := a.activeRoom(r, workspaceID)
	if err != nil {
		return o, err
	}
	peers, err := live.Attendees(r.Context())
	for _, p := range peers {
		if (in.UserID == "" || in.UserID == p.UserID) && (in.Role == "" || in.Role == p.Role) {
			o.Peers[p.PeerID] = showActivePeer(p)
		}
	}
	return o, activeError(err)
}

func (a *API) getActivePeer(r *http.Request, workspaceID string, _ nothing) (peerWithTracksObject, error) {
	live, _, err := a.activeRoom(r, workspaceID)
	if err != nil {
		return peerWithTracksObject{}, err
	}
	p, err := live.Attendee(r.Context(), r.PathValue("peer_id"))
	return showPeerWithTracks(p), activeError(err)
}

// peerInput is what can be changed of a peer.
type peerInput struct {
	Name     *string `json:"name"`
	Role     *string `json:"role"`
	Metadata *string `json:"metadata"`
}

func (a *API) changeActivePeer(r *http.Request, workspaceID string, in peerInput) (peerWithTracksObject, error) {
	live, _, err := a.activeRoom(r, workspaceID)
	if err != nil {
		return peerWithTracksObject{}, err
	}
	p, err := live.ChangePeer(r.Context(), r.PathValue("peer_id"), room.PeerChange{Name: in.Name, Role: nonEmpty(in.Role), Data: in.Metadata})
	return showPeerWithTracks(p), activeError(err)
}

// muteInput says what of a peer is muted.
type muteInput struct {
	Type protocol.TrackKind `json:"type"` // audio when it is not given
}

func (in *muteInput) check() error {
	in.Type = cmp.Or(in.Type, protocol.Audio)
	if in.Type != protocol.Audio && in.Type != protocol.Video {
		return badParam("body", "type must be one of %v", []protocol.TrackKind{protocol.Audio, protocol.Video})
	}
	return nil
}

func (a *API) mutePeer(r *http.Request, workspaceID string, in muteInput) (messageObject, error) {
	live, _, err := a.activeRoom(r, workspaceID)
	if err != nil {
		return messageObject{}, err
	}
	return messageObject{"mute request submitted"}, activeError(live.Mute(r.Context(), r.PathValue("peer_id"), in.Type))
}

// messageInput is a message of the server. A peer goes before a role; neither means everybody.
type messageInput struct {
	Message   string `json:"message"`
	PeerID    string `json:"peer_id"`
	OldPeerID string `json:"peerId"` // what the Node SDK calls it
	Role      string `json:"role"`
	Type      string `json:"type"` // absent: chat
}

func (in *messageInput) check() error {
	if in.Message == "" {
		return badParam("body", "message is missing")
	}
	return nil
}

func (a *API) sendMessage(r *http.Request, workspaceID string, in messageInput) (messageObject, error) {
	live, _, err := a.activeRoom(r, workspaceID)
	if err != nil {
		return messageObject{}, err
	}
	err = live.Say(r.Context(), protocol.Message{Message: in.Message, Type: cmp.Or(in.Type, "chat")}, in.Role, cmp.Or(in.PeerID, in.OldPeerID))
	return messageObject{"message sent"}, activeError(err)
}

// removeInput says who is removed, and what they are told.
type removeInput struct {
	PeerID string `json:"peer_id"`
	Role   string `json:"role"`
	Reason string `json:"reason"`
}

func (in *removeInput) check() error {
	if in.PeerID == "" && in.Role == "" {
		return badParam("body", "peer_id or role is missing")
	}
	return checkReason(in.Reason)
}

func checkReason(reason string) error {
	if len(reason) > maxReasonBytes {
		return badParam("body", "reason longer than %d bytes", maxReasonBytes)
	}
	return nil
}

func (a *API) removePeers(r *http.Request, workspaceID string, in removeInput) (messageObject, error) {
	live, _, err := a.activeRoom(r, workspaceID)
	if err != nil {
		return messageObject{}, err
	}
	err = live.Remove(r.Context(), in.PeerID, in.Role, in.Reason)
	return messageObject{"peer remove request submitted"}, activeError(err)
}

// endInput says how a session ends.
type endInput struct {
	Reason string `json:"reason"`
	Lock   bool   `json:"lock"` // disables the room too
}

func (in *endInput) check() error { return checkReason(in.Reason) }

func (a *API) endRoom(r *http.Request, workspaceID string, in endInput) (messageObject, error) {
	live, record, err := a.activeRoom(r, workspaceID)
	if err == nil {
		err = activeError(live.End(r.Context(), protocol.EndRoom{Reason: in.Reason, Lock: in.Lock}))
	}
	if errors.Is(err, errNoSession) { // webhooks tell of that too
		failed := store.RoomEnd{At: time.Now(), Lock: in.Lock, Reason: in.Reason}
		if err := a.Store.RoomEndFailed(r.Context(), record.ID, "", failed, errNoSession.Code, store.FailedNoSession); err != nil {
			return messageObject{}, err
		}
	}
	return messageObject{"session is ending"}, err
}
