package hls

// sound are the units of audio that wait for the pictures of their time, one after the other without a hole. Times are
// counted in samples.
type sound struct {
	silent []byte // a unit of silence
	units  [][]byte
	at     int64 // the time of the first of them, or of the one that comes next
	heard  bool  // a unit came since the timeline began
}

// begin sets the timeline.
func (s *sound) begin(at int64) { s.units, s.at, s.heard = nil, at, false }

// end is the end of what there is.
func (s *sound) end() int64 { return s.at + aacFrame*int64(len(s.units)) }

// reaches says that there is all sound up to a time, and some at all: players stand still at a part without.
func (s *sound) reaches(end int64) bool { return s.end() >= end && len(s.units) > 0 }

// write appends a unit, after silence if there is a hole before it. It counts the units of silence, and those that came too late.
func (s *sound) write(at int64, unit []byte) (silent, late uint64) {
	if !s.heard && at >= s.at && at < s.at+aacFrame {
		s.at = at // the first need not begin with the picture
	}
	if at < s.end()-aacFrame/2 || !s.heard && at < s.at {
		return 0, 1
	}
	s.heard = true
	for s.end()+aacFrame/2 < at {
		s.units = append(s.units, s.silent)
		silent++
	}
	s.units = append(s.units, unit)
	if over := len(s.units) - maxAudioUnits; over > 0 { // no pictures at all, and nobody fills
		s.units, s.at = s.units[over:], s.at+aacFrame*int64(over)
		late = uint64(over)
	}
	return silent, late
}

// pad appends silence until the sound reaches a time, and counts it.
func (s *sound) pad(end int64) (silent uint64) {
	s.heard = true
	for !s.reaches(end) {
		s.units = append(s.units, s.silent)
		silent++
	}
	return silent
}

// take takes the units that begin before a time, at least one, and says when they begin.
func (s *sound) take(end int64) (units [][]byte, at int64) {
	n := 1
	for n < len(s.units) && s.at+aacFrame*int64(n) < end {
		n++
	}
	units, at = s.units[:n], s.at
	s.units = s.units[n:]
	s.at += aacFrame * int64(n)
	return units, at
}
