package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"amphi/server/auth"
	"amphi/server/config"
	"amphi/server/egress"
	"amphi/server/live"
	"amphi/server/pagecast"
	"amphi/server/sfu"
	"amphi/server/store"
)

// openStudio returns what films pages, if the configuration wants that; else nil.
func openStudio(cfg config.Config, publicURL string, listener net.Addr, media []sfu.Address, log *slog.Logger) (live.Studio, error) {
	c := cfg.Composition
	if c.Browser == "" {
		return nil, nil
	}
	s, err := pagecast.Open(pagecast.Config{Browser: c.Browser, User: c.User, NoSandbox: c.NoSandbox, Own: ownAddresses(publicURL, listener, media),
		Rule: egress.Rule{Allow: c.AllowNetworks, Setting: "composition.allow_networks"}, Log: log})
	if err != nil {
		return nil, fmt.Errorf("cannot compose pages (composition.browser): %w", err)
	}
	return s, nil
}

// ownAddresses are where pages of this server lead their browsers: to itself, and over TCP to its media.
func ownAddresses(publicURL string, listener net.Addr, media []sfu.Address) []string {
	var list []string
	for _, text := range []string{publicURL, localURL(listener)} {
		if u, err := url.Parse(text); err == nil {
			port := u.Port()
			if port == "" {
				port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
			}
			list = append(list, strings.ToLower(net.JoinHostPort(u.Hostname(), port)))
		}
	}
	for _, a := range media {
		list = append(list, a.Local.String(), a.Announced.String())
	}
	return slices.Compact(list)
}

// roomLinks knows the links of rooms.
type roomLinks struct {
	db        *store.Store
	publicURL string
	life      time.Duration // of a token
}

// own is the address of a page of this server if a URL leads to that room, whatever its host: the hosts that an app
// knows from elsewhere are not this server's. The page of a role is for who has a token, so it gets one.
func (l roomLinks) own(ctx context.Context, roomID string, u *url.URL) (string, error) {
	parts := strings.Split(strings.Trim(strings.TrimPrefix(u.Path, "/streaming/"), "/"), "/")
	page, query := l.publicURL+u.EscapedPath(), u.Query()
	switch {
	case len(parts) == 3 && parts[0] == "preview" && parts[1] == roomID:
		if !query.Has("auth_token") {
			room, err := l.db.AnyRoom(ctx, roomID)
			if err != nil {
				return "", err
			}
			key, err := l.db.SigningKey(ctx, room.WorkspaceID)
			if err != nil {
				return "", err
			}
			token, err := auth.MintApp(key, auth.Grant{RoomID: roomID, Role: parts[2], UserID: "beam"}, l.life)
			if err != nil {
				return "", err
			}
			query.Set("auth_token", token)
		}
	case len(parts) == 2 && (parts[0] == "meeting" || parts[0] == "preview"):
		code, err := l.db.RoomCode(ctx, parts[1])
		if errors.Is(err, store.ErrNotFound) || err == nil && code.RoomID != roomID {
			return "", nil
		}
		if err != nil {
			return "", err
		}
	default:
		return "", nil
	}
	return page + "?" + query.Encode(), nil
}

// checkComposition looks whether pages can be composed.
func checkComposition(_ context.Context, cfg config.Config) finding {
	c := cfg.Composition
	if c.Browser == "" {
		return info("the stage only; composition.browser names no browser for other pages")
	}
	if _, err := pagecast.Open(pagecast.Config{Browser: c.Browser, User: c.User, NoSandbox: c.NoSandbox, Log: slog.New(slog.DiscardHandler)}); err != nil {
		return wrong("%v", err)
	}
	if off, err := os.ReadFile("/proc/sys/user/max_user_namespaces"); err == nil && strings.TrimSpace(string(off)) == "0" && !c.NoSandbox {
		return wrong("there are no user namespaces for the browser's sandbox (sysctl user.max_user_namespaces, or composition.no_sandbox)")
	}
	return finding{}
}
