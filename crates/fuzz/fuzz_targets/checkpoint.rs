#![no_main]
#![allow(missing_docs, reason = "it is one line")]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| whipsnake_fuzz::checkpoint(bytes));
