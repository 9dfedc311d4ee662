package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"

	"amphi/server/account"
	"amphi/server/store"
)

// inviteFirst prints a link that makes the dashboard's first admin, until there is one.
func inviteFirst(ctx context.Context, accounts *account.Accounts, workspaceID string, out io.Writer, publicURL string) error {
	secret, err := accounts.FirstLink(ctx, workspaceID)
	if err != nil || secret == "" {
		return err
	}
	_, err = fmt.Fprintf(out, "  The dashboard is yours to open, with this link, once:\n\n  %s\n\n", linkURL(publicURL, secret))
	return err
}

func linkURL(origin, secret string) string {
	return strings.TrimSuffix(origin, "/") + "/dashboard/link/" + secret
}

// signIn prints a link that signs somebody in to the dashboard. It writes into the database, also beside a server.
func (c *command) signIn(ctx context.Context, args []string) error {
	var email string
	cfg, err := c.configure("signin", args, func(f *flag.FlagSet) {
		f.StringVar(&email, "member", "", "e-mail address of the member (default: the admin who is there for longest)")
	})
	if err != nil {
		return err
	}
	origin := cfg.PublicURL
	if origin == "" {
		origin = localURL(address(cfg.Addr))
	}
	return withStore(ctx, cfg, func(db *store.Store, s store.Seeded) error {
		accounts := &account.Accounts{Store: db}
		secret, whom, err := accounts.SignInLink(ctx, s.Workspace.ID, email)
		if errors.Is(err, store.ErrNotFound) {
			return fmt.Errorf("nobody with the address %q is a member", email)
		}
		if err != nil {
			return err
		}
		if whom.ID == "" {
			fmt.Fprintln(c.err, "Nobody is there yet. This link makes the first admin, within a day:")
		} else {
			fmt.Fprintf(c.err, "This link signs %s (%s) in, once, within an hour:\n", whom.Name, whom.Email)
		}
		fmt.Fprintln(c.out, linkURL(origin, secret))
		return nil
	})
}

// address is a listener's address as the configuration names it.
type address string

func (address) Network() string  { return "tcp" }
func (a address) String() string { return string(a) }
