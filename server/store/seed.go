package store

import (
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"slices"
	"time"

	"amphi/server/policy"
)

// Seeded is what a server begins with.
type Seeded struct {
	First     bool // it was made just now
	Workspace Workspace
	Key       AccessKey
	Room      Room
	Template  *policy.Template // of the room
	Codes     []RoomCode       // of the room, in the order of the roles' priority
}

// StarterRoom is the name of the room that Seed makes.
const StarterRoom = "main-stage"

// StarterSubdomain is that of the app that Seed makes.
const StarterSubdomain = "live"

// Seed makes sure that there is a workspace with a key pair, the Live Streaming Starter Kit as its template, a room
// and a code per role, and returns them: the oldest of each, and the key that signs now. It makes all or nothing, and only
// in an empty database.
func (s *Store) Seed(ctx context.Context, newCode func() string) (Seeded, error) {
	var seed Seeded
	err := s.update(ctx, func(t *tx) error {
		seed = Seeded{}
		if err := t.exclusive(); err != nil { // there is no row yet that could be locked
			return err
		}
		w, err := scanWorkspace(t.row(`SELECT ` + workspaceColumns + ` FROM workspaces ORDER BY id LIMIT 1`))
		if errors.Is(err, errNoRows) {
			seed.First = true
			return t.seed(&seed, newCode)
		}
		if err != nil {
			return err
		}
		seed.Workspace = w
		return t.seeded(&seed)
	})
	return seed, err
}

func (t *tx) seed(seed *Seeded, newCode func() string) error {
	now := trunc(time.Now())
	w := Workspace{ID: NewID(), AppID: NewID(), Name: "amphi", WebhookSecret: "whsec_" + newSecret(32, base64.StdEncoding),
		CreatedAt: now, UpdatedAt: now}
	key := newAccessKey(w.ID)
	template := Template{ID: NewID(), WorkspaceID: w.ID, Policy: *policy.StarterKit(), Subdomain: StarterSubdomain, IsDefault: true, CreatedAt: now, UpdatedAt: now}
	room := Room{ID: NewID(), WorkspaceID: w.ID, TemplateID: template.ID, TemplateName: template.Policy.Name,
		Name: StarterRoom, Enabled: true, CreatedAt: now, UpdatedAt: now}
	err := errors.Join(t.insertWorkspace(w), t.insertAccessKey(key), t.insertTemplate(template), t.insertRoom(room))
	if err != nil {
		return err
	}
	for role := range template.Policy.Roles {
		if _, err := t.insertCode(room.ID, role, 0, newCode); err != nil {
			return err
		}
	}
	seed.Workspace = w
	return t.seeded(seed)
}

// seeded fills in what belongs to seed.Workspace. Somebody may have renamed or disabled the room meanwhile.
func (t *tx) seeded(seed *Seeded) error {
	w := seed.Workspace.ID
	var err error
	if seed.Key, err = t.signingKey(w); err != nil {
		return found(err, "access key of workspace", w)
	}
	if seed.Room, err = scanRoom(t.row(selectRooms+` WHERE r.workspace_id = ? ORDER BY r.id LIMIT 1`, w)); err != nil {
		return found(err, "room of workspace", w)
	}
	template, err := t.template(w, seed.Room.TemplateID)
	if err != nil {
		return err
	}
	seed.Template = &template.Policy
	if seed.Codes, err = t.codesOf(seed.Room.ID); err != nil {
		return err
	}
	seed.Codes = slices.DeleteFunc(seed.Codes, func(c RoomCode) bool { return !c.Enabled || template.Policy.Roles[c.Role] == nil })
	slices.SortStableFunc(seed.Codes, func(a, b RoomCode) int {
		return cmp.Or(template.Policy.Roles[a.Role].Priority-template.Policy.Roles[b.Role].Priority, cmp.Compare(a.Role, b.Role))
	})
	return nil
}
