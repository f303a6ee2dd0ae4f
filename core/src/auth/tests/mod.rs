//! The RFCs' examples, a client against a server, and what pyVoIP got wrong.

mod client;
mod pyvoip;
mod server;
mod vectors;

use core::net::{IpAddr, Ipv4Addr};

use super::algorithm::{self, Qop, Request, hashed_username};
use super::challenge::Challenge;
use super::params::Params;
use super::server::Verified;
use super::{
    Algorithm, Asker, AuthError, Authorization, DigestClient, DigestServer, Refusal, Rounds,
};
use crate::host::{Clock, Datagrams, Entropy, Outbound};
use crate::time::{Duration, Instant, WallTime};

/// A clock that is set and a counter for randomness.
struct Bench {
    now: Instant,
    seed: u64,
}

impl Clock for Bench {
    fn now(&self) -> Instant {
        self.now
    }
    fn wall(&self) -> WallTime {
        WallTime::from_micros(0)
    }
}

impl Entropy for Bench {
    fn fill(&mut self, bytes: &mut [u8]) {
        for byte in bytes {
            self.seed = self.seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            *byte = (self.seed >> 56) as u8;
        }
    }
}

impl Datagrams for Bench {
    fn send(&mut self, _: Outbound<'_>) {
        panic!("authentication sends nothing");
    }
}

fn bench() -> Bench {
    Bench { now: Instant::from_micros(1_000_000), seed: 7 }
}

/// Where requests come from.
const SOURCE: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
const URI: &str = "sip:pbx.example.com";

fn mufasa(_: &str) -> Option<(String, String)> {
    Some(("Mufasa".to_owned(), "Circle of Life".to_owned()))
}

fn password(name: &str) -> Option<String> {
    (name == "Mufasa").then(|| "Circle of Life".to_owned())
}

/// A client that was challenged, and its request's rounds.
fn challenged(challenges: &[&str]) -> (DigestClient, Rounds) {
    let (mut client, mut rounds) = (DigestClient::new(true), Rounds::default());
    let fields = challenges.iter().copied();
    client.handle_challenge(&mut rounds, Asker::Server, fields, mufasa).unwrap();
    (client, rounds)
}

/// The one field that the client puts into a REGISTER.
fn answer(client: &mut DigestClient, rounds: &mut Rounds) -> String {
    let mut fields = client.authorize(&mut bench(), rounds, "REGISTER", URI, b"");
    assert_eq!(fields.len(), 1);
    fields.remove(0).value
}

fn param(field: &str, name: &str) -> Option<String> {
    Params::parse(field).first()?.value(name).map(str::to_owned)
}

fn verify(server: &mut DigestServer, host: &mut Bench, field: &str) -> Result<Verified, Refusal> {
    server.verify(host, SOURCE, [field], "REGISTER", b"", password)
}
