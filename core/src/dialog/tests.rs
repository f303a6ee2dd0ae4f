//! Dialogs on their own.

use std::sync::Arc;

use super::*;

fn message(text: &str) -> Message {
    Message::parse(text.replace('\n', "\r\n").as_bytes()).expect("it is a message")
}

fn invite(more: &str) -> Message {
    message(&format!(
        "INVITE sip:bob@b.example SIP/2.0\nVia: SIP/2.0/UDP a.example;branch=z9hG4bK1\n\
         From: Alice <sip:alice@a.example>;tag=a\nTo: Bob <sip:bob@b.example>\nCall-ID: c\n\
         CSeq: 7 INVITE\n{more}Content-Length: 0\n\n"
    ))
}

fn answer(more: &str) -> Message {
    message(&format!(
        "SIP/2.0 200 OK\nVia: SIP/2.0/UDP a.example;branch=z9hG4bK1\n\
         From: Alice <sip:alice@a.example>;tag=a\nTo: Bob <sip:bob@b.example>;tag=b\nCall-ID: c\n\
         CSeq: 7 INVITE\n{more}Content-Length: 0\n\n"
    ))
}

fn caller(more: &str) -> Result<Dialog, Malformed> {
    let local = Arc::from("Alice <sip:alice@a.example>;tag=a");
    Dialog::of_caller(&local, &Arc::from("c"), 7, "sip:bob@b.example", &answer(more))
}

fn callee(more: &str) -> Result<Dialog, Malformed> {
    Dialog::of_callee(&invite(more), &Arc::from("c"), "b")
}

const CONTACT: &str = "Contact: <sip:far@10.0.0.2:5070;transport=udp?Subject=x>\n";

#[test]
fn both_sides_see_one_dialog() {
    let (mut ours, mut theirs) = (caller(CONTACT).unwrap(), callee(CONTACT).unwrap());
    assert_eq!(ours.local(), theirs.remote());
    assert_eq!(ours.remote(), theirs.local());
    assert!(ours.is_of("c", Some("b")) && theirs.is_of("c", Some("a")));
    assert!(!ours.is_of("d", Some("b")) && !ours.is_of("c", Some("x")) && !ours.is_of("c", None));
    assert_eq!((ours.next_seq(), ours.next_seq()), (8, 9));
    assert_eq!(theirs.next_seq(), 1);
    // The target is Contact without its header part (§12.1.1, §19.1.5).
    assert_eq!(ours.course().request_uri, "sip:far@10.0.0.2:5070;transport=udp");
}

#[test]
fn requests_come_in_order() {
    let mut dialog = callee(CONTACT).unwrap();
    let request = |seq: u32| {
        message(&format!(
            "BYE sip:b@b SIP/2.0\nVia: SIP/2.0/UDP a;branch=z9hG4bK{seq}\nFrom: <sip:a@a>;tag=a\n\
             To: <sip:b@b>;tag=b\nCall-ID: c\nCSeq: {seq} BYE\nContent-Length: 0\n\n"
        ))
    };
    assert_eq!(dialog.handle_request(&request(7)), Err(OutOfOrder), "the INVITE was 7");
    assert_eq!(dialog.handle_request(&request(9)), Ok(()), "gaps are normal (§12.2.2)");
    assert_eq!(dialog.handle_request(&request(8)), Err(OutOfOrder));
    // The caller knows no number until the first request.
    let mut dialog = caller(CONTACT).unwrap();
    assert_eq!(dialog.handle_request(&request(1)), Ok(()));
    dialog.set_remote_seq(Some(5));
    assert_eq!(dialog.handle_request(&request(5)), Err(OutOfOrder));
}

#[test]
fn the_route_set_has_an_order_on_each_side() {
    let routes = "Record-Route: <sip:p2;lr>, <sip:p1;lr>\nRecord-Route: Zero <sip:p0;lr;x>\n";
    let more = format!("{routes}{CONTACT}");
    let (ours, theirs) = (caller(&more).unwrap(), callee(&more).unwrap());
    assert_eq!(ours.course().routes, ["Zero <sip:p0;lr;x>", "<sip:p1;lr>", "<sip:p2;lr>"]);
    assert_eq!(ours.course().next_hop, "sip:p0;lr;x");
    assert_eq!(theirs.course().routes, ["<sip:p2;lr>", "<sip:p1;lr>", "Zero <sip:p0;lr;x>"]);
    assert_eq!(theirs.course().next_hop, "sip:p2;lr");
    assert_eq!(theirs.course().request_uri, "sip:far@10.0.0.2:5070;transport=udp");
}

#[test]
fn a_strict_router_comes_first() {
    let more = format!("Record-Route: <sip:strict;x=1?h=1>, <sip:loose;lr>\n{CONTACT}");
    let dialog = callee(&more).unwrap();
    let course = dialog.course();
    assert_eq!(course.request_uri, "sip:strict;x=1");
    assert_eq!(course.routes, ["<sip:loose;lr>", "<sip:far@10.0.0.2:5070;transport=udp>"]);
    assert_eq!(course.next_hop, "sip:strict;x=1?h=1");
}

#[test]
fn what_cannot_be_addressed_makes_no_dialog() {
    assert!(callee("").is_err(), "an INVITE needs Contact");
    assert_eq!(caller("").unwrap().course().request_uri, "sip:bob@b.example");
    for bad in ["Contact: *\n", "Contact: <tel:+1>\n", "Contact: <<>\n"] {
        assert!(callee(bad).is_err() && caller(bad).is_err(), "{bad}");
    }
    assert!(callee(&format!("Record-Route: nonsense\n{CONTACT}")).is_err());
    let long = "Record-Route: <sip:p;lr>\n".repeat(33);
    assert!(callee(&format!("{long}{CONTACT}")).is_err());
}

#[test]
fn a_target_moves_only_to_a_good_contact() {
    let mut dialog = callee(CONTACT).unwrap();
    dialog.set_target(Dialog::target_of(&invite("")).unwrap());
    assert_eq!(dialog.course().next_hop, "sip:far@10.0.0.2:5070;transport=udp");
    dialog.set_target(Dialog::target_of(&invite("Contact: <sip:new@h>\n")).unwrap());
    assert_eq!(dialog.course().next_hop, "sip:new@h");
    assert!(Dialog::target_of(&invite("Contact: <mailto:a@b>\n")).is_err());
}
