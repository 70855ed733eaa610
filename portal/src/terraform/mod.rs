//! Terraform as a supervised child.
