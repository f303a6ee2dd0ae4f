//! Phones in virtual time: with each other, and with peers that say what a test wants.

mod callee;
mod caller;
mod calls;
mod hosts;
mod registering;
mod scene;
