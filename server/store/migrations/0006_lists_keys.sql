-- Lists of the dashboard; access keys that end.

-- Rooms whose name has a text in it are found in the index alone, newest first.
CREATE INDEX rooms_search ON rooms (workspace_id, id, name_key);
CREATE INDEX poll_sessions_of_session ON poll_sessions (session_id, id);

ALTER TABLE access_keys ADD COLUMN valid_until BIGINT NOT NULL DEFAULT 0; -- 0: for ever
