package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"amphi/server/store"
)

// errPostgres is what backup and restore say when they are not the right tool.
var errPostgres = errors.New("the records are in PostgreSQL: use its own tools, pg_dump and pg_restore")

// operand takes the one operand of a subcommand off its arguments. It comes before the flags.
func (c *command) operand(name string, args []string) (value string, flags []string, err error) {
	if len(args) > 0 && isHelp(args[0]) {
		return "", args, nil
	}
	if len(args) == 0 || strings.HasPrefix(args[0], "-") {
		fmt.Fprintf(c.err, "amphi %s: FILE comes first (see amphi %s --help)\n", name, name)
		return "", nil, errUsage
	}
	return args[0], args[1:], nil
}

// backup copies the database into a file, also while a server runs on it.
func (c *command) backup(ctx context.Context, args []string) error {
	file, args, err := c.operand("backup", args)
	if err != nil {
		return err
	}
	cfg, err := c.configure("backup", args, nil)
	if err != nil {
		return err
	}
	if cfg.DB != "" {
		return errPostgres
	}
	err = store.Copy(ctx, cfg.Database(), file)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%w; a backup overwrites nothing", err)
	}
	if err == nil {
		fmt.Fprintf(c.out, "%s has everything that was recorded in %s\n", file, cfg.Database())
	}
	return err
}

// restore makes the database out of a backup, where there is none.
func (c *command) restore(ctx context.Context, args []string) error {
	file, args, err := c.operand("restore", args)
	if err != nil {
		return err
	}
	cfg, err := c.configure("restore", args, nil)
	if err != nil {
		return err
	}
	if cfg.DB != "" {
		return errPostgres
	}
	if err := os.MkdirAll(cfg.Data, 0o700); err != nil {
		return fmt.Errorf("cannot make the data directory: %w (choose another with --data)", err)
	}
	err = store.Copy(ctx, file, cfg.Database())
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%w; stop the server and move its database away first, together with the files whose names begin like its", err)
	}
	if err == nil {
		fmt.Fprintf(c.out, "%s is what it was when %s was made\n", cfg.Database(), file)
	}
	return err
}
