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
	var to connection
	cfg, err := c.configure("token management", args, func(f *flag.FlagSet) {
		to.flags(f)
		f.DurationVar(&life, "life", life, "how long the token is valid")
	})
	if err != nil {
		return err
	}
	to.complete(c.environ)
	access, err := c.access(ctx, cfg, to.access())
	if err != nil {
		return err
	}
	token, err := auth.MintManagement(access, life)
	if err == nil {
		fmt.Fprintln(c.out, token)
	}
	return err
}

func (c *command) authToken(ctx context.Context, args []string) error {
	var life time.Duration
	var roomID, role, user string
	var to connection
	cfg, err := c.configure("token auth", args, func(f *flag.FlagSet) {
		to.flags(f)
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
	mint := func(key store.AccessKey, roomID string) error {
		grant := auth.Grant{RoomID: roomID, Role: role, UserID: cmp.Or(user, uuid.NewString())}
		token, err := auth.MintApp(key, grant, cmp.Or(life, cfg.Auth.TokenLifetime))
		if err == nil {
			fmt.Fprintln(c.out, token)
		}
		return err
	}
	if to.complete(c.environ); to.key != "" || to.secret != "" { // of a server that may be elsewhere
		access, err := c.access(ctx, cfg, to.access())
		if err != nil {
			return err
		}
		r := &remote{Client: to.client(cfg, access)}
		room, err := r.room(ctx, roomID)
		if err != nil {
			return r.advise("token auth", err)
		}
		template, err := r.Template(ctx, room.TemplateID)
		if err != nil {
			return r.advise("token auth", err)
		}
		if template.Roles[role] == nil {
			return noRole(template.Name, room.Name, role)
		}
		return mint(access, room.ID)
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
			return noRole(template.Policy.Name, room.Name, role)
		}
		return mint(s.Key, room.ID)
	})
}

func noRole(template, room, role string) error {
	return fmt.Errorf("the template %q of room %q has no role %q", template, room, role)
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
