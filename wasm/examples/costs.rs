//! What `cargo xtask js-bench` measures by itself: a crossing from JavaScript, and parsing.
#![forbid(unsafe_code)]

use std::hint::black_box;

use wasm_bindgen::prelude::wasm_bindgen;

/// Does nothing: what it costs to be called.
#[wasm_bindgen]
pub fn cross(number: u32) -> u32 {
    black_box(number)
}

/// Takes a packet and looks at nothing.
#[wasm_bindgen]
pub fn take(packet: &[u8]) -> usize {
    black_box(packet).len()
}

/// Parses a message with its addresses, as every phone does; its CSeq.
#[wasm_bindgen]
pub fn parse(message: &[u8]) -> u32 {
    offhook_tests::work::parse(message).cseq()
}
