//! Digest authentication (RFC 3261 §22, RFC 7616, RFC 8760) and the credentials it uses.
//!
//! `DigestClient` answers the challenges of servers and proxies, within the rule of `RealmPin`;
//! `DigestServer` makes them and checks the answers. Read
//! `Challenge` first.

mod algorithm;
mod challenge;
mod client;
mod credentials;
mod params;
mod pin;
mod server;
#[cfg(test)]
mod tests;

pub use algorithm::Algorithm;
pub use client::AuthError;
pub use credentials::CredentialsManager;

pub(crate) use challenge::Asker;
pub(crate) use client::{Authorization, DigestClient, Rounds};
pub(crate) use pin::RealmPin;
pub(crate) use server::{DigestServer, Refusal};
