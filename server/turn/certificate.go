package turn

import (
	"cmp"
	"crypto/tls"
	"os"
	"sync"
	"time"
)

// certificate is read from files, and again when they changed: whoever renews certificates does not know of us.
type certificate struct {
	cert, key string // paths; without a key it is in the other file

	mu      sync.Mutex
	loaded  *tls.Certificate
	written time.Time // of the certificate's file
	looked  time.Time
}

// lookEvery is how long a change may stay unseen.
const lookEvery = time.Minute

// get is tls.Config.GetCertificate. A pair that cannot be read leaves the one before in use.
func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.loaded != nil && time.Since(c.looked) < lookEvery {
		return c.loaded, nil
	}
	c.looked = time.Now()
	file, err := os.Stat(c.cert)
	if err == nil && (c.loaded == nil || !file.ModTime().Equal(c.written)) {
		var pair tls.Certificate
		if pair, err = tls.LoadX509KeyPair(c.cert, cmp.Or(c.key, c.cert)); err == nil {
			c.loaded, c.written = &pair, file.ModTime()
		}
	}
	if c.loaded == nil {
		return nil, err
	}
	return c.loaded, nil
}
