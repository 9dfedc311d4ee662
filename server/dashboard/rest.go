package dashboard

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"amphi/server/auth"
)

// What the dashboard does to rooms, streams and recordings it asks of the server's own REST API, in process and with a
// token of the visit's workspace. So there is one set of rules, of errors and of limits.

const (
	restTokenLife = time.Minute
	restTimeout   = 30 * time.Second // a stream takes seconds to start
	maxRestAnswer = 4 << 20
)

// refusal is an answer of the API other than 2xx.
type refusal struct {
	Status  int      `json:"code"`
	Message string   `json:"message"`
	Details []string `json:"details"`
}

func (r *refusal) Error() string { return fmt.Sprintf("%d: %s", r.Status, r.text()) }

// text is the refusal for people, who did not write the body or the query that it is about.
func (r *refusal) text() string {
	text := cmp.Or(strings.Join(r.Details, "; "), r.Message)
	for _, place := range []string{"body", "query"} {
		text = strings.TrimPrefix(text, "Invalid "+place+" param: ")
	}
	if text == "" {
		return "The server refused."
	}
	return strings.ToUpper(text[:1]) + text[1:]
}

// refused returns what the API said against a call, nil if it failed in another way or did not.
func refused(err error) *refusal {
	var r *refusal
	if errors.As(err, &r) && r.Status < http.StatusInternalServerError {
		return r
	}
	return nil
}

// missing says that the API does not know what was asked for.
func missing(err error) bool {
	r := refused(err)
	return r != nil && r.Status == http.StatusNotFound
}

// restAnswer is what the API wrote.
type restAnswer struct {
	status int
	header http.Header
	body   bytes.Buffer
}

// Header implements http.ResponseWriter.
func (a *restAnswer) Header() http.Header { return a.header }

// WriteHeader implements http.ResponseWriter.
func (a *restAnswer) WriteHeader(status int) {
	if a.status == 0 {
		a.status = status
	}
}

// Write implements http.ResponseWriter.
func (a *restAnswer) Write(b []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	if a.body.Len()+len(b) > maxRestAnswer {
		return 0, errors.New("answer is too long")
	}
	return a.body.Write(b)
}

// send makes a request of the API as it came from the visitor: the rate of an address is that of its owner, and links in
// answers begin as the visitor's own address does.
func (v *visit) send(method, path, token string, body []byte) (*restAnswer, error) {
	ctx, cancel := context.WithTimeout(v.r.Context(), restTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.RequestURI = path
	req.RemoteAddr, req.Host, req.TLS = v.r.RemoteAddr, v.r.Host, v.r.TLS
	for _, name := range []string{"X-Forwarded-For", "X-Forwarded-Proto"} {
		if values := v.r.Header.Values(name); len(values) > 0 {
			req.Header[name] = values
		}
	}
	if len(body) > 0 {
		req.Header.Set("Content-Type", "application/json")
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	a := &restAnswer{header: make(http.Header)}
	v.API.ServeHTTP(a, req)
	if a.status == 0 {
		a.status = http.StatusOK
	}
	return a, nil
}

// token is a management token of the workspace.
func (v *visit) token(life time.Duration) (string, error) {
	key, err := v.Store.SigningKey(v.r.Context(), v.Workspace.ID)
	if err != nil {
		return "", err
	}
	return auth.MintManagement(key, life)
}

// call asks the API. In becomes the JSON body, unless it is nil; out, unless it is nil, is filled from the answer's. An
// answer other than 2xx is a *refusal.
func (v *visit) call(method, path string, in, out any) error {
	var body []byte
	if in != nil {
		var err error
		if body, err = json.Marshal(in); err != nil {
			return err
		}
	}
	token, err := v.token(restTokenLife)
	if err != nil {
		return err
	}
	a, err := v.send(method, path, token, body)
	if err != nil {
		return err
	}
	if a.status/100 != 2 {
		r := &refusal{Status: a.status}
		if err := json.Unmarshal(a.body.Bytes(), r); err != nil {
			r.Message = http.StatusText(a.status)
		}
		r.Status = a.status
		return r
	}
	if out == nil {
		return nil
	}
	if err := json.NewDecoder(&a.body).Decode(out); err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	return nil
}

// segment is a text as part of a path.
func segment(text string) string { return url.PathEscape(text) }
