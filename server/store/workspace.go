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

func (t *tx) insertWorkspace(w Workspace) error {
	_, err := t.exec(`INSERT INTO workspaces (`+workspaceColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`, w.ID, w.AppID, w.Name,
		w.Webhook.URL, jsonOf(w.Webhook.Headers), w.WebhookSecret, millis(w.CreatedAt), millis(w.UpdatedAt))
	return err
}

// newSecret returns n random bytes as text.
func newSecret(n int, enc *base64.Encoding) string {
	b := make([]byte, n)
	rand.Read(b)
	return enc.EncodeToString(b)
}
