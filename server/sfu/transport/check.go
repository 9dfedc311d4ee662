package transport

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net/netip"
	"time"

	"github.com/pion/stun/v4"
)

// checkPriority is the priority of a peer-reflexive candidate of the highest preference (RFC 8445,
// 5.1.2.1), which a check of ours has to name.
const checkPriority = 110<<24 | 65535<<8 | 255

// roleConflict is the error of RFC 8445, 7.3.1.1.
const roleConflict = 487

// takeSTUN handles a STUN message if it names one of our transports, or answers one of them.
func (s *socket) takeSTUN(b []byte, from netip.AddrPort, now time.Time) (ours bool) {
	p := s.port
	ufrag, ok := addressee(b)
	if !ok {
		// No request: an answer to a check of ours, or pion's.
		p.mu.RLock()
		t := p.byAddr[source{s, from}]
		p.mu.RUnlock()
		return t != nil && decode(&s.check, b) == nil && t.answered(&s.check, path{s, from}, now)
	}
	p.mu.RLock()
	t := p.byUfrag[string(ufrag)]
	p.mu.RUnlock()
	if t == nil {
		return false
	}
	m := &s.check
	if decode(m, b) != nil {
		p.stats.garbage.Add(1)
		return true
	}
	username, err := m.Get(stun.AttrUsername)
	if err != nil || !bytes.HasPrefix(username, ufrag) {
		p.stats.garbage.Add(1)
		return true
	}
	current, key := t.keyOf(string(ufrag))
	if key == nil || key.Check(m) != nil {
		p.stats.forged.Add(1)
		return true
	}
	if m.Contains(stun.AttrICEControlled) {
		// Towards a lite agent the other one controls, always.
		s.answer(m, from, stun.BindingError, stun.ErrorCodeAttribute{Code: roleConflict, Reason: []byte("Role Conflict")}, key)
		return true
	}
	if !s.answer(m, from, stun.BindingSuccess, &stun.XORMappedAddress{IP: from.Addr().AsSlice(), Port: int(from.Port())}, key) {
		return true
	}
	t.checked(path{s, from}, current, m.Contains(stun.AttrUseCandidate), now)
	return true
}

// answer answers a request.
func (s *socket) answer(m *stun.Message, to netip.AddrPort, kind stun.MessageType, attribute stun.Setter, key stun.MessageIntegrity) bool {
	err := s.reply.Build(kind, stun.NewTransactionIDSetter(m.TransactionID), attribute, key, stun.Fingerprint)
	if err == nil {
		err = s.writeTo(s.reply.Raw, to)
	}
	return err == nil
}

// ask sends a check of ours.
func (p path) ask(id [stun.TransactionIDSize]byte, username string, key stun.MessageIntegrity) {
	priority := make([]byte, 4)
	binary.BigEndian.PutUint32(priority, checkPriority)
	m, err := stun.Build(stun.BindingRequest, stun.NewTransactionIDSetter(id), stun.NewUsername(username),
		stun.RawAttribute{Type: stun.AttrICEControlled, Length: 8, Value: id[:8]}, // a tie-breaker: there is never a tie
		stun.RawAttribute{Type: stun.AttrPriority, Length: 4, Value: priority}, key, stun.Fingerprint)
	if err == nil {
		_ = p.at.writeTo(m.Raw, p.to) // asked again if it gets lost
	}
}

var errTrailing = errors.New("bytes after the message")

// decode reads a message into m, which is used again.
func decode(m *stun.Message, b []byte) error {
	m.Raw = append(m.Raw[:0], b...)
	if err := m.Decode(); err != nil {
		return err
	}
	if len(b) != int(m.Length)+20 {
		return errTrailing
	}
	return nil
}

// addressee finds out whom a binding request is for: the first half of its USERNAME (RFC 8445, 7.2.2).
// It looks no further than that, as most of what comes is for others.
func addressee(b []byte) (ufrag []byte, ok bool) {
	const header, username = 20, 0x0006
	if len(b) < header || b[0] != 0 || b[1] != 1 || binary.BigEndian.Uint32(b[4:]) != 0x2112a442 {
		return nil, false
	}
	for b = b[header:]; len(b) >= 4; {
		kind, n := binary.BigEndian.Uint16(b), int(binary.BigEndian.Uint16(b[2:]))
		if len(b) < 4+n {
			return nil, false
		}
		if kind == username {
			ufrag, _, ok = bytes.Cut(b[4:4+n], []byte(":"))
			return ufrag, ok
		}
		b = b[4+min((n+3)&^3, len(b)-4):]
	}
	return nil, false
}
