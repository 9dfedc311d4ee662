package webhook

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestSignatureVector is the example of the Standard Webhooks specification.
func TestSignatureVector(t *testing.T) {
	h := make(http.Header)
	const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	err := sign(h, []string{secret}, "msg_p5jXN8AQM9LWM0D4loKWxJek", time.Unix(1614265330, 0), []byte(`{"test": 2432232314}`))
	if got, want := h.Get("webhook-signature"), "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="; err != nil || got != want {
		t.Errorf("got %q %v, want %q", got, err, want)
	}
	// While a secret is being replaced, a receiver that knows either is served.
	err = sign(h, []string{"whsec_bmV3IHNlY3JldA==", secret}, "msg_p5jXN8AQM9LWM0D4loKWxJek", time.Unix(1614265330, 0), []byte(`{"test": 2432232314}`))
	if first, second, _ := strings.Cut(h.Get("webhook-signature"), " "); err != nil || !strings.HasPrefix(first, "v1,") || second != "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=" {
		t.Errorf("got %q %v", h.Get("webhook-signature"), err)
	}
	for _, bad := range [][]string{nil, {""}, {"whsec_"}, {"whsec_?"}, {secret, "whsec_?"}} {
		if sign(h, bad, "", time.Now(), nil) == nil {
			t.Errorf("secret %q signs", bad)
		}
	}
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for v, want := range map[string]time.Duration{
		"": 0, "0": 0, "-1": 0, "3": 3 * time.Second, "99999999999": 24 * time.Hour, "99999999999999999999": 0, "soon": 0,
		"Thu, 01 Jan 2026 00:01:00 GMT": time.Minute, "Wed, 31 Dec 2025 00:00:00 GMT": 0,
	} {
		if got := parseRetryAfter(v, now); got != want {
			t.Errorf("%q: %v, want %v", v, got, want)
		}
	}
}

// FuzzRetryAfter: whatever a receiver says, the pause is neither negative nor without end.
func FuzzRetryAfter(f *testing.F) {
	for _, v := range []string{"", "7", "-7", "Fri, 31 Dec 9999 23:59:59 GMT", "1e9", "\x00"} {
		f.Add(v)
	}
	f.Fuzz(func(t *testing.T, v string) {
		if d := min(parseRetryAfter(v, time.Now()), maxRetryAfter); d < 0 || d > maxRetryAfter {
			t.Errorf("%q: %v", v, d)
		}
	})
}
