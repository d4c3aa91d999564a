#![no_main]

#[path = "../../tests/hostile/doors.rs"]
#[allow(dead_code, reason = "each target is one door")]
mod doors;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| doors::journal(bytes));
