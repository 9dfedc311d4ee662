package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"time"

	"github.com/google/uuid"

	"amphi/server/auth"
	"amphi/server/config"
	"amphi/server/store"
)

// withStore opens the database beside a server that may be running on it, and makes what every server begins with if
// none has started yet. Unlike serve it does not end what is open.
func withStore(ctx context.Context, cfg config.Config, do func(*store.Store, store.Seeded) error) error {
	db, err := store.Open(ctx, cfg.Database())
	if err != nil {
		return err
	}
	seeded, err := db.Seed(ctx, auth.NewRoomCode)
	if err == nil {
		err = do(db, seeded)
	}
	return errors.Join(err, db.Close())
}

func (c *command) keys(ctx context.Context, args []string) error {
	replace, overlap := false, 24*time.Hour
	cfg, err := c.configure("keys", args, func(f *flag.FlagSet) {
		f.BoolVar(&replace, "new-webhook-secret", false, "replace the secret that signs webhooks")
		f.DurationVar(&overlap, "overlap", overlap, "how long a replaced webhook secret signs beside the new one")
	})
	if err != nil {
		return err
	}
	return withStore(ctx, cfg, func(db *store.Store, s store.Seeded) error {
		if replace {
			var err error
			if s.Workspace.WebhookSecret, err = db.ReplaceWebhookSecret(ctx, s.Workspace.ID, overlap); err != nil {
				return err
			}
		}
		fmt.Fprintf(c.out, "access key:     %s\nsecret:         %s\nwebhook secret: %s\ncustomer id:    %s\n",
			s.Key.AccessKey, s.Key.Secret, s.Workspace.WebhookSecret, s.Workspace.ID)
		return nil
	})
}

func (c *command) managementToken(ctx context.Context, args []string) error {
	life := 24 * time.Hour
	cfg, err := c.configure("token management", args, func(f *flag.FlagSet) {
		f.DurationVar(&life, "life", life, "how long the token is valid")
	})
	if err != nil {
		return err
	}
	return withStore(ctx, cfg, func(_ *store.Store, s store.Seeded) error {
		token, err := auth.MintManagement(s.Key, life)
		if err == nil {
			fmt.Fprintln(c.out, token)
		}
		return err
	})
}

func (c *command) authToken(ctx context.Context, args []string) error {
	var life time.Duration
	var roomID, role, user string
	cfg, err := c.configure("token auth", args, func(f *flag.FlagSet) {
		f.StringVar(&roomID, "room", "", "id or name of the room")
		f.StringVar(&role, "role", "", "role in the room")
		f.StringVar(&user, "user", "", "id of the user; a random one is made when empty")
		f.DurationVar(&life, "life", 0, "how long the token is valid (default auth.token_lifetime)")
	})
	if err != nil {
		return err
	}
	if roomID == "" || role == "" {
		fmt.Fprintln(c.err, "amphi token auth: --room and --role are needed")
		return errUsage
	}
	return withStore(ctx, cfg, func(db *store.Store, s store.Seeded) error {
		room, err := findRoom(ctx, db, s.Workspace.ID, roomID)
		if err != nil {
			return err
		}
		template, err := db.Template(ctx, s.Workspace.ID, room.TemplateID)
		if err != nil {
			return err
		}
		if template.Policy.Roles[role] == nil {
			return fmt.Errorf("the template %q of room %q has no role %q", template.Policy.Name, room.Name, role)
		}
		grant := auth.Grant{RoomID: room.ID, Role: role, UserID: cmp.Or(user, uuid.NewString())}
		token, err := auth.MintApp(s.Key, grant, cmp.Or(life, cfg.Auth.TokenLifetime))
		if err == nil {
			fmt.Fprintln(c.out, token)
		}
		return err
	})
}

// findRoom finds a room by its id or its name.
func findRoom(ctx context.Context, db *store.Store, workspaceID, text string) (store.Room, error) {
	if store.IsID(text) {
		return db.Room(ctx, workspaceID, text)
	}
	rooms, err := db.Rooms(ctx, workspaceID, store.RoomFilter{Name: text}, store.Page{Limit: 1})
	if err != nil {
		return store.Room{}, err
	}
	if len(rooms) == 0 {
		return store.Room{}, fmt.Errorf("room %q: %w", text, store.ErrNotFound)
	}
	return rooms[0], nil
}
