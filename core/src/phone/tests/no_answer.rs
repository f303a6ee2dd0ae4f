//! A server that challenges a request and is then silent: what came before is not forgotten.

use super::scene::{ALICE, Actor, PEER, Scene};
use crate::config::PhoneParameters;
use crate::error::Error;
use crate::event::{CallEvent, Event, PhoneEvent};
use crate::phone::Phone;
use crate::sim::{Arrival, ScriptedPeer};
use crate::time::Duration;

const CHALLENGE: &str =
    "WWW-Authenticate: Digest realm=\"pbx\", nonce=\"n1\", algorithm=MD5, qop=\"auth\"";

fn challenge_and_fall_silent(peer: &mut ScriptedPeer, arrival: &Arrival) {
    let asks = ["REGISTER", "OPTIONS", "INVITE"];
    let is_request = asks.iter().any(|method| arrival.first_line().starts_with(method));
    if is_request && arrival.header("Authorization").is_none() {
        peer.reply(arrival, "401 Unauthorized", CHALLENGE);
    }
}

/// Why it failed, whatever it was.
fn failure(actor: &Actor) -> Option<Error> {
    actor.events().into_iter().find_map(|event| match event {
        Event::Phone(PhoneEvent::RegistrationFailed { error, .. }) => error,
        Event::Response { reply, .. } => reply.expect_err("the server is silent"),
        Event::Call { event: CallEvent::Ended(ending), .. } => ending.error,
        _ => None,
    })
}

fn after(parameters: PhoneParameters, act: impl FnOnce(&mut Phone)) -> Option<Error> {
    let mut scene = Scene::new();
    scene.peer(PEER, challenge_and_fall_silent);
    let alice = scene.phone(ALICE, parameters);
    scene.start(&alice);
    scene.tell(&alice, act);
    scene.run(Duration::from_secs(40));
    failure(&alice)
}

#[test]
fn silence_after_a_challenge_is_reported_as_such() {
    let expected = Some(Error::NoAnswer { peer: "10.0.0.9".to_owned(), challenge: 401 });
    let parameters = PhoneParameters::new("10.0.0.9", "alice").password("secret");
    let register = |parameters| after(parameters, |_| {});
    assert_eq!(register(parameters.clone()), expected, "REGISTER");
    let hurried =
        PhoneParameters { start_timeout: Some(Duration::from_secs(5)), ..parameters.clone() };
    assert_eq!(register(hurried), expected, "REGISTER, given up by start_timeout");
    let unregistered = PhoneParameters { register: false, ..parameters };
    let options = after(unregistered.clone(), |phone| _ = phone.options("bob").unwrap());
    assert_eq!(options, expected, "OPTIONS");
    let hurried =
        PhoneParameters { answer_timeout: Duration::from_secs(5), ..unregistered.clone() };
    for parameters in [unregistered, hurried] {
        let call = after(parameters, |phone| _ = phone.call("bob", Default::default()).unwrap());
        assert_eq!(call, expected, "INVITE");
    }
}
