// Package logtest has a log that tests read.
package logtest

import (
	"bytes"
	"log/slog"
	"sync"
)

// Journal keeps what is logged. It may be written and read at the same time; its zero value is empty.
type Journal struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write implements [io.Writer].
func (j *Journal) Write(b []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(b)
}

// String is what was logged until now.
func (j *Journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.String()
}

// Log is a logger whose records it keeps as text, those for debugging too.
func (j *Journal) Log() *slog.Logger {
	return slog.New(slog.NewTextHandler(j, &slog.HandlerOptions{Level: slog.LevelDebug}))
}
