package auth

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/golang-jwt/jwt/v5"
	"go.uber.org/goleak"

	"amphi/server/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// keyring is Keys over a map; errBroken stands for a database that does not answer.
type keyring map[string]store.AccessKey

var errBroken = errors.New("disk on fire")

func (k keyring) AccessKey(_ context.Context, id string) (store.AccessKey, error) {
	if id == "broken" {
		return store.AccessKey{}, errBroken
	}
	key, ok := k[id]
	if !ok {
		return key, store.ErrNotFound
	}
	return key, nil
}

var (
	now  = time.Unix(1_700_000_000, 0)
	key1 = store.AccessKey{AccessKey: "key1", WorkspaceID: "w1", Secret: strings.Repeat("1", 32)}
	key2 = store.AccessKey{AccessKey: "key2", WorkspaceID: "w2", Secret: strings.Repeat("2", 32)}
	weak = store.AccessKey{AccessKey: "weak", WorkspaceID: "w3", Secret: "short"}
	keys = keyring{"key1": key1, "key2": key2, "weak": weak}
)

func verifier() *Verifier { return &Verifier{Keys: keys, Now: func() time.Time { return now }} }

// sign makes a token as other people's programs do.
func sign(t *testing.T, method jwt.SigningMethod, secret any, c jwt.MapClaims) string {
	t.Helper()
	token, err := jwt.NewWithClaims(method, c).SignedString(secret)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func appClaims(change ...any) jwt.MapClaims {
	c := jwt.MapClaims{"access_key": "key1", "type": "app", "version": 2, "room_id": "r", "role": "host", "user_id": "u", "jti": "j",
		"iat": now.Unix(), "nbf": now.Unix(), "exp": now.Add(time.Hour).Unix()}
	for i := 0; i < len(change); i += 2 {
		if name := change[i].(string); change[i+1] == nil {
			delete(c, name)
		} else {
			c[name] = change[i+1]
		}
	}
	return c
}

func TestVerifyApp(t *testing.T) {
	hs := func(change ...any) string {
		return sign(t, jwt.SigningMethodHS256, []byte(key1.Secret), appClaims(change...))
	}
	parts := strings.Split(hs(), ".")
	b64 := base64.RawURLEncoding.EncodeToString
	for _, tc := range []struct {
		name, token string
		want        error
	}{
		{"good", hs(), nil},
		{"no version", hs("version", nil), nil},
		{"no user", hs("user_id", nil), nil},
		{"fractional times", hs("iat", 1_700_000_000.5, "exp", 1_700_000_001.5), nil},
		{"expired within the skew", hs("exp", now.Add(-59*time.Second).Unix()), nil},
		{"early within the skew", hs("nbf", now.Add(60*time.Second).Unix()), nil},
		{"ten years", hs("exp", now.AddDate(10, 0, 0).Unix()), nil},

		{"none at all", "", ErrMissing},
		{"no token", "abc", ErrMalformed},
		{"two parts", parts[0] + "." + parts[1], ErrMalformed},
		{"four parts", hs() + ".x", ErrMalformed},
		{"no base64", parts[0] + ".?." + parts[2], ErrMalformed},
		{"no JSON", parts[0] + "." + b64([]byte("{")) + "." + parts[2], ErrMalformed},
		{"null payload", parts[0] + "." + b64([]byte("null")) + "." + parts[2], ErrUnknownKey},
		{"room id is a number", hs("room_id", 7), ErrMalformed},
		{"exp is a text", hs("exp", "tomorrow"), ErrMalformed},
		{"too long", hs("user_id", strings.Repeat("u", MaxTokenBytes)), ErrMalformed},
		{"alg none", sign(t, jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, appClaims()), ErrAlgorithm},
		{"alg None", b64([]byte(`{"alg":"None"}`)) + "." + parts[1] + ".", ErrAlgorithm},
		{"no alg", b64([]byte(`{}`)) + "." + parts[1] + "." + parts[2], ErrAlgorithm},
		{"HS512", sign(t, jwt.SigningMethodHS512, []byte(key1.Secret), appClaims()), ErrAlgorithm},
		{"unknown key", hs("access_key", "key9"), ErrUnknownKey},
		{"no key", hs("access_key", nil), ErrUnknownKey},
		{"foreign secret", sign(t, jwt.SigningMethodHS256, []byte(key2.Secret), appClaims()), ErrSignature},
		{"somebody else's key", hs("access_key", "key2"), ErrSignature},
		{"changed payload", parts[0] + "." + b64([]byte(`{"access_key":"key1","role":"admin"}`)) + "." + parts[2], ErrSignature},
		{"no signature", parts[0] + "." + parts[1] + ".", ErrSignature},
		{"management token", hs("type", "management"), ErrType},
		{"no type", hs("type", nil), ErrType},
		{"version 1", hs("version", 1), ErrVersion},
		{"no jti", hs("jti", nil), ErrClaims},
		{"no iat", hs("iat", nil), ErrClaims},
		{"no nbf", hs("nbf", nil), ErrClaims},
		{"no exp", hs("exp", nil), ErrClaims},
		{"no room", hs("room_id", nil), ErrClaims},
		{"no role", hs("role", nil), ErrClaims},
		{"not yet", hs("nbf", now.Add(61*time.Second).Unix()), ErrNotYet},
		{"expired", hs("exp", now.Add(-60*time.Second).Unix()), ErrExpired},
		{"expired, of the wrong type", hs("exp", now.Add(-time.Hour).Unix(), "type", "management"), ErrType},
		{"database", hs("access_key", "broken"), errBroken},
	} {
		t.Run(tc.name, func(t *testing.T) {
			g, err := verifier().App(t.Context(), tc.token)
			if !errors.Is(err, tc.want) {
				t.Fatalf("got %v, want %v", err, tc.want)
			}
			if err != nil && err != error(ErrExpired) && g != (Grant{}) {
				t.Errorf("a refusal grants %+v", g)
			}
			if refusal := Error(""); tc.want == errBroken && errors.As(err, &refusal) {
				t.Error("our own failure is said to be the token's fault")
			}
		})
	}
	want := Grant{WorkspaceID: "w1", RoomID: "r", Role: "host", UserID: "u", Expires: now.Add(time.Hour)}
	if g, err := verifier().App(t.Context(), hs()); err != nil || g != want {
		t.Errorf("%+v %v", g, err)
	}
	want.Expires = now.Add(-time.Hour)
	if g, err := verifier().App(t.Context(), hs("exp", want.Expires.Unix())); err != ErrExpired || g != want {
		t.Errorf("expired: %+v %v", g, err)
	}
}

func TestVerifyManagement(t *testing.T) {
	c := appClaims("type", "management", "room_id", nil, "role", nil, "user_id", nil)
	token := sign(t, jwt.SigningMethodHS256, []byte(key1.Secret), c)
	if w, err := verifier().Management(t.Context(), token); w != "w1" || err != nil {
		t.Errorf("%q %v", w, err)
	}
	app := sign(t, jwt.SigningMethodHS256, []byte(key1.Secret), appClaims())
	if w, err := verifier().Management(t.Context(), app); w != "" || err != ErrType {
		t.Errorf("an auth token: %q %v", w, err)
	}
	c["exp"] = now.Add(-time.Hour).Unix()
	expired := sign(t, jwt.SigningMethodHS256, []byte(key1.Secret), c)
	if w, err := verifier().Management(t.Context(), expired); w != "" || err != ErrExpired {
		t.Errorf("expired: %q %v", w, err)
	}
}

func TestMint(t *testing.T) {
	v := &Verifier{Keys: keys}
	g := Grant{RoomID: "65b0c1d2e3f405162738495a", Role: "broadcaster", UserID: "Zoë <a@b>~?"}
	token, err := MintApp(key1, g, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	got, err := v.App(t.Context(), token)
	if err != nil || time.Until(got.Expires) < 59*time.Minute {
		t.Errorf("%+v %v", got, err)
	}
	got.Expires = time.Time{}
	g.WorkspaceID = "w1"
	if got != g {
		t.Errorf("got %+v, want %+v", got, g)
	}
	m, err := MintManagement(key2, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	if w, err := v.Management(t.Context(), m); w != "w2" || err != nil {
		t.Errorf("%q %v", w, err)
	}
	// The claims are those of the documentation, no more.
	payload, err := base64.StdEncoding.DecodeString(pad(strings.Split(m, ".")[1]))
	if err != nil {
		t.Fatal(err)
	}
	var claims map[string]any
	if err := json.Unmarshal(payload, &claims); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"jti", "iat", "nbf", "exp"} {
		if claims[name] == nil {
			t.Errorf("no %s", name)
		}
		delete(claims, name)
	}
	if want := map[string]any{"access_key": "key2", "type": "management", "version": 2.0}; !reflect.DeepEqual(claims, want) {
		t.Errorf("got %v, want %v", claims, want)
	}
	if _, err := MintManagement(weak, time.Hour); err == nil || strings.Contains(err.Error(), weak.Secret) {
		t.Errorf("a short secret: %v", err)
	}
	short := sign(t, jwt.SigningMethodHS256, []byte(weak.Secret), appClaims("access_key", "weak"))
	if _, err := verifier().App(t.Context(), short); err == nil {
		t.Error("a short secret verifies")
	}
}

func pad(s string) string { return s + strings.Repeat("=", -len(s)&3) }

// FuzzPlain: whatever is in a token that we mint, the browser's atob reads its payload, and it says what was put in.
func FuzzPlain(f *testing.F) {
	f.Add("u-17", "host")
	f.Add("??????>>>>>>~~~~~~\x7f\x7f\x7f", "ÿÿÿ÷÷÷")
	f.Add("日本語 🎭 \u2028 \\ \" \x00", "\U0010ffff")
	alphabet := regexp.MustCompile(`^[A-Za-z0-9]*$`)
	f.Fuzz(func(t *testing.T, user, role string) {
		if !utf8.ValidString(user) || !utf8.ValidString(role) || len(user)+len(role) > 500 || role == "" {
			t.Skip() // JSON cannot say them
		}
		g := Grant{WorkspaceID: "w1", RoomID: "r", Role: role, UserID: user}
		token, err := MintApp(key1, g, time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		parts := strings.Split(token, ".")
		if len(parts) != 3 || !alphabet.MatchString(parts[1]) {
			t.Errorf("payload %q", parts[1])
		}
		got, err := (&Verifier{Keys: keys}).App(t.Context(), token)
		got.Expires = time.Time{}
		if err != nil || got != g {
			t.Errorf("got %+v %v, want %+v", got, err, g)
		}
	})
}

// FuzzVerify: no text makes the parser panic, and none that we did not sign is accepted.
func FuzzVerify(f *testing.F) {
	f.Add("a.b.c")
	f.Add("eyJhbGciOiJub25lIn0.bnVsbA.")
	f.Fuzz(func(t *testing.T, token string) {
		if _, err := verifier().App(t.Context(), token); err == nil {
			t.Errorf("accepted %q", token)
		}
	})
}

func TestRoomCodes(t *testing.T) {
	form := regexp.MustCompile(`^[a-z]{3}-[a-z]{4}-[a-z]{3}$`)
	seen := make(map[string]bool)
	letters := make(map[rune]int)
	for range 2000 {
		code := NewRoomCode()
		if !form.MatchString(code) || seen[code] {
			t.Fatalf("%q", code)
		}
		seen[code] = true
		for _, c := range code {
			letters[c]++
		}
		if got, ok := ParseRoomCode(code); !ok || got != code {
			t.Fatalf("%q reads back as %q", code, got)
		}
	}
	if len(letters) != 27 {
		t.Errorf("%d different characters, want 26 letters and the hyphen", len(letters))
	}
	for in, want := range map[string]string{
		" QWE-rtyu-iop\n": "qwe-rtyu-iop", "qwertyuiop": "qwe-rtyu-iop", "qwe-rty-uiop": "qwe-rtyu-iop",
		"": "", "qwe-rtyu-io": "", "qwe-rtyu-iop1": "", "qwe-rt1u-iop": "", "qwe-rtyu-ioé": "", "qwé-rtyu-op": "", strings.Repeat("-", 90) + "qwertyuiop": "",
	} {
		if got, ok := ParseRoomCode(in); got != want || ok != (want != "") {
			t.Errorf("%q: %q %v, want %q", in, got, ok, want)
		}
	}
}
