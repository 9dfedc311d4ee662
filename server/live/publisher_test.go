package live

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/pion/webrtc/v4"
	"github.com/pion/webrtc/v4/pkg/media"
	"github.com/pion/webrtc/v4/pkg/media/ivfreader"
	"github.com/pion/webrtc/v4/pkg/media/oggreader"

	"amphi/server/policy"
	"amphi/server/protocol"
	"amphi/server/room"
)

// source is what a publisher sends again and again: VP8 at 30 frames a second, with a key frame
// each half second as nobody hears requests, and Opus packets of 20 ms.
type source struct{ video, audio [][]byte }

var testSource = sync.OnceValues(func() (s source, err error) {
	if s.video, err = vp8("640x360", 700_000); err != nil {
		return s, err
	}
	ogg, err := ffmpeg("-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000", "-t", "2", "-c:a", "libopus", "-b:a", "32k",
		"-page_duration", "20000", "-f", "ogg", "-")
	if err != nil {
		return s, err
	}
	pages, _, err := oggreader.NewWith(bytes.NewReader(ogg))
	for err == nil {
		var page []byte
		if page, _, err = pages.ParseNextPage(); err == nil && !bytes.HasPrefix(page, []byte("OpusTags")) {
			s.audio = append(s.audio, page)
		}
	}
	if !errors.Is(err, io.EOF) {
		return s, err
	}
	return s, nil
})

func ffmpeg(args ...string) ([]byte, error) {
	cmd := exec.Command("ffmpeg", append([]string{"-v", "error"}, args...)...)
	cmd.Stderr = os.Stderr
	return cmd.Output()
}

// vp8 encodes two seconds of pictures of a size.
func vp8(size string, bitrate int) (frames [][]byte, err error) {
	ivf, err := ffmpeg("-f", "lavfi", "-i", "testsrc2=rate=30:size="+size, "-t", "2", "-c:v", "libvpx", "-deadline", "realtime",
		"-cpu-used", "8", "-g", "15", "-b:v", strconv.Itoa(bitrate), "-auto-alt-ref", "0", "-f", "ivf", "-")
	if err != nil {
		return nil, err
	}
	r, _, err := ivfreader.NewWith(bytes.NewReader(ivf))
	for err == nil {
		var frame []byte
		if frame, _, err = r.ParseNextFrame(); err == nil {
			frames = append(frames, frame)
		}
	}
	if !errors.Is(err, io.EOF) {
		return nil, err
	}
	return frames, nil
}

// mailbox is a socket whose messages nobody reads.
type mailbox struct{}

func (mailbox) Send([]byte)  {}
func (mailbox) Close(string) {}

// publisher is somebody on stage, with a connection of Pion's.
type publisher struct {
	t      *testing.T
	peer   *room.Peer
	pc     *webrtc.PeerConnection
	tracks map[string]protocol.Track
	done   chan struct{}
	wg     sync.WaitGroup
}

// join brings somebody on stage who publishes a camera and a microphone.
func join(t *testing.T, r *room.Room, name string) *publisher {
	t.Helper()
	src, err := testSource()
	if err != nil {
		t.Fatal(err)
	}
	p := &publisher{t: t, done: make(chan struct{})}
	p.peer, err = r.Connect(t.Context(), room.Identity{PeerID: "peer-" + name, UserID: name, Role: policy.RoleBroadcaster}, mailbox{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.peer.Join(t.Context(), protocol.Join{Name: name}); err != nil {
		t.Fatal(err)
	}
	// All candidates go with the descriptions; on this machine gathering takes no time.
	var e webrtc.SettingEngine
	e.SetIncludeLoopbackCandidate(true)
	if p.pc, err = webrtc.NewAPI(webrtc.WithSettingEngine(e)).NewPeerConnection(webrtc.Configuration{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.leave)
	stream, camera, microphone := "stream-"+name, "camera-"+name, "microphone-"+name
	p.tracks = map[string]protocol.Track{
		camera:     {TrackID: camera, StreamID: stream, Kind: protocol.Video, Source: "regular"},
		microphone: {TrackID: microphone, StreamID: stream, Kind: protocol.Audio, Source: "regular"},
	}
	video := p.add(webrtc.MimeTypeVP8, camera, stream)
	audio := p.add(webrtc.MimeTypeOpus, microphone, stream)

	p.connect()
	p.wg.Go(func() { p.send(video, src.video, time.Second/30) })
	p.wg.Go(func() { p.send(audio, src.audio, 20*time.Millisecond) })
	return p
}

// connect publishes what the connection has, and waits until it stands.
func (p *publisher) connect() {
	t := p.t
	t.Helper()
	offer, err := p.pc.CreateOffer(nil)
	if err != nil {
		t.Fatal(err)
	}
	gathered := webrtc.GatheringCompletePromise(p.pc)
	if err := p.pc.SetLocalDescription(offer); err != nil {
		t.Fatal(err)
	}
	<-gathered
	answer, err := p.peer.Offer(t.Context(), protocol.Offer{
		Desc: protocol.Description{Type: "offer", SDP: p.pc.LocalDescription().SDP}, Tracks: p.tracks,
	})
	if err != nil {
		t.Fatal(err)
	}
	connected := make(chan struct{})
	var once sync.Once // a connection that stalls on a busy machine connects again
	p.pc.OnConnectionStateChange(func(s webrtc.PeerConnectionState) {
		if s == webrtc.PeerConnectionStateConnected {
			once.Do(func() { close(connected) })
		}
	})
	if err := p.pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: answer.SDP}); err != nil {
		t.Fatal(err)
	}
	select {
	case <-connected:
	case <-time.After(20 * time.Second):
		t.Fatal("publisher does not connect")
	}
}

func (p *publisher) add(mime, id, stream string) *webrtc.TrackLocalStaticSample {
	p.t.Helper()
	track, err := webrtc.NewTrackLocalStaticSample(webrtc.RTPCodecCapability{MimeType: mime}, id, stream)
	if err != nil {
		p.t.Fatal(err)
	}
	sender, err := p.pc.AddTrack(track)
	if err != nil {
		p.t.Fatal(err)
	}
	p.wg.Go(func() {
		buf := make([]byte, 1500)
		for { // interceptors work while RTCP is read
			if _, _, err := sender.Read(buf); err != nil {
				return
			}
		}
	})
	return track
}

func (p *publisher) send(track *webrtc.TrackLocalStaticSample, samples [][]byte, each time.Duration) {
	began := time.Now()
	for i := 0; ; i++ {
		select {
		case <-p.done:
			return
		case <-time.After(time.Until(began.Add(time.Duration(i) * each))):
		}
		if err := track.WriteSample(media.Sample{Data: samples[i%len(samples)], Duration: each}); err != nil {
			return
		}
	}
}

// mute mutes or unmutes a track.
func (p *publisher) mute(id string, muted bool) {
	p.t.Helper()
	track := p.tracks[id]
	track.Mute = muted
	p.tracks[id] = track
	if err := p.peer.TrackUpdate(p.t.Context(), protocol.TrackUpdate{Tracks: map[string]protocol.Track{id: track}}); err != nil {
		p.t.Error(err)
	}
}

func (p *publisher) leave() {
	select {
	case <-p.done:
		return
	default:
	}
	close(p.done)
	_ = p.peer.Leave(p.t.Context()) // the test's room may have closed before
	if err := p.pc.GracefulClose(); err != nil {
		p.t.Error(err)
	}
	p.wg.Wait()
}
