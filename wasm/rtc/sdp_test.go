package rtc

import (
	"fmt"
	"strings"
	"testing"
)

func TestTrackOf(t *testing.T) {
	const sdp = "v=0\r\na=msid-semantic: WMS *\r\na=mid:7\r\n" +
		"m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\na=mid:0\r\n" +
		"m=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:1\r\na=msid:s1 a1\r\n" +
		"m=video 9 UDP/TLS/RTP/SAVPF 96\r\na=msid:s1 v1\r\na=mid:12\r\n" +
		"m=video 9 UDP/TLS/RTP/SAVPF 96\r\na=mid:2\r\na=msid:s2 v2\r\na=msid:s3 v2\r\n" +
		"m=video 9 UDP/TLS/RTP/SAVPF 96\r\na=mid:3\r\na=msid:alone\r\n"
	for _, tc := range []struct {
		mid, stream, track string
		ok                 bool
	}{
		{"1", "s1", "a1", true},
		{"12", "s1", "v1", true}, // msid before mid
		{"2", "s2", "v2", true},  // the first stream counts
		{"0", "", "", false},
		{"3", "alone", "", false}, // no track id
		{"9", "", "", false},
	} {
		stream, track, ok := trackOf(sdp, tc.mid)
		if ok != tc.ok || ok && (stream != tc.stream || track != tc.track) {
			t.Errorf("mid %s: got %q %q %v", tc.mid, stream, track, ok)
		}
	}
}

func TestWithDTX(t *testing.T) {
	const plain = "a=fmtp:111 minptime=10;useinbandfec=1\r\n"
	const want = "a=fmtp:111 minptime=10;useinbandfec=1;usedtx=1\r\n"
	if got := withDTX(plain); got != want {
		t.Errorf("got %q", got)
	}
	if got := withDTX(want); got != want {
		t.Errorf("twice: got %q", got)
	}
}

func TestKeepReceivers(t *testing.T) {
	const offer = "v=0\r\na=inactive\r\n" +
		"m=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:1\r\na=%s\r\n" +
		"m=video 9 UDP/TLS/RTP/SAVPF 96\r\na=sendonly\r\na=mid:2\r\n" +
		"m=video 9 UDP/TLS/RTP/SAVPF 96\r\na=inactive\r\na=mid:3\r\n" +
		"m=video 9 UDP/TLS/RTP/SAVPF 96\r\na=inactive\r\n"
	got := keepReceivers(fmt.Sprintf(offer, "inactive"), func(mid string) bool { return mid == "1" || mid == "2" })
	if got != fmt.Sprintf(offer, "recvonly") {
		t.Errorf("got %q", got)
	}
}

func FuzzTrackOf(f *testing.F) {
	f.Add("m=video 9\r\na=mid:1\r\na=msid:s t\r\n", "1")
	f.Add("a=msid:\nm=\na=mid:", "")
	f.Fuzz(func(t *testing.T, sdp, mid string) {
		if stream, track, ok := trackOf(sdp, mid); ok && !strings.Contains(sdp, stream+" "+track) {
			t.Errorf("%q %q is not in the text", stream, track)
		}
	})
}
