package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// MaxCodesPerRoom bounds RoomCode records.
const MaxCodesPerRoom = 100

// ErrTooMany is returned when a bound on records would be passed.
var ErrTooMany = errors.New("too many")

// RoomCode lets whoever knows it into a room, in a role.
type RoomCode struct {
	Code      string
	RoomID    string
	Role      string
	Enabled   bool
	CreatedAt time.Time
	UpdatedAt time.Time
}

const codeColumns = `code, room_id, role, enabled, created_at, updated_at`

func scanCode(row scanner) (c RoomCode, err error) {
	err = row.Scan(&c.Code, &c.RoomID, &c.Role, &c.Enabled, (*timestamp)(&c.CreatedAt), (*timestamp)(&c.UpdatedAt))
	return c, err
}

// RoomCode returns the record of a code.
func (s *Store) RoomCode(ctx context.Context, code string) (RoomCode, error) {
	c, err := scanCode(s.query(ctx).row(`SELECT `+codeColumns+` FROM room_codes WHERE code = ?`, code))
	return c, found(err, "room code", code)
}

// CodeFilter says which codes of a room are listed. Zero fields do not filter.
type CodeFilter struct {
	Role    string
	Enabled *bool
}

// RoomCodes lists a room's codes. Codes have no id to sort by: Page.Start is a code.
func (s *Store) RoomCodes(ctx context.Context, roomID string, f CodeFilter, p Page) ([]RoomCode, error) {
	q := s.query(ctx)
	w := where("room_id = ?", roomID)
	w.is("role", f.Role)
	if f.Enabled != nil {
		w.and("enabled = ?", *f.Enabled)
	}
	w.page("code", p)
	rows, err := q.rows(`SELECT `+codeColumns+` FROM room_codes`+w.text, w.args...)
	return collect(rows, err, scanCode)
}

// CompleteRoomCodes makes a code for every one of the roles that has none, disables the codes of all other roles, and
// returns all codes of the room, oldest first. newCode makes codes; one that exists already is asked for again.
func (s *Store) CompleteRoomCodes(ctx context.Context, roomID string, roles []string, newCode func() string) ([]RoomCode, error) {
	var codes []RoomCode
	err := s.update(ctx, func(t *tx) error {
		_, err := t.room(roomID)
		if err != nil {
			return err
		}
		if codes, err = t.codesOf(roomID); err != nil {
			return err
		}
		now := trunc(time.Now())
		have := make(map[string]bool)
		for i := range codes {
			c := &codes[i]
			have[c.Role] = true
			if c.Enabled && !slices.Contains(roles, c.Role) {
				c.Enabled, c.UpdatedAt = false, now
				if err := t.updateCode(*c); err != nil {
					return err
				}
			}
		}
		for _, role := range roles {
			if have[role] {
				continue
			}
			c, err := t.insertCode(roomID, role, len(codes), newCode)
			if err != nil {
				return err
			}
			codes = append(codes, c)
		}
		return nil
	})
	return codes, err
}

// AddRoomCode makes one more code for a role.
func (s *Store) AddRoomCode(ctx context.Context, roomID, role string, newCode func() string) (RoomCode, error) {
	var c RoomCode
	err := s.update(ctx, func(t *tx) error {
		if _, err := t.room(roomID); err != nil {
			return err
		}
		codes, err := t.codesOf(roomID)
		if err != nil {
			return err
		}
		c, err = t.insertCode(roomID, role, len(codes), newCode)
		return err
	})
	return c, err
}

// EnableRoomCode switches a code on or off.
func (s *Store) EnableRoomCode(ctx context.Context, code string, enabled bool) (RoomCode, error) {
	var c RoomCode
	err := s.update(ctx, func(t *tx) error {
		var err error
		c, err = scanCode(t.row(`SELECT `+codeColumns+` FROM room_codes WHERE code = ?`+t.dialect.lock("room_codes"), code))
		if err != nil || c.Enabled == enabled {
			return found(err, "room code", code)
		}
		c.Enabled, c.UpdatedAt = enabled, trunc(time.Now())
		return t.updateCode(c)
	})
	return c, err
}

func (q querier) codesOf(roomID string) ([]RoomCode, error) {
	rows, err := q.rows(`SELECT `+codeColumns+` FROM room_codes WHERE room_id = ? ORDER BY created_at, code`, roomID)
	return collect(rows, err, scanCode)
}

func (t *tx) insertCode(roomID, role string, have int, newCode func() string) (RoomCode, error) {
	if have >= MaxCodesPerRoom {
		return RoomCode{}, fmt.Errorf("room %s has %d codes: %w", roomID, have, ErrTooMany)
	}
	now := trunc(time.Now())
	for range 10 { // a second round is a one in 10^14 event
		c := RoomCode{Code: newCode(), RoomID: roomID, Role: role, Enabled: true, CreatedAt: now, UpdatedAt: now}
		n, err := t.exec(`INSERT INTO room_codes (`+codeColumns+`) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (code) DO NOTHING`,
			c.Code, c.RoomID, c.Role, c.Enabled, millis(c.CreatedAt), millis(c.UpdatedAt))
		if err != nil || n > 0 {
			return c, err
		}
	}
	return RoomCode{}, errors.New("room codes: all new codes exist already")
}

func (t *tx) updateCode(c RoomCode) error {
	_, err := t.exec(`UPDATE room_codes SET enabled = ?, updated_at = ? WHERE code = ?`, c.Enabled, millis(c.UpdatedAt), c.Code)
	return err
}
