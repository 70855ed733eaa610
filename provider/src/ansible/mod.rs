//! Runs playbooks
mod inventory;
mod vars;
