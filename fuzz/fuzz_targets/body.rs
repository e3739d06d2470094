#![no_main]

use std::sync::{LazyLock, Mutex};

use libfuzzer_sys::fuzz_target;
use stack_fuzz::body::Services;

static SERVICES: LazyLock<Mutex<Services>> = LazyLock::new(|| Mutex::new(Services::start()));

fuzz_target!(|bytes: &[u8]| {
    SERVICES.lock().unwrap().run(bytes);
});
