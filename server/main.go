// Amphi is a server for live video on three levels: a stage and a floor over WebRTC, and a gallery that watches the
// composed stage as a low-latency HLS stream.
//
// This package reads the configuration, makes the parts and connects them; it is the only one that knows them all.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"strings"
	"syscall"

	"amphi/server/config"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	c := &command{environ: os.Environ(), out: os.Stdout, err: os.Stderr}
	os.Exit(c.run(ctx, os.Args[1:]))
}

// command is one call of the program: what it is given besides its arguments.
type command struct {
	environ  []string
	out, err io.Writer // for what was asked for; for everything else
}

// Exit codes.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

// subcommands in the order of the help text.
var subcommands = []struct {
	name, args, help string
	run              func(c *command, ctx context.Context, args []string) error
}{
	{"serve", "", "run the server; this is what amphi does without a command", (*command).serve},
	{"signin", "[--member EMAIL]", "print a link that signs in to the dashboard, once", (*command).signIn},
	{"keys", "", "print the workspace's access key and secrets", (*command).keys},
	{"token management", "", "print a token for the server API", (*command).managementToken},
	{"token auth", "--room R --role ROLE [--user U]", "print a token that lets a user into a room", (*command).authToken},
	{"rooms", "list|get|create|enable|disable|end", "rooms, over the server API", over("rooms")},
	{"codes", "list|create|enable|disable", "room codes, over the server API", over("codes")},
	{"live", "start|stop|list", "live streams, over the server API", over("live")},
	{"templates", "list|get|put", "templates, over the server API", over("templates")},
	{"sessions", "list", "sessions, over the server API", over("sessions")},
	{"backup", "FILE", "copy the database into a file, also while the server runs", (*command).backup},
	{"restore", "FILE", "make the database out of such a file", (*command).restore},
	{"doctor", "", "say what is wrong with the set-up", (*command).doctor},
	{"version", "", "print the version", (*command).version},
}

// errUsage is a mistake on the command line that was explained already.
var errUsage = errors.New("wrong usage")

// run runs the subcommand that args name and returns the exit code.
func (c *command) run(ctx context.Context, args []string) int {
	if len(args) == 0 || strings.HasPrefix(args[0], "-") && !isHelp(args[0]) {
		args = append([]string{"serve"}, args...)
	}
	if isHelp(args[0]) {
		c.help(c.out)
		return exitOK
	}
	for _, sub := range subcommands {
		words := strings.Fields(sub.name)
		if len(args) < len(words) || strings.Join(args[:len(words)], " ") != sub.name {
			continue
		}
		err := sub.run(c, ctx, args[len(words):])
		switch {
		case err == nil, errors.Is(err, flag.ErrHelp):
			return exitOK
		case errors.Is(err, errUsage):
			return exitUsage
		default:
			fmt.Fprintf(c.err, "amphi: %v\n", err)
			return exitFailed
		}
	}
	fmt.Fprintf(c.err, "amphi: there is no command %q\n\n", strings.Join(args, " "))
	c.help(c.err)
	return exitUsage
}

func isHelp(arg string) bool {
	return arg == "help" || arg == "-h" || arg == "-help" || arg == "--help"
}

func (c *command) help(w io.Writer) {
	fmt.Fprint(w, "Amphi is a server for live video on three levels.\n\nUsage: amphi [command] [flags]\n\n")
	for _, sub := range subcommands {
		fmt.Fprintf(w, "  %-18s %s\n", sub.name, sub.help)
		if sub.args != "" {
			fmt.Fprintf(w, "  %-18s   %s\n", "", sub.args)
		}
	}
	fmt.Fprintf(w, `
Every setting is a flag, an environment variable and a line of %s, in falling
order of weight: --rtc-port 7882, AMPHI_RTC_PORT=7882, rtc: {port: 7882}.
"amphi serve --help" lists them all.
`, config.DefaultFile)
}

// configure parses the flags of a subcommand, which may have some of its own, and loads the configuration.
func (c *command) configure(name string, args []string, own func(*flag.FlagSet)) (config.Config, error) {
	flags := flag.NewFlagSet("amphi "+name, flag.ContinueOnError)
	flags.SetOutput(io.Discard) // the flag package prints everything for each mistake
	options := config.Flags(flags)
	if own != nil {
		own(flags)
	}
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprintf(c.out, "Usage: amphi %s [flags]\n\n", name)
		printFlags(c.out, flags)
		return config.Config{}, err
	case err != nil:
		fmt.Fprintf(c.err, "amphi %s: %v (see amphi %s --help)\n", name, err, name)
		return config.Config{}, errUsage
	case flags.NArg() > 0:
		fmt.Fprintf(c.err, "amphi %s: %q is not a flag (see amphi %s --help)\n", name, flags.Arg(0), name)
		return config.Config{}, errUsage
	}
	cfg, err := options.Load(c.environ)
	if err != nil {
		return cfg, fmt.Errorf("configuration:\n  %s", strings.ReplaceAll(err.Error(), "\n", "\n  "))
	}
	return cfg, nil
}

// printFlags is flag.PrintDefaults with two hyphens and one line a flag.
func printFlags(w io.Writer, flags *flag.FlagSet) {
	flags.VisitAll(func(f *flag.Flag) {
		fmt.Fprintf(w, "  --%-28s %s", f.Name, f.Usage)
		if f.DefValue != "" && f.DefValue != "false" {
			fmt.Fprintf(w, " (default %s)", f.DefValue)
		}
		fmt.Fprintln(w)
	})
}

func (c *command) serve(ctx context.Context, args []string) error {
	cfg, err := c.configure("serve", args, nil)
	if err != nil {
		return err
	}
	log := newLogger(c.err, cfg.Log)
	for _, name := range cfg.UnknownEnv {
		log.Warn("environment variable is no setting of ours", "name", name)
	}
	if cfg.File != "" {
		log.Info("configuration read", "file", cfg.File)
	}
	return serve(ctx, cfg, log, c.out)
}

func newLogger(w io.Writer, cfg config.Log) *slog.Logger {
	var level slog.Level
	if err := level.UnmarshalText([]byte(cfg.Level)); err != nil {
		level = slog.LevelInfo // Validate has checked it
	}
	options := &slog.HandlerOptions{Level: level}
	if cfg.Format == "json" {
		return slog.New(slog.NewJSONHandler(w, options))
	}
	return slog.New(slog.NewTextHandler(w, options))
}

func (c *command) version(context.Context, []string) error {
	version, revision := "(unknown)", ""
	if info, ok := debug.ReadBuildInfo(); ok {
		version = info.Main.Version
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				revision = " " + s.Value
			}
		}
	}
	fmt.Fprintf(c.out, "amphi %s%s %s %s/%s\n", version, revision, runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return nil
}
