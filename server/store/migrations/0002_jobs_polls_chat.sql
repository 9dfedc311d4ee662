-- Recordings and external streams, their files, stream keys, polls, chat; and an index for each order and filter of a
-- list: all are paged by id, which begins with the time. created_at is in some so that a list between two times, which
-- may pass over many rows, reads the index only.

DROP INDEX sessions_of_room;
DROP INDEX live_streams_of_room;
DROP INDEX live_streams_of_session;
CREATE INDEX templates_page ON templates (workspace_id, id);
CREATE INDEX rooms_page ON rooms (workspace_id, id, created_at);
CREATE INDEX rooms_page_enabled ON rooms (workspace_id, enabled, id, created_at);
CREATE INDEX sessions_page ON sessions (workspace_id, id, created_at);
CREATE INDEX sessions_page_of_room ON sessions (room_id, id, created_at);
CREATE INDEX live_streams_page ON live_streams (workspace_id, id);
CREATE INDEX live_streams_page_status ON live_streams (workspace_id, status, id);
CREATE INDEX live_streams_page_of_room ON live_streams (room_id, id);
CREATE INDEX live_streams_page_of_session ON live_streams (session_id, id);

-- A room composed for a recording or for a push to other services.
CREATE TABLE jobs (
    id           TEXT PRIMARY KEY,
    kind         TEXT NOT NULL, -- recording, external_stream
    workspace_id TEXT NOT NULL REFERENCES workspaces (id),
    room_id      TEXT NOT NULL REFERENCES rooms (id),
    session_id   TEXT NOT NULL, -- empty: none was open, and the job failed before it could open one
    status       TEXT NOT NULL,
    paused       BOOLEAN NOT NULL,
    setup_json   TEXT NOT NULL, -- what was asked for
    started_by   TEXT NOT NULL,
    stopped_by   TEXT NOT NULL,
    reason       TEXT NOT NULL,
    created_at   BIGINT NOT NULL,
    updated_at   BIGINT NOT NULL,
    started_at   BIGINT NOT NULL,
    stopped_at   BIGINT NOT NULL
);
CREATE INDEX jobs_page ON jobs (workspace_id, kind, id);
CREATE INDEX jobs_page_status ON jobs (workspace_id, kind, status, id);
CREATE INDEX jobs_page_of_room ON jobs (room_id, kind, id);
CREATE INDEX jobs_page_of_session ON jobs (session_id, kind, id);
-- One recording and one push per room at a time, whoever asks.
CREATE UNIQUE INDEX jobs_running ON jobs (room_id, kind) WHERE status IN ('starting', 'running', 'stopping');

-- Files that live streams and jobs left.
CREATE TABLE assets (
    id              TEXT PRIMARY KEY,
    workspace_id    TEXT NOT NULL REFERENCES workspaces (id),
    room_id         TEXT NOT NULL REFERENCES rooms (id),
    session_id      TEXT NOT NULL,
    job_id          TEXT NOT NULL, -- of a live stream or a job
    type            TEXT NOT NULL,
    status          TEXT NOT NULL, -- processing, completed, failed
    path            TEXT NOT NULL,
    size            BIGINT NOT NULL,
    duration        BIGINT NOT NULL, -- seconds
    metadata_json   TEXT NOT NULL,
    thumbnails_json TEXT NOT NULL,
    created_at      BIGINT NOT NULL
);
CREATE INDEX assets_page ON assets (workspace_id, id);
CREATE INDEX assets_page_type ON assets (workspace_id, type, id);
CREATE INDEX assets_page_status ON assets (workspace_id, status, id);
CREATE INDEX assets_page_of_room ON assets (room_id, id);
CREATE INDEX assets_page_of_session ON assets (session_id, id);
CREATE INDEX assets_of_job ON assets (job_id, id);

CREATE TABLE stream_keys (
    id           TEXT PRIMARY KEY,
    workspace_id TEXT NOT NULL REFERENCES workspaces (id),
    room_id      TEXT NOT NULL REFERENCES rooms (id),
    key          TEXT NOT NULL UNIQUE,
    enabled      BOOLEAN NOT NULL,
    created_at   BIGINT NOT NULL,
    updated_at   BIGINT NOT NULL
);
CREATE UNIQUE INDEX stream_keys_enabled ON stream_keys (room_id) WHERE enabled;

CREATE TABLE polls (
    id             TEXT PRIMARY KEY,
    workspace_id   TEXT NOT NULL REFERENCES workspaces (id),
    title          TEXT NOT NULL,
    duration       BIGINT NOT NULL, -- seconds, 0: until stopped
    anonymous      BOOLEAN NOT NULL,
    mode           TEXT NOT NULL, -- who is one participant: userid, peerid, username
    type           TEXT NOT NULL, -- poll, quiz
    start          TEXT NOT NULL, -- auto, manual
    questions_json TEXT NOT NULL,
    created_at     BIGINT NOT NULL,
    updated_at     BIGINT NOT NULL
);

-- One run of a poll in a session.
CREATE TABLE poll_sessions (
    id         TEXT PRIMARY KEY,
    poll_id    TEXT NOT NULL REFERENCES polls (id),
    session_id TEXT NOT NULL REFERENCES sessions (id),
    started_at BIGINT NOT NULL,
    stopped_at BIGINT NOT NULL
);
CREATE INDEX poll_sessions_page ON poll_sessions (poll_id, id);
CREATE UNIQUE INDEX poll_sessions_running ON poll_sessions (poll_id, session_id) WHERE stopped_at = 0;

CREATE TABLE poll_responses (
    id              TEXT PRIMARY KEY,
    poll_id         TEXT NOT NULL REFERENCES polls (id),
    poll_session_id TEXT NOT NULL REFERENCES poll_sessions (id),
    question        BIGINT NOT NULL,
    participant     TEXT NOT NULL, -- by the poll's mode; says nothing about the person when the poll is anonymous
    peer_id         TEXT NOT NULL,
    user_id         TEXT NOT NULL,
    skipped         BOOLEAN NOT NULL,
    text            TEXT NOT NULL,
    options_json    TEXT NOT NULL,
    duration        BIGINT NOT NULL, -- milliseconds
    score           BIGINT NOT NULL,
    original        TEXT NOT NULL,   -- the first response of the same participant to the question, empty for itself
    retries         BIGINT NOT NULL, -- before this one
    superseded      BOOLEAN NOT NULL,
    sent_at         BIGINT NOT NULL
);
CREATE INDEX poll_responses_page ON poll_responses (poll_id, id);
CREATE INDEX poll_responses_of_question ON poll_responses (poll_id, question, id);
-- What counts: one response per question and participant.
CREATE UNIQUE INDEX poll_responses_valid ON poll_responses (poll_session_id, participant, question) WHERE NOT superseded;
CREATE INDEX poll_responses_of_session ON poll_responses (poll_session_id);

-- Chat messages to everybody and to roles; not what was said to one person.
CREATE TABLE chat (
    id          TEXT PRIMARY KEY,
    session_id  TEXT NOT NULL REFERENCES sessions (id),
    peer_id     TEXT NOT NULL,
    name        TEXT NOT NULL,
    user_id     TEXT NOT NULL,
    roles_json  TEXT NOT NULL, -- receivers; an empty list is everybody
    type        TEXT NOT NULL,
    message     TEXT NOT NULL,
    sent_at     BIGINT NOT NULL
);
CREATE INDEX chat_page ON chat (session_id, id);
CREATE INDEX chat_sent ON chat (sent_at);
