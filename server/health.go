package main

import (
	"context"
	"slices"

	"amphi/server/config"
	"amphi/templates/dash"
)

// ownPorts are checks that a running server would fail by itself: it has the ports.
var ownPorts = []string{"HTTP address", "media port"}

// health runs the checks of doctor beside the running server, for the dashboard.
func health(cfg config.Config) func(context.Context) []dash.Finding {
	return func(ctx context.Context) []dash.Finding {
		var list []dash.Finding
		for _, check := range checks {
			if slices.Contains(ownPorts, check.name) {
				continue
			}
			found := dash.Finding{Name: check.name}
			switch f := check.check(ctx, cfg); {
			case f.wrong != nil:
				found.Kind, found.Text = dash.Bad, f.wrong.Error()
			case f.hint != "":
				found.Kind, found.Text = dash.Warn, f.hint
			default:
				found.Kind, found.Text = dash.Good, f.info
			}
			list = append(list, found)
		}
		return list
	}
}
