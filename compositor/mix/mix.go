// Package mix makes one sound of many: each input has a queue that takes the network's jitter
// and the sender's clock drift, and the mixer takes samples from all of them by its own clock.
//
// Senders do not send silence: they mute, or use Opus' discontinuous transmission. So a missing
// packet is a loss only if a later one is there; otherwise the input falls silent and buffers
// anew. Sound is stereo, interleaved, 48 kHz, full scale ±1.
//
// A mixer and its inputs belong to one goroutine.
package mix

import (
	"math"
	"slices"
	"time"
)

// Sizes in samples per channel.
const (
	sampleRate = 48000
	channels   = 2
	ms         = sampleRate / 1000

	targetDelay = 60 * ms  // what a queue holds when all is well
	tolerance   = 10 * ms  // around the target; beyond it the input is played faster or slower
	maxDelay    = 300 * ms // at this, packets are dropped down to the target
	lossLimit   = 120 * ms // a longer gap in timestamps is silence, not loss
	restart     = 1000 * ms
	longest     = 120 * ms // of a packet
	frame       = 20 * ms

	maxPackets = 128
	correction = 0.005 // of speed, against drift
	maxHidden  = 2     // frames made up in a row when a queue has run dry
)

// Decoder decodes the packets of one input. codec.OpusDecoder is one.
type Decoder interface {
	// Decode decodes a packet into pcm, which has room for 120 ms.
	Decode(packet []byte, pcm []float32) (n int, err error)
	// Recover makes n samples of the lost packet before this one, from what it carries of it.
	Recover(packet []byte, pcm []float32, n int) (int, error)
	// Conceal makes up n samples for a lost packet.
	Conceal(pcm []float32, n int) (int, error)
	Close()
}

// Input is one sender's sound.
type Input struct {
	decoder Decoder  // nil once closed
	packets []packet // by timestamp
	queued  int      // samples in packets
	next    uint32   // timestamp after what was decoded last
	filling bool     // nothing is played until the target is reached
	hidden  int      // frames made up since the queue ran dry

	pcm   []float32 // decoded, not played
	work  []float32 // room for the decoder
	at    float64   // place in pcm between its first two samples, while the speed is corrected
	level float64   // samples waiting when played from, mean of about a second
	speed float64

	delay time.Duration // from capture to play, mean
	known bool          // delay is
	power float64       // mean square of what was played, over about 300 ms
	stats InputStats
}

// InputStats are totals of packets.
type InputStats struct {
	Packets   uint64 // taken in
	Dropped   uint64 // too late, or the queue was too long
	Errors    uint64 // refused by the decoder
	Concealed uint64 // made up
}

type packet struct {
	timestamp uint32
	samples   int
	capture   time.Time
	data      []byte
}

// NewInput returns an input, which closes the decoder.
func NewInput(d Decoder) *Input {
	return &Input{decoder: d, filling: true, speed: 1, work: make([]float32, longest*channels)}
}

// Close frees the decoder. The input is silent afterwards.
func (in *Input) Close() {
	if in.decoder != nil {
		in.decoder.Close()
		in.decoder = nil
	}
	in.packets, in.pcm, in.queued = nil, nil, 0
}

// Push queues a packet of so many samples. The queue keeps data.
func (in *Input) Push(timestamp uint32, samples int, capture time.Time, data []byte) {
	in.stats.Packets++
	if samples <= 0 || samples > longest || in.decoder == nil {
		in.stats.Errors++
		return
	}
	// From the end, as packets rarely overtake one another.
	i := len(in.packets)
	for i > 0 && int32(timestamp-in.packets[i-1].timestamp) < 0 {
		i--
	}
	if i > 0 && in.packets[i-1].timestamp == timestamp {
		in.stats.Dropped++
		return
	}
	in.packets = slices.Insert(in.packets, i, packet{timestamp, samples, capture, data})
	in.queued += samples
	if in.waiting() > maxDelay || len(in.packets) > maxPackets {
		for len(in.packets) > 1 && (in.waiting() > targetDelay || len(in.packets) > maxPackets) {
			in.drop()
		}
		in.next = in.packets[0].timestamp
		in.level = float64(in.waiting())
	}
}

func (in *Input) drop() {
	in.take()
	in.stats.Dropped++
}

func (in *Input) take() packet {
	p := in.packets[0]
	in.packets = slices.Delete(in.packets, 0, 1)
	in.queued -= p.samples
	return p
}

// waiting is what the queue holds, in samples.
func (in *Input) waiting() int { return in.queued + len(in.pcm)/channels }

// Stats returns the totals so far and the level after RFC 6464: -dBov, 0 loudest, 127 silence.
func (in *Input) Stats() (InputStats, uint8) {
	level := 127.0
	if in.power > 1e-13 {
		level = max(0, min(127, -10*math.Log10(in.power)))
	}
	return in.stats, uint8(level)
}

// Delay is how much later than captured this input is played, and whether that is known. It stays what it was while the
// sender is silent: pictures that wait for their sound would jump forward, and back when there is some again.
func (in *Input) Delay() (time.Duration, bool) { return in.delay, in.known }

// addTo plays len(out)/2 samples of the input on top of what out holds.
func (in *Input) addTo(out []float32, now time.Time) {
	n := len(out) / channels
	if in.decoder == nil {
		return
	}
	in.steer(n)
	need := n
	if in.speed != 1 || in.at != 0 {
		need = int(math.Ceil(in.at+float64(n)*in.speed)) + 1 // between two samples
	}
	for len(in.pcm)/channels < need && in.decode(now) {
	}
	have := len(in.pcm) / channels
	sum := 0.0
	if in.speed == 1 && in.at == 0 {
		m := min(n, have)
		for i, v := range in.pcm[:m*channels] {
			out[i] += v
			sum += float64(v) * float64(v)
		}
		in.pcm = append(in.pcm[:0], in.pcm[m*channels:]...)
	} else {
		pos := in.at
		for i := range n {
			k := int(pos)
			if k+1 >= have {
				break
			}
			f := float32(pos - float64(k))
			for c := range channels {
				a, b := in.pcm[k*channels+c], in.pcm[(k+1)*channels+c]
				v := a + (b-a)*f
				out[i*channels+c] += v
				sum += float64(v) * float64(v)
			}
			pos += in.speed
		}
		k := min(int(pos), have)
		in.at = pos - float64(int(pos))
		in.pcm = append(in.pcm[:0], in.pcm[k*channels:]...)
	}
	const smooth = 0.07 // of 21 ms in 300 ms
	in.power += smooth * (sum/float64(len(out)) - in.power)
}

// steer chooses the speed by which drift is worked off: the sender's clock is not ours.
func (in *Input) steer(n int) {
	if in.filling {
		in.speed, in.at = 1, 0
		return
	}
	const smooth = 0.02 // of 21 ms in a second
	in.level += smooth * (float64(in.waiting()) - in.level)
	switch off := in.level - targetDelay; {
	case off > tolerance:
		in.speed = 1 + correction
	case off < -tolerance:
		in.speed = 1 - correction
	case in.speed > 1 && off <= 0, in.speed < 1 && off >= 0:
		// Corrected to the middle. The fraction of a sample that is left is not heard.
		in.speed, in.at = 1, 0
	}
}

// decode appends the next packet's samples, or what stands for it, and reports whether there
// were any.
func (in *Input) decode(now time.Time) bool {
	if in.filling {
		if in.queued < targetDelay {
			return false
		}
		in.filling, in.hidden = false, 0
		in.next = in.packets[0].timestamp
		in.level = float64(in.waiting())
	}
	for len(in.packets) > 0 {
		p := in.packets[0]
		gap := int(int32(p.timestamp - in.next))
		switch {
		case gap < -restart || gap > lossLimit:
			// The sender was silent, or began to count anew.
			in.next = p.timestamp
			if in.queued < targetDelay {
				in.filling = true
				return false
			}
			continue
		case gap < 0:
			in.drop()
			continue
		case gap > 0:
			in.hide(p, gap)
			return true
		}
		in.take()
		in.next += uint32(p.samples)
		in.hidden = 0
		m, err := in.decoder.Decode(p.data, in.work)
		if err != nil {
			in.stats.Errors++
			m, err = in.decoder.Conceal(in.work, frame)
			if err != nil {
				continue
			}
		}
		in.measure(p.capture, now)
		in.pcm = append(in.pcm, in.work[:m*channels]...)
		return true
	}
	if in.hidden >= maxHidden {
		in.filling = true
		return false
	}
	// The queue has run dry: late packets, or the sender has fallen silent. Time is stretched by
	// what is made up here; if packets come after all, steer works it off.
	in.hidden++
	in.stats.Concealed++
	m, err := in.decoder.Conceal(in.work, frame)
	if err != nil {
		in.filling = true
		return false
	}
	in.pcm = append(in.pcm, in.work[:m*channels]...)
	return true
}

// hide fills a gap of lost packets before p, one frame at a time: the last of them from what p
// carries of it.
func (in *Input) hide(p packet, gap int) {
	n := min(gap, frame)
	n -= n % (5 * ms / 2) // libopus conceals multiples of 2.5 ms
	var m int
	var err error
	if n == 0 {
		// Timestamps that are a little off lose nothing.
		in.next = p.timestamp
		return
	}
	if gap == n {
		m, err = in.decoder.Recover(p.data, in.work, n)
	} else {
		m, err = in.decoder.Conceal(in.work, n)
	}
	in.stats.Concealed++
	in.next += uint32(n)
	if err == nil {
		in.pcm = append(in.pcm, in.work[:m*channels]...)
	}
}

// measure follows how late this input is played.
func (in *Input) measure(capture, now time.Time) {
	d := now.Sub(capture) + time.Duration(len(in.pcm)/channels)*time.Second/sampleRate
	if !in.known {
		in.delay, in.known = d, true
		return
	}
	in.delay += (d - in.delay) / 32
}

// Mixer sums inputs.
type Mixer struct {
	inputs  []*Input
	music   player // again and again
	tunes   player // once each
	limiter limiter
}

// Add makes an input heard.
func (m *Mixer) Add(in *Input) {
	m.inputs = append(m.inputs, in)
}

// Remove ends that.
func (m *Mixer) Remove(in *Input) {
	m.inputs = slices.DeleteFunc(m.inputs, func(i *Input) bool { return i == in })
}

// Mix fills out with the next samples. now is the time at which the first of them is played.
func (m *Mixer) Mix(out []float32, now time.Time) {
	clear(out)
	for _, in := range m.inputs {
		in.addTo(out, now)
	}
	m.music.addTo(out)
	m.tunes.addTo(out)
	m.limiter.limit(out)
}

// Limited is the number of blocks that were turned down because the sum was too loud.
func (m *Mixer) Limited() uint64 { return m.limiter.limited }

// limiter keeps the sum within full scale by turning it down at once and up again slowly.
type limiter struct {
	cut     float32 // of the gain: 0 is none
	limited uint64
}

const (
	ceiling = 0.97                // -0.26 dBFS: room for what AAC adds to peaks
	release = 1.0 / (0.1 * 48000) // of the cut, in a sample
)

func (l *limiter) limit(pcm []float32) {
	touched := false
	for i := 0; i+1 < len(pcm); i += channels {
		peak := max(pcm[i], -pcm[i], pcm[i+1], -pcm[i+1])
		if peak != peak || peak > 1e6 { // not a number, or a decoder gone wild
			pcm[i], pcm[i+1] = 0, 0
			continue
		}
		if peak*(1-l.cut) > ceiling {
			l.cut = 1 - ceiling/peak
			touched = true
		}
		if l.cut > 0 {
			pcm[i] *= 1 - l.cut
			pcm[i+1] *= 1 - l.cut
			l.cut -= l.cut * release
			if l.cut < 1e-4 {
				l.cut = 0
			}
		}
	}
	if touched {
		l.limited++
	}
}
