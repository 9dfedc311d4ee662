package transport

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"

	"github.com/pion/dtls/v3"
	"github.com/pion/srtp/v3"
)

// profiles are the SRTP profiles, the preferred first. Authenticated encryption in one pass takes 0.3 us a
// packet, AES-CM with HMAC-SHA1 2.1.
var profiles = []dtls.SRTPProtectionProfile{
	dtls.SRTP_AEAD_AES_128_GCM, dtls.SRTP_AEAD_AES_256_GCM, dtls.SRTP_AES128_CM_HMAC_SHA1_80,
}

const (
	tagSize     = 16   // what sealing adds at most to a packet, bytes
	maxSessions = 1024 // SSRCs that a client may send RTCP from
)

var errUnsealed = errors.New("srtcp is too short, or from too many senders")

// crypto are the SRTP keys of a transport.
type crypto struct {
	// aead and salt seal RTP, where the profile is an AEAD one (RFC 7714).
	aead cipher.AEAD
	salt [12]byte
	out  *srtp.Context // RTCP, and RTP with other profiles; under Transport.sending

	mu      sync.Mutex
	in      *srtp.Context // RTCP
	senders map[uint32]struct{}
}

// newCrypto takes the keys out of a DTLS session (RFC 5764, 4.2).
func newCrypto(profile dtls.SRTPProtectionProfile, exporter srtp.KeyingMaterialExporter, client bool) (*crypto, error) {
	config := srtp.Config{Profile: srtp.ProtectionProfile(profile)}
	if err := config.ExtractSessionKeysFromDTLS(exporter, client); err != nil {
		return nil, fmt.Errorf("srtp keys: %w", err)
	}
	return cryptoOf(config.Profile, config.Keys)
}

func cryptoOf(profile srtp.ProtectionProfile, k srtp.SessionKeys) (c *crypto, err error) {
	c = &crypto{senders: map[uint32]struct{}{}}
	if c.out, err = srtp.CreateContext(k.LocalMasterKey, k.LocalMasterSalt, profile); err != nil {
		return nil, fmt.Errorf("srtp: %w", err)
	}
	if c.in, err = srtp.CreateContext(k.RemoteMasterKey, k.RemoteMasterSalt, profile, srtp.SRTCPReplayProtection(64)); err != nil {
		return nil, fmt.Errorf("srtp: %w", err)
	}
	if profile != srtp.ProtectionProfileAeadAes128Gcm && profile != srtp.ProtectionProfileAeadAes256Gcm {
		return c, nil
	}
	const labelKey, labelSalt = 0, 2 // RFC 3711, 4.3.1
	key, err := derive(k.LocalMasterKey, k.LocalMasterSalt, labelKey, len(k.LocalMasterKey))
	if err != nil {
		return nil, err
	}
	salt, err := derive(k.LocalMasterKey, k.LocalMasterSalt, labelSalt, len(c.salt))
	if err != nil {
		return nil, err
	}
	copy(c.salt[:], salt)
	block, err := aes.NewCipher(key)
	if err == nil {
		c.aead, err = cipher.NewGCM(block)
	}
	if err != nil {
		return nil, fmt.Errorf("srtp: %w", err)
	}
	return c, nil
}

// derive makes a session key of a master key (RFC 3711, 4.3.3). The key derivation rate is 0.
func derive(master, salt []byte, label byte, size int) ([]byte, error) {
	block, err := aes.NewCipher(master)
	if err != nil {
		return nil, fmt.Errorf("srtp: %w", err)
	}
	var iv [16]byte // the salt times 2^16, shorter ones from the left (RFC 7714, 11)
	copy(iv[:14], salt)
	iv[7] ^= label
	key := make([]byte, size)
	cipher.NewCTR(block, iv[:]).XORKeyStream(key, key)
	return key, nil
}

// seal encrypts the packet in b, which has room for a tag after it, in place, and returns it. index is its
// number with its rollovers (RFC 3711, 3.3.1), nonce a place for it.
func (c *crypto) seal(b []byte, header int, ssrc uint32, index uint64, nonce *[12]byte) ([]byte, error) {
	if c.aead == nil {
		return c.out.EncryptRTP(b, b, nil)
	}
	nonce[0], nonce[1] = 0, 0
	binary.BigEndian.PutUint32(nonce[2:], ssrc)
	binary.BigEndian.PutUint16(nonce[6:], uint16(index>>32))
	binary.BigEndian.PutUint32(nonce[8:], uint32(index))
	for i := range nonce {
		nonce[i] ^= c.salt[i]
	}
	c.aead.Seal(b[header:header], nonce[:], b[header:], b[:header])
	return b[:len(b)+c.aead.Overhead()], nil
}

// open decrypts SRTCP.
func (c *crypto) open(dst, b []byte) ([]byte, error) {
	if len(b) < 8 {
		return nil, errUnsealed
	}
	sender := binary.BigEndian.Uint32(b[4:])
	c.mu.Lock()
	defer c.mu.Unlock()
	_, known := c.senders[sender]
	if !known && len(c.senders) == maxSessions {
		return nil, errUnsealed
	}
	plain, err := c.in.DecryptRTCP(dst, b, nil)
	if err == nil && !known {
		c.senders[sender] = struct{}{}
	}
	return plain, err
}
