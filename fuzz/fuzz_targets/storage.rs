#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    defender_bridge_fuzz::storage(data);
});
