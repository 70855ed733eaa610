//! `kubesmith_cluster`
mod placement;
mod plan;
mod step;
mod target;
