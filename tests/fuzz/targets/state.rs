//! Values as they stand in a state file.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| kubesmith_tfplugin::hostile::state(bytes));
