//! Answers of something that says it is Proxmox.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| kubesmith_proxmox::hostile::answer(bytes));
