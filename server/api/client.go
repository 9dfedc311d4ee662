package api

import (
	"cmp"
	"errors"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/google/uuid"

	"amphi/server/auth"
	"amphi/server/config"
	"amphi/server/policy"
	"amphi/server/store"
)

// maxUserIDBytes bounds the name by which a customer's server knows somebody. It travels in tokens.
const maxUserIDBytes = 256

func (a *API) clientEndpoints() []endpoint {
	return described("Clients",
		public("GET", "/init", "Where a client finds its WebSocket; needs an auth token", a.init),
		public("POST", "/v2/token", "Exchange a room code for an auth token", a.token),
		public("GET", "/v2/layouts/ui", "Layouts of the prebuilt user interface; needs an auth token", a.layouts),
		public("POST", "/v2/client/report", "Telemetry of clients whose WebSocket does not work; errors are kept if an auth token says whose they are", a.report),
		public("POST", "/v2/client/feedback", "Feedback of clients, of which nothing is kept", a.discard),
	)
}

// tokenInput is a room code and whom the token is for.
type tokenInput struct {
	Code   string `json:"code"`
	UserID string `json:"user_id"` // absent: a random one
}

func (in *tokenInput) check() error {
	switch {
	case in.Code == "":
		return badParam("body", "code is missing")
	case len(in.UserID) > maxUserIDBytes:
		return badParam("body", "user_id longer than %d bytes", maxUserIDBytes)
	}
	return nil
}

// tokenObject is an auth token.
type tokenObject struct {
	Token string `json:"token"`
}

// token exchanges a room code for an auth token.
func (a *API) token(r *http.Request, in tokenInput) (tokenObject, error) {
	var none tokenObject
	g, err := a.grantOf(r, in.Code)
	if err != nil {
		return none, err
	}
	key, err := a.Store.SigningKey(r.Context(), g.WorkspaceID)
	if err != nil {
		return none, err
	}
	g.UserID = cmp.Or(in.UserID, g.UserID)
	token, err := auth.MintApp(key, g, a.TokenLifetime)
	if err != nil {
		return none, err
	}
	return tokenObject{token}, nil
}

// grantOf is what a room code lets somebody do, whom nobody has named.
func (a *API) grantOf(r *http.Request, text string) (auth.Grant, error) {
	code, room, template, err := a.roomOfCode(r, text)
	switch {
	case errors.Is(err, store.ErrNotFound):
		err = errNoCode
	case err != nil:
	case !room.Enabled:
		err = errRoomOff
	case !code.Enabled:
		err = refuse(http.StatusForbidden, "room code is disabled")
	case template.Policy.Roles[code.Role] == nil:
		err = refuse(http.StatusForbidden, "the room has no role %q any more", code.Role)
	}
	if err != nil {
		return auth.Grant{}, err
	}
	return auth.Grant{WorkspaceID: room.WorkspaceID, RoomID: room.ID, Role: code.Role, UserID: uuid.NewString()}, nil
}

// initQuery is what clients tell when they connect.
type initQuery struct {
	PeerID    string `query:"peer_id"` // set when it reconnects
	UserAgent string `query:"user_agent_v2"`
	Region    string `query:"region"`
}

// initAnswer is where a client goes on.
type initAnswer struct {
	Endpoint         string `json:"endpoint"` // of the WebSocket
	RTCConfiguration struct {
		ICEServers []config.ICEServer `json:"ice_servers"` // never null: clients reject that
	} `json:"rtcConfiguration"`
	Config struct {
		EnabledFlags   []string    `json:"enabledFlags"`
		PublishStats   statsWindow `json:"publishStats"`
		SubscribeStats statsWindow `json:"subscribeStats"`
	} `json:"config"`
}

// statsWindow says how a client measures its media: seconds in a sample at most, and seconds between reports.
type statsWindow struct {
	Sample int `json:"maxSampleWindowSize"`
	Push   int `json:"maxSamplePushInterval"`
}

// init tells a client where its WebSocket is. The web client calls it before each attempt to connect, reconnects
// included, and never gets over a 404 (its join hangs), so what is wrong with the room is a 400 or 403 here.
func (a *API) init(r *http.Request, in initQuery) (initAnswer, error) {
	var v initAnswer
	grant, _, err := a.admit(r, in.PeerID)
	if err != nil {
		return v, err
	}
	v.Endpoint = a.socketURL(r)
	v.RTCConfiguration.ICEServers = []config.ICEServer{}
	if a.ICEServers != nil {
		v.RTCConfiguration.ICEServers = append(v.RTCConfiguration.ICEServers, a.ICEServers(cmp.Or(in.PeerID, grant.UserID))...)
	}
	v.Config.EnabledFlags = []string{"nonWebRTCDisableOffer", // gallery roles join without peer connections
		"simulcast",                      // clients send the layers of their role
		"publishStats", "subscribeStats"} // clients tell how good their media is
	if a.Whiteboards {
		v.Config.EnabledFlags = append(v.Config.EnabledFlags, "whiteboardEnabled")
	}
	v.Config.PublishStats, v.Config.SubscribeStats = statsWindow{30, 120}, statsWindow{10, 60}
	return v, nil
}

// admit checks a client's auth token and what it is for. A peer that is in the room may come back though its token
// expired or the room was disabled meanwhile.
func (a *API) admit(r *http.Request, peerID string) (auth.Grant, policy.Template, error) {
	var none policy.Template
	g, err := a.verifier.App(r.Context(), bearer(r))
	known := func() bool { return peerID != "" && a.Live.Knows(r.Context(), g.RoomID, peerID) }
	if err != nil && !(errors.Is(err, auth.ErrExpired) && known()) {
		return g, none, err
	}
	room, err := a.Store.Room(r.Context(), g.WorkspaceID, g.RoomID)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return g, none, refuse(http.StatusBadRequest, "room not found")
	case err != nil:
		return g, none, err
	case !room.Enabled && !known():
		return g, none, errRoomOff
	}
	template, err := a.Store.Template(r.Context(), g.WorkspaceID, room.TemplateID)
	if err == nil && template.Policy.Roles[g.Role] == nil {
		err = refuse(http.StatusBadRequest, "the room has no role %q", g.Role)
	}
	return g, template.Policy, err
}

// socketURL is the address of the WebSocket as this client can reach it.
func (a *API) socketURL(r *http.Request) string {
	base := a.PublicURL
	if base == "" {
		scheme := "http"
		proto, _, _ := strings.Cut(r.Header.Get("X-Forwarded-Proto"), ",")
		if r.TLS != nil || strings.EqualFold(strings.TrimSpace(proto), "https") {
			scheme = "https"
		}
		base = scheme + "://" + r.Host
	}
	return "ws" + strings.TrimPrefix(strings.TrimSuffix(base, "/"), "http") + "/ws"
}

// layout tells the prebuilt user interface which screen a role gets. What is left out has the interface's defaults.
type layout struct {
	Role    string  `json:"role"`
	Screens screens `json:"screens"`
}

type screens struct {
	Preview      map[string]screen `json:"preview"`
	Conferencing map[string]screen `json:"conferencing"` // its only key chooses: the grid, or the HLS player
}

type screen struct {
	Elements map[string]any `json:"elements"`
}

// layouts answers with the layouts of the template's roles, that of the token's role first.
func (a *API) layouts(r *http.Request, _ nothing) (list[layout], error) {
	g, template, err := a.admit(r, "")
	if err != nil {
		return list[layout]{}, err
	}
	names := slices.SortedFunc(maps.Keys(template.Roles), func(x, y string) int {
		if (x == g.Role) != (y == g.Role) {
			if x == g.Role {
				return -1
			}
			return 1
		}
		return cmp.Compare(x, y)
	})
	return listOf(minPage, names, func(name string) layout {
		kind := "default"
		if template.Roles[name].Level() == policy.Gallery {
			kind = "hls_live_streaming"
		}
		return layout{Role: name, Screens: screens{
			Preview:      map[string]screen{"default": {Elements: map[string]any{}}},
			Conferencing: map[string]screen{kind: {Elements: map[string]any{"chat": map[string]bool{"public_chat_enabled": true}}}},
		}}
	}, func(string) string { return "" }), nil
}

// discard takes telemetry of clients, and keeps none of it.
func (a *API) discard(r *http.Request, _ unread) (struct{}, error) {
	_, err := io.Copy(io.Discard, r.Body)
	return struct{}{}, err
}
