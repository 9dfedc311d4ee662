-- Times are milliseconds since 1970 UTC, 0 = never. Columns named like *_json hold JSON texts.
-- {{serial}} is the dialect's growing number, see dialect.go; everything else is SQL that SQLite and PostgreSQL share.

CREATE TABLE workspaces (
    id                   TEXT PRIMARY KEY, -- the customer id of the API
    app_id               TEXT NOT NULL,
    name                 TEXT NOT NULL,
    webhook_url          TEXT NOT NULL,
    webhook_headers_json TEXT NOT NULL,
    webhook_secret       TEXT NOT NULL,
    created_at           BIGINT NOT NULL,
    updated_at           BIGINT NOT NULL
);

CREATE TABLE access_keys (
    access_key   TEXT PRIMARY KEY,
    workspace_id TEXT NOT NULL REFERENCES workspaces (id),
    secret       TEXT NOT NULL,
    created_at   BIGINT NOT NULL
);
CREATE INDEX access_keys_of_workspace ON access_keys (workspace_id);

CREATE TABLE templates (
    id           TEXT PRIMARY KEY,
    workspace_id TEXT NOT NULL REFERENCES workspaces (id),
    name         TEXT NOT NULL,
    policy_json  TEXT NOT NULL,
    is_default   BOOLEAN NOT NULL,
    created_at   BIGINT NOT NULL,
    updated_at   BIGINT NOT NULL,
    UNIQUE (workspace_id, name)
);

CREATE TABLE rooms (
    id                   TEXT PRIMARY KEY,
    workspace_id         TEXT NOT NULL REFERENCES workspaces (id),
    template_id          TEXT NOT NULL REFERENCES templates (id),
    name                 TEXT NOT NULL,
    name_key             TEXT NOT NULL, -- the name in lower case: names are unique regardless of case
    description          TEXT NOT NULL,
    enabled              BOOLEAN NOT NULL,
    region               TEXT NOT NULL,
    large_room           BOOLEAN NOT NULL,
    size                 BIGINT NOT NULL,
    max_duration_seconds BIGINT NOT NULL,
    recording_json       TEXT NOT NULL,
    polls_json           TEXT NOT NULL,
    webhook_json         TEXT NOT NULL,
    created_at           BIGINT NOT NULL,
    updated_at           BIGINT NOT NULL,
    UNIQUE (workspace_id, name_key)
);
CREATE INDEX rooms_of_template ON rooms (template_id);

CREATE TABLE room_codes (
    code       TEXT PRIMARY KEY,
    room_id    TEXT NOT NULL REFERENCES rooms (id),
    role       TEXT NOT NULL,
    enabled    BOOLEAN NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE INDEX room_codes_of_room ON room_codes (room_id);

CREATE TABLE sessions (
    id           TEXT PRIMARY KEY,
    workspace_id TEXT NOT NULL REFERENCES workspaces (id),
    room_id      TEXT NOT NULL REFERENCES rooms (id),
    created_at   BIGINT NOT NULL,
    updated_at   BIGINT NOT NULL,
    ended_at     BIGINT NOT NULL
);
CREATE INDEX sessions_of_room ON sessions (room_id);
CREATE INDEX sessions_open ON sessions (id) WHERE ended_at = 0;

CREATE TABLE session_peers (
    id         TEXT NOT NULL, -- chosen by the client, so unique within the session only
    session_id TEXT NOT NULL REFERENCES sessions (id),
    name       TEXT NOT NULL,
    role       TEXT NOT NULL,
    user_id    TEXT NOT NULL,
    joined_at  BIGINT NOT NULL,
    left_at    BIGINT NOT NULL,
    PRIMARY KEY (session_id, id)
);

CREATE TABLE live_streams (
    id             TEXT PRIMARY KEY,
    workspace_id   TEXT NOT NULL REFERENCES workspaces (id),
    room_id        TEXT NOT NULL REFERENCES rooms (id),
    session_id     TEXT NOT NULL REFERENCES sessions (id),
    status         TEXT NOT NULL,
    destination    TEXT NOT NULL,
    meeting_url    TEXT NOT NULL,
    playback_url   TEXT NOT NULL,
    width          BIGINT NOT NULL,
    height         BIGINT NOT NULL,
    recording_json TEXT NOT NULL,
    started_by     TEXT NOT NULL,
    stopped_by     TEXT NOT NULL,
    reason         TEXT NOT NULL,
    created_at     BIGINT NOT NULL,
    updated_at     BIGINT NOT NULL,
    started_at     BIGINT NOT NULL,
    stopped_at     BIGINT NOT NULL
);
CREATE INDEX live_streams_of_room ON live_streams (room_id);
CREATE INDEX live_streams_of_session ON live_streams (session_id);
-- One composed stream per room at a time, whoever asks.
CREATE UNIQUE INDEX live_streams_running ON live_streams (room_id) WHERE status IN ('starting', 'running', 'stopping');

-- Webhook events, written in the transaction of what they tell about, delivered by server/webhook.
CREATE TABLE outbox (
    seq          {{serial}},
    event_id     TEXT NOT NULL UNIQUE,
    workspace_id TEXT NOT NULL REFERENCES workspaces (id),
    room_id      TEXT NOT NULL REFERENCES rooms (id),
    type         TEXT NOT NULL,
    payload      TEXT NOT NULL, -- the request's body, byte for byte
    state        TEXT NOT NULL, -- pending, delivered, dead
    attempts     BIGINT NOT NULL,
    next_at      BIGINT NOT NULL,
    created_at   BIGINT NOT NULL,
    finished_at  BIGINT NOT NULL,
    last_error   TEXT NOT NULL
);
CREATE INDEX outbox_pending ON outbox (room_id, seq) WHERE state = 'pending';
CREATE INDEX outbox_finished ON outbox (finished_at) WHERE state <> 'pending';
