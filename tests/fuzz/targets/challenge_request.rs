//! libFuzzer's door to [`renewd_fuzz::challenge_request`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| renewd_fuzz::challenge_request(data));
