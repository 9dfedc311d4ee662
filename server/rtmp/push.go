// Package rtmp pushes composed streams to other services and takes in what encoders send, over the
// Real-Time Messaging Protocol (Adobe's RTMP 1.0) and the same over TLS.
package rtmp

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/abema/go-mp4"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"

	"amphi/server/egress"
	"amphi/server/live"
)

// Push sends one composed stream to several servers. It is the stream's sink: what it is given it
// prepares once for all of them.
type Push struct {
	log     *slog.Logger
	targets []*target
	running sync.WaitGroup
	over    func(live.Ended)
	allow   egress.Rule
	tls     *tls.Config

	// What follows belongs to the stream's goroutine.
	format   live.Format
	sps, pps []byte
	head     *head // nil before a key picture
}

// head is what a server must know before pictures.
type head struct {
	format        live.Format
	config        *mp4.AVCDecoderConfiguration
	width, height int // pixels
}

// counters are totals over all pushes.
type counters struct {
	sent, dropped, lost atomic.Uint64
	targets             atomic.Int64
}

// newPush makes a push to several addresses. begun is called when one of the servers takes pictures, over
// when the stream has ended and all servers were told. Before the sink's Begin nothing happens.
func newPush(addrs []Address, log *slog.Logger, stats *counters, begun func(), over func(live.Ended)) *Push {
	p := &Push{log: log, over: over}
	for _, a := range addrs {
		p.targets = append(p.targets, newTarget(a, log, stats, begun))
	}
	return p
}

// start connects to the servers.
func (p *Push) start() {
	for _, t := range p.targets {
		t.allow, t.tls = p.allow, p.tls
		t.stats.targets.Add(1)
		p.running.Go(func() {
			defer t.stats.targets.Add(-1)
			t.run()
		})
	}
}

// failures are why servers have no connection, one line for all; empty if one has.
func (p *Push) failures() string {
	var text string
	for _, t := range p.targets {
		why := t.failure.Load()
		if why == nil {
			return ""
		}
		if text != "" {
			text += "; "
		}
		text += t.addr.String() + ": " + *why
	}
	return text
}

// Begin implements [live.Sink].
func (p *Push) Begin(f live.Format) {
	p.format, p.head, p.sps, p.pps = f, nil, nil, nil
}

// Video implements [live.Sink].
func (p *Push) Video(rendition int, pts time.Duration, key bool, au []byte) {
	if rendition != 0 { // servers get the best
		return
	}
	var nalus h264.AnnexB
	if err := nalus.Unmarshal(au); err != nil {
		p.log.Error("picture could not be pushed", "err", err)
		return
	}
	payload := make(h264.AVCC, 0, len(nalus))
	sps, pps := p.sps, p.pps
	for _, n := range nalus {
		switch h264.NALUType(n[0] & 0x1f) {
		case h264.NALUTypeSPS:
			sps = n
		case h264.NALUTypePPS:
			pps = n
		case h264.NALUTypeAccessUnitDelimiter:
		default:
			payload = append(payload, n)
		}
	}
	if p.head == nil || !bytes.Equal(sps, p.sps) || !bytes.Equal(pps, p.pps) {
		if !key || sps == nil || pps == nil {
			return
		}
		h, err := newHead(p.format, sps, pps)
		if err != nil {
			p.log.Error("picture could not be pushed", "err", err)
			return
		}
		p.head, p.sps, p.pps = h, sps, pps
	}
	data, err := payload.Marshal()
	if err != nil { // it has no NAL units
		return
	}
	for _, t := range p.targets {
		t.offer(unit{video: true, key: key, at: pts, data: data, head: p.head})
	}
}

// Audio implements [live.Sink].
func (p *Push) Audio(pts time.Duration, au []byte) {
	for _, t := range p.targets {
		t.offer(unit{at: pts, data: au})
	}
}

// End implements [live.Sink].
func (p *Push) End(why live.Ended) {
	for _, t := range p.targets {
		close(t.ended)
	}
	go func() {
		p.running.Wait()
		p.over(why)
	}()
}

func newHead(f live.Format, sps, pps []byte) (*head, error) {
	var s h264.SPS
	if err := s.Unmarshal(sps); err != nil {
		return nil, fmt.Errorf("sequence parameter set: %w", err)
	}
	set := func(n []byte) []mp4.AVCParameterSet {
		return []mp4.AVCParameterSet{{Length: uint16(len(n)), NALUnit: n}}
	}
	return &head{format: f, width: s.Width(), height: s.Height(), config: &mp4.AVCDecoderConfiguration{
		AnyTypeBox:           mp4.AnyTypeBox{Type: mp4.BoxTypeAvcC()},
		ConfigurationVersion: 1, Profile: s.ProfileIdc, ProfileCompatibility: sps[2], Level: s.LevelIdc,
		Reserved: 0b111111, LengthSizeMinusOne: 3, Reserved2: 0b111, // ISO/IEC 14496-15 §5.3.3.1
		NumOfSequenceParameterSets: 1, SequenceParameterSets: set(sps),
		NumOfPictureParameterSets: 1, PictureParameterSets: set(pps),
	}}, nil
}
