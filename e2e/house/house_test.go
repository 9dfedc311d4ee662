package house

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// root is the top of the repository, from this directory.
const root = "../.."

// topLevel is everything that a clone may hold at its top.
var topLevel = []string{
	"server", "compositor", "wasm", "templates", "static", "e2e",
	"go.mod", "go.sum", "Taskfile.yml", "README.md", "LICENSE",
	".ci", ".git", ".gitignore",
}

// built is what the build and the server put into the tree; git ignores it.
var built = []string{"bin", "data", ".task", "node_modules", "static/dist", "e2e/failures", "e2e/dashboard/looks"}

// sources returns the paths of the repository's own files, relative to its top, with slashes.
func sources(t *testing.T) []string {
	t.Helper()
	var paths []string
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		if entry.IsDir() {
			if rel == ".git" || slices.Contains(built, rel) || slices.Contains(built, entry.Name()) {
				return filepath.SkipDir
			}
			return nil
		}
		if entry.Type().IsRegular() {
			paths = append(paths, rel)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return paths
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(root, path))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestTopLevel(t *testing.T) {
	entries, err := os.ReadDir(root)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if name := entry.Name(); !slices.Contains(topLevel, name) && !slices.Contains(built, name) {
			t.Errorf("%s does not belong at the top of the repository", name)
		}
	}
}

// TestLength keeps files short enough to be read in one go. Generated files, data and prose may be longer.
func TestLength(t *testing.T) {
	const most = 600
	code := []string{".go", ".templ", ".ts", ".js", ".mjs", ".css", ".html", ".c", ".h", ".yml"}
	for _, path := range sources(t) {
		if !slices.Contains(code, filepath.Ext(path)) || isGenerated(path) {
			continue
		}
		if lines := bytes.Count(read(t, path), []byte("\n")); lines > most {
			t.Errorf("%s has %d lines, more than %d", path, lines, most)
		}
	}
}

// TestSelfContained looks for names of places outside of a clone, and for lock files that name a host: npm is to
// ask the registry that it is set up with.
func TestSelfContained(t *testing.T) {
	outside := [][]byte{[]byte("/wo" + "rk/"), []byte("../" + "shared")}
	for _, path := range sources(t) {
		data := read(t, path)
		for _, word := range outside {
			if bytes.Contains(data, word) {
				t.Errorf("%s names %s, which a clone does not have", path, word)
			}
		}
		if filepath.Base(path) == "package-lock.json" && bytes.Contains(data, []byte(`"resolved"`)) {
			t.Errorf("%s names the host that its packages came from", path)
		}
	}
}

// TestUnfinished looks for marks of unfinished work.
func TestUnfinished(t *testing.T) {
	marks := [][]byte{[]byte("TO" + "DO"), []byte("FIX" + "ME"), []byte("XX" + "X:")}
	for _, path := range sources(t) {
		if filepath.Ext(path) == ".json" {
			continue
		}
		for _, mark := range marks {
			if bytes.Contains(read(t, path), mark) {
				t.Errorf("%s contains %s", path, mark)
			}
		}
	}
}

// TestGenerated generates the templ components anew and compares.
func TestGenerated(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles the generator, left out by -short")
	}
	for _, path := range sources(t) {
		if filepath.Ext(path) != ".templ" {
			continue
		}
		file, err := filepath.Abs(filepath.Join(root, path))
		if err != nil {
			t.Fatal(err)
		}
		var errs bytes.Buffer
		cmd := exec.CommandContext(t.Context(), "go", "tool", "templ", "generate", "-f", filepath.Base(file), "-stdout")
		cmd.Dir, cmd.Stderr = filepath.Dir(file), &errs
		fresh, err := cmd.Output()
		if err != nil {
			t.Fatalf("generate %s: %v\n%s", path, err, &errs)
		}
		generated := strings.TrimSuffix(path, ".templ") + "_templ.go"
		committed, err := os.ReadFile(filepath.Join(root, generated))
		if err != nil {
			t.Errorf("%s has not been generated: go tool task generate", path)
		} else if !bytes.Equal(fresh, committed) {
			t.Errorf("%s is stale: go tool task generate", generated)
		}
	}
}

func isGenerated(path string) bool { return strings.HasSuffix(path, "_templ.go") }

// goPackage is what the rules ask of one directory of Go files, over all build constraints.
type goPackage struct {
	doc     bool     // a package comment
	tests   bool     // a test file
	imports []string // of this module, relative to it; those of tests left out
}

// packages parses all Go files and groups them by directory.
func packages(t *testing.T) map[string]*goPackage {
	t.Helper()
	const module = "amphi/"
	all := map[string]*goPackage{}
	for _, path := range sources(t) {
		if filepath.Ext(path) != ".go" {
			continue
		}
		dir := filepath.ToSlash(filepath.Dir(path))
		p := all[dir]
		if p == nil {
			p = &goPackage{}
			all[dir] = p
		}
		if strings.HasSuffix(path, "_test.go") {
			p.tests = true
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, read(t, path), parser.ImportsOnly|parser.ParseComments)
		if err != nil {
			t.Errorf("%v", err)
			continue
		}
		p.doc = p.doc || hasText(file.Doc)
		for _, spec := range file.Imports {
			name, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				t.Errorf("%s: %v", path, err)
			}
			if rel, ours := strings.CutPrefix(name, module); ours && !slices.Contains(p.imports, rel) {
				p.imports = append(p.imports, rel)
			}
		}
	}
	return all
}

func hasText(doc *ast.CommentGroup) bool { return doc != nil && strings.TrimSpace(doc.Text()) != "" }

func TestPackages(t *testing.T) {
	for dir, p := range packages(t) {
		if !p.doc && !onlyTests(p) {
			t.Errorf("%s has no package comment", dir)
		}
		if !p.tests {
			t.Errorf("%s has no tests", dir)
		}
	}
}

// onlyTests says that a directory holds nothing but test files.
func onlyTests(p *goPackage) bool { return p.tests && !p.doc && p.imports == nil }
