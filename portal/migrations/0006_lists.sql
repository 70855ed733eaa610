-- A list says of each cluster how its last run stands, and reads no more of that run than this.
CREATE INDEX runs_last ON runs (cluster, id, kind, state);
DROP INDEX runs_of;
-- A home page begins with what needs somebody, and looks for it among these.
CREATE INDEX runs_unsettled ON runs (cluster) WHERE state <> 'succeeded';
