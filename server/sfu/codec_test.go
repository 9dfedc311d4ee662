package sfu

import "testing"

// TestH264Profiles: what encoders call constrained baseline, x264 among them, is forwarded as that.
func TestH264Profiles(t *testing.T) {
	for id, want := range map[string]string{
		"42e01f": "42e01f", "42C01E": "42e01e", "424028": "42e028", "42001f": "42001f", "42801f": "42001f",
		"640028": "", "4d401f": "", "42e11f": "", "42": "", "": "",
	} {
		f := format{name: "h264/90000", fmtp: "packetization-mode=1; profile-level-id=" + id}
		got := ""
		if f.codec() == H264 {
			got = f.profile()
		}
		if got != want {
			t.Errorf("%s: %q, want %q", id, got, want)
		}
	}
}
