package live

import (
	"bytes"
	"encoding/binary"
	"flag"
	"fmt"
	"math"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/pion/interceptor"
	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/pion/rtp/codecs"
	"github.com/pion/webrtc/v4"
	"github.com/pion/webrtc/v4/pkg/media/oggreader"

	"amphi/server/policy"
	"amphi/server/protocol"
	"amphi/server/room"
)

var skewLength = flag.Duration("skew", 7*time.Second, "how long TestSkew watches")

// Once in a second of the microphone's clock it flashes and beeps.
const (
	beepAt     = 400 * time.Millisecond
	beepLength = 100 * time.Millisecond
	// cameraDelay is how much later than its sound a picture is sent: only sender reports tell that they belong together.
	cameraDelay = 70 * time.Millisecond
)

// beeper is a second of sound with a beep in it, and pictures without and with a flash.
type beeper struct {
	sound       [][]byte // packets of 20 ms
	dark, light []byte
}

func newBeeper(t *testing.T) (b beeper) {
	t.Helper()
	// Packets decode to what was 6.5 ms before: the encoder's lookahead, which it says is to be left out in front. An
	// encoder in a loop has no front, so the beep comes that much earlier.
	const lookahead = 312 / 48000.0
	from, to := beepAt.Seconds()-lookahead, (beepAt+beepLength).Seconds()-lookahead
	// Of three seconds the second: the beginning is different from what follows in a loop.
	ogg, err := ffmpeg("-f", "lavfi", "-i", fmt.Sprintf("aevalsrc='0.5*sin(2*PI*1000*t)*between(mod(t,1),%f,%f)':s=48000", from, to),
		"-t", "3", "-c:a", "libopus", "-b:a", "64k", "-application", "lowdelay", "-page_duration", "20000", "-f", "ogg", "-")
	if err != nil {
		t.Fatal(err)
	}
	pages, _, err := oggreader.NewWith(bytes.NewReader(ogg))
	for err == nil {
		var page []byte
		if page, _, err = pages.ParseNextPage(); err == nil && !bytes.HasPrefix(page, []byte("OpusTags")) {
			b.sound = append(b.sound, page)
		}
	}
	if len(b.sound) < 100 {
		t.Fatalf("%d packets", len(b.sound))
	}
	b.sound = b.sound[50:100]
	for color, into := range map[string]*[]byte{"black": &b.dark, "white": &b.light} {
		ivf, err := ffmpeg("-f", "lavfi", "-i", "color="+color+":s=320x180:r=30", "-frames:v", "1", "-c:v", "libvpx", "-f", "ivf", "-")
		if err != nil {
			t.Fatal(err)
		}
		*into = ivf[32+12:] // behind the heads of file and frame
	}
	return b
}

// flash brings somebody on stage who flashes and beeps. The microphone's clock is fast by so many millionths.
func flash(t *testing.T, r *room.Room, ppm float64) {
	t.Helper()
	b := newBeeper(t)
	p := &publisher{t: t, done: make(chan struct{})}
	var err error
	if p.peer, err = r.Connect(t.Context(), room.Identity{PeerID: "peer-flash", UserID: "flash", Role: policy.RoleBroadcaster}, mailbox{}); err != nil {
		t.Fatal(err)
	}
	if _, err := p.peer.Join(t.Context(), protocol.Join{Name: "flash"}); err != nil {
		t.Fatal(err)
	}
	var m webrtc.MediaEngine
	if err := m.RegisterDefaultCodecs(); err != nil {
		t.Fatal(err)
	}
	var e webrtc.SettingEngine
	e.SetIncludeLoopbackCandidate(true)
	// Without interceptors: sender reports are ours.
	api := webrtc.NewAPI(webrtc.WithSettingEngine(e), webrtc.WithMediaEngine(&m), webrtc.WithInterceptorRegistry(&interceptor.Registry{}))
	if p.pc, err = api.NewPeerConnection(webrtc.Configuration{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.leave)
	p.tracks = map[string]protocol.Track{
		"camera":     {TrackID: "camera", StreamID: "flash", Kind: protocol.Video, Source: "regular"},
		"microphone": {TrackID: "microphone", StreamID: "flash", Kind: protocol.Audio, Source: "regular"},
	}
	camera := p.addClocked("camera", webrtc.MimeTypeVP8, &codecs.VP8Payloader{EnablePictureID: true}, 90000, 1)
	microphone := p.addClocked("microphone", webrtc.MimeTypeOpus, &codecs.OpusPayloader{}, 48000, 1+ppm/1e6)
	p.connect()

	// Both are timed by the microphone's clock, so that flashes and beeps begin at the same instants.
	fast := 1 + ppm/1e6
	began := time.Now()
	at := func(second float64) time.Time { return began.Add(time.Duration(second / fast * float64(time.Second))) }
	p.wg.Go(func() {
		p.clocked(func(i int) time.Time { return at(float64(i) / 50) }, 20*time.Millisecond, func(i int, capture time.Time) error {
			return microphone.send(b.sound[i%50], capture.Sub(began), capture)
		})
	})
	p.wg.Go(func() {
		p.clocked(func(i int) time.Time { return at(float64(i) / 30) }, cameraDelay, func(i int, capture time.Time) error {
			picture := b.dark
			if in := time.Duration(i%30) * time.Second / 30; in >= beepAt && in < beepAt+beepLength {
				picture = b.light
			}
			return camera.send(picture, capture.Sub(began), capture)
		})
	})
}

// clocked calls send for each i, so much after its time.
func (p *publisher) clocked(at func(i int) time.Time, delay time.Duration, send func(i int, capture time.Time) error) {
	for i := 0; ; i++ {
		capture := at(i)
		select {
		case <-p.done:
			return
		case <-time.After(time.Until(capture.Add(delay))):
		}
		if send(i, capture) != nil {
			return
		}
	}
}

// clockedTrack is a track whose timestamps, and what sender reports say of them, are known.
type clockedTrack struct {
	*webrtc.TrackLocalStaticRTP
	pc       *webrtc.PeerConnection
	sender   *webrtc.RTPSender
	packer   rtp.Packetizer
	rate     float64 // ticks in a real second
	first    uint32  // timestamp
	reported time.Time
}

func (p *publisher) addClocked(id, mime string, payloader rtp.Payloader, rate uint32, fast float64) *clockedTrack {
	p.t.Helper()
	c := &clockedTrack{pc: p.pc, rate: float64(rate) * fast, first: 0xfffffff0 - rate}
	var err error
	if c.TrackLocalStaticRTP, err = webrtc.NewTrackLocalStaticRTP(webrtc.RTPCodecCapability{MimeType: mime}, id, "flash"); err != nil {
		p.t.Fatal(err)
	}
	if c.sender, err = p.pc.AddTrack(c.TrackLocalStaticRTP); err != nil {
		p.t.Fatal(err)
	}
	c.packer = rtp.NewPacketizer(1200, 0, 0, payloader, rtp.NewRandomSequencer(), rate)
	return c
}

// send sends a frame that was captured at a time, and now and then a report.
func (c *clockedTrack) send(frame []byte, since time.Duration, capture time.Time) error {
	stamp := c.first + uint32(int64(math.Round(since.Seconds()*c.rate)))
	if capture.Sub(c.reported) > 500*time.Millisecond {
		c.reported = capture
		const ntpEpoch = 2208988800 // seconds from 1900 to 1970
		ntp := uint64(capture.Unix()+ntpEpoch)<<32 | uint64(capture.Nanosecond())<<32/1_000_000_000
		report := &rtcp.SenderReport{SSRC: uint32(c.sender.GetParameters().Encodings[0].SSRC), NTPTime: ntp, RTPTime: stamp}
		if err := c.pc.WriteRTCP([]rtcp.Packet{report}); err != nil {
			return err
		}
	}
	for _, packet := range c.packer.Packetize(frame, 0) {
		packet.Timestamp = stamp
		if err := c.WriteRTP(packet); err != nil {
			return err
		}
	}
	return nil
}

// TestSkew holds flashes against beeps at the player, to within what nobody notices (ITU-R BT.1359: 45 ms early, 125 ms
// late). The sender's pictures leave later than its sound, and its clocks may
// not agree: sender reports tell what belongs together.
func TestSkew(t *testing.T) {
	t.Parallel()
	for name, ppm := range map[string]float64{"clocks agree": 0, "fast microphone": 100} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t, realWorker(t), Config{}, func(t *policy.Template) {
				for _, d := range t.Destinations.HLS {
					d.Layers = []policy.HLSLayer{{Width: 320, Height: 180, VideoBitrate: 300}}
				}
			})
			r := h.open()
			flash(t, r, ppm)
			flashes, beeps := watchFlashes(t, h.start(r).URL, *skewLength)
			var skews []float64 // ms; more than 0: the picture is late
			for _, f := range flashes {
				for _, b := range beeps {
					if math.Abs(f-b) < 0.4 {
						skews = append(skews, math.Round((f-b)*1000))
					}
				}
			}
			t.Logf("ms that flashes come after beeps: %v", skews)
			// A machine that is too busy repeats pictures, which are late then: the median counts.
			if len(skews) < 3 {
				t.Fatalf("%d flashes, %d beeps, %d pairs", len(flashes), len(beeps), len(skews))
			}
			end := slices.Sorted(slices.Values(skews[len(skews)*2/3-1:]))
			if ms := end[len(end)/2]; math.Abs(ms) > 40 {
				t.Errorf("at the end flashes come %v ms after their beeps", ms)
			}
		})
	}
}

var (
	pictureLine = regexp.MustCompile(`Parsed_showinfo.* pts: *([0-9]+) .* mean:\[([0-9]+)`)
	soundLine   = regexp.MustCompile(`Parsed_ashowinfo.* pts: *([0-9]+) .* nb_samples:([0-9]+)`)
)

// watchFlashes plays a stream and returns when flashes and beeps begin, in seconds of its timeline.
func watchFlashes(t *testing.T, url string, length time.Duration) (flashes, beeps []float64) {
	t.Helper()
	// -t counts from the timeline's beginning here, frames from the player's.
	cmd := exec.CommandContext(t.Context(), "ffmpeg", "-v", "info", "-nostats", "-nostdin", "-copyts", "-i", url,
		"-map", "0:v:0", "-frames:v", strconv.Itoa(int(length.Seconds()*30)), "-vf", "scale=2:2:flags=area,format=gray,showinfo", "-f", "null", "-",
		"-map", "0:a:0", "-frames:a", strconv.Itoa(int(length.Seconds()*48000/1024)), "-af", "aformat=flt:48000:mono,ashowinfo", "-f", "f32le", "-")
	var pcm, lines bytes.Buffer
	cmd.Stdout, cmd.Stderr = &pcm, &lines
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v: %v\n%s", cmd.Args, err, lines.Bytes()[max(0, lines.Len()-2000):])
	}
	number := func(b []byte) float64 {
		f, err := strconv.ParseFloat(string(b), 64)
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	lit := true // a flash that the player began in is none
	for _, m := range pictureLine.FindAllSubmatch(lines.Bytes(), -1) {
		if now := number(m[2]) > 128; now != lit {
			if lit = now; lit {
				flashes = append(flashes, number(m[1])/90000)
			}
		}
	}
	quiet, samples := 0, pcm.Bytes()
	for _, m := range soundLine.FindAllSubmatch(lines.Bytes(), -1) {
		n := int(number(m[2]))
		for i := range min(n, len(samples)/4) {
			v := math.Float32frombits(binary.LittleEndian.Uint32(samples[4*i:]))
			if v < 0.05 && v > -0.05 {
				quiet++
				continue
			}
			if quiet > 4800 {
				beeps = append(beeps, (number(m[1])+float64(i))/48000)
			}
			quiet = 0
		}
		samples = samples[min(4*n, len(samples)):]
	}
	return flashes, beeps
}
