//! Phones among peers that say anything at all.

use super::scene::{ALICE, Actor, BOB, PEER, Scene};
use crate::call::TransferMode;
use crate::config::PhoneParameters;
use crate::event::{CallEvent, CallId, Event, PhoneStatus};
use crate::phone::Phone;
use crate::sim::{Link, NodeId, ScriptedPeer};
use crate::time::Duration;

/// Header lines that somebody may add, change or send twice.
const LINES: [&str; 21] = [
    "Require: 100rel\r\n",
    "Record-Route: <sip:10.0.0.9;lr>\r\n",
    "Record-Route: <sip:10.0.0.9>\r\n",
    "Record-Route: <sip:nowhere.example>\r\n",
    "Contact: <sip:x@10.0.0.9:5060>\r\n",
    "Contact: <sips:x@10.0.0.9>\r\n",
    "Contact: *\r\n",
    "Expires: 1\r\n",
    "Expires: 0\r\n",
    "WWW-Authenticate: Digest realm=\"r\", nonce=\"n\"\r\n",
    "Content-Type: text/plain\r\n",
    "Content-Length: 3\r\n",
    "To: <sip:x@y>;tag=0000000000000000\r\n",
    "CSeq: 4294967295 INVITE\r\n",
    "Refer-To: <sip:x@10.0.0.9>\r\n",
    "Refer-To: <sip:bob@10.0.0.2?Subject=x>\r\n",
    "Refer-Sub: false\r\n",
    "Event: refer\r\n",
    "Event: refer;id=2\r\n",
    "Subscription-State: terminated\r\n",
    "Content-Type: message/sipfrag\r\n",
];

const METHODS: [&str; 11] = [
    "INVITE", "ACK", "BYE", "CANCEL", "UPDATE", "INFO", "OPTIONS", "PRACK", "REFER", "NOTIFY",
    "JUGGLE",
];

const STATUSES: [&str; 10] = ["100", "180", "183", "200", "202", "302", "401", "407", "481", "603"];

/// A message that was on the wire, more or less.
fn altered(scene: &mut Scene) -> Option<Vec<u8>> {
    let mut pick = |count: usize| (scene.sim.random() % count.max(1) as u64) as usize;
    let (which, how, with, at) = (pick(1 << 20), pick(9), pick(1 << 20), pick(1 << 20));
    let count = scene.sip().count();
    let mut text = scene.sip().nth(which.checked_rem(count)?)?.text().into_owned();
    match how {
        0 => {}
        1 => text = text.replace("z9hG4bK", &format!("z9hG4bK{with}")),
        2 => {
            let words = text.split(' ').next()?.to_owned();
            let method = METHODS[with % METHODS.len()];
            text = text.replace(&words, method).replace("z9hG4bK", &format!("z9hG4bK{with}"));
        }
        3 => {
            let status = STATUSES[with % STATUSES.len()];
            text = match text.starts_with("SIP/2.0") {
                true => format!("SIP/2.0 {status}{}", text.get(11..)?),
                false => text,
            };
        }
        4 => {
            let line = text.find("\r\n")? + 2;
            text.insert_str(line, LINES[with % LINES.len()]);
        }
        5 => text = text.replace("tag=", &format!("tag={}", with % 7)),
        6 => {
            let number = text.split("CSeq: ").nth(1)?.split(' ').next()?.to_owned();
            text = text.replace(&format!("CSeq: {number} "), &format!("CSeq: {} ", with % 9));
            text = text.replace("z9hG4bK", &format!("z9hG4bK{with}"));
        }
        7 => {
            text.truncate((0..=at % text.len().max(1)).rev().find(|at| text.is_char_boundary(*at))?)
        }
        _ => {
            let mut bytes = text.into_bytes();
            let at = at.checked_rem(bytes.len())?;
            bytes[at] = with as u8;
            return Some(bytes);
        }
    }
    Some(text.into_bytes())
}

/// A command to one of the calls that the application has been told of.
fn command(scene: &mut Scene, actor: &Actor) {
    let (which, what) = (scene.sim.random(), scene.sim.random() % 14);
    // Half of what the far ends want is followed.
    let asked = actor.events().into_iter().rev().find_map(|event| match event {
        Event::Call { event: CallEvent::Referred { referral, .. }, .. } => Some(referral),
        _ => None,
    });
    let phone: &mut Phone = &mut scene.sim[actor.id];
    let calls: Vec<CallId> = phone.calls().collect();
    let Some(call) = calls.get(which as usize % calls.len().max(1)).copied() else { return };
    // What the state forbids is refused, and that is all.
    let _ = match what {
        0..=2 => phone.answer(call),
        3 => phone.progress(call),
        4 => phone.deny(call, 486, None),
        5 => phone.redirect(call, "sip:x@y"),
        6 => phone.hangup(call),
        7 => phone.cancel(call),
        8 => phone.transfer(call, "sip:bob@10.0.0.2", TransferMode::Blind.into()),
        9 | 10 => phone.transfer(call, "sip:x@10.0.0.9", TransferMode::Notified.into()),
        11 | 12 => asked.map_or(Ok(()), |referral| match which.is_multiple_of(2) {
            true => phone.accept_referral(referral).map(drop),
            false => phone.reject_referral(referral),
        }),
        _ => Ok(()),
    };
}

#[test]
fn whatever_is_said_nothing_breaks_and_everything_ends() {
    let (mut transfers, mut referrals) = (0, 0);
    for seed in 0..60 {
        let mut scene = Scene::with_seed(seed);
        let mut movable = |ip, user| {
            let parameters = PhoneParameters::without_server(user).accept_transfer(true);
            let actor = scene.phone(ip, parameters);
            scene.start(&actor);
            actor
        };
        let (alice, bob) = (movable(ALICE, "alice"), movable(BOB, "bob"));
        let peer: NodeId<ScriptedPeer> = scene.sim.add(PEER, ScriptedPeer::new());
        scene.sim.set_default_link(Link::lossy(100));
        for _ in 0..150 {
            if scene.sim.random().is_multiple_of(4) {
                let target = ["sip:bob@10.0.0.2", "sip:x@10.0.0.9", "sip:x@gone.example"];
                let target = target[(scene.sim.random() % 3) as usize];
                scene.call(&alice, target);
            }
            command(&mut scene, &alice);
            command(&mut scene, &bob);
            for _ in 0..4 {
                let Some(bytes) = altered(&mut scene) else { continue };
                let to = if scene.sim.random().is_multiple_of(2) { &alice } else { &bob };
                scene.sim[peer].send_bytes(to.id.address(), bytes);
            }
            let wait = scene.sim.random() % 400;
            scene.run(Duration::from_millis(wait));
        }
        for actor in [&alice, &bob] {
            scene.tell(actor, Phone::stop);
        }
        scene.run(Duration::from_secs(15));
        for actor in [&alice, &bob] {
            assert_eq!(scene.sim[actor.id].status(), PhoneStatus::Inactive, "seed {seed}");
            assert_eq!(scene.sim.media_ports(actor.id), 0, "seed {seed}");
            assert_eq!(scene.sim[actor.id].calls().count(), 0, "seed {seed}");
            actor.assert_every_call_ended(seed);
            let events = actor.events();
            transfers += events
                .iter()
                .filter(|it| matches!(it, Event::Call { event: CallEvent::Transfer { .. }, .. }))
                .count();
            referrals += events
                .iter()
                .filter(|it| matches!(it, Event::Call { event: CallEvent::Referred { .. }, .. }))
                .count();
        }
    }
    assert!(transfers > 60 && referrals > 60, "{transfers} and {referrals}");
}
