//! Transfers, which pyVoIP's users want authenticated and followed.

use offhook_core::call::{TransferMode, TransferOptions};
use offhook_core::event::{
    CallEvent, CallId, CallState, EndedBy, Event, ReferralId, TransferOutcome,
};
use offhook_core::time::Duration;

use super::Scenario;
use super::transfer::Three;
use crate::stranger::{Stranger, described};
use crate::world::{Outcome, STRANGER, Telephone, World};

const SOON: Duration = Duration::from_secs(33);

pub(super) const AUTHENTICATED: Scenario = Scenario {
    name: "authenticated_transfer",
    shows: "pyVoIP #106 #207 #308: a REFER that is challenged is sent with credentials; then BYE",
    play: |seed| {
        use offhook_core::config::PhoneParameters;
        let mut world = World::new(seed);
        let server = Stranger::reacting(&mut world, |peer, arrival| {
            let shown = arrival.header("Proxy-Authorization").is_some();
            match arrival.method().as_str() {
                "INVITE" => peer.reply(arrival, "200 OK", &described()),
                "REFER" if !shown => {
                    let wants =
                        "Proxy-Authenticate: Digest realm=\"r\", nonce=\"n\", qop=\"auth\"\n";
                    peer.reply(arrival, "407 Proxy Authentication Required", wants);
                }
                "REFER" => peer.reply(arrival, "202 Accepted", ""),
                "ACK" | "" => {}
                _ => peer.reply(arrival, "200 OK", "Expires: 120\n"),
            }
        });
        let parameters = PhoneParameters::new(&STRANGER.to_string(), "alice").password("secret");
        let alice = world.add(parameters)?;
        world.start(&alice)?;
        let call = world.call(&alice, "bob")?;
        world.wait_state(&alice, call, CallState::Answered)?;
        world.act(&alice, |phone| phone.transfer(call, "carol", TransferOptions::default()))?;
        let outcome = wait_outcome(&mut world, &alice, call)?;
        world.expect(outcome == (TransferOutcome::Accepted, Some(202)), &format!("{outcome:?}"))?;
        let ended = world.wait_ended(&alice, call, SOON)?.0;
        world.expect(ended == EndedBy::Local, &format!("{ended:?}"))?;
        let refers = server.requests(&world, "REFER");
        world.expect(refers.len() == 2, &format!("{} REFER came", refers.len()))?;
        let to = refers[1].header("Refer-To").unwrap_or_default();
        world.expect(to.contains("sip:carol@10.0.2.1"), &format!("Refer-To: {to}"))?;
        let byes = server.requests(&world, "BYE").len();
        world.expect(byes == 1, &format!("{byes} BYE came"))?;
        Ok(world)
    },
};

pub(super) const SUCCEEDS: Scenario = Scenario {
    name: "transfer_succeeds",
    shows: "pyVoIP's transfer(blind=False): the target answers, is told of, and the call ends (pyVoIP)",
    play: |seed| {
        let (three, to_carol) = sent_to_carol(seed)?;
        let Three { mut world, alice, bob, carol, calling, called } = three;
        let at_carol = world.wait_incoming(&carol)?;
        world.act(&carol, |phone| phone.answer(at_carol))?;
        world.wait_state(&bob, to_carol, CallState::Answered)?;
        let outcome = wait_end(&mut world, &alice, calling)?;
        world.expect(outcome.0 == TransferOutcome::Succeeded, &format!("{outcome:?}"))?;
        let ended = world.wait_ended(&alice, calling, SOON)?.0;
        world.expect(ended == EndedBy::Local, &format!("{ended:?}"))?;
        world.wait_ended(&bob, called, SOON)?;
        world.pass(Duration::from_secs(1));
        world.disconnect((&bob, to_carol), (&carol, at_carol))?;
        Ok(world)
    },
};

pub(super) const FAILS: Scenario = Scenario {
    name: "transfer_fails",
    shows: "pyVoIP's transfer(blind=False): the target is busy, is told of, and the call goes on (pyVoIP)",
    play: |seed| {
        let (three, to_carol) = sent_to_carol(seed)?;
        let Three { mut world, alice, bob, carol, calling, called } = three;
        let at_carol = world.wait_incoming(&carol)?;
        world.act(&carol, |phone| phone.deny(at_carol, 486, None))?;
        let ended = world.wait_ended(&bob, to_carol, SOON)?;
        world.expect(ended == (EndedBy::Remote, Some(486)), &format!("{ended:?}"))?;
        let outcome = wait_end(&mut world, &alice, calling)?;
        world.expect(outcome == (TransferOutcome::Failed, Some(486)), &format!("{outcome:?}"))?;
        world.pass(Duration::from_secs(60));
        world.disconnect((&alice, calling), (&bob, called))?;
        Ok(world)
    },
};

/// Alice transfers Bob to Carol; Bob calls her.
fn sent_to_carol(seed: u64) -> Outcome<(Three, CallId)> {
    let mut three = Three::registered(seed)?;
    let Three { world, alice, bob, calling, called, .. } = &mut three;
    let options = TransferOptions::default().mode(TransferMode::Notified);
    world.act(alice, |phone| phone.transfer(*calling, "carol", options))?;
    let referral = wait_referral(world, bob, *called)?;
    let to_carol = world.act(bob, |phone| phone.accept_referral(referral))?;
    Ok((three, to_carol))
}

pub(super) fn wait_referral(world: &mut World, at: &Telephone, id: CallId) -> Outcome<ReferralId> {
    world.wait(at, "referral", SOON, |event| match event {
        Event::Call { call, event: CallEvent::Referred { referral, .. } } if *call == id => {
            Some(*referral)
        }
        _ => None,
    })
}

/// Waits for the end of a transfer that was accepted.
pub(super) fn wait_end(
    world: &mut World,
    at: &Telephone,
    id: CallId,
) -> Outcome<(TransferOutcome, Option<u16>)> {
    match wait_outcome(world, at, id)? {
        (TransferOutcome::Accepted, _) => wait_outcome(world, at, id),
        ended => Ok(ended),
    }
}

/// Waits for news of a transfer: the outcome so far, and the status that explains it.
pub(super) fn wait_outcome(
    world: &mut World,
    at: &Telephone,
    id: CallId,
) -> Outcome<(TransferOutcome, Option<u16>)> {
    world.wait(at, "outcome of the transfer", SOON, |event| match event {
        Event::Call { call, event: CallEvent::Transfer { outcome, cause, .. } } if *call == id => {
            Some((*outcome, cause.as_ref().map(|cause| cause.code)))
        }
        _ => None,
    })
}
