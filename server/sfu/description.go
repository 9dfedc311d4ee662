package sfu

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/pion/sdp/v3"
)

// A session description is untrusted input of a large grammar. It is parsed
// once, here, into sections; what pion then sees is a new description written
// from them, which has only what is understood: one codec a section, known
// extensions, at most one SSRC with its RTX, one transport.

// section is one media section of a client's description.
type section struct {
	media    *sdp.MediaDescription
	kind     Kind // 0: the data channel section
	mid      string
	refused  bool // port 0 in our answer: nothing in it that we can use
	sends    bool // the client wants to send here
	receives bool
	disabled bool // port 0 in the client's description

	stream, track string // of a=msid
	codec         Codec
	pt, rtx       uint8 // payload types; rtx 0: none
	fmtp          string
	feedback      []string
	exts          map[string]uint8
	ssrcs         []string // none, media, or media and RTX
	rids          []string // simulcast streams in the order of a=simulcast, best first

	info TrackInfo // offers: what is published here; zero ID: nothing, answered inactive
}

// description is a parsed session description.
type description struct {
	session     string // id of the o= line: stays the same for the life of the client's connection
	ufrag, pwd  string
	fingerprint string // "algorithm value"
	candidates  []string
	trickle     bool
	setup       string // "active", "passive" or "actpass" (RFC 8842 §5)
	sections    []*section
}

func badSDP(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrBadSDP, fmt.Sprintf(format, args...))
}

// parseDescription reads what offers and answers have in common.
func parseDescription(text string) (*description, error) {
	if len(text) > maxSDP {
		return nil, badSDP("%d bytes", len(text))
	}
	var s sdp.SessionDescription
	if err := s.UnmarshalString(text); err != nil {
		return nil, badSDP("%v", err)
	}
	if len(s.MediaDescriptions) == 0 || len(s.MediaDescriptions) > maxSections {
		return nil, badSDP("%d media sections", len(s.MediaDescriptions))
	}
	d := &description{session: strconv.FormatUint(s.Origin.SessionID, 10)}
	bundle := []string{}
	for _, a := range s.Attributes {
		if a.Key == "group" && strings.HasPrefix(a.Value, "BUNDLE") {
			bundle = strings.Fields(a.Value)[1:]
		}
	}
	seen := map[string]bool{}
	for _, m := range s.MediaDescriptions {
		sec, err := parseSection(m, &s)
		if err != nil {
			return nil, err
		}
		if seen[sec.mid] {
			return nil, badSDP("mid %q twice", sec.mid)
		}
		seen[sec.mid] = true
		if len(s.MediaDescriptions) > 1 && !slices.Contains(bundle, sec.mid) {
			// A section outside the bundle would need a transport of its own.
			sec.disabled = true
		}
		d.sections = append(d.sections, sec)
	}
	if err := d.parseTransport(&s, bundle); err != nil {
		return nil, err
	}
	return d, nil
}

// parseTransport finds the one transport: at session level, in the section
// that the bundle is tagged by (RFC 9143 §7.2), or in the first one.
func (d *description) parseTransport(s *sdp.SessionDescription, bundle []string) error {
	tag := d.sections[0].media
	for _, sec := range d.sections {
		if len(bundle) > 0 && sec.mid == bundle[0] {
			tag = sec.media
		}
	}
	attribute := func(key string) string {
		if v, ok := tag.Attribute(key); ok {
			return v
		}
		v, _ := s.Attribute(key)
		return v
	}
	d.ufrag, d.pwd = attribute("ice-ufrag"), attribute("ice-pwd")
	d.fingerprint = attribute("fingerprint")
	d.trickle = strings.Contains(attribute("ice-options"), "trickle")
	if d.setup = attribute("setup"); d.setup != "active" && d.setup != "passive" && d.setup != "actpass" {
		return badSDP("setup %q", d.setup)
	}
	if !token(d.ufrag, 4, 256) || !token(d.pwd, 22, 256) {
		return badSDP("no usable ICE credentials")
	}
	if f := strings.Fields(d.fingerprint); len(f) != 2 || !token(f[0], 1, 16) || !token(f[1], 32, 256) {
		return badSDP("no usable fingerprint")
	}
	for _, a := range tag.Attributes {
		if a.Key == "candidate" && len(d.candidates) < maxCandidates && len(a.Value) < 512 {
			d.candidates = append(d.candidates, a.Value)
		}
	}
	return nil
}

func parseSection(m *sdp.MediaDescription, s *sdp.SessionDescription) (*section, error) {
	mid, _ := m.Attribute(sdp.AttrKeyMID)
	if !token(mid, 1, 32) {
		return nil, badSDP("media section with mid %q", mid)
	}
	sec := &section{media: m, mid: mid}
	_, bundleOnly := m.Attribute("bundle-only")
	sec.disabled = m.MediaName.Port.Value == 0 && !bundleOnly
	protocol := strings.Join(m.MediaName.Protos, "/")
	switch media := m.MediaName.Media; {
	case media == "application" && strings.HasSuffix(protocol, "DTLS/SCTP"):
		return sec, nil
	case media == "audio" && strings.HasSuffix(protocol, "RTP/SAVPF"):
		sec.kind = Audio
	case media == "video" && strings.HasSuffix(protocol, "RTP/SAVPF"):
		sec.kind = Video
	default:
		sec.refused = true
		return sec, nil
	}
	sec.sends, sec.receives = true, true // RFC 8866 §6.7: sendrecv is the default
	for _, attributes := range [][]sdp.Attribute{s.Attributes, m.Attributes} {
		for _, a := range attributes {
			switch a.Key {
			case "sendrecv":
				sec.sends, sec.receives = true, true
			case "sendonly":
				sec.sends, sec.receives = true, false
			case "recvonly":
				sec.sends, sec.receives = false, true
			case "inactive":
				sec.sends, sec.receives = false, false
			}
		}
	}
	sec.parseStreams()
	sec.parseExtensions()
	return sec, nil
}

// parseStreams reads msid, SSRCs and simulcast streams.
func (sec *section) parseStreams() {
	var first, group []string
	rids := map[string]bool{}
	for _, a := range sec.media.Attributes {
		f := strings.Fields(a.Value)
		switch {
		case a.Key == "msid" && len(f) == 2:
			sec.stream, sec.track = f[0], f[1]
		case a.Key == "ssrc" && len(f) > 0 && isSSRC(f[0]):
			if len(first) == 0 {
				first = f[:1]
			}
			if len(f) == 3 && strings.HasPrefix(f[1], "msid:") && sec.track == "" {
				sec.stream, sec.track = strings.TrimPrefix(f[1], "msid:"), f[2]
			}
		case a.Key == "ssrc-group" && len(f) == 3 && f[0] == "FID" && len(group) == 0 && isSSRC(f[1]) && isSSRC(f[2]):
			group = f[1:]
		case a.Key == "rid" && len(f) >= 2 && f[1] == "send" && token(f[0], 1, 16):
			rids[f[0]] = true
		case a.Key == "simulcast" && len(f) >= 2:
			for i, direction := range f[:len(f)-1] {
				if direction != "send" {
					continue
				}
				for alternatives := range strings.SplitSeq(f[i+1], ";") {
					rid, _, _ := strings.Cut(alternatives, ",")
					if rid = strings.TrimPrefix(rid, "~"); rids[rid] && !slices.Contains(sec.rids, rid) && len(sec.rids) < 4 {
						sec.rids = append(sec.rids, rid)
					}
				}
			}
		}
	}
	switch {
	case len(sec.rids) > 0: // known by rid, whatever their SSRCs
	case len(group) > 0:
		sec.ssrcs = group
	default:
		sec.ssrcs = first
	}
}

func (sec *section) parseExtensions() {
	sec.exts = map[string]uint8{}
	for _, a := range sec.media.Attributes {
		if a.Key != "extmap" {
			continue
		}
		f := strings.Fields(a.Value)
		if len(f) < 2 {
			continue
		}
		id, _, _ := strings.Cut(f[0], "/")
		n, err := strconv.ParseUint(id, 10, 8)
		// One-byte headers have room for ids 1 to 14 (RFC 8285 §4.2).
		if err != nil || n < 1 || n > 14 {
			continue
		}
		for _, known := range publishExts[sec.kind] {
			if _, twice := sec.exts[known]; f[1] == known && !twice {
				sec.exts[known] = uint8(n)
			}
		}
	}
}

// format is one payload type of a section.
type format struct {
	pt   uint8
	name string // of rtpmap, lower case, with clock rate and channels
	fmtp string
}

func (sec *section) formats() []format {
	names, fmtps := map[string]string{}, map[string]string{}
	for _, a := range sec.media.Attributes {
		pt, value, _ := strings.Cut(a.Value, " ")
		switch a.Key {
		case "rtpmap":
			names[pt] = strings.ToLower(strings.TrimSpace(value))
		case "fmtp":
			fmtps[pt] = strings.TrimSpace(value)
		}
	}
	var all []format
	for _, f := range sec.media.MediaName.Formats {
		// RFC 5761 §4: 64 to 95 would be taken for RTCP.
		if pt, err := strconv.ParseUint(f, 10, 8); err == nil && (pt < 64 || pt > 95) && pt < 128 {
			all = append(all, format{uint8(pt), names[f], fmtps[f]})
		}
	}
	return all
}

// choose settles on the section's one codec, with its RTX: the one that is preferred, or the first that every
// receiver decodes, or else the first that we forward. It reports whether there
// is one.
func (sec *section) choose(prefer Codec) bool {
	formats := sec.formats()
	forwarded := func(f format) bool { return f.codec() != 0 && f.codec().kind() == sec.kind }
	i := slices.IndexFunc(formats, func(f format) bool { return forwarded(f) && f.codec() == prefer })
	if i < 0 {
		i = slices.IndexFunc(formats, func(f format) bool { return forwarded(f) && f.codec() != VP9 && f.codec() != AV1 })
	}
	if i < 0 {
		i = slices.IndexFunc(formats, forwarded)
	}
	if i < 0 {
		return false
	}
	f := formats[i]
	sec.codec = f.codec()
	switch sec.codec {
	case Opus:
		sec.fmtp = opusFmtp
		if fmtpValue(f.fmtp, "stereo") == "1" {
			sec.fmtp += ";stereo=1;sprop-stereo=1"
		}
	case H264:
		// Constrained baseline is preferred among the H.264 formats, whose
		// order says little: it is what all receivers have.
		for _, other := range formats {
			if other.codec() == H264 && strings.HasPrefix(other.profile(), "42e0") {
				f = other
				break
			}
		}
		sec.fmtp = h264Fmtp(f.profile())
	case VP9:
		sec.fmtp = vp9Fmtp
	}
	sec.pt = f.pt
	if sec.kind == Video {
		sec.rtx = rtxOf(formats, f.pt)
	}
	for _, a := range sec.media.Attributes {
		if pt, fb, _ := strings.Cut(a.Value, " "); a.Key == "rtcp-fb" && (pt == "*" || pt == strconv.Itoa(int(sec.pt))) {
			if slices.Contains(feedback, fb) && !slices.Contains(sec.feedback, fb) {
				sec.feedback = append(sec.feedback, fb)
			}
		}
	}
	return true
}

// feedback are the RTCP messages of RFC 4585 and its extensions in use.
var feedback = []string{"transport-cc", "nack", "nack pli", "ccm fir"}

// profile is the profile-level-id of H.264. Of the many ways to write constrained
// baseline and baseline (RFC 6184 §8.1, table 5) it knows those with profile 66, and
// makes them one: what counts is constraint_set1.
func (f format) profile() string {
	p := strings.ToLower(fmtpValue(f.fmtp, "profile-level-id"))
	switch {
	case len(p) != 6 || p[:2] != "42" || p[3] != '0':
		return p
	case strings.IndexByte("4567cdef", p[2]) >= 0:
		return "42e0" + p[4:]
	default:
		return "4200" + p[4:]
	}
}

// codec is the codec of a format, 0 if it is none of ours.
func (f format) codec() Codec {
	switch f.name {
	case "opus/48000/2":
		return Opus
	case "vp8/90000":
		return VP8
	case "h264/90000":
		p := f.profile()
		if len(p) == 6 && (strings.HasPrefix(p, "42e0") || strings.HasPrefix(p, "4200")) && fmtpValue(f.fmtp, "packetization-mode") == "1" {
			return H264
		}
	case "vp9/90000":
		if p := fmtpValue(f.fmtp, "profile-id"); p == "" || p == "0" {
			return VP9
		}
	case "av1/90000":
		if p := fmtpValue(f.fmtp, "profile"); p == "" || p == "0" {
			return AV1
		}
	}
	return 0
}

func rtxOf(formats []format, pt uint8) uint8 {
	for _, f := range formats {
		if f.name == "rtx/90000" && fmtpValue(f.fmtp, "apt") == strconv.Itoa(int(pt)) {
			return f.pt
		}
	}
	return 0
}

func fmtpValue(fmtp, key string) string {
	for p := range strings.SplitSeq(fmtp, ";") {
		if k, v, _ := strings.Cut(strings.TrimSpace(p), "="); strings.EqualFold(k, key) {
			return v
		}
	}
	return ""
}

func isSSRC(s string) bool {
	n, err := strconv.ParseUint(s, 10, 32)
	return err == nil && n != 0
}

// token says whether s can stand in an SDP attribute: printable ASCII without
// space. Firefox refuses descriptions with anything else.
func token(s string, shortest, longest int) bool {
	if len(s) < shortest || len(s) > longest {
		return false
	}
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// write makes the description that pion gets: the sections for which body
// returns attributes, bundled on one transport at session level.
func (d *description) write(body func(*section) *sdp.MediaDescription) (string, error) {
	id, _ := strconv.ParseUint(d.session, 10, 64)
	out := &sdp.SessionDescription{
		Origin: sdp.Origin{
			Username: "-", SessionID: id, SessionVersion: 1,
			NetworkType: "IN", AddressType: "IP4", UnicastAddress: "127.0.0.1",
		},
		SessionName:      "-",
		TimeDescriptions: []sdp.TimeDescription{{}},
	}
	group := "BUNDLE"
	for _, sec := range d.sections {
		m := body(sec)
		if m == nil {
			continue
		}
		m.MediaName.Port = sdp.RangedPort{Value: 9}
		m.ConnectionInformation = noAddress()
		m.WithValueAttribute(sdp.AttrKeyMID, sec.mid)
		m.WithValueAttribute("setup", d.setup)
		if len(out.MediaDescriptions) == 0 {
			for _, c := range d.candidates {
				m.WithValueAttribute("candidate", c)
			}
		}
		out.WithMedia(m)
		group += " " + sec.mid
	}
	if len(out.MediaDescriptions) == 0 {
		return "", badSDP("no media section that can be used")
	}
	out.WithValueAttribute("group", group).
		WithValueAttribute("ice-ufrag", d.ufrag).
		WithValueAttribute("ice-pwd", d.pwd).
		WithValueAttribute("fingerprint", d.fingerprint)
	if d.trickle {
		out.WithValueAttribute("ice-options", "trickle")
	}
	text, err := out.Marshal()
	if err != nil {
		return "", badSDP("%v", err)
	}
	return string(text), nil
}

func noAddress() *sdp.ConnectionInformation {
	return &sdp.ConnectionInformation{NetworkType: "IN", AddressType: "IP4", Address: &sdp.Address{Address: "0.0.0.0"}}
}

// writeData is the section of the data channel.
func (sec *section) writeData() *sdp.MediaDescription {
	m := &sdp.MediaDescription{MediaName: sdp.MediaName{
		Media: "application", Protos: []string{"UDP", "DTLS", "SCTP"}, Formats: []string{"webrtc-datachannel"},
	}}
	m.WithValueAttribute("sctp-port", "5000")
	if size, ok := sec.media.Attribute("max-message-size"); ok && token(size, 1, 10) {
		m.WithValueAttribute("max-message-size", size)
	}
	return m
}

// refuse is the form of a section with port 0 (RFC 3264 §6).
func refuse(m *sdp.MediaDescription, mid string) *sdp.MediaDescription {
	name := m.MediaName
	name.Port = sdp.RangedPort{Value: 0}
	if len(name.Formats) > 1 {
		name.Formats = name.Formats[:1]
	}
	r := &sdp.MediaDescription{MediaName: name, ConnectionInformation: noAddress()}
	return r.WithValueAttribute(sdp.AttrKeyMID, mid).WithPropertyAttribute("inactive")
}
