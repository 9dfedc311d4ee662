package dashboard

import (
	"encoding/json"
	"errors"
	"net/http"
	"strconv"

	"amphi/server/account"
	"amphi/templates/dash"
)

// passkeys registers what static/app/passkey.ts asks: each ceremony of WebAuthn is a challenge and an answer.
func (d *dashboard) passkeys() {
	d.json("POST /dashboard/passkey/signin", d.askPasskey)
	d.json("POST /dashboard/passkey/signin/finish", d.signInWithPasskey)
	d.json("POST /dashboard/passkey/link/{secret}", d.askNewcomer)
	d.json("POST /dashboard/passkey/link/{secret}/finish", d.acceptWithPasskey)
	d.json("POST /dashboard/passkey/new", d.askNewPasskey)
	d.json("POST /dashboard/passkey/new/finish", d.addPasskey)
}

// ceremony is what the browser sends.
type ceremony struct {
	Name, Email string
	ID          string
	Credential  json.RawMessage
	Next        string
	Password    string // of who adds a passkey, a while after they signed in
}

func (c ceremony) answer() account.Answer {
	return account.Answer{ID: c.ID, Credential: c.Credential}
}

// reply is what it gets.
type reply struct {
	ID       string            `json:"id,omitempty"`
	Options  any               `json:"options,omitempty"`
	Next     string            `json:"next,omitempty"`     // where to go
	Message  string            `json:"message,omitempty"`  // what went wrong …
	Problems map[string]string `json:"problems,omitempty"` // … with a field of the form
}

func asked(c account.Challenge, err error) (reply, error) {
	return reply{ID: c.ID, Options: c.Options}, err
}

// json registers what answers a ceremony.
func (d *dashboard) json(pattern string, h func(w http.ResponseWriter, r *http.Request, c ceremony) (reply, error)) {
	d.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		var c ceremony
		var answer reply
		err := json.NewDecoder(r.Body).Decode(&c)
		if err != nil {
			err = errForm
		} else {
			answer, err = h(w, r, c)
		}
		status := http.StatusOK
		if err != nil {
			status, answer = d.refusal(w, r, err)
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(answer) // an error means that the visitor is gone
	})
}

// refusal says in JSON why something was refused.
func (d *dashboard) refusal(w http.ResponseWriter, r *http.Request, err error) (int, reply) {
	var form dash.Form
	var tooMany account.TooMany
	var p problem
	err = linkProblem(err)
	switch {
	case refuse(&form, err):
		message := form.Problems["passkey"]
		delete(form.Problems, "passkey")
		return http.StatusUnprocessableEntity, reply{Message: message, Problems: form.Problems}
	case errors.Is(err, account.ErrWrong):
		return http.StatusUnauthorized, reply{Message: "This passkey is nobody's here. It may have been removed."}
	case errors.Is(err, account.ErrSignedOut):
		return http.StatusUnauthorized, reply{Message: "You are signed out. Load the page again."}
	case errors.As(err, &tooMany):
		w.Header().Set("Retry-After", strconv.Itoa(tooMany.Seconds()))
		return http.StatusTooManyRequests, reply{Message: "Too many attempts. Try again in " + tooMany.Wait() + "."}
	case errors.As(err, &p):
		return p.status, reply{Message: p.title + ". " + p.text}
	}
	d.Log.Error("passkey failed", "page", r.Pattern, "err", err)
	return http.StatusInternalServerError, reply{Message: errBroken.text}
}

func (d *dashboard) askPasskey(_ http.ResponseWriter, r *http.Request, _ ceremony) (reply, error) {
	return asked(d.Accounts.AskPasskey(r.Context(), d.ClientAddr(r), d.origin(r)))
}

func (d *dashboard) signInWithPasskey(w http.ResponseWriter, r *http.Request, c ceremony) (reply, error) {
	m, err := d.Accounts.SignInWithPasskey(r.Context(), d.origin(r), c.answer())
	if err != nil {
		return reply{}, err
	}
	return reply{Next: ownPath(c.Next)}, d.begin(w, r, m, account.ByPasskey)
}

func (d *dashboard) askNewcomer(_ http.ResponseWriter, r *http.Request, c ceremony) (reply, error) {
	if _, _, err := d.link(r); err != nil {
		return reply{}, err
	}
	return asked(d.Accounts.AskNewcomer(r.Context(), d.origin(r), r.PathValue("secret"), account.Person{Name: c.Name, Email: c.Email}))
}

func (d *dashboard) acceptWithPasskey(w http.ResponseWriter, r *http.Request, c ceremony) (reply, error) {
	m, err := d.Accounts.AcceptWithPasskey(r.Context(), d.origin(r), r.PathValue("secret"),
		account.Person{Name: c.Name, Email: c.Email}, browser(r.UserAgent()), c.answer())
	if err != nil {
		return reply{}, err
	}
	d.record(r, m, "member.join", m.Email+" as "+roleName(m.Role))
	return reply{Next: "/dashboard"}, d.begin(w, r, m, account.ByPasskey)
}

// askNewPasskey asks a member for one more passkey: that it is them is made sure here, as what follows is the answer to this.
func (d *dashboard) askNewPasskey(w http.ResponseWriter, r *http.Request, c ceremony) (reply, error) {
	v, err := d.visit(w, r)
	if err == nil {
		err = v.confirm(dash.PasskeyPassword, c.Password)
	}
	if err != nil {
		return reply{}, err
	}
	return asked(d.Accounts.AskNewPasskey(v.ctx(), d.origin(r), v.Member))
}

func (d *dashboard) addPasskey(w http.ResponseWriter, r *http.Request, c ceremony) (reply, error) {
	v, err := d.visit(w, r)
	if err != nil {
		return reply{}, err
	}
	if err := d.Accounts.AddPasskey(v.ctx(), d.origin(r), v.Member, browser(r.UserAgent()), c.answer()); err != nil {
		return reply{}, err
	}
	v.audit("passkey.add", v.Member.Email)
	v.setFlash("The passkey is added.")
	return reply{Next: string(dash.PlaceMe)}, nil
}
