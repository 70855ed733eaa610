//! Terraform's HTTP backend: locks, versions, files in the workspace.
