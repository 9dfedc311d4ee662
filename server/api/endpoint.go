package api

import (
	"net/http"
	"reflect"
)

// access says who may call an endpoint.
type access int

const (
	// byServer: servers of customers, with a management token.
	byServer access = iota
	// byClient: web pages of any origin (CORS). The handler checks the auth token if it wants one.
	byClient
	// byEncoder: programs and web pages that publish or play over HTTP (CORS). The handler checks the token or room code.
	byEncoder
	// byProbe: the operator's tools. No token, no rate limit.
	byProbe
)

// endpoint is a method of a path and what answers it.
type endpoint struct {
	method  string
	path    string // a pattern of http.ServeMux
	access  access
	summary string // for the description, a line
	section string // of the description, set by those that make the table

	in     reflect.Type // of the query (GET, DELETE) or the body (POST)
	out    reflect.Type // of the answer's body; nothing for 204
	status int          // of the answer, 0: 200, or 204 when out is nothing

	takesType, givesType string // media types of bodies that are read and written by the handler

	handle func(w http.ResponseWriter, r *http.Request, c caller) (any, error)
}

// caller is who makes a request, as far as that is known.
type caller struct {
	workspaceID string // for byServer
}

// nothing stands for no query, no body, or no answer (204).
type nothing struct{}

// written stands for an answer that the handler writes itself, as text.
type written struct{}

// unread is a body that the handler reads itself, whatever it is.
type unread struct{}

// checked is an input that can tell what is wrong with it.
type checked interface{ check() error }

// managed makes an endpoint for customers' servers. In is what the request says: for GET and DELETE its query (fields
// with a query tag, see readQuery), for POST its JSON body. The handler gets it read and, if it is checked, checked.
// Out becomes the JSON body of the answer.
func managed[In, Out any](method, path, summary string, h func(r *http.Request, workspaceID string, in In) (Out, error)) endpoint {
	e := makeEndpoint(method, path, summary, func(_ http.ResponseWriter, r *http.Request, c caller, in In) (Out, error) {
		return h(r, c.workspaceID, in)
	})
	e.access = byServer
	return e
}

// public makes an endpoint for web pages.
func public[In, Out any](method, path, summary string, h func(r *http.Request, in In) (Out, error)) endpoint {
	e := makeEndpoint(method, path, summary, func(_ http.ResponseWriter, r *http.Request, _ caller, in In) (Out, error) {
		return h(r, in)
	})
	e.access = byClient
	return e
}

// makeEndpoint is what managed, public and probe have in common.
func makeEndpoint[In, Out any](method, path, summary string, h func(http.ResponseWriter, *http.Request, caller, In) (Out, error)) endpoint {
	e := endpoint{method: method, path: path, summary: summary, in: reflect.TypeFor[In](), out: reflect.TypeFor[Out]()}
	e.handle = func(w http.ResponseWriter, r *http.Request, c caller) (any, error) {
		var in In
		if err := read(r, &in); err != nil {
			return nil, err
		}
		out, err := h(w, r, c, in)
		switch any(out).(type) {
		case nothing, written:
			return nil, err
		}
		return out, err
	}
	return e
}

// strict is embedded in a body in which fields that it does not have are a mistake. Elsewhere they are ignored: clients
// of newer and older versions of the API send them.
type strict struct{}

func (strict) refuseUnknown() {}

// read reads the query or the body of a request into in, and checks it.
func read(r *http.Request, in any) error {
	if _, ok := in.(*unread); ok {
		return nil
	}
	if r.Method == http.MethodPost {
		if err := checkContentType(r); err != nil {
			return err
		}
		_, only := in.(interface{ refuseUnknown() })
		if err := decode(r, in, only); err != nil {
			return err
		}
	} else {
		q := queryOf(r)
		q.read(reflect.ValueOf(in).Elem())
		if q.err != nil {
			return q.err
		}
	}
	if c, ok := in.(checked); ok {
		return c.check()
	}
	return nil
}

// answering returns the endpoint with another status for its good answer.
func (e endpoint) answering(status int) endpoint {
	e.status = status
	return e
}

// described puts endpoints into a section of the description.
func described(section string, list ...endpoint) []endpoint {
	for i := range list {
		list[i].section = section
	}
	return list
}
