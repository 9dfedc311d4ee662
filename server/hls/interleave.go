package hls

import "time"

// picture is an access unit of video, and what it does to the part and segment before it.
type picture struct {
	dts         int64 // in videoClockRate
	key         bool
	nalus       [][]byte
	endsPart    bool
	endsSegment bool
}

// sound is an access unit of audio.
type sound struct {
	pts int64 // in samples
	au  []byte
}

// beat tells at which pictures parts and segments end, by the same rule as the muxer: a segment
// at the first key picture after segmentMin, a part at the first picture after partDuration.
type beat struct {
	began   bool
	segment int64 // ticks of the first picture of the segment being filled
	part    int64 // and of the part
}

func (b *beat) step(dts int64, key bool) (endsPart, endsSegment bool) {
	switch {
	case !b.began:
		*b = beat{began: true, segment: dts, part: dts}
		return false, false
	case key && dts-b.segment >= ticks(segmentMin, videoClockRate):
		b.segment, b.part = dts, dts
		return true, true
	case dts-b.part >= ticks(partDuration, videoClockRate):
		b.part = dts
		return true, false
	default:
		return false, false
	}
}

// interleaver gives two media back in step: neither more ahead of the other than its lead.
type interleaver struct {
	sampleRate int64
	pictures   []picture
	sounds     []sound

	began     bool          // a picture was taken out
	videoTime time.Duration // of the last picture taken out
	audioTime time.Duration // of the last sound taken out, or of the first picture before that
}

// next takes out the unit that comes next, if there is one whose turn it is.
func (q *interleaver) next() (*picture, *sound) {
	var pictureAt, soundAt time.Duration
	if len(q.pictures) > 0 {
		pictureAt = duration(q.pictures[0].dts, videoClockRate)
		if !q.began {
			q.began, q.audioTime = true, pictureAt
		}
		if pictureAt <= q.audioTime+videoLead {
			return q.takePicture(pictureAt), nil
		}
	}
	if len(q.sounds) > 0 && q.began {
		soundAt = duration(q.sounds[0].pts, q.sampleRate)
		if soundAt <= q.videoTime+audioLead {
			return nil, q.takeSound(soundAt)
		}
	}
	if len(q.pictures) == 0 || len(q.sounds) == 0 || !q.began {
		return nil, nil
	}
	// Both have a hole: on with the earlier one.
	if pictureAt <= soundAt {
		return q.takePicture(pictureAt), nil
	}
	return nil, q.takeSound(soundAt)
}

func (q *interleaver) takePicture(at time.Duration) *picture {
	p := &q.pictures[0]
	q.pictures, q.videoTime = q.pictures[1:], at
	return p
}

func (q *interleaver) takeSound(at time.Duration) *sound {
	a := &q.sounds[0]
	q.sounds, q.audioTime = q.sounds[1:], at
	return a
}

// starving says whether video has waited for audio for too long, and until when audio is needed
// to go on.
func (q *interleaver) starving() (until time.Duration, yes bool) {
	if len(q.pictures) == 0 || len(q.sounds) > 0 {
		return 0, false
	}
	newest := duration(q.pictures[len(q.pictures)-1].dts, videoClockRate)
	return newest, newest-q.audioTime > starvation
}
