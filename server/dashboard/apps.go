package dashboard

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"amphi/server/account"
	"amphi/server/auth"
	"amphi/server/live"
	"amphi/server/policy"
	"amphi/server/store"
	"amphi/templates/dash"
)

// AppParts is what the pages of apps need besides the store.
type AppParts struct {
	// ReadTemplate reads a template as POST /v2/templates does; faults are what is wrong with it. ShowTemplate is how
	// the API answers with it, without secrets.
	ReadTemplate func(text []byte) (t policy.Template, faults []string)
	ShowTemplate func(store.Template) any

	// Still draws what a live stream would look like.
	Still func(context.Context, live.Still) ([]byte, error)

	// StillProblem says why nothing can be drawn; nil: it can.
	StillProblem func() error

	// TryStorage writes, reads and deletes a file; nil says that it is the server's own place.
	TryStorage func(context.Context, *policy.Upload) error
}

// appsOnPage is how many apps a page lists: a template may weigh some hundred kilobytes.
const appsOnPage = 24

func (d *dashboard) apps() {
	d.handle("GET /dashboard/apps", account.Viewer, (*visit).listApps)
	d.handle("GET /dashboard/apps/new", account.Developer, (*visit).newApp)
	d.handle("GET /dashboard/apps/import", account.Developer, func(v *visit) error {
		return v.page("Import an app", dash.PlaceApps, dash.AppForm(dash.NewApp{Import: true, Domain: v.domain()}, dash.Filled("region", "auto")))
	})
	d.handle("GET /dashboard/apps/subdomain", account.Developer, (*visit).trySubdomain)
	d.handle("POST /dashboard/apps/new", account.Developer, (*visit).makeApp)
	d.handle("GET /dashboard/apps/{app}", account.Viewer, (*visit).appOverview)
	d.handle("GET /dashboard/apps/{app}/settings", account.Viewer, func(v *visit) error {
		t, err := v.template()
		if err != nil {
			return err
		}
		return v.page(t.Policy.Name, dash.PlaceApps, dash.AppSettings(v.app(t), v.domain(), settingsForm(t)))
	})
	d.handle("POST /dashboard/apps/{app}/settings", account.Developer, (*visit).saveAppSettings)
	d.handle("GET /dashboard/apps/{app}/export", account.Viewer, (*visit).exportApp)
	d.handle("POST /dashboard/apps/{app}/codes", account.Developer, (*visit).makeAppCodes)
	d.handle("POST /dashboard/apps/{app}/delete", account.Developer, (*visit).deleteApp)
	d.roles()
	d.destinations()
	d.brand()
}

// template is the app of the path, complete.
func (v *visit) template() (store.Template, error) {
	t, err := v.Store.Template(v.ctx(), v.Workspace.ID, v.value("app"))
	t.Policy.Complete()
	return t, err
}

// app is a template as pages show it.
func (v *visit) app(t store.Template) dash.App {
	return v.appOf(t, v.liveApps())
}

func (v *visit) appOf(t store.Template, liveRooms map[string]int) dash.App {
	a := dash.App{ID: t.ID, Name: t.Policy.Name, Subdomain: t.Subdomain, Region: t.Policy.Settings.Where(), Live: liveRooms[t.ID], Default: t.IsDefault,
		Levels: dash.LevelsOf(&t.Policy), May: v.may(account.Developer)}
	if t.Subdomain != "" {
		a.Path = "/a/" + t.Subdomain
		a.Host = v.origin(v.r) + a.Path
		if u, err := url.Parse(v.origin(v.r)); err == nil && v.domain() != "" {
			u.Host = t.Subdomain + "." + u.Host
			a.Host = u.String()
		}
	}
	return a
}

// liveApps counts the rooms that are live, by their template.
func (v *visit) liveApps() map[string]int {
	counts := make(map[string]int)
	if v.dashboard.Rooms == nil {
		return counts
	}
	for _, r := range v.dashboard.Rooms.Rooms() {
		counts[r.Info().TemplateID]++
	}
	return counts
}

// domain is what the host names of apps end with; "" where the server is known by a number only, below which there
// are no names.
func (v *visit) domain() string {
	u, err := url.Parse(v.origin(v.r))
	if err != nil || u.Hostname() == "" || strings.Contains(u.Hostname(), ":") || strings.Trim(u.Hostname(), "0123456789.") == "" {
		return ""
	}
	return "." + u.Hostname()
}

func (v *visit) listApps() error {
	templates, err := v.Store.Templates(v.ctx(), v.Workspace.ID, "", store.Page{Limit: appsOnPage + 1, Start: v.query("start")})
	if err != nil {
		return err
	}
	var pages dash.Pages
	if v.query("start") != "" {
		pages.Newer = string(dash.PlaceApps)
	}
	if len(templates) > appsOnPage {
		templates = templates[:appsOnPage]
		pages.Older = string(dash.PlaceApps) + "?start=" + url.QueryEscape(templates[appsOnPage-1].ID)
	}
	ids := make([]string, len(templates))
	for i, t := range templates {
		ids[i] = t.ID
	}
	rooms, err := v.Store.AppRooms(v.ctx(), ids)
	if err != nil {
		return err
	}
	liveRooms := v.liveApps()
	list := make([]dash.App, len(templates))
	for i, t := range templates {
		t.Policy.Complete()
		list[i] = v.appOf(t, liveRooms)
		list[i].Rooms = rooms[t.ID]
	}
	return v.page("Apps", dash.PlaceApps, dash.Apps(list, v.may(account.Developer), pages))
}

func (v *visit) newApp() error {
	n := dash.NewApp{Domain: v.domain()}
	if from := v.query("from"); from != "" {
		t, err := v.Store.Template(v.ctx(), v.Workspace.ID, from)
		if err != nil {
			return err
		}
		n.FromID, n.From = t.ID, t.Policy.Name
		return v.page("New app", dash.PlaceApps, dash.AppForm(n, dash.Filled("name", n.From+" copy", "region", regionOf(t.Policy.Settings), "regionLabel", t.Policy.Settings.RegionLabel)))
	}
	kit, ok := policy.KitOf(v.query("kit"))
	if !ok {
		return v.page("New app", dash.PlaceApps, dash.Kits(policy.Kits()))
	}
	n.Kit = kit
	return v.page("New app", dash.PlaceApps, dash.AppForm(n, dash.Filled("name", kit.Name, "region", "auto", "shape", "desktop")))
}

// regionOf is the value of the field for the region.
func regionOf(s policy.Settings) string {
	if s.RegionLabel != "" {
		return "own"
	}
	return s.Region
}

// readRegion takes the region of a form.
func readRegion(form *dash.Form, s *policy.Settings) {
	s.Region, s.RegionLabel = form.Get("region"), ""
	if s.Region == "own" {
		if s.Region, s.RegionLabel = "auto", form.Get("regionLabel"); s.RegionLabel == "" {
			form.Refuse("regionLabel", "Say where, or choose a region.")
		}
	}
	if s.Region == "" {
		s.Region = "auto"
	}
}

// slug makes a subdomain of a name; "" where nothing of it can be used.
func slug(name string) string {
	var b strings.Builder
	for _, c := range strings.ToLower(name) {
		switch {
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9':
			b.WriteRune(c)
		case b.Len() > 0 && !strings.HasSuffix(b.String(), "-"):
			b.WriteByte('-')
		}
	}
	text := b.String()
	return strings.Trim(text[:min(len(text), 40)], "-")
}

// propose is a subdomain that is free, for a name.
func (v *visit) propose(name string) (string, error) {
	wish := slug(name)
	if store.CheckSubdomain(wish) != nil {
		wish = strings.Trim("app-"+wish, "-")
	}
	proposal := wish
	for n := 2; n < 100; n++ {
		taken, err := v.Store.SubdomainTaken(v.ctx(), proposal, "")
		if err != nil || !taken {
			return proposal, err
		}
		proposal = wish + "-" + strconv.Itoa(n)
	}
	return proposal, nil // which the store refuses
}

// subdomainProblem says what is wrong with a subdomain, for people.
func subdomainProblem(err error) string {
	text, _ := strings.CutPrefix(err.Error(), store.ErrSubdomain.Error()+": ")
	return text
}

func (v *visit) trySubdomain() error {
	text := strings.ToLower(v.query("subdomain"))
	if text == "" {
		proposal, err := v.propose(v.query("name"))
		if err != nil || v.query("name") == "" {
			return err
		}
		return v.part(dash.SubdomainState(proposal, ""))
	}
	if err := store.CheckSubdomain(text); err != nil {
		return v.part(dash.SubdomainState(text, subdomainProblem(err)))
	}
	taken, err := v.Store.SubdomainTaken(v.ctx(), text, v.query("app"))
	if err != nil {
		return err
	}
	if taken {
		return v.part(dash.SubdomainState(text, "another app has it"))
	}
	return v.part(dash.SubdomainState(text, ""))
}

// makeApp makes an app of a kit, of another app or of a file.
func (v *visit) makeApp() error {
	form := v.form()
	n := dash.NewApp{Domain: v.domain(), Import: form.Get("import") != "", FromID: form.Get("from")}
	t := store.Template{WorkspaceID: v.Workspace.ID}
	action := "app.create"
	switch {
	case n.Import:
		action = "app.import"
		if t.Policy, n.Faults = v.importedTemplate(&form); n.Faults != nil {
			form.Refuse("", "This is not a template that can be used.")
			return v.refused("Import an app", dash.PlaceApps, dash.AppForm(n, form))
		}
	case n.FromID != "":
		from, err := v.Store.Template(v.ctx(), v.Workspace.ID, n.FromID)
		if err != nil {
			return err
		}
		action, n.From, t.Policy = "app.copy", from.Policy.Name, from.Policy
	default:
		kit, ok := policy.KitOf(form.Get("kit"))
		if !ok {
			return errNoPage
		}
		n.Kit = kit
		shape, keep := form.Get("shape"), form.Get("keep")
		t.Policy = *kit.Template(policy.Choices{Portrait: shape == "phone", Encoder: shape == "encoder", OnStage: form.On("onstage"),
			VOD: keep == "vod" || keep == "both", MP4: keep == "mp4" || keep == "both"})
	}
	t.Policy.Name, t.Subdomain = form.Get("name"), strings.ToLower(form.Get("subdomain"))
	readRegion(&form, &t.Policy.Settings)
	if t.Policy.Name == "" {
		form.Refuse("name", "A name is needed.")
	}
	var err error
	if t.Subdomain == "" && t.Policy.Name != "" {
		if t.Subdomain, err = v.propose(t.Policy.Name); err != nil {
			return err
		}
	}
	checkApp(&form, &t)
	var room store.Room
	if form.Good() {
		t, room, err = v.Store.MakeApp(v.ctx(), t, auth.NewRoomCode)
		if err := refuseApp(&form, err); err != nil {
			return err
		}
	}
	if !form.Good() {
		return v.refused("New app", dash.PlaceApps, dash.AppForm(n, form))
	}
	v.audit(action, t.Policy.Name)
	return v.done("/dashboard/apps/"+t.ID, "The app is there, and so is its room "+room.Name+".")
}

// importedTemplate is what was given as a file, or as text.
func (v *visit) importedTemplate(form *dash.Form) (policy.Template, []string) {
	text := []byte(form.Get("text"))
	if file, _, err := v.r.FormFile("file"); err == nil {
		defer file.Close()
		if text, err = io.ReadAll(file); err != nil {
			return policy.Template{}, []string{"the file could not be read"}
		}
	}
	if len(bytes.TrimSpace(text)) == 0 {
		return policy.Template{}, []string{"it is empty: choose a file, or paste its text"}
	}
	t, faults := v.AppParts.ReadTemplate(text)
	// A file that was exported has no secrets, only what stands for them.
	if r := t.Settings.Recording; r != nil && r.Upload != nil && r.Upload.Credentials.SecretKey == policy.HiddenSecret {
		t.Settings.Recording = nil
	}
	if form.Get("name") == "" {
		form.Values.Set("name", t.Name)
	}
	return t, faults
}

// checkApp holds an app against the rules of templates and subdomains.
func checkApp(form *dash.Form, t *store.Template) {
	if t.Subdomain != "" {
		if err := store.CheckSubdomain(t.Subdomain); err != nil {
			form.Refuse("subdomain", subdomainProblem(err))
		}
	}
	t.Policy.Complete()
	for _, p := range policy.Problems(t.Policy.Check()) {
		switch {
		case strings.HasPrefix(p.Text, "name "):
			form.Refuse("name", "Letters, digits, spaces and - . _ :, at most 100.")
		case strings.HasPrefix(p.Text, "settings.regionLabel"):
			form.Refuse("regionLabel", p.Text)
		default:
			form.Refuse("", p.Text)
		}
	}
}

// refuseApp notes what the store has against an app; what is no matter of the form it returns.
func refuseApp(form *dash.Form, err error) error {
	switch {
	case errors.Is(err, store.ErrSubdomainTaken):
		form.Refuse("subdomain", "Another app has this subdomain.")
	case errors.Is(err, store.ErrConflict):
		form.Refuse("name", "Another app has this name.")
	default:
		return err
	}
	return nil
}

func (v *visit) appOverview() error {
	t, err := v.template()
	if err != nil {
		return err
	}
	o := dash.Overview{App: v.app(t)}
	counts, err := v.Store.AppRooms(v.ctx(), []string{t.ID})
	if err != nil {
		return err
	}
	o.Rooms = counts[t.ID]
	room, err := v.Store.FirstRoom(v.ctx(), v.Workspace.ID, t.ID)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return v.page(t.Policy.Name, dash.PlaceApps, dash.AppOverview(o))
	case err != nil:
		return err
	}
	o.Room, o.RoomID, o.Closed = room.Name, room.ID, !room.Enabled
	if o.Links, err = v.roleLinks(t, room); err != nil {
		return err
	}
	o.Missing = len(o.Links) < len(t.Policy.Roles)
	return v.page(t.Policy.Name, dash.PlaceApps, dash.AppOverview(o))
}

// roleLinks are the ways into a room: one for each role that has a code, those on stage first.
func (v *visit) roleLinks(t store.Template, room store.Room) ([]dash.RoleLink, error) {
	enabled := true
	codes, err := v.Store.RoomCodes(v.ctx(), room.ID, store.CodeFilter{Enabled: &enabled}, store.Page{Limit: store.MaxCodesPerRoom})
	if err != nil {
		return nil, err
	}
	var links []dash.RoleLink
	for _, c := range codes {
		role := t.Policy.Roles[c.Role]
		if role == nil || slices.ContainsFunc(links, func(l dash.RoleLink) bool { return l.Role == c.Role }) {
			continue
		}
		path := "/meeting/" + url.PathEscape(c.Code)
		if role.Level() == policy.Gallery {
			path = "/streaming" + path
		}
		links = append(links, dash.RoleLink{Role: c.Role, Level: role.Level(), Link: v.origin(v.r) + path, Path: path})
	}
	slices.SortFunc(links, func(a, b dash.RoleLink) int {
		if d := int(a.Level) - int(b.Level); d != 0 {
			return d
		}
		return strings.Compare(a.Role, b.Role)
	})
	return links, nil
}

// makeAppCodes gives the app's first room a code for each role.
func (v *visit) makeAppCodes() error {
	t, err := v.template()
	if err != nil {
		return err
	}
	if err := v.completeCodes(t); err != nil {
		return err
	}
	v.audit("app.codes", t.Policy.Name)
	return v.done("/dashboard/apps/"+t.ID, "Every role has a link now.")
}

func (v *visit) completeCodes(t store.Template) error {
	room, err := v.Store.FirstRoom(v.ctx(), v.Workspace.ID, t.ID)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	names := make([]string, 0, len(t.Policy.Roles))
	for name := range t.Policy.Roles {
		names = append(names, name)
	}
	slices.Sort(names)
	_, err = v.Store.CompleteRoomCodes(v.ctx(), room.ID, names, auth.NewRoomCode)
	return err
}

func settingsForm(t store.Template) dash.Form {
	return dash.Filled("name", t.Policy.Name, "subdomain", t.Subdomain, "region", regionOf(t.Policy.Settings),
		"regionLabel", t.Policy.Settings.RegionLabel, "default", dash.OnOff(t.IsDefault))
}

func (v *visit) saveAppSettings() error {
	form := v.form()
	t, err := v.template()
	if err != nil {
		return err
	}
	if form.Get("name") == "" {
		form.Refuse("name", "A name is needed.")
	}
	if t.IsDefault && !form.On("default") {
		form.Refuse("default", "Make another app the default one instead.")
	}
	change := func(t *store.Template) error {
		t.Policy.Name, t.Subdomain, t.IsDefault = form.Get("name"), strings.ToLower(form.Get("subdomain")), form.On("default")
		readRegion(&form, &t.Policy.Settings)
		checkApp(&form, t)
		if !form.Good() {
			return errRefusedForm
		}
		return nil
	}
	saved, err := v.Store.ChangeTemplate(v.ctx(), v.Workspace.ID, t.ID, change)
	if !errors.Is(err, errRefusedForm) {
		if err := refuseApp(&form, err); err != nil {
			return err
		}
	}
	if !form.Good() {
		return v.refused(t.Policy.Name, dash.PlaceApps, dash.AppSettings(v.app(t), v.domain(), form))
	}
	v.audit("app.settings", saved.Policy.Name)
	return v.done("/dashboard/apps/"+t.ID+"/settings", "Saved.")
}

// errRefusedForm ends a change of a template whose form has problems.
var errRefusedForm = errors.New("the form has problems")

// changePolicy changes the template of the path by a form. What is wrong goes to fields by the owner of the problem, as
// in policy.Problem.Of, and the field's own name; what belongs to no field goes to "". It says whether it was saved.
func (v *visit) changePolicy(form *dash.Form, owner string, fields func(string) string, change func(*policy.Template)) (store.Template, bool, error) {
	t, err := v.Store.ChangeTemplate(v.ctx(), v.Workspace.ID, v.value("app"), func(t *store.Template) error {
		t.Policy.Complete()
		change(&t.Policy)
		t.Policy.Complete()
		for _, p := range policy.Problems(t.Policy.Check()) {
			if field, text, ok := p.Of(owner); ok {
				form.Refuse(fields(field), text)
			} else {
				form.Refuse("", p.Text)
			}
		}
		if !form.Good() {
			return errRefusedForm
		}
		return nil
	})
	if errors.Is(err, errRefusedForm) {
		t, err = v.template()
		return t, false, err
	}
	return t, err == nil, err
}

func (v *visit) exportApp() error {
	t, err := v.template()
	if err != nil {
		return err
	}
	object, err := json.MarshalIndent(v.AppParts.ShowTemplate(t), "", "  ")
	if err != nil {
		return err
	}
	name := slug(t.Policy.Name)
	if name == "" {
		name = "template"
	}
	h := v.w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Content-Disposition", `attachment; filename="`+name+`.json"`)
	_, _ = v.w.Write(object) // an error means that the visitor is gone
	return nil
}

func (v *visit) deleteApp() error {
	t, err := v.template()
	if err != nil {
		return err
	}
	refuse := func(text string) error {
		form := settingsForm(t)
		form.Refuse("", text)
		return v.refused(t.Policy.Name, dash.PlaceApps, dash.AppSettings(v.app(t), v.domain(), form))
	}
	err = v.Store.DeleteApp(v.ctx(), v.Workspace.ID, t.ID)
	switch {
	case errors.Is(err, store.ErrLive):
		return refuse("Rooms of this app are live. End what goes on there first.")
	case errors.Is(err, store.ErrDefault):
		return refuse("This is the default app. Make another one that first.")
	case err != nil:
		return err
	}
	v.audit("app.delete", t.Policy.Name)
	return v.done("/dashboard/apps", t.Policy.Name+" is deleted.")
}
