//! Phones in virtual time: with each other, and with peers that say what a test wants.

mod bodies;
mod callee;
mod caller;
mod calls;
mod chaos;
mod handler;
mod hold;
mod hosts;
mod large;
mod late_offers;
mod messages;
mod moving;
mod nats;
mod no_answer;
mod reachable;
mod reasons;
mod redirects;
mod referrals;
mod registering;
mod requests;
mod scene;
mod servers;
mod strays;
mod streams;
mod torture;
mod transfers;
mod within;

/// A phone may move to another thread.
#[test]
fn a_phone_can_be_sent() {
    fn sends<T: Send>() {}
    sends::<super::Phone>();
    sends::<crate::softphone::Softphone>();
}
