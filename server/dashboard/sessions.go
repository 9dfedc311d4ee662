package dashboard

import (
	"cmp"
	"encoding/csv"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"amphi/server/account"
	"amphi/server/poll"
	"amphi/server/store"
	"amphi/templates/dash"
)

// What a session's page shows at once.
const (
	attendancePage = 100
	chatPage       = 100
	mostRuns       = 20   // polls
	mostResponses  = 5000 // of a poll
	mostTexts      = 20   // answers to an open question
	curvePoints    = 180
)

func (d *dashboard) sessions() {
	d.handle("GET /dashboard/sessions", account.Viewer, (*visit).listSessions)
	d.handle("GET /dashboard/sessions/{session}", account.Viewer, (*visit).showSession)
	d.handle("GET /dashboard/sessions/{session}/attendance.csv", account.Viewer, (*visit).attendanceCSV)
}

// roomByText finds the room that a filter names; ok is false when there is none.
func (v *visit) roomByText(text string) (id string, ok bool, err error) {
	if text == "" {
		return "", true, nil
	}
	if store.IsID(text) {
		_, err := v.Store.Room(v.ctx(), v.Workspace.ID, text)
		if errors.Is(err, store.ErrNotFound) {
			return "", false, nil
		}
		return text, err == nil, err
	}
	if len(text) > 256 {
		return "", false, nil
	}
	rooms, err := v.Store.Rooms(v.ctx(), v.Workspace.ID, store.RoomFilter{Name: text}, store.Page{Limit: 1})
	if err == nil && len(rooms) == 0 { // a part of a name means the newest room that has it
		rooms, err = v.Store.Rooms(v.ctx(), v.Workspace.ID, store.RoomFilter{Search: text}, store.Page{Limit: 1})
	}
	if err != nil || len(rooms) == 0 {
		return "", false, err
	}
	return rooms[0].ID, true, nil
}

func (v *visit) listSessions() error {
	list := dash.SessionList{Filter: dash.Form{Values: v.r.URL.Query()}, Now: time.Now()}
	roomID, ok, err := v.roomByText(v.query("room"))
	if err != nil {
		return err
	}
	filter := store.SessionFilter{RoomID: roomID}
	day := func(name string, add int) (at time.Time) {
		text := v.query(name)
		if text == "" {
			return at
		}
		at, err := time.Parse(time.DateOnly, text)
		if err != nil || at.Year() < 2000 || at.Year() > 9000 {
			list.Filter.Refuse(name, "This must be a day.")
			return time.Time{}
		}
		return at.AddDate(0, 0, add)
	}
	filter.After, filter.Before = day("from", 0), day("to", 1)
	list.Filtered = v.query("room") != "" || v.query("from") != "" || v.query("to") != ""
	if ok {
		sessions, err := v.Store.Sessions(v.ctx(), v.Workspace.ID, filter, store.Page{Limit: pageSize + 1, Start: v.start()})
		if err != nil {
			return err
		}
		sessions, last := onePage(sessions, func(s store.Session) string { return s.ID })
		list.Pages = v.pages(last)
		if list.Sessions, err = v.sessionRows(sessions); err != nil {
			return err
		}
	}
	return v.page("Sessions", dash.PlaceSessions, dash.SessionsPage(list))
}

func (v *visit) sessionRows(sessions []store.Session) ([]dash.SessionRow, error) {
	var ids, roomIDs []string
	for _, s := range sessions {
		ids, roomIDs = append(ids, s.ID), append(roomIDs, s.RoomID)
	}
	counts, err := v.Store.PeerCounts(v.ctx(), ids)
	if err != nil {
		return nil, err
	}
	names, err := v.Store.RoomNames(v.ctx(), v.Workspace.ID, roomIDs)
	rows := make([]dash.SessionRow, len(sessions))
	for i, s := range sessions {
		rows[i] = dash.SessionRow{ID: s.ID, RoomID: s.RoomID, Room: names[s.RoomID], Began: s.CreatedAt, Ended: s.EndedAt, People: counts[s.ID]}
	}
	return rows, err
}

// session returns the workspace's session of the path.
func (v *visit) session() (store.Session, error) {
	s, err := v.Store.Session(v.ctx(), v.value("session"))
	if err == nil && s.WorkspaceID != v.Workspace.ID {
		err = store.ErrNotFound
	}
	return s, err
}

func (v *visit) showSession() error {
	s, err := v.session()
	if err != nil {
		return err
	}
	rows, err := v.sessionRows([]store.Session{s})
	if err != nil {
		return err
	}
	p := dash.SessionDetail{SessionRow: rows[0], Now: time.Now(), People: rows[0].People}
	peers, err := v.Store.Peers(v.ctx(), s.ID)
	if err != nil {
		return err
	}
	end := cmp.Or(s.EndedAt, p.Now)
	p.Curve = curve(peers, s.CreatedAt, end)
	v.attendance(&p, peers)
	if err := v.timeline(&p, s, end); err != nil {
		return err
	}
	assets, err := v.Store.Assets(v.ctx(), v.Workspace.ID, store.AssetFilter{SessionID: s.ID}, store.Page{Limit: pageSize})
	if err != nil {
		return err
	}
	for _, a := range assets {
		p.Recordings = append(p.Recordings, recordingRow(a, p.Room))
	}
	if err := v.chat(&p, s.ID); err != nil {
		return err
	}
	return v.page("Session in "+p.Room, dash.PlaceSessions, dash.SessionPage(p))
}

// attendance puts a page of those who were there on the session's page.
func (v *visit) attendance(p *dash.SessionDetail, peers []store.Peer) {
	at, _ := strconv.Atoi(v.query("people")) // what is no number is the first page
	at = min(max(at, 0), len(peers))
	at -= at % attendancePage
	for _, peer := range peers[at:min(at+attendancePage, len(peers))] {
		p.Attendance = append(p.Attendance, dash.Attendance{Name: peer.Name, Role: peer.Role, UserID: peer.UserID, Joined: peer.JoinedAt,
			Left: peer.LeftAt, Stay: stay(peer, p.Now)})
	}
	if at > 0 {
		p.AttPages.Newer = v.r.URL.Path
	}
	if at+attendancePage < len(peers) {
		p.AttPages.Older = v.r.URL.Path + "?people=" + strconv.Itoa(at+attendancePage)
	}
}

func stay(p store.Peer, now time.Time) time.Duration {
	return cmp.Or(p.LeftAt, now).Sub(p.JoinedAt)
}

// curve counts who was there over the time of a session.
func curve(peers []store.Peer, from, to time.Time) dash.Curve {
	if len(peers) == 0 {
		return dash.Curve{}
	}
	type step struct {
		at time.Time
		by int
	}
	var steps []step
	for _, p := range peers {
		steps = append(steps, step{p.JoinedAt, 1})
		if !p.LeftAt.IsZero() {
			steps = append(steps, step{p.LeftAt, -1})
		}
	}
	slices.SortFunc(steps, func(a, b step) int { return cmp.Or(a.at.Compare(b.at), cmp.Compare(a.by, b.by)) })
	c := dash.Curve{Counts: make([]int, curvePoints)}
	now, next := 0, 0
	for i := range c.Counts {
		until := from.Add(to.Sub(from) * time.Duration(i+1) / curvePoints)
		most := now
		for next < len(steps) && (!steps[next].at.After(until) || i == curvePoints-1) {
			now += steps[next].by
			most = max(most, now)
			next++
		}
		c.Counts[i] = most
		c.Most = max(c.Most, most)
	}
	return c
}

// timeline tells what happened in a session, and draws what went on for a while into its curve.
func (v *visit) timeline(p *dash.SessionDetail, s store.Session, end time.Time) error {
	say := func(at time.Time, format string, args ...any) {
		if !at.IsZero() {
			p.Timeline = append(p.Timeline, dash.Happening{At: at, Text: fmt.Sprintf(format, args...)})
		}
	}
	span := func(class, label string, from, to time.Time) {
		length := end.Sub(s.CreatedAt)
		if from.IsZero() || length <= 0 {
			return
		}
		share := func(at time.Time) float64 { return min(max(float64(at.Sub(s.CreatedAt))/float64(length), 0), 1) }
		p.Curve.Spans = append(p.Curve.Spans, dash.Span{Class: class, Label: label, From: share(from), To: share(cmp.Or(to, end))})
	}
	ofSession, page := store.StreamFilter{SessionID: s.ID}, store.Page{Limit: pageSize}
	streams, err := v.Store.LiveStreams(v.ctx(), v.Workspace.ID, ofSession, page)
	if err != nil {
		return err
	}
	for _, l := range streams {
		say(l.StartedAt, "The live stream began")
		say(l.StoppedAt, "The live stream %s", ended(l.Status, l.Reason))
		span("bar-stream", "Live stream", l.StartedAt, l.StoppedAt)
	}
	for kind, name := range map[store.JobKind]string{store.Recording: "recording", store.ExternalStream: "push to other services"} {
		jobs, err := v.Store.Jobs(v.ctx(), v.Workspace.ID, kind, ofSession, page)
		if err != nil {
			return err
		}
		for _, j := range jobs {
			say(j.StartedAt, "The %s began", name)
			say(j.StoppedAt, "The %s %s", name, ended(j.Status, j.Reason))
			span("bar-recording", strings.ToUpper(name[:1])+name[1:], j.StartedAt, j.StoppedAt)
		}
	}
	runs, err := v.Store.PollRuns(v.ctx(), v.Workspace.ID, s.ID, mostRuns)
	if err != nil {
		return err
	}
	for _, run := range runs {
		say(run.StartedAt, "The %s “%s” began", run.Poll.Type, run.Poll.Title)
		say(run.StoppedAt, "The %s “%s” ended with %d answers", run.Poll.Type, run.Poll.Title, run.Responses)
		span("bar-poll", run.Poll.Title, run.StartedAt, run.StoppedAt)
		result, err := v.pollResult(run)
		if err != nil {
			return err
		}
		p.Polls = append(p.Polls, result)
	}
	say(s.CreatedAt, "The session began")
	say(s.EndedAt, "The session ended")
	slices.SortStableFunc(p.Timeline, func(a, b dash.Happening) int { return a.At.Compare(b.At) })
	return nil
}

func ended(status store.Status, reason string) string {
	text := "ended"
	if status == store.StatusFailed {
		text = "failed"
	}
	if reason != "" {
		text += " (" + reason + ")"
	}
	return text
}

// pollResult counts what came of a poll.
func (v *visit) pollResult(run store.PollRun) (dash.PollResult, error) {
	result := dash.PollResult{Title: run.Poll.Title, Type: run.Poll.Type, Participants: run.Participants}
	responses, err := v.Store.RunResponses(v.ctx(), run.ID, mostResponses)
	if err != nil {
		return result, err
	}
	for _, q := range run.Poll.Questions {
		question := dash.QuestionResult{Text: q.Text}
		choice := q.Type == poll.SingleChoice || q.Type == poll.MultipleChoice
		for _, o := range q.Options {
			question.Answers = append(question.Answers, dash.AnswerCount{Text: o.Text, Right: slices.Contains(q.Answer.Options, o.Index)})
		}
		for _, r := range responses {
			if r.Question != q.Index || r.Skipped {
				continue
			}
			question.Total++
			for i, o := range q.Options {
				if slices.Contains(r.Options, o.Index) {
					question.Answers[i].Count++
				}
			}
			if !choice && r.Text != "" && len(question.Texts) < mostTexts {
				question.Texts = append(question.Texts, r.Text)
			}
		}
		result.Questions = append(result.Questions, question)
	}
	return result, nil
}

// chat puts a page of what was said on the session's page.
func (v *visit) chat(p *dash.SessionDetail, sessionID string) error {
	start := ""
	if s := v.query("chat"); store.IsID(s) {
		start = s
	}
	messages, err := v.Store.Chat(v.ctx(), sessionID, store.Page{Limit: chatPage + 1, Start: start})
	if err != nil {
		return err
	}
	if len(messages) > chatPage {
		messages = messages[:chatPage]
		p.ChatMore = v.r.URL.Path + "?chat=" + messages[chatPage-1].ID
	}
	for _, m := range messages {
		p.Chat = append(p.Chat, dash.ChatLine{Name: cmp.Or(m.Name, "Host"), Text: m.Message, To: strings.Join(m.Roles, ", "), At: m.SentAt})
	}
	return nil
}

// attendanceCSV sends who was in a session as a table for spreadsheets.
func (v *visit) attendanceCSV() error {
	s, err := v.session()
	if err != nil {
		return err
	}
	peers, err := v.Store.Peers(v.ctx(), s.ID)
	if err != nil {
		return err
	}
	v.w.Header().Set("Content-Type", "text/csv; charset=utf-8")
	v.w.Header().Set("Content-Disposition", `attachment; filename="attendance-`+s.ID+`.csv"`)
	table := csv.NewWriter(v.w)
	_ = table.Write([]string{"name", "role", "user_id", "joined_at", "left_at", "minutes"}) // Flush says whether the visitor is gone
	now := time.Now()
	for _, p := range peers {
		left := ""
		if !p.LeftAt.IsZero() {
			left = p.LeftAt.Format(time.RFC3339)
		}
		_ = table.Write([]string{cell(p.Name), cell(p.Role), cell(p.UserID), p.JoinedAt.Format(time.RFC3339), left, dash.Minutes(stay(p, now))})
	}
	table.Flush()
	return nil
}

// cell is a text that somebody chose as a cell of a spreadsheet, which would take what begins like a formula for one
// (CWE-1236).
func cell(text string) string {
	if text != "" && strings.ContainsRune("=+-@\t\r\n", rune(text[0])) || strings.HasPrefix(strings.TrimLeft(text, " "), "=") {
		return "'" + text
	}
	return text
}
