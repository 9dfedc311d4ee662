package rtc

// Stat is one entry of what a connection measured, in the words of the W3C's
// webrtc-stats. Of outbound-rtp and inbound-rtp entries "trackIdentifier" is
// the id that the track's publisher gave it.
type Stat map[string]any

// Text is a value that is a string; empty when there is none.
func (s Stat) Text(key string) string {
	text, _ := s[key].(string)
	return text
}

// Number is a value that is a number; ok tells whether there is one.
func (s Stat) Number(key string) (value float64, ok bool) {
	value, ok = s[key].(float64)
	return value, ok
}
