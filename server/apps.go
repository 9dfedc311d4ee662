package main

import (
	"context"

	"amphi/compositor/label"
	"amphi/server/api"
	"amphi/server/config"
	"amphi/server/dashboard"
	"amphi/server/live"
	"amphi/server/mediaworker"
	"amphi/server/policy"
	"amphi/server/storage"
)

// appParts is what the dashboard's pages of apps need of other parts.
func appParts(cfg config.Config, labels *label.Renderer, files *storage.Storage) dashboard.AppParts {
	stills := &live.Stills{Worker: cfg.Compositor.Path, Labels: labels}
	return dashboard.AppParts{
		ReadTemplate: api.ReadTemplate,
		ShowTemplate: api.ShowTemplate,
		Still:        stills.Draw,
		StillProblem: func() error { _, err := mediaworker.Path(cfg.Compositor.Path); return err },
		TryStorage: func(ctx context.Context, u *policy.Upload) error {
			if u == nil {
				return storage.Try(ctx, files.Default())
			}
			b, err := bucketOf(u)
			if err != nil {
				return err
			}
			return storage.Try(ctx, b)
		},
	}
}
