package protocol

// PollInfo describes a poll (§3.6.9): the params of poll-info-set, and what
// lists and notifications carry. Times are epoch milliseconds.
type PollInfo struct {
	PollID         string   `json:"poll_id"`
	Title          string   `json:"title"`
	Type           string   `json:"type"`               // "poll" or "quiz"
	Duration       int      `json:"duration,omitempty"` // seconds; 0: until it is stopped
	Anonymous      bool     `json:"anonymous"`
	Visibility     bool     `json:"visibility"`
	Locked         bool     `json:"locked"`
	Mode           string   `json:"mode,omitempty"`      // how voters are told apart: "userid", "peerid", "username"
	Vote           []string `json:"vote,omitempty"`      // roles that may vote; none: all
	Responses      []string `json:"responses,omitempty"` // roles that may see responses; none: all
	State          string   `json:"state"`
	CreatedBy      string   `json:"created_by,omitempty"` // peer ids
	StartedBy      string   `json:"started_by,omitempty"`
	StoppedBy      string   `json:"stopped_by,omitempty"`
	CreatedAt      int64    `json:"created_at,omitempty"`
	StartedAt      int64    `json:"started_at,omitempty"`
	StoppedAt      int64    `json:"stopped_at,omitempty"`
	QuestionsCount int      `json:"questions_count"`
}

// States of a poll.
const (
	PollCreated = "created"
	PollStarted = "started"
	PollStopped = "stopped"
)

// PollRef is the params of what needs no more than a poll's id.
type PollRef struct {
	PollID string `json:"poll_id"`
}

// PollQuestions is the params of poll-questions-set: the whole list.
type PollQuestions struct {
	PollID    string         `json:"poll_id"`
	Questions []PollQuestion `json:"questions"`
}

// PollQuestion is a question with its options and, in a quiz, the right answer.
type PollQuestion struct {
	Question PollQuestionText `json:"question"`
	Options  []PollOption     `json:"options,omitempty"`
	Answer   PollAnswer       `json:"answer"`
}

// PollQuestionText is a question itself. Indexes begin at 1. It is also a part of
// the API's questions, which have no other form than this.
type PollQuestionText struct {
	Index        int              `json:"index"`
	Text         string           `json:"text"`
	Format       string           `json:"format"` // of the texts
	Attachments  []PollAttachment `json:"attachment"`
	Skippable    bool             `json:"skippable"`
	Duration     int              `json:"duration"`       // seconds; 0: that of the poll
	Once         bool             `json:"once"`           // an answer is final
	Weight       int              `json:"weight"`         // points for the right answer
	AnswerMinLen int              `json:"answer_min_len"` // letters
	AnswerMaxLen int              `json:"answer_max_len"` // 0: as many as the server takes
	Type         string           `json:"type"`           // "single-choice", "multiple-choice", "short-answer", "long-answer"
}

// PollAttachment is a file that is shown with a question.
type PollAttachment struct {
	Type string `json:"type"` // MIME
	URL  string `json:"url"`
}

// PollOption is something that can be chosen. Indexes begin at 1.
type PollOption struct {
	Index  int    `json:"index"`
	Text   string `json:"text"`
	Weight int    `json:"weight"`
}

// PollAnswer is the right one: Option of a single choice, which the API has as
// the only one of Options; Options of a multiple choice; Text of the others.
type PollAnswer struct {
	Hidden  bool   `json:"hidden"` // also from the list that voters get
	Option  int    `json:"option,omitempty"`
	Options []int  `json:"options"`
	Text    string `json:"text"`
	Case    bool   `json:"case"` // upper and lower case differ
	Trim    bool   `json:"trim"` // spaces around do not count
}

// PollQuestionsSet answers poll-questions-set.
type PollQuestionsSet struct {
	PollID string `json:"poll_id"`
	Total  int    `json:"total_questions"`
}

// PollRange is the params of poll-questions-get and poll-responses: Count
// entries from Index on.
type PollRange struct {
	PollID string `json:"poll_id"`
	Index  int    `json:"index"`
	Count  int    `json:"count"`
	Self   bool   `json:"self"` // poll-responses: only one's own
}

// PollQuestionPage answers poll-questions-get.
type PollQuestionPage struct {
	PollID    string         `json:"poll_id"`
	Questions []PollQuestion `json:"questions"` // never null
	Last      bool           `json:"last"`
}

// PollRun answers poll-start and poll-stop.
type PollRun struct {
	PollID   string `json:"poll_id"`
	Duration int    `json:"duration"`
}

// PollVotes is the params of poll-response.
type PollVotes struct {
	PollID    string     `json:"poll_id"`
	Responses []PollVote `json:"responses"`
}

// PollVote answers one question.
type PollVote struct {
	ID       string `json:"response_id,omitempty"` // the server's
	Question int    `json:"question"`
	Type     string `json:"type"`
	Duration int    `json:"duration,omitempty"` // milliseconds that it took
	Skipped  bool   `json:"skipped,omitempty"`
	Option   int    `json:"option,omitempty"`
	Options  []int  `json:"options,omitempty"`
	Text     string `json:"text,omitempty"`
}

// PollVoted answers poll-response.
type PollVoted struct {
	PollID string        `json:"poll_id"`
	Result []PollVerdict `json:"result"`
}

// PollVerdict says whether an answer was right.
type PollVerdict struct {
	Question int  `json:"question"`
	Correct  bool `json:"correct"`
}

// PollResponses answers poll-responses.
type PollResponses struct {
	PollID    string         `json:"poll_id"`
	Last      bool           `json:"last"`
	Responses []PollResponse `json:"responses"`
}

// PollResponse is a vote with who gave it.
type PollResponse struct {
	Final    bool     `json:"final"` // there will be no other to this question
	Response PollVote `json:"response"`
	Peer     Voter    `json:"peer"`
}

// Voter is who voted; in an anonymous poll no more than Hash.
type Voter struct {
	Hash     string `json:"hash"`
	PeerID   string `json:"peerid,omitempty"`
	UserID   string `json:"userid,omitempty"`
	UserName string `json:"username,omitempty"`
}

// PollResult answers poll-result, and is what on-poll-stats carries.
type PollResult struct {
	PollID         string           `json:"poll_id"`
	UserCount      int              `json:"user_count"` // who voted
	MaxUser        int              `json:"max_user"`   // who could have
	TotalResponses int              `json:"total_response"`
	Questions      []QuestionResult `json:"questions"`
}

// QuestionResult counts the answers to one question.
type QuestionResult struct {
	Question int    `json:"question"`
	Type     string `json:"type"`
	Options  []int  `json:"options,omitempty"` // how often each was chosen
	Correct  int    `json:"correct"`
	Skipped  int    `json:"skipped"`
	Total    int    `json:"total"`
}

// ListPolls is the params of poll-list.
type ListPolls struct {
	State string `json:"state"` // all when empty
	Count int    `json:"count"`
	Start string `json:"start"` // Last of the page before
}

// PollList answers poll-list.
type PollList struct {
	Polls []PollInfo `json:"polls"` // never null
	Last  string     `json:"last"`  // empty when there are no more
}

// GetLeaderboard is the params of poll-leaderboard.
type GetLeaderboard struct {
	PollID   string `json:"poll_id"`
	Question int    `json:"question"` // 0: all
	Count    int    `json:"count"`
	Offset   int    `json:"offset"`
}

// Leaderboard answers poll-leaderboard. Times are milliseconds.
type Leaderboard struct {
	PollID       string             `json:"poll_id"`
	TotalUsers   int                `json:"total_users"`
	VotedUsers   int                `json:"voted_users"`
	CorrectUsers int                `json:"correct_users"` // who had everything right
	AvgTime      float64            `json:"avg_time"`
	AvgScore     float64            `json:"avg_score"`
	Entries      []LeaderboardEntry `json:"questions"` // never null
	Last         bool               `json:"last"`
}

// LeaderboardEntry is one voter's place.
type LeaderboardEntry struct {
	Position         int   `json:"position"`
	Score            int   `json:"score"`
	TotalResponses   int   `json:"total_responses"`
	CorrectResponses int   `json:"correct_responses"`
	Duration         int   `json:"duration"`
	Peer             Voter `json:"peer"`
}

// PollsEvent is the params of on-poll-start and on-poll-stop.
type PollsEvent struct {
	Polls []PollInfo `json:"polls"`
}

// PollStatsEvent is the params of on-poll-stats.
type PollStatsEvent struct {
	Polls []PollResult `json:"polls"`
}
