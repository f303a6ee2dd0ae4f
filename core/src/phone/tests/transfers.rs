//! Transferring a call, word by word with the far end (RFC 3515, RFC 5589).

use super::scene::{ALICE, Actor, BOB, PEER, Scene, header, request, response, sdp, session, tag};
use crate::call::{CallOptions, TransferMode, TransferOptions};
use crate::config::PhoneParameters;
use crate::error::Error;
use crate::event::{CallEvent, CallId, CallState, EndedBy, Event, PhoneStatus, TransferOutcome};
use crate::phone::Phone;
use crate::sim::{NodeId, ScriptedPeer};
use crate::time::Duration;

use TransferOutcome::{Accepted, Failed, Succeeded};

/// Bob in an answered call of the scripted peer.
struct Called {
    scene: Scene,
    bob: Actor,
    peer: NodeId<ScriptedPeer>,
    call: CallId,
    tag: String,
    /// The number of the peer's last request.
    seq: u32,
}

const CAROL: &str = "sip:carol@10.0.0.3";

fn called() -> Called {
    called_with(PhoneParameters::without_server("bob"))
}

fn called_with(parameters: PhoneParameters) -> Called {
    let mut scene = Scene::new();
    let bob = scene.phone(BOB, parameters);
    scene.start(&bob);
    let peer = scene.silent_peer();
    let (call, tag) = scene.called_by(peer, &bob);
    Called { scene, bob, peer, call, tag, seq: 1 }
}

impl Called {
    fn transfer(&mut self, options: impl Into<TransferOptions>) {
        let (call, options) = (self.call, options.into());
        self.scene.tell(&self.bob, |phone| phone.transfer(call, CAROL, options)).unwrap();
        self.scene.run(Duration::from_millis(50));
    }

    /// The last REFER that came.
    #[track_caller]
    fn refer(&self) -> String {
        self.scene.sim[self.peer].last("REFER").expect("REFER has come").text().into_owned()
    }

    /// Answers the last REFER.
    fn answer(&mut self, status: &str, more: &str) {
        let arrival = self.scene.sim[self.peer].last("REFER").expect("REFER has come").clone();
        self.say(&response(&arrival, status, "", more));
    }

    fn say(&mut self, text: &str) {
        self.scene.say(self.peer, &self.bob, text);
    }

    /// Sends a NOTIFY; the status that it is answered with.
    #[track_caller]
    fn notify(&mut self, event: &str, state: &str, body: &str) -> u16 {
        self.seq += 1;
        let kind = if body.is_empty() { "" } else { "Content-Type: message/sipfrag\n" };
        let more = format!("Event: {event}\nSubscription-State: {state}\n{kind}\n{body}");
        let text = request("NOTIFY", self.seq, Some(&self.tag), &more);
        self.say(&text);
        self.scene.answer_to(self.peer, "NOTIFY", self.seq).0
    }

    /// What was told of transfers.
    fn told(&self) -> Vec<(TransferOutcome, Option<u16>)> {
        told(&self.bob)
    }

    fn state(&self) -> Option<CallState> {
        self.scene.sim[self.bob.id].state(self.call)
    }

    /// The call goes on, and ends as any.
    #[track_caller]
    fn assert_goes_on(mut self) {
        assert_eq!(self.state(), Some(CallState::Answered));
        assert_eq!(self.scene.sent(BOB, "BYE").len(), 0);
        self.seq += 1;
        self.say(&request("BYE", self.seq, Some(&self.tag.clone()), ""));
        assert_eq!(self.scene.ended(&self.bob, self.call).0, EndedBy::Remote);
        let bob = self.bob.clone();
        self.scene.assert_idle(&bob);
    }

    /// The call is ended by us.
    #[track_caller]
    fn assert_ends(mut self) {
        assert_eq!(self.state(), Some(CallState::Ended));
        let bye = self.scene.sim[self.peer].last("BYE").expect("BYE comes").clone();
        self.say(&response(&bye, "200 OK", "", ""));
        assert_eq!(self.scene.ended(&self.bob, self.call), (EndedBy::Local, None));
        let bob = self.bob.clone();
        self.scene.assert_idle(&bob);
    }
}

/// Which of them was the end.
fn ends(actor: &Actor) -> Vec<bool> {
    let last = |event: &Event| match event {
        Event::Call { event: CallEvent::Transfer { last, .. }, .. } => Some(*last),
        _ => None,
    };
    actor.events().iter().filter_map(last).collect()
}

fn told(actor: &Actor) -> Vec<(TransferOutcome, Option<u16>)> {
    let told = |event: &Event| match event {
        Event::Call { event: CallEvent::Transfer { outcome, cause, to, .. }, .. } => {
            assert_eq!(to, CAROL);
            Some((*outcome, cause.as_ref().map(|cause| cause.code)))
        }
        _ => None,
    };
    actor.events().iter().filter_map(told).collect()
}

#[test]
fn a_blind_transfer_ends_the_call_once_refer_is_accepted() {
    for status in ["202 Accepted", "200 OK"] {
        let mut it = called();
        it.transfer(TransferMode::Blind);
        let refer = it.refer();
        assert!(refer.starts_with("REFER sip:tester@10.0.0.9:5060 SIP/2.0\r\n"), "{refer}");
        assert_eq!(header(&refer, "Refer-To"), Some("<sip:carol@10.0.0.3>"));
        assert_eq!(header(&refer, "Referred-By"), Some("<sip:bob@10.0.0.2>"));
        assert_eq!(header(&refer, "Contact"), Some("<sip:bob@10.0.0.2:5060>"));
        assert_eq!(header(&refer, "Call-ID"), Some("scripted@10.0.0.9"));
        assert_eq!(header(&refer, "Refer-Sub"), None);
        assert_eq!(it.state(), Some(CallState::Answered), "until the answer");
        it.answer(status, "");
        let code = status[..3].parse().ok();
        assert_eq!((it.told(), ends(&it.bob)), (vec![(Accepted, code)], vec![true]));
        // What is reported of it all the same is taken.
        assert_eq!(it.notify("refer", "active;expires=60", "SIP/2.0 100 Trying\n"), 200);
        it.assert_ends();
    }
}

#[test]
fn a_notified_transfer_ends_the_call_when_the_target_has_answered() {
    // The status line with CRLF, with LF, with nothing.
    for line in ["SIP/2.0 200 OK\r\n", "SIP/2.0 200 OK\n", "SIP/2.0 200 OK"] {
        let mut it = called();
        it.transfer(TransferMode::Notified);
        it.answer("202 Accepted", "");
        assert_eq!(it.notify("refer", "active;expires=60", "SIP/2.0 100 Trying\n"), 200);
        assert_eq!(it.notify("refer", "active;expires=60", "SIP/2.0 180 Ringing\n"), 200);
        assert_eq!(
            (it.told(), it.state()),
            (vec![(Accepted, Some(202))], Some(CallState::Answered))
        );
        assert_eq!(it.notify("refer", "terminated;reason=noresource", line), 200);
        assert_eq!(it.told(), [(Accepted, Some(202)), (Succeeded, Some(200))]);
        assert_eq!(ends(&it.bob), [false, true]);
        let lines = it.scene.lines();
        let (notified, bye) = (
            lines.iter().rposition(|l| l == "9>2 NOTIFY"),
            lines.iter().position(|l| l == "2>9 BYE"),
        );
        assert!(notified < bye, "BYE follows NOTIFY: {lines:?}");
        it.assert_ends();
    }
}

#[test]
fn a_call_goes_on_when_the_target_was_not_reached() {
    for (line, code) in [
        ("SIP/2.0 486 Busy Here\r\n", Some(486)),
        ("SIP/2.0 302 Moved\r\n", Some(302)),
        // Nothing final, and no more to come.
        ("SIP/2.0 100 Trying\r\n", None),
        ("", None),
    ] {
        let mut it = called();
        it.transfer(TransferMode::Notified);
        it.answer("202 Accepted", "");
        assert_eq!(it.notify("refer", "terminated;reason=noresource", line), 200);
        assert_eq!(it.told(), [(Accepted, Some(202)), (Failed, code)], "{line}");
        assert_eq!(ends(&it.bob), [false, true]);
        // And may be transferred again: reports then name the new one.
        it.transfer(TransferMode::Notified);
        it.answer("202 Accepted", "");
        let refer = it.refer();
        let seq = header(&refer, "CSeq").unwrap().split(' ').next().unwrap().to_owned();
        assert_eq!(it.notify("refer;id=99", "active", "SIP/2.0 200 OK"), 481);
        let id = format!("refer;id={seq}");
        assert_eq!(it.notify(&id, "terminated;reason=noresource", "SIP/2.0 603 No"), 200);
        assert_eq!(it.told().last(), Some(&(Failed, Some(603))));
        it.assert_goes_on();
    }
}

#[test]
fn a_late_report_is_not_taken_for_that_of_the_next_transfer() {
    let mut it = called();
    it.transfer(TransferMode::Notified);
    it.answer("202 Accepted", "");
    assert_eq!(it.notify("refer", "active", "SIP/2.0 486 Busy Here"), 200);
    it.transfer(TransferMode::Notified);
    it.answer("202 Accepted", "");
    // RFC 3515 §2.4.6: without a name it is about the first.
    assert_eq!(it.notify("refer", "active", "SIP/2.0 486 Busy Here"), 200);
    assert_eq!(it.notify("refer", "terminated", "SIP/2.0 486 Busy Here"), 200);
    assert_eq!(it.told()[2..], [(Accepted, Some(202))]);
    // That one is done with; a far end that names nothing means the second.
    assert_eq!(it.notify("refer", "terminated", "SIP/2.0 404 Not Found"), 200);
    assert_eq!(it.told()[3..], [(Failed, Some(404))]);
    it.assert_goes_on();
}

#[test]
fn a_report_may_come_before_the_response() {
    let mut it = called();
    it.transfer(TransferMode::Notified);
    assert_eq!(it.notify("refer", "active;expires=60", "SIP/2.0 100 Trying"), 200);
    it.answer("202 Accepted", "");
    assert_eq!(it.notify("refer", "terminated;reason=noresource", "SIP/2.0 200 OK"), 200);
    assert_eq!(it.told(), [(Accepted, Some(202)), (Succeeded, Some(200))]);
    it.assert_ends();

    // The outcome itself.
    let mut it = called();
    it.transfer(TransferMode::Notified);
    assert_eq!(it.notify("refer", "terminated;reason=noresource", "SIP/2.0 200 OK"), 200);
    it.answer("202 Accepted", "");
    assert_eq!(it.told(), [(Succeeded, Some(200))]);
    it.assert_ends();

    // A blind transfer waits for the response: no report ends it.
    let mut it = called();
    it.transfer(TransferMode::Blind);
    assert_eq!(it.notify("refer", "active;expires=60", "SIP/2.0 100 Trying"), 200);
    assert_eq!(it.state(), Some(CallState::Answered));
    it.answer("202 Accepted", "");
    it.assert_ends();
}

#[test]
fn a_refused_transfer_fails_with_its_code_and_the_call_goes_on() {
    for status in ["603 Decline", "405 Method Not Allowed", "420 Bad Extension", "302 Moved"] {
        for mode in [TransferMode::Blind, TransferMode::Notified] {
            let mut it = called();
            it.transfer(mode);
            it.answer(status, "");
            assert_eq!(it.told(), [(Failed, status[..3].parse().ok())]);
            it.assert_goes_on();
        }
    }
}

#[test]
fn a_far_end_that_knows_no_dialog_ends_the_call() {
    for (status, code) in [("481 No Dialog", 481), ("408 Request Timeout", 408)] {
        let mut it = called();
        it.transfer(TransferMode::Notified);
        it.answer(status, "");
        assert_eq!(it.told(), [(Failed, Some(code))]);
        let bye = it.scene.sim[it.peer].last("BYE").expect("BYE has come").clone();
        it.say(&response(&bye, "481 No Dialog", "", ""));
        assert_eq!(it.scene.ended(&it.bob, it.call), (EndedBy::Remote, Some(code)));
        let bob = it.bob.clone();
        it.scene.assert_idle(&bob);
    }
}

#[test]
fn a_notify_of_nothing_that_we_wait_for_is_refused() {
    let mut it = called();
    assert_eq!(it.notify("refer", "active", "SIP/2.0 100 Trying"), 481, "nothing was asked");
    it.transfer(TransferMode::Notified);
    it.answer("202 Accepted", "");
    assert_eq!(it.notify("dialog", "active", "SIP/2.0 200 OK"), 489);
    let (_, refusal) = it.scene.answer_to(it.peer, "NOTIFY", it.seq);
    assert_eq!(header(&refusal, "Allow-Events"), Some("refer"));
    assert_eq!(it.notify("refer;id=77", "active", "SIP/2.0 200 OK"), 481);
    assert_eq!(it.notify("refer", "active", "nonsense"), 400);
    for (code, more) in [
        (400, "Event: refer\nContent-Type: message/sipfrag\n\nSIP/2.0 200 OK\n"),
        (
            415,
            "Event: refer\nSubscription-State: active\nContent-Type: text/plain\n\nSIP/2.0 200 OK\n",
        ),
    ] {
        it.seq += 1;
        let text = request("NOTIFY", it.seq, Some(&it.tag.clone()), more);
        it.say(&text);
        assert_eq!(it.scene.answer_to(it.peer, "NOTIFY", it.seq).0, code, "{more}");
    }
    assert_eq!(it.told(), [(Accepted, Some(202))]);
    assert_eq!(it.notify("refer", "terminated;reason=timeout", ""), 200);
    assert_eq!(it.told()[1..], [(Failed, None)]);
    it.assert_goes_on();
}

#[test]
fn nothing_is_waited_for_for_ever() {
    // No response to REFER.
    let mut it = called();
    it.transfer(TransferMode::Blind);
    it.scene.run(Duration::from_secs(33));
    assert_eq!(it.told(), [(Failed, None)]);
    // RFC 3261 §12.2.1.2: a peer that does not answer at all has left the dialog.
    let bye = it.scene.sim[it.peer].last("BYE").expect("BYE comes").clone();
    it.say(&response(&bye, "200 OK", "", ""));
    assert_eq!(it.scene.ended(&it.bob, it.call), (EndedBy::Timeout, None));
    let bob = it.bob.clone();
    it.scene.assert_idle(&bob);

    // No report: the answer timeout, and a transaction's time.
    let mut it = called();
    it.transfer(TransferMode::Notified);
    it.answer("202 Accepted", "");
    assert_eq!(it.notify("refer", "active;expires=600", "SIP/2.0 180 Ringing"), 200);
    it.scene.run(Duration::from_secs(180 + 31));
    assert_eq!(it.told(), [(Accepted, Some(202))]);
    it.scene.run(Duration::from_secs(2));
    assert_eq!(it.told()[1..], [(Failed, None)]);
    it.assert_goes_on();
}

#[test]
fn a_transfer_fails_when_its_call_ends() {
    // The far end hangs up before the response.
    let mut it = called();
    it.transfer(TransferMode::Notified);
    it.say(&request("BYE", 2, Some(&it.tag.clone()), ""));
    assert_eq!(it.told().last(), Some(&(Failed, None)));
    assert_eq!(it.scene.ended(&it.bob, it.call).0, EndedBy::Remote);
    it.scene.assert_idle(&it.bob);
    // We hang up, and the outcome crosses it.
    let mut it = called();
    it.transfer(TransferMode::Notified);
    it.answer("202 Accepted", "");
    let call = it.call;
    it.scene.tell(&it.bob, |phone| phone.hangup(call)).unwrap();
    assert_eq!(it.notify("refer", "terminated;reason=noresource", "SIP/2.0 200 OK"), 200);
    assert_eq!(it.told()[1..], [(Failed, None)]);
    it.assert_ends();
    // The phone stops.
    let mut it = called();
    it.transfer(TransferMode::Blind);
    it.scene.tell(&it.bob, |phone| phone.stop());
    it.scene.run(Duration::from_millis(50));
    assert_eq!(it.told(), [(Failed, None)]);
    it.answer("202 Accepted", "");
    assert_eq!(it.scene.ended(&it.bob, it.call).0, EndedBy::Local);
    it.scene.run(Duration::from_secs(13));
    assert_eq!(it.scene.sim[it.bob.id].status(), PhoneStatus::Inactive);
    it.scene.assert_idle(&it.bob);
}

#[test]
fn reports_after_the_bye_of_the_far_end_decide_about_a_transfer() {
    let last = "terminated;reason=noresource";
    for (body, outcome) in [
        ("SIP/2.0 200 OK", Some((Succeeded, Some(200)))),
        ("SIP/2.0 486 Busy Here", Some((Failed, Some(486)))),
        ("", Some((Failed, None))),
    ] {
        let mut it = called();
        it.transfer(TransferMode::Notified);
        it.answer("202 Accepted", "");
        it.seq += 1;
        it.say(&request("BYE", it.seq, Some(&it.tag.clone()), ""));
        assert_eq!(it.scene.answer_to(it.peer, "BYE", it.seq).0, 200);
        assert_eq!(it.state(), Some(CallState::Ended), "RFC 5057 §5.5: only the call is over");
        assert_eq!(it.notify("refer", "active;expires=60", "SIP/2.0 180 Ringing"), 200);
        let told = |event: &Event| matches!(event, Event::Call { event: CallEvent::Ended(_), .. });
        assert!(!it.bob.events().iter().any(told), "its outcome comes first");
        it.seq += 1;
        it.say(&request("INFO", it.seq, Some(&it.tag.clone()), ""));
        assert_eq!(it.scene.answer_to(it.peer, "INFO", it.seq).0, 481);
        assert_eq!(it.notify("refer", last, body), 200);
        assert_eq!(it.told().last().copied(), outcome, "{body}");
        assert_eq!(it.scene.ended(&it.bob, it.call), (EndedBy::Remote, None));
        assert_eq!(it.scene.sent(BOB, "BYE").len(), 0);
        assert_eq!(it.notify("refer", last, body), 481, "that was the last");
        it.scene.assert_idle(&it.bob);
    }
    // Nobody reports.
    let mut it = called();
    it.transfer(TransferMode::Notified);
    it.answer("202 Accepted", "");
    it.say(&request("BYE", 2, Some(&it.tag.clone()), ""));
    it.scene.run(Duration::from_secs(180 + 33));
    assert_eq!(it.told().last(), Some(&(Failed, None)));
    assert_eq!(it.scene.ended(&it.bob, it.call).0, EndedBy::Remote);
    it.scene.assert_idle(&it.bob);
}

#[test]
fn reports_after_our_bye_are_taken() {
    let mut it = called();
    it.transfer(TransferMode::Blind);
    it.answer("202 Accepted", "");
    let bye = it.scene.sim[it.peer].last("BYE").expect("BYE comes").clone();
    it.say(&response(&bye, "200 OK", "", ""));
    assert_eq!(it.scene.ended(&it.bob, it.call), (EndedBy::Local, None));
    assert_eq!(it.scene.sim[it.bob.id].calls().count(), 0);
    assert_eq!(it.notify("refer", "active;expires=60", "SIP/2.0 180 Ringing"), 200);
    assert_eq!(it.notify("refer", "terminated", "SIP/2.0 200 OK"), 200);
    assert_eq!(it.notify("refer", "terminated", "SIP/2.0 200 OK"), 481);
    assert_eq!(it.told(), [(Accepted, Some(202))]);
    it.scene.ended(&it.bob, it.call);
    it.scene.assert_idle(&it.bob);
}

#[test]
fn what_is_left_of_a_call_takes_the_place_of_no_other() {
    let mut parameters = PhoneParameters::without_server("bob");
    parameters.max_calls = 1;
    let mut it = called_with(parameters);
    it.transfer(TransferMode::Blind);
    it.answer("202 Accepted", "");
    let bye = it.scene.sim[it.peer].last("BYE").expect("BYE comes").clone();
    it.say(&response(&bye, "200 OK", "", ""));
    assert_eq!(it.scene.ended(&it.bob, it.call), (EndedBy::Local, None));
    let call = |phone: &mut Phone| phone.call(CAROL, CallOptions::default());
    let placed = it.scene.tell(&it.bob, call).expect("there is room");
    let refused = it.scene.tell(&it.bob, call);
    assert!(matches!(refused, Err(Error::TooManyCalls { limit: 1 })), "{refused:?}");
    it.scene.tell(&it.bob, |phone| phone.cancel(placed)).unwrap();
    assert_eq!(it.notify("refer", "terminated", "SIP/2.0 200 OK"), 200, "it is still there");
    it.scene.run(Duration::from_secs(40));
    it.scene.assert_idle(&it.bob);
    // Again there is room for one, and no more.
    it.scene.tell(&it.bob, call).expect("there is room");
    assert!(it.scene.tell(&it.bob, call).is_err());
}

#[test]
fn a_stopping_phone_waits_for_no_reports() {
    let mut it = called();
    it.transfer(TransferMode::Notified);
    it.answer("202 Accepted", "");
    it.say(&request("BYE", 2, Some(&it.tag.clone()), ""));
    it.scene.tell(&it.bob, |phone| phone.stop());
    it.scene.run(Duration::from_secs(1));
    assert_eq!(it.told().last(), Some(&(Failed, None)));
    assert_eq!(it.scene.ended(&it.bob, it.call).0, EndedBy::Remote);
    assert_eq!(it.scene.sim[it.bob.id].status(), PhoneStatus::Inactive);
}

#[test]
fn a_transfer_needs_an_answered_call_and_one_at_a_time() {
    let mut scene = Scene::new();
    let bob = scene.direct(BOB, "bob");
    let peer = scene.silent_peer();
    scene.say(peer, &bob, &request("INVITE", 1, None, &session(&sdp("sendrecv"))));
    let call = scene.incoming(&bob);
    let transfer = |scene: &mut Scene, target: &str, options: TransferOptions| {
        scene.tell(&bob, |phone| phone.transfer(call, target, options))
    };
    let default = TransferOptions::default;
    let early = transfer(&mut scene, CAROL, default());
    assert!(matches!(early, Err(Error::InvalidState { state: CallState::Ringing, .. })));
    scene.tell(&bob, |phone| phone.answer(call)).unwrap();
    for target in ["", "carol", "http://x/", "sip:c@d?Replaces=1", "sip:c@d\r\nX: y"] {
        let refused = transfer(&mut scene, target, default());
        assert!(matches!(refused, Err(Error::InvalidValue { .. })), "{target}");
    }
    let silent = TransferOptions { no_reports: true, ..TransferMode::Notified.into() };
    assert!(matches!(transfer(&mut scene, CAROL, silent), Err(Error::InvalidValue { .. })));
    assert_eq!(transfer(&mut scene, "sips:carol@10.0.0.3", default()), Ok(()), "not ours to reach");
    assert_eq!(transfer(&mut scene, CAROL, default()), Err(Error::TransferPending { call }));
    scene.run(Duration::from_millis(50));
    assert_eq!(transfer(&mut scene, CAROL, default()), Err(Error::TransferPending { call }));
    // Not before the call is acknowledged.
    assert_eq!(scene.sim[peer].count("REFER"), 0);
    let tag = tag(header(&scene.answer_to(peer, "INVITE", 1).1, "To").unwrap()).to_owned();
    scene.say(peer, &bob, &request("ACK", 1, Some(&tag), ""));
    assert_eq!(scene.sim[peer].count("REFER"), 1);
    assert_eq!(scene.sim[bob.id].state(call), Some(CallState::Answered));
}

#[test]
fn no_reports_are_asked_for_and_taken_all_the_same() {
    for granted in ["Refer-Sub: false\n", ""] {
        let mut it = called();
        it.transfer(TransferOptions { no_reports: true, ..Default::default() });
        let refer = it.refer();
        assert_eq!(header(&refer, "Refer-Sub"), Some("false"));
        assert_eq!(header(&refer, "Supported"), Some("norefersub, tdialog"));
        it.answer("200 OK", granted);
        assert_eq!(it.told(), [(Accepted, Some(200))]);
        assert_eq!(it.notify("refer", "active", "SIP/2.0 100 Trying"), 200);
        it.assert_ends();
    }
}

#[test]
fn a_refer_outside_the_dialog_names_it() {
    let mut it = called();
    let mode = TransferMode::Notified;
    it.transfer(TransferOptions {
        outside_dialog: true,
        referred_by: false,
        mode,
        ..Default::default()
    });
    let refer = it.refer();
    assert!(refer.starts_with("REFER sip:tester@10.0.0.9:5060 SIP/2.0\r\n"), "{refer}");
    let target = format!("scripted@10.0.0.9;local-tag=tester;remote-tag={}", it.tag);
    assert_eq!(header(&refer, "Target-Dialog"), Some(&*target));
    assert_eq!(header(&refer, "Require"), Some("tdialog"));
    assert_eq!(header(&refer, "To"), Some("Tester <sip:tester@10.0.0.9>"));
    assert_eq!(header(&refer, "Referred-By"), None);
    let (call_id, from) = (header(&refer, "Call-ID").unwrap(), header(&refer, "From").unwrap());
    assert_ne!(call_id, "scripted@10.0.0.9");
    assert_ne!(tag(from), it.tag);
    let arrival = it.scene.sim[it.peer].last("REFER").unwrap().clone();
    it.say(&response(&arrival, "202 Accepted", "side", ""));
    // A report within the call's dialog is of nothing that was asked there.
    assert_eq!(it.notify("refer", "active", "SIP/2.0 200 OK"), 481);
    let report = |seq: u32, method: &str, their_tag: &str| {
        let more = "Event: refer\nSubscription-State: terminated;reason=noresource\n\
                    Content-Type: message/sipfrag\n\nSIP/2.0 486 Busy Here\n";
        request(method, seq, Some(tag(from)), more)
            .replace("scripted@10.0.0.9", call_id)
            .replace(";tag=tester", &format!(";tag={their_tag}"))
    };
    for (status, seq, method, their_tag) in [
        (481, 1, "NOTIFY", "fork"),
        (481, 1, "BYE", "side"),
        (200, 2, "NOTIFY", "side"),
        (500, 1, "NOTIFY", "side"),
    ] {
        it.say(&report(seq, method, their_tag).replace(
            &format!("z9hG4bK{method}{seq}"),
            &format!("z9hG4bK{status}{their_tag}{seq}"),
        ));
        let answer = it.scene.sim[it.peer].received().last().unwrap().first_line();
        assert!(answer.contains(&status.to_string()), "{method} {their_tag}: {answer}");
    }
    assert_eq!(it.told(), [(Accepted, Some(202)), (Failed, Some(486))]);
    it.assert_goes_on();
}

#[test]
fn a_challenged_refer_is_sent_again_with_credentials() {
    // The peer is the server; it challenges every REFER that has no credentials.
    for status in ["407 Proxy Authentication Required", "401 Unauthorized"] {
        let mut scene = Scene::new();
        let mut parameters = PhoneParameters::new("10.0.0.9", "alice").password("secret");
        parameters.register = false;
        let alice = scene.phone(ALICE, parameters);
        let (challenge, _) = status.split_once(' ').unwrap();
        let name = if challenge == "407" { "Proxy-Authenticate" } else { "WWW-Authenticate" };
        let realm = format!("{name}: Digest realm=\"pbx\", nonce=\"n{challenge}\", qop=\"auth\"\n");
        let peer = scene.peer(PEER, move |peer, arrival| {
            let line = arrival.first_line();
            let shown = arrival.header("Authorization").or(arrival.header("Proxy-Authorization"));
            if line.starts_with("REFER") && shown.is_none() {
                peer.reply(arrival, status, &realm);
            } else if line.starts_with("REFER") {
                peer.reply(arrival, "202 Accepted", "");
            } else if !line.starts_with("ACK") && !line.starts_with("SIP") {
                peer.reply(arrival, "200 OK", &super::scene::described());
            }
        });
        scene.start(&alice);
        let call = scene.call(&alice, "bob");
        scene.reach(&alice, call, CallState::Answered);
        scene.run(Duration::from_millis(50));
        scene
            .tell(&alice, |phone| phone.transfer(call, CAROL, TransferMode::Blind.into()))
            .unwrap();
        assert_eq!(scene.ended(&alice, call), (EndedBy::Local, None));
        assert_eq!(told(&alice).last(), Some(&(Accepted, Some(202))));
        assert_eq!(scene.sim[peer].count("REFER"), 2);
    }
}
