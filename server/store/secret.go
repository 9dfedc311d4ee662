package store

import (
	"context"
	"encoding/base64"
	"time"
)

// webhookSecretBytes is the size that Standard Webhooks recommends (24 to 64).
const webhookSecretBytes = 32

// ReplaceWebhookSecret gives the workspace a new secret that signs its webhooks. The old one signs beside it for the time
// of overlap. It returns the new one.
func (s *Store) ReplaceWebhookSecret(ctx context.Context, workspaceID string, overlap time.Duration) (string, error) {
	secret := "whsec_" + newSecret(webhookSecretBytes, base64.StdEncoding)
	err := s.update(ctx, func(t *tx) error {
		w, err := t.workspace(workspaceID)
		if err != nil {
			return err
		}
		now := time.Now()
		if _, err := t.exec(`DELETE FROM webhook_old_secrets WHERE workspace_id = ? AND valid_until < ?`, workspaceID, millis(now)); err != nil {
			return err
		}
		_, err = t.exec(`INSERT INTO webhook_old_secrets (workspace_id, secret, valid_until) VALUES (?, ?, ?)`,
			workspaceID, w.WebhookSecret, millis(now.Add(overlap)))
		if err != nil {
			return err
		}
		_, err = t.exec(`UPDATE workspaces SET webhook_secret = ?, updated_at = ? WHERE id = ?`, secret, millis(now), workspaceID)
		return err
	})
	return secret, err
}

// maxSignatures bounds how many signatures a request carries.
const maxSignatures = 3

// webhookSecrets returns the secrets that sign the workspace's webhooks, the newest first.
func (q querier) webhookSecrets(w Workspace) ([]string, error) {
	old, err := q.strings(`SELECT secret FROM webhook_old_secrets WHERE workspace_id = ? AND valid_until >= ?
		ORDER BY valid_until DESC, secret LIMIT ?`, w.ID, time.Now().UnixMilli(), maxSignatures-1)
	return append([]string{w.WebhookSecret}, old...), err
}
