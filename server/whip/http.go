package whip

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"

	"github.com/google/uuid"

	"amphi/server/config"
	"amphi/server/protocol"
	"amphi/server/room"
)

// Media types of the bodies.
const (
	TypeSDP      = "application/sdp"
	TypeFragment = "application/trickle-ice-sdpfrag" // RFC 8840
)

const (
	maxOfferBytes    = 64 << 10
	maxFragmentBytes = 16 << 10
	maxAgentBytes    = 512
)

// retryAfter is for how many seconds a client should keep away that found no place.
const retryAfter = "30"

// Publish answers an offer that an encoder posts (RFC 9725 §4.2). An error has been
// answered by nothing but header fields.
func (s *Server) Publish(w http.ResponseWriter, r *http.Request, g Grant) error {
	return s.open(w, r, g, false)
}

// Play answers an offer that a player posts (draft-ietf-wish-whep §4.2), likewise.
func (s *Server) Play(w http.ResponseWriter, r *http.Request, g Grant) error {
	return s.open(w, r, g, true)
}

func (s *Server) open(w http.ResponseWriter, r *http.Request, g Grant, plays bool) error {
	err := s.answer(w, r, g, plays)
	if err == nil {
		return nil
	}
	s.stats.refused.Add(1)
	err = refusal(err)
	var e *protocol.Error
	if errors.As(err, &e) && (e.Code == protocol.CodeUnavailable || e.Code == protocol.CodeTooMany) {
		w.Header().Set("Retry-After", retryAfter)
	}
	return err
}

func (s *Server) answer(w http.ResponseWriter, r *http.Request, g Grant, plays bool) error {
	w.Header().Set("Accept-Post", TypeSDP)
	body, err := readBody(r, TypeSDP, maxOfferBytes)
	if err != nil {
		return err
	}
	place, parse := "/whip/", parseOffer
	if plays {
		place, parse = "/whep/", parsePlayed
	}
	o, err := parse(string(body))
	if err != nil {
		return err
	}
	e, err := s.reserve(g, plays)
	if err != nil {
		return err
	}
	agent := strings.ToValidUTF8(r.UserAgent(), "")
	answer, err := e.join(r.Context(), g, room.Identity{
		PeerID: uuid.NewString(), UserID: g.UserID, Role: g.Role, TokenHash: g.Credential, Agent: agent[:min(len(agent), maxAgentBytes)], Silent: true,
	}, name(r, plays), o)
	if err != nil {
		s.release(e)
		return err
	}
	s.watch(e)
	s.stats.opened.Add(1)
	h := w.Header()
	h.Set("Location", place+url.PathEscape(g.Place)+"/"+e.id)
	h.Set("ETag", e.tag)
	h.Set("Accept-Patch", TypeFragment)
	if s.ICEServers != nil {
		for _, link := range links(s.ICEServers()) {
			h.Add("Link", link)
		}
	}
	h.Set("Content-Type", TypeSDP)
	w.WriteHeader(http.StatusCreated)
	_, _ = io.WriteString(w, answer)
	return nil
}

// name is what the others in the room read: RFC 9725 has no place for one but the URL.
func name(r *http.Request, plays bool) string {
	if n := strings.TrimSpace(strings.ToValidUTF8(r.URL.Query().Get("name"), "")); n != "" {
		return n
	}
	if plays {
		return "WHEP"
	}
	return "WHIP"
}

// Patch takes candidates that a client found since its offer, or restarts ICE
// (RFC 9725 §4.3).
func (s *Server) Patch(w http.ResponseWriter, r *http.Request, id string, credential [32]byte) error {
	w.Header().Set("Accept-Patch", TypeFragment)
	e, err := s.find(id, credential)
	if err != nil {
		return err
	}
	body, err := readBody(r, TypeFragment, maxFragmentBytes)
	if err != nil {
		return err
	}
	f, err := parseFragment(string(body))
	if err != nil {
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.peer == nil { // the answer, which names the session, has not been sent yet
		return protocol.Errorf(protocol.CodeNotFound, "no such session")
	}
	any, err := precondition(r, e.tag)
	if err != nil {
		return err
	}
	restarts := f.ufrag != "" && (f.ufrag != e.offer.ufrag || f.pwd != e.offer.pwd)
	if !restarts {
		if err := e.trickle(f); err != nil {
			return refusal(err)
		}
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
	if !any {
		return protocol.Errorf(http.StatusPreconditionFailed, "an ICE restart needs If-Match: *")
	}
	answer, err := e.restart(r.Context(), f)
	if err != nil {
		return refusal(err)
	}
	h := w.Header()
	h.Set("ETag", e.tag)
	h.Set("Content-Type", TypeFragment)
	w.WriteHeader(http.StatusOK)
	_, _ = io.WriteString(w, answer)
	return nil
}

// Delete ends a session at its client's wish.
func (s *Server) Delete(w http.ResponseWriter, id string, credential [32]byte) error {
	e, err := s.find(id, credential)
	if err != nil {
		return err
	}
	e.drop(room.LeftByRequest)
	w.WriteHeader(http.StatusOK)
	return nil
}

// trickle adds candidates. Those that cannot be used are passed over in silence, as
// RFC 9725 §4.3.2 has it. The caller holds e.mu.
func (e *session) trickle(f *fragment) error {
	target := protocol.TargetPublish
	if e.plays {
		target = protocol.TargetSubscribe
	}
	for _, c := range f.candidates {
		err := e.peer.Trickle(protocol.Trickle{Target: target, Candidate: protocol.Candidate{Candidate: "candidate:" + c}})
		var p *protocol.Error
		if errors.As(err, &p) && p.Code == protocol.CodeBadRequest {
			continue
		}
		if err != nil {
			return err
		}
		e.server.stats.candidates.Add(1)
	}
	return nil
}

// restart answers new ICE credentials with new ones of ours: to the room it is the
// last offer once more, with those in it. The caller holds e.mu.
func (e *session) restart(ctx context.Context, f *fragment) (string, error) {
	o, err := e.offer.restarted(f)
	if err != nil {
		return "", err
	}
	answer, err := e.peer.Renegotiate(ctx, o.text())
	if err != nil {
		return "", err
	}
	text, err := answerFragment(answer)
	if err != nil {
		return "", err
	}
	e.offer, e.tag = o, newTag()
	e.server.stats.restarts.Add(1)
	return text, nil
}

// readBody reads a body of that media type.
func readBody(r *http.Request, kind string, most int64) ([]byte, error) {
	if given, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || given != kind {
		return nil, protocol.Errorf(http.StatusUnsupportedMediaType, "Content-Type must be %s", kind)
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, most+1))
	switch {
	case err != nil:
		return nil, protocol.Errorf(protocol.CodeBadRequest, "the body could not be read")
	case int64(len(body)) > most:
		return nil, protocol.Errorf(protocol.CodeTooLarge, "the body has more than %d bytes", most)
	}
	return body, nil
}

// precondition checks If-Match against the tag of the ICE session (RFC 9110
// §13.1.1). any says that it was "*".
func precondition(r *http.Request, tag string) (any bool, err error) {
	given := r.Header.Values("If-Match")
	if len(given) == 0 {
		return false, protocol.Errorf(http.StatusPreconditionRequired, "If-Match must have the ETag of the ICE session")
	}
	for t := range strings.SplitSeq(strings.Join(given, ","), ",") {
		switch strings.TrimSpace(t) {
		case "*":
			return true, nil
		case tag:
			return false, nil
		}
	}
	return false, protocol.Errorf(http.StatusPreconditionFailed, "this is for another ICE session")
}

// links are the header fields that tell of STUN and TURN servers (RFC 9725 §4.6).
func links(servers []config.ICEServer) []string {
	var list []string
	for _, s := range servers {
		for _, u := range s.URLs {
			link := fmt.Sprintf(`<%s>; rel="ice-server"`, u)
			if s.Username != "" {
				link += fmt.Sprintf(`; username=%s; credential=%s; credential-type="password"`, quoted(s.Username), quoted(s.Credential))
			}
			list = append(list, link)
		}
	}
	return list
}

// quoted is a quoted-string of RFC 9110 §5.6.4.
func quoted(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}

// refusal turns an error of a room into one with the status that HTTP has for it.
func refusal(err error) error {
	switch {
	case errors.Is(err, room.ErrNotFound):
		return protocol.Errorf(protocol.CodeNotFound, "room not found")
	case errors.Is(err, room.ErrDisabled):
		return protocol.Errorf(protocol.CodeForbidden, "room is disabled")
	case errors.Is(err, room.ErrRoomFull), errors.Is(err, room.ErrRoleFull):
		return protocol.Errorf(protocol.CodeUnavailable, "%s", room.AsProtocol(err).Message)
	case errors.Is(err, room.ErrClosed):
		return protocol.Errorf(protocol.CodeUnavailable, "the room has just ended")
	}
	var e *protocol.Error
	if errors.As(err, &e) && e.Code == protocol.CodeGone { // removed while it was joining, or since
		return protocol.Errorf(protocol.CodeNotFound, "no such session")
	}
	return err
}
