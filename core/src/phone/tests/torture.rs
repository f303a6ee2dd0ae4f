//! The torture messages of RFC 4475 and RFC 5118, as a phone answers them over UDP and TCP.

use std::path::{Path, PathBuf};

use super::scene::{BOB, Scene, header, request, sdp, session, tag};
use crate::config::PhoneParameters;
use crate::host::Transport;
use crate::sim::Pieces;
use crate::time::Duration;

/// What each section wants of a phone that is no registrar, no proxy, takes calls to any user, and
/// speaks G.711; `None` where nothing may be said.
const EXPECTED: [(&str, Option<u16>); 63] = [
    // RFC 4475 §3.1.1: valid messages.
    ("wsinv", Some(481)), // its To has a tag
    ("intmeth", Some(501)),
    ("esc01", Some(180)),
    ("escnull", Some(405)),
    ("esc02", Some(501)),
    ("lwsdisp", Some(200)),
    ("longreq", Some(180)),
    ("dblreq", Some(405)),
    ("semiuri", Some(200)),
    ("transports", Some(200)),
    ("mpart01", Some(200)),
    ("unreason", None),
    ("noreason", None),
    // §3.1.2: invalid messages.
    ("badinv01", Some(400)),
    ("clerr", Some(400)),
    ("ncl", Some(400)),
    ("scalar02", Some(400)),
    ("scalarlg", None),
    ("quotbal", Some(400)),
    ("ltgtruri", Some(400)),
    ("lwsruri", Some(400)),
    ("lwsstart", Some(180)),
    ("trws", Some(200)),
    ("escruri", Some(400)),
    ("baddate", Some(180)),
    ("regbadct", Some(405)),
    ("badaspec", Some(200)),
    ("baddn", Some(400)),
    ("baddn-terminated", Some(400)),
    ("badvers", Some(505)),
    ("mismatch01", Some(400)),
    ("mismatch02", Some(501)),
    ("bigcode", None),
    // §3.2: transaction layer.
    ("badbranch", Some(200)),
    // §3.3: application layer.
    ("insuf", Some(400)),
    ("unkscm", Some(416)),
    ("novelsc", Some(416)),
    ("unksm2", Some(405)),
    ("bext01", Some(420)),
    ("invut", Some(415)),
    ("regaut01", Some(405)),
    ("multi01", Some(400)),
    ("mcl01", Some(400)),
    ("bcast", None),
    ("zeromf", Some(200)),
    ("cparam01", Some(405)),
    ("cparam02", Some(405)),
    ("regescrt", Some(405)),
    ("sdp01", Some(406)),
    // §3.4: RFC 2543.
    ("inv2543", Some(180)),
    ("test", None),
    // RFC 5118.
    ("ipv6-good", Some(405)),
    ("ipv6-bad", Some(400)),
    ("port-ambiguous", Some(405)),
    ("port-unambiguous", Some(405)),
    ("via-received-param-with-delim", Some(481)),
    ("via-received-param-no-delim", Some(200)),
    ("ipv6-in-sdp", Some(488)), // it offers G.726 alone
    ("mult-ip-in-header", Some(481)),
    ("mult-ip-in-sdp", Some(180)),
    ("ipv4-mapped-ipv6", Some(488)), // likewise
    ("ipv6-bug-abnf-3-colons", Some(200)),
    ("ipv6-correct-abnf-2-colons", Some(200)),
];

/// What is another matter on a stream, where Content-Length alone says where a message ends.
const ON_STREAMS: [(&str, &[u16]); 4] = [
    // Neither has ended: more may come, and within 32 s.
    ("baddn", &[]),
    ("clerr", &[]),
    // RFC 4475 §3.1.1.8: what trails a datagram is here the next message, an INVITE without Contact.
    ("dblreq", &[405, 400]),
    // RFC 3261 §18.3: on a stream Content-Length has to be there.
    ("inv2543", &[400]),
];

/// The messages, where the vectors are.
fn messages() -> Vec<PathBuf> {
    let vectors = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/vectors");
    let mut paths = Vec::new();
    for directory in ["rfc4475", "rfc5118"] {
        let entries = std::fs::read_dir(vectors.join(directory));
        paths.extend(entries.into_iter().flatten().flatten().map(|entry| entry.path()));
    }
    paths.sort();
    paths
}

#[test]
fn a_phone_answers_each_message_as_its_section_says() {
    let messages = messages();
    if messages.is_empty() {
        eprintln!("skipped: there is no ../shared/vectors here");
        return;
    }
    assert_eq!(messages.len(), EXPECTED.len());
    for path in messages {
        let name = path.file_stem().unwrap().to_string_lossy();
        let mut scene = Scene::new();
        let bob = scene.direct(BOB, "bob");
        let peer = scene.silent_peer();
        scene.sim[peer].send_bytes(bob.id.address(), std::fs::read(&path).unwrap());
        scene.run(Duration::from_millis(100));
        let answered = scene.sip().filter(|packet| packet.from == bob.id.address());
        let answers: Vec<u16> =
            answered.map(|packet| packet.text()[8..11].parse().unwrap()).collect();
        let expected = EXPECTED.iter().find(|(expected, _)| *expected == name);
        let expected = expected.unwrap_or_else(|| panic!("{name} is in no section")).1;
        assert_eq!(answers, expected.into_iter().collect::<Vec<u16>>(), "{name}");
    }
}

/// The whole as one, and each byte alone.
const PIECES: [Pieces; 2] = [Pieces::Glued, Pieces::Bytes];

#[test]
fn on_a_stream_it_answers_the_same_and_lives_on() {
    let messages = messages();
    if messages.is_empty() {
        eprintln!("skipped: there is no ../shared/vectors here");
        return;
    }
    for (path, pieces) in messages.iter().flat_map(|path| PIECES.map(|pieces| (path, pieces))) {
        let name = path.file_stem().unwrap().to_string_lossy();
        let mut scene = Scene::new();
        scene.sim.set_pieces(pieces);
        let bob = scene.direct(BOB, "bob");
        let peer = scene.silent_peer();
        let bytes = std::fs::read(path).unwrap();
        scene.sim[peer].send_bytes_by(Transport::Tcp, bob.id.address(), bytes);
        scene.run(Duration::from_secs(1));
        let answered = scene.sip().filter(|packet| packet.from == bob.id.address());
        let answers: Vec<u16> =
            answered.map(|packet| packet.text()[8..11].parse().unwrap()).collect();
        let by_datagram = EXPECTED.iter().find(|(expected, _)| *expected == name).unwrap().1;
        let here = ON_STREAMS.iter().find(|(expected, _)| *expected == name);
        let expected = here.map_or(by_datagram.into_iter().collect(), |(_, here)| here.to_vec());
        assert_eq!(answers, expected, "{name}, {pieces:?}");
        scene.sim[peer].send_by(Transport::Tls, bob.id.address(), &request("OPTIONS", 7, None, ""));
        scene.run(Duration::from_secs(1));
        assert_eq!(scene.answer_to(peer, "OPTIONS", 7).0, 200, "{name}");
    }
}

/// A message that is begun and not ended is not waited for.
#[test]
fn half_a_message_does_not_hold_a_connection() {
    let mut scene = Scene::new();
    let bob = scene.direct(BOB, "bob");
    let peer = scene.silent_peer();
    let half = b"OPTIONS sip:bob@10.0.0.2 SIP/2.0\r\nVia: ".to_vec();
    scene.sim[peer].send_bytes_by(Transport::Tcp, bob.id.address(), half);
    scene.run(Duration::from_secs(31));
    assert_eq!(scene.sim.connections(bob.id), 1);
    scene.run(Duration::from_secs(2));
    assert_eq!(scene.sim.connections(bob.id), 0);
}

/// In a call too a phone keeps only the connections that its calls go by.
#[test]
fn an_idle_connection_is_closed_unless_a_call_goes_by_it() {
    let mut scene = Scene::new();
    let mut parameters = PhoneParameters::without_server("bob");
    parameters.media_timeout = None;
    let bob = scene.phone(BOB, parameters);
    scene.start(&bob);
    let peer = scene.silent_peer();
    let invite = request("INVITE", 1, None, &session(&sdp("sendrecv"))).replace("/UDP", "/TCP");
    scene.sim[peer].send_by(Transport::Tcp, bob.id.address(), &invite);
    let call = scene.incoming(&bob);
    scene.tell(&bob, |phone| phone.answer(call)).unwrap();
    scene.run(Duration::from_millis(100));
    let (_, response) = scene.answer_to(peer, "INVITE", 1);
    let tag = tag(header(&response, "To").unwrap()).to_owned();
    let ack = request("ACK", 1, Some(&tag), "").replace("/UDP", "/TCP");
    scene.sim[peer].send_by(Transport::Tcp, bob.id.address(), &ack);
    scene.sim[peer].send_by(Transport::Tls, bob.id.address(), &request("OPTIONS", 7, None, ""));
    scene.run(Duration::from_secs(1));
    assert_eq!(scene.sim.connections(bob.id), 2);
    scene.run(Duration::from_secs(16 * 60));
    let left: Vec<Transport> = scene.sim[peer].connections().map(|flow| flow.transport).collect();
    assert_eq!(left, [Transport::Tcp]);
    assert_eq!(scene.sim[bob.id].calls().count(), 1);
}
