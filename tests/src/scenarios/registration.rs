//! Registration: kept, lost and refused.

use std::net::{IpAddr, SocketAddr};

use offhook_core::auth::Algorithm;
use offhook_core::config::PhoneParameters;
use offhook_core::event::{Event, PhoneEvent, PhoneStatus};
use offhook_core::exchange::{Exchange, ExchangeParameters};
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
            Event::Phone(PhoneEvent::RegistrationFailed { cause, .. }) => cause.clone(),
            _ => None,
        });
        let code = cause.map(|cause| cause.code);
        world.expect(matches!(code, Some(401 | 403)), &format!("the cause is {code:?}"))?;
        Ok(world)
    },
};

pub(super) const DIGESTS: Scenario = Scenario {
    name: "digests",
    shows: "each digest algorithm registers (pyVoIP: MD5 alone), the strongest first, MD5 can be refused",
    play: |seed| {
        use Algorithm::{Md5, Md5Sess, Sha256, Sha256Sess, Sha512256, Sha512256Sess};
        let offers: &[(&[Algorithm], Option<&str>)] = &[
            (&[Md5], Some("MD5")),
            (&[Md5Sess], Some("MD5-sess")),
            (&[Sha256Sess], Some("SHA-256-sess")),
            (&[Sha512256], Some("SHA-512-256")),
            (&[Sha512256Sess], Some("SHA-512-256-sess")),
            (&[Md5, Sha256], Some("SHA-256")),
            // These two phones refuse MD5.
            (&[Md5, Sha512256], Some("SHA-512-256")),
            (&[Md5, Md5Sess], None),
        ];
        let mut world = World::new(seed);
        world.sim.record_wire(1_000);
        for (number, (algorithms, taken)) in (10..).zip(offers) {
            let server = IpAddr::from([10, 0, 0, number]);
            let mut parameters =
                ExchangeParameters::new(SocketAddr::new(server, 5060)).user("alice", "secret");
            parameters.algorithms = algorithms.to_vec();
            world.sim.add(server, Exchange::new(parameters));
            let mut parameters = PhoneParameters::new(&server.to_string(), "alice");
            parameters.allow_md5 = number < 16;
            let alice = world.add(parameters.password("secret"))?;
            if taken.is_some() {
                world.start(&alice)?;
            } else {
                world.act(&alice, |phone| phone.start())?;
                world.wait_status(&alice, PhoneStatus::Failed)?;
            }
            let named = world.sim.wire().filter(|packet| packet.to.ip() == server).find_map(|p| {
                let text = p.text().into_owned();
                let (_, after) = text.split_once(", algorithm=")?;
                Some(after.split([',', '\r']).next()?.to_owned())
            });
            let named = named.as_deref();
            world.expect(named == *taken, &format!("{algorithms:?} gave {named:?}"))?;
        }
        Ok(world)
    },
};

pub(super) const REFRESH: Scenario = Scenario {
    name: "refresh",
    shows: "the registration is refreshed for hours, under one Call-ID (pyVoIP has a new one each time)",
    play: |seed| {
        let mut world = World::with_exchange(seed, &["alice"]);
        world.sim.record_wire(100_000);
        let alice = world.telephone("alice")?;
        world.pass(Duration::from_secs(2 * 3_600));
        let lost = count(&alice, |event| {
            matches!(event, Event::Phone(PhoneEvent::RegistrationFailed { .. }))
        });
        world.expect(lost == 0, &format!("{lost} registrations failed"))?;
        let kept =
            count(&alice, |event| matches!(event, Event::Phone(PhoneEvent::Registered { .. })));
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
    shows: "the way to the server is cut for three minutes: the phone registers again (pyVoIP #185)",
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
            matches!(event, Event::Phone(PhoneEvent::Registered { .. })).then_some(())
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
            matches!(event, Event::Phone(PhoneEvent::Status(PhoneStatus::Failed))).then_some(())
        })?;
        let failures = count(&alice, |event| {
            matches!(event, Event::Phone(PhoneEvent::RegistrationFailed { .. }))
        });
        world.expect(failures == 3, &format!("{failures} failures before FAILED"))?;
        Ok(world)
    },
};

pub(super) const START_TIMEOUT: Scenario = Scenario {
    name: "start_timeout",
    shows: "a server that never answers: FAILED when the start's time is over, and again after another start",
    play: |seed| {
        let mut world = World::new(seed);
        let mut parameters = world.parameters("alice");
        parameters.server = Some("10.9.9.9".to_owned());
        parameters.start_timeout = Some(Duration::from_secs(7));
        let alice = world.add(parameters)?;
        for _ in 0..2 {
            let begun = world.sim.now();
            world.act(&alice, |phone| phone.start())?;
            world.wait_status(&alice, PhoneStatus::Registering)?;
            world.wait_status(&alice, PhoneStatus::Failed)?;
            let took = world.sim.now().since(begun);
            let told = took >= Duration::from_secs(7) && took < Duration::from_secs(8);
            world.expect(told, &format!("FAILED after {took:?}"))?;
        }
        let failures = count(&alice, |event| {
            matches!(event, Event::Phone(PhoneEvent::RegistrationFailed { .. }))
        });
        world.expect(failures == 2, &format!("{failures} failures"))?;
        Ok(world)
    },
};

fn count(telephone: &Telephone, what: impl Fn(&Event) -> bool) -> usize {
    let events = telephone.events();
    events.iter().filter(|(_, e)| matches!(e, e if what(e))).count()
}
