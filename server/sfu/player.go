package sfu

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pion/sdp/v3"

	"amphi/server/sfu/transport"
)

// A player is a client that offers to receive, gets an answer, and hears of no
// change after that (WHEP). Its session has the sections that it offered, one
// stream each. What is sent on a stream changes with what Subscribe says: another
// track goes on where the one before ended, with the stream's SSRC, so that the
// client sees one stream that never ends.

// play is the wish of Peer.Play.
type play struct {
	offer *description
	done  chan played
}

type played struct {
	answer string
	err    error
}

// Play answers an offer of a connection on which the client only receives. From
// then on Subscribe says what it gets: the tracks in the order of preference, of
// which as many are sent as the client has sections for. An offer of the same
// connection with other ICE credentials restarts ICE. A peer that plays cannot
// StartSubscribe.
func (p *Peer) Play(ctx context.Context, offerSDP string) (answerSDP string, err error) {
	o, err := parseDescription(offerSDP)
	if err != nil {
		p.sfu.stats.badSDP.Add(1)
		return "", err
	}
	d := p.startDownlink()
	if d == nil {
		return "", ErrClosed
	}
	q := &play{o, make(chan played, 1)}
	if !d.post(func(b *mailbox) { b.play = append(b.play, q) }) {
		return "", ErrClosed
	}
	select {
	case r := <-q.done:
		return r.answer, r.err
	case <-d.done:
		return "", ErrClosed
	case <-ctx.Done():
		return "", fmt.Errorf("sfu: play: %w", ctx.Err())
	}
}

// play answers a player's offer. It runs on the downlink's goroutine.
func (d *downlink) play(o *description) (answer string, err error) {
	lines := playedLines(o)
	if len(lines) == 0 {
		return "", badSDP("no media section that can be played")
	}
	l := d.link
	anew := l == nil || d.broken() || !l.fixed || o.fingerprint != l.fingerprint || len(lines) != len(l.lines)
	if anew {
		l = newSession(d, "")
		l.fixed, l.lines = true, lines
	} else {
		l.transport.Restart()
	}
	l.version++
	answer = l.answer(o)
	if err := l.transport.SetRemote(transport.Remote{
		Credentials: transport.Credentials{Ufrag: o.ufrag, Password: o.pwd},
		Fingerprint: o.fingerprint, Passive: o.setup == "passive",
	}); err != nil {
		if anew {
			l.close()
		}
		return "", badSDP("%v", err)
	}
	l.answered, l.answeredAt = true, time.Now()
	l.remote, l.fingerprint = o.session, o.fingerprint
	if anew {
		d.install(l)
	}
	return answer, nil
}

// taken is how a player takes a codec in a section.
type taken struct {
	pt, rtx  uint8
	fmtp     string
	feedback []string
}

// playedLines are the sections of an offer in which something can be played.
func playedLines(o *description) []*line {
	var lines []*line
	for _, sec := range o.sections {
		if sec.kind == 0 || sec.disabled || sec.refused || !sec.receives || len(lines) == maxTracks {
			continue
		}
		n := &line{kind: sec.kind, mid: sec.mid, ssrc: newSSRC(), rtxSSRC: newSSRC(), takes: map[Codec]taken{}, exts: sec.exts}
		formats := sec.formats()
		for _, f := range formats {
			c := f.codec()
			if c == 0 || c.kind() != sec.kind {
				continue
			}
			// Constrained baseline is preferred among the formats of H.264.
			if _, known := n.takes[c]; known && !(c == H264 && strings.HasPrefix(f.profile(), "42e0") && !strings.Contains(n.takes[c].fmtp, "42e0")) {
				continue
			}
			t := taken{pt: f.pt, feedback: sec.feedbackOf(f.pt)}
			switch c {
			case Opus:
				t.fmtp = opusFmtp
			case H264:
				t.fmtp = h264Fmtp(fmtpValue(f.fmtp, "profile-level-id")) // as it was offered
			case VP9:
				t.fmtp = vp9Fmtp
			}
			if c.kind() == Video {
				t.rtx = rtxOf(formats, f.pt)
			}
			n.takes[c] = t
		}
		if len(n.takes) > 0 {
			lines = append(lines, n)
		}
	}
	return lines
}

// feedbackOf are the feedback messages that a format may have, of those in use.
func (sec *section) feedbackOf(pt uint8) (list []string) {
	for _, a := range sec.media.Attributes {
		if format, fb, _ := strings.Cut(a.Value, " "); a.Key == "rtcp-fb" && (format == "*" || format == strconv.Itoa(int(pt))) &&
			slices.Contains(feedback, fb) && !slices.Contains(list, fb) {
			list = append(list, fb)
		}
	}
	return list
}

// answer writes the answer to a player's offer.
func (l *session) answer(o *description) string {
	byMid := map[string]*line{}
	var bundle []string
	for _, n := range l.lines {
		byMid[n.mid] = n
		bundle = append(bundle, n.mid)
	}
	setup := "passive"
	if o.setup == "passive" {
		setup = "active"
	}
	var b strings.Builder
	write := func(format string, args ...any) { fmt.Fprintf(&b, format+"\r\n", args...) }
	l.writeHead(write, strings.Join(bundle, " "))
	first := true
	for _, sec := range o.sections {
		n := byMid[sec.mid]
		if n == nil {
			name := sec.media.MediaName
			format := "0"
			if len(name.Formats) > 0 {
				format = name.Formats[0]
			}
			write("m=%s 0 %s %s", name.Media, strings.Join(name.Protos, "/"), format)
			write("c=IN IP4 0.0.0.0")
			write("a=mid:%s", sec.mid)
			write("a=inactive")
			continue
		}
		n.write(write, sec)
		l.writeTransport(write, setup)
		if first {
			l.writeCandidates(write)
			first = false
		}
		write("a=msid:%s %s", l.down.peer.id, n.mid)
		write("a=ssrc:%d cname:%s", n.ssrc, l.down.peer.id)
		if n.kind == Video {
			write("a=ssrc:%d cname:%s", n.rtxSSRC, l.down.peer.id)
			write("a=ssrc-group:FID %d %d", n.ssrc, n.rtxSSRC)
		}
	}
	return b.String()
}

// write writes what an answer says of a section's media.
func (n *line) write(write func(string, ...any), sec *section) {
	pts := ""
	for _, f := range offeredFormats[n.kind] {
		if t, ok := n.takes[f.codec]; ok {
			pts += " " + strconv.Itoa(int(t.pt))
			if t.rtx != 0 {
				pts += " " + strconv.Itoa(int(t.rtx))
			}
		}
	}
	write("m=%v 9 UDP/TLS/RTP/SAVPF%s", n.kind, pts)
	write("c=IN IP4 0.0.0.0")
	write("a=mid:%s", n.mid)
	write("a=sendonly")
	write("a=rtcp-mux")
	write("a=rtcp-rsize")
	if _, only := sec.media.Attribute("rtcp-mux-only"); only {
		write("a=rtcp-mux-only")
	}
	for _, f := range offeredFormats[n.kind] {
		t, ok := n.takes[f.codec]
		if !ok {
			continue
		}
		m := (&sdp.MediaDescription{}).WithCodec(t.pt, f.codec.String(), f.codec.ClockRate(), channels(f.codec), t.fmtp)
		if t.rtx != 0 {
			m.WithCodec(t.rtx, "rtx", f.codec.ClockRate(), 0, "apt="+strconv.Itoa(int(t.pt)))
		}
		for _, fb := range t.feedback {
			m.WithValueAttribute("rtcp-fb", fmt.Sprintf("%d %s", t.pt, fb))
		}
		for _, a := range m.Attributes {
			write("a=%s:%s", a.Key, a.Value)
		}
	}
	for _, uri := range []string{extLevel, extTWCC} {
		if id, ok := n.exts[uri]; ok {
			write("a=extmap:%d %s", id, uri)
		}
	}
}

func channels(c Codec) uint16 {
	if c == Opus {
		return 2
	}
	return 0
}

// show sends on the sections what is desired: of each kind as many tracks as there
// are sections for. A track that is sent already stays where it is.
func (l *session) show(desired []*Track) {
	changed := false
	for _, kind := range []Kind{Video, Audio} {
		var lines []*line
		for _, n := range l.lines {
			if n.kind == kind {
				lines = append(lines, n)
			}
		}
		var chosen []*Track
		for _, t := range desired {
			if t.info.Kind == kind && len(chosen) < len(lines) && slices.ContainsFunc(lines, func(n *line) bool { return n.takes[t.codec].pt != 0 }) {
				chosen = append(chosen, t)
			}
		}
		for _, n := range lines {
			if n.sub == nil {
				continue
			}
			if i := slices.Index(chosen, n.sub.down.track); i >= 0 {
				chosen = slices.Delete(chosen, i, i+1)
				continue
			}
			l.take(n)
			changed = true
		}
		for _, t := range chosen {
			if i := slices.IndexFunc(lines, func(n *line) bool { return n.sub == nil && n.takes[t.codec].pt != 0 }); i >= 0 {
				l.put(lines[i], t)
				changed = true
			}
		}
	}
	if changed {
		l.index()
	}
}

// repairGap is how many numbers of the RTX stream are left out when another track
// takes a stream over: more than a repair that is still under way can use.
const repairGap = 2 * maxRetransmit

// take ends what is sent on a section's stream, and keeps what the next track has
// to go on from.
func (l *session) take(n *line) {
	d := n.sub.down
	l.subs = slices.DeleteFunc(l.subs, func(s *subscription) bool { return s == n.sub })
	l.release(n.sub)
	n.sub = nil
	d.out.Store(nil)
	// From here on nothing is sent by it: a packet that is on its way holds this.
	d.track.forwarding.Lock()
	n.munger = d.munger
	d.track.forwarding.Unlock()
	n.munger.stop()
	d.again.mu.Lock()
	n.again = d.again.index + repairGap
	d.again.mu.Unlock()
}

// put sends a track on a section's stream.
func (l *session) put(n *line, t *Track) {
	d := newDownTrack(t, l, true)
	d.ssrc, d.rtxSSRC = n.ssrc, n.rtxSSRC
	if n.munger.started {
		d.munger, d.again.index = n.munger, n.again
	}
	c := n.takes[t.codec]
	b := &binding{ssrc: n.ssrc, pt: c.pt, twcc: n.exts[extTWCC], level: n.exts[extLevel]}
	if c.rtx != 0 {
		b.rtxSSRC, b.rtxPT = n.rtxSSRC, c.rtx
	}
	l.arrives(d)
	d.out.Store(b)
	n.sub = &subscription{down: d, line: n}
	l.subs = append(l.subs, n.sub)
	l.down.peer.sfu.stats.subscriptions.Add(1)
	t.addDown(d)
	d.askKey()
}
