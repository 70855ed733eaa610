-- Whoever asks twice, or at the same time as somebody else, is told: a cluster has one run at a time.
CREATE UNIQUE INDEX runs_one_open ON runs (cluster) WHERE finished_at IS NULL;
