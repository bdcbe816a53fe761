#![no_main]

// Admission catches what the CRDT library panics with; libFuzzer's hook would end the process before
// that. A panic that nobody catches still fails the run.
libfuzzer_sys::fuzz_target!(
    init: std::panic::set_hook(Box::new(|_| {})),
    |bytes: &[u8]| daybook_fuzz::bodies::board(bytes)
);
