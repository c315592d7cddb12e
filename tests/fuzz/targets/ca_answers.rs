//! libFuzzer's door to [`renewd_fuzz::ca_answers`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| renewd_fuzz::ca_answers(data));
