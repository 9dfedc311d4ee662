//go:build js

package main

import (
	"context"
	"log/slog"
	"strings"
	"syscall/js"
)

// consoleHandler writes log records to the browser's console, whose own levels
// filter them.
type consoleHandler struct {
	level *slog.LevelVar
	attrs string
}

func (h *consoleHandler) Enabled(_ context.Context, l slog.Level) bool { return l >= h.level.Level() }

func (h *consoleHandler) Handle(_ context.Context, r slog.Record) error {
	var b strings.Builder
	b.WriteString("amphi: " + r.Message + h.attrs)
	r.Attrs(func(a slog.Attr) bool {
		b.WriteString(" " + a.String())
		return true
	})
	method := "debug"
	switch {
	case r.Level >= slog.LevelError:
		method = "error"
	case r.Level >= slog.LevelWarn:
		method = "warn"
	case r.Level >= slog.LevelInfo:
		method = "info"
	}
	js.Global().Get("console").Call(method, b.String())
	return nil
}

func (h *consoleHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	next := *h
	for _, a := range attrs {
		next.attrs += " " + a.String()
	}
	return &next
}

func (h *consoleHandler) WithGroup(string) slog.Handler { return h }
