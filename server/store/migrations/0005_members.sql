-- Members of the dashboard, how they sign in, and what they did.

CREATE TABLE members (
    id           TEXT PRIMARY KEY,
    workspace_id TEXT NOT NULL REFERENCES workspaces (id),
    email        TEXT NOT NULL,
    email_key    TEXT NOT NULL UNIQUE, -- in lower case
    name         TEXT NOT NULL,
    role         TEXT NOT NULL, -- admin, developer, viewer
    password     TEXT NOT NULL, -- a hash that names its own parameters, empty: none
    created_at   BIGINT NOT NULL,
    updated_at   BIGINT NOT NULL
);
CREATE INDEX members_of_workspace ON members (workspace_id, id);

-- Links that let somebody in once: the first owner, who was invited, a member who lost the password.
CREATE TABLE member_links (
    id           TEXT PRIMARY KEY,
    hash         TEXT NOT NULL UNIQUE, -- SHA-256 of the secret in the address
    workspace_id TEXT NOT NULL REFERENCES workspaces (id),
    member_id    TEXT NOT NULL, -- whom it signs in; empty: it makes a member
    email        TEXT NOT NULL, -- of the member that it makes; empty: theirs to say
    role         TEXT NOT NULL, -- of the member that it makes
    created_at   BIGINT NOT NULL,
    expires_at   BIGINT NOT NULL,
    used_at      BIGINT NOT NULL
);
CREATE INDEX member_links_of_workspace ON member_links (workspace_id, id);
CREATE INDEX member_links_age ON member_links (expires_at);

CREATE TABLE member_sessions (
    id         TEXT PRIMARY KEY,
    hash       TEXT NOT NULL UNIQUE, -- SHA-256 of the cookie
    member_id  TEXT NOT NULL REFERENCES members (id),
    method     TEXT NOT NULL, -- password, passkey, link
    agent      TEXT NOT NULL,
    address    TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    seen_at    BIGINT NOT NULL
);
CREATE INDEX member_sessions_of_member ON member_sessions (member_id, id);
CREATE INDEX member_sessions_age ON member_sessions (seen_at);

-- WebAuthn credentials.
CREATE TABLE passkeys (
    id              TEXT PRIMARY KEY, -- the credential's id, base64url
    member_id       TEXT NOT NULL REFERENCES members (id),
    name            TEXT NOT NULL,
    credential_json TEXT NOT NULL,
    created_at      BIGINT NOT NULL,
    used_at         BIGINT NOT NULL
);
CREATE INDEX passkeys_of_member ON passkeys (member_id, created_at);

-- What a browser was asked to sign; each is taken once.
CREATE TABLE passkey_challenges (
    id             TEXT PRIMARY KEY,
    challenge_json TEXT NOT NULL,
    expires_at     BIGINT NOT NULL
);
CREATE INDEX passkey_challenges_age ON passkey_challenges (expires_at);

-- Who did what in the dashboard. It outlives members: their names are copied.
CREATE TABLE audit (
    id           TEXT PRIMARY KEY,
    workspace_id TEXT NOT NULL REFERENCES workspaces (id),
    member_id    TEXT NOT NULL, -- empty: nobody was signed in
    member       TEXT NOT NULL,
    action       TEXT NOT NULL,
    what         TEXT NOT NULL,
    address      TEXT NOT NULL,
    created_at   BIGINT NOT NULL
);
CREATE INDEX audit_page ON audit (workspace_id, id);
CREATE INDEX audit_page_of_member ON audit (workspace_id, member_id, id);
CREATE INDEX audit_page_of_action ON audit (workspace_id, action, id);
CREATE INDEX audit_age ON audit (created_at);
