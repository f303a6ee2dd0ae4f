//! Networks that lose packets.

use offhook_core::event::{CallEvent, CallId, CallState, Event};
use offhook_core::sim::Link;
use offhook_core::time::Duration;

use super::Scenario;
use crate::world::{Outcome, Telephone, World};

/// 64·T1 (RFC 3261 §17), and a little for the delay of the network.
pub(super) const TRANSACTION_LIFE: Duration = Duration::from_millis(32_500);

pub(super) const A_LITTLE_LOSS: Scenario = Scenario {
    name: "a_little_loss",
    shows: "at 0 to 5 % loss, reordered and duplicated, every call completes (pyVoIP sends nothing again)",
    play: |seed| {
        let mut world = World::with_exchange(seed, &["alice", "bob"]);
        let lossy = bad_network(&mut world, 50);
        world.sim.set_default_link(lossy);
        let alice = world.telephone("alice")?;
        let bob = world.telephone("bob")?;
        let (out, inc) = world.connect(&alice, &bob, "bob")?;
        world.pass(Duration::from_millis(200));
        world.disconnect((&alice, out), (&bob, inc))?;
        Ok(world)
    },
};

pub(super) const ANY_LOSS: Scenario = Scenario {
    name: "any_loss",
    shows: "at any loss every machine ends by 64·T1 after its last command, and both sides agree",
    play: |seed| {
        let (mut world, alice, bob) = World::with_exchange(seed, &["alice", "bob"]).pair()?;
        let lossy = bad_network(&mut world, 1_000);
        world.sim.set_default_link(lossy);
        let out = world.call(&alice, "bob")?;
        act_at_random(&mut world, &alice, &bob, out)?;
        // The ends that are still in the call hang up; what is left then is a machine that hangs.
        for telephone in [&alice, &bob] {
            end_answered(&mut world, telephone)?;
        }
        world.pass(TRANSACTION_LIFE);
        for telephone in [&alice, &bob] {
            end_answered(&mut world, telephone)?;
        }
        world.pass(TRANSACTION_LIFE);
        for telephone in [&alice, &bob] {
            let calls: Vec<_> = states(&world, telephone);
            world.expect(calls.is_empty(), &format!("left after 64·T1: {calls:?}"))?;
            let ports = world.sim.media_ports(telephone.node);
            world.expect(ports == 0, &format!("{ports} media ports are left"))?;
        }
        agree(&world, &alice, &bob)?;
        Ok(world)
    },
};

/// A link with up to `most` permille of loss, and a little of everything else.
pub(super) fn bad_network(world: &mut World, most: u64) -> Link {
    let loss = u16::try_from(world.sim.random() % (most + 1)).unwrap_or(u16::MAX);
    Link {
        delay: Duration::from_millis(world.sim.random() % 100),
        jitter: Duration::from_millis(world.sim.random() % 30),
        duplicate_permille: 20,
        reorder_permille: 20,
        ..Link::lossy(loss)
    }
}

/// The called answers or denies, the caller cancels or hangs up, at times that follow from the seed.
fn act_at_random(world: &mut World, alice: &Telephone, bob: &Telephone, out: CallId) -> Outcome {
    let answers = !world.sim.random().is_multiple_of(4);
    for _ in 0..20 {
        let pause = Duration::from_millis(world.sim.random() % 2_000);
        world.pass(pause);
        for (call, state) in states(world, bob) {
            if matches!(state, CallState::Ringing | CallState::Progress) {
                world.act(bob, |phone| match answers {
                    true => phone.answer(call),
                    false => phone.deny(call, 603, None),
                })?;
            }
        }
        let gives_up = world.sim.random().is_multiple_of(10);
        match world.sim[alice.node].phone().state(out) {
            Some(CallState::Dialing | CallState::Progress) if gives_up => {
                world.act(alice, |phone| phone.cancel(out))?;
            }
            Some(CallState::Answered) if gives_up => {
                world.act(alice, |phone| phone.hangup(out))?;
            }
            _ => {}
        }
    }
    Ok(())
}

/// Ends every call of a telephone that its state lets it end.
pub(super) fn end_answered(world: &mut World, telephone: &Telephone) -> Outcome {
    for (call, state) in states(world, telephone) {
        world.act(telephone, |phone| match state {
            CallState::Answered => phone.hangup(call),
            CallState::Ringing => phone.deny(call, 480, None),
            CallState::Dialing => phone.cancel(call),
            _ => Ok(()),
        })?;
    }
    Ok(())
}

fn states(world: &World, telephone: &Telephone) -> Vec<(CallId, CallState)> {
    let phone = world.sim[telephone.node].phone();
    let mut calls: Vec<_> = phone.calls().filter_map(|id| Some((id, phone.state(id)?))).collect();
    calls.sort_unstable_by_key(|(id, _)| *id);
    calls
}

/// Whom the caller heard answer must have answered, and each call ended once on each side.
fn agree(world: &World, alice: &Telephone, bob: &Telephone) -> Outcome {
    let answered = |telephone: &Telephone| {
        telephone.events().iter().any(|(_, event)| {
            let Event::Call { event: CallEvent::State { state, .. }, .. } = event else {
                return false;
            };
            *state == CallState::Answered
        })
    };
    world.expect(
        !answered(alice) || answered(bob),
        "the caller heard an answer that the called never gave",
    )?;
    for telephone in [alice, bob] {
        let mut over: Vec<CallId> = telephone
            .events()
            .iter()
            .filter_map(|(_, event)| match event {
                Event::Call { call, event: CallEvent::Ended(_) } => Some(*call),
                _ => None,
            })
            .collect();
        let told = over.len();
        over.sort_unstable();
        over.dedup();
        world.expect(over.len() == told, "a call's end was told twice")?;
    }
    Ok(())
}
