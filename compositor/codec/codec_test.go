//go:build cgo

package codec

import (
	"bytes"
	"errors"
	"math"
	mathbits "math/bits"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"amphi/compositor/internal/clip"
)

// set are the clips of the tests, of each codec.
type set struct {
	small map[VideoCodec]*clip.Clip // 320x180
	large map[VideoCodec]*clip.Clip // larger than full HD
	opus  *clip.Clip
}

var clips = sync.OnceValues(func() (all set, err error) {
	if err = clip.Missing(); err != nil {
		return all, err
	}
	all = set{small: make(map[VideoCodec]*clip.Clip), large: make(map[VideoCodec]*clip.Clip)}
	for codec, encode := range map[VideoCodec]func(string, int, time.Duration) (*clip.Clip, error){
		VP8: clip.VP8, H264: clip.H264, VP9: clip.VP9, AV1: clip.AV1,
	} {
		if all.small[codec], err = encode("testsrc2=s=320x180:r=30", 200_000, time.Second); err != nil {
			return all, err
		}
		if all.large[codec], err = encode("color=s=2048x1152:r=30", 200_000, 100*time.Millisecond); err != nil {
			return all, err
		}
	}
	all.opus, err = clip.Opus("sine=f=440,volume=4", time.Second)
	return all, err
})

func need(t testing.TB) set {
	t.Helper()
	all, err := clips()
	if err != nil {
		t.Skip("no clips: ", err)
	}
	return all
}

func decoder(t testing.TB, c VideoCodec) *VideoDecoder {
	t.Helper()
	d, err := NewVideoDecoder(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	return d
}

func TestDecode(t *testing.T) {
	for codec, c := range need(t).small {
		d := decoder(t, codec)
		if n := len(c.Frames); n != 30 {
			t.Fatalf("clip of %d frames", n)
		}
		for i, f := range c.Frames {
			p, err := d.Decode(f.Data)
			if err != nil || p == nil {
				t.Fatalf("codec %d, frame %d: %v, %v", codec, i, p, err)
			}
			if p.W != 320 || p.H != 180 || len(p.Y) < 320*180 || len(p.U) < 160*90 || len(p.V) < 160*90 {
				t.Fatalf("codec %d: %dx%d, planes of %d, %d, %d bytes", codec, p.W, p.H, len(p.Y), len(p.U), len(p.V))
			}
			if mean := average(p.Y); mean < 60 || mean > 190 {
				t.Fatalf("codec %d, frame %d: mean brightness %v", codec, i, mean)
			}
			p.Close()
			p.Close()
		}
	}
}

func average(pix []byte) float64 {
	sum := 0
	for _, v := range pix {
		sum += int(v)
	}
	return float64(sum) / float64(len(pix))
}

func TestTooLarge(t *testing.T) {
	all := need(t)
	for codec, large := range all.large {
		d := decoder(t, codec)
		for _, f := range large.Frames {
			p, err := d.Decode(f.Data)
			if p != nil || err == nil {
				t.Fatalf("codec %d: %v, %v", codec, p, err)
			}
			if f.Key && codec == VP8 && !errors.Is(err, ErrTooLarge) {
				t.Errorf("codec %d: %v", codec, err)
			}
		}
		// The decoder lives on.
		p, err := d.Decode(all.small[codec].Frames[0].Data)
		if err != nil || p == nil {
			t.Fatalf("codec %d, after that: %v, %v", codec, p, err)
		}
		p.Close()
	}
	for _, s := range []struct {
		w, h int
		want bool
	}{{1920, 1080, true}, {1080, 1920, true}, {1920, 1088, true}, {1922, 16, false}, {1280, 1280, false}, {0, 16, false}, {16383, 16383, false}} {
		if fits(s.w, s.h) != s.want {
			t.Errorf("%dx%d: %v", s.w, s.h, !s.want)
		}
	}
}

// TestGiganticSequence announces H.264 pictures of 8192x4320, which is within the standard: nothing is decoded.
func TestGiganticSequence(t *testing.T) {
	small := need(t).small[H264]
	d := decoder(t, H264)
	au := small.Frames[0].Data
	at := bytes.Index(au, []byte{0, 0, 0, 1, 0x68}) // PPS
	if at < 0 {
		t.Fatal("the clip has no parameter sets")
	}
	gigantic := append(append([]byte{0, 0, 0, 1}, sps(8192, 4320)...), au[at:]...)
	for range 5 {
		if p, err := d.Decode(gigantic); p != nil || err == nil {
			t.Fatalf("%v, %v", p, err)
		}
	}
	if p, err := d.Decode(au); err != nil || p == nil || p.W != 320 {
		t.Fatalf("after that: %v, %v", p, err)
	} else {
		p.Close()
	}
}

// sps is a sequence parameter set of the Baseline profile, level 6 (ITU-T H.264, 7.3.2.1.1).
func sps(width, height uint) []byte {
	var bits []bool
	u := func(v uint, n int) {
		for n--; n >= 0; n-- {
			bits = append(bits, v>>n&1 == 1)
		}
	}
	ue := func(v uint) { // 9.1
		n := mathbits.Len(v + 1)
		u(v+1, 2*n-1)
	}
	u(66, 8)   // profile_idc
	u(0xc0, 8) // constraint_set0 and 1
	u(60, 8)   // level_idc
	ue(0)      // seq_parameter_set_id
	ue(0)      // log2_max_frame_num_minus4
	ue(2)      // pic_order_cnt_type
	ue(1)      // max_num_ref_frames
	u(0, 1)    // gaps_in_frame_num_value_allowed_flag
	ue(width/16 - 1)
	ue(height/16 - 1)
	u(1, 1) // frame_mbs_only_flag
	u(1, 1) // direct_8x8_inference_flag
	u(0, 1) // frame_cropping_flag
	u(0, 1) // vui_parameters_present_flag
	u(1, 1) // rbsp_stop_one_bit
	data := make([]byte, 1+(len(bits)+7)/8)
	data[0] = 0x67
	for i, set := range bits {
		if set {
			data[1+i/8] |= 0x80 >> (i % 8)
		}
	}
	return data
}

// TestDamage feeds flipped, cut and made-up frames: nothing may crash, and a key frame heals.
func TestDamage(t *testing.T) {
	for codec, c := range need(t).small {
		rnd := rand.New(rand.NewPCG(5, uint64(codec)))
		d := decoder(t, codec)
		refused := 0
		for i := range 600 {
			b := append([]byte(nil), c.At(i).Data...)
			switch rnd.IntN(4) {
			case 0:
				for range 1 + rnd.IntN(8) {
					b[rnd.IntN(len(b))] ^= 1 << rnd.IntN(8)
				}
			case 1:
				b = b[:rnd.IntN(len(b))]
			case 2:
				for k := range b {
					b[k] = byte(rnd.Uint32())
				}
			}
			p, err := d.Decode(b)
			if err != nil {
				refused++
			}
			p.Close()
		}
		if refused == 0 {
			t.Errorf("codec %d took everything", codec)
		}
		p, err := d.Decode(c.Frames[0].Data)
		if err != nil || p == nil || p.W != 320 {
			t.Fatalf("codec %d does not heal: %v, %v", codec, p, err)
		}
		p.Close()
	}
}

func TestH264Encoder(t *testing.T) {
	const w, h = 320, 180
	e, err := NewH264Encoder(H264Config{Width: w, Height: h, FPS: 30, Bitrate: 500_000})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	d := decoder(t, H264)
	y, c := make([]byte, w*h), make([]byte, w*h/4)
	for i := range int64(90) {
		for k := range y {
			y[k] = byte(16 + (k%w+int(i)*2)%200)
		}
		for k := range c {
			c[k] = byte(100 + i)
		}
		force := i%30 == 0 || i == 47
		unit, key, err := e.Encode(y, c, c, w, w/2, i*33, force)
		if err != nil {
			t.Fatal(err)
		}
		if key != force {
			t.Errorf("picture %d: key %v, forced %v", i, key, force)
		}
		p, err := d.Decode(unit)
		if err != nil || p == nil {
			t.Fatalf("picture %d: %v, %v", i, p, err)
		}
		// One in, the same one out: no delay.
		if got := int(p.U[40*p.CStride+80]); got < 98+int(i) || got > 102+int(i) {
			t.Errorf("picture %d: chroma %d", i, got)
		}
		p.Close()
	}
	if _, _, err := e.Encode(y[:100], c, c, w, w/2, 0, false); err == nil {
		t.Error("a short plane was taken")
	}
	if _, err := NewH264Encoder(H264Config{Width: -2, Height: 180, FPS: 30, Bitrate: 1000}); err == nil {
		t.Error("a negative width was taken")
	}
}

// TestBitrate encodes what a bad camera sends in the dark, and must keep to the bit rate.
func TestBitrate(t *testing.T) {
	const w, h, bitrate, seconds = 320, 180, 300_000, 4
	e, err := NewH264Encoder(H264Config{Width: w, Height: h, FPS: 30, Bitrate: bitrate})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	random := rand.New(rand.NewPCG(3, 4))
	y, c := make([]byte, w*h), bytes.Repeat([]byte{128}, w*h/4)
	size := 0
	for i := range int64(30 * (seconds + 1)) {
		for k := range y {
			y[k] = byte(60 + k%w/4 + random.IntN(100))
		}
		unit, _, err := e.Encode(y, c, c, w, w/2, i*33, i%30 == 0)
		if err != nil {
			t.Fatal(err)
		}
		if i >= 30 { // the first second it does not know the picture yet
			size += len(unit)
		}
	}
	if got := size * 8 / seconds; got < bitrate*85/100 || got > bitrate*115/100 {
		t.Errorf("%d bit/s, asked for %d", got, bitrate)
	}
}

// TestRepeat puts repeated pictures into a stream. The decoder must show each as what was before
// it, and what the encoder makes after it exactly as without.
func TestRepeat(t *testing.T) {
	const w, h = 160, 90
	config := H264Config{Width: w, Height: h, FPS: 30, Bitrate: 500_000}
	stream := func(repeats func(i int) int) (shown []string) {
		e, err := NewH264Encoder(config)
		if err != nil {
			t.Fatal(err)
		}
		defer e.Close()
		if e.Repeat() != nil {
			t.Error("a picture that has not come yet was repeated")
		}
		d := decoder(t, H264)
		show := func(unit []byte) string {
			p, err := d.Decode(unit)
			if err != nil || p == nil {
				t.Fatalf("picture %d: %v, %v", len(shown), p, err)
			}
			defer p.Close()
			return string(p.Y) + string(p.U) + string(p.V)
		}
		random := rand.New(rand.NewPCG(1, 2))
		y, c := make([]byte, w*h), make([]byte, w*h/4)
		for i := range 100 {
			for k := range y {
				y[k] = byte(16 + (k%w+k/w+3*i)%200 + random.IntN(9))
			}
			unit, _, err := e.Encode(y, c, c, w, w/2, int64(i)*33, i%40 == 0)
			if err != nil {
				t.Fatal(err)
			}
			shown = append(shown, show(unit))
			for range repeats(i) {
				unit := e.Repeat()
				if len(unit) == 0 || len(unit) > 40 {
					t.Fatalf("picture %d is repeated in %d bytes", i, len(unit))
				}
				if show(unit) != shown[i] {
					t.Fatalf("after picture %d something else is shown", i)
				}
			}
		}
		return shown
	}
	plain := stream(func(int) int { return 0 })
	for name, repeats := range map[string]func(int) int{
		"now and then": func(i int) int { return i % 3 * i % 5 },
		"always":       func(int) int { return 1 },
		"until frame_num, which has 15 bits, begins again": func(i int) int {
			if i == 85 {
				return 33_000
			}
			return 0
		},
	} {
		t.Run(name, func(t *testing.T) {
			if !slices.Equal(stream(repeats), plain) {
				t.Error("what the encoder made is shown otherwise than without repeats")
			}
		})
	}
}

// TestRepeatSizes repeats in pictures of all shapes.
func TestRepeatSizes(t *testing.T) {
	for _, size := range [][2]int{{16, 16}, {32, 16}, {64, 64}, {426, 240}, {720, 1280}, {1080, 1920}, {1920, 1080}} {
		w, h := size[0], size[1]
		e, err := NewH264Encoder(H264Config{Width: w, Height: h, FPS: 30, Bitrate: 1_000_000})
		if err != nil {
			t.Fatalf("%dx%d: %v", w, h, err)
		}
		d := decoder(t, H264)
		y := bytes.Repeat([]byte{50, 90, 130}, w*h/3+1)
		unit, _, err := e.Encode(y, y, y, w, w/2, 0, true)
		if err != nil {
			t.Fatal(err)
		}
		first, err := d.Decode(unit)
		if err != nil {
			t.Fatal(err)
		}
		again, err := d.Decode(e.Repeat())
		if err != nil || !bytes.Equal(first.Y, again.Y) || !bytes.Equal(first.U, again.U) {
			t.Errorf("%dx%d is not repeated: %v", w, h, err)
		}
		first.Close()
		again.Close()
		e.Close()
	}
}

func TestOpus(t *testing.T) {
	opus := need(t).opus
	d, err := NewOpusDecoder()
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	pcm := make([]float32, MaxOpus*Channels)
	level := func(n int) float64 {
		sum := 0.0
		for _, v := range pcm[:n*Channels] {
			sum += float64(v) * float64(v)
		}
		return math.Sqrt(sum / float64(n*Channels))
	}
	for i, f := range opus.Frames[:40] {
		if n := OpusSamples(f.Data); n != 960 {
			t.Fatalf("packet %d of %d samples", i, n)
		}
		n, err := d.Decode(f.Data, pcm)
		if err != nil || n != 960 {
			t.Fatalf("packet %d: %d, %v", i, n, err)
		}
		if l := level(n); i > 5 && (l < 0.2 || l > 0.6) {
			t.Fatalf("packet %d: level %v", i, l)
		}
	}
	if n, err := d.Conceal(pcm, 960); err != nil || n != 960 || level(n) < 0.05 {
		t.Errorf("concealed %d, %v, level %v", n, err, level(n))
	}
	if n, err := d.Recover(opus.Frames[20].Data, pcm, 960); err != nil || n != 960 {
		t.Errorf("recovered %d, %v", n, err)
	}
	for name, bad := range map[string][]byte{"empty": nil, "huge": make([]byte, opusPacket+1), "odd": {0xff, 0xff, 0xff}} {
		if _, err := d.Decode(bad, pcm); !errors.Is(err, ErrDamaged) {
			t.Errorf("%s packet: %v", name, err)
		}
		if n := OpusSamples(bad); n < 0 || n > MaxOpus || name != "odd" && n != 0 {
			t.Errorf("%s packet of %d samples", name, n)
		}
	}
	if _, err := d.Decode(opus.Frames[0].Data, pcm[:10]); err == nil {
		t.Error("decoded into too little room")
	}
}

func TestAAC(t *testing.T) {
	e, err := NewAACEncoder(128_000)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	config, err := e.Config()
	if err != nil || len(config) < 2 || config[0] != 0x11 || config[1] != 0x90 { // AAC-LC, 48 kHz, stereo
		t.Fatalf("config % x, %v", config, err)
	}
	pcm := make([]float32, AACSamples*Channels)
	want := int64(-AACSamples)
	for i := range int64(50) {
		for k := range pcm {
			pcm[k] = float32(math.Sin(float64(i*AACSamples+int64(k/2)) * 0.05))
		}
		unit, pts, err := e.Encode(pcm, i*AACSamples)
		if err != nil {
			t.Fatal(err)
		}
		if unit == nil {
			continue
		}
		if pts != want {
			t.Fatalf("unit of call %d begins at %d, want %d", i, pts, want)
		}
		want += AACSamples
	}
	if want < 45*AACSamples {
		t.Errorf("only %d samples came out", want)
	}
	if _, _, err := e.Encode(pcm[:8], 0); err == nil {
		t.Error("a short frame was taken")
	}
}

func TestVersions(t *testing.T) {
	for _, name := range []string{"libavcodec", "libopenh264", "libopus"} {
		if !strings.Contains(Versions(), name) {
			t.Errorf("%q does not name %s", Versions(), name)
		}
	}
}

func fuzzVideo(f *testing.F, codec VideoCodec) {
	if all, err := clips(); err == nil {
		c := all.small[codec]
		for _, frame := range c.Frames[:3] {
			f.Add(c.Frames[0].Data, frame.Data)
		}
	}
	f.Fuzz(func(t *testing.T, first, second []byte) {
		d, err := NewVideoDecoder(codec)
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		for _, b := range [][]byte{first, second} {
			p, err := d.Decode(b)
			if p != nil && (err != nil || !fits(p.W, p.H)) {
				t.Fatalf("%dx%d, %v", p.W, p.H, err)
			}
			if p != nil {
				average(p.Y)
				average(p.U)
				average(p.V)
			}
			p.Close()
		}
	})
}

func FuzzVP8(f *testing.F)  { fuzzVideo(f, VP8) }
func FuzzH264(f *testing.F) { fuzzVideo(f, H264) }
func FuzzVP9(f *testing.F)  { fuzzVideo(f, VP9) }
func FuzzAV1(f *testing.F)  { fuzzVideo(f, AV1) }

func FuzzOpus(f *testing.F) {
	if all, err := clips(); err == nil {
		f.Add(all.opus.Frames[10].Data)
	}
	d, err := NewOpusDecoder()
	if err != nil {
		f.Fatal(err)
	}
	pcm := make([]float32, MaxOpus*Channels)
	f.Fuzz(func(t *testing.T, b []byte) {
		if n, err := d.Decode(b, pcm); err == nil && n != OpusSamples(b) {
			t.Fatalf("%d samples decoded, %d announced", n, OpusSamples(b))
		}
		if n, err := d.Recover(b, pcm, 960); err == nil && n != 960 {
			t.Fatalf("%d samples recovered", n)
		}
	})
}
