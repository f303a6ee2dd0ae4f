//! See `offhook_tests::fuzz`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| offhook_tests::fuzz::run("relay", input));
