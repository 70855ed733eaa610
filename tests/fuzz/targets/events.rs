//! Lines of the event stream, and of a playbook's progress.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| kubesmith_fuzz::events(bytes));
