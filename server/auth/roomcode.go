package auth

import (
	"crypto/rand"
	"strings"
)

// codeGroups is the form of a room code, xxx-xxxx-xxx: ten letters, 47 bits.
var codeGroups = [...]int{3, 4, 3}

// NewRoomCode returns a random room code.
func NewRoomCode() string {
	var b strings.Builder
	for i, n := range codeGroups {
		if i > 0 {
			b.WriteByte('-')
		}
		for range n {
			b.WriteByte(randomLetter())
		}
	}
	return b.String()
}

// randomLetter returns each of a to z with the same probability.
func randomLetter() byte {
	const even = 256 / 26 * 26 // bytes from here on would favour the first letters
	for {
		var b [1]byte
		rand.Read(b[:])
		if b[0] < even {
			return 'a' + b[0]%26
		}
	}
}

// ParseRoomCode returns the code that somebody typed in its canonical form: capitals, spaces around it and missing or
// misplaced hyphens are forgiven.
func ParseRoomCode(s string) (code string, ok bool) {
	s = strings.TrimSpace(s)
	if len(s) > 16 {
		return "", false
	}
	letters := strings.ToLower(strings.ReplaceAll(s, "-", ""))
	if len(letters) != 10 {
		return "", false
	}
	for _, c := range []byte(letters) {
		if c < 'a' || c > 'z' {
			return "", false
		}
	}
	return letters[:3] + "-" + letters[3:7] + "-" + letters[7:], true
}
