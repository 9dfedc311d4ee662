package sfu

import (
	"fmt"
	"strconv"

	"github.com/pion/sdp/v3"
)

// refusal says which codecs a client did not accept in a section.
type refusal uint8

// refusedSection: the whole section, by port 0.
const refusedSection refusal = 0xff

func codecBit(c Codec) refusal { return 1 << c }

// answerFor makes the answer that pion gets from a client's to our offer. A
// section that the client refused is answered for it as inactive, because
// pion needs a codec in each; which ones those are is returned by mid.
func answerFor(a *description, offer string) (text string, refused map[string]refusal, err error) {
	var o sdp.SessionDescription
	if err := o.UnmarshalString(offer); err != nil {
		return "", nil, fmt.Errorf("sfu: own offer: %w", err)
	}
	if len(o.MediaDescriptions) != len(a.sections) {
		return "", nil, fmt.Errorf("%w: %d media sections for %d", ErrUnexpectedAnswer, len(a.sections), len(o.MediaDescriptions))
	}
	offered := map[string]*sdp.MediaDescription{}
	for i, m := range o.MediaDescriptions {
		mid, _ := m.Attribute(sdp.AttrKeyMID)
		sec := a.sections[i]
		if sec.mid != mid || sec.media.MediaName.Media != m.MediaName.Media {
			return "", nil, fmt.Errorf("%w: section %d has mid %q for %q", ErrUnexpectedAnswer, i, sec.mid, mid)
		}
		if sec.kind == 0 && (sec.disabled || sec.refused) {
			return "", nil, badSDP("the data channel is refused")
		}
		offered[mid] = m
	}
	refused = map[string]refusal{}
	text, err = a.write(func(sec *section) *sdp.MediaDescription {
		if sec.kind == 0 {
			return sec.writeData()
		}
		own := offered[sec.mid]
		m := &sdp.MediaDescription{MediaName: sdp.MediaName{Media: sec.kind.String(), Protos: own.MediaName.Protos}}
		m.WithPropertyAttribute("rtcp-mux").WithPropertyAttribute("rtcp-rsize")
		accepted := false
		missing := codecBit(VP8) | codecBit(H264) | codecBit(Opus)
		if !sec.disabled {
			var pts []uint8
			formats := sec.formats()
			for _, f := range formats {
				c := f.codec()
				if c == 0 || c.kind() != sec.kind || !hasFormat(own, f.pt) {
					continue
				}
				accepted = true
				missing &^= codecBit(c)
				pts = append(pts, f.pt)
				channels := uint16(0)
				if c == Opus {
					channels = 2
				}
				// The offer's own parameters: those of the answer say what
				// the client would like to get, and we do not encode.
				m.WithCodec(f.pt, c.String(), c.ClockRate(), channels, offeredFmtp(own, f.pt))
				if rtx := rtxOf(formats, f.pt); rtx != 0 && hasFormat(own, rtx) {
					m.WithCodec(rtx, "rtx", c.ClockRate(), 0, "apt="+strconv.Itoa(int(f.pt)))
				}
			}
			for _, pt := range pts {
				for _, fb := range feedback {
					m.WithValueAttribute("rtcp-fb", fmt.Sprintf("%d %s", pt, fb))
				}
			}
			for uri, id := range sec.exts {
				m.WithValueAttribute("extmap", fmt.Sprintf("%d %s", id, uri))
			}
		}
		if missing != 0 {
			refused[sec.mid] = missing
		}
		if !accepted {
			if sec.disabled {
				refused[sec.mid] = refusedSection
			}
			m.MediaName.Formats = own.MediaName.Formats
			for _, at := range own.Attributes {
				switch at.Key {
				case "rtpmap", "fmtp", "rtcp-fb":
					m.Attributes = append(m.Attributes, at)
				}
			}
			return m.WithPropertyAttribute("inactive")
		}
		if _, sends := own.Attribute("sendonly"); sends && !sec.receives {
			refused[sec.mid] = codecBit(VP8) | codecBit(H264) | codecBit(Opus)
		}
		if !sec.receives {
			return m.WithPropertyAttribute("inactive")
		}
		return m.WithPropertyAttribute("recvonly")
	})
	return text, refused, err
}

func hasFormat(m *sdp.MediaDescription, pt uint8) bool {
	for _, f := range m.MediaName.Formats {
		if f == strconv.Itoa(int(pt)) {
			return true
		}
	}
	return false
}

func offeredFmtp(m *sdp.MediaDescription, pt uint8) string {
	prefix := strconv.Itoa(int(pt)) + " "
	for _, a := range m.Attributes {
		if a.Key == "fmtp" && len(a.Value) > len(prefix) && a.Value[:len(prefix)] == prefix {
			return a.Value[len(prefix):]
		}
	}
	return ""
}
