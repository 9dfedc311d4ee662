package transport

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"time"
)

// NewCertificate makes a self-signed certificate. One serves all connections: making a key for each would
// be most of the cost of a join, and the fingerprint is delivered over the authenticated signalling
// channel anyway (RFC 8827, 6.5).
func NewCertificate() (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("certificate key: %w", err)
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("certificate: %w", err)
	}
	now := time.Now()
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: "WebRTC"},
		NotBefore:    now.Add(-24 * time.Hour), // clocks differ
		NotAfter:     now.AddDate(10, 0, 0),    // a server may run for long; only the fingerprint counts
	}, &x509.Certificate{}, key.Public(), key)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("certificate: %w", err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("certificate: %w", err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, nil
}

// Fingerprint is that of the port's certificate, as in a=fingerprint (RFC 8122, 5).
func (p *Port) Fingerprint() string {
	sum := sha256.Sum256(p.cfg.Certificate.Certificate[0])
	text := make([]string, len(sum))
	for i, b := range sum {
		text[i] = fmt.Sprintf("%02X", b)
	}
	return "sha-256 " + strings.Join(text, ":")
}

// ErrFingerprint: an a=fingerprint that cannot be checked.
var ErrFingerprint = errors.New("transport: unusable fingerprint")

// fingerprint is a client's.
type fingerprint struct {
	sum  func([]byte) []byte
	want []byte
}

// parseFingerprint reads "algorithm value". What is weaker than SHA-256 proves nothing.
func parseFingerprint(text string) (f fingerprint, err error) {
	algorithm, value, _ := strings.Cut(text, " ")
	switch strings.ToLower(algorithm) {
	case "sha-256":
		f.sum = func(b []byte) []byte { s := sha256.Sum256(b); return s[:] }
	case "sha-384":
		f.sum = func(b []byte) []byte { s := sha512.Sum384(b); return s[:] }
	case "sha-512":
		f.sum = func(b []byte) []byte { s := sha512.Sum512(b); return s[:] }
	default:
		return f, fmt.Errorf("%w: algorithm %.16q", ErrFingerprint, algorithm)
	}
	f.want, err = hex.DecodeString(strings.ReplaceAll(strings.TrimSpace(value), ":", ""))
	if err != nil || len(f.want) != len(f.sum(nil)) {
		return f, fmt.Errorf("%w: of %d bytes", ErrFingerprint, len(f.want))
	}
	return f, nil
}

var errWrongCertificate = errors.New("the certificate is not the one of the answer")

func (f fingerprint) check(chain [][]byte) error {
	if len(chain) == 0 || subtle.ConstantTimeCompare(f.sum(chain[0]), f.want) != 1 {
		return errWrongCertificate
	}
	return nil
}
