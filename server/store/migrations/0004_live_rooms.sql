-- The states of open sessions, for a server that starts again, and when the last one was alive.
CREATE TABLE live_rooms (
    room_id    TEXT PRIMARY KEY REFERENCES rooms (id),
    session_id TEXT NOT NULL REFERENCES sessions (id),
    state_json TEXT NOT NULL,
    saved_at   BIGINT NOT NULL
);

CREATE TABLE heartbeat (
    id      BIGINT PRIMARY KEY, -- 1
    beat_at BIGINT NOT NULL
);
