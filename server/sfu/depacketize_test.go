package sfu

import (
	"bytes"
	"errors"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pion/rtp"
	"github.com/pion/rtp/codecs"
	"github.com/pion/webrtc/v4"
	"github.com/pion/webrtc/v4/pkg/media"
	"github.com/pion/webrtc/v4/pkg/media/ivfreader"
)

// ivf reads a stream of testdata: 12 pictures of 320x180, of which the first and the seventh are key frames. They
// were made by
//
//	ffmpeg -f lavfi -i testsrc2=s=320x180:r=30 -frames:v 12 -pix_fmt yuv420p -c:v libvpx-vp9 -deadline realtime
//		-cpu-used 8 -lag-in-frames 0 -error-resilient 1 -g 6 -b:v 400k vp9.ivf
//	ffmpeg -f lavfi -i testsrc2=s=320x180:r=30 -frames:v 12 -pix_fmt yuv420p -c:v libaom-av1 -usage realtime
//		-cpu-used 8 -lag-in-frames 0 -g 6 -b:v 400k av1.ivf
func ivf(t *testing.T, name string) (frames [][]byte) {
	t.Helper()
	file, err := os.Open("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	r, _, err := ivfreader.NewWith(file)
	for err == nil {
		var frame []byte
		if frame, _, err = r.ParseNextFrame(); err == nil {
			frames = append(frames, frame)
		}
	}
	if !errors.Is(err, io.EOF) || len(frames) != 12 {
		t.Fatalf("%s: %d frames, %v", name, len(frames), err)
	}
	return frames
}

// A stream of an encoder comes out of its packets as it went in, and its key frames and sizes are seen on the way.
func TestAssembleRealStreams(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		codec     Codec
		file      string
		payloader rtp.Payloader
		begin     []byte // of each frame, which is not sent
	}{
		{VP9, "vp9.ivf", &codecs.VP9Payloader{}, nil},
		{VP9, "vp9.ivf", &codecs.VP9Payloader{FlexibleMode: true}, nil},
		{AV1, "av1.ivf", &codecs.AV1Payloader{}, []byte{0x12, 0}}, // a temporal delimiter
	} {
		a := assembler{codec: tt.codec}
		src := &source{}
		for i, frame := range ivf(t, tt.file) {
			payloads := tt.payloader.Payload(300, frame)
			if i == 0 && len(payloads) < 3 {
				t.Fatalf("%v: a key frame in %d packets", tt.codec, len(payloads))
			}
			for k, payload := range payloads {
				key := tt.codec.keyStart(payload, k == 0)
				if key != (i%6 == 0 && k == 0) {
					t.Errorf("%v: frame %d, packet %d: key %v", tt.codec, i, k, key)
				}
				if size := tt.codec.pictureSize(payload); key && size != packSize(320, 180) {
					t.Errorf("%v: frame %d has %dx%d pixels", tt.codec, i, size>>16, size&0xffff)
				}
				f, ok := a.push(&tapPacket{packet: packet{src: src, ts: uint32(i), key: key, marker: k == len(payloads)-1, payload: payload, at: time.Now()}})
				if ok != (k == len(payloads)-1) {
					t.Fatalf("%v: frame %d, packet %d: whole %v", tt.codec, i, k, ok)
				}
				if ok && (!bytes.Equal(f.Data, bytes.TrimPrefix(frame, tt.begin)) || f.Key != (i%6 == 0)) {
					t.Errorf("%v: frame %d is not as it was: %d bytes of %d, key %v", tt.codec, i, len(f.Data), len(frame), f.Key)
				}
			}
		}
	}
}

// The frames of VP9's spatial layers become one superframe, in which decoders find them.
func TestAssembleSpatialLayers(t *testing.T) {
	t.Parallel()
	const (
		predicted, layers, begin, end = 0x40, 0x20, 0x08, 0x04
	)
	layer := func(flags, n byte, body string) []byte { return append([]byte{flags | layers, n << 1, 0}, body...) }
	a := assembler{codec: VP9}
	push := func(marker bool, payload []byte) (Frame, bool) {
		return a.push(&tapPacket{packet: packet{key: VP9.keyStart(payload, false), marker: marker, payload: payload}})
	}
	for i, payload := range [][]byte{layer(begin, 0, "\x80o"), layer(end, 0, "w"), layer(begin|end, 1, "middle")} {
		if VP9.keyStart(payload, false) != (i == 0) {
			t.Errorf("packet %d begins a key frame: %v", i, i != 0)
		}
		if _, ok := push(false, payload); ok {
			t.Fatal("a part is taken for the whole")
		}
	}
	f, ok := push(true, layer(begin|end, 2, "highest"))
	if want := "\x80owmiddlehighest\xda\x03\x00\x00\x00\x06\x00\x00\x00\x07\x00\x00\x00\xda"; !ok || string(f.Data) != want || !f.Key {
		t.Errorf("%q, %v", f.Data, ok)
	}
	// One layer needs no index; what does not begin is no frame.
	a.push(&tapPacket{packet: packet{ts: 1, marker: false, payload: layer(predicted|begin, 0, "a")}})
	if f, ok := a.push(&tapPacket{packet: packet{ts: 1, marker: true, payload: layer(predicted|end, 0, "b")}}); !ok || string(f.Data) != "ab" || f.Key {
		t.Errorf("%q, %v", f.Data, ok)
	}
	if f, ok := a.push(&tapPacket{packet: packet{ts: 2, marker: true, payload: layer(predicted|end, 0, "c")}}); ok || !a.broken {
		t.Errorf("%q, %v", f.Data, ok)
	}
}

// A client that offers nothing but VP9 or AV1 is forwarded, to subscribers and to taps.
func TestPublishRareCodecs(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		codec Codec
		mime  string
		file  string
		begin []byte
	}{
		{VP9, webrtc.MimeTypeVP9, "vp9.ivf", nil},
		{AV1, webrtc.MimeTypeAV1, "av1.ivf", []byte{0x12, 0}},
	} {
		t.Run(tt.codec.String(), func(t *testing.T) {
			t.Parallel()
			s := testSFU(t)
			a, b := joined(t, s, "a", false), joined(t, s, "b", true)
			frames := ivf(t, tt.file)
			local, err := webrtc.NewTrackLocalStaticSample(webrtc.RTPCodecCapability{MimeType: tt.mime, ClockRate: 90000}, "v", "s")
			if err != nil {
				t.Fatal(err)
			}
			tr, err := a.pub.AddTransceiverFromTrack(local, webrtc.RTPTransceiverInit{Direction: webrtc.RTPTransceiverDirectionSendonly})
			if err != nil {
				t.Fatal(err)
			}
			only := slices.DeleteFunc(tr.Sender().GetParameters().Codecs, func(p webrtc.RTPCodecParameters) bool {
				return p.MimeType != tt.mime || strings.Contains(p.SDPFmtpLine, "profile-id=2")
			})
			if err := tr.SetCodecPreferences(only); err != nil {
				t.Fatal(err)
			}
			a.infos = append(a.infos, TrackInfo{ID: "v", StreamID: "s", Kind: Video})
			a.negotiate(nil)
			track := a.peer.Track("v")
			if track == nil || track.Codec() != tt.codec {
				t.Fatalf("track %v", track)
			}
			tap := track.Tap(TapConfig{})
			defer tap.Close()
			b.peer.Subscribe([]*Track{track})
			stop, done := make(chan struct{}), make(chan struct{})
			defer func() { close(stop); <-done }()
			go func() {
				defer close(done)
				for i := 0; ; i++ {
					select {
					case <-stop:
						return
					case <-time.After(20 * time.Millisecond):
						_ = local.WriteSample(media.Sample{Data: frames[i%len(frames)], Duration: 20 * time.Millisecond})
					}
				}
			}()
			for n, want := 0, -1; n < 2*len(frames); n++ {
				select {
				case f := <-tap.Frames():
					at := slices.IndexFunc(frames, func(frame []byte) bool { return bytes.Equal(bytes.TrimPrefix(frame, tt.begin), f.Data) })
					if at < 0 || want < 0 && at%6 != 0 || f.Key != (at%6 == 0) {
						t.Fatalf("frame %d of %d bytes is number %d, key %v", n, len(f.Data), at, f.Key)
					}
					want = at + 1
				case <-time.After(patience):
					t.Fatal("no frame")
				}
			}
			in := b.in("v")
			eventually(t, "packets at the subscriber", func() bool {
				in.mu.Lock()
				defer in.mu.Unlock()
				return in.codec == tt.mime && len(in.seqs) > 20
			})
		})
	}
}
