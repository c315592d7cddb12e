//! libFuzzer's door to [`renewd_fuzz::admin_request`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| renewd_fuzz::admin_request(data));
