//! Session descriptions among the parts of a body (RFC 5621).

use super::scene::{BOB, PEER, Scene, header, request, response, sdp};
use crate::event::CallState;
use crate::time::Duration;

const ISUP: &str = "Content-Type: application/isup; version=itu-t92+\n\
    Content-Disposition: signal; handling=optional\n\n";
const PIDF: &str = "Content-Type: application/pidf+xml\nContent-ID: <here@10.0.0.9>\n\n";

fn offer() -> String {
    format!("Content-Type: application/sdp\n\n{}", sdp("sendrecv"))
}

/// A multipart of these parts, in front of it the header line that says so.
fn multipart(subtype: &str, boundary: &str, parts: &[&str]) -> String {
    let parts: String = parts.iter().map(|part| format!("--{boundary}\n{part}\n")).collect();
    format!("Content-Type: multipart/{subtype};boundary={boundary}\n\n{parts}--{boundary}--\n")
}

/// What INVITE with this body is answered.
fn invited(body: &str) -> (u16, String) {
    let mut scene = Scene::new();
    let bob = scene.direct(BOB, "bob");
    let peer = scene.silent_peer();
    scene.say(peer, &bob, &request("INVITE", 1, None, body));
    let (status, response) = scene.answer_to(peer, "INVITE", 1);
    if status != 180 {
        return (status, response);
    }
    let call = scene.incoming(&bob);
    scene.tell(&bob, |phone| phone.answer(call)).unwrap();
    scene.run(Duration::from_millis(50));
    scene.answer_to(peer, "INVITE", 1)
}

#[test]
fn the_description_is_found_wherever_it_stands() {
    let offer = offer();
    let isup = format!("{ISUP}\u{1}\u{2}");
    let inner = multipart("mixed", "inner", &[&isup, &offer]);
    let other = "Content-Type: application/x-newer-sdp\n\nv=1\n";
    for body in [
        multipart("mixed", "b", &[&offer]),
        multipart("mixed", "b", &[&offer, &isup]),
        multipart("mixed", "b", &[&isup, &offer]),
        multipart("mixed", "b", &[&inner]),
        multipart("unheard-of", "b", &[&isup, &offer]),
        multipart("alternative", "b", &[&offer, other]),
        // A header field refers to the part, and may be ignored (RFC 6442).
        "Geolocation: <cid:here@10.0.0.9>\n".to_owned()
            + &multipart("mixed", "b", &[&format!("{PIDF}<x/>"), &offer]),
    ] {
        let (status, response) = invited(&body);
        assert_eq!(status, 200, "{body}\n{response}");
        assert_eq!(header(&response, "Content-Type"), Some("application/sdp"));
        assert!(response.contains("m=audio") && !response.contains("m=audio 0"), "{response}");
    }
}

#[test]
fn what_must_be_understood_and_is_not_is_refused() {
    let offer = offer();
    let required = ISUP.replace("optional", "required") + "x";
    let early = offer.replace("\n\n", "\nContent-Disposition: early-session\n\n");
    let by_reference =
        format!("{PIDF}<x/>").replace("\n\n", "\nContent-Disposition: by-reference\n\n");
    let nested = (0..8).fold(offer.clone(), |inner, level| {
        multipart("mixed", &format!("level{level}"), &[&inner])
    });
    let many = vec![ISUP; 40];
    let many: Vec<&str> = many.into_iter().chain([&*offer]).collect();
    for body in [
        multipart("mixed", "b", &[&offer, &required]),
        multipart("mixed", "b", &[&required, &offer]),
        // Nothing said is required (RFC 5621 §8.1).
        multipart("mixed", "b", &[&offer, &format!("{PIDF}<x/>")]),
        multipart("mixed", "b", &[&early, &offer]),
        "Geolocation: <cid:here@10.0.0.9>\n".to_owned()
            + &multipart("mixed", "b", &[&by_reference, &offer]),
        multipart("mixed", "b", &[&offer.replace("\n\n", "\nContent-Encoding: gzip\n\n")]),
        multipart("mixed", "b", &[&offer]).replace(";boundary=b", ""),
        multipart("alternative", "b", &[&required]),
        multipart("mixed", "b", &[&nested]),
        multipart("mixed", "b", &many),
    ] {
        let (status, response) = invited(&body);
        assert_eq!(status, 415, "{body}\n{response}");
        let accepted = "application/sdp, multipart/mixed, multipart/alternative";
        assert_eq!(header(&response, "Accept"), Some(accepted), "{body}");
    }
    let (status, response) =
        invited(&multipart("mixed", "b", &["Content-Type: application/sdp\n\nx"]));
    assert_eq!(status, 400, "{response}");
    // What may be left unread is: then the offer is ours.
    let optional = multipart("mixed", "b", &[&required])
        .replace("\n\n--b", "\nContent-Disposition: render;handling=optional\n\n--b");
    assert_eq!(invited(&optional).0, 200);
}

#[test]
fn an_answer_among_parts_is_taken_with_whatever_comes_beside_it() {
    let mut scene = Scene::new();
    let bob = scene.direct(BOB, "bob");
    let offer = offer();
    let required = ISUP.replace("optional", "required") + "x";
    let body = multipart("mixed", "b", &[&required, &offer]);
    scene.peer(PEER, move |peer, arrival| match arrival.first_line().split(' ').next() {
        Some("INVITE") => {
            let more = format!("Contact: <sip:bob@10.0.0.9:5060>\n{body}");
            peer.send(arrival.from, &response(arrival, "200 OK", "t", &more));
        }
        Some("BYE") => peer.send(arrival.from, &response(arrival, "200 OK", "t", "")),
        _ => {}
    });
    let call = scene.call(&bob, "sip:x@10.0.0.9");
    scene.reach(&bob, call, CallState::Answered);
    assert_eq!(bob.media(call).len(), 1);
    scene.tell(&bob, |phone| phone.hangup(call)).unwrap();
    scene.ended(&bob, call);
    scene.assert_idle(&bob);
}

#[test]
fn the_parts_of_an_invite_are_readable() {
    let mut scene = Scene::new();
    let bob = scene.direct(BOB, "bob");
    let peer = scene.silent_peer();
    let body = multipart("mixed", "b", &[&offer(), &format!("{ISUP}\u{1}\u{10}")]);
    scene.say(peer, &bob, &request("INVITE", 1, None, &body));
    let call = scene.incoming(&bob);
    let info = scene.tell(&bob, |phone| phone.info(call)).unwrap();
    let parts = info.parts();
    let kinds: Vec<&str> = parts.iter().map(|part| part.content_type()).collect();
    assert_eq!(kinds, ["application/sdp", "application/isup; version=itu-t92+"]);
    assert_eq!(parts[1].body, [1, 16]);
    assert_eq!(parts[1].header("content-disposition"), Some("signal; handling=optional"));
}
