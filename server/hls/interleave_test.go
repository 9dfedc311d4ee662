package hls

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/bluenviron/gohlslib/v2/pkg/playlist"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/fmp4"
)

// Media that come in bursts, one far ahead of the other, give parts that all have both.
func TestPartsHaveBothMedia(t *testing.T) {
	for _, tt := range []struct {
		name         string
		video, audio time.Duration // most that is written at a time
		lateAudio    bool          // none before 2 s
		stall        bool          // no video for 3 s
	}{
		{name: "in step", video: 33 * time.Millisecond, audio: 21 * time.Millisecond},
		{name: "bursts of video", video: 400 * time.Millisecond, audio: 21 * time.Millisecond},
		{name: "bursts of audio", video: 33 * time.Millisecond, audio: 900 * time.Millisecond},
		{name: "both", video: 300 * time.Millisecond, audio: 700 * time.Millisecond},
		{name: "video stalls", video: 33 * time.Millisecond, audio: 21 * time.Millisecond, stall: true},
		{name: "audio comes late", video: 33 * time.Millisecond, audio: 21 * time.Millisecond, lateAudio: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newTestStream(t)
			random := rand.New(rand.NewPCG(1, 2))
			burst := func(most time.Duration) time.Duration { return 1 + time.Duration(random.Int64N(int64(most))) }
			video, audio := 0, 0
			at := func(i int, num, den int) time.Duration {
				return time.Duration(i*num) * time.Second / time.Duration(den)
			}
			for video < 30*9 {
				for until := at(video, 1, 30) + burst(tt.video); at(video, 1, 30) < until; video++ {
					n := video % len(small.video)
					if tt.stall && video >= 90 && video < 180 {
						continue
					}
					if err := s.WriteVideo(at(video, 1, 30), small.keys[n], small.video[n]); err != nil {
						t.Fatal(err)
					}
				}
				for until := at(video, 1, 30) - 60*time.Millisecond + burst(tt.audio) - tt.audio/2; at(audio, aacFrame, 48000) < until; audio++ {
					if tt.lateAudio && video < 60 {
						continue
					}
					if err := s.WriteAudio(at(audio, aacFrame, 48000), small.audio[audio%len(small.audio)]); err != nil {
						t.Fatal(err)
					}
				}
			}
			_, v, a, dir := lists(t, s)
			if v.TargetDuration != 1 || v.PartInf.PartTarget != partDuration {
				t.Errorf("target %d s, parts %v", v.TargetDuration, v.PartInf.PartTarget)
			}
			for _, list := range []playlist.Media{v, a} {
				parts := list.Parts
				for _, seg := range list.Segments {
					parts = append(parts, seg.Parts...)
				}
				for _, part := range parts {
					var read fmp4.Parts
					if err := read.Unmarshal(body(t, s, "/"+dir+"/"+part.URI)); err != nil {
						t.Fatal(err)
					}
					if len(read) != 1 || len(read[0].Tracks) != 1 || len(read[0].Tracks[0].Samples) == 0 {
						t.Errorf("%s is empty", part.URI)
					}
				}
			}
		})
	}
}
