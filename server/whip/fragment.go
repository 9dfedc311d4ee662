package whip

import (
	"fmt"
	"strings"
	"unicode"

	"github.com/pion/sdp/v3"

	"amphi/server/protocol"
)

// maxCandidates bounds the candidates of one fragment.
const maxCandidates = 64

// fragment is what counts of a body of type application/trickle-ice-sdpfrag
// (RFC 8840 §9): the ICE credentials, and candidates for the one transport.
type fragment struct {
	ufrag, pwd string   // both or none
	candidates []string // without "candidate:"
}

func badFragment(format string, args ...any) error {
	return protocol.Errorf(protocol.CodeBadRequest, "the SDP fragment %s", fmt.Sprintf(format, args...))
}

// parseFragment reads what a client sends with PATCH. Attributes that it does not
// know it passes over.
func parseFragment(text string) (*fragment, error) {
	f := &fragment{}
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\r\n")
		if line == "" {
			continue
		}
		kind, value, ok := strings.Cut(line, "=")
		if strings.ContainsFunc(line, unicode.IsControl) || !ok || kind != "a" && kind != "m" {
			return nil, badFragment("has a line that is neither a= nor m=")
		}
		if kind == "m" {
			continue
		}
		key, value, _ := strings.Cut(value, ":")
		switch key {
		case "ice-ufrag":
			if !once(&f.ufrag, value, 4) {
				return nil, badFragment("has unusable ICE credentials")
			}
		case "ice-pwd":
			if !once(&f.pwd, value, 22) {
				return nil, badFragment("has unusable ICE credentials")
			}
		case "candidate":
			if len(f.candidates) == maxCandidates {
				return nil, badFragment("has more than %d candidates", maxCandidates)
			}
			f.candidates = append(f.candidates, value)
		}
	}
	if (f.ufrag == "") != (f.pwd == "") {
		return nil, badFragment("has only one of ice-ufrag and ice-pwd")
	}
	return f, nil
}

// once sets a credential (RFC 8839 §5.4) that may be repeated, but only as it was:
// all sections share one transport.
func once(to *string, value string, shortest int) bool {
	if len(value) < shortest || len(value) > 256 || *to != "" && *to != value {
		return false
	}
	for _, c := range []byte(value) {
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '+' || c == '/'
		if !letter {
			return false
		}
	}
	*to = value
	return true
}

// answerFragment is what a client needs of the answer to an ICE restart.
func answerFragment(answer string) (string, error) {
	s := &sdp.SessionDescription{}
	if err := s.UnmarshalString(answer); err != nil || len(s.MediaDescriptions) == 0 {
		return "", fmt.Errorf("whip: own answer: %w", err)
	}
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\r\n", args...) }
	for _, a := range s.Attributes {
		if a.Key == "ice-lite" || a.Key == "ice-options" || a.Key == "group" {
			line("a=%s", text(a))
		}
	}
	// All that ICE needs is in the section that the bundle is tagged by: the first.
	m := s.MediaDescriptions[0]
	line("m=%s", m.MediaName.String())
	ufrag, pwd := credentials(s)
	if mid, ok := m.Attribute(sdp.AttrKeyMID); ok {
		line("a=mid:%s", mid)
	}
	line("a=ice-ufrag:%s", ufrag)
	line("a=ice-pwd:%s", pwd)
	for _, a := range m.Attributes {
		if a.Key == "candidate" {
			line("a=%s", text(a))
		}
	}
	line("a=end-of-candidates")
	return b.String(), nil
}

func text(a sdp.Attribute) string {
	if a.Value == "" {
		return a.Key
	}
	return a.Key + ":" + a.Value
}
