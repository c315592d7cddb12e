//! libFuzzer's door to [`renewd_fuzz::event_codec`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| renewd_fuzz::event_codec(data));
