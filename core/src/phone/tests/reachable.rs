//! Staying reachable: outbound (RFC 5626), Path (RFC 3327), Service-Route (RFC 3608), the loss of a
//! flow, another network, and a machine that has slept.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use super::scene::{ALICE, Actor, BOB, PEER, Scene, header, headers, sdp, session};
use crate::config::PhoneParameters;
use crate::error::Error;
use crate::event::{CallState, Event, PhoneEvent, PhoneStatus};
use crate::host::{Endpoint, Inbound};
use crate::registration::Registration;
use crate::sim::{Arrival, NodeId, ScriptedPeer};
use crate::time::Duration;

const URN: &str = "urn:uuid:00000000-0000-1000-8000-000a95a0e128";

fn parameters() -> PhoneParameters {
    PhoneParameters::new("10.0.0.9", "alice").password("secret")
}

/// A server that answers each REGISTER with this status and these fields, and INVITE with 200; and
/// alice, started there.
fn at_server(
    parameters: PhoneParameters,
    answer: impl FnMut(&Arrival) -> (&'static str, String) + 'static,
) -> (Scene, Actor, NodeId<ScriptedPeer>) {
    let mut scene = Scene::new();
    let server = scene.peer(PEER, reacting(answer));
    let alice = scene.phone(ALICE, parameters);
    scene.start(&alice);
    scene.run(Duration::from_millis(50));
    (scene, alice, server)
}

fn reacting(
    mut answer: impl FnMut(&Arrival) -> (&'static str, String) + 'static,
) -> impl FnMut(&mut ScriptedPeer, &Arrival) {
    move |peer, arrival| {
        let line = arrival.first_line();
        if line.starts_with("REGISTER") {
            let (status, more) = answer(arrival);
            peer.reply(arrival, status, &more);
        } else if line.starts_with("INVITE") {
            let contact = "Contact: <sip:bob@10.0.0.2>";
            peer.reply(arrival, "200 OK", &format!("{contact}\n{}", session(&sdp("sendrecv"))));
        }
    }
}

fn registers(scene: &Scene, server: NodeId<ScriptedPeer>) -> Vec<Arrival> {
    let received = scene.sim[server].received().iter();
    received.filter(|arrival| arrival.first_line().starts_with("REGISTER")).cloned().collect()
}

fn failures(actor: &Actor) -> usize {
    let failed =
        |event: &&Event| matches!(event, Event::Phone(PhoneEvent::RegistrationFailed { .. }));
    actor.events().iter().filter(failed).count()
}

#[test]
fn an_instance_registers_its_flow() {
    let (mut scene, alice, server) = at_server(parameters().instance(URN), |_| {
        let path = "Path: <sip:edge.example;lr>, <sip:core.example;lr>";
        ("200 OK", format!("Require: outbound\nFlow-Timer: 120\n{path}\nExpires: 300"))
    });
    let register = registers(&scene, server).remove(0);
    let contact = format!("<sip:alice@10.0.0.1:5060>;+sip.instance=\"<{URN}>\";reg-id=1");
    assert_eq!(register.header("Contact").unwrap(), contact);
    assert_eq!(register.header("Supported").unwrap(), "path, outbound");
    let binding = scene.sim[alice.id].binding().expect("it is held").clone();
    assert!(binding.outbound);
    assert_eq!(binding.flow_timer, Some(Duration::from_secs(120)));
    assert_eq!(binding.path, ["<sip:edge.example;lr>", "<sip:core.example;lr>"]);
    // §4.3: what follows in a call comes along the same flow.
    let call = scene.call(&alice, "bob");
    scene.reach(&alice, call, CallState::Answered);
    let invite = scene.sent(ALICE, "INVITE").remove(0);
    assert_eq!(header(&invite, "Contact"), Some("<sip:alice@10.0.0.1:5060;ob>"));
    // A refresh names the same; so does the end.
    scene.tell(&alice, |phone| phone.stop());
    scene.run(Duration::from_secs(10));
    let last = registers(&scene, server).pop().unwrap();
    assert_eq!(
        (last.header("Contact").unwrap(), last.header("Expires").unwrap()),
        (contact, "0".into())
    );
    assert!(scene.sim[alice.id].binding().is_none());
}

#[test]
fn without_an_instance_a_phone_asks_for_path_alone() {
    let (scene, alice, server) = at_server(parameters(), |_| ("200 OK", "Expires: 300".into()));
    let register = registers(&scene, server).remove(0);
    assert_eq!(register.header("Contact").unwrap(), "<sip:alice@10.0.0.1:5060>");
    assert_eq!(register.header("Supported").unwrap(), "path");
    assert!(!scene.sim[alice.id].binding().unwrap().outbound);
}

#[test]
fn a_proxy_that_cannot_do_outbound_is_done_without_it() {
    let (scene, alice, server) = at_server(parameters().instance(URN), |register| {
        match register.header("Contact").unwrap().contains("reg-id") {
            true => ("439 First Hop Lacks Outbound Support", String::new()),
            false => ("200 OK", "Expires: 300".into()),
        }
    });
    assert_eq!(scene.sim[alice.id].status(), PhoneStatus::Registered);
    let second = registers(&scene, server).pop().unwrap();
    assert!(second.header("Contact").unwrap().contains(URN));
    assert_eq!(second.header("Supported").unwrap(), "path");
    assert_eq!(failures(&alice), 0);
}

#[test]
fn a_service_route_comes_after_the_outbound_proxy_and_before_the_target() {
    let named = Rc::new(RefCell::new("<sip:s1.example;lr>, <sip:s2.example;lr>".to_owned()));
    let routes = Rc::clone(&named);
    let mut parameters = parameters();
    parameters.outbound_proxy = Some("sip:10.0.0.9".into());
    parameters.expires = Duration::from_secs(60);
    let (mut scene, alice, server) = at_server(parameters, move |_| {
        ("200 OK", format!("Expires: 60\nService-Route: {}", routes.borrow()))
    });
    let proxy = "<sip:10.0.0.9;lr>";
    let register = registers(&scene, server).remove(0);
    assert_eq!(headers(&register.text(), "Route"), [proxy], "REGISTER does not go by it");
    let routes_of_call = |scene: &mut Scene| {
        let call = scene.call(&alice, "bob");
        scene.reach(&alice, call, CallState::Answered);
        scene.run(Duration::from_millis(50));
        let invites = scene.sent(ALICE, "INVITE");
        let invite = invites.last().unwrap();
        assert!(invite.starts_with("INVITE sip:bob@10.0.0.9 "), "{invite}");
        headers(invite, "Route").into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(routes_of_call(&mut scene), [proxy, "<sip:s1.example;lr>", "<sip:s2.example;lr>"]);
    // In the dialog Record-Route counts alone: the scripted server has none.
    let ack = scene.sent(ALICE, "ACK").remove(0);
    assert!(ack.starts_with("ACK sip:bob@10.0.0.2 ") && headers(&ack, "Route").is_empty(), "{ack}");
    // The next 200 replaces the whole; one that begins with the proxy is not visited twice.
    *named.borrow_mut() = "<sip:10.0.0.9;lr>, <sip:s3.example;lr>".into();
    scene.run(Duration::from_secs(40));
    assert_eq!(routes_of_call(&mut scene), [proxy, "<sip:s3.example;lr>"]);
    *named.borrow_mut() = "<sip:broken".into();
    scene.run(Duration::from_secs(40));
    assert_eq!(routes_of_call(&mut scene), [proxy]);
}

#[test]
fn without_a_proxy_a_service_route_names_the_next_hop() {
    let (mut scene, alice, _) = at_server(parameters(), |_| {
        ("200 OK", "Expires: 300\nService-Route: <sip:10.0.0.2;lr>".into())
    });
    let proxy = scene.sim.add(BOB, ScriptedPeer::new());
    scene.call(&alice, "bob");
    scene.run(Duration::from_millis(50));
    let invite = scene.sim[proxy].last("INVITE").expect("it goes there").text().into_owned();
    assert!(invite.starts_with("INVITE sip:bob@10.0.0.9 "), "{invite}");
    assert_eq!(headers(&invite, "Route"), ["<sip:10.0.0.2;lr>"]);
}

#[test]
fn a_refusal_drops_the_service_route() {
    let refuse = Rc::new(Cell::new(false));
    let refused = Rc::clone(&refuse);
    let (mut scene, alice, _) = at_server(parameters(), move |_| match refused.get() {
        true => ("403 Forbidden", String::new()),
        false => ("200 OK", "Expires: 60\nService-Route: <sip:10.0.0.2;lr>".into()),
    });
    assert_eq!(scene.sim[alice.id].binding().unwrap().service_route.len(), 1);
    refuse.set(true);
    scene.run(Duration::from_secs(31));
    assert!(scene.sim[alice.id].binding().is_none());
    assert_eq!(scene.sim[alice.id].status(), PhoneStatus::Registering);
}

#[test]
fn bindings_of_others_and_of_an_earlier_life_are_told_apart() {
    let instance = format!(";+sip.instance=\"<{URN}>\"");
    for (contacts, refreshed) in [
        // Ours, by its URI.
        ("<sip:x@1.1.1.1>;expires=70, <sip:alice@10.0.0.1:5060>;expires=200".to_owned(), 140),
        // Rewritten on its way, and known by its instance.
        (format!("<sip:x@1.1.1.1>;expires=70, <sip:alice@9.9.9.9>{instance};expires=200"), 140),
        // Not there: the first that ends may be ours.
        ("<sip:x@1.1.1.1>;expires=70, <sip:y@1.1.1.2>;expires=90".to_owned(), 35),
        ("<sip:x@1.1.1.1>;expires=1".to_owned(), 15),
    ] {
        let text = format!("Contact: {contacts}");
        let (mut scene, _, server) =
            at_server(parameters().instance(URN), move |_| ("200 OK", text.clone()));
        scene.run(Duration::from_secs(refreshed - 1));
        assert_eq!(registers(&scene, server).len(), 1, "{contacts}");
        scene.run(Duration::from_secs(2));
        assert_eq!(registers(&scene, server).len(), 2, "{contacts}");
    }
}

#[test]
fn a_flow_that_is_lost_is_replaced_at_once() {
    let (mut scene, alice, server) = at_server(parameters(), |_| ("200 OK", "Expires: 300".into()));
    let other = crate::host::Flow { transport: crate::host::Transport::Tcp, id: 77 };
    let flow = scene.sim[alice.id]
        .registration
        .as_ref()
        .and_then(Registration::flow)
        .expect("it is bound");
    scene.sim.with(alice.id, |phone, host| {
        phone.handle_inbound(host, Inbound::FlowClosed { flow: other });
    });
    assert_eq!(scene.sim[alice.id].status(), PhoneStatus::Registered);
    scene.sim.with(alice.id, |phone, host| {
        phone.handle_inbound(host, Inbound::FlowClosed { flow });
    });
    assert_eq!(scene.sim[alice.id].status(), PhoneStatus::Registering);
    scene.run(Duration::from_millis(50));
    assert_eq!(scene.sim[alice.id].status(), PhoneStatus::Registered);
    assert_eq!((registers(&scene, server).len(), failures(&alice)), (2, 1));
    let told = |event: &Event| {
        let error = |error: &Error| error.to_string().contains("10.0.0.9 cannot be reached");
        matches!(event, Event::Phone(PhoneEvent::RegistrationFailed { error: Some(why), .. })
            if error(why))
    };
    assert!(alice.events().iter().any(told), "{:?}", alice.events());
}

#[test]
fn a_server_that_was_there_is_asked_until_it_comes_back() {
    let down = Rc::new(Cell::new(false));
    let is_down = Rc::clone(&down);
    let mut take = reacting(|_| ("200 OK", "Expires: 60".into()));
    let mut scene = Scene::new();
    let server = scene.peer(PEER, move |peer, arrival| {
        if !is_down.get() {
            take(peer, arrival);
        }
    });
    let alice = scene.phone(ALICE, parameters());
    scene.start(&alice);
    scene.run(Duration::from_millis(50));
    down.set(true);
    scene.run(Duration::from_secs(2 * 3_600));
    assert_eq!(scene.sim[alice.id].status(), PhoneStatus::Registering);
    assert!(failures(&alice) > 15, "far beyond the threshold: {}", failures(&alice));
    down.set(false);
    scene.run(Duration::from_secs(301));
    assert_eq!(scene.sim[alice.id].status(), PhoneStatus::Registered);
    // One that is back within seconds is found within seconds.
    scene.sim.set_unreachable_reports(true);
    scene.sim.kill(server);
    let before = failures(&alice);
    while failures(&alice) == before {
        scene.run(Duration::from_secs(1));
    }
    let back = ScriptedPeer::reacting(reacting(|_| ("200 OK", "Expires: 60".into())));
    scene.sim.restart(server, back);
    scene.run(Duration::from_secs(2));
    assert_eq!(scene.sim[alice.id].status(), PhoneStatus::Registered);
}

#[test]
fn a_machine_that_has_slept_registers_when_it_wakes() {
    let (mut scene, alice, server) = at_server(parameters(), |_| ("200 OK", "Expires: 600".into()));
    // The monotonic clock all but stands still for an hour.
    scene.sim.set_drift_ppm(alice.id, -999_999);
    scene.run(Duration::from_secs(3_600));
    scene.sim.set_drift_ppm(alice.id, 0);
    assert_eq!(registers(&scene, server).len(), 1);
    scene.run(Duration::from_secs(31));
    assert_eq!(registers(&scene, server).len(), 2);
}

#[test]
fn another_network_registers_the_new_address_and_gives_the_old_one_back() {
    let (mut scene, alice, server) = at_server(parameters(), |_| ("200 OK", "Expires: 300".into()));
    scene.sim.move_node(alice.id, [10, 0, 0, 44]);
    scene.tell(&alice, |phone| phone.network_changed());
    scene.run(Duration::from_millis(50));
    let register = registers(&scene, server).pop().unwrap();
    assert_eq!(register.from, ([10, 0, 0, 44], 5060).into());
    let contacts = headers(&register.text(), "Contact").join(" ");
    let new = "<sip:alice@10.0.0.44:5060>";
    assert_eq!(contacts, format!("{new} <sip:alice@10.0.0.1:5060>;expires=0"));
    let statuses = |event: &Event| match event {
        Event::Phone(PhoneEvent::Status(status)) => Some(*status),
        _ => None,
    };
    use PhoneStatus::{Registered, Registering};
    let told: Vec<_> = alice.events().iter().filter_map(statuses).collect();
    assert_eq!(told, [Registering, Registered, Registering, Registered]);
    assert_eq!(failures(&alice), 0);
    // Next time the old one is forgotten; and told in vain, it does no harm.
    scene.tell(&alice, |phone| phone.network_changed());
    scene.run(Duration::from_millis(50));
    let register = registers(&scene, server).pop().unwrap();
    assert_eq!(headers(&register.text(), "Contact"), [new]);
    // With outbound the registrar knows by itself which binding is meant.
    let (mut scene, alice, server) = at_server(parameters().instance(URN), |_| {
        ("200 OK", "Expires: 300\nRequire: outbound".into())
    });
    scene.sim.move_node(alice.id, [10, 0, 0, 44]);
    scene.tell(&alice, |phone| phone.network_changed());
    scene.run(Duration::from_millis(50));
    assert_eq!(headers(&registers(&scene, server).pop().unwrap().text(), "Contact").len(), 1);
}

#[test]
fn a_network_that_is_not_there_yet_is_waited_for() {
    let (mut scene, alice, server) = at_server(parameters(), |_| ("200 OK", "Expires: 300".into()));
    scene.sim.partition(ALICE, PEER);
    scene.tell(&alice, |phone| phone.network_changed());
    scene.run(Duration::from_secs(3));
    assert_eq!(scene.sim[alice.id].status(), PhoneStatus::Registering);
    scene.sim.heal(ALICE, PEER);
    scene.run(Duration::from_secs(4));
    assert_eq!(scene.sim[alice.id].status(), PhoneStatus::Registered);
    assert!(registers(&scene, server).len() > 1);
}
