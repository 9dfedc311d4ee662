package storage

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// Try writes a small file to a place, reads it and deletes it: what works with it works with recordings.
func Try(ctx context.Context, p Place) error {
	key, text := "amphi-try-"+rand.Text()+".txt", []byte("Amphi has tried whether it can write here. This file can be deleted.\n")
	switch p := p.(type) {
	case *Bucket:
		if err := p.Write(ctx, key, "text/plain", "no-store", text); err != nil {
			return fmt.Errorf("writing: %w", err)
		}
		got, err := p.Read(ctx, key, len(text))
		if err == nil && !bytes.Equal(got, text) {
			err = errors.New("it is another file than the one written")
		}
		if err != nil {
			return errors.Join(fmt.Errorf("reading: %w", err), p.Delete(context.WithoutCancel(ctx), key))
		}
		if err := p.Delete(ctx, key); err != nil {
			return fmt.Errorf("deleting: %w", err)
		}
		return nil
	case *Directory:
		return p.try(key, text)
	default:
		return fmt.Errorf("%w: %T", ErrUnknown, p)
	}
}

func (d *Directory) try(key string, text []byte) error {
	name := filepath.Join(d.dir, key)
	if err := os.WriteFile(name, text, 0o600); err != nil {
		return fmt.Errorf("writing: %w", err)
	}
	got, err := os.ReadFile(name)
	if err == nil && !bytes.Equal(got, text) {
		err = errors.New("it is another file than the one written")
	}
	if err != nil {
		return errors.Join(fmt.Errorf("reading: %w", err), os.Remove(name))
	}
	if err := os.Remove(name); err != nil {
		return fmt.Errorf("deleting: %w", err)
	}
	return nil
}
