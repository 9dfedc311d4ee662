package testserver

import (
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

func TestOutputFindsAddress(t *testing.T) {
	o := &output{address: make(chan string, 1)}
	for _, part := range []string{"starting\nopen http://127.0", ".0.1:80", "80/ in a browser\n", "and http://localhost:9/\n"} {
		if _, err := o.Write([]byte(part)); err != nil {
			t.Fatal(err)
		}
	}
	if address := <-o.address; address != "http://localhost:8080" {
		t.Errorf("address %q", address)
	}
	if !strings.HasSuffix(o.String(), "localhost:9/\n") {
		t.Errorf("collected %q", o)
	}
}

func TestParseKeys(t *testing.T) {
	keys, err := parseKeys("access key:     abc\nsecret:         def-_1=\nwebhook secret: whsec_ghi\n")
	if err != nil || keys != (Keys{"abc", "def-_1="}) {
		t.Errorf("%+v, %v", keys, err)
	}
	if keys, err := parseKeys("nothing here"); err == nil {
		t.Errorf("read %+v out of nothing", keys)
	}
}

func TestToken(t *testing.T) {
	keys := Keys{AccessKey: "key", Secret: "secret"}
	claims := jwt.MapClaims{}
	_, err := jwt.ParseWithClaims(keys.AuthToken("room", "host", "ann"), claims, func(*jwt.Token) (any, error) { return []byte("secret"), nil })
	if err != nil || claims["room_id"] != "room" || claims["role"] != "host" || claims["access_key"] != "key" || claims["type"] != "app" {
		t.Errorf("%v, %v", claims, err)
	}
	expired := keys.Token(map[string]any{"exp": time.Now().Add(-time.Minute).Unix()})
	if _, err := jwt.Parse(expired, func(*jwt.Token) (any, error) { return []byte("secret"), nil }); err == nil {
		t.Error("an expired token is valid")
	}
}
