package store

import (
	"context"
	"time"
)

// AuditKept is how long the audit log goes back.
const AuditKept = 400 * 24 * time.Hour

// AuditEntry says that somebody did something in the dashboard.
type AuditEntry struct {
	ID          string
	WorkspaceID string
	MemberID    string // "" = nobody was signed in
	Member      string // how they were called then
	Action      string // such as "room.create"
	What        string // to what, as people read it
	Address     string // from where
	CreatedAt   time.Time
}

const auditColumns = `id, workspace_id, member_id, member, action, what, address, created_at`

func scanAudit(row scanner) (a AuditEntry, err error) {
	err = row.Scan(&a.ID, &a.WorkspaceID, &a.MemberID, &a.Member, &a.Action, &a.What, &a.Address, (*timestamp)(&a.CreatedAt))
	return a, err
}

// AddAudit writes to the audit log, and forgets what is older than AuditKept.
func (s *Store) AddAudit(ctx context.Context, a AuditEntry) error {
	return s.update(ctx, func(t *tx) error {
		if _, err := t.exec(`DELETE FROM audit WHERE created_at < ?`, millis(a.CreatedAt.Add(-AuditKept))); err != nil {
			return err
		}
		_, err := t.exec(`INSERT INTO audit (`+auditColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
			a.ID, a.WorkspaceID, a.MemberID, a.Member, a.Action, a.What, a.Address, millis(a.CreatedAt))
		return err
	})
}

// AuditFilter says which entries are listed. Empty fields do not filter.
type AuditFilter struct {
	MemberID string
	Action   string
}

// Audit lists the audit log of a workspace.
func (s *Store) Audit(ctx context.Context, workspaceID string, f AuditFilter, p Page) ([]AuditEntry, error) {
	w := where("workspace_id = ?", workspaceID)
	w.is("member_id", f.MemberID)
	w.is("action", f.Action)
	w.page("id", p)
	rows, err := s.query(ctx).rows(`SELECT `+auditColumns+` FROM audit`+w.text, w.args...)
	return collect(rows, err, scanAudit)
}

// AuditActions lists the actions that the log knows, in the alphabet's order.
func (s *Store) AuditActions(ctx context.Context, workspaceID string) ([]string, error) {
	// Each step jumps to the next action in the index: reading them all would read the whole log.
	return s.query(ctx).strings(`WITH RECURSIVE actions (action) AS (
			SELECT MIN(action) FROM audit WHERE workspace_id = ?
			UNION ALL
			SELECT (SELECT MIN(a.action) FROM audit a WHERE a.workspace_id = ? AND a.action > actions.action) FROM actions WHERE actions.action IS NOT NULL
		) SELECT action FROM actions WHERE action IS NOT NULL`, workspaceID, workspaceID)
}
