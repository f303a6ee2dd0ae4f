//! What crosses the crates of offhook: scenarios in virtual time, fuzz targets, real peers.
//!
//! The scenarios are one table, [`scenarios::SCENARIOS`], and run wherever the core runs: natively
//! and, compiled to WebAssembly, under Node. The same seed gives the same hash everywhere.

pub mod fuzz;
pub mod idle;
#[cfg(not(target_arch = "wasm32"))]
pub mod peers;
pub mod played;
pub mod random;
#[cfg(not(target_arch = "wasm32"))]
pub mod relay;
pub mod scenarios;
#[cfg(not(target_arch = "wasm32"))]
pub mod sipp;
#[cfg(not(target_arch = "wasm32"))]
pub mod stall;
pub mod stranger;
pub mod work;
pub mod world;

// The examples of the guide compile, and those that can run do.
#[cfg(doctest)]
mod documents {
    #[doc = include_str!("../../README.md")]
    struct Readme;
    #[doc = include_str!("../../docs/guide.md")]
    struct Guide;
    #[doc = include_str!("../../docs/from-pyvoip.md")]
    struct FromPyvoip;
    #[doc = include_str!("../../docs/testing.md")]
    struct Testing;
}
