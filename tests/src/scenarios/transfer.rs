//! Transfers (RFC 3515, RFC 5589 §6): to a target that is heard, refused, and on bad networks. What
//! pyVoIP promises of them stands in `pyvoip_transfer`.

use offhook_core::call::{TransferMode, TransferOptions};
use offhook_core::event::{
    CallEvent, CallId, CallState, EndedBy, Event, PhoneEvent, TransferOutcome,
};
use offhook_core::time::Duration;

use super::Scenario;
use super::calls::expect_nothing_left;
use super::loss::{TRANSACTION_LIFE, bad_network, end_answered};
use super::pyvoip_transfer::{wait_end, wait_outcome, wait_referral};
use crate::world::{Outcome, Telephone, World};

use TransferOutcome::{Accepted, Failed, Succeeded};

const SOON: Duration = Duration::from_secs(33);

/// How long telephones here let it ring.
const PATIENCE: Duration = Duration::from_secs(40);

pub(super) const BLIND: Scenario = Scenario {
    name: "blind_transfer",
    shows: "a blind transfer through the exchange: the call moves, and is heard where it went",
    play: |seed| {
        let Three { mut world, alice, bob, carol, calling, called } = Three::registered(seed)?;
        let options = TransferOptions::default().no_reports(true);
        world.act(&alice, |phone| phone.transfer(calling, "carol", options))?;
        let referral = wait_referral(&mut world, &bob, called)?;
        let new = world.act(&bob, |phone| phone.accept_referral(referral))?;
        let outcome = wait_end_of(&mut world, &alice, calling, TransferMode::Blind)?;
        world.expect(outcome == (Accepted, Some(200)), &format!("{outcome:?}"))?;
        let ended = world.wait_ended(&alice, calling, SOON)?.0;
        world.expect(ended == EndedBy::Local, &format!("{ended:?}"))?;
        let ended = world.wait_ended(&bob, called, SOON)?.0;
        world.expect(ended == EndedBy::Remote, &format!("{ended:?}"))?;
        let at_carol = world.wait_incoming(&carol)?;
        world.act(&carol, |phone| phone.answer(at_carol))?;
        world.wait_state(&bob, new, CallState::Answered)?;
        super::audio::speak(&mut world, &bob, new, 440)?;
        world.pass(Duration::from_secs(3));
        super::audio::expect_tone(&world, &carol.heard(at_carol), 440)?;
        world.disconnect((&carol, at_carol), (&bob, new))?;
        expect_nothing_left(&mut world, &[&alice, &bob, &carol])?;
        Ok(world)
    },
};

pub(super) const REFUSED: Scenario = Scenario {
    name: "transfer_refused",
    shows: "a phone that was not told so calls nobody at another's wish: 603, and the call goes on",
    play: |seed| {
        let Three { mut world, alice, bob, carol, calling, called } = Three::registered(seed)?;
        for mode in [TransferMode::Blind, TransferMode::Notified] {
            // Alice may not be transferred.
            world.act(&bob, |phone| phone.transfer(called, "carol", mode.into()))?;
            let outcome = wait_end_of(&mut world, &bob, called, mode)?;
            world.expect(outcome == (Failed, Some(603)), &format!("{outcome:?}"))?;
        }
        // Bob may, but does not say a word.
        world.act(&alice, |phone| phone.transfer(calling, "carol", Default::default()))?;
        let referral = wait_referral(&mut world, &bob, called)?;
        let outcome = wait_end_of(&mut world, &alice, calling, TransferMode::Blind)?;
        world.expect(outcome == (Failed, Some(603)), &format!("{outcome:?}"))?;
        let late = world.act(&bob, |phone| phone.accept_referral(referral));
        world.expect(late.is_err(), "it was accepted too late")?;
        let rung = carol
            .events()
            .iter()
            .any(|(_, event)| matches!(event, Event::Phone(PhoneEvent::Incoming { .. })));
        world.expect(!rung, "carol was called")?;
        super::audio::speak(&mut world, &alice, calling, 440)?;
        world.pass(Duration::from_secs(3));
        super::audio::expect_tone(&world, &bob.heard(called), 440)?;
        world.disconnect((&bob, called), (&alice, calling))?;
        expect_nothing_left(&mut world, &[&alice, &bob, &carol])?;
        Ok(world)
    },
};

pub(super) const OUTSIDE: Scenario = Scenario {
    name: "transfer_outside_the_dialog",
    shows: "REFER outside the dialog, which Target-Dialog names (RFC 5589 §6.1)",
    play: |seed| {
        let Three { mut world, alice, bob, carol, calling, called } = Three::direct(seed)?;
        carol.answer_always();
        let mode = TransferMode::Notified;
        let options = TransferOptions::from(mode).outside_dialog(true);
        let target = format!("sip:carol@{}", carol.node.address());
        world.act(&alice, |phone| phone.transfer(calling, &target, options))?;
        let referral = wait_referral(&mut world, &bob, called)?;
        let new = world.act(&bob, |phone| phone.accept_referral(referral))?;
        let outcome = wait_end(&mut world, &alice, calling)?;
        world.expect(outcome == (Succeeded, Some(200)), &format!("{outcome:?}"))?;
        world.wait_ended(&alice, calling, SOON)?;
        world.wait_ended(&bob, called, SOON)?;
        let at_carol = world.wait_incoming(&carol)?;
        world.disconnect((&bob, new), (&carol, at_carol))?;
        expect_nothing_left(&mut world, &[&alice, &bob, &carol])?;
        Ok(world)
    },
};

pub(super) const A_LITTLE_LOSS: Scenario = Scenario {
    name: "transfer_at_a_little_loss",
    shows: "at 0 to 5 % loss, with reordering and duplicates, every transfer completes",
    play: |seed| {
        let Three { mut world, alice, bob, carol, calling, called } = Three::registered(seed)?;
        [&alice, &bob, &carol].into_iter().for_each(Telephone::ignore_sound);
        let lossy = bad_network(&mut world, 50);
        world.sim.set_default_link(lossy);
        let notified = world.sim.random().is_multiple_of(2);
        let mode = if notified { TransferMode::Notified } else { TransferMode::Blind };
        let no_reports = !notified && world.sim.random().is_multiple_of(2);
        let options = TransferOptions::from(mode).no_reports(no_reports);
        world.act(&alice, |phone| phone.transfer(calling, "carol", options))?;
        let referral = wait_referral(&mut world, &bob, called)?;
        let new = world.act(&bob, |phone| phone.accept_referral(referral))?;
        let at_carol = world.wait_incoming(&carol)?;
        world.act(&carol, |phone| phone.answer(at_carol))?;
        world.wait_state(&bob, new, CallState::Answered)?;
        let outcome = wait_end_of(&mut world, &alice, calling, mode)?;
        let expected = if notified { Succeeded } else { Accepted };
        world.expect(outcome == (expected, Some(200)), &format!("{outcome:?}"))?;
        world.wait_ended(&alice, calling, SOON)?;
        world.pass(Duration::from_secs(4));
        let old = world.sim[bob.node].phone().state(called);
        world.expect(old.is_none(), &format!("the old call is {old:?}"))?;
        world.disconnect((&bob, new), (&carol, at_carol))?;
        Ok(world)
    },
};

pub(super) const ANY_LOSS: Scenario = Scenario {
    name: "transfer_at_any_loss",
    shows: "at any loss a transfer has one outcome, in bounded time, and nothing is left of it",
    play: |seed| {
        let Three { mut world, alice, bob, carol, calling, called } = Three::registered(seed)?;
        [&alice, &bob, &carol].into_iter().for_each(Telephone::ignore_sound);
        carol.answer_always();
        let lossy = bad_network(&mut world, 1_000);
        world.sim.set_default_link(lossy);
        let notified = world.sim.random().is_multiple_of(2);
        let mode = if notified { TransferMode::Notified } else { TransferMode::Blind };
        world.act(&alice, |phone| phone.transfer(calling, "carol", mode.into()))?;
        // Bob may hear of it or not.
        if let Ok(referral) = wait_referral(&mut world, &bob, called) {
            let _too_late = world.act(&bob, |phone| phone.accept_referral(referral)).is_err();
        }
        // The answer timeout, a transaction for the outcome, one for REFER and one for BYE.
        world.pass(PATIENCE + TRANSACTION_LIFE * 3);
        for telephone in [&alice, &bob, &carol] {
            end_answered(&mut world, telephone)?;
        }
        world.pass(TRANSACTION_LIFE);
        for telephone in [&alice, &bob, &carol] {
            end_answered(&mut world, telephone)?;
        }
        world.pass(TRANSACTION_LIFE);
        expect_nothing_left(&mut world, &[&alice, &bob, &carol])?;
        let told = outcomes(&alice, calling);
        let last = told.last().copied();
        let good = match mode == TransferMode::Blind {
            true => told.len() == 1 && last != Some(Succeeded),
            false => {
                let ended = [Succeeded, Failed].map(Some).contains(&last);
                ended && told.iter().filter(|outcome| **outcome != Accepted).count() == 1
            }
        };
        world.expect(good, &format!("{mode:?}: {told:?}"))?;
        // Who was told of success was not told a lie.
        let reached = carol.events().iter().any(|(_, event)| {
            let Event::Call { event: CallEvent::State { state, .. }, .. } = event else {
                return false;
            };
            *state == CallState::Answered
        });
        world.expect(last != Some(Succeeded) || reached, "nobody has answered")?;
        Ok(world)
    },
};

/// Alice and Bob in a call, Bob may be transferred, and Carol beside them.
pub(super) struct Three {
    pub(super) world: World,
    pub(super) alice: Telephone,
    pub(super) bob: Telephone,
    pub(super) carol: Telephone,
    pub(super) calling: CallId,
    pub(super) called: CallId,
}

impl Three {
    pub(super) fn registered(seed: u64) -> Outcome<Self> {
        Self::of(World::with_exchange(seed, &["alice", "bob", "carol"]))
    }

    fn direct(seed: u64) -> Outcome<Self> {
        Self::of(World::new(seed))
    }

    fn of(mut world: World) -> Outcome<Self> {
        let alice = world.add(world.parameters("alice").answer_timeout(PATIENCE))?;
        world.start(&alice)?;
        let parameters = world.parameters("bob").answer_timeout(PATIENCE).accept_transfer(true);
        let bob = world.add(parameters)?;
        world.start(&bob)?;
        let carol = world.telephone("carol")?;
        let target = match world.sim[alice.node].phone().parameters().server {
            Some(_) => "bob".to_owned(),
            None => format!("sip:bob@{}", bob.node.address()),
        };
        let (calling, called) = world.connect(&alice, &bob, &target)?;
        Ok(Self { world, alice, bob, carol, calling, called })
    }
}

/// Waits for the end of a transfer in that mode.
fn wait_end_of(
    world: &mut World,
    at: &Telephone,
    call: CallId,
    mode: TransferMode,
) -> Outcome<(TransferOutcome, Option<u16>)> {
    match mode == TransferMode::Blind {
        true => wait_outcome(world, at, call),
        false => wait_end(world, at, call),
    }
}

/// All that was told of the transfers of a call.
fn outcomes(telephone: &Telephone, id: CallId) -> Vec<TransferOutcome> {
    let told = telephone.events();
    let told = told.iter().filter_map(|(_, event)| match event {
        Event::Call { call, event: CallEvent::Transfer { outcome, .. } } if *call == id => {
            Some(*outcome)
        }
        _ => None,
    });
    told.collect()
}
