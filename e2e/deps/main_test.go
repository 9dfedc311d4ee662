package main

import (
	"slices"
	"strings"
	"testing"
)

// fake is a machine that remembers what was run on it.
type fake struct {
	programs, packages []string
	node               string
	prefix             []string
	mayNot             bool
	ran                []string
}

func (f *fake) HasProgram(name string) bool { return slices.Contains(f.programs, name) }
func (f *fake) HasPackage(name string) bool { return slices.Contains(f.packages, name) }
func (f *fake) Version(string) string       { return f.node }
func (f *fake) Prefix() ([]string, bool)    { return f.prefix, !f.mayNot }
func (f *fake) Run(command ...string) error {
	f.ran = append(f.ran, strings.Join(command, " "))
	return nil
}

// complete is a machine that lacks nothing.
func complete() *fake {
	f := &fake{node: "v20.20.2", programs: []string{"apt-get"}}
	for _, d := range dependencies {
		if d.Program != "" {
			f.programs = append(f.programs, d.Program)
		}
		f.packages = append(f.packages, d.Package)
	}
	return f
}

// without takes a program or package away.
func (f *fake) without(names ...string) *fake {
	gone := func(name string) bool { return slices.Contains(names, name) }
	f.programs = slices.DeleteFunc(f.programs, gone)
	f.packages = slices.DeleteFunc(f.packages, gone)
	return f
}

func TestRun(t *testing.T) {
	sudo := complete().without("libopus-dev")
	sudo.prefix = []string{"sudo", "-n"}
	mayNot := complete().without("libopus-dev", "gcc")
	mayNot.mayNot = true
	oldNode := complete()
	oldNode.node = "v18.1.0"
	noNode := complete()
	noNode.node = ""

	for _, test := range []struct {
		name    string
		machine *fake
		tests   bool
		says    string   // in the output or the error
		ran     []string // ends of the commands
		fails   bool
	}{
		{name: "nothing missing", machine: complete(), tests: true},
		{name: "a library", machine: complete().without("libopus-dev"), says: "decodes the sound of the stage",
			ran: []string{"apt-get update", " libopus-dev"}},
		{name: "by sudo", machine: sudo, ran: []string{"sudo -n apt-get update", " libopus-dev"}},
		{name: "only for tests", machine: complete().without("chromium")},
		{name: "for tests", machine: complete().without("chromium"), tests: true, ran: []string{"apt-get update", " chromium"}},
		{name: "may not", machine: mayNot, fails: true, says: "apt-get install --no-install-recommends gcc libopus-dev"},
		{name: "no apt", machine: complete().without("libopus-dev", "apt-get"), fails: true, says: "no apt-get"},
		{name: "old node", machine: oldNode, fails: true, says: "too old"},
		{name: "no node", machine: noNode, fails: true, says: "node and npm are needed"},
	} {
		t.Run(test.name, func(t *testing.T) {
			var out strings.Builder
			err := run(&out, test.machine, test.tests)
			said := out.String()
			if err != nil {
				said += err.Error()
			}
			if (err != nil) != test.fails {
				t.Errorf("error %v", err)
			}
			if !strings.Contains(said, test.says) {
				t.Errorf("said %q, want %q in it", said, test.says)
			}
			if len(test.machine.ran) != len(test.ran) {
				t.Fatalf("ran %q", test.machine.ran)
			}
			for i, want := range test.ran {
				if !strings.HasSuffix(test.machine.ran[i], want) {
					t.Errorf("ran %q, want %q", test.machine.ran[i], want)
				}
			}
		})
	}
}
