-- Webhook history and replay, replaced webhook secrets, analytics.

ALTER TABLE outbox ADD COLUMN url TEXT NOT NULL DEFAULT ''; -- where the last attempt went
CREATE INDEX outbox_history ON outbox (workspace_id, created_at, seq);

-- Secrets that were replaced and still sign, so that receivers can change theirs at leisure.
CREATE TABLE webhook_old_secrets (
    workspace_id TEXT NOT NULL REFERENCES workspaces (id),
    secret       TEXT NOT NULL,
    valid_until  BIGINT NOT NULL,
    PRIMARY KEY (workspace_id, secret)
);

-- A replay sends finished events again, on its own way beside the rooms' order.
CREATE TABLE replays (
    id           TEXT PRIMARY KEY,
    workspace_id TEXT NOT NULL REFERENCES workspaces (id),
    filter_json  TEXT NOT NULL,
    total        BIGINT NOT NULL,
    delivered    BIGINT NOT NULL,
    failed       BIGINT NOT NULL,
    started_at   BIGINT NOT NULL,
    finished_at  BIGINT NOT NULL
);
CREATE INDEX replays_running ON replays (workspace_id, id) WHERE finished_at = 0;

-- Events of a replay. Those that were delivered are deleted.
CREATE TABLE replay_events (
    replay_id TEXT NOT NULL REFERENCES replays (id),
    seq       BIGINT NOT NULL, -- of the outbox
    error     TEXT NOT NULL,   -- empty: to be sent
    PRIMARY KEY (replay_id, seq)
);

-- What happened in sessions: tracks, recordings, errors of clients.
CREATE TABLE analytics_events (
    seq          {{serial}},
    event_id     TEXT NOT NULL,
    workspace_id TEXT NOT NULL REFERENCES workspaces (id),
    room_id      TEXT NOT NULL,
    session_id   TEXT NOT NULL,
    peer_id      TEXT NOT NULL,
    user_id      TEXT NOT NULL,
    beam_id      TEXT NOT NULL,
    type         TEXT NOT NULL,
    is_error     BOOLEAN NOT NULL,
    data_json    TEXT NOT NULL,
    created_at   BIGINT NOT NULL
);
CREATE INDEX analytics_events_of_room ON analytics_events (room_id, seq);
CREATE INDEX analytics_events_age ON analytics_events (created_at);

-- What clients measured of their media: one row for each report.
CREATE TABLE peer_stats (
    seq          {{serial}},
    workspace_id TEXT NOT NULL REFERENCES workspaces (id),
    room_id      TEXT NOT NULL,
    session_id   TEXT NOT NULL,
    peer_id      TEXT NOT NULL,
    report_json  TEXT NOT NULL,
    created_at   BIGINT NOT NULL
);
CREATE INDEX peer_stats_of_peer ON peer_stats (session_id, peer_id, seq);
CREATE INDEX peer_stats_age ON peer_stats (created_at);
