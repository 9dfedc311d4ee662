package turn

import (
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base64"
	"strconv"
	"strings"
	"time"

	"github.com/pion/turn/v5"
)

// realm is what the server calls itself; clients only repeat it.
const realm = "amphi"

// Credentials are what a client needs to get a relay.
type Credentials struct {
	URLs     []string // RFC 7065
	Username string
	Password string
}

// Credentials makes credentials for a user, who is told apart from others by the id. They are those of the TURN REST
// API (draft-uberti-behave-turn-rest-00): the name says until when they are valid, the password is its HMAC. So none
// have to be remembered.
func (s *Server) Credentials(user string) Credentials {
	return s.credentials(user, time.Now().Add(s.cfg.Lifetime))
}

func (s *Server) credentials(user string, until time.Time) Credentials {
	name := strconv.FormatInt(until.Unix(), 10) + ":" + user
	return Credentials{URLs: s.urls, Username: name, Password: s.password(name)}
}

func (s *Server) password(name string) string {
	h := hmac.New(sha1.New, s.cfg.Secret) // the draft's; a MAC with it is sound
	h.Write([]byte(name))
	return base64.StdEncoding.EncodeToString(h.Sum(nil))
}

// maxName bounds the user names that are looked at, in bytes.
const maxName = 512

// authenticate is pion's AuthHandler. Whether the password is right is for pion to check with the key.
func (s *Server) authenticate(r *turn.RequestAttributes) (user string, key []byte, ok bool) {
	expires, user, found := strings.Cut(r.Username, ":")
	unix, err := strconv.ParseInt(expires, 10, 64)
	if !found || err != nil || user == "" || len(r.Username) > maxName || r.Realm != realm || time.Now().Unix() > unix {
		s.stats.refusedAuth.Add(1)
		return "", nil, false
	}
	return user, turn.GenerateAuthKey(r.Username, r.Realm, s.password(r.Username)), true
}
