//! Values as Terraform sends them.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| kubesmith_tfplugin::hostile::msgpack(bytes));
