package dashboard

import (
	"cmp"
	"errors"
	"net/http"
	"time"

	"github.com/google/uuid"

	"amphi/server/account"
	"amphi/server/auth"
	"amphi/server/store"
	"amphi/templates/dash"
)

const (
	keyOverlap    = 24 * time.Hour // that a key which was rotated is good for
	authTokenLife = 24 * time.Hour
)

// managementLives are how long management tokens of the dashboard may be good.
var managementLives = map[string]time.Duration{"1h": time.Hour, "24h": 24 * time.Hour, "168h": 7 * 24 * time.Hour}

func (d *dashboard) developer() {
	d.handle("GET /dashboard/developer", account.Developer, func(v *visit) error { return v.redirect("/dashboard/developer/keys") })
	d.handle("GET /dashboard/developer/keys", account.Developer, func(v *visit) error { return v.keys(http.StatusOK, nil) })
	d.handle("POST /dashboard/developer/keys", account.Developer, (*visit).addKey)
	d.handle("POST /dashboard/developer/keys/{key}/rotate", account.Developer, (*visit).rotateKey)
	d.handle("POST /dashboard/developer/keys/{key}/disable", account.Developer, (*visit).disableKey)
	d.handle("POST /dashboard/developer/tokens/management", account.Developer, (*visit).managementToken)
	d.handle("POST /dashboard/developer/tokens/auth", account.Developer, (*visit).authToken)
	d.hooks()
	d.explorer()
	d.insight()
}

// keys draws the page with keys and tokens; change puts on it what was just done.
func (v *visit) keys(status int, change func(*dash.KeysPage)) error {
	p := dash.KeysPage{Customer: v.Workspace.ID, App: v.Workspace.AppID, Management: dash.Filled("life", "24h"), Auth: dash.Filled("room", v.query("room"))}
	keys, err := v.Store.AccessKeys(v.ctx(), v.Workspace.ID)
	if err != nil {
		return err
	}
	signing, err := v.Store.SigningKey(v.ctx(), v.Workspace.ID)
	if err != nil {
		return err
	}
	endless := 0
	for _, k := range keys {
		if k.ValidUntil.IsZero() {
			endless++
		}
	}
	now := time.Now()
	for _, k := range keys {
		p.Keys = append(p.Keys, dash.KeyRow{Key: k.AccessKey, Made: k.CreatedAt, Until: k.ValidUntil, Over: !k.Usable(now),
			Signs: k.AccessKey == signing.AccessKey, MayEnd: !k.ValidUntil.IsZero() || endless > 1})
	}
	if change != nil {
		change(&p)
	}
	return v.pageStatus(status, "Keys and tokens", dash.PlaceDeveloper, dash.DeveloperKeys(p))
}

// madeKey shows a new key with its secret, this once.
func (v *visit) madeKey(k store.AccessKey, err error, action string) error {
	if errors.Is(err, store.ErrTooMany) {
		return v.keys(http.StatusUnprocessableEntity, func(p *dash.KeysPage) { p.Notice = "There are as many keys as there may be." })
	}
	if err != nil {
		return err
	}
	v.audit(action, k.AccessKey)
	return v.keys(http.StatusOK, func(p *dash.KeysPage) {
		p.Fresh = &dash.Fresh{Title: "The new key", Hint: "Keep the secret now: it is not shown again.",
			Lines: [][2]string{{"Access key", k.AccessKey}, {"Secret", k.Secret}}}
	})
}

func (v *visit) addKey() error {
	k, err := v.Store.AddAccessKey(v.ctx(), v.Workspace.ID)
	return v.madeKey(k, err, "key.create")
}

func (v *visit) rotateKey() error {
	k, err := v.Store.RotateAccessKey(v.ctx(), v.Workspace.ID, v.value("key"), keyOverlap)
	return v.madeKey(k, err, "key.rotate")
}

func (v *visit) disableKey() error {
	err := v.Store.EndAccessKey(v.ctx(), v.Workspace.ID, v.value("key"), time.Now())
	if errors.Is(err, store.ErrConflict) {
		return v.keys(http.StatusUnprocessableEntity, func(p *dash.KeysPage) {
			p.Notice = "This is the last key: nothing could be signed any more. Rotate it instead."
		})
	}
	if err != nil {
		return err
	}
	v.audit("key.disable", v.value("key"))
	return v.done("/dashboard/developer/keys", "The key is disabled.")
}

func (v *visit) managementToken() error {
	form := v.form()
	life, ok := managementLives[form.Get("life")]
	if !ok {
		return errForm
	}
	token, err := v.token(life)
	if err != nil {
		return err
	}
	v.audit("token.management", life.String())
	return v.keys(http.StatusOK, func(p *dash.KeysPage) {
		p.Management = form
		p.Fresh = &dash.Fresh{Title: "A management token", Hint: "Send it as Authorization: Bearer …", Lines: [][2]string{{"Token", token}}}
	})
}

func (v *visit) authToken() error {
	form := v.form()
	roomID, ok, err := v.roomByText(form.Get("room"))
	if err != nil {
		return err
	}
	role := form.Get("role")
	if !ok || roomID == "" {
		form.Refuse("room", "There is no such room.")
	} else {
		r, err := v.Store.Room(v.ctx(), v.Workspace.ID, roomID)
		if err != nil {
			return err
		}
		t, err := v.Store.Template(v.ctx(), v.Workspace.ID, r.TemplateID)
		if err != nil {
			return err
		}
		if t.Policy.Roles[role] == nil {
			form.Refuse("role", "The app "+t.Policy.Name+" has no such role.")
		}
	}
	if !form.Good() {
		return v.keys(http.StatusUnprocessableEntity, func(p *dash.KeysPage) { p.Auth = form })
	}
	key, err := v.Store.SigningKey(v.ctx(), v.Workspace.ID)
	if err != nil {
		return err
	}
	token, err := auth.MintApp(key, auth.Grant{RoomID: roomID, Role: role, UserID: cmp.Or(form.Get("user"), uuid.NewString())}, authTokenLife)
	if err != nil {
		return err
	}
	v.audit("token.auth", roomID+": "+role)
	return v.keys(http.StatusOK, func(p *dash.KeysPage) {
		p.Auth = form
		p.Fresh = &dash.Fresh{Title: "An auth token for " + role, Hint: "It is good for a day.", Lines: [][2]string{{"Token", token}}}
	})
}
