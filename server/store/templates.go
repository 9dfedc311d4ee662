package store

import (
	"context"
	"errors"
	"time"
)

// Templates lists the workspace's templates, newest first. A name lists the one that has it.
func (s *Store) Templates(ctx context.Context, workspaceID, name string, p Page) ([]Template, error) {
	w := where("workspace_id = ?", workspaceID)
	if name != "" {
		w.and("name = ?", name)
	}
	w.page("id", p)
	rows, err := s.query(ctx).rows(`SELECT `+templateColumns+` FROM templates`+w.text, w.args...)
	return collect(rows, err, scanTemplate)
}

// PutTemplate makes a template with that name, or changes the one that has it: change gets the template as it is (empty
// but for ids and name when it is new) and completes it. An error of change is returned as it is, and nothing is saved.
func (s *Store) PutTemplate(ctx context.Context, workspaceID, name string, change func(*Template) error) (Template, error) {
	var r Template
	err := s.update(ctx, func(t *tx) error {
		if err := t.takeTemplates(workspaceID); err != nil {
			return err
		}
		var err error
		r, err = scanTemplate(t.row(`SELECT `+templateColumns+` FROM templates WHERE workspace_id = ? AND name = ?`, workspaceID, name))
		isNew := errors.Is(err, errNoRows)
		if err != nil && !isNew {
			return err
		}
		if isNew {
			r = Template{ID: NewID(), WorkspaceID: workspaceID, CreatedAt: trunc(time.Now())}
			r.Policy.Name = name
		}
		return t.changeTemplate(&r, isNew, change)
	})
	return r, err
}

// ChangeTemplate changes the workspace's template of that id, as PutTemplate does. Another template with the new name is
// ErrConflict.
func (s *Store) ChangeTemplate(ctx context.Context, workspaceID, id string, change func(*Template) error) (Template, error) {
	var r Template
	err := s.update(ctx, func(t *tx) error {
		if err := t.takeTemplates(workspaceID); err != nil {
			return err
		}
		var err error
		if r, err = t.template(workspaceID, id); err != nil {
			return err
		}
		return t.changeTemplate(&r, false, change)
	})
	return r, err
}

func (t *tx) changeTemplate(r *Template, isNew bool, change func(*Template) error) error {
	if err := change(r); err != nil {
		return err
	}
	r.UpdatedAt = trunc(time.Now())
	if r.IsDefault { // there is one only
		_, err := t.exec(`UPDATE templates SET is_default = ? WHERE workspace_id = ? AND id <> ?`, false, r.WorkspaceID, r.ID)
		if err != nil {
			return err
		}
	}
	if isNew {
		return t.insertTemplate(*r)
	}
	_, err := t.exec(`UPDATE templates SET name = ?, policy_json = ?, subdomain = ?, is_default = ?, updated_at = ? WHERE id = ?`,
		r.Policy.Name, jsonOf(r.Policy), r.Subdomain, r.IsDefault, millis(r.UpdatedAt), r.ID)
	return t.templateConflict(err, *r)
}

// takeTemplates waits until no other transaction changes templates of the workspace: a change may concern several.
func (t *tx) takeTemplates(workspaceID string) error {
	ids, err := t.strings(`SELECT id FROM workspaces WHERE id = ?`+t.dialect.lock("workspaces"), workspaceID)
	return changed(int64(len(ids)), err, "workspace", workspaceID)
}
