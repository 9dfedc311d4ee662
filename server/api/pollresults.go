package api

import (
	"errors"
	"net/http"
	"time"

	"amphi/server/poll"
	"amphi/server/store"
)

// answers is a page of what came of a poll.
type answers[O any] struct {
	Last      string `json:"last"`
	Limit     int    `json:"limit"`
	Responses []O    `json:"responses"`
}

func answersOf[R, O any](limit int, records []R, show func(R) O, id func(R) string) answers[O] {
	l := listOf(limit, records, show, id)
	return answers[O]{Last: l.Last, Limit: l.Limit, Responses: l.Data}
}

// pollSessionObject is a run of a poll as it is answered.
type pollSessionObject struct {
	ID           string     `json:"id"`
	PollID       string     `json:"poll_id"`
	SessionID    string     `json:"session_id"`
	StartedAt    time.Time  `json:"started_at"`
	StoppedAt    *time.Time `json:"stopped_at"`
	Responses    int        `json:"total_responses"`
	Participants int        `json:"unique_participants"`
}

func showPollSession(v store.PollSession) pollSessionObject {
	return pollSessionObject{ID: v.ID, PollID: v.PollID, SessionID: v.SessionID, StartedAt: v.StartedAt, StoppedAt: maybe(v.StoppedAt),
		Responses: v.Responses, Participants: v.Participants}
}

func (a *API) listPollSessions(r *http.Request, workspaceID string, in pageQuery) (answers[pollSessionObject], error) {
	p, err := a.poll(r, workspaceID)
	if err != nil {
		return answers[pollSessionObject]{}, err
	}
	runs, err := a.Store.PollSessions(r.Context(), p.ID, in.page())
	return answersOf(int(in.Limit), runs, showPollSession, func(v store.PollSession) string { return v.ID }), err
}

func (a *API) getPollSession(r *http.Request, workspaceID string, _ nothing) (pollSessionObject, error) {
	p, err := a.poll(r, workspaceID)
	if err != nil {
		return pollSessionObject{}, err
	}
	v, err := a.Store.PollSession(r.Context(), p.ID, r.PathValue("sid"))
	if errors.Is(err, store.ErrNotFound) {
		return pollSessionObject{}, refuse(http.StatusNotFound, "poll session not found")
	}
	return showPollSession(v), err
}

// responseObject is a response to a question as it is answered.
type responseObject struct {
	ID        string    `json:"id"`
	PollID    string    `json:"poll_id"`
	SessionID string    `json:"session_id"`
	Duration  int64     `json:"duration"` // milliseconds
	Question  int       `json:"question"`
	Skipped   bool      `json:"skipped"`
	Text      string    `json:"text"`
	Options   []int     `json:"options,omitempty"`
	Update    bool      `json:"update"`            // it takes the place of another one
	Original  string    `json:"original_response"` // the first one of the same participant; empty for itself
	Retries   int       `json:"retries"`
	SentAt    time.Time `json:"sent_at"`
	PeerID    string    `json:"peer_id"` // these two are empty when the poll is anonymous
	UserID    string    `json:"user_id"`
}

func showResponse(v store.PollResponse) responseObject {
	return responseObject{ID: v.ID, PollID: v.PollID, SessionID: v.SessionID, Duration: v.Duration.Milliseconds(), Question: v.Question,
		Skipped: v.Skipped, Text: v.Text, Options: v.Options, Update: v.Original != "", Original: v.Original, Retries: v.Retries,
		SentAt: v.SentAt, PeerID: v.PeerID, UserID: v.UserID}
}

// responseQuery says which responses are listed.
type responseQuery struct {
	Question int   `query:"question"`
	All      *bool `query:"all"` // those too that others have taken the place of
	pageQuery
}

func (in *responseQuery) check() error {
	if in.Question < 0 || in.Question > poll.MaxQuestions {
		return badParam("query", "question must be its number")
	}
	return nil
}

// responses returns a page of responses to the poll of the path.
func (a *API) responses(r *http.Request, workspaceID string, in responseQuery) ([]store.PollResponse, error) {
	p, err := a.poll(r, workspaceID)
	if err != nil {
		return nil, err
	}
	return a.Store.PollResponses(r.Context(), p.ID, store.ResponseFilter{Question: in.Question, All: in.All != nil && *in.All}, in.page())
}

func responseID(v store.PollResponse) string { return v.ID }

func (a *API) listResponses(r *http.Request, workspaceID string, in responseQuery) (answers[responseObject], error) {
	list, err := a.responses(r, workspaceID, in)
	return answersOf(int(in.Limit), list, showResponse, responseID), err
}

// response returns the response of the path.
func (a *API) response(r *http.Request, workspaceID, what string) (store.PollResponse, error) {
	p, err := a.poll(r, workspaceID)
	if err != nil {
		return store.PollResponse{}, err
	}
	v, err := a.Store.PollResponse(r.Context(), p.ID, r.PathValue("rid"))
	if errors.Is(err, store.ErrNotFound) {
		return v, refuse(http.StatusNotFound, "%s not found", what)
	}
	return v, err
}

func (a *API) getResponse(r *http.Request, workspaceID string, _ nothing) (responseObject, error) {
	v, err := a.response(r, workspaceID, "response")
	return showResponse(v), err
}

// resultObject is the score of a response. It has the response's id.
type resultObject struct {
	ID        string `json:"id"`
	PollID    string `json:"poll_id"`
	SessionID string `json:"session_id"`
	Question  int    `json:"question"`
	Duration  int64  `json:"duration"` // milliseconds
	PeerID    string `json:"peer_id"`
	UserID    string `json:"user_id"`
	Score     int    `json:"score"`
}

func showResult(v store.PollResponse) resultObject {
	return resultObject{ID: v.ID, PollID: v.PollID, SessionID: v.SessionID, Question: v.Question, Duration: v.Duration.Milliseconds(),
		PeerID: v.PeerID, UserID: v.UserID, Score: v.Score}
}

// resultList is a page of results.
type resultList struct {
	Last    string         `json:"last"`
	Limit   int            `json:"limit"`
	Results []resultObject `json:"results"`
}

func (a *API) listResults(r *http.Request, workspaceID string, in responseQuery) (resultList, error) {
	in.All = nil // what does not count has no result
	list, err := a.responses(r, workspaceID, in)
	l := listOf(int(in.Limit), list, showResult, responseID)
	return resultList{Last: l.Last, Limit: l.Limit, Results: l.Data}, err
}

func (a *API) getResult(r *http.Request, workspaceID string, _ nothing) (resultObject, error) {
	v, err := a.response(r, workspaceID, "result")
	if err == nil && v.Superseded {
		return resultObject{}, refuse(http.StatusNotFound, "result not found")
	}
	return showResult(v), err
}
