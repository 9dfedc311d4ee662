package pagecast

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/mpegts"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/mpegts/codecs"
)

const (
	clockRate = 90000     // of a transport stream's timestamps
	clockWrap = 1 << 33   // where they begin anew
	maxSkew   = time.Hour // between a timestamp and the time now; beyond it they are of no clock that we know

	maxPicture = 4 << 20 // bytes
	packetTime = 20 * time.Millisecond
)

// develop reads a film and gives it to the sink until it ends.
func develop(film io.Reader, now func() time.Time, sink Sink) error {
	r := &mpegts.Reader{R: film}
	if err := r.Initialize(); err != nil {
		return fmt.Errorf("film: %w", err)
	}
	tracks := 0
	for _, t := range r.Tracks() {
		switch t.Codec.(type) {
		case *codecs.H264:
			tracks++
			r.OnDataH264(t, func(pts, _ int64, nalus [][]byte) error {
				size := 0
				for _, n := range nalus {
					if size += len(n); len(n) == 0 || size > maxPicture {
						return errors.New("film: a picture is broken")
					}
				}
				au, err := h264.AnnexB(nalus).Marshal()
				if err != nil {
					return fmt.Errorf("film: %w", err)
				}
				sink.Picture(wallClock(pts, now()), h264.IsRandomAccess(nalus), au)
				return nil
			})
		case *codecs.Opus:
			tracks++
			r.OnDataOpus(t, func(pts int64, packets [][]byte) error {
				at := wallClock(pts, now())
				for i, p := range packets {
					if len(p) > 0 {
						sink.Sound(at.Add(time.Duration(i)*packetTime), p)
					}
				}
				return nil
			})
		}
	}
	if tracks != 2 {
		return errors.New("film: it lacks picture or sound")
	}
	for {
		if err := r.Read(); err != nil {
			return fmt.Errorf("film: %w", err)
		}
	}
}

// wallClock is the time of a timestamp, which is not far from now.
func wallClock(pts int64, now time.Time) time.Time {
	ticks := now.Unix()*clockRate + int64(now.Nanosecond())*clockRate/int64(time.Second)
	ahead := (pts - ticks) & (clockWrap - 1)
	if ahead >= clockWrap/2 {
		ahead -= clockWrap
	}
	if ahead > clockRate*int64(maxSkew/time.Second) || -ahead > clockRate*int64(maxSkew/time.Second) {
		return now
	}
	return now.Add(time.Duration(ahead) * time.Second / clockRate)
}
