//! Servers that are found by name (RFC 3263), and what is private (RFC 3261 §26.2.2, RFC 5630).

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use offhook_core::call::CallOptions;
use offhook_core::config::PhoneParameters;
use offhook_core::error::Error;
use offhook_core::event::{CallEvent, CallId, CallState, Event, PhoneEvent};
use offhook_core::exchange::{Exchange, ExchangeParameters};
use offhook_core::host::{Naptr, Query, Srv, Transport};
use offhook_core::phone::Phone;
use offhook_core::sim::{Arrival, NodeId, ScriptedPeer};
use offhook_core::time::Duration;
use offhook_core::trace::Kind;

use super::Scenario;
use crate::stranger::described;
use crate::world::{Outcome, STRANGER, Telephone, World};

const DOMAIN: &str = "pbx.example";

/// The servers of the domain, in the order of their priority.
const FIRST: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 11));
const SECOND: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 12));

/// What comes at once comes within this time.
const SOON: Duration = Duration::from_secs(1);

pub(super) const FAILOVER_ON_TIMEOUT: Scenario = Scenario {
    name: "srv_failover_on_timeout",
    shows: "the first server is dead: the next after one timeout, who calls later does not wait (RFC 3263 4.3)",
    play: |seed| {
        let mut world = with_servers(seed, "_sip._udp.pbx.example");
        exchange(&mut world, SECOND, &[Transport::Udp]);
        let (alice, bob) = (world.add(parameters("alice"))?, world.add(parameters("bob"))?);
        let began = world.sim.now();
        world.start(&alice)?;
        let waited = world.sim.now().since(began);
        // Timer F.
        let once = (Duration::from_secs(32)..Duration::from_secs(34)).contains(&waited);
        world.expect(once, &format!("registered after {waited:?}"))?;
        world.start(&bob)?;
        for _ in 0..2 {
            let began = world.sim.now();
            let (out, inc) = world.connect(&alice, &bob, "bob")?;
            let waited = world.sim.now().since(began);
            world.expect(waited < SOON, &format!("a call took {waited:?}"))?;
            world.disconnect((&alice, out), (&bob, inc))?;
        }
        // It is tried again now and then, while the registration holds.
        let before = sent_to(&world, FIRST);
        world.pass(Duration::from_secs(1_200));
        world.expect(sent_to(&world, FIRST) > before, "the first is never tried again")?;
        expect_kept(&world, &alice)?;
        Ok(world)
    },
};

pub(super) const FAILOVER_ON_503: Scenario = Scenario {
    name: "srv_failover_on_503",
    shows: "503 leads to the next server at once, and back when Retry-After is over (RFC 3263 4.3)",
    play: |seed| {
        let mut world = with_servers(seed, "_sip._udp.pbx.example");
        let first = world.sim.add(
            FIRST,
            ScriptedPeer::reacting(|peer, arrival| {
                if !arrival.first_line().starts_with("ACK") {
                    peer.reply(arrival, "503 Service Unavailable", "Retry-After: 100\n");
                }
            }),
        );
        exchange(&mut world, SECOND, &[Transport::Udp]);
        let (alice, bob) = (world.add(parameters("alice"))?, world.add(parameters("bob"))?);
        let began = world.sim.now();
        world.start(&alice)?;
        let waited = world.sim.now().since(began);
        world.expect(waited < SOON, &format!("registered after {waited:?}"))?;
        world.start(&bob)?;
        let (out, inc) = world.connect(&alice, &bob, "bob")?;
        world.disconnect((&alice, out), (&bob, inc))?;
        world.pass(Duration::from_secs(90));
        let count = world.sim[first].count("REGISTER");
        world.expect(count == 2, &format!("asked {count} times by two phones"))?;
        world.expect(world.sim[first].count("INVITE") == 0, "the call went there")?;
        world.pass(Duration::from_secs(200));
        world.expect(world.sim[first].count("REGISTER") > count, "it is never asked again")?;
        expect_kept(&world, &alice)?;

        // A call that is nobody's yet: another branch, the same Call-ID, and the refusal acknowledged.
        let (third, fourth) = (IpAddr::from([10, 0, 0, 13]), IpAddr::from([10, 0, 0, 14]));
        let refusing = world.sim.add(third, refusing("503 Service Unavailable"));
        let taking = world.sim.add(fourth, agreeing());
        name(&mut world, "three.example", third);
        name(&mut world, "four.example", fourth);
        let servers = [srv(1, 0, "three.example"), srv(2, 0, "four.example")];
        world.sim.set_srv("_sip._udp.other.example", &servers);
        let call = world.add(PhoneParameters::without_server("carol"))?;
        world.start(&call)?;
        let number = world.call(&call, "sip:dave@other.example")?;
        world.wait_state(&call, number, CallState::Answered)?;
        let [one, two] = [refusing, taking].map(|peer| world.sim[peer].last("INVITE").cloned());
        let (Some(one), Some(two)) = (one, two) else {
            return Err(world.failure("one was not asked"));
        };
        world.expect(one.header("Via") != two.header("Via"), "the same branch")?;
        world.expect(one.header("Call-ID") == two.header("Call-ID"), "another Call-ID")?;
        world.expect(world.sim[refusing].count("ACK") == 1, "the 503 is not acknowledged")?;
        Ok(world)
    },
};

pub(super) const FAILOVER_ON_REFUSAL: Scenario = Scenario {
    name: "srv_failover_on_refusal",
    shows: "a refused connection leads to the next server at once (RFC 3263 4.3)",
    play: |seed| {
        let mut world = with_servers(seed, "_sip._tcp.pbx.example");
        let first = exchange(&mut world, FIRST, &[Transport::Tcp]);
        world.sim.set_listening(first, Transport::Tcp, false);
        exchange(&mut world, SECOND, &[Transport::Tcp]);
        let over_tcp = |user| parameters(user).transport(Transport::Tcp);
        let (alice, bob) = (world.add(over_tcp("alice"))?, world.add(over_tcp("bob"))?);
        let began = world.sim.now();
        world.start(&alice)?;
        world.start(&bob)?;
        let (out, inc) = world.connect(&alice, &bob, "bob")?;
        let waited = world.sim.now().since(began);
        world.expect(waited < SOON, &format!("it took {waited:?}"))?;
        world.disconnect((&alice, out), (&bob, inc))?;
        world.expect(sent_to(&world, FIRST) == 0, "something was sent to the first")?;
        Ok(world)
    },
};

pub(super) const WEIGHTS: Scenario = Scenario {
    name: "srv_weights",
    shows: "a thousand phones spread over two servers as their weights say (RFC 2782)",
    play: |seed| {
        let mut world = World::new(seed);
        let ok = || ScriptedPeer::reacting(|peer, arrival| peer.reply(arrival, "200 OK", ""));
        let (light, heavy) = (world.sim.add(FIRST, ok()), world.sim.add(SECOND, ok()));
        name(&mut world, "one.example", FIRST);
        name(&mut world, "two.example", SECOND);
        let servers = [srv(1, 10, "one.example"), srv(1, 30, "two.example")];
        world.sim.set_srv("_sip._udp.pbx.example", &servers);
        for number in 0..1_000_u16 {
            let [high, low] = number.to_be_bytes();
            let phone = Phone::new(PhoneParameters::without_server("anna"))
                .map_err(|error| world.failure(&error.to_string()))?;
            let phone = world.sim.add([10, 1, high, low], phone);
            let asked = world.sim[phone]
                .start()
                .and_then(|()| world.sim[phone].options("sip:pbx.example;transport=udp").map(drop));
            asked.map_err(|error| world.failure(&error.to_string()))?;
        }
        world.pass(SOON);
        let counts = [light, heavy].map(|server| world.sim[server].count("OPTIONS"));
        // 11 of 41 by the RFC's draw, which counts both ends: 268, give or take five times 14.
        let fair = counts[0] + counts[1] == 1_000 && (198..=338).contains(&counts[0]);
        world.expect(fair, &format!("{counts:?} at weights of 10 and 30"))?;
        Ok(world)
    },
};

pub(super) const TTL: Scenario = Scenario {
    name: "name_ttl",
    shows: "what names say is asked once while it holds, and again when it does not",
    play: |seed| {
        let mut world = World::new(seed);
        let [first, second] = [FIRST, SECOND].map(|ip| world.sim.add(ip, agreeing()));
        world.sim.set_name_ttl(Duration::from_secs(20));
        world.sim.set_name(DOMAIN, &[FIRST]);
        let alice = world.add(PhoneParameters::without_server("alice"))?;
        world.start(&alice)?;
        let ask = |world: &mut World| {
            world.act(&alice, |phone| phone.options("sip:pbx.example:5060"))?;
            world.pass(SOON);
            Ok::<_, String>(())
        };
        let asked = |world: &World| world.sim.times_asked(Query::Addresses(DOMAIN));
        ask(&mut world)?;
        world.sim.set_name(DOMAIN, &[SECOND]);
        world.pass(Duration::from_secs(15));
        ask(&mut world)?;
        world.expect(asked(&world) == 1, "it was asked again while it held")?;
        world.pass(Duration::from_secs(5));
        ask(&mut world)?;
        world.expect(asked(&world) == 2, &format!("asked {} times", asked(&world)))?;
        let counts = [first, second].map(|server| world.sim[server].count("OPTIONS"));
        world.expect(counts == [2, 1], &format!("{counts:?}"))?;
        // Nobody can be asked any more, and what is known does not hold: that is told.
        world.sim.set_names_failing(true);
        world.pass(Duration::from_secs(60));
        let call = world.call(&alice, "sip:bob@pbx.example:5060")?;
        expect_error(&mut world, &alice, call, "its name could not be looked up")?;
        Ok(world)
    },
};

pub(super) const NAPTR_CHOOSES: Scenario = Scenario {
    name: "naptr_chooses_tls",
    shows: "a domain that puts TLS first is reached by TLS alone, also when its certificate is refused (RFC 3263 4.1)",
    play: |seed| {
        let mut world = World::new(seed);
        world.sim.record_wire(10_000);
        let server = exchange(&mut world, FIRST, &[Transport::Udp, Transport::Tls]);
        name(&mut world, DOMAIN, FIRST);
        let services = [
            naptr(20, "SIP+D2U", "_sip._udp.pbx.example"),
            naptr(10, "SIPS+D2T", "_sips._tcp.pbx.example"),
        ];
        world.sim.set_naptr(DOMAIN, &services);
        world.sim.set_srv("_sips._tcp.pbx.example", &[srv(1, 0, DOMAIN)]);
        world.sim.set_srv("_sip._udp.pbx.example", &[srv(1, 0, DOMAIN)]);
        let (alice, bob) = (world.add(parameters("alice"))?, world.add(parameters("bob"))?);
        world.start(&alice)?;
        world.start(&bob)?;
        let (out, inc) = world.connect(&alice, &bob, "bob")?;
        world.disconnect((&alice, out), (&bob, inc))?;
        expect_all_private(&world)?;
        let asked = world.sim.times_asked(Query::Srv("_sip._udp.pbx.example"));
        world.expect(asked == 0, "UDP was looked for")?;
        // An attacker on the way with another certificate does not get it in the clear, though the
        // domain would allow that.
        let mut even = services;
        even.iter_mut().for_each(|record| record.preference = record.order);
        even.iter_mut().for_each(|record| record.order = 1);
        world.sim.set_naptr(DOMAIN, &even);
        world.sim.set_untrusted(server, Some("it is signed by nobody"));
        let carol = world.add(parameters("bob"))?;
        world.act(&carol, Phone::start)?;
        world.wait(&carol, "failed registration", SOON, |event| match event {
            Event::Phone(PhoneEvent::RegistrationFailed { error, .. }) => {
                matches!(error, Some(Error::Untrusted { .. })).then_some(())
            }
            _ => None,
        })?;
        expect_all_private(&world)?;
        Ok(world)
    },
};

pub(super) const SIPS_STAYS_PRIVATE: Scenario = Scenario {
    name: "sips_stays_private",
    shows: "a sips call leaves in TLS or not at all: to a domain in the clear, redirected, and within its dialog (RFC 3261 26.2.2)",
    play: |seed| {
        let mut world = World::new(seed);
        world.sim.record_wire(10_000);
        let alice = world.add(PhoneParameters::without_server("alice"))?;
        world.start(&alice)?;

        // A domain that has nothing but UDP.
        world.sim.add(FIRST, agreeing());
        name(&mut world, "clear.example", FIRST);
        world.sim.set_naptr("clear.example", &[naptr(1, "SIP+D2U", "_sip._udp.clear.example")]);
        world.sim.set_srv("_sip._udp.clear.example", &[srv(1, 0, "clear.example")]);
        let call = world.call(&alice, "sips:bob@clear.example")?;
        expect_error(
            &mut world,
            &alice,
            call,
            "clear.example at 10.0.0.11:5061 (TLS) cannot be reached",
        )?;
        world.expect(sent_to(&world, FIRST) == 0, "it left in the clear")?;
        let clear = "sips:bob@10.0.0.11;transport=udp".to_owned();
        let refused =
            world.act(&alice, |phone| phone.call(&clear, CallOptions::default()).map(drop));
        world.expect(refused.is_err(), "sips over UDP is called")?;

        // Redirected into the clear: refused; by another way that is private: followed.
        world.sim.add(STRANGER, ScriptedPeer::reacting(redirecting));
        name(&mut world, DOMAIN, STRANGER);
        world.sim.set_srv("_sips._tcp.pbx.example", &[srv(1, 0, DOMAIN)]);
        let call = world.call(&alice, "sips:away@pbx.example")?;
        expect_error(&mut world, &alice, call, "does not go on in the clear")?;
        let call = world.call(&alice, "sips:either@pbx.example")?;
        world.wait_state(&alice, call, CallState::Answered)?;

        // The dialog's route and target say sip: its requests go as the first did.
        world.act(&alice, |phone| phone.hold(call))?;
        world.pass(SOON);
        world.act(&alice, |phone| phone.hangup(call))?;
        world.wait_ended(&alice, call, SOON)?;
        let methods = |method: &str| {
            let of_it = |text: &str| text.starts_with(method);
            world.sim.wire().filter(|packet| of_it(&packet.text())).count()
        };
        let counts = ["INVITE", "ACK", "BYE"].map(methods);
        world.expect(counts == [4, 4, 1], &format!("INVITE, ACK, BYE: {counts:?}"))?;
        expect_all_private(&world)?;
        Ok(world)
    },
};

/// What sends `away` to a URI in the clear, `either` to one of each, and takes the rest with a route
/// and a Contact in the clear.
fn redirecting(peer: &mut ScriptedPeer, arrival: &Arrival) {
    let line = arrival.first_line();
    let clear = "<sip:carol@10.0.2.1>";
    if line.starts_with("INVITE sips:away@") {
        peer.reply(arrival, "302 Moved Temporarily", &format!("Contact: {clear}\n"));
    } else if line.starts_with("INVITE sips:either@") {
        let contacts = format!("Contact: {clear}, <sips:dora@pbx.example>;q=0.5\n");
        peer.reply(arrival, "302 Moved Temporarily", &contacts);
    } else if line.starts_with("INVITE") {
        let taken = described()
            .replace("Contact: <sip:", "Record-Route: <sip:10.0.2.1:5060;lr>\nContact: <sip:");
        peer.reply(arrival, "200 OK", &taken);
    } else if !line.starts_with("ACK") {
        peer.reply(arrival, "200 OK", "");
    }
}

/// A network on which the service of that name is at two servers.
fn with_servers(seed: u64, service: &str) -> World {
    let mut world = World::new(seed);
    world.sim.record_wire(100_000);
    name(&mut world, "one.example", FIRST);
    name(&mut world, "two.example", SECOND);
    world.sim.set_srv(service, &[srv(20, 0, "two.example"), srv(10, 0, "one.example")]);
    world
}

/// An exchange of the domain, for alice and bob.
fn exchange(world: &mut World, ip: IpAddr, transports: &[Transport]) -> NodeId<Exchange> {
    let address = SocketAddr::new(ip, 5060);
    let mut parameters = ExchangeParameters::new(address).user("alice", "a").user("bob", "b");
    for transport in transports {
        if !parameters.listen.iter().any(|listener| listener.transport == *transport) {
            parameters = parameters.listen(*transport, address);
        }
    }
    parameters.domains = vec![DOMAIN.to_owned()];
    world.sim.add(ip, Exchange::new(parameters))
}

/// A telephone that knows the domain alone.
fn parameters(user: &str) -> PhoneParameters {
    PhoneParameters::new(DOMAIN, user).password(&user[..1])
}

fn name(world: &mut World, name: &str, ip: IpAddr) {
    world.sim.set_name(name, &[ip]);
}

fn srv(priority: u16, weight: u16, target: &str) -> Srv {
    Srv { priority, weight, port: 5060, target: target.to_owned() }
}

fn naptr(order: u16, service: &str, replacement: &str) -> Naptr {
    let (service, replacement) = (service.to_owned(), replacement.to_owned());
    Naptr { order, preference: 50, flags: "s".to_owned(), service, replacement }
}

fn refusing(status: &'static str) -> ScriptedPeer {
    ScriptedPeer::reacting(move |peer, arrival| {
        if !arrival.first_line().starts_with("ACK") {
            peer.reply(arrival, status, "");
        }
    })
}

fn agreeing() -> ScriptedPeer {
    ScriptedPeer::reacting(|peer, arrival| match arrival.first_line().split(' ').next() {
        Some("INVITE") => peer.reply(arrival, "200 OK", &described()),
        Some("ACK" | "SIP/2.0") => {}
        _ => peer.reply(arrival, "200 OK", ""),
    })
}

/// How many SIP messages were sent to a host.
fn sent_to(world: &World, ip: IpAddr) -> usize {
    world.sim.wire().filter(|packet| packet.kind == Kind::Sip && packet.to.ip() == ip).count()
}

fn expect_kept(world: &World, telephone: &Telephone) -> Outcome {
    let lost = telephone
        .events()
        .iter()
        .any(|(_, event)| matches!(event, Event::Phone(PhoneEvent::RegistrationFailed { .. })));
    world.expect(!lost, "the registration was lost")
}

/// Waits for the end of a call by an error with these words.
fn expect_error(world: &mut World, telephone: &Telephone, id: CallId, words: &str) -> Outcome {
    let limit = Duration::from_secs(40);
    let error = world.wait(telephone, "end of the call", limit, |event| match event {
        Event::Call { call, event: CallEvent::Ended(ending) } if *call == id => {
            Some(ending.error.as_ref().map(ToString::to_string).unwrap_or_default())
        }
        _ => None,
    })?;
    world.expect(error.contains(words), &format!("{error:?} does not say {words:?}"))
}

fn expect_all_private(world: &World) -> Outcome {
    let exposed =
        world.sim.wire().find(|packet| packet.kind == Kind::Sip && !packet.transport.is_secure());
    match exposed {
        Some(packet) => Err(world.failure(&format!("in the clear:\n{}", packet.text()))),
        None => Ok(()),
    }
}
