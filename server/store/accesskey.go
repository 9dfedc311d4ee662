package store

import (
	"context"
	"encoding/base64"
	"fmt"
	"time"
)

// AccessKey signs a workspace's tokens. Secret is used as its raw bytes (HS256).
type AccessKey struct {
	AccessKey   string
	WorkspaceID string
	Secret      string
	CreatedAt   time.Time
	ValidUntil  time.Time // zero: for ever. In the past: it is disabled
}

// Usable says whether tokens that the key has signed are good at that time.
func (k AccessKey) Usable(at time.Time) bool { return k.ValidUntil.IsZero() || at.Before(k.ValidUntil) }

// maxAccessKeys bounds the keys of a workspace, disabled ones included.
const maxAccessKeys = 50

const keyColumns = `access_key, workspace_id, secret, created_at, valid_until`

func scanAccessKey(row scanner) (k AccessKey, err error) {
	err = row.Scan(&k.AccessKey, &k.WorkspaceID, &k.Secret, (*timestamp)(&k.CreatedAt), (*timestamp)(&k.ValidUntil))
	return k, err
}

// AccessKey returns the key pair of that access key. A disabled one is not found.
func (s *Store) AccessKey(ctx context.Context, accessKey string) (AccessKey, error) {
	k, err := scanAccessKey(s.query(ctx).row(`SELECT `+keyColumns+` FROM access_keys WHERE access_key = ?`, accessKey))
	if err == nil && !k.Usable(time.Now()) {
		k, err = AccessKey{}, errNoRows
	}
	return k, found(err, "access key", accessKey)
}

// AccessKeys returns the workspace's key pairs, oldest first, the disabled ones too.
func (s *Store) AccessKeys(ctx context.Context, workspaceID string) ([]AccessKey, error) {
	return s.query(ctx).accessKeys(workspaceID)
}

func (q querier) accessKeys(workspaceID string) ([]AccessKey, error) {
	rows, err := q.rows(`SELECT `+keyColumns+` FROM access_keys WHERE workspace_id = ? ORDER BY access_key`, workspaceID)
	return collect(rows, err, scanAccessKey)
}

// SigningKey returns the key that the server itself signs with for a workspace: the oldest of those without an end.
// There always is one, see EndAccessKey.
func (s *Store) SigningKey(ctx context.Context, workspaceID string) (AccessKey, error) {
	return s.query(ctx).signingKey(workspaceID)
}

func (q querier) signingKey(workspaceID string) (AccessKey, error) {
	k, err := scanAccessKey(q.row(`SELECT `+keyColumns+` FROM access_keys WHERE workspace_id = ? AND valid_until = 0
		ORDER BY access_key LIMIT 1`, workspaceID))
	return k, found(err, "access key of workspace", workspaceID)
}

// AddAccessKey makes one more key pair. ErrTooMany when the workspace has as many as it may.
func (s *Store) AddAccessKey(ctx context.Context, workspaceID string) (AccessKey, error) {
	var k AccessKey
	err := s.update(ctx, func(t *tx) (err error) {
		k, err = t.addAccessKey(workspaceID)
		return err
	})
	return k, err
}

// RotateAccessKey makes a key pair that takes the place of another one, which is good for the time of overlap still.
func (s *Store) RotateAccessKey(ctx context.Context, workspaceID, accessKey string, overlap time.Duration) (AccessKey, error) {
	var k AccessKey
	err := s.update(ctx, func(t *tx) (err error) {
		if k, err = t.addAccessKey(workspaceID); err != nil {
			return err
		}
		return t.endAccessKey(workspaceID, accessKey, time.Now().Add(overlap))
	})
	return k, err
}

// EndAccessKey says until when a key pair is good: from then on its tokens are refused. ErrConflict for the last one
// without an end, as nothing could be signed any more.
func (s *Store) EndAccessKey(ctx context.Context, workspaceID, accessKey string, until time.Time) error {
	return s.update(ctx, func(t *tx) error { return t.endAccessKey(workspaceID, accessKey, until) })
}

func (t *tx) addAccessKey(workspaceID string) (AccessKey, error) {
	if err := t.exclusive(); err != nil { // what follows counts
		return AccessKey{}, err
	}
	keys, err := t.accessKeys(workspaceID)
	if err != nil {
		return AccessKey{}, err
	}
	if len(keys) >= maxAccessKeys {
		return AccessKey{}, fmt.Errorf("workspace has %d access keys: %w", len(keys), ErrTooMany)
	}
	k := newAccessKey(workspaceID)
	return k, t.insertAccessKey(k)
}

func (t *tx) endAccessKey(workspaceID, accessKey string, until time.Time) error {
	if err := t.exclusive(); err != nil {
		return err
	}
	keys, err := t.accessKeys(workspaceID)
	if err != nil {
		return err
	}
	known, others := false, false
	for _, k := range keys {
		if k.AccessKey == accessKey {
			known = true
			if !k.ValidUntil.IsZero() && k.ValidUntil.Before(until) {
				until = k.ValidUntil // what has an end does not get a later one
			}
		} else {
			others = others || k.ValidUntil.IsZero()
		}
	}
	switch {
	case !known:
		return found(errNoRows, "access key", accessKey)
	case !others:
		return fmt.Errorf("access key %s is the last one: %w", accessKey, ErrConflict)
	}
	_, err = t.exec(`UPDATE access_keys SET valid_until = ? WHERE access_key = ?`, millis(until), accessKey)
	return err
}

func newAccessKey(workspaceID string) AccessKey {
	return AccessKey{AccessKey: NewID(), WorkspaceID: workspaceID, Secret: newSecret(48, base64.RawURLEncoding), CreatedAt: trunc(time.Now())}
}

func (t *tx) insertAccessKey(k AccessKey) error {
	_, err := t.exec(`INSERT INTO access_keys (`+keyColumns+`) VALUES (?, ?, ?, ?, ?)`,
		k.AccessKey, k.WorkspaceID, k.Secret, millis(k.CreatedAt), millis(k.ValidUntil))
	return err
}
