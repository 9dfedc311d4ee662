package main

import (
	"context"
	"slices"

	"amphi/server/config"
	"amphi/server/dashboard"
)

// ownPorts are checks that a running server would fail by itself: it has the ports.
var ownPorts = []string{"HTTP address", "media port"}

// health runs the checks of doctor beside the running server, for the dashboard.
func health(cfg config.Config) func(context.Context) []dashboard.Finding {
	return func(ctx context.Context) (list []dashboard.Finding) {
		for _, check := range checks {
			if !slices.Contains(ownPorts, check.name) {
				f := check.check(ctx, cfg)
				list = append(list, dashboard.Finding{Check: check.name, Info: f.info, Hint: f.hint, Wrong: f.wrong})
			}
		}
		return list
	}
}
