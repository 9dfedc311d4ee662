package store

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"time"
)

// Workspace is a customer: it owns keys, templates, rooms, and has a webhook.
type Workspace struct {
	ID            string // the customer_id of the API
	AppID         string
	Name          string
	Webhook       Webhook
	WebhookSecret string // "whsec_" and base64, as Standard Webhooks writes it
	CreatedAt     time.Time
	UpdatedAt     time.Time
}

// Webhook is where events go. An empty URL means nowhere.
type Webhook struct {
	URL     string            `json:"url"`
	Headers map[string]string `json:"headers,omitempty"`
}

// AccessKey signs a workspace's tokens. Secret is used as its raw bytes (HS256).
type AccessKey struct {
	AccessKey   string
	WorkspaceID string
	Secret      string
	CreatedAt   time.Time
}

const workspaceColumns = `id, app_id, name, webhook_url, webhook_headers_json, webhook_secret, created_at, updated_at`

func scanWorkspace(row scanner) (w Workspace, err error) {
	err = row.Scan(&w.ID, &w.AppID, &w.Name, &w.Webhook.URL, jsonText{&w.Webhook.Headers}, &w.WebhookSecret,
		(*timestamp)(&w.CreatedAt), (*timestamp)(&w.UpdatedAt))
	return w, err
}

// Workspace returns the workspace of that id.
func (s *Store) Workspace(ctx context.Context, id string) (Workspace, error) {
	return s.query(ctx).workspace(id)
}

func (q querier) workspace(id string) (Workspace, error) {
	w, err := scanWorkspace(q.row(`SELECT `+workspaceColumns+` FROM workspaces WHERE id = ?`, id))
	return w, found(err, "workspace", id)
}

// SetWebhook changes where the workspace's events go. Pending ones go there too.
func (s *Store) SetWebhook(ctx context.Context, workspaceID string, w Webhook) error {
	return s.update(ctx, func(t *tx) error {
		n, err := t.exec(`UPDATE workspaces SET webhook_url = ?, webhook_headers_json = ?, updated_at = ? WHERE id = ?`,
			w.URL, jsonOf(w.Headers), time.Now().UnixMilli(), workspaceID)
		return changed(n, err, "workspace", workspaceID)
	})
}

// AccessKey returns the key pair of that access key.
func (s *Store) AccessKey(ctx context.Context, accessKey string) (AccessKey, error) {
	k, err := scanAccessKey(s.query(ctx).row(`SELECT `+keyColumns+` FROM access_keys WHERE access_key = ?`, accessKey))
	return k, found(err, "access key", accessKey)
}

// AccessKeys returns the workspace's key pairs, oldest first.
func (s *Store) AccessKeys(ctx context.Context, workspaceID string) ([]AccessKey, error) {
	rows, err := s.query(ctx).rows(`SELECT `+keyColumns+` FROM access_keys WHERE workspace_id = ? ORDER BY access_key`, workspaceID)
	return collect(rows, err, scanAccessKey)
}

const keyColumns = `access_key, workspace_id, secret, created_at`

func scanAccessKey(row scanner) (k AccessKey, err error) {
	err = row.Scan(&k.AccessKey, &k.WorkspaceID, &k.Secret, (*timestamp)(&k.CreatedAt))
	return k, err
}

func (t *tx) insertWorkspace(w Workspace) error {
	_, err := t.exec(`INSERT INTO workspaces (`+workspaceColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`, w.ID, w.AppID, w.Name,
		w.Webhook.URL, jsonOf(w.Webhook.Headers), w.WebhookSecret, millis(w.CreatedAt), millis(w.UpdatedAt))
	return err
}

func (t *tx) insertAccessKey(k AccessKey) error {
	_, err := t.exec(`INSERT INTO access_keys (`+keyColumns+`) VALUES (?, ?, ?, ?)`,
		k.AccessKey, k.WorkspaceID, k.Secret, millis(k.CreatedAt))
	return err
}

// newSecret returns n random bytes as text.
func newSecret(n int, enc *base64.Encoding) string {
	b := make([]byte, n)
	rand.Read(b)
	return enc.EncodeToString(b)
}
