package sfu

import (
	"fmt"
	"strings"

	"github.com/pion/sdp/v3"
)

// TrackInfo says what may be published: the client's metadata of a track.
type TrackInfo struct {
	ID       string // the id that subscribers will see in a=msid
	StreamID string
	Kind     Kind
	Prefer   Codec // taken if it is offered; 0: the client's order counts
}

func checkTracks(tracks []TrackInfo) error {
	if len(tracks) > maxTracks {
		return fmt.Errorf("%w: %d tracks", ErrBadTracks, len(tracks))
	}
	seen := map[string]bool{}
	for _, t := range tracks {
		if !token(t.ID, 1, 128) || !token(t.StreamID, 1, 128) || t.StreamID == "-" || t.Kind != Audio && t.Kind != Video {
			return fmt.Errorf("%w: id %q, stream %q, %v", ErrBadTracks, t.ID, t.StreamID, t.Kind)
		}
		if seen[t.ID] {
			return fmt.Errorf("%w: id %q twice", ErrBadTracks, t.ID)
		}
		seen[t.ID] = true
	}
	return nil
}

// parseOffer reads a publish offer, settles the codec of each section and
// says which track each one carries. types are the payload types that the
// connection has used so far; they keep their meaning (RFC 3264 §8.3.2).
func parseOffer(text string, tracks []TrackInfo, types map[uint8]string) (*description, error) {
	d, err := parseDescription(text)
	if err != nil {
		return nil, err
	}
	data := false
	ids := map[uint8]string{}
	for _, sec := range d.sections {
		if sec.disabled || sec.kind == 0 && data {
			sec.refused = true
		}
		if sec.refused {
			continue
		}
		if sec.kind == 0 {
			data = true
			continue
		}
		if !sec.choose(preferred(sec, tracks)) || conflict(types, sec) {
			sec.refused = true
			continue
		}
		for uri, id := range sec.exts {
			// In a bundle an id has one meaning.
			if other, ok := ids[id]; ok && other != uri {
				delete(sec.exts, uri)
				continue
			}
			ids[id] = uri
		}
	}
	d.match(tracks)
	return d, nil
}

// preferred is the codec in which a section's track should come, 0 if that is the client's matter.
func preferred(sec *section, tracks []TrackInfo) (c Codec) {
	for _, t := range tracks {
		switch {
		case t.Kind != sec.kind:
		case t.ID == sec.track:
			return t.Prefer
		case t.StreamID == sec.stream:
			c = t.Prefer
		}
	}
	return c
}

// conflict notes a section's payload types, or reports that they have another
// meaning already.
func conflict(types map[uint8]string, sec *section) bool {
	want := map[uint8]string{sec.pt: sec.codec.String() + sec.fmtp}
	if sec.rtx != 0 {
		want[sec.rtx] = fmt.Sprintf("rtx%d", sec.pt)
	}
	for pt, name := range want {
		if old, ok := types[pt]; ok && old != name {
			return true
		}
	}
	for pt, name := range want {
		types[pt] = name
	}
	return false
}

// match assigns tracks to sections. A client may write another track id into
// msid than into its metadata (a browser publishing the same track a second
// time does), but stream and kind then still fit.
func (d *description) match(tracks []TrackInfo) {
	left := append([]TrackInfo(nil), tracks...)
	take := func(fits func(*section, TrackInfo) bool) {
		for _, sec := range d.sections {
			if sec.refused || sec.kind == 0 || !sec.sends || sec.info.ID != "" {
				continue
			}
			for i, t := range left {
				if t.Kind == sec.kind && fits(sec, t) {
					sec.info = t
					sec.info.Prefer = 0 // settled
					left = append(left[:i], left[i+1:]...)
					break
				}
			}
		}
	}
	take(func(sec *section, t TrackInfo) bool { return sec.track == t.ID })
	take(func(sec *section, t TrackInfo) bool { return sec.stream == t.StreamID })
}

// offer is the description that pion gets.
func (d *description) offer() (string, error) {
	return d.write(func(sec *section) *sdp.MediaDescription {
		switch {
		case sec.refused:
			return nil
		case sec.kind == 0:
			return sec.writeData()
		}
		m := &sdp.MediaDescription{MediaName: sdp.MediaName{
			Media: sec.kind.String(), Protos: []string{"UDP", "TLS", "RTP", "SAVPF"},
		}}
		m.WithPropertyAttribute("rtcp-mux").WithPropertyAttribute("rtcp-rsize")
		channels := uint16(0)
		if sec.codec == Opus {
			channels = 2
		}
		m.WithCodec(sec.pt, sec.codec.String(), sec.codec.ClockRate(), channels, sec.fmtp)
		for _, fb := range sec.feedback {
			m.WithValueAttribute("rtcp-fb", fmt.Sprintf("%d %s", sec.pt, fb))
		}
		if sec.rtx != 0 {
			m.WithCodec(sec.rtx, "rtx", sec.codec.ClockRate(), 0, fmt.Sprintf("apt=%d", sec.pt))
		}
		for _, uri := range publishExts[sec.kind] {
			if id, ok := sec.exts[uri]; ok {
				m.WithValueAttribute("extmap", fmt.Sprintf("%d %s", id, uri))
			}
		}
		if sec.info.ID == "" {
			return m.WithPropertyAttribute("inactive")
		}
		m.WithPropertyAttribute("sendonly")
		m.WithValueAttribute("msid", sec.info.StreamID+" "+sec.info.ID)
		if len(sec.rids) > 0 {
			for _, rid := range sec.rids {
				m.WithValueAttribute("rid", rid+" send")
			}
			m.WithValueAttribute("simulcast", "send "+strings.Join(sec.rids, ";"))
		}
		if len(sec.ssrcs) == 2 && sec.rtx != 0 {
			m.WithValueAttribute("ssrc-group", "FID "+strings.Join(sec.ssrcs, " "))
		}
		for i, ssrc := range sec.ssrcs {
			if i == 0 || sec.rtx != 0 {
				m.WithValueAttribute("ssrc", ssrc+" cname:"+sec.info.StreamID)
			}
		}
		return m
	})
}

// answer makes the client's answer from pion's: the refused sections that
// pion never saw come back in their places.
func (d *description) answer(pions string) (string, error) {
	var s sdp.SessionDescription
	if err := s.UnmarshalString(pions); err != nil {
		return "", fmt.Errorf("sfu: own answer: %w", err)
	}
	byMid := map[string]*sdp.MediaDescription{}
	for _, m := range s.MediaDescriptions {
		if mid, ok := m.Attribute(sdp.AttrKeyMID); ok {
			byMid[mid] = m
		}
	}
	s.MediaDescriptions = nil
	for _, sec := range d.sections {
		m := byMid[sec.mid]
		if m == nil {
			m = refuse(sec.media, sec.mid)
		}
		s.WithMedia(m)
	}
	text, err := s.Marshal()
	if err != nil {
		return "", fmt.Errorf("sfu: own answer: %w", err)
	}
	return string(text), nil
}
