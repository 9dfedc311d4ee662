package store

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// An app is a template with a subdomain, rooms and their codes: what people make of a kit in one step.

// Refusals of what is done to apps.
var (
	ErrSubdomain      = errors.New("not a subdomain")
	ErrSubdomainTaken = fmt.Errorf("subdomain is taken: %w", ErrConflict)
	ErrLive           = errors.New("rooms are live")
	ErrDefault        = errors.New("it is the default template")
)

// maxSubdomain is the length of a DNS label (RFC 1035, 2.3.4).
const maxSubdomain = 63

// reservedSubdomains are host names that people expect something else under.
var reservedSubdomains = []string{"admin", "api", "app", "dashboard", "ftp", "localhost", "mail", "ns", "smtp", "static", "status", "turn", "www"}

// CheckSubdomain says whether text can be an app's subdomain: a DNS label in lower case, none that a browser
// would show as another (RFC 5890, 2.3.1), and none that is reserved. The error is for people.
func CheckSubdomain(text string) error {
	refuse := func(why string) error { return fmt.Errorf("%w: %s", ErrSubdomain, why) }
	switch {
	case text == "":
		return refuse("it is empty")
	case len(text) > maxSubdomain:
		return refuse(fmt.Sprintf("at most %d characters", maxSubdomain))
	case strings.ContainsFunc(text, func(c rune) bool { return (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' }):
		return refuse("only a to z, 0 to 9 and -")
	case strings.HasPrefix(text, "-") || strings.HasSuffix(text, "-"):
		return refuse("no - at its ends")
	case len(text) > 3 && text[2:4] == "--":
		return refuse("no -- in third place")
	case slices.Contains(reservedSubdomains, text):
		return refuse("this one is reserved")
	}
	return nil
}

// App returns the template that has the subdomain, in whatever workspace.
func (s *Store) App(ctx context.Context, subdomain string) (Template, error) {
	t, err := scanTemplate(s.query(ctx).row(`SELECT `+templateColumns+` FROM templates WHERE subdomain = ? AND subdomain <> ''`, subdomain))
	return t, found(err, "app", subdomain)
}

// SubdomainTaken says whether a template other than that of the id has the subdomain.
func (s *Store) SubdomainTaken(ctx context.Context, subdomain, besides string) (bool, error) {
	var n int
	err := s.query(ctx).row(`SELECT COUNT(*) FROM templates WHERE subdomain = ? AND subdomain <> '' AND id <> ?`, subdomain, besides).Scan(&n)
	return n > 0, err
}

// MakeApp makes a template, its first room and a code for each of its roles: all or nothing. A name or a subdomain that
// another template has is ErrConflict, the latter ErrSubdomainTaken.
func (s *Store) MakeApp(ctx context.Context, t Template, newCode func() string) (Template, Room, error) {
	if err := CheckSubdomain(t.Subdomain); err != nil {
		return t, Room{}, err
	}
	var room Room
	err := s.update(ctx, func(tx *tx) error {
		if err := tx.takeTemplates(t.WorkspaceID); err != nil {
			return err
		}
		now := trunc(time.Now())
		t.ID, t.CreatedAt, t.UpdatedAt = NewID(), now, now
		if err := tx.insertTemplate(t); err != nil {
			return err
		}
		room = Room{ID: NewID(), WorkspaceID: t.WorkspaceID, TemplateID: t.ID, TemplateName: t.Policy.Name, Enabled: true, CreatedAt: now, UpdatedAt: now}
		var err error
		if room.Name, err = tx.freeRoomName(t.WorkspaceID, t.Subdomain); err != nil {
			return err
		}
		if err := tx.conflict(tx.insertRoom(room), "room name", room.Name); err != nil {
			return err
		}
		for i, role := range slices.Sorted(maps.Keys(t.Policy.Roles)) {
			if _, err := tx.insertCode(room.ID, role, i, newCode); err != nil {
				return err
			}
		}
		return nil
	})
	return t, room, err
}

// freeRoomName returns the wish, or the wish with something behind it if a room has it already.
func (t *tx) freeRoomName(workspaceID, wish string) (string, error) {
	taken, err := t.strings(`SELECT id FROM rooms WHERE workspace_id = ? AND name_key = ?`, workspaceID, strings.ToLower(wish))
	if len(taken) > 0 {
		wish += "-" + strings.ToLower(rand.Text()[:6])
	}
	return wish, err
}

// DeleteApp deletes a template. Its rooms stay for the sake of their sessions and recordings, but they are disabled, and
// belong to the workspace's default template. While one of them is live, nothing happens: ErrLive. Nor to the default
// template itself: ErrDefault.
func (s *Store) DeleteApp(ctx context.Context, workspaceID, id string) error {
	return s.update(ctx, func(t *tx) error {
		if err := t.takeTemplates(workspaceID); err != nil {
			return err
		}
		if _, err := t.template(workspaceID, id); err != nil {
			return err
		}
		heir, err := t.defaultTemplate(workspaceID)
		if err != nil {
			return err
		}
		if heir.ID == id {
			return ErrDefault
		}
		// Taking the rooms first makes sessions that begin now wait for this, or this for them.
		if _, err := t.exec(`UPDATE rooms SET enabled = ?, updated_at = ? WHERE template_id = ?`, false, time.Now().UnixMilli(), id); err != nil {
			return err
		}
		open, err := t.strings(`SELECT s.id FROM sessions s JOIN rooms r ON r.id = s.room_id WHERE s.ended_at = 0 AND r.template_id = ? LIMIT 1`, id)
		if err != nil {
			return err
		}
		if len(open) > 0 {
			return ErrLive
		}
		if _, err := t.exec(`UPDATE rooms SET template_id = ? WHERE template_id = ?`, heir.ID, id); err != nil {
			return err
		}
		_, err = t.exec(`DELETE FROM templates WHERE id = ?`, id)
		return err
	})
}

// FirstRoom returns the oldest room of the workspace's template, the one that was made with its app.
func (s *Store) FirstRoom(ctx context.Context, workspaceID, templateID string) (Room, error) {
	r, err := scanRoom(s.query(ctx).row(selectRooms+` WHERE r.template_id = ? AND r.workspace_id = ? ORDER BY r.id LIMIT 1`, templateID, workspaceID))
	return r, found(err, "room of template", templateID)
}

// AppRooms says how many rooms each of some templates has, by template. They are those of a page.
func (s *Store) AppRooms(ctx context.Context, templateIDs []string) (map[string]int, error) {
	if len(templateIDs) == 0 {
		return nil, nil
	}
	in, args := anyOf("template_id", templateIDs)
	rows, err := s.query(ctx).rows(`SELECT template_id, COUNT(*) FROM rooms WHERE `+in+` GROUP BY template_id`, args...)
	return pairs[string, int](rows, err)
}
