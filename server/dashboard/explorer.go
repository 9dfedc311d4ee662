package dashboard

import (
	"bytes"
	"cmp"
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"amphi/server/account"
	"amphi/server/store"
	"amphi/templates/dash"
)

func (d *dashboard) explorer() {
	d.handle("GET /dashboard/developer/api", account.Developer, (*visit).showExplorer)
	d.handle("POST /dashboard/developer/api", account.Developer, (*visit).runOperation)
}

// description is what the explorer reads of an OpenAPI 3.1 description.
type description struct {
	Paths map[string]map[string]struct {
		ID         string   `json:"operationId"`
		Summary    string   `json:"summary"`
		Tags       []string `json:"tags"`
		Parameters []struct {
			Name   string `json:"name"`
			In     string `json:"in"`
			Schema schema `json:"schema"`
		} `json:"parameters"`
		Body struct {
			Content map[string]struct {
				Schema schema `json:"schema"`
			} `json:"content"`
		} `json:"requestBody"`
		Security []map[string][]string `json:"security"`
	} `json:"paths"`
	Components struct {
		Schemas map[string]schema `json:"schemas"`
	} `json:"components"`
}

type schema struct {
	Ref        string            `json:"$ref"`
	Type       any               `json:"type"` // a text, or a list of texts
	Enum       []any             `json:"enum"`
	Items      *schema           `json:"items"`
	Properties map[string]schema `json:"properties"`
	AnyOf      []schema          `json:"anyOf"`
}

// kind is the schema's type that is not null.
func (s schema) kind() string {
	switch t := s.Type.(type) {
	case string:
		return t
	case []any:
		for _, one := range t {
			if text, ok := one.(string); ok && text != "null" {
				return text
			}
		}
	}
	return ""
}

// maxExampleDepth bounds how deep examples go.
const maxExampleDepth = 5

// example makes up a value of the schema.
func (d *description) example(s schema, depth int) any {
	if name, ok := strings.CutPrefix(s.Ref, "#/components/schemas/"); ok {
		s = d.Components.Schemas[name]
	}
	if len(s.AnyOf) > 0 {
		return d.example(s.AnyOf[0], depth)
	}
	switch {
	case depth > maxExampleDepth:
		return nil
	case len(s.Enum) > 0:
		return s.Enum[0]
	}
	switch s.kind() {
	case "object":
		fields := make(map[string]any)
		for name, p := range s.Properties {
			fields[name] = d.example(p, depth+1)
		}
		return fields
	case "array":
		return []any{}
	case "string":
		return ""
	case "integer", "number":
		return 0
	case "boolean":
		return false
	}
	return nil
}

// operation is what the explorer can run.
type operation struct {
	dash.Operation
	path, query []dash.Input
	body        string // an example; "" = it takes none
}

// catalog is the API's description of itself, which is read once: it does not change while the server runs.
type catalog struct {
	mu     sync.Mutex
	groups []dash.OperationGroup
	all    map[string]operation
}

// operations are those that a management token opens, by section and by id.
func (v *visit) operations() ([]dash.OperationGroup, map[string]operation, error) {
	c := &v.catalog
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.all == nil {
		var d description
		if err := v.call("GET", "/v2/openapi.json", nil, &d); err != nil {
			return nil, nil, err
		}
		var err error
		if c.groups, c.all, err = d.operations(); err != nil {
			return nil, nil, err
		}
	}
	groups := slices.Clone(c.groups)
	for i, g := range groups {
		groups[i].Current = slices.ContainsFunc(g.Operations, func(o dash.Operation) bool { return o.ID == v.query("op") })
	}
	return groups, c.all, nil
}

func (d *description) operations() ([]dash.OperationGroup, map[string]operation, error) {
	var groups []dash.OperationGroup
	all := make(map[string]operation)
	for _, path := range slices.Sorted(maps.Keys(d.Paths)) {
		if !strings.HasPrefix(path, "/v2/") { // old paths of the same operations
			continue
		}
		for method, o := range d.Paths[path] {
			managed := slices.ContainsFunc(o.Security, func(s map[string][]string) bool { _, ok := s["management"]; return ok })
			if !managed || len(o.Tags) == 0 {
				continue
			}
			op := operation{Operation: dash.Operation{ID: o.ID, Method: strings.ToUpper(method), Path: path, Summary: o.Summary}}
			for _, p := range o.Parameters {
				in := dash.Input{Name: p.In + "." + p.Name, Label: p.Name, Max: 512, Required: p.In == "path", Hint: p.Schema.kind()}
				if p.In == "path" {
					in.Hint = ""
					op.path = append(op.path, in)
				} else {
					op.query = append(op.query, in)
				}
			}
			if content, ok := o.Body.Content["application/json"]; ok {
				text, err := json.MarshalIndent(d.example(content.Schema, 0), "", "  ")
				if err != nil {
					return nil, nil, err
				}
				op.body = string(text)
			}
			all[o.ID] = op
			i := slices.IndexFunc(groups, func(g dash.OperationGroup) bool { return g.Name == o.Tags[0] })
			if i < 0 {
				groups, i = append(groups, dash.OperationGroup{Name: o.Tags[0]}), len(groups)
			}
			groups[i].Operations = append(groups[i].Operations, op.Operation)
		}
	}
	slices.SortFunc(groups, func(a, b dash.OperationGroup) int { return cmp.Compare(a.Name, b.Name) })
	for _, g := range groups {
		slices.SortStableFunc(g.Operations, func(a, b dash.Operation) int {
			return cmp.Or(cmp.Compare(a.Path, b.Path), cmp.Compare(a.Method, b.Method))
		})
	}
	return groups, all, nil
}

func (v *visit) showExplorer() error {
	groups, all, err := v.operations()
	if err != nil {
		return err
	}
	op, ok := all[v.query("op")]
	if !ok {
		return v.page("API explorer", dash.PlaceDeveloper, dash.Explorer(dash.ExplorerPage{Groups: groups}, ""))
	}
	form := dash.Filled("body", op.body)
	for _, in := range op.path { // something to begin with
		if in.Label == "room_id" {
			rooms, err := v.Store.Rooms(v.ctx(), v.Workspace.ID, store.RoomFilter{}, store.Page{Limit: 1})
			if err != nil {
				return err
			}
			if len(rooms) > 0 {
				form.Values.Set(in.Name, rooms[0].ID)
			}
		}
	}
	return v.drawOperation(http.StatusOK, groups, op, form, nil)
}

func (v *visit) drawOperation(status int, groups []dash.OperationGroup, op operation, form dash.Form, result *dash.ExplorerResult) error {
	address := op.address(form)
	curl := "curl"
	if op.Method != http.MethodGet {
		curl += " -X " + op.Method
	}
	curl += " " + quoted(v.origin(v.r)+address) + " \\\n  -H \"Authorization: Bearer $TOKEN\""
	if body := form.Get("body"); op.body != "" && body != "" {
		curl += " \\\n  -H 'Content-Type: application/json' \\\n  -d " + quoted(body)
	}
	return v.pageStatus(status, "API explorer", dash.PlaceDeveloper, dash.Explorer(dash.ExplorerPage{Groups: groups, Chosen: &op.Operation, Path: op.path,
		Query: op.query, HasBody: op.body != "", Form: form, Result: result}, curl))
}

// quoted is a text as one word of a shell.
func quoted(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }

// address is the operation's path and query with what was filled in.
func (op operation) address(form dash.Form) string {
	path := op.Path
	for _, in := range op.path {
		if value := form.Get(in.Name); value != "" {
			path = strings.ReplaceAll(path, "{"+in.Label+"}", segment(value))
		}
	}
	query := url.Values{}
	for _, in := range op.query {
		if value := form.Get(in.Name); value != "" {
			query.Set(in.Label, value)
		}
	}
	if len(query) > 0 {
		path += "?" + query.Encode()
	}
	return path
}

func (v *visit) runOperation() error {
	groups, all, err := v.operations()
	if err != nil {
		return err
	}
	op, ok := all[v.query("op")]
	if !ok {
		return errNoPage
	}
	form := v.form()
	for _, in := range op.path {
		if value := form.Get(in.Name); value == "" || value == "." || value == ".." {
			form.Refuse(in.Name, "This is a part of the path: it cannot be empty.")
		}
	}
	body := []byte(form.Get("body"))
	if op.body == "" {
		body = nil
	} else if len(body) > 0 && !json.Valid(body) {
		var any any
		form.Refuse("body", "This is not JSON: "+json.Unmarshal(body, &any).Error()+".")
	}
	if !form.Good() {
		return v.drawOperation(http.StatusUnprocessableEntity, groups, op, form, nil)
	}
	token, err := v.token(restTokenLife)
	if err != nil {
		return err
	}
	began := time.Now()
	a, err := v.send(op.Method, op.address(form), token, body)
	if err != nil {
		return err
	}
	result := &dash.ExplorerResult{Status: a.status, StatusText: http.StatusText(a.status), Millis: time.Since(began).Milliseconds(), Good: a.status/100 == 2}
	var pretty bytes.Buffer
	if json.Indent(&pretty, a.body.Bytes(), "", "  ") == nil {
		result.Body = pretty.String()
	} else {
		result.Body = a.body.String()
	}
	if len(result.Body) > maxAnswerShown {
		result.Body = strings.ToValidUTF8(result.Body[:maxAnswerShown], "") + "\n…"
	}
	if op.Method != http.MethodGet {
		v.audit("api.call", op.Method+" "+op.address(form))
	}
	return v.drawOperation(http.StatusOK, groups, op, form, result)
}

// maxAnswerShown bounds how much of an answer is drawn.
const maxAnswerShown = 48 << 10
