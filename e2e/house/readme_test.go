package house

import (
	"flag"
	"regexp"
	"strings"
	"testing"

	"amphi/server/config"
)

// readmeFlag is a row of the README's table of flags: name and default.
var readmeFlag = regexp.MustCompile("(?m)^\\| `--([a-z-]+)` \\| (?:`([^`]*)`)? ?\\|")

// TestReadme holds the README's flags and commands against the program's.
func TestReadme(t *testing.T) {
	readme := string(read(t, "README.md"))
	flags := flag.NewFlagSet("", flag.ContinueOnError)
	config.Flags(flags)
	rows := readmeFlag.FindAllStringSubmatch(readme, -1)
	if len(rows) < 5 {
		t.Fatalf("found only %d flags in README.md", len(rows))
	}
	for _, row := range rows {
		name, def := row[1], row[2]
		f := flags.Lookup(name)
		if f == nil {
			t.Errorf("README.md has a flag --%s, the program has none", name)
			continue
		}
		if name != "config" && f.DefValue != def {
			t.Errorf("README.md says that --%s is %q, it is %q", name, def, f.DefValue)
		}
	}
	taskfile := string(read(t, "Taskfile.yml"))
	for _, task := range regexp.MustCompile("go tool task ([a-z:]+)").FindAllStringSubmatch(readme, -1) {
		if !strings.Contains(taskfile, "\n  "+task[1]+":") {
			t.Errorf("README.md has the command %q, Taskfile.yml has not", task[0])
		}
	}
}
