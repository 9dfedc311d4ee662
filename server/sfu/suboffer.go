package sfu

import (
	"fmt"
	"strconv"
	"strings"
)

// offered is how a codec is offered to subscribers.
type offered struct {
	codec Codec
	pt    uint8
	rtx   uint8 // its payload type of RFC 4588, 0: none
	fmtp  string
}

// offeredFormats are what the sections of a kind name. Every video section
// names both of the usual codecs, so that it can be used again for a track of
// the other one; the one that is sent is the track's.
var offeredFormats = map[Kind][]offered{
	Audio: {{Opus, 111, 0, opusFmtp}},
	Video: {{VP8, 96, 97, ""}, {H264, 98, 99, h264Fmtp("42e01f")}, {VP9, 100, 101, vp9Fmtp}, {AV1, 102, 103, ""}},
}

// formats are what a section names: the rare codecs only where they are sent.
func (n *line) formats() (list []offered) {
	for _, f := range offeredFormats[n.kind] {
		if f.codec != VP9 && f.codec != AV1 || n.sub != nil && n.sub.down.track.codec == f.codec {
			list = append(list, f)
		}
	}
	return list
}

// Towards subscribers there are only those extensions that are filled in:
// transport-wide sequence numbers, so that their feedback can steer
// bandwidth, and the level of audio. Not the orientation of video: where a
// client may not announce a rotation it rotates the picture itself, and the
// compositor need not.
const (
	levelID = 1
	twccID  = 2
)

// describe writes an offer.
func (l *session) describe() string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\r\n", args...) }
	bundle := "0"
	for i, n := range l.lines {
		if !n.dead {
			bundle += " " + strconv.Itoa(i+1)
		}
	}
	l.writeHead(line, bundle)
	line("a=extmap-allow-mixed")
	section := func(mid int) {
		line("c=IN IP4 0.0.0.0")
		line("a=mid:%d", mid)
		l.writeTransport(line, "actpass")
	}
	line("m=application 9 UDP/DTLS/SCTP webrtc-datachannel")
	section(0)
	l.writeCandidates(line)
	line("a=sctp-port:5000")
	line("a=max-message-size:%d", maxChannelMessage)
	for i, n := range l.lines {
		formats := n.formats()
		if n.dead {
			line("m=%v 0 UDP/TLS/RTP/SAVPF %d", n.kind, formats[0].pt)
			line("c=IN IP4 0.0.0.0")
			line("a=mid:%d", i+1)
			line("a=inactive")
			continue
		}
		pts := ""
		for _, f := range formats {
			pts += " " + strconv.Itoa(int(f.pt))
			if f.rtx != 0 {
				pts += " " + strconv.Itoa(int(f.rtx))
			}
		}
		line("m=%v 9 UDP/TLS/RTP/SAVPF%s", n.kind, pts)
		section(i + 1)
		line("a=rtcp-mux")
		line("a=rtcp-rsize")
		for _, f := range formats {
			f.write(line)
		}
		if n.kind == Audio {
			line("a=extmap:%d %s", levelID, extLevel)
		}
		line("a=extmap:%d %s", twccID, extTWCC)
		if n.sub == nil {
			line("a=inactive")
			continue
		}
		line("a=sendonly")
		n.sub.down.write(line)
	}
	return b.String()
}

// writeHead writes what stands before the media sections; bundle are the mids of all that are in use.
func (l *session) writeHead(line func(string, ...any), bundle string) {
	line("v=0")
	line("o=- %d %d IN IP4 127.0.0.1", l.id, l.version)
	line("s=-")
	line("t=0 0")
	line("a=group:BUNDLE %s", bundle)
	line("a=msid-semantic:WMS *")
	line("a=ice-lite")
}

// writeTransport writes what a section says of the transport that all share.
func (l *session) writeTransport(line func(string, ...any), setup string) {
	local := l.transport.Local()
	line("a=setup:%s", setup)
	line("a=ice-ufrag:%s", local.Ufrag)
	line("a=ice-pwd:%s", local.Password)
	line("a=fingerprint:%s", l.down.peer.sfu.port.Fingerprint())
}

// writeCandidates writes where the port is; the first section in use says so for all.
func (l *session) writeCandidates(line func(string, ...any)) {
	for _, c := range l.down.peer.sfu.port.Candidates() {
		line("a=candidate:%s", c)
	}
	line("a=end-of-candidates")
}

func (f *offered) write(line func(string, ...any)) {
	if f.codec.kind() == Audio {
		line("a=rtpmap:%d %v/%d/2", f.pt, f.codec, f.codec.ClockRate())
		line("a=rtcp-fb:%d transport-cc", f.pt)
	} else {
		line("a=rtpmap:%d %v/%d", f.pt, f.codec, f.codec.ClockRate())
		for _, fb := range feedback {
			line("a=rtcp-fb:%d %s", f.pt, fb)
		}
		// For clients that know nothing of the former. Browsers send it where packets have no transport-wide number,
		// and what comes beside transport-wide feedback is not looked at.
		line("a=rtcp-fb:%d goog-remb", f.pt)
	}
	if f.fmtp != "" {
		line("a=fmtp:%d %s", f.pt, f.fmtp)
	}
	if f.rtx != 0 {
		line("a=rtpmap:%d rtx/%d", f.rtx, f.codec.ClockRate())
		line("a=fmtp:%d apt=%d", f.rtx, f.pt)
	}
}

// write writes what the section says of its stream.
func (d *downTrack) write(line func(string, ...any)) {
	msid := d.track.info.StreamID + " " + d.track.info.ID
	line("a=msid:%s", msid)
	ssrcs := []uint32{d.ssrc}
	if d.track.info.Kind == Video {
		ssrcs = append(ssrcs, d.rtxSSRC)
		line("a=ssrc-group:FID %d %d", d.ssrc, d.rtxSSRC)
	}
	for _, ssrc := range ssrcs {
		line("a=ssrc:%d cname:%s", ssrc, d.track.info.StreamID)
		line("a=ssrc:%d msid:%s", ssrc, msid)
	}
}

// check says whether an answer fits the outstanding offer.
func (l *session) check(a *description) error {
	if len(a.sections) != len(l.lines)+1 {
		return fmt.Errorf("%w: %d media sections for %d", ErrUnexpectedAnswer, len(a.sections), len(l.lines)+1)
	}
	for i, sec := range a.sections {
		kind, media := Kind(0), "application"
		if i > 0 {
			kind = l.lines[i-1].kind
			media = kind.String()
		}
		if sec.mid != strconv.Itoa(i) || sec.media.MediaName.Media != media {
			return fmt.Errorf("%w: section %d has mid %q", ErrUnexpectedAnswer, i, sec.mid)
		}
		if kind == 0 && (sec.disabled || sec.refused) {
			return badSDP("the data channel is refused")
		}
	}
	return nil
}

// settle finds how the client takes a track in a section of its answer; nil if
// it does not.
func (d *downTrack) settle(sec *section) *binding {
	if sec.disabled || sec.refused || !sec.receives {
		return nil
	}
	formats := sec.formats()
	for _, f := range offeredFormats[sec.kind] {
		if f.codec != d.track.codec {
			continue
		}
		for _, theirs := range formats {
			if theirs.pt != f.pt || theirs.codec() != f.codec {
				continue
			}
			b := &binding{ssrc: d.ssrc, pt: f.pt}
			if rtx := rtxOf(formats, f.pt); rtx != 0 && rtx == f.rtx {
				b.rtxPT, b.rtxSSRC = rtx, d.rtxSSRC
			}
			if sec.exts[extTWCC] == twccID {
				b.twcc = twccID
			}
			if sec.exts[extLevel] == levelID {
				b.level = levelID
			}
			return b
		}
	}
	return nil
}
