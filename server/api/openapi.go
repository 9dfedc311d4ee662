package api

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	slash "path"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"amphi/server/protocol"
	"amphi/server/store"
)

// object is a JSON object of the description.
type object = map[string]any

// describe makes the OpenAPI 3.1 description of the endpoints. Schemas come from the Go types of what is read and
// answered, so they cannot say anything else than the code does.
func describe(endpoints []endpoint) object {
	d := description{schemas: object{}, names: make(map[string]reflect.Type)}
	d.schema(reflect.TypeFor[Error](), true)
	d.schema(reflect.TypeFor[problem](), true)
	paths := make(map[string]object)
	var tags []object
	for _, e := range endpoints {
		if paths[e.path] == nil {
			paths[e.path] = object{}
		}
		paths[e.path][strings.ToLower(e.method)] = d.operation(e)
		if !slices.ContainsFunc(tags, func(t object) bool { return t["name"] == e.section }) {
			tags = append(tags, object{"name": e.section})
		}
	}
	return object{
		"openapi": "3.1.0",
		"info": object{"title": "Amphi server API", "version": "2",
			"description": "Every refusal has the body Error, whose code is the HTTP status. Lists are pages, newest first: " +
				"start with the last of a page gives the next one. Times are RFC 3339 in UTC. A request body may be at most 1 MiB."},
		"servers": []object{{"url": "/"}},
		"tags":    tags,
		"paths":   paths,
		"components": object{
			"schemas": d.schemas,
			"securitySchemes": object{
				"management": object{"type": "http", "scheme": "bearer", "bearerFormat": "JWT",
					"description": "A management token: HS256, signed with the secret of an access key, with the claims access_key, type (management), version (2), jti, iat, nbf, exp. amphi token management prints one."},
				"auth": object{"type": "http", "scheme": "bearer", "bearerFormat": "JWT",
					"description": "An auth token, which lets one user into one room in one role: type app, with room_id, role and user_id too. Room codes are exchanged for one."},
			},
			"responses": object{
				"Refusal": object{"description": "Refused; the body says why", "content": jsonContent(ref("Error"))},
				"Problem": object{"description": "Refused; the body says why, in the form of RFC 9457 too",
					"content": object{"application/problem+json": object{"schema": ref("Problem")}}},
			},
		},
	}
}

func ref(name string) object { return object{"$ref": "#/components/schemas/" + name} }

func jsonContent(schema object) object { return object{"application/json": object{"schema": schema}} }

func textContent(mediaType string) object {
	return object{mediaType: object{"schema": object{"type": "string"}}}
}

// description is a description in the making.
type description struct {
	schemas object
	names   map[string]reflect.Type // of schemas
}

var pathName = regexp.MustCompile(`\{(\w+)\}`)

// refusals are the statuses that an endpoint can refuse with, besides those of its own.
func (e endpoint) refusals() []int {
	list := []int{http.StatusTooManyRequests, http.StatusInternalServerError, http.StatusMethodNotAllowed}
	if e.access == byServer {
		list = append(list, http.StatusUnauthorized)
	}
	if e.takes() {
		list = append(list, http.StatusBadRequest)
	}
	if e.method == http.MethodPost {
		list = append(list, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType, http.StatusBadRequest)
	}
	if strings.Contains(e.path, "{") {
		list = append(list, http.StatusNotFound)
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// takes says whether the endpoint has any input besides its path.
func (e endpoint) takes() bool {
	return e.in != reflect.TypeFor[nothing]() && e.in != reflect.TypeFor[unread]()
}

func (d *description) operation(e endpoint) object {
	o := object{"summary": e.summary, "tags": []string{e.section}, "operationId": operationID(e)}
	switch e.access {
	case byServer:
		o["security"] = []object{{"management": []string{}}}
	case byClient, byEncoder:
		o["security"] = []object{{"auth": []string{}}, {}}
	}
	var parameters []object
	for _, name := range pathName.FindAllStringSubmatch(e.path, -1) {
		parameters = append(parameters, object{"name": name[1], "in": "path", "required": true, "schema": object{"type": "string"}})
	}
	switch {
	case e.access == byEncoder:
		if e.takesType != "" {
			o["requestBody"] = object{"required": true, "content": textContent(e.takesType)}
		}
	case e.in == reflect.TypeFor[unread]():
		o["requestBody"] = object{"content": object{"*/*": object{}}}
	case e.method == http.MethodPost && e.takes():
		o["requestBody"] = object{"content": jsonContent(d.schema(e.in, false))}
	case e.takes():
		parameters = append(parameters, queryParameters(e.in)...)
	}
	if parameters != nil {
		o["parameters"] = parameters
	}
	responses := object{}
	switch {
	case e.access == byEncoder:
		done := object{"description": "Done"}
		if e.givesType != "" {
			done["content"] = textContent(e.givesType)
		}
		responses[strconv.Itoa(cmp.Or(e.status, http.StatusOK))] = done
	case e.out == reflect.TypeFor[nothing]():
		responses[strconv.Itoa(cmp.Or(e.status, http.StatusNoContent))] = object{"description": "Done"}
	case e.out == reflect.TypeFor[written](), e.out == reflect.TypeFor[plainText]():
		responses["200"] = object{"description": "Text", "content": object{"text/plain": object{"schema": object{"type": "string"}}}}
	default:
		responses[strconv.Itoa(cmp.Or(e.status, http.StatusOK))] = object{"description": "Done", "content": jsonContent(d.schema(e.out, true))}
	}
	refusal := object{"$ref": "#/components/responses/Refusal"}
	if e.access == byEncoder {
		refusal = object{"$ref": "#/components/responses/Problem"}
	}
	for _, status := range e.refusals() {
		responses[strconv.Itoa(status)] = refusal
	}
	responses["default"] = refusal
	o["responses"] = responses
	return o
}

// operationID is a name for generated clients: getV2RoomsRoomId.
func operationID(e endpoint) string {
	id := strings.ToLower(e.method)
	for _, word := range strings.FieldsFunc(e.path, func(r rune) bool { return strings.ContainsRune("/{}-_.", r) }) {
		id += capital(word)
	}
	return id
}

// queryParameters describes the fields of a query, as query.read reads them.
func queryParameters(t reflect.Type) (list []object) {
	for i := range t.NumField() {
		f := t.Field(i)
		name, tagged := f.Tag.Lookup("query")
		if !tagged {
			if f.Type.Kind() == reflect.Struct {
				list = append(list, queryParameters(f.Type)...)
			}
			continue
		}
		list = append(list, object{"name": name, "in": "query", "schema": querySchema(f.Type)})
	}
	return list
}

func querySchema(t reflect.Type) object {
	switch t {
	case reflect.TypeFor[objectID](), reflect.TypeFor[cursor]():
		return object{"type": "string", "pattern": "^[0-9a-f]{24}$"}
	case reflect.TypeFor[pageLimit]():
		return object{"type": "integer", "default": minPage, "description": fmt.Sprintf("brought between %d and %d", minPage, maxPage)}
	case reflect.TypeFor[*bool]():
		return object{"type": "boolean"}
	case reflect.TypeFor[time.Time]():
		return object{"type": "string", "format": "date-time"}
	}
	switch t.Kind() {
	case reflect.Int:
		return object{"type": "integer"}
	case reflect.Slice:
		return object{"type": "array", "items": object{"type": "string"}}
	default:
		return object{"type": "string"}
	}
}

// texts are types of a few fixed texts.
var texts = map[reflect.Type]any{
	reflect.TypeFor[store.Status]():       statuses,
	reflect.TypeFor[protocol.TrackKind](): []protocol.TrackKind{protocol.Audio, protocol.Video},
}

// wrapper is a type that stands for another one, see optional.
type wrapper interface{ wrapped() reflect.Type }

// schema describes a type. Of what is answered, all fields that are not omitted when empty are there; of what is read,
// the handlers say what must be there.
func (d *description) schema(t reflect.Type, answered bool) object {
	if values, ok := texts[t]; ok {
		return object{"type": "string", "enum": values}
	}
	switch t {
	case reflect.TypeFor[time.Time]():
		return object{"type": "string", "format": "date-time"}
	case reflect.TypeFor[json.RawMessage]():
		return object{}
	}
	if w, ok := reflect.Zero(t).Interface().(wrapper); ok {
		return orNull(d.schema(w.wrapped(), answered))
	}
	switch t.Kind() {
	case reflect.Pointer:
		return orNull(d.schema(t.Elem(), answered))
	case reflect.String:
		return object{"type": "string"}
	case reflect.Bool:
		return object{"type": "boolean"}
	case reflect.Int, reflect.Int64, reflect.Uint64, reflect.Int32, reflect.Uint32:
		return object{"type": "integer"}
	case reflect.Float64:
		return object{"type": "number"}
	case reflect.Slice:
		return object{"type": []string{"array", "null"}, "items": d.schema(t.Elem(), answered)}
	case reflect.Map:
		return object{"type": []string{"object", "null"}, "additionalProperties": d.schema(t.Elem(), answered)}
	case reflect.Interface:
		return object{}
	case reflect.Struct:
		return d.structure(t, answered)
	default:
		panic(fmt.Sprintf("no schema for %v", t))
	}
}

func orNull(s object) object {
	if s["$ref"] != nil {
		return object{"anyOf": []object{s, {"type": "null"}}}
	}
	if kind, ok := s["type"].(string); ok {
		s["type"] = []string{kind, "null"}
	}
	return s
}

// structure describes a struct, once if it has a name.
func (d *description) structure(t reflect.Type, answered bool) object {
	name := schemaName(t, answered)
	if name != "" {
		for d.names[name] != nil && d.names[name] != t { // a type of another package has the name
			name = capital(slash.Base(t.PkgPath())) + name
		}
		if d.names[name] == t {
			return ref(name)
		}
		d.names[name] = t
	}
	properties, required := object{}, []string{}
	d.fields(t, answered, properties, &required)
	s := object{"type": "object", "properties": properties}
	if answered {
		slices.Sort(required)
		s["required"], s["additionalProperties"] = required, false
	}
	if reflect.PointerTo(t).Implements(reflect.TypeFor[interface{ refuseUnknown() }]()) {
		s["additionalProperties"] = false
	}
	if name == "" {
		return s
	}
	d.schemas[name] = s
	return ref(name)
}

func (d *description) fields(t reflect.Type, answered bool, properties object, required *[]string) {
	for i := range t.NumField() {
		f := t.Field(i)
		tag, tagged := f.Tag.Lookup("json")
		name, options, _ := strings.Cut(tag, ",")
		switch {
		case f.Anonymous && !tagged:
			d.fields(f.Type, answered, properties, required)
		case !f.IsExported() || name == "-":
		default:
			name = cmp.Or(name, f.Name)
			omitted := strings.Contains(options, "omitempty") || strings.Contains(options, "omitzero")
			ft := f.Type
			if omitted && ft.Kind() == reflect.Pointer {
				ft = ft.Elem() // it is absent, never null
			}
			properties[name] = d.schema(ft, answered)
			if !omitted {
				*required = append(*required, name)
			}
		}
	}
}

var generic = regexp.MustCompile(`^(\w+)\[.*\.(\w+)\]$`)

// schemaName names a type in the description: Room for roomObject, RoomList for list[roomObject]. What is read has
// Input at its end, since a type may be both.
func schemaName(t reflect.Type, answered bool) string {
	name := t.Name()
	if parts := generic.FindStringSubmatch(name); parts != nil {
		name = strings.TrimSuffix(parts[2], "Object") + capital(parts[1])
	}
	name = strings.TrimSuffix(name, "Object")
	if name == "" {
		return ""
	}
	if !answered {
		name = strings.TrimSuffix(name, "Input") + "Input"
	}
	return capital(name)
}

func capital(s string) string { return strings.ToUpper(s[:1]) + s[1:] }

func (a *API) descriptionEndpoints() []endpoint {
	return described("Operation",
		public("GET", "/v2/openapi.json", "This description", func(*http.Request, nothing) (json.RawMessage, error) { return a.description, nil }),
	)
}

// Reference is the endpoints of a section, for people.
type Reference struct {
	Section   string
	Endpoints []ReferenceEndpoint
}

// ReferenceEndpoint is an endpoint, for people.
type ReferenceEndpoint struct {
	Method, Path, Summary string
	Token                 string   // which kind it takes; empty: none, or one is not needed always
	Query                 []string // names
	Body, Answer          string   // an example of the form, in JSON; empty: none
	Status                int      // of a good answer
}

// Reference returns the table of endpoints as people read it.
func (a *API) Reference() []Reference {
	var list []Reference
	for _, e := range a.endpoints() {
		i := slices.IndexFunc(list, func(r Reference) bool { return r.Section == e.section })
		if i < 0 {
			list, i = append(list, Reference{Section: e.section}), len(list)
		}
		list[i].Endpoints = append(list[i].Endpoints, e.reference())
	}
	return list
}

func (e endpoint) reference() ReferenceEndpoint {
	r := ReferenceEndpoint{Method: e.method, Path: e.path, Summary: e.summary, Status: cmp.Or(e.status, http.StatusOK)}
	if e.access == byServer {
		r.Token = "management token"
	}
	if e.takes() && e.method == http.MethodPost {
		r.Body = example(e.in)
	} else if e.takes() {
		for _, p := range queryParameters(e.in) {
			r.Query = append(r.Query, p["name"].(string))
		}
	}
	switch e.out {
	case reflect.TypeFor[nothing]():
		r.Status = cmp.Or(e.status, http.StatusNoContent)
	case reflect.TypeFor[written](), reflect.TypeFor[plainText](), reflect.TypeFor[json.RawMessage]():
	default:
		r.Answer = example(e.out)
	}
	return r
}

// example shows the form of a type: each value says what kind it is.
func example(t reflect.Type) string {
	text, err := json.MarshalIndent(form(t, 0), "", "  ")
	if err != nil {
		panic(err) // form makes texts, lists and maps only
	}
	return string(text)
}

// maxForm bounds how deep the forms of examples go.
const maxForm = 6

func form(t reflect.Type, depth int) any {
	s := (&description{schemas: object{}, names: make(map[string]reflect.Type)}).schema
	if w, ok := reflect.Zero(t).Interface().(wrapper); ok {
		t = w.wrapped()
	}
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch {
	case depth > maxForm:
		return "…"
	case t == reflect.TypeFor[time.Time]():
		return "time"
	case t == reflect.TypeFor[json.RawMessage](), t.Kind() == reflect.Interface:
		return "…"
	case t.Kind() == reflect.Slice:
		return []any{form(t.Elem(), depth+1)}
	case t.Kind() == reflect.Map:
		return object{"…": form(t.Elem(), depth+1)}
	case t.Kind() == reflect.Struct:
		fields := object{}
		formFields(t, depth, fields)
		return fields
	default:
		kind := s(t, true)
		if values, ok := kind["enum"]; ok {
			return strings.ReplaceAll(strings.Trim(fmt.Sprint(values), "[]"), " ", " | ")
		}
		return kind["type"]
	}
}

func formFields(t reflect.Type, depth int, fields object) {
	for i := range t.NumField() {
		f := t.Field(i)
		tag, tagged := f.Tag.Lookup("json")
		name, _, _ := strings.Cut(tag, ",")
		switch {
		case f.Anonymous && !tagged:
			formFields(f.Type, depth, fields)
		case !f.IsExported() || name == "-":
		default:
			fields[cmp.Or(name, f.Name)] = form(f.Type, depth+1)
		}
	}
}
