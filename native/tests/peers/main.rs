//! The command with other people's programs, as a user would have it: Kamailio as registrar and proxy
//! on every transport, baresip and SIPp beyond it, and a NAT between two network namespaces.
//!
//! What is not installed is said and left out; `cargo xtask test` installs it, and CI fails without.
#![cfg(all(feature = "cli", target_os = "linux"))]

mod baresip;
#[path = "../common/certificates.rs"]
mod certificates;
mod kamailio;
mod nat;
#[path = "../common/process.rs"]
mod process;
mod program;
mod refusals;
mod restart;
mod sipp;
mod sound;
mod transports;
mod v6;
