package api

import (
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"amphi/server/policy"
	"amphi/server/store"
)

func (a *API) templateEndpoints() []endpoint {
	return described("Templates",
		managed("GET", "/v2/templates", "List templates, the newest first", a.listTemplates),
		managed("POST", "/v2/templates", "Make a template, or overwrite the one that has the name", a.createTemplate),
		managed("GET", "/v2/templates/{template_id}", "Get a template", a.getTemplate),
		managed("POST", "/v2/templates/{template_id}", "Replace a template", a.updateTemplate),
		managed("GET", "/v2/templates/{template_id}/roles/{role}", "Get a role", a.getRole),
		managed("POST", "/v2/templates/{template_id}/roles/{role}", "Make, replace or rename a role", a.putRole),
		managed("DELETE", "/v2/templates/{template_id}/roles/{role}", "Delete a role", a.deleteRole),
		managed("GET", "/v2/templates/{template_id}/settings", "Get the settings", a.getSettings),
		managed("POST", "/v2/templates/{template_id}/settings", "Replace the settings", a.putSettings),
		managed("GET", "/v2/templates/{template_id}/destinations", "Get the destinations", a.getDestinations),
		managed("POST", "/v2/templates/{template_id}/destinations", "Replace the destinations", a.putDestinations),
		managed("GET", "/v2/templates/{template_id}/recordings", "Get the recording configuration", a.getRecordingSetup),
		managed("POST", "/v2/templates/{template_id}/recordings", "Replace the recording configuration", a.putRecordingSetup),
	)
}

// templateObject is a template as it is answered.
type templateObject struct {
	ID           string                  `json:"id"`
	OldID        string                  `json:"_id"` // the same, under its old name
	Name         string                  `json:"name"`
	CustomerID   string                  `json:"customerId"`
	Customer     string                  `json:"customer"` // the same, under its old name
	Default      bool                    `json:"default,omitempty"`
	Roles        map[string]*policy.Role `json:"roles"`
	Settings     policy.Settings         `json:"settings"`
	Destinations policy.Destinations     `json:"destinations"`
	Plugins      map[string]any          `json:"plugins"`
	CreatedAt    time.Time               `json:"createdAt"`
	UpdatedAt    time.Time               `json:"updatedAt"`
}

func showTemplate(t store.Template) templateObject {
	p := t.Policy
	p.Complete()
	o := templateObject{ID: t.ID, OldID: t.ID, Name: p.Name, CustomerID: t.WorkspaceID, Customer: t.WorkspaceID, Default: t.IsDefault,
		Roles: p.Roles, Settings: showSettings(p.Settings), Destinations: p.Destinations, Plugins: p.Plugins,
		CreatedAt: t.CreatedAt, UpdatedAt: t.UpdatedAt}
	if o.Plugins == nil {
		o.Plugins = map[string]any{}
	}
	return o
}

// showSettings returns settings without secrets.
func showSettings(s policy.Settings) policy.Settings {
	if s.Recording != nil {
		shown := *s.Recording
		shown.Upload = shown.Upload.Hidden()
		s.Recording = &shown
	}
	return s
}

// templateInput is what a template is made of. For a template that exists, roles and settings must be there.
type templateInput struct {
	Name         string                `json:"name"`
	Default      *bool                 `json:"default"`
	Roles        map[string]*roleInput `json:"roles"`
	Settings     *policy.Settings      `json:"settings"`
	Destinations policy.Destinations   `json:"destinations"`
	Plugins      map[string]any        `json:"plugins"`
}

// apply makes the template what the input says.
func (in *templateInput) apply(t *store.Template) error {
	roles := make(map[string]*policy.Role, len(in.Roles))
	for name, r := range in.Roles {
		if r == nil {
			r = &roleInput{}
		}
		roles[name] = r.role()
	}
	p := policy.Template{Name: in.Name, Roles: roles, Destinations: in.Destinations, Plugins: in.Plugins, Recordings: t.Policy.Recordings}
	if in.Settings != nil {
		p.Settings = *in.Settings
		keepSecret(&p.Settings, t.Policy.Settings)
	}
	if p.Name == "" {
		p.Name = t.Policy.Name
	}
	set(&t.IsDefault, in.Default)
	t.Policy = p
	return checkTemplate(&t.Policy)
}

// ReadTemplate reads a template in the form of the body of POST /v2/templates, and checks it as that does. Faults are
// what is wrong with it; nil: nothing.
func ReadTemplate(text []byte) (t policy.Template, faults []string) {
	var in templateInput
	var stored store.Template
	err := decodeJSON(text, &in, false)
	if err == nil {
		err = in.apply(&stored)
	}
	var refused *Error
	switch {
	case err == nil:
		return stored.Policy, nil
	case errors.As(err, &refused) && len(refused.Details) > 0:
		for _, d := range refused.Details {
			faults = append(faults, strings.TrimPrefix(d, "Invalid body param: "))
		}
		return stored.Policy, faults
	}
	return stored.Policy, []string{err.Error()}
}

// ShowTemplate is a template as it is answered, without secrets.
func ShowTemplate(t store.Template) any { return showTemplate(t) }

// keepSecret takes over the secret that was set before, if only its stand-in is given.
func keepSecret(s *policy.Settings, before policy.Settings) {
	if s.Recording != nil && s.Recording.Upload != nil && before.Recording != nil {
		s.Recording.Upload.Keep(before.Recording.Upload)
	}
}

// checkTemplate completes a template and says everything that is wrong with it.
func checkTemplate(p *policy.Template) error {
	p.Complete()
	err := p.Check()
	if err == nil {
		return nil
	}
	refusal := &Error{Code: http.StatusBadRequest, Message: "Invalid body param"}
	for _, p := range policy.Problems(err) {
		refusal.Details = append(refusal.Details, "Invalid body param: "+p.Text)
	}
	return refusal
}

// roleInput is a role as it is given. Three permissions are granted unless they are refused, so it matters whether they
// were given at all.
type roleInput struct {
	policy.Role
	given struct {
		Permissions struct {
			HLSStreaming     *bool `json:"hlsStreaming"`
			RTMPStreaming    *bool `json:"rtmpStreaming"`
			BrowserRecording *bool `json:"browserRecording"`
		} `json:"permissions"`
	}
}

// UnmarshalJSON implements json.Unmarshaler.
func (in *roleInput) UnmarshalJSON(text []byte) error {
	if err := json.Unmarshal(text, &in.Role); err != nil {
		return err
	}
	return json.Unmarshal(text, &in.given)
}

// role returns the role. What is not given is granted, also to a role that exists: it is replaced, not amended.
func (in *roleInput) role() *policy.Role {
	r, given := in.Role, in.given.Permissions
	granted := func(p *bool) bool { return p == nil || *p }
	r.Permissions.HLSStreaming = granted(given.HLSStreaming)
	r.Permissions.RTMPStreaming = granted(given.RTMPStreaming)
	r.Permissions.BrowserRecording = granted(given.BrowserRecording)
	return &r
}

func (a *API) createTemplate(r *http.Request, workspaceID string, in templateInput) (templateObject, error) {
	if in.Name == "" {
		in.Name = "template-" + store.NewID()
	}
	t, err := a.Store.PutTemplate(r.Context(), workspaceID, in.Name, in.apply)
	return showTemplate(t), templateError(err)
}

func (a *API) updateTemplate(r *http.Request, workspaceID string, in templateInput) (templateObject, error) {
	t, err := a.Store.ChangeTemplate(r.Context(), workspaceID, r.PathValue("template_id"), func(t *store.Template) error {
		switch {
		case in.Roles == nil:
			return badParam("body", "roles is missing")
		case in.Settings == nil:
			return badParam("body", "settings is missing")
		}
		return in.apply(t)
	})
	return showTemplate(t), templateError(err)
}

// templateError turns errors of the store into the API's.
func templateError(err error) error {
	switch {
	case errors.Is(err, store.ErrNotFound):
		return errNoTemplate
	case errors.Is(err, store.ErrConflict):
		return refuse(http.StatusBadRequest, "another template has this name")
	}
	return err
}

// template returns the template of the path.
func (a *API) template(r *http.Request, workspaceID string) (store.Template, error) {
	t, err := a.Store.Template(r.Context(), workspaceID, r.PathValue("template_id"))
	return t, templateError(err)
}

// changeTemplate changes a part of the template of the path.
func (a *API) changeTemplate(r *http.Request, workspaceID string, change func(p *policy.Template) error) (store.Template, error) {
	t, err := a.Store.ChangeTemplate(r.Context(), workspaceID, r.PathValue("template_id"), func(t *store.Template) error {
		if err := change(&t.Policy); err != nil {
			return err
		}
		return checkTemplate(&t.Policy)
	})
	return t, templateError(err)
}

func (a *API) getTemplate(r *http.Request, workspaceID string, _ nothing) (templateObject, error) {
	t, err := a.template(r, workspaceID)
	return showTemplate(t), err
}

// templateQuery says which templates are listed.
type templateQuery struct {
	Name string `query:"name"`
	pageQuery
}

func (a *API) listTemplates(r *http.Request, workspaceID string, in templateQuery) (list[templateObject], error) {
	templates, err := a.Store.Templates(r.Context(), workspaceID, in.Name, in.page())
	return listOf(int(in.Limit), templates, showTemplate, func(t store.Template) string { return t.ID }), err
}

func (a *API) getRole(r *http.Request, workspaceID string, _ nothing) (*policy.Role, error) {
	t, err := a.template(r, workspaceID)
	if err != nil {
		return nil, err
	}
	t.Policy.Complete()
	role := t.Policy.Roles[r.PathValue("role")]
	if role == nil {
		return nil, errNoRole
	}
	return role, nil
}

// putRole makes or replaces the role of the path. Another name in the body renames it.
func (a *API) putRole(r *http.Request, workspaceID string, in roleInput) (*policy.Role, error) {
	old := r.PathValue("role")
	name := old
	if in.Name != "" {
		name = in.Name
	}
	t, err := a.changeTemplate(r, workspaceID, func(p *policy.Template) error {
		if name != old && p.Roles[name] != nil {
			return refuse(http.StatusBadRequest, "another role has this name")
		}
		role := in.role()
		if p.Roles == nil {
			p.Roles = make(map[string]*policy.Role)
		}
		delete(p.Roles, old)
		p.Roles[name] = role
		if name != old {
			p.RenameRole(old, name)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return t.Policy.Roles[name], nil
}

func (a *API) deleteRole(r *http.Request, workspaceID string, _ nothing) (nothing, error) {
	name := r.PathValue("role")
	_, err := a.changeTemplate(r, workspaceID, func(p *policy.Template) error {
		if p.Roles[name] == nil {
			return errNoRole
		}
		delete(p.Roles, name)
		p.RenameRole(name, "")
		return nil
	})
	return nothing{}, err
}

func (a *API) getSettings(r *http.Request, workspaceID string, _ nothing) (policy.Settings, error) {
	t, err := a.template(r, workspaceID)
	t.Policy.Complete()
	return showSettings(t.Policy.Settings), err
}

func (a *API) putSettings(r *http.Request, workspaceID string, in policy.Settings) (policy.Settings, error) {
	t, err := a.changeTemplate(r, workspaceID, func(p *policy.Template) error {
		keepSecret(&in, p.Settings)
		p.Settings = in
		return nil
	})
	return showSettings(t.Policy.Settings), err
}

func (a *API) getDestinations(r *http.Request, workspaceID string, _ nothing) (policy.Destinations, error) {
	t, err := a.template(r, workspaceID)
	t.Policy.Complete()
	return t.Policy.Destinations, err
}

func (a *API) putDestinations(r *http.Request, workspaceID string, in policy.Destinations) (policy.Destinations, error) {
	t, err := a.changeTemplate(r, workspaceID, func(p *policy.Template) error {
		p.Destinations = in
		return nil
	})
	return t.Policy.Destinations, err
}

// recordingSetup is a list of at most one.
type recordingSetup []policy.Recording

func (a *API) getRecordingSetup(r *http.Request, workspaceID string, _ nothing) (recordingSetup, error) {
	t, err := a.template(r, workspaceID)
	return append(recordingSetup{}, t.Policy.Recordings...), err
}

func (a *API) putRecordingSetup(r *http.Request, workspaceID string, in recordingSetup) (recordingSetup, error) {
	t, err := a.changeTemplate(r, workspaceID, func(p *policy.Template) error {
		p.Recordings = slices.Clone(in)
		return nil
	})
	return append(recordingSetup{}, t.Policy.Recordings...), err
}
