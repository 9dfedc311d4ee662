package api

import (
	"cmp"
	"crypto/sha256"
	"errors"
	"net/http"
	"slices"

	"amphi/server/auth"
	"amphi/server/store"
	"amphi/server/whip"
)

func (a *API) whipEndpoints() []endpoint {
	endpoints := func(prefix, summary string, open func(w http.ResponseWriter, r *http.Request, g whip.Grant) error) []endpoint {
		summary += ": an offer for an answer. The bearer is an auth token or a room code; query: name"
		admitted := func(w http.ResponseWriter, r *http.Request) error {
			g, err := a.streamer(r)
			if err != nil {
				return err
			}
			return open(w, r, g)
		}
		return []endpoint{
			streaming("POST", prefix, summary, whip.TypeSDP, whip.TypeSDP, admitted).answering(http.StatusCreated),
			streaming("POST", prefix+"/{room}", summary+". The room is its id, or a room code, which needs no bearer", whip.TypeSDP, whip.TypeSDP, admitted).answering(http.StatusCreated),
			streaming("PATCH", prefix+"/{room}/{session}", "Add ICE candidates, or restart ICE (RFC 8840)", whip.TypeFragment, whip.TypeFragment, func(w http.ResponseWriter, r *http.Request) error {
				return a.WHIP.Patch(w, r, r.PathValue("session"), digest(r))
			}),
			streaming("DELETE", prefix+"/{room}/{session}", "End the session", "", "", func(w http.ResponseWriter, r *http.Request) error {
				return a.WHIP.Delete(w, r.PathValue("session"), digest(r))
			}).answering(http.StatusOK),
		}
	}
	return described("Encoders and players", slices.Concat(
		endpoints("/whip", "Publish from an encoder (WHIP, RFC 9725)", a.WHIP.Publish),
		endpoints("/whep", "Watch with a player (WHEP): one picture and one sound, of who is in front", a.WHIP.Play),
	)...)
}

// streaming makes an endpoint for encoders and players. It writes its good answers itself; takes and gives are the media types of
// the bodies.
func streaming(method, path, summary, takes, gives string, h func(w http.ResponseWriter, r *http.Request) error) endpoint {
	e := makeEndpoint(method, path, summary, func(w http.ResponseWriter, r *http.Request, _ caller, _ unread) (written, error) {
		return written{}, h(w, r)
	})
	e.access, e.takesType, e.givesType = byEncoder, takes, gives
	return e
}

// credential is what an encoder shows: the bearer token, which may be a room code, or the room code in the path. Many
// encoders have a field for an address, and none for a token.
func credential(r *http.Request) string { return cmp.Or(bearer(r), r.PathValue("room")) }

// digest tells the owner of a session.
func digest(r *http.Request) [32]byte { return sha256.Sum256([]byte(credential(r))) }

// streamer says what an encoder may do.
func (a *API) streamer(r *http.Request) (whip.Grant, error) {
	place := r.PathValue("room")
	var g auth.Grant
	var err error
	if _, isCode := auth.ParseRoomCode(credential(r)); isCode {
		g, err = a.grantOf(r, credential(r))
	} else if g, err = a.verifier.App(r.Context(), bearer(r)); err == nil {
		// The token's key belongs to a workspace, and opens the rooms of that one only.
		if _, err = a.Store.Room(r.Context(), g.WorkspaceID, g.RoomID); errors.Is(err, store.ErrNotFound) {
			err = errNoRoom
		}
	}
	if err != nil {
		return whip.Grant{}, err
	}
	if place != "" && place != g.RoomID {
		if code, _, _, err := a.roomOfCode(r, place); err != nil || code.RoomID != g.RoomID {
			return whip.Grant{}, refuse(http.StatusForbidden, "the token is for another room")
		}
	}
	return whip.Grant{RoomID: g.RoomID, UserID: g.UserID, Role: g.Role, Credential: digest(r), Place: cmp.Or(place, g.RoomID)}, nil
}
