package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"amphi/server/auth"
	"amphi/server/client"
	"amphi/server/config"
	"amphi/server/store"
)

// remote is a call of a command that works over the server API, on this machine's server or another one.
type remote struct {
	*client.Client
	out  io.Writer
	json bool // for programs: the answers as they came

	// Flags of single commands.
	active, disabled, lock             bool
	template, description, destination string
	reason, role                       string
	size, limit                        int
	maxDuration                        time.Duration
	given                              map[string]bool // names of the flags that were set
}

// verb is what can be done to one kind of thing.
type verb struct {
	name, args, help string
	least, most      int // number of arguments
	flags            func(*remote, *flag.FlagSet)
	run              func(*remote, context.Context, []string) error
}

// things are the commands over the API, by their first word.
var things = map[string][]verb{
	"rooms":     roomVerbs,
	"codes":     codeVerbs,
	"live":      liveVerbs,
	"templates": templateVerbs,
	"sessions":  sessionVerbs,
}

// over returns a subcommand that works over the API.
func over(thing string) func(*command, context.Context, []string) error {
	return func(c *command, ctx context.Context, args []string) error { return c.remote(ctx, thing, args) }
}

func (c *command) remote(ctx context.Context, thing string, args []string) error {
	verbs := things[thing]
	if len(args) > 0 && isHelp(args[0]) {
		helpVerbs(c.out, thing, verbs)
		return nil
	}
	i := -1
	if len(args) > 0 {
		i = slices.IndexFunc(verbs, func(v verb) bool { return v.name == args[0] })
	}
	if i < 0 {
		fmt.Fprintf(c.err, "amphi %s: say what to do\n\n", strings.Join(append([]string{thing}, args...), " "))
		helpVerbs(c.err, thing, verbs)
		return errUsage
	}
	v := verbs[i]
	r := &remote{out: c.out}
	var to connection
	flags := flag.NewFlagSet("amphi "+thing, flag.ContinueOnError)
	to.flags(flags)
	flags.BoolVar(&r.json, "json", false, "print the server's answer as JSON")
	if v.flags != nil {
		v.flags(r, flags)
	}
	name := thing + " " + v.name
	cfg, words, err := c.configureWords(name, v, flags, args[1:])
	if err != nil {
		return err
	}
	r.given = make(map[string]bool)
	flags.Visit(func(f *flag.Flag) { r.given[f.Name] = true })
	to.complete(c.environ)
	access, err := c.access(ctx, cfg, to.access())
	if err != nil {
		return err
	}
	r.Client = to.client(cfg, access)
	return r.advise(name, v.run(r, ctx, words))
}

// connection is the server that a command is for, and the key to it. What is empty is found on this machine.
type connection struct{ url, key, secret string }

func (n *connection) flags(f *flag.FlagSet) {
	f.StringVar(&n.url, "url", "", "address of the server (or AMPHI_API_URL; default: this machine's server, as its configuration says)")
	f.StringVar(&n.key, "key", "", "access key (or AMPHI_API_KEY; default: from this machine's database)")
	f.StringVar(&n.secret, "secret", "", "its secret (or AMPHI_API_SECRET, which others on this machine do not see)")
}

// complete takes what was not given from the environment.
func (n *connection) complete(environ []string) {
	for name, to := range map[string]*string{"AMPHI_API_URL": &n.url, "AMPHI_API_KEY": &n.key, "AMPHI_API_SECRET": &n.secret} {
		for _, e := range environ {
			if value, ok := strings.CutPrefix(e, name+"="); ok && *to == "" {
				*to = value
			}
		}
	}
}

func (n *connection) access() store.AccessKey {
	return store.AccessKey{AccessKey: n.key, Secret: n.secret}
}

func (n *connection) client(cfg config.Config, access store.AccessKey) *client.Client {
	return &client.Client{URL: cmp.Or(n.url, cfg.PublicURL, addressOf(cfg)), Token: func(context.Context) (string, error) {
		return auth.MintManagement(access, time.Minute)
	}}
}

// configureWords parses flags and words in any order.
func (c *command) configureWords(name string, v verb, flags *flag.FlagSet, args []string) (cfg config.Config, words []string, err error) {
	flags.SetOutput(io.Discard)
	options := config.Flags(flags)
	for {
		switch err := flags.Parse(args); {
		case errors.Is(err, flag.ErrHelp):
			fmt.Fprintf(c.out, "Usage: amphi %s %s [flags]\n\n%s.\n\n", name, v.args, v.help)
			printFlags(c.out, flags)
			return cfg, nil, err
		case err != nil:
			fmt.Fprintf(c.err, "amphi %s: %v (see amphi %s --help)\n", name, err, name)
			return cfg, nil, errUsage
		}
		if flags.NArg() == 0 {
			break
		}
		words = append(words, flags.Arg(0))
		args = flags.Args()[1:]
	}
	if len(words) < v.least || len(words) > v.most {
		fmt.Fprintf(c.err, "amphi %s: usage: amphi %s %s (see amphi %[1]s --help)\n", name, name, v.args)
		return cfg, nil, errUsage
	}
	if cfg, err = options.Load(c.environ); err != nil {
		return cfg, nil, fmt.Errorf("configuration:\n  %s", strings.ReplaceAll(err.Error(), "\n", "\n  "))
	}
	return cfg, words, nil
}

// access completes the key pair from this machine's database, if nothing of it was given.
func (c *command) access(ctx context.Context, cfg config.Config, k store.AccessKey) (store.AccessKey, error) {
	switch {
	case k.AccessKey != "" && k.Secret != "":
		return k, nil
	case k.AccessKey != "" || k.Secret != "":
		return k, errors.New("access key and secret go together: give both --key and --secret, or none")
	}
	if _, err := os.Stat(cfg.Data); err != nil && cfg.DB == "" {
		return k, fmt.Errorf("no access key: there is no server's data in %s; give --key and --secret (amphi keys prints them on the server's machine), or --data", cfg.Data)
	}
	err := withStore(ctx, cfg, func(_ *store.Store, s store.Seeded) error {
		k = s.Key
		return nil
	})
	return k, err
}

// addressOf is where this machine's server listens.
func addressOf(cfg config.Config) string {
	host, port, _ := strings.Cut(cfg.Addr, ":")
	if i := strings.LastIndex(cfg.Addr, ":"); i >= 0 {
		host, port = cfg.Addr[:i], cfg.Addr[i+1:]
	}
	if host == "" || host == "0.0.0.0" || host == "[::]" {
		host = "localhost"
	}
	return "http://" + host + ":" + port
}

// advise adds to an error what to do about it.
func (r *remote) advise(name string, err error) error {
	var refusal *client.Error
	switch {
	case err == nil || errors.Is(err, context.Canceled):
		return err
	case errors.Is(err, client.ErrUnreachable):
		return fmt.Errorf("%w\n  Is a server running on %s? Start one with amphi serve, or name another with --url", err, r.URL)
	case !errors.As(err, &refusal):
		return err
	case refusal.Code == http.StatusUnauthorized:
		return fmt.Errorf("%s: %w\n  The key is not one of this server: give --key and --secret, which amphi keys prints on its machine", name, err)
	case refusal.Code == http.StatusTooManyRequests:
		return fmt.Errorf("%s: %w\n  The server limits requests of one address: wait, or raise limits.requests_per_second", name, err)
	case refusal.Code == http.StatusForbidden && strings.Contains(refusal.Message, "room is disabled"):
		return fmt.Errorf("%s: %w\n  Enable it with amphi rooms enable ROOM", name, err)
	default:
		return fmt.Errorf("%s: %w", name, err)
	}
}

func helpVerbs(w io.Writer, thing string, verbs []verb) {
	fmt.Fprintf(w, "Usage: amphi %s COMMAND [flags]\n\n", thing)
	for _, v := range verbs {
		fmt.Fprintf(w, "  %-32s %s\n", strings.TrimSpace(v.name+" "+v.args), v.help)
	}
	fmt.Fprintf(w, "\nAll take --url, --key, --secret and --json; amphi %s COMMAND --help says more.\n", thing)
}

// show prints one thing: its fields a line each, or the answer as it came.
func (r *remote) show(v any, fields ...string) error {
	if r.json {
		return r.print(v)
	}
	w := tabwriter.NewWriter(r.out, 0, 0, 2, ' ', 0)
	for i := 0; i < len(fields); i += 2 {
		fmt.Fprintf(w, "%s\t%s\n", fields[i], fields[i+1])
	}
	return w.Flush()
}

func (r *remote) print(v any) error {
	enc := json.NewEncoder(r.out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

// table prints things a line each, or the answers as a list.
func table[T any](r *remote, head string, things []T, line func(T) []string) error {
	if r.json {
		return r.print(append([]T{}, things...))
	}
	w := tabwriter.NewWriter(r.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, strings.ReplaceAll(head, " ", "\t"))
	for _, v := range things {
		fmt.Fprintln(w, strings.Join(line(v), "\t"))
	}
	return w.Flush()
}

// minute is a time as tables show it.
func minute(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.Local().Format("2006-01-02 15:04")
}

func yes(b bool, yes, no string) string {
	if b {
		return yes
	}
	return no
}
