//! The core on its own, as a module whose import section `cargo xtask test imports` reads: it must
//! be empty. It has no wasm-bindgen, and a `main` needs no unsafe export.
#![forbid(unsafe_code)]

use offhook_core::config::PhoneParameters;

fn main() {
    std::hint::black_box(PhoneParameters::without_server("probe"));
}
