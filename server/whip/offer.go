package whip

import (
	"fmt"
	"slices"
	"strings"

	"github.com/google/uuid"
	"github.com/pion/sdp/v3"

	"amphi/server/policy"
	"amphi/server/protocol"
)

// offer is a client's description as the room gets it: with ids of our own for the
// stream and its tracks. Those that encoders write are the same at every start, or
// the same for all encoders of one make, and ids are unique in a room.
type offer struct {
	sdp        *sdp.SessionDescription
	tracks     map[string]protocol.Track // by id
	ufrag, pwd string
}

func badOffer(format string, args ...any) error {
	return protocol.Errorf(protocol.CodeBadRequest, "the offer %s", fmt.Sprintf(format, args...))
}

func unusable(format string, args ...any) error {
	return protocol.Errorf(protocol.CodeUnprocessable, "the offer %s", fmt.Sprintf(format, args...))
}

// readOffer reads what all offers have.
func readOffer(text string) (*offer, error) {
	o := &offer{sdp: &sdp.SessionDescription{}, tracks: map[string]protocol.Track{}}
	if err := o.sdp.UnmarshalString(text); err != nil {
		return nil, badOffer("is no session description: %v", err)
	}
	o.ufrag, o.pwd = credentials(o.sdp)
	if o.ufrag == "" || o.pwd == "" {
		return nil, badOffer("has no ICE credentials")
	}
	return o, nil
}

// parsePlayed reads what a player posts. What it does not look at, the SFU does.
func parsePlayed(text string) (*offer, error) {
	o, err := readOffer(text)
	if err != nil {
		return nil, err
	}
	for _, m := range o.sdp.MediaDescriptions {
		if d := direction(o.sdp, m); m.MediaName.Media != "application" && d != "recvonly" && d != "sendrecv" {
			return nil, unusable("has %s %s; it can only be received here", d, m.MediaName.Media)
		}
	}
	return o, nil
}

// parseOffer reads what an encoder posts, likewise.
func parseOffer(text string) (*offer, error) {
	o, err := readOffer(text)
	if err != nil {
		return nil, err
	}
	stream := uuid.NewString()
	seen := map[string]bool{}
	for _, m := range o.sdp.MediaDescriptions {
		kind := protocol.TrackKind(m.MediaName.Media)
		if kind != protocol.Audio && kind != protocol.Video {
			continue
		}
		_, bundleOnly := m.Attribute("bundle-only")
		if m.MediaName.Port.Value == 0 && !bundleOnly {
			continue // there is nothing in it, RFC 3264 §6
		}
		switch direction := direction(o.sdp, m); {
		case direction != "sendonly" && direction != "sendrecv":
			return nil, unusable("has %s %s; it can only be sent here (RFC 9725 §4.2)", direction, kind)
		case seen[string(kind)]:
			return nil, unusable("has more than one %s (RFC 9725 §4.4.2)", kind)
		}
		seen[string(kind)] = true
		t := protocol.Track{TrackID: uuid.NewString(), StreamID: stream, Kind: kind, Source: protocol.SourceRegular}
		o.tracks[t.TrackID] = t
		rename(m, t)
	}
	if len(o.tracks) == 0 {
		return nil, unusable("has neither audio nor video")
	}
	return o, nil
}

func (o *offer) text() string {
	text, err := o.sdp.Marshal()
	if err != nil { // it was parsed, and what we changed are attributes
		return ""
	}
	return string(text)
}

// credentials are those of ICE, which are the same in all sections of a bundle.
func credentials(s *sdp.SessionDescription) (ufrag, pwd string) {
	read := func(attributes []sdp.Attribute) {
		for _, a := range attributes {
			switch {
			case a.Key == "ice-ufrag" && ufrag == "":
				ufrag = a.Value
			case a.Key == "ice-pwd" && pwd == "":
				pwd = a.Value
			}
		}
	}
	for _, m := range s.MediaDescriptions {
		read(m.Attributes)
	}
	read(s.Attributes)
	return ufrag, pwd
}

// direction of a section; sendrecv is the default (RFC 8866 §6.7).
func direction(s *sdp.SessionDescription, m *sdp.MediaDescription) string {
	for _, attributes := range [][]sdp.Attribute{m.Attributes, s.Attributes} {
		for _, a := range attributes {
			switch a.Key {
			case "sendrecv", "sendonly", "recvonly", "inactive":
				return a.Key
			}
		}
	}
	return "sendrecv"
}

// rename gives a section the ids of a track.
func rename(m *sdp.MediaDescription, t protocol.Track) {
	m.Attributes = slices.DeleteFunc(m.Attributes, func(a sdp.Attribute) bool { return a.Key == "msid" })
	for i, a := range m.Attributes {
		// The form before a=msid, which also says which SSRC there is.
		if ssrc, value, _ := strings.Cut(a.Value, " "); a.Key == "ssrc" && strings.HasPrefix(value, "msid:") {
			m.Attributes[i].Value = ssrc + " cname:" + t.StreamID
		}
	}
	m.WithValueAttribute("msid", t.StreamID+" "+t.TrackID)
}

// restarted is the offer with the ICE credentials and candidates of a fragment.
func (o *offer) restarted(f *fragment) (*offer, error) {
	n := &offer{sdp: &sdp.SessionDescription{}, tracks: o.tracks, ufrag: f.ufrag, pwd: f.pwd}
	if err := n.sdp.UnmarshalString(o.text()); err != nil {
		return nil, err
	}
	ofICE := func(a sdp.Attribute) bool {
		return slices.Contains([]string{"ice-ufrag", "ice-pwd", "candidate", "end-of-candidates"}, a.Key)
	}
	n.sdp.Attributes = slices.DeleteFunc(n.sdp.Attributes, ofICE)
	for _, m := range n.sdp.MediaDescriptions {
		m.Attributes = slices.DeleteFunc(m.Attributes, ofICE)
		m.WithICECredentials(f.ufrag, f.pwd)
		for _, c := range f.candidates {
			m.WithValueAttribute("candidate", c)
		}
	}
	return n, nil
}

// dress completes the room's answer: with the bit rates that the role may send at,
// and with rtcp-mux-only where the client asked for it (RFC 9725 §4.4.1).
func dress(answer string, o *offer, role *policy.Role) (string, error) {
	s := &sdp.SessionDescription{}
	if err := s.UnmarshalString(answer); err != nil {
		return "", fmt.Errorf("whip: own answer: %w", err)
	}
	for i, m := range s.MediaDescriptions {
		if i >= len(o.sdp.MediaDescriptions) {
			break
		}
		offered := o.sdp.MediaDescriptions[i]
		if _, only := offered.Attribute("rtcp-mux-only"); only {
			m.WithPropertyAttribute("rtcp-mux-only")
		}
		if _, layers := offered.Attribute("simulcast"); layers {
			continue // the rates of the role are those of one layer
		}
		if kbps := bitrate(role, protocol.TrackKind(m.MediaName.Media)); kbps > 0 {
			m.Bandwidth = append(m.Bandwidth, sdp.Bandwidth{Type: "AS", Bandwidth: uint64(kbps)},
				sdp.Bandwidth{Type: "TIAS", Bandwidth: uint64(kbps) * 1000})
		}
	}
	text, err := s.Marshal()
	if err != nil {
		return "", fmt.Errorf("whip: own answer: %w", err)
	}
	return string(text), nil
}

// bitrate is what the role may send of a kind in kbit/s; 0: as much as it likes.
func bitrate(role *policy.Role, kind protocol.TrackKind) int {
	switch {
	case role == nil:
	case kind == protocol.Audio && role.PublishParams.Audio != nil:
		return role.PublishParams.Audio.BitRate
	case kind == protocol.Video && role.PublishParams.Video != nil:
		return role.PublishParams.Video.BitRate
	}
	return 0
}
