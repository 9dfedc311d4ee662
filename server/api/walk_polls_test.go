package api

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"amphi/server/poll"
	"amphi/server/store"
)

func walkPolls(b *bench) []row {
	const (
		in = `{"title":"Quiz 1","duration":60,"anonymous":true,"mode":"peerid","type":"quiz","start":"manual","questions":[{"index":7,"text":"2+2?","format":"text",` +
			`"attachment":[{"type":"image/png","url":"https://a.example/p.png"}],"skippable":false,"duration":10,"once":true,"weight":3,"answer_min_len":0,"answer_max_len":10,"type":"multiple-choice",` +
			`"answer":{"hidden":true,"options":[3,1],"text":"","case":false,"trim":true},"options":[{"index":9,"text":"4","weight":2},{"text":"5"},{"text":"four"}]}]}`
		question = `{"index":1,"text":"2+2?","format":"text","attachment":[{"type":"image/png","url":"https://a.example/p.png"}],"skippable":false,"duration":10,"once":true,"weight":3,` +
			`"answer_min_len":0,"answer_max_len":10,"type":"multiple-choice","answer":{"hidden":true,"options":[%s],"text":"","case":false,"trim":true},"options":[%s]}`
		four, five, word = `{"index":1,"text":"4","weight":2}`, `{"index":2,"text":"5","weight":1}`, `{"index":3,"text":"four","weight":1}`
		plainIn          = `{"text":"Why?","type":"short-answer"}`
		plain            = `{"index":%d,"text":"Why?","format":"text","attachment":[],"skippable":true,"duration":0,"once":false,"weight":1,"answer_min_len":1,"answer_max_len":1024,"type":"short-answer",` +
			`"answer":{"hidden":false,"options":[],"text":"","case":false,"trim":false},"options":[]}`
		bare       = `{"id":"ID","title":"","duration":0,"anonymous":false,"mode":"userid","type":"poll","start":"auto","questions":[]}`
		noPoll     = `{"code":404,"message":"poll not found"}`
		noQuestion = `{"code":404,"message":"question not found"}`
		noOption   = `{"code":404,"message":"option not found"}`
	)
	quiz := func(questions string) string {
		return `{"id":"ID","title":"Quiz 1","duration":60,"anonymous":true,"mode":"peerid","type":"quiz","start":"manual","questions":[` + questions + `]}`
	}
	all := fmt.Sprintf(question, "3,1", four+","+five+","+word)
	whole := quiz(all)
	id := b.field("id", "POST", "/v2/polls", in)
	at := func(rest string) string { return "/v2/polls/" + id + rest }
	refused := func(body, detail string) visit { return visit{body: body, status: 400, want: badBody(detail)} }
	ask := func(fields, detail string) visit {
		return refused(`{"questions":[{"text":"a","type":"single-choice",`+fields+`}]}`, "question 1: "+detail)
	}
	gone := func(rest, want string) visit { return visit{path: at(rest), status: 404, want: want} }

	// A run of the poll with its responses, which the room makes.
	session, err := b.Store.OpenSession(b.t.Context(), store.NewID(), b.seed.Room.ID, time.Now())
	if err != nil {
		b.t.Fatal(err)
	}
	defer func() {
		if err := b.Store.CloseSession(b.t.Context(), session.ID, time.Now()); err != nil {
			b.t.Error(err)
		}
	}()
	run := store.NewID()
	if err := b.Store.StartPoll(b.t.Context(), run, id, session.ID, time.Now()); err != nil {
		b.t.Fatal(err)
	}
	respond := func(participant string, q int) string {
		r, err := b.Store.AddPollResponses(b.t.Context(), store.PollResponse{PollSessionID: run, Question: q, Participant: participant, PeerID: "p", UserID: participant,
			Text: "t", Options: []int{q}, Duration: time.Second, Score: 5, SentAt: time.Now()})
		if err != nil {
			b.t.Fatal(err)
		}
		return r[0].ID
	}
	first := respond("ann", 1)
	second := respond("ann", 1)
	respond("bob", 2)
	response := func(user string, q int, more string) string {
		return fmt.Sprintf(`{"id":"ID","poll_id":"ID","session_id":"ID","duration":1000,"question":%d,"skipped":false,"text":"t","options":[%[1]d],%s,"sent_at":TIME,"peer_id":"p","user_id":"%s"}`, q, more, user)
	}
	const once, again = `"update":false,"original_response":"","retries":0`, `"update":true,"original_response":"ID","retries":1`
	ann, annAgain, bob := response("ann", 1, once), response("ann", 1, again), response("bob", 2, once)
	result := func(user string, q int) string {
		return fmt.Sprintf(`{"id":"ID","poll_id":"ID","session_id":"ID","question":%d,"duration":1000,"peer_id":"p","user_id":"%s","score":5}`, q, user)
	}
	page := func(what string, objects ...string) string {
		last := "ID"
		if len(objects) == 0 {
			last = ""
		}
		return `{"last":"` + last + `","limit":10,"` + what + `":[` + strings.Join(objects, ",") + `]}`
	}
	stat := `{"id":"ID","poll_id":"ID","session_id":"ID","started_at":TIME,"stopped_at":TIME,"total_responses":3,"unique_participants":2}`
	nowhere := func(rest string) visit { return visit{path: "/v2/polls" + unknown + rest, status: 404, want: noPoll} }
	badQuestion := func(path string) visit {
		return visit{path: at(path + "?question=x"), status: 400, want: badQuery("question must be a whole number")}
	}
	return []row{
		{endpoint: "POST /v2/polls",
			good: []visit{{body: in, want: whole}, {want: bare}},
			bad: []visit{unauthorized, {body: "x", status: 400, want: badJSON}, refused(`{"title":"`+strings.Repeat("t", 513)+`"}`, "title longer than 512 bytes"),
				refused(`{"duration":-1}`, "duration must be 0 to 86400 seconds"), refused(`{"mode":"x"}`, "mode must be userid, peerid or username"),
				refused(`{"type":"x"}`, "type must be poll or quiz"), refused(`{"start":"x"}`, "start must be auto or manual"), refused(`{"questions":[{}]}`, "question 1: type must be one of [single-choice multiple-choice short-answer long-answer]"),
				refused(`{"questions":[`+strings.TrimSuffix(strings.Repeat(plainIn+",", 51), ",")+`]}`, "more than 50 questions"), refused(`{"questions":{}}`, "questions must be a list"),
				refused(`{"questions":[{"type":"long-answer"}]}`, "question 1: text must be 1 to 2048 bytes"), ask(`"duration":-1`, "duration must be 0 to 86400 seconds"),
				ask(`"weight":1001`, "weight must be 0 to 1000"), ask(`"answer_min_len":5,"answer_max_len":4`, "answer_min_len and answer_max_len must be 0 to 2048, and in this order"),
				ask(`"options":[{}]`, "option 1: text must be 1 to 2048 bytes"), ask(`"options":[{"text":"a","weight":-1}]`, "option 1: weight must be 0 to 1000"),
				ask(`"options":[{"text":"a"}],"answer":{"options":[2]}`, "answer.options: there is no option 2"), ask(`"answer":{"options":[1,1]}`, "answer.options: there is one right answer"),
				ask(`"attachment":[{"url":"javascript:x"}]`, "an attachment must have a type and an http or https URL"),
				refused(`{"questions":[{"text":"a","type":"long-answer","options":[{"text":"a"}]}]}`, "question 1: a question of type long-answer has no options")}},
		{endpoint: "GET /v2/polls/{id}",
			good: []visit{{path: at(""), want: whole}},
			bad:  []visit{unauthorized, nowhere(""), {path: "/v2/polls/x", status: 404, want: noPoll}}},
		{endpoint: "POST /v2/polls/{id}",
			good: []visit{{path: at(""), want: whole}, {path: at(""), body: "{}", want: whole}, // only read
				{path: at(""), body: `{"questions":[]}`, want: bare}, {path: at(""), body: in, want: whole}},
			bad: []visit{unauthorized, nowhere(""), {path: "/v2/polls" + unknown, body: in, status: 404, want: noPoll}, {path: at(""), body: `{"type":"x"}`, status: 400, want: badBody("type must be poll or quiz")}}},
		{endpoint: "POST /v2/polls/{id}/questions/{n}",
			good: []visit{{path: at("/questions/2"), body: plainIn, want: fmt.Sprintf(plain, 2)}, {path: at("/questions/2"), body: plainIn, want: fmt.Sprintf(plain, 2)},
				{path: at("/questions/3"), body: plainIn, want: fmt.Sprintf(plain, 3)}},
			bad: []visit{unauthorized, {path: at("/questions/5"), body: plainIn, status: 404, want: noQuestion}, {path: at("/questions/0"), body: plainIn, status: 404, want: noQuestion},
				{path: at("/questions/x"), body: plainIn, status: 404, want: noQuestion}, {path: at("/questions/2"), status: 400, want: badBody("question 2: type must be one of [single-choice multiple-choice short-answer long-answer]")},
				{path: "/v2/polls" + unknown + "/questions/1", body: plainIn, status: 404, want: noPoll}}},
		{endpoint: "DELETE /v2/polls/{id}/questions/{n}",
			good: []visit{{path: at("/questions/2"), status: 204}},
			bad:  []visit{unauthorized, gone("/questions/3", noQuestion), gone("/questions/-1", noQuestion), nowhere("/questions/1")}},
		{endpoint: "POST /v2/polls/{id}/questions/{n}/options/{m}",
			good: []visit{{path: at("/questions/1/options/4"), body: `{"text":"IV","weight":9}`, want: `{"index":4,"text":"IV","weight":9}`},
				{path: at("/questions/1/options/2"), body: `{"text":"five"}`, want: `{"index":2,"text":"five","weight":1}`}},
			bad: []visit{unauthorized, {path: at("/questions/1/options/6"), body: `{"text":"x"}`, status: 404, want: noOption}, {path: at("/questions/9/options/1"), body: `{"text":"x"}`, status: 404, want: noQuestion},
				{path: at("/questions/2/options/1"), body: `{"text":"x"}`, status: 400, want: badBody("question 2: a question of type short-answer has no options")},
				{path: at("/questions/1/options/1"), status: 400, want: badBody("question 1: option 1: text must be 1 to 2048 bytes")}}},
		{endpoint: "DELETE /v2/polls/{id}/questions/{n}/options/{m}",
			good: []visit{{path: at("/questions/1/options/1"), status: 204}},
			bad: []visit{unauthorized, gone("/questions/1/options/4", noOption), gone("/questions/3/options/1", noQuestion), nowhere("/questions/1/options/1"),
				// One of the right answers has gone, the other one moved up.
				{path: at("/questions/1"), body: `{"type":"short-answer"}`, status: 404, late: func() string {
					b.want(200, quiz(fmt.Sprintf(question, "2", `{"index":1,"text":"five","weight":1},{"index":2,"text":"four","weight":1},{"index":3,"text":"IV","weight":9}`)+","+fmt.Sprintf(plain, 2)),
						"GET", at(""), b.admin, "")
					return at("/questions/7/options/7")
				}, want: noQuestion}}},
		{endpoint: "GET /v2/polls/{id}/sessions",
			good: []visit{{path: at("/sessions"), want: page("responses", stat)}, {path: at("/sessions?start=" + unknown[1:]), want: page("responses")}},
			bad:  []visit{unauthorized, nowhere("/sessions"), {path: at("/sessions?limit=x"), status: 400, want: badLimit}}},
		{endpoint: "GET /v2/polls/{id}/sessions/{sid}",
			good: []visit{{path: at("/sessions/" + run), want: stat}},
			bad:  []visit{unauthorized, nowhere("/sessions/" + run), gone("/sessions"+unknown, `{"code":404,"message":"poll session not found"}`)}},
		{endpoint: "GET /v2/polls/{id}/responses",
			good: []visit{{path: at("/responses"), want: page("responses", bob, annAgain)}, {path: at("/responses?all=true&question=1"), want: page("responses", annAgain, ann)},
				{path: at("/responses?question=3"), want: page("responses")}},
			bad: []visit{unauthorized, nowhere("/responses"), badQuestion("/responses"), {path: at("/responses?all=x"), status: 400, want: badQuery("all must be true or false")},
				{path: at("/responses?question=-1"), status: 400, want: badQuery("question must be its number")}}},
		{endpoint: "GET /v2/polls/{id}/responses/{rid}",
			good: []visit{{path: at("/responses/" + first), want: ann}, {path: at("/responses/" + second), want: annAgain}},
			bad:  []visit{unauthorized, nowhere("/responses/" + first), gone("/responses"+unknown, `{"code":404,"message":"response not found"}`)}},
		{endpoint: "GET /v2/polls/{id}/results",
			good: []visit{{path: at("/results"), want: page("results", result("bob", 2), result("ann", 1))}, {path: at("/results?question=2&all=true"), want: page("results", result("bob", 2))}},
			bad:  []visit{unauthorized, nowhere("/results"), badQuestion("/results")}},
		{endpoint: "GET /v2/polls/{id}/results/{rid}",
			good: []visit{{path: at("/results/" + second), want: result("ann", 1)}},
			bad:  []visit{unauthorized, nowhere("/results/" + second), gone("/results/"+first, `{"code":404,"message":"result not found"}`)}},
	}
}

// FuzzPoll: whatever a poll is described with is refused with a 400, or is within its bounds.
func FuzzPoll(f *testing.F) {
	f.Add([]byte(`{"title":"t","questions":[{"text":"a","type":"single-choice","answer":{"options":[1]},"options":[{"text":"b"}]}]}`))
	f.Add([]byte(`{"questions":[{"text":"a","type":"short-answer","answer_min_len":-1,"attachment":[{"url":"https://a"}]}]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		in := new(pollInput)
		if err := decodeJSON(body, in, false); err != nil {
			return
		}
		p, err := in.poll()
		if err != nil {
			if e := asError(err); e.Code != 400 || len(e.Details) == 0 {
				t.Errorf("%q: %v", body, err)
			}
			return
		}
		for i, q := range p.Questions {
			if q.Index != i+1 || q.AnswerMinLen > q.AnswerMaxLen || len(q.Options) > poll.MaxOptions {
				t.Errorf("%q made %+v", body, q)
			}
		}
	})
}
