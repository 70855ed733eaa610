-- Credentials that were handed out: who has which, until when. Never the credential itself.
CREATE TABLE kubeconfigs (
    id         TEXT PRIMARY KEY,
    cluster    TEXT NOT NULL REFERENCES clusters (id),
    person     TEXT NOT NULL REFERENCES people (id),
    kind       TEXT NOT NULL,
    namespace  TEXT,
    account    TEXT NOT NULL,
    reason     TEXT,
    issued_at  TEXT NOT NULL,
    expires_at TEXT NOT NULL,
    revoked_at TEXT
) STRICT;
CREATE INDEX kubeconfigs_of ON kubeconfigs (cluster);
