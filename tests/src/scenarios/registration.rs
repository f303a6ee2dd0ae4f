//! Registration: kept, lost and refused.

use offhook_core::event::{Event, PhoneStatus};
use offhook_core::softphone::SoftphoneEvent;
use offhook_core::time::Duration;

use super::Scenario;
use crate::world::{EXCHANGE, Telephone, World};

pub(super) const WRONG_PASSWORD: Scenario = Scenario {
    name: "wrong_password",
    shows: "a wrong password ends in FAILED, in bounded time, with 403 or 401 as the cause",
    play: |seed| {
        let mut world = World::with_exchange(seed, &["alice"]);
        let mut parameters = world.parameters("alice");
        parameters.credentials = Default::default();
        let alice = world.add(parameters.password("guess"))?;
        world.act(&alice, |phone| phone.start())?;
        world.wait_status(&alice, PhoneStatus::Failed)?;
        let cause = alice.events().iter().rev().find_map(|(_, event)| match event {
            SoftphoneEvent::Phone(Event::RegistrationFailed { cause }) => cause.clone(),
            _ => None,
        });
        let code = cause.map(|cause| cause.code);
        world.expect(matches!(code, Some(401 | 403)), &format!("the cause is {code:?}"))?;
        Ok(world)
    },
};

pub(super) const REFRESH: Scenario = Scenario {
    name: "refresh",
    shows: "the registration is refreshed before it expires, for hours, under one Call-ID",
    play: |seed| {
        let mut world = World::with_exchange(seed, &["alice"]);
        world.sim.record_wire(100_000);
        let alice = world.telephone("alice")?;
        world.pass(Duration::from_secs(2 * 3_600));
        let lost = count(&alice, |event| matches!(event, Event::RegistrationFailed { .. }));
        world.expect(lost == 0, &format!("{lost} registrations failed"))?;
        let kept = count(&alice, |event| matches!(event, Event::Registered { .. }));
        world.expect((60..=240).contains(&kept), &format!("{kept} registrations in two hours"))?;
        let mut ids: Vec<String> = world
            .sim
            .wire()
            .map(|packet| packet.text().into_owned())
            .filter(|text| text.starts_with("REGISTER"))
            .filter_map(|text| text.lines().find(|l| l.starts_with("Call-ID")).map(str::to_owned))
            .collect();
        ids.dedup();
        world.expect(ids.len() == 1, &format!("{} Call-IDs", ids.len()))?;
        Ok(world)
    },
};

pub(super) const SERVER_COMES_BACK: Scenario = Scenario {
    name: "server_comes_back",
    shows: "the way to the server is cut for three minutes: the phone registers again by itself",
    play: |seed| {
        let mut world = World::with_exchange(seed, &["alice"]);
        let mut parameters = world.parameters("alice");
        parameters.registration_attempts = 100;
        let alice = world.add(parameters)?;
        world.start(&alice)?;
        world.sim.partition(alice.node, EXCHANGE);
        world
            .wait_status(&alice, PhoneStatus::Registering)
            .or_else(|_| world.wait_status(&alice, PhoneStatus::Registering))?;
        world.pass(Duration::from_secs(180));
        world.sim.heal(alice.node, EXCHANGE);
        let limit = Duration::from_secs(600);
        world.wait(&alice, "registration", limit, |event| {
            matches!(event, SoftphoneEvent::Phone(Event::Registered { .. })).then_some(())
        })?;
        Ok(world)
    },
};

pub(super) const SERVER_GONE: Scenario = Scenario {
    name: "server_gone",
    shows: "a server that never answers: FAILED after the threshold, not before (pyVoIP #193)",
    play: |seed| {
        let mut world = World::new(seed);
        let mut parameters = world.parameters("alice");
        parameters.server = Some("10.9.9.9".to_owned());
        parameters.registration_attempts = 3;
        let alice = world.add(parameters)?;
        world.act(&alice, |phone| phone.start())?;
        let limit = Duration::from_secs(3_600);
        world.wait(&alice, "FAILED", limit, |event| {
            matches!(event, SoftphoneEvent::Phone(Event::Status(PhoneStatus::Failed))).then_some(())
        })?;
        let failures = count(&alice, |event| matches!(event, Event::RegistrationFailed { .. }));
        world.expect(failures == 3, &format!("{failures} failures before FAILED"))?;
        Ok(world)
    },
};

fn count(telephone: &Telephone, what: impl Fn(&Event) -> bool) -> usize {
    let events = telephone.events();
    events.iter().filter(|(_, e)| matches!(e, SoftphoneEvent::Phone(e) if what(e))).count()
}
