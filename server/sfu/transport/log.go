package transport

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/pion/logging"
)

// PionLog gives pion's loggers the form of ours. What pion warns about is mostly the doing of a client
// or of the network, so its warnings and errors are debug messages here; what matters is counted.
func PionLog(log *slog.Logger) logging.LoggerFactory { return loggerFactory{log} }

type loggerFactory struct{ log *slog.Logger }

func (f loggerFactory) NewLogger(scope string) logging.LeveledLogger {
	return logger{log: f.log, scope: scope}
}

type logger struct {
	log   *slog.Logger
	scope string
}

func (l logger) write(msg string) { l.log.Debug(msg, "pion", l.scope) }

func (l logger) writef(format string, args ...any) {
	if l.log.Enabled(context.Background(), slog.LevelDebug) {
		l.write(fmt.Sprintf(format, args...))
	}
}

// Trace and Debug messages of pion come per packet; they are left out.
func (l logger) Trace(string)          {}
func (l logger) Tracef(string, ...any) {}
func (l logger) Debug(string)          {}
func (l logger) Debugf(string, ...any) {}

func (l logger) Info(msg string)                   { l.write(msg) }
func (l logger) Infof(format string, args ...any)  { l.writef(format, args...) }
func (l logger) Warn(msg string)                   { l.write(msg) }
func (l logger) Warnf(format string, args ...any)  { l.writef(format, args...) }
func (l logger) Error(msg string)                  { l.write(msg) }
func (l logger) Errorf(format string, args ...any) { l.writef(format, args...) }
