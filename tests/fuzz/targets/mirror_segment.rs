//! libFuzzer's door to [`renewd_fuzz::mirror_segment`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| renewd_fuzz::mirror_segment(data));
