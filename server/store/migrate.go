package store

import (
	"context"
	"embed"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"time"
)

//go:embed migrations/*.sql
var migrations embed.FS

// migrate runs the migrations that the database has not seen, each in a transaction. They are never changed once
// released: a change of the tables is a new file.
func (s *Store) migrate(ctx context.Context) error {
	err := s.update(ctx, func(t *tx) error {
		if err := t.exclusive(); err != nil {
			return err
		}
		_, err := t.exec(`CREATE TABLE IF NOT EXISTS migrations (version BIGINT PRIMARY KEY, name TEXT NOT NULL, applied_at BIGINT NOT NULL)`)
		return err
	})
	if err != nil {
		return fmt.Errorf("migrations: %w", err)
	}
	files, err := fs.Glob(migrations, "migrations/*.sql") // sorted by name, so by number
	if err != nil {
		return err
	}
	for i, file := range files {
		name := strings.TrimSuffix(strings.TrimPrefix(file, "migrations/"), ".sql")
		number, _, _ := strings.Cut(name, "_")
		version, err := strconv.Atoi(number)
		if err != nil || version != i+1 {
			return fmt.Errorf("migration %s is not number %d", name, i+1)
		}
		text, err := migrations.ReadFile(file)
		if err != nil {
			return err
		}
		if err := s.applyMigration(ctx, version, name, string(text)); err != nil {
			return fmt.Errorf("migration %s: %w", name, err)
		}
	}
	var newest int
	if err := s.query(ctx).row(`SELECT MAX(version) FROM migrations`).Scan(&newest); err != nil {
		return err
	}
	if newest > len(files) {
		return fmt.Errorf("it was written by a newer amphi (table version %d, this one knows %d); run that one, or restore a backup", newest, len(files))
	}
	return nil
}

func (s *Store) applyMigration(ctx context.Context, version int, name, text string) error {
	return s.update(ctx, func(t *tx) error {
		// Two servers may start on one database at the same moment.
		if err := t.exclusive(); err != nil {
			return err
		}
		var done int
		if err := t.row(`SELECT COUNT(*) FROM migrations WHERE version = ?`, version).Scan(&done); err != nil || done > 0 {
			return err
		}
		if _, err := t.exec(s.dialect.ddl(text)); err != nil {
			return err
		}
		_, err := t.exec(`INSERT INTO migrations (version, name, applied_at) VALUES (?, ?, ?)`, version, name, time.Now().UnixMilli())
		return err
	})
}
