//! Clusters as people asked for them.
