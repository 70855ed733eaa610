//! Networks, pools, rows of the ledger, descriptions of clusters.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| kubesmith_fuzz::addresses(bytes));
