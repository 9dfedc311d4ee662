package store

import (
	"context"
	"fmt"
	"strings"
	"time"

	"amphi/server/policy"
)

// Template is a stored blueprint of rooms.
type Template struct {
	ID          string
	WorkspaceID string
	Policy      policy.Template
	Subdomain   string // of its app, unique in the server; empty: it has none
	IsDefault   bool   // used for rooms that are created without one
	CreatedAt   time.Time
	UpdatedAt   time.Time
}

const templateColumns = `id, workspace_id, name, policy_json, subdomain, is_default, created_at, updated_at`

func scanTemplate(row scanner) (t Template, err error) {
	var name string
	err = row.Scan(&t.ID, &t.WorkspaceID, &name, jsonText{&t.Policy}, &t.Subdomain, &t.IsDefault,
		(*timestamp)(&t.CreatedAt), (*timestamp)(&t.UpdatedAt))
	t.Policy.Name = name
	return t, err
}

// Template returns the workspace's template of that id.
func (s *Store) Template(ctx context.Context, workspaceID, id string) (Template, error) {
	return s.query(ctx).template(workspaceID, id)
}

func (q querier) template(workspaceID, id string) (Template, error) {
	t, err := scanTemplate(q.row(`SELECT `+templateColumns+` FROM templates WHERE id = ? AND workspace_id = ?`, id, workspaceID))
	return t, found(err, "template", id)
}

// DefaultTemplate returns the template for rooms that name none.
func (s *Store) DefaultTemplate(ctx context.Context, workspaceID string) (Template, error) {
	return s.query(ctx).defaultTemplate(workspaceID)
}

func (q querier) defaultTemplate(workspaceID string) (Template, error) {
	t, err := scanTemplate(q.row(`SELECT `+templateColumns+` FROM templates WHERE workspace_id = ? ORDER BY is_default DESC, id LIMIT 1`, workspaceID))
	return t, found(err, "template of workspace", workspaceID)
}

// TemplateVersion says which template a room has, and in which state.
type TemplateVersion struct {
	TemplateID string
	UpdatedAt  time.Time
}

// RoomTemplateVersion returns the version of the room's template. It is cheap: who wants to hear of changes asks often.
func (s *Store) RoomTemplateVersion(ctx context.Context, roomID string) (v TemplateVersion, err error) {
	row := s.query(ctx).row(`SELECT t.id, t.updated_at FROM rooms r JOIN templates t ON t.id = r.template_id WHERE r.id = ?`, roomID)
	err = row.Scan(&v.TemplateID, (*timestamp)(&v.UpdatedAt))
	return v, found(err, "room", roomID)
}

// SaveTemplate makes a template (empty id) or replaces the one of that id. Another template of the workspace with the
// name is ErrConflict.
func (s *Store) SaveTemplate(ctx context.Context, t Template) (Template, error) {
	err := s.update(ctx, func(tx *tx) error {
		now := trunc(time.Now())
		t.UpdatedAt = now
		if t.ID == "" {
			t.ID, t.CreatedAt = NewID(), now
			return tx.insertTemplate(t)
		}
		n, err := tx.exec(`UPDATE templates SET name = ?, policy_json = ?, subdomain = ?, is_default = ?, updated_at = ? WHERE id = ? AND workspace_id = ?`,
			t.Policy.Name, jsonOf(t.Policy), t.Subdomain, t.IsDefault, millis(now), t.ID, t.WorkspaceID)
		return changed(n, tx.templateConflict(err, t), "template", t.ID)
	})
	return t, err
}

func (t *tx) insertTemplate(r Template) error {
	_, err := t.exec(`INSERT INTO templates (`+templateColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`, r.ID, r.WorkspaceID, r.Policy.Name,
		jsonOf(r.Policy), r.Subdomain, r.IsDefault, millis(r.CreatedAt), millis(r.UpdatedAt))
	return t.templateConflict(err, r)
}

// templateConflict says which of a template's two unique names is taken.
func (q querier) templateConflict(err error, r Template) error {
	if err != nil && q.dialect.isUnique(err) && strings.Contains(err.Error(), "subdomain") { // the index has it in its name
		return fmt.Errorf("%q: %w", r.Subdomain, ErrSubdomainTaken)
	}
	return q.conflict(err, "template name", r.Policy.Name)
}

// conflict turns a violated UNIQUE constraint into ErrConflict.
func (q querier) conflict(err error, what, name string) error {
	if err != nil && q.dialect.isUnique(err) {
		return fmt.Errorf("%s %q is taken: %w", what, name, ErrConflict)
	}
	return err
}

// changed turns an update of no row into ErrNotFound.
func changed(n int64, err error, what, id string) error {
	if err == nil && n == 0 {
		return fmt.Errorf("%s %q: %w", what, id, ErrNotFound)
	}
	return err
}
