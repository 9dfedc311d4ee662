package mix

import (
	"encoding/binary"
	"errors"
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

// fake decodes packets that say which value to fill 20 ms with; a concealed frame is of -0.5, a
// recovered one of what the packet carries, minus one.
type fake struct {
	closed    bool
	recovered int
}

func fill(pcm []float32, n int, v float32) int {
	for i := range n * channels {
		pcm[i] = v
	}
	return n
}

func (f *fake) Decode(p []byte, pcm []float32) (int, error) {
	if len(p) != 4 {
		return 0, errors.New("damaged")
	}
	return fill(pcm, frame, math.Float32frombits(binary.BigEndian.Uint32(p))), nil
}

func (f *fake) Recover(p []byte, pcm []float32, n int) (int, error) {
	f.recovered++
	return fill(pcm, n, math.Float32frombits(binary.BigEndian.Uint32(p))-0.001), nil
}

func (f *fake) Conceal(pcm []float32, n int) (int, error) { return fill(pcm, n, -0.5), nil }
func (f *fake) Close()                                    { f.closed = true }

func value(v float32) []byte { return binary.BigEndian.AppendUint32(nil, math.Float32bits(v)) }

var epoch = time.Unix(1000, 0)

// played is what n calls of 20 ms play, one value a call.
func played(m *Mixer, n int) (values []float32) {
	out := make([]float32, frame*channels)
	for range n {
		m.Mix(out, epoch)
		values = append(values, out[len(out)/2])
	}
	return values
}

func start() (*Mixer, *Input, *fake) {
	f := new(fake)
	in, m := NewInput(f), new(Mixer)
	m.Add(in)
	return m, in, f
}

func expect(t *testing.T, what string, got []float32, want ...float32) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %v, want %v", what, got, want)
	}
	for i := range got {
		if math.Abs(float64(got[i]-want[i])) > 1e-4 {
			t.Fatalf("%s: %v, want %v", what, got, want)
		}
	}
}

func TestQueueFillsFirst(t *testing.T) {
	m, in, _ := start()
	in.Push(0, frame, epoch, value(0.1))
	in.Push(frame, frame, epoch, value(0.2))
	expect(t, "while filling", played(m, 2), 0, 0)
	in.Push(2*frame, frame, epoch, value(0.3))
	expect(t, "filled", played(m, 3), 0.1, 0.2, 0.3)
	// Two frames are made up, then there is silence.
	expect(t, "dry", played(m, 4), -0.5, -0.5, 0, 0)
}

func TestOrder(t *testing.T) {
	m, in, _ := start()
	base := uint32(math.MaxUint32 - 2*frame + 1) // timestamps wrap after two packets
	for _, i := range []uint32{0, 2, 1, 1} {
		in.Push(base+i*frame, frame, epoch, value(float32(i)/10))
	}
	expect(t, "sorted", played(m, 3), 0, 0.1, 0.2)
	for _, i := range []uint32{1, 3, 5, 4} {
		in.Push(base+i*frame, frame, epoch, value(float32(i)/10))
	}
	expect(t, "late one dropped", played(m, 3), 0.3, 0.4, 0.5)
	if s, _ := in.Stats(); s.Dropped != 2 || s.Concealed != 0 || s.Packets != 8 {
		t.Errorf("%+v", s)
	}
}

func TestLoss(t *testing.T) {
	m, in, f := start()
	push := func(numbers ...uint32) {
		for _, i := range numbers {
			in.Push(i*frame, frame, epoch, value(float32(i)/10))
		}
	}
	push(0, 1, 3) // 2 is recovered from what 3 carries of it
	expect(t, "one lost", played(m, 4), 0, 0.1, 0.299, 0.3)
	push(4, 7, 8) // 5 is made up, 6 recovered
	expect(t, "two lost", played(m, 5), 0.4, -0.5, 0.699, 0.7, 0.8)
	if s, _ := in.Stats(); s.Concealed != 3 || f.recovered != 2 {
		t.Errorf("%+v, %d recovered", s, f.recovered)
	}
}

func TestSilenceOfSender(t *testing.T) {
	m, in, f := start()
	for i := range uint32(3) {
		in.Push(i*frame, frame, epoch, value(0.1))
	}
	played(m, 20)
	// Talks again two seconds later: no loss, but the queue fills first.
	later := uint32(100 * frame)
	in.Push(later, frame, epoch, value(0.2))
	expect(t, "first packet", played(m, 1), 0)
	in.Push(later+frame, frame, epoch, value(0.2))
	in.Push(later+2*frame, frame, epoch, value(0.2))
	expect(t, "again", played(m, 3), 0.2, 0.2, 0.2)
	if f.recovered != 0 {
		t.Error("silence was taken for loss")
	}
	// Counts anew, from anywhere.
	for i := range uint32(4) {
		in.Push(77+i*frame, frame, epoch, value(0.3))
	}
	expect(t, "after a restart", played(m, 4), 0.3, 0.3, 0.3, 0.3)
}

func TestQueueIsBounded(t *testing.T) {
	m, in, _ := start()
	for i := range uint32(5000) {
		in.Push(i*frame, frame, epoch, value(0.1))
		if w := in.waiting(); w > maxDelay {
			t.Fatalf("%d samples waiting", w)
		}
	}
	if s, _ := in.Stats(); s.Dropped < 4980 {
		t.Errorf("%+v", s)
	}
	expect(t, "newest", played(m, 3), 0.1, 0.1, 0.1)
	in.Push(5000*frame, longest+1, epoch, value(0.1))
	in.Push(5000*frame, 0, epoch, nil)
	if s, _ := in.Stats(); s.Errors != 2 {
		t.Errorf("%+v", s)
	}
}

// TestDrift lets a sender's clock run wrong for a minute, by more than any sound card does.
func TestDrift(t *testing.T) {
	for _, wrong := range []float64{-0.002, 0.002} {
		m, in, _ := start()
		out := make([]float32, 1024*channels)
		sent, low, high := uint32(0), maxDelay, 0
		for i := range 60 * sampleRate / 1024 {
			for float64(sent)*frame < float64(i)*1024*(1+wrong)+targetDelay {
				in.Push(sent*frame, frame, epoch, value(0.1))
				sent++
			}
			m.Mix(out, epoch)
			if i > 1000 {
				low, high = min(low, in.waiting()), max(high, in.waiting())
			}
		}
		s, _ := in.Stats()
		if s.Dropped+s.Concealed > 0 || low < 10*ms || high > 130*ms {
			t.Errorf("clock wrong by %v: %+v, between %d and %d ms waiting", wrong, s, low/ms, high/ms)
		}
	}
}

func TestDamagedPackets(t *testing.T) {
	m, in, _ := start()
	for i := range uint32(4) {
		in.Push(i*frame, frame, epoch, []byte{1})
	}
	expect(t, "concealed", played(m, 1), -0.5)
	if s, _ := in.Stats(); s.Errors != 1 {
		t.Errorf("%+v", s)
	}
}

func TestSumAndLimit(t *testing.T) {
	m := new(Mixer)
	var inputs []*Input
	for i := range 4 {
		in := NewInput(new(fake))
		inputs = append(inputs, in)
		m.Add(in)
		for k := range uint32(5) {
			in.Push(k*frame, frame, epoch, value(0.1*float32(i+1)))
		}
	}
	expect(t, "sum turned down", played(m, 1), ceiling)
	if m.Limited() == 0 {
		t.Error("limiting was not counted")
	}
	m.Remove(inputs[3])
	m.Remove(inputs[2])
	played(m, 1)
	// Half a second later the gain is back.
	for k := range uint32(50) {
		for _, in := range inputs[:2] {
			in.Push((5+k)*frame, frame, epoch, value(0.1))
		}
		played(m, 1)
	}
	expect(t, "sum", played(m, 1), 0.2)
	if _, level := inputs[0].Stats(); level != 20 {
		t.Errorf("level -%d dBov, want -20", level)
	}
}

func TestLimiterTakesAnything(t *testing.T) {
	var l limiter
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	pcm := []float32{nan, 1, inf, -inf, 1e30, -1e30, 5, -7, 0.5, 0.5, -2, 2}
	l.limit(pcm)
	for i, v := range pcm {
		if v != v || v > 1 || v < -1 {
			t.Errorf("sample %d is %v", i, v)
		}
	}
}

func TestDelay(t *testing.T) {
	m, in, _ := start()
	if _, known := in.Delay(); known {
		t.Error("known before anything came")
	}
	for i := range uint32(10) {
		in.Push(i*frame, frame, epoch.Add(time.Duration(i)*20*time.Millisecond), value(0.1))
	}
	out := make([]float32, frame*channels)
	for i := range 5 {
		m.Mix(out, epoch.Add(time.Duration(i)*20*time.Millisecond+80*time.Millisecond))
	}
	if d, known := in.Delay(); !known || d < 75*time.Millisecond || d > 105*time.Millisecond {
		t.Errorf("delay %v, known %v", d, known)
	}
	for i := range 50 {
		m.Mix(out, epoch.Add(time.Duration(i)*20*time.Millisecond+180*time.Millisecond))
	}
	if d, known := in.Delay(); !known || d < 75*time.Millisecond || d > 105*time.Millisecond || !in.filling {
		t.Errorf("delay %v, known %v in a silence", d, known)
	}
}

func TestClose(t *testing.T) {
	m, in, f := start()
	in.Push(0, frame, epoch, value(0.1))
	in.Close()
	in.Close()
	in.Push(frame, frame, epoch, value(0.1))
	expect(t, "closed", played(m, 2), 0, 0)
	if !f.closed {
		t.Error("decoder was not closed")
	}
}

// TestAnyOrder pushes and mixes at random: whatever comes, the queue stays bounded and the sound
// finite.
func TestAnyOrder(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	m, in, _ := start()
	out := make([]float32, 1024*channels)
	ts := uint32(0)
	for range 5000 {
		switch rnd.IntN(6) {
		case 0:
			ts = rnd.Uint32()
		case 1:
			ts -= uint32(rnd.IntN(5000))
		default:
			ts += uint32(rnd.IntN(2000))
		}
		in.Push(ts, rnd.IntN(longest+10), epoch, value(rnd.Float32()))
		if rnd.IntN(2) == 0 {
			m.Mix(out, epoch)
		}
		if len(in.packets) > maxPackets || in.waiting() > maxDelay+longest+2*1024 || in.queued < 0 {
			t.Fatalf("%d packets, %d samples waiting, %d queued", len(in.packets), in.waiting(), in.queued)
		}
	}
}

func BenchmarkMix9(b *testing.B) {
	m := new(Mixer)
	var inputs []*Input
	for range 9 {
		in := NewInput(new(fake))
		inputs = append(inputs, in)
		m.Add(in)
	}
	out := make([]float32, 1024*channels)
	p := value(0.1)
	sent := uint32(0)
	for i := 0; b.Loop(); i++ {
		for int(sent)*frame < i*1024+targetDelay {
			for _, in := range inputs {
				in.Push(sent*frame, frame, epoch, p)
			}
			sent++
		}
		m.Mix(out, epoch)
	}
}
