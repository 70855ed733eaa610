-- People, how they prove who they are, what they share, and what happened.
-- Identifiers are ULIDs, times RFC 3339 in UTC with milliseconds: both sort as text. Secrets stand here only as hashes.

CREATE TABLE people (
    id            TEXT PRIMARY KEY,
    login         TEXT NOT NULL UNIQUE,
    name          TEXT NOT NULL,
    role          TEXT NOT NULL CHECK (role IN ('viewer', 'developer', 'team_lead', 'admin')),
    auditor       INTEGER NOT NULL DEFAULT 0 CHECK (auditor IN (0, 1)),
    password_hash TEXT,                       -- Argon2id in PHC form; none until the person has used a link
    created_at    TEXT NOT NULL,
    disabled_at   TEXT
) STRICT;

CREATE TABLE sessions (
    id         TEXT PRIMARY KEY,
    hash       TEXT NOT NULL UNIQUE,          -- SHA-256 of the cookie's value
    person     TEXT NOT NULL REFERENCES people (id) ON DELETE CASCADE,
    created_at TEXT NOT NULL,
    seen_at    TEXT NOT NULL,
    expires_at TEXT NOT NULL,
    address    TEXT NOT NULL,
    agent      TEXT NOT NULL
) STRICT;
CREATE INDEX sessions_of ON sessions (person);

-- Links that set a password once: the first administrator's, an invitation, a recovery.
CREATE TABLE links (
    hash       TEXT PRIMARY KEY,
    purpose    TEXT NOT NULL CHECK (purpose IN ('bootstrap', 'password')),
    person     TEXT REFERENCES people (id) ON DELETE CASCADE,
    created_at TEXT NOT NULL,
    expires_at TEXT NOT NULL,
    used_at    TEXT
) STRICT;

CREATE TABLE keys (
    id           TEXT PRIMARY KEY,            -- the twelve characters after ks_
    hash         TEXT NOT NULL,               -- SHA-256 of the secret part
    owner        TEXT NOT NULL REFERENCES people (id) ON DELETE CASCADE,
    label        TEXT NOT NULL,
    scopes       TEXT NOT NULL,               -- separated by spaces
    cluster      TEXT,                        -- the only cluster it is good for, if it was narrowed
    created_at   TEXT NOT NULL,
    expires_at   TEXT NOT NULL,
    last_used_at TEXT,
    revoked_at   TEXT
) STRICT;
CREATE INDEX keys_of ON keys (owner);

CREATE TABLE environments (
    id           TEXT PRIMARY KEY,
    name         TEXT NOT NULL UNIQUE,        -- a DNS label
    title        TEXT NOT NULL,
    kind         TEXT NOT NULL CHECK (kind IN ('course', 'group')),
    proxmox_pool TEXT,
    bridge       TEXT NOT NULL,
    vlan         INTEGER,
    address_pool TEXT NOT NULL,
    created_at   TEXT NOT NULL,
    archived_at  TEXT
) STRICT;

CREATE TABLE members (
    environment TEXT NOT NULL REFERENCES environments (id) ON DELETE CASCADE,
    person      TEXT NOT NULL REFERENCES people (id) ON DELETE CASCADE,
    role        TEXT NOT NULL CHECK (role IN ('viewer', 'developer', 'team_lead')),
    added_at    TEXT NOT NULL,
    PRIMARY KEY (environment, person)
) STRICT;
CREATE INDEX members_of ON members (person);

CREATE TABLE audit (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    at          TEXT NOT NULL,
    request     TEXT NOT NULL,
    person      TEXT,                         -- no reference: a row outlives whom it names
    login       TEXT NOT NULL,
    via         TEXT NOT NULL,                -- session, key ks_..., run ..., link, host
    action      TEXT NOT NULL,
    target_kind TEXT NOT NULL,
    target      TEXT NOT NULL,
    target_name TEXT NOT NULL,
    address     TEXT NOT NULL,
    result      TEXT,                         -- none while the request is being served, or if the portal died with it
    status      INTEGER,
    detail      TEXT
) STRICT;
CREATE INDEX audit_of ON audit (target, id);

-- Append-only. A row is written before the request is served, and completed once.
CREATE TRIGGER audit_is_never_deleted BEFORE DELETE ON audit
BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
CREATE TRIGGER audit_is_completed_once BEFORE UPDATE ON audit
WHEN old.result IS NOT NULL OR new.result IS NULL
  OR (new.id, new.at, new.request, new.person, new.login, new.via, new.action, new.address)
     IS NOT (old.id, old.at, old.request, old.person, old.login, old.via, old.action, old.address)
BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
