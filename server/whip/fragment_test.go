package whip

import (
	"slices"
	"strings"
	"testing"

	"github.com/pion/sdp/v3"

	"amphi/server/config"
)

func TestParseFragment(t *testing.T) {
	const good = "a=ice-ufrag:EsAw\r\na=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1\r\n"
	for name, c := range map[string]struct {
		text       string
		candidates int // -1: refused
	}{
		"that of RFC 9725": {"a=group:BUNDLE 0 1\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:0\r\n" + good +
			"a=candidate:1387637174 1 udp 2122260223 192.0.2.1 61764 typ host generation 0 ufrag EsAw network-id 1\r\n" +
			"a=candidate:473322822 1 tcp 1518280447 192.0.2.1 9 typ host tcptype active generation 0 ufrag EsAw network-id 1\r\na=end-of-candidates\r\n", 2},
		"lines ended by LF":     {strings.ReplaceAll(good, "\r", "") + "a=candidate:1 1 udp 1 ::1 9 typ host", 1},
		"nothing":               {"", 0},
		"credentials repeated":  {good + "m=audio 9 RTP/AVP 0\r\n" + good, 0},
		"other credentials":     {good + "m=audio 9 RTP/AVP 0\r\na=ice-ufrag:Other\r\n", -1},
		"a user and no secret":  {"a=ice-ufrag:EsAw\r\n", -1},
		"a secret that is none": {"a=ice-ufrag:EsAw\r\na=ice-pwd:short\r\n", -1},
		"a line broken in":      {"a=ice-ufrag:EsAw\ra=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1\r\n", -1},
		"a return in a line":    {good + "a=candidate:1 1 udp 1 ::1 9 typ host\rm=audio 9 x 0\r\n", -1},
		"another kind of line":  {"v=0\r\n" + good, -1},
		"too many candidates":   {good + strings.Repeat("a=candidate:1 1 udp 1 ::1 9 typ host\r\n", 65), -1},
	} {
		f, err := parseFragment(c.text)
		if (err != nil) != (c.candidates < 0) || err == nil && len(f.candidates) != c.candidates {
			t.Errorf("%s: %+v %v", name, f, err)
		}
	}
}

// FuzzParseFragment: what is accepted can stand in a description without adding lines to it.
func FuzzParseFragment(f *testing.F) {
	f.Add("a=ice-ufrag:EsAw\r\na=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1\r\na=candidate:1 1 udp 1 ::1 9 typ host\r\n")
	f.Add("m=audio 9 RTP/AVP 0\r\na=mid:0\r\n")
	o, err := parseOffer(minimalOffer)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text string) {
		g, err := parseFragment(text)
		if err != nil {
			return
		}
		n, err := o.restarted(g)
		if err != nil {
			t.Fatal(err)
		}
		again := &sdp.SessionDescription{}
		if err := again.UnmarshalString(n.text()); err != nil || len(again.MediaDescriptions) != 1 ||
			len(again.MediaDescriptions[0].Attributes) != len(o.sdp.MediaDescriptions[0].Attributes)+len(g.candidates) {
			t.Fatalf("%v in\n%s", err, n.text())
		}
	})
}

const minimalOffer = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\nc=IN IP4 0.0.0.0\r\n" +
	"a=ice-ufrag:EsAw\r\na=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1\r\na=mid:0\r\na=sendonly\r\na=msid:s t\r\na=ssrc:7 msid:s t\r\na=rtpmap:111 opus/48000/2\r\n"

// FuzzParseOffer: what is accepted has tracks, and is still a description after the change of ids.
func FuzzParseOffer(f *testing.F) {
	f.Add(minimalOffer)
	f.Add(strings.ReplaceAll(minimalOffer, "audio", "video"))
	f.Fuzz(func(t *testing.T, text string) {
		o, err := parseOffer(text)
		if err != nil {
			return
		}
		again, err := parseOffer(o.text())
		if err != nil || len(again.tracks) != len(o.tracks) || len(o.tracks) == 0 || len(o.tracks) > 2 {
			t.Fatalf("%v: %d tracks, then %v\n%s", err, len(o.tracks), again, o.text())
		}
	})
}

func TestLinks(t *testing.T) {
	got := links([]config.ICEServer{{URLs: []string{"stun:s.example", "turn:t.example?transport=udp"}}, {URLs: []string{"turns:t.example"}, Username: "u", Credential: `a"b\`}})
	want := []string{`<stun:s.example>; rel="ice-server"`, `<turn:t.example?transport=udp>; rel="ice-server"`,
		`<turns:t.example>; rel="ice-server"; username="u"; credential="a\"b\\"; credential-type="password"`}
	if !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
}
