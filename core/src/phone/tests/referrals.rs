//! Being transferred: what a phone does when the far end wants it to call somebody else.

use super::scene::{
    ALICE, Actor, BOB, PEER, Scene, described, header, request, response, sdp, session, tag,
};
use crate::config::PhoneParameters;
use crate::error::Error;
use crate::event::{CallEvent, CallId, CallState, EndedBy, Event, PhoneStatus, ReferralId};
use crate::sim::{NodeId, ScriptedPeer};
use crate::time::Duration;

/// Where the scripted target of transfers is.
const TARGET: [u8; 4] = [10, 0, 0, 3];

/// Bob, who may be transferred, in an answered call of the scripted peer.
struct Called {
    scene: Scene,
    bob: Actor,
    peer: NodeId<ScriptedPeer>,
    call: CallId,
    tag: String,
    seq: u32,
}

fn called() -> Called {
    called_by(|_| {})
}

fn called_by(change: impl FnOnce(&mut PhoneParameters)) -> Called {
    let mut scene = Scene::new();
    let mut parameters = PhoneParameters::without_server("bob");
    parameters.accept_transfer = true;
    change(&mut parameters);
    let bob = scene.phone(BOB, parameters);
    scene.start(&bob);
    // Reports are taken at once.
    let peer = scene.peer(PEER, |peer, arrival| {
        if ["NOTIFY", "BYE"].iter().any(|method| arrival.first_line().starts_with(method)) {
            peer.reply(arrival, "200 OK", "");
        }
    });
    let (call, tag) = scene.called_by(peer, &bob);
    Called { scene, bob, peer, call, tag, seq: 1 }
}

impl Called {
    /// Sends REFER within the dialog; what it was answered, if it was.
    fn refer(&mut self, more: &str) -> Option<u16> {
        self.seq += 1;
        let text = request("REFER", self.seq, Some(&self.tag), more);
        self.scene.say(self.peer, &self.bob, &text);
        self.answered(self.seq)
    }

    fn answered(&self, seq: u32) -> Option<u16> {
        let cseq = format!("{seq} REFER");
        let arrived = self.scene.sim[self.peer].received().iter().rev();
        let mut answers = arrived.filter(|it| it.header("CSeq").as_deref() == Some(&cseq));
        answers.find_map(|it| it.first_line().strip_prefix("SIP/2.0 ")?[..3].parse().ok())
    }

    /// The last thing that the application was asked.
    #[track_caller]
    fn asked(&self) -> ReferralId {
        let asked = self.bob.events().into_iter().rev().find_map(|event| match event {
            Event::Call { call, event: CallEvent::Referred { referral, .. } } => {
                assert_eq!(call, self.call);
                Some(referral)
            }
            _ => None,
        });
        asked.expect("the application is asked")
    }

    #[track_caller]
    fn accept(&mut self) -> CallId {
        let referral = self.asked();
        let new = self.scene.tell(&self.bob, |phone| phone.accept_referral(referral)).unwrap();
        self.scene.run(Duration::from_millis(50));
        new
    }

    /// A target that answers INVITE so, if at all.
    fn target(&mut self, status: &'static str) -> NodeId<ScriptedPeer> {
        self.scene.peer(TARGET, move |peer, arrival| match arrival.first_line() {
            line if line.starts_with("INVITE") && !status.is_empty() => {
                let more = if status.starts_with('2') { described() } else { String::new() };
                peer.reply(arrival, status, &more.replace("10.0.0.9", "10.0.0.3"));
            }
            line if line.starts_with("CANCEL") || line.starts_with("BYE") => {
                peer.reply(arrival, "200 OK", "");
            }
            _ => {}
        })
    }

    /// What was reported: the state of the subscription, and the status line.
    fn reports(&self) -> Vec<(String, String)> {
        let notify = self.scene.sent(BOB, "NOTIFY");
        let report = |text: &String| {
            assert_eq!(header(text, "Content-Type"), Some("message/sipfrag;version=2.0"));
            assert_eq!(header(text, "Contact"), Some("<sip:bob@10.0.0.2:5060>"));
            let (_, body) = text.split_once("\r\n\r\n").unwrap();
            assert!(body.ends_with("\r\n"), "{body:?}");
            let state = header(text, "Subscription-State").unwrap().to_owned();
            (state, body.trim_end().to_owned())
        };
        notify.iter().map(report).collect()
    }
}

fn active(line: &str) -> (String, String) {
    ("active;expires=240".to_owned(), line.to_owned())
}

fn last(line: &str) -> (String, String) {
    ("terminated;reason=noresource".to_owned(), line.to_owned())
}

#[test]
fn a_transfer_is_refused_unless_the_phone_allows_it() {
    let mut it = called_by(|parameters| parameters.accept_transfer = false);
    assert_eq!(it.refer("Refer-To: <sip:carol@10.0.0.3>"), Some(603));
    assert!(
        !it.bob
            .events()
            .iter()
            .any(|event| matches!(event, Event::Call { event: CallEvent::Referred { .. }, .. }))
    );
    // Nobody is moved by one that is refused.
    let moved = "Refer-To: <sip:carol@10.0.0.3>\nContact: <sip:evil@10.0.0.66>";
    it.seq += 1;
    let text = request("REFER", it.seq, Some(&it.tag), moved)
        .replace("Contact: <sip:tester@10.0.0.9:5060>\r\n", "");
    it.scene.say(it.peer, &it.bob, &text);
    let call = it.call;
    it.scene.tell(&it.bob, |phone| phone.hangup(call)).unwrap();
    assert_eq!(it.scene.ended(&it.bob, it.call).0, EndedBy::Local);
    assert!(it.scene.sent(BOB, "BYE")[0].starts_with("BYE sip:tester@10.0.0.9:5060"));
}

#[test]
fn an_accepted_referral_calls_the_target_and_reports_its_answer() {
    let mut it = called();
    let target = it.target("200 OK");
    let more = "Refer-To: Carol <sip:carol@10.0.0.3;method=INVITE?Subject=hi>\n\
                Referred-By: <sip:tester@10.0.0.9>";
    assert_eq!(it.refer(more), None, "the application decides");
    let told = it.bob.events().into_iter().find_map(|event| match event {
        Event::Call { event: CallEvent::Referred { to, by, .. }, .. } => Some((to, by)),
        _ => None,
    });
    let expected = ("sip:carol@10.0.0.3".to_owned(), "sip:tester@10.0.0.9".to_owned());
    assert_eq!(told, Some(expected));
    assert_eq!(it.scene.sim[target].received().len(), 0, "nothing is called yet");
    let new = it.accept();
    // RFC 7647 §5.
    assert_eq!(it.answered(2), Some(200));
    it.scene.reach(&it.bob, new, CallState::Answered);
    it.scene.run(Duration::from_millis(100));
    assert_eq!(it.reports(), [active("SIP/2.0 100 Trying"), last("SIP/2.0 200 OK")]);
    let notify = &it.scene.sent(BOB, "NOTIFY")[0];
    assert_eq!(header(notify, "Event"), Some("refer;id=2"));
    assert_eq!(header(notify, "Call-ID"), Some("scripted@10.0.0.9"));
    let invite = &it.scene.sent(BOB, "INVITE")[0];
    assert!(invite.starts_with("INVITE sip:carol@10.0.0.3 SIP/2.0"), "{invite}");
    assert_eq!(header(invite, "Referred-By"), Some("<sip:tester@10.0.0.9>"));
    assert_eq!(header(invite, "Subject"), Some("hi"));
    // The far end hangs up when it likes; the new call goes on.
    assert_eq!(it.scene.sim[it.bob.id].state(it.call), Some(CallState::Answered));
    it.scene.say(it.peer, &it.bob, &request("BYE", 9, Some(&it.tag), ""));
    assert_eq!(it.scene.ended(&it.bob, it.call).0, EndedBy::Remote);
    assert_eq!(it.scene.sim[it.bob.id].state(new), Some(CallState::Answered));
    it.scene.tell(&it.bob, |phone| phone.hangup(new)).unwrap();
    it.scene.ended(&it.bob, new);
    it.scene.assert_idle(&it.bob);
}

#[test]
fn a_target_that_is_not_reached_is_reported_and_the_call_goes_on() {
    for (status, line) in
        [("486 Busy Here", "SIP/2.0 486 Busy Here"), ("603 No Thanks", "SIP/2.0 603 No Thanks")]
    {
        let mut it = called();
        it.target(status);
        it.refer("Refer-To: <sip:carol@10.0.0.3>");
        let new = it.accept();
        it.scene.ended(&it.bob, new);
        it.scene.run(Duration::from_millis(100));
        assert_eq!(it.reports(), [active("SIP/2.0 100 Trying"), last(line)]);
        assert_eq!(it.scene.sim[it.bob.id].state(it.call), Some(CallState::Answered));
        // And another may be followed.
        assert_eq!(it.refer("Refer-To: <sip:carol@10.0.0.3>"), None);
        it.accept();
        it.scene.run(Duration::from_millis(100));
        assert_eq!(header(&it.scene.sent(BOB, "NOTIFY")[2], "Event"), Some("refer;id=3"));
        assert_eq!(it.reports().len(), 4);
    }
}

#[test]
fn an_end_without_a_response_is_reported_too() {
    let report = |change: fn(&mut PhoneParameters), uri: &str, cancel: bool| {
        let mut it = called_by(change);
        it.target(if uri.contains("10.0.0.3") { "180 Ringing" } else { "" });
        it.refer(&format!("Refer-To: <{uri}>"));
        let new = it.accept();
        if cancel {
            it.scene.tell(&it.bob, |phone| phone.cancel(new)).unwrap();
        }
        it.scene.run(Duration::from_secs(40));
        it.reports().pop()
    };
    assert_eq!(report(|_| {}, "sip:c@10.0.0.77", false), Some(last("SIP/2.0 408 Request Timeout")));
    assert_eq!(
        report(|_| {}, "sip:c@nowhere.example", false),
        Some(last("SIP/2.0 503 Service Unavailable"))
    );
    assert_eq!(
        report(
            |it| (it.rtp_port_low, it.rtp_port_high) = (10_000, 10_001),
            "sip:c@10.0.0.3",
            false
        ),
        Some(last("SIP/2.0 503 Service Unavailable"))
    );
    assert_eq!(
        report(|_| {}, "sip:c@10.0.0.3", true),
        Some(last("SIP/2.0 487 Request Terminated"))
    );
}

#[test]
fn a_target_that_has_moved_is_followed_and_its_new_place_reported() {
    let mut it = called();
    let target = it.scene.peer(TARGET, |peer, arrival| match arrival.first_line() {
        line if line.starts_with("INVITE sip:carol@") => {
            peer.reply(arrival, "302 Moved Temporarily", "Contact: <sip:desk@10.0.0.3>\n");
        }
        line if line.starts_with("INVITE") => peer.reply(arrival, "486 Busy Here", ""),
        _ => {}
    });
    it.refer("Refer-To: <sip:carol@10.0.0.3>");
    let new = it.accept();
    it.scene.ended(&it.bob, new);
    it.scene.run(Duration::from_secs(2));
    assert_eq!(it.scene.sim[target].count("INVITE sip:desk@"), 1);
    assert_eq!(it.reports(), [active("SIP/2.0 100 Trying"), last("SIP/2.0 486 Busy Here")]);
}

#[test]
fn provisional_reports_are_a_second_apart_and_only_the_latest_is_sent() {
    let mut it = called();
    let target = it.target("");
    it.refer("Refer-To: <sip:carol@10.0.0.3>");
    let new = it.accept();
    let invite = it.scene.sim[target].last("INVITE").unwrap().clone();
    for status in ["180 Ringing", "181 Call Is Being Forwarded", "180 Ringing", "182 Queued"] {
        let text = response(&invite, status, "t", "");
        it.scene.say(target, &it.bob, &text);
    }
    assert_eq!(it.reports().len(), 1);
    it.scene.run(Duration::from_secs(1));
    let told = it.reports();
    assert_eq!(told.len(), 2);
    assert_eq!(told[1].1, "SIP/2.0 182 Queued");
    // The last one waits for nothing.
    let text = response(&invite, "200 OK", "t", &described().replace("10.0.0.9", "10.0.0.3"));
    it.scene.say(target, &it.bob, &text);
    assert_eq!(it.reports().len(), 3);
    assert_eq!(it.reports()[2], last("SIP/2.0 200 OK"));
    it.scene.run(Duration::from_secs(5));
    assert_eq!(it.reports().len(), 3);
    assert_eq!(it.scene.sim[it.bob.id].state(new), Some(CallState::Answered));
}

#[test]
fn reports_do_not_overtake_each_other_and_end_where_nobody_takes_them() {
    // The first report is lost for a while: the last waits for its answer.
    for refused in [false, true] {
        let mut it = called();
        let quiet = it.peer;
        it.scene.sim.restart(quiet, ScriptedPeer::new());
        it.target("200 OK");
        it.refer("Refer-To: <sip:carol@10.0.0.3>");
        it.accept();
        it.scene.run(Duration::from_secs(3));
        let reports = it.reports();
        assert!(reports.len() > 1 && reports.iter().all(|it| *it == active("SIP/2.0 100 Trying")));
        let notify = it.scene.sim[quiet].last("NOTIFY").unwrap().clone();
        let status = if refused { "481 Gone" } else { "200 OK" };
        it.scene.say(quiet, &it.bob, &response(&notify, status, "", ""));
        let taken = it.reports().last() == Some(&last("SIP/2.0 200 OK"));
        assert_eq!(taken, !refused, "RFC 6665 §4.2.2");
        assert_eq!(it.scene.sim[it.bob.id].state(it.call), Some(CallState::Answered));
    }
}

#[test]
fn a_referral_that_nobody_decides_about_is_refused_in_time() {
    let mut it = called();
    it.refer("Refer-To: <sip:carol@10.0.0.3>");
    let referral = it.asked();
    it.scene.run(Duration::from_secs(19));
    assert_eq!(it.answered(2), Some(100), "RFC 4320 §4.1");
    it.scene.run(Duration::from_secs(1));
    assert_eq!(it.answered(2), Some(603));
    let late = it.scene.tell(&it.bob, |phone| phone.accept_referral(referral));
    assert_eq!(late, Err(Error::NoSuchReferral { referral }));
    assert_eq!(it.scene.sent(BOB, "INVITE").len(), 0);
    // By wish.
    it.refer("Refer-To: <sip:carol@10.0.0.3>");
    let referral = it.asked();
    let twice = it
        .scene
        .tell(&it.bob, |phone| (phone.reject_referral(referral), phone.accept_referral(referral)));
    assert_eq!(twice, (Ok(()), Err(Error::NoSuchReferral { referral })));
    it.scene.run(Duration::from_millis(50));
    assert_eq!(it.answered(3), Some(603));
    assert_eq!(it.scene.sim[it.bob.id].state(it.call), Some(CallState::Answered));
}

#[test]
fn a_referral_ends_with_its_call() {
    // The far end hangs up while the application thinks.
    let mut it = called();
    it.refer("Refer-To: <sip:carol@10.0.0.3>");
    let referral = it.asked();
    it.scene.say(it.peer, &it.bob, &request("BYE", 3, Some(&it.tag), ""));
    assert_eq!(it.answered(2), Some(603));
    assert_eq!(
        it.scene.tell(&it.bob, |phone| phone.accept_referral(referral)),
        Err(Error::NoSuchReferral { referral })
    );
    it.scene.ended(&it.bob, it.call);
    it.scene.assert_idle(&it.bob);
    // As soon as it is followed, as a blind transfer does: the new call goes on.
    let mut it = called();
    it.target("200 OK");
    it.refer("Refer-To: <sip:carol@10.0.0.3>");
    let referral = it.asked();
    let new = it.scene.tell(&it.bob, |phone| phone.accept_referral(referral)).unwrap();
    let bye = request("BYE", 3, Some(&it.tag), "");
    it.scene.sim[it.peer].send(it.bob.id.address(), &bye);
    it.scene.reach(&it.bob, new, CallState::Answered);
    it.scene.ended(&it.bob, it.call);
    // RFC 5057 §5.5: what has become of it is reported all the same.
    it.scene.run(Duration::from_millis(100));
    assert_eq!(it.reports().last(), Some(&last("SIP/2.0 200 OK")));
    it.scene.tell(&it.bob, |phone| phone.hangup(new)).unwrap();
    it.scene.ended(&it.bob, new);
    it.scene.assert_idle(&it.bob);
    // After our own BYE too.
    let mut it = called();
    let target = it.target("");
    it.refer("Refer-To: <sip:carol@10.0.0.3>");
    let new = it.accept();
    let call = it.call;
    it.scene.tell(&it.bob, |phone| phone.hangup(call)).unwrap();
    assert_eq!(it.scene.ended(&it.bob, it.call), (EndedBy::Local, None));
    let invite = it.scene.sim[target].last("INVITE").expect("it is called").clone();
    let busy = response(&invite, "486 Busy Here", "c", "");
    it.scene.sim[target].send(invite.from, &busy);
    it.scene.ended(&it.bob, new);
    it.scene.run(Duration::from_millis(100));
    assert_eq!(it.reports().last(), Some(&last("SIP/2.0 486 Busy Here")));
    it.scene.ended(&it.bob, it.call);
    it.scene.assert_idle(&it.bob);
    // stop() ends everything, and what has become of it is reported, also after the call.
    for hangs_up in [false, true] {
        let mut it = called();
        let target = it.target("180 Ringing");
        it.refer("Refer-To: <sip:carol@10.0.0.3>");
        let (call, new) = (it.call, it.accept());
        it.scene.run(Duration::from_secs(2));
        if hangs_up {
            it.scene.tell(&it.bob, |phone| (phone.cancel(new), phone.hangup(call)).1).unwrap();
            it.scene.ended(&it.bob, it.call);
        }
        it.scene.tell(&it.bob, |phone| phone.stop());
        it.scene.ended(&it.bob, it.call);
        let invite = it.scene.sim[target].last("INVITE").expect("it is called").clone();
        let over = response(&invite, "487 Request Terminated", "c", "");
        it.scene.sim[target].send(invite.from, &over);
        it.scene.ended(&it.bob, new);
        it.scene.run(Duration::from_secs(1));
        assert_eq!(it.reports().last(), Some(&last("SIP/2.0 487 Request Terminated")));
        assert_eq!(it.scene.sim[it.bob.id].status(), PhoneStatus::Inactive);
        it.scene.assert_idle(&it.bob);
    }
    // The target's silence holds it up no longer than that of any peer.
    let mut it = called();
    it.target("180 Ringing");
    it.refer("Refer-To: <sip:carol@10.0.0.3>");
    let new = it.accept();
    it.scene.tell(&it.bob, |phone| phone.stop());
    it.scene.ended(&it.bob, it.call);
    it.scene.ended(&it.bob, new);
    it.scene.run(Duration::from_secs(13));
    assert_eq!(it.scene.sim[it.bob.id].status(), PhoneStatus::Inactive);
    it.scene.assert_idle(&it.bob);
}

#[test]
fn what_cannot_be_followed_is_refused_with_its_own_code() {
    let mut it = called();
    for (code, more) in [
        (400, ""),
        (400, "Refer-To: <sip:c@10.0.0.3>\nRefer-To: <sip:d@10.0.0.3>"),
        (416, "Refer-To: <http://example.com/>"),
        (416, "Refer-To: <sips:c@10.0.0.3;transport=udp>"),
        (416, "Refer-To: <tel:+12015550123>"),
        (416, "Refer-To: <sip:c@10.0.0.3;transport=pigeon>"),
        (501, "Refer-To: <sip:c@10.0.0.3;method=BYE>"),
        (501, "Refer-To: <sip:c@10.0.0.3?Replaces=x%3Bto-tag%3Da%3Bfrom-tag%3Db>"),
        (420, "Refer-To: <sip:c@10.0.0.3>\nRequire: x"),
    ] {
        assert_eq!(it.refer(more), Some(code), "{more}");
    }
    // One at a time.
    assert_eq!(it.refer("Refer-To: <sip:c@10.0.0.3>\nRequire: norefersub"), None);
    assert_eq!(it.refer("Refer-To: <sip:c@10.0.0.3>"), Some(491));
    it.accept();
    assert_eq!(it.refer("Refer-To: <sip:c@10.0.0.3>"), Some(491));
    // Not before the call is answered.
    let mut scene = Scene::new();
    let bob = scene.direct(BOB, "bob");
    let peer = scene.silent_peer();
    scene.say(peer, &bob, &request("INVITE", 1, None, &session(&sdp("sendrecv"))));
    let tag = tag(header(&scene.answer_to(peer, "INVITE", 1).1, "To").unwrap()).to_owned();
    scene.say(peer, &bob, &request("REFER", 2, Some(&tag), "Refer-To: <sip:c@10.0.0.3>"));
    assert_eq!(scene.answer_to(peer, "REFER", 2).0, 603);
}

#[test]
fn a_refer_that_is_followed_moves_the_target_and_no_other() {
    for (accepted, expected) in [(true, "sip:moved@10.0.0.9"), (false, "sip:tester@10.0.0.9:5060")]
    {
        let mut it = called();
        let text = request("REFER", 2, Some(&it.tag), "Refer-To: <sip:carol@10.0.0.3>");
        let text = text.replace("<sip:tester@10.0.0.9:5060>", "<sip:moved@10.0.0.9>");
        it.scene.say(it.peer, &it.bob, &text);
        let referral = it.asked();
        it.scene
            .tell(&it.bob, |phone| match accepted {
                true => phone.accept_referral(referral).map(drop),
                false => phone.reject_referral(referral),
            })
            .unwrap();
        let call = it.call;
        it.scene.run(Duration::from_millis(50));
        it.scene.tell(&it.bob, |phone| phone.hangup(call)).unwrap();
        it.scene.ended(&it.bob, it.call);
        let bye = &it.scene.sent(BOB, "BYE")[0];
        assert!(bye.starts_with(&format!("BYE {expected} SIP/2.0")), "{bye}");
    }
}

#[test]
fn a_phone_full_of_calls_follows_nobody_until_there_is_room() {
    let mut it = called_by(|parameters| parameters.max_calls = 1);
    it.refer("Refer-To: <sip:c@10.0.0.3>");
    let referral = it.asked();
    let full = it.scene.tell(&it.bob, |phone| phone.accept_referral(referral));
    assert_eq!(full, Err(Error::TooManyCalls { limit: 1 }));
    assert_eq!(it.scene.tell(&it.bob, |phone| phone.reject_referral(referral)), Ok(()));
    it.scene.run(Duration::from_millis(50));
    assert_eq!(it.answered(2), Some(603));
}

#[test]
fn no_reports_are_sent_to_whom_wants_none() {
    let mut it = called();
    it.target("200 OK");
    it.refer("Refer-To: <sip:carol@10.0.0.3>\nRefer-Sub: false\nSupported: norefersub");
    let new = it.accept();
    let (status, answer) = it.scene.answer_to(it.peer, "REFER", 2);
    assert_eq!((status, header(&answer, "Refer-Sub")), (200, Some("false")));
    it.scene.reach(&it.bob, new, CallState::Answered);
    it.scene.run(Duration::from_secs(1));
    assert!(it.reports().is_empty());
    assert_eq!(it.refer("Refer-To: <sip:carol@10.0.0.3>"), None, "the next one may come");
}

/// RFC 4538: a REFER outside the dialog that names it, from whom the dialog is with.
#[test]
fn a_refer_outside_the_dialog_is_taken_from_its_far_end_only() {
    let side = |it: &Called, seq: u32| {
        let more = format!(
            "Refer-To: <sip:carol@10.0.0.3>\nRequire: tdialog\n\
             Target-Dialog: scripted@10.0.0.9;remote-tag=tester;local-tag={}",
            it.tag
        );
        let text = request("REFER", seq, None, &more);
        text.replace("Call-ID: ", "Call-ID: side-").replace(">;tag=tester", ">;tag=side")
    };
    let mut it = called();
    it.target("200 OK");
    let stranger = it.scene.sim.add([10, 0, 0, 66], ScriptedPeer::new());
    let good = side(&it, 100);
    it.scene.say(stranger, &it.bob, &good);
    assert_eq!(it.scene.sim[stranger].count("603"), 1, "from elsewhere");
    for (seq, (from, to)) in (101..).zip([
        ("From: Tester <sip:tester@10.0.0.9>", "From: <sip:mallory@10.0.0.9>"),
        ("remote-tag=tester", "remote-tag=other"),
        ("local-tag=", "local-tag=0"),
        ("Target-Dialog: scripted", "Target-Dialog: other"),
        ("Target-Dialog: ", "X: "),
    ]) {
        let text = side(&it, seq).replace(from, to);
        it.scene.say(it.peer, &it.bob, &text);
        assert_eq!(it.answered(seq), Some(603), "{to}");
    }
    let good = side(&it, 110);
    it.scene.say(it.peer, &it.bob, &good);
    let new = it.accept();
    let (status, answer) = it.scene.answer_to(it.peer, "REFER", 110);
    let own = tag(header(&answer, "To").unwrap()).to_owned();
    assert!(status == 200 && own != it.tag, "{answer}");
    it.scene.reach(&it.bob, new, CallState::Answered);
    it.scene.run(Duration::from_millis(100));
    assert_eq!(it.reports(), [active("SIP/2.0 100 Trying"), last("SIP/2.0 200 OK")]);
    let notify = &it.scene.sent(BOB, "NOTIFY")[1];
    assert_eq!(header(notify, "Call-ID"), Some("side-scripted@10.0.0.9"));
    assert_eq!(header(notify, "Event"), Some("refer"));
    assert!(header(notify, "From").unwrap().ends_with(&own), "{notify}");
    assert!(header(notify, "To").unwrap().ends_with(";tag=side"), "{notify}");
    it.scene.say(it.peer, &it.bob, &request("BYE", 9, Some(&it.tag), ""));
    it.scene.tell(&it.bob, |phone| phone.hangup(new)).unwrap();
    it.scene.ended(&it.bob, new);
    it.scene.assert_idle(&it.bob);
}

/// Two phones of ours and a target: what one says the other understands (RFC 5589 §6).
#[test]
fn a_phone_transfers_another_to_a_third() {
    for (outside_dialog, answers) in [(false, true), (true, true), (false, false)] {
        let mut scene = Scene::new();
        let (alice, carol) = (scene.direct(ALICE, "alice"), scene.direct(TARGET, "carol"));
        let mut parameters = PhoneParameters::without_server("bob");
        parameters.accept_transfer = true;
        let bob = scene.phone(BOB, parameters);
        scene.start(&bob);
        let (calling, called) = scene.answered(&alice, &bob);
        let mode = crate::call::TransferMode::Notified;
        let options = crate::call::TransferOptions { mode, outside_dialog, ..Default::default() };
        scene.tell(&alice, |phone| phone.transfer(calling, "sip:carol@10.0.0.3", options)).unwrap();
        scene.until(&bob, |event| {
            matches!(event, Event::Call { event: CallEvent::Referred { .. }, .. })
        });
        let new = scene.tell(&bob, |phone| phone.accept_referral(ReferralId(1))).unwrap();
        let ringing = scene.incoming(&carol);
        let headers = scene.sim[carol.id].info(ringing).unwrap().headers;
        let by = headers.iter().find(|(name, _)| name == "Referred-By").map(|(_, value)| &**value);
        assert_eq!(by, Some("<sip:alice@10.0.0.1:5060>"));
        if answers {
            scene.tell(&carol, |phone| phone.answer(ringing)).unwrap();
            assert_eq!(scene.ended(&alice, calling), (EndedBy::Local, None));
            assert_eq!(scene.ended(&bob, called), (EndedBy::Remote, None));
            assert_eq!(scene.sim[bob.id].state(new), Some(CallState::Answered));
            scene.tell(&carol, |phone| phone.hangup(ringing)).unwrap();
        } else {
            scene.tell(&carol, |phone| phone.deny(ringing, 486, None)).unwrap();
            scene.ended(&bob, new);
            scene.run(Duration::from_secs(1));
            assert_eq!(scene.sim[alice.id].state(calling), Some(CallState::Answered));
            scene.tell(&alice, |phone| phone.hangup(calling)).unwrap();
        }
        scene.ended(&bob, new);
        scene.ended(&bob, called);
        for phone in [&alice, &bob, &carol] {
            scene.assert_idle(phone);
        }
    }
}

#[test]
fn a_report_is_about_the_referral_that_asked_for_it() {
    let mut it = called();
    let target = it.target("");
    it.refer("Refer-To: <sip:carol@10.0.0.3>\nRefer-Sub: false");
    it.accept();
    let first = it.scene.sim[target].last("INVITE").unwrap().clone();
    it.refer("Refer-To: <sip:dave@10.0.0.3>");
    it.accept();
    let text = response(&first, "486 Busy Here", "t", "");
    it.scene.say(target, &it.bob, &text);
    it.scene.run(Duration::from_secs(2));
    assert_eq!(it.reports(), [active("SIP/2.0 100 Trying")], "Carol is busy, Dave is asked still");
}
