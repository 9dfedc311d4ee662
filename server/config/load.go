package config

import (
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// DefaultFile is read when no file is named and it exists in the working directory.
const DefaultFile = "amphi.yml"

// Options collects what the command line says, until Load puts it on top of the file and the environment.
type Options struct {
	file string
	set  []override
}

type override struct{ key, text string }

// Flags declares --config and a flag for every setting in flags. Call Load after flags.Parse.
func Flags(flags *flag.FlagSet) *Options {
	o := new(Options)
	flags.StringVar(&o.file, "config", "", "configuration file (default "+DefaultFile+" if it exists)")
	def := Default()
	for _, s := range def.table() {
		flags.Var(&flagValue{o: o, s: s}, s.name(), s.help)
	}
	return o
}

// flagValue checks a flag's text at once, so that the error names the flag, and remembers it for Load.
type flagValue struct {
	o *Options
	s setting
}

func (f *flagValue) String() string {
	if f.s.val == nil { // the flag package prints zero values
		return ""
	}
	return f.s.val.String()
}

func (f *flagValue) IsBoolFlag() bool {
	_, ok := f.s.val.(*boolValue)
	return ok
}

func (f *flagValue) Set(text string) error {
	if err := f.s.val.Set(text); err != nil {
		return err
	}
	f.o.set = append(f.o.set, override{f.s.key, text})
	return nil
}

// Load puts the configuration together and validates it. environ has the form of os.Environ.
func (o *Options) Load(environ []string) (Config, error) {
	c := Default()
	table := c.table()

	env := make(map[string]string)
	for _, kv := range environ {
		if name, text, _ := strings.Cut(kv, "="); strings.HasPrefix(name, envPrefix) {
			env[name] = text
		}
	}
	file, named := o.file, o.file != ""
	if text, ok := env[envPrefix+"CONFIG"]; ok {
		delete(env, envPrefix+"CONFIG")
		if !named && text != "" {
			file, named = text, true
		}
	}
	if !named {
		file = DefaultFile
	}
	text, err := os.ReadFile(file)
	switch {
	case err == nil:
		if err := applyFile(table, text); err != nil {
			return c, fmt.Errorf("%s: %w", file, err)
		}
		c.File = file
	case named || !errors.Is(err, fs.ErrNotExist):
		return c, fmt.Errorf("configuration file: %w", err)
	}

	for _, s := range table {
		if text, ok := env[s.env()]; ok {
			delete(env, s.env())
			if err := s.val.Set(text); err != nil {
				return c, fmt.Errorf("%s: %w", s.env(), err)
			}
		}
	}
	for name := range env {
		if !strings.HasPrefix(name, "AMPHI_API_") { // the commands over the API read these
			c.UnknownEnv = append(c.UnknownEnv, name)
		}
	}
	slices.Sort(c.UnknownEnv)

	for _, ov := range o.set {
		for _, s := range table {
			if s.key == ov.key {
				if err := s.val.Set(ov.text); err != nil {
					return c, fmt.Errorf("--%s: %w", s.name(), err)
				}
			}
		}
	}
	return c, c.Validate()
}

// applyFile sets what the YAML text says. All mistakes are reported together, each with its line.
func applyFile(table []setting, text []byte) error {
	var doc yaml.Node
	if err := yaml.Unmarshal(text, &doc); err != nil {
		return err
	}
	if len(doc.Content) == 0 {
		return nil
	}
	var errs []error
	walk(table, "", doc.Content[0], &errs)
	return errors.Join(errs...)
}

// walk goes down the mapping n, whose keys begin with prefix.
func walk(table []setting, prefix string, n *yaml.Node, errs *[]error) {
	bad := func(n *yaml.Node, format string, args ...any) {
		*errs = append(*errs, fmt.Errorf("line %d: %s", n.Line, fmt.Sprintf(format, args...)))
	}
	if n.Kind == yaml.ScalarNode && n.Tag == "!!null" {
		return // "rtc:" with nothing below it
	}
	if n.Kind != yaml.MappingNode {
		bad(n, "%s wants keys below it, such as %s", strings.TrimSuffix(prefix, "."), table[0].key)
		return
	}
	seen := make(map[string]bool)
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, v := n.Content[i], n.Content[i+1]
		key := prefix + k.Value
		if seen[key] {
			bad(k, "%s is given twice", key)
			continue
		}
		seen[key] = true
		if v.Kind == yaml.AliasNode {
			v = v.Alias
		}
		if j := slices.IndexFunc(table, func(s setting) bool { return s.key == key }); j >= 0 {
			if v.Kind == yaml.ScalarNode && v.Tag == "!!null" {
				continue // a key without a value keeps its default
			}
			if err := table[j].val.YAML(v); err != nil {
				bad(v, "%s: %v", key, err)
			}
			continue
		}
		if slices.ContainsFunc(table, func(s setting) bool { return strings.HasPrefix(s.key, key+".") }) {
			walk(table, key+".", v, errs)
			continue
		}
		bad(k, "%s is not a setting%s", key, suggest(table, key))
	}
}

// suggest names the setting nearest to a mistyped key, if one is near.
func suggest(table []setting, key string) string {
	best, at := 4, ""
	for _, s := range table {
		if d := distance(s.key, key); d < best {
			best, at = d, s.key
		}
		if strings.HasSuffix(s.key, "."+key) {
			return "; did you mean " + s.key + "?"
		}
	}
	if at == "" {
		return ""
	}
	return "; did you mean " + at + "?"
}

// distance is the number of inserted, deleted and replaced bytes between a and b (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diag := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diag
			if a[i] != b[j] {
				cost++
			}
			diag = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
