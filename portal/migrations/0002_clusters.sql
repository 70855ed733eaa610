-- What people asked for, what may be used, and what was run. What *exists* is said by Terraform state alone.

CREATE TABLE clusters (
    id          TEXT PRIMARY KEY,             -- also its workspace's folder and the owner that its machines are stamped with
    name        TEXT NOT NULL,
    environment TEXT NOT NULL REFERENCES environments (id),
    spec        TEXT NOT NULL,                -- the last wish that was queued, as JSON
    protected   INTEGER NOT NULL DEFAULT 0 CHECK (protected IN (0, 1)),
    created_by  TEXT NOT NULL REFERENCES people (id),
    created_at  TEXT NOT NULL,
    removed_at  TEXT                          -- when it was proven to be gone
) STRICT;
CREATE UNIQUE INDEX clusters_by_name ON clusters (name) WHERE removed_at IS NULL;
CREATE INDEX clusters_in ON clusters (environment);

CREATE TABLE grants (
    cluster    TEXT NOT NULL REFERENCES clusters (id) ON DELETE CASCADE,
    person     TEXT NOT NULL REFERENCES people (id) ON DELETE CASCADE,
    level      TEXT NOT NULL CHECK (level IN ('view', 'use', 'edit', 'own')),
    granted_by TEXT NOT NULL,
    granted_at TEXT NOT NULL,
    PRIMARY KEY (cluster, person)
) STRICT;
CREATE INDEX grants_of ON grants (person);

CREATE TABLE runs (
    id            TEXT PRIMARY KEY,
    cluster       TEXT NOT NULL REFERENCES clusters (id),
    kind          TEXT NOT NULL,
    state         TEXT NOT NULL,
    spec          TEXT,
    plan          TEXT,
    plan_hash     TEXT,
    token_hash    TEXT,                       -- SHA-256 of what Terraform shows to the state endpoint, while the run lasts
    requested_by  TEXT NOT NULL REFERENCES people (id),
    approved_by   TEXT REFERENCES people (id),
    created_at    TEXT NOT NULL,
    started_at    TEXT,
    finished_at   TEXT,
    cancel_at     TEXT,
    failure       TEXT,
    receipt       TEXT
) STRICT;
CREATE INDEX runs_of ON runs (cluster, id);
CREATE INDEX runs_in_state ON runs (state);

CREATE TABLE quotas (
    scope    TEXT NOT NULL CHECK (scope IN ('site', 'environment', 'person')),
    id       TEXT NOT NULL,                   -- '' for the site, or for the default of every person or environment
    clusters   INTEGER,
    machines   INTEGER,
    cores      INTEGER,
    memory_mib INTEGER,
    disk_gib   INTEGER,
    PRIMARY KEY (scope, id)
) STRICT;

-- What a cluster holds of the quotas, taken in the transaction that queues a run.
CREATE TABLE reservations (
    cluster     TEXT PRIMARY KEY REFERENCES clusters (id),
    person      TEXT NOT NULL REFERENCES people (id),
    environment TEXT NOT NULL REFERENCES environments (id),
    machines    INTEGER NOT NULL,
    cores       INTEGER NOT NULL,
    memory_mib  INTEGER NOT NULL,
    disk_gib    INTEGER NOT NULL
) STRICT;

CREATE TABLE idempotency (
    person     TEXT NOT NULL REFERENCES people (id) ON DELETE CASCADE,
    key        TEXT NOT NULL,
    request    TEXT NOT NULL,                 -- SHA-256 of method, path and body
    status     INTEGER,
    body       TEXT,
    created_at TEXT NOT NULL,
    PRIMARY KEY (person, key)
) STRICT;
