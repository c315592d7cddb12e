//! libFuzzer's door to [`renewd_fuzz::configuration`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| renewd_fuzz::configuration(data));
