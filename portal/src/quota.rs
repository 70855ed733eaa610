//! Limits per person, environment and site.
