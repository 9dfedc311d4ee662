package policy

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"math"
	"strings"
	"time"
)

// Sound is an MP3 as a data URL of type audio/mpeg. Like an Image it travels with the template.
type Sound string

const (
	maxSoundBytes = 512 << 10   // half a minute at 128 kbit/s
	minSound      = time.Second // what is shorter and repeated is noise
)

// Data returns the MP3; nil if there is none.
func (s Sound) Data() []byte {
	head, text, ok := strings.Cut(string(s), ",")
	if !ok || head != "data:audio/mpeg;base64" && head != "data:audio/mp3;base64" {
		return nil
	}
	data, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil
	}
	return data
}

// problem says what is wrong with a sound. Only the headers of its frames are looked at here: it is decoded where that
// can do no harm.
func (s Sound) problem() string {
	if s == "" {
		return ""
	}
	data := s.Data()
	if data == nil {
		return "is not a data URL of type audio/mpeg in base64"
	}
	if len(data) > maxSoundBytes {
		return fmt.Sprintf("has %d bytes, at most are %d", len(data), maxSoundBytes)
	}
	length, ok := MP3Length(data)
	switch {
	case !ok:
		return "is not an MP3 of 32, 44.1 or 48 kHz"
	case length < minSound:
		return fmt.Sprintf("is %v long, at least is %v", length.Round(time.Millisecond), minSound)
	}
	return ""
}

// MP3Length is how long an MP3 plays; false if the data is none. It knows MPEG 1 layer III (ISO/IEC 11172-3, 2.4.1.3),
// behind an ID3v2 tag, before others.
func MP3Length(data []byte) (time.Duration, bool) {
	length, _, ok := seekMP3(data, math.MaxInt64)
	return length, ok
}

// MP3From is an MP3 from a time on; nil if it is over then.
func MP3From(data []byte, at time.Duration) []byte {
	if at <= 0 {
		return data
	}
	_, rest, _ := seekMP3(data, at)
	return rest
}

// seekMP3 goes through the frames of an MP3 up to the one that plays at a time, and returns how long those before it play
// and the rest. That is nil when there are none so far; ok says then whether the data was an MP3.
func seekMP3(data []byte, at time.Duration) (length time.Duration, rest []byte, ok bool) {
	rates := [...]int{44100, 48000, 32000}
	kbits := [...]int{0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 0}
	const tagHead = 10
	if bytes.HasPrefix(data, []byte("ID3")) && len(data) >= tagHead {
		size := tagHead
		for i, b := range data[6:tagHead] { // seven bits each
			size += int(b&0x7f) << (7 * (3 - i))
		}
		if data[5]&0x10 != 0 { // a footer
			size += tagHead
		}
		data = data[min(size, len(data)):]
	}
	for len(data) >= 4 && data[0] == 0xff && data[1]&0xfe == 0xfa {
		bitrate, rate := 1000*kbits[data[2]>>4], data[2]>>2&3
		if bitrate == 0 || int(rate) == len(rates) {
			return 0, nil, false
		}
		size := 144*bitrate/rates[rate] + int(data[2]>>1&1)
		if size > len(data) { // cut off
			return length, nil, length > 0
		}
		if length >= at {
			return length, data, true
		}
		length += 1152 * time.Second / time.Duration(rates[rate])
		data = data[size:]
	}
	for _, tag := range []string{"TAG", "APETAGEX", "LYRICSBEGIN", "ID3"} {
		if bytes.HasPrefix(data, []byte(tag)) {
			return length, nil, length > 0
		}
	}
	return length, nil, length > 0 && len(bytes.Trim(data, "\x00")) < 4
}
