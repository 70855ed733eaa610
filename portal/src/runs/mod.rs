//! Runs: a durable queue, one writer per workspace.
