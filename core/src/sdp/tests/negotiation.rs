//! Offers and answers.

use core::net::{IpAddr, Ipv4Addr};

use crate::codec::Codec;
use crate::codec::PayloadFormat;
use crate::sdp::negotiator::AnswerError;
use crate::sdp::{
    Agreed, Direction, LocalMedia, Negotiator, NotAcceptable, SessionDescription, TelephoneEvents,
};
use crate::time::Duration;

const OURS: &[Codec] = &[Codec::Pcmu, Codec::Pcma];

fn local() -> LocalMedia<'static> {
    LocalMedia {
        address: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)),
        rtp_port: 10_000,
        rtcp_port: 10_001,
        codecs: OURS,
        ptime: Duration::from_millis(20),
        direction: Direction::SendRecv,
        telephone_event: true,
    }
}

/// A description of the peer at 198.51.100.2 with these lines.
fn theirs(lines: &str) -> SessionDescription {
    let text = format!(
        "v=0\r\no=peer 7 7 IN IP4 198.51.100.2\r\ns=-\r\nc=IN IP4 198.51.100.2\r\nt=0 0\r\n{lines}"
    );
    SessionDescription::parse(text.as_bytes()).unwrap()
}

fn answer(lines: &str) -> (SessionDescription, Agreed) {
    let (answer, agreed) = Negotiator::new(1).answer(&theirs(lines), &[local()]).unwrap();
    (answer, agreed.into_iter().next().unwrap())
}

fn accept(lines: &str) -> Result<Vec<Agreed>, AnswerError> {
    let mut negotiator = Negotiator::new(1);
    negotiator.offer(&[local()]);
    negotiator.accept(&theirs(lines))
}

fn payload(payload_type: u8, codec: Codec) -> PayloadFormat {
    PayloadFormat::new(payload_type, codec)
}

#[test]
fn an_offer_says_everything() {
    let offer = Negotiator::new(u64::MAX).offer(&[local()]);
    assert_eq!(
        offer.to_string(),
        "v=0\r\n\
         o=- 9223372036854775807 1 IN IP4 192.0.2.1\r\n\
         s=-\r\n\
         c=IN IP4 192.0.2.1\r\n\
         t=0 0\r\n\
         m=audio 10000 RTP/AVP 0 8 101\r\n\
         a=rtpmap:0 PCMU/8000\r\n\
         a=rtpmap:8 PCMA/8000\r\n\
         a=rtpmap:101 telephone-event/8000\r\n\
         a=fmtp:101 0-15\r\n\
         a=ptime:20\r\n\
         a=sendrecv\r\n"
    );
    let other = LocalMedia {
        address: "2001:db8::1".parse().unwrap(),
        rtcp_port: 20_000,
        codecs: &[Codec::Pcma],
        telephone_event: false,
        ptime: Duration::from_millis(500),
        direction: Direction::SendOnly,
        ..local()
    };
    let offer = Negotiator::new(1).offer(&[other]).to_string();
    assert!(offer.contains("c=IN IP6 2001:db8::1\r\n"));
    assert!(offer.ends_with(
        "m=audio 10000 RTP/AVP 8\r\na=rtpmap:8 PCMA/8000\r\na=ptime:200\r\na=rtcp:20000\r\n\
         a=sendonly\r\n"
    ));
}

#[test]
fn two_negotiators_agree() {
    let mut alice = Negotiator::new(1);
    let mut bob = Negotiator::new(2);
    let bobs =
        LocalMedia { rtp_port: 30_000, rtcp_port: 30_001, codecs: &[Codec::Pcma], ..local() };
    let offer = alice.offer(&[local()]);
    assert!(alice.is_offering());
    let (answer, at_bob) = bob.answer(&offer, &[bobs]).unwrap();
    let at_alice = alice.accept(&answer).unwrap();
    assert!(!alice.is_offering());
    assert_eq!(at_alice[0].remote_rtp.to_string(), "192.0.2.1:30000");
    assert_eq!(at_bob[0].remote_rtcp.to_string(), "192.0.2.1:10001");
    for agreed in [&at_alice[0], &at_bob[0]] {
        assert_eq!(agreed.stream, 0);
        assert_eq!(agreed.send, payload(8, Codec::Pcma));
        assert_eq!(agreed.receive, [payload(8, Codec::Pcma)]);
        assert_eq!(agreed.telephone_event_send, Some(101));
        assert_eq!(agreed.telephone_event_receive, Some(101));
        assert_eq!(agreed.telephone_events, TelephoneEvents::DTMF);
        assert_eq!(agreed.direction, Direction::SendRecv);
        assert_eq!(agreed.ptime, Duration::from_millis(20));
    }
}

#[test]
fn an_answer_keeps_the_order_and_numbers_of_the_offer() {
    let (answer, agreed) = answer(
        "m=audio 4000 RTP/AVP 18 97 8 0 110\r\na=rtpmap:97 pcmu/8000\r\n\
         a=rtpmap:110 telephone-event/8000\r\na=fmtp:110 0-11\r\na=ptime:30\r\n",
    );
    // RFC 3264 §6.1: the same relative order, the same numbers.
    assert_eq!(answer.media[0].formats, ["97", "8", "0", "110"]);
    assert_eq!(answer.media[0].attribute("rtpmap"), Some("97 pcmu/8000"));
    assert_eq!(agreed.send, payload(97, Codec::Pcmu));
    assert_eq!(agreed.telephone_event_send, Some(110));
    assert_eq!(agreed.telephone_event_receive, Some(110));
    assert_eq!(agreed.telephone_events.to_string(), "0-11");
    assert_eq!(agreed.ptime, Duration::from_millis(30), "we send as the peer would like");
    assert_eq!(answer.media[0].ptime(), Some(Duration::from_millis(20)), "and say what we would");
}

/// Number 9 needs no rtpmap, and its clock is said to be 8,000 (RFC 3551 §4.5.2): telephone-event has the
/// same.
#[test]
fn g722_is_known_by_its_number() {
    let wide = LocalMedia { codecs: &[Codec::G722, Codec::Pcmu], ..local() };
    let offer = Negotiator::new(1).offer(std::slice::from_ref(&wide));
    assert_eq!(offer.media[0].formats, ["9", "0", "101"]);
    assert_eq!(offer.media[0].attribute("rtpmap"), Some("9 G722/8000"));
    let theirs = theirs("m=audio 4000 RTP/AVP 8 9 101\r\na=rtpmap:101 telephone-event/8000\r\n");
    let (answer, agreed) = Negotiator::new(1).answer(&theirs, &[wide]).unwrap();
    assert_eq!(answer.media[0].formats, ["9", "101"]);
    assert_eq!(answer.media[0].attribute("rtpmap"), Some("9 G722/8000"));
    assert_eq!(agreed[0].send, payload(9, Codec::G722));
    assert_eq!(agreed[0].telephone_event_send, Some(101));
}

#[test]
fn which_band_comes_first_is_ours_to_say() {
    let theirs = theirs("m=audio 4000 RTP/AVP 9 8 0 101\r\na=rtpmap:101 telephone-event/8000\r\n");
    for (codecs, formats) in [
        ([Codec::Pcmu, Codec::Pcma, Codec::G722], ["8", "0", "9", "101"]),
        ([Codec::G722, Codec::Pcmu, Codec::Pcma], ["9", "8", "0", "101"]),
    ] {
        let ours = LocalMedia { codecs: &codecs, ..local() };
        let (answer, agreed) = Negotiator::new(1).answer(&theirs, &[ours]).unwrap();
        assert_eq!(answer.media[0].formats, formats);
        assert_eq!(agreed[0].send.payload_type.to_string(), formats[0]);
    }
}

#[test]
fn what_we_send_carries_the_numbers_of_the_answer() {
    // RFC 3264 §5.1: the answer may number otherwise than our offer of 101 and 8.
    let agreed = accept(
        "m=audio 4000 RTP/AVP 98 96\r\na=rtpmap:98 PCMA/8000\r\na=rtpmap:96 telephone-event/8000\r\n\
         a=maxptime:10\r\n",
    )
    .unwrap();
    assert_eq!(agreed[0].send, payload(98, Codec::Pcma));
    assert_eq!(agreed[0].receive, [payload(8, Codec::Pcma)]);
    assert_eq!(agreed[0].telephone_event_send, Some(96));
    assert_eq!(agreed[0].telephone_event_receive, Some(101));
    assert_eq!(agreed[0].ptime, Duration::from_millis(10));
}

#[test]
fn everything_but_one_audio_is_refused_in_its_place() {
    let (answer, agreed) = answer(
        "m=video 5000 RTP/AVP 99\r\na=rtpmap:99 H264/90000\r\n\
         m=audio 5002 RTP/SAVP 0\r\na=crypto:1 x\r\n\
         m=audio 5004 RTP/AVP 0\r\n\
         m=audio 5006 RTP/AVP 8\r\n\
         m=application 5008 UDP/BFCP *\r\nm=image 0 udptl\r\n",
    );
    let sections: Vec<String> = answer.media.iter().map(ToString::to_string).collect();
    assert_eq!(sections[0], "m=video 0 RTP/AVP 99\r\n");
    assert_eq!(sections[1], "m=audio 0 RTP/SAVP 0\r\n");
    assert!(sections[2].starts_with("m=audio 10000 RTP/AVP 0\r\n"));
    assert_eq!(sections[3], "m=audio 0 RTP/AVP 8\r\n");
    assert_eq!(sections[4], "m=application 0 UDP/BFCP *\r\n");
    assert_eq!(sections[5], "m=image 0 udptl 0\r\n");
    assert_eq!(agreed.remote_rtp.to_string(), "198.51.100.2:5004");
}

#[test]
fn several_streams_are_taken_where_several_are_brought() {
    let offer = theirs("m=audio 5000 RTP/AVP 0\r\nm=audio 5002 RTP/AVP 8\r\n");
    let second = LocalMedia { rtp_port: 10_002, rtcp_port: 10_003, ..local() };
    let (_, agreed) = Negotiator::new(1).answer(&offer, &[local(), second]).unwrap();
    let streams: Vec<_> = agreed.iter().map(|a| (a.stream, a.remote_rtp.port())).collect();
    assert_eq!(streams, [(0, 5000), (1, 5002)]);
}

#[test]
fn directions_answer_each_other() {
    use Direction::{Inactive, RecvOnly, SendOnly, SendRecv};
    for (offered, wanted, said) in [
        (SendRecv, SendRecv, SendRecv),
        (SendOnly, SendRecv, RecvOnly),
        (RecvOnly, SendRecv, SendOnly),
        (Inactive, SendRecv, Inactive),
        (SendRecv, SendOnly, SendOnly),
        (SendOnly, SendOnly, Inactive),
        (RecvOnly, RecvOnly, Inactive),
    ] {
        let offer = theirs(&format!("m=audio 4000 RTP/AVP 0\r\na={offered}\r\n"));
        let ours = LocalMedia { direction: wanted, ..local() };
        let (answer, agreed) = Negotiator::new(1).answer(&offer, &[ours]).unwrap();
        assert_eq!(answer.direction(&answer.media[0]), said, "{offered} {wanted}");
        assert_eq!(agreed[0].direction, said);
    }
}

#[test]
fn the_answers_direction_bounds_ours() {
    for (said, ours) in [
        ("a=sendonly", Direction::RecvOnly),
        ("a=inactive", Direction::Inactive),
        ("a=recvonly", Direction::SendOnly),
        ("", Direction::SendRecv),
    ] {
        let agreed = accept(&format!("m=audio 4000 RTP/AVP 0\r\n{said}\r\n")).unwrap();
        assert_eq!(agreed[0].direction, ours);
    }
}

#[test]
fn hold_and_resume() {
    // RFC 3264 §8.4; the held party does not hold in return.
    let (mut alice, mut bob) = (Negotiator::new(1), Negotiator::new(2));
    for (wanted, at_alice, at_bob) in [
        (Direction::SendRecv, Direction::SendRecv, Direction::SendRecv),
        (Direction::SendOnly, Direction::SendOnly, Direction::RecvOnly),
        (Direction::Inactive, Direction::Inactive, Direction::Inactive),
        (Direction::SendRecv, Direction::SendRecv, Direction::SendRecv),
    ] {
        let offer = alice.offer(&[LocalMedia { direction: wanted, ..local() }]);
        let (answer, bobs) = bob.answer(&offer, &[local()]).unwrap();
        let alices = alice.accept(&answer).unwrap();
        assert_eq!((alices[0].direction, bobs[0].direction), (at_alice, at_bob), "{wanted}");
    }
}

#[test]
fn hold_by_an_unspecified_address() {
    // RFC 3264 §8.4, as RFC 2543 did it: nothing may be sent, and RTCP neither.
    for hold in ["c=IN IP4 0.0.0.0", "c=IN IP6 ::"] {
        let lines = format!("m=audio 4000 RTP/AVP 0\r\n{hold}\r\na=rtcp:4001 IN IP4 192.0.2.9\r\n");
        let (said, agreed) = answer(&lines);
        assert_eq!(said.direction(&said.media[0]), Direction::RecvOnly);
        assert_eq!(agreed.direction, Direction::RecvOnly);
        assert!(agreed.remote_rtp.ip().is_unspecified());
        assert!(agreed.remote_rtcp.ip().is_unspecified());
        assert_eq!(accept(&lines).unwrap()[0].direction, Direction::RecvOnly);
    }
    let (_, agreed) = answer("m=audio 4000 RTP/AVP 0\r\nc=IN IP4 0.0.0.0\r\na=sendonly\r\n");
    assert_eq!(agreed.direction, Direction::RecvOnly);
    let (_, agreed) = answer("m=audio 4000 RTP/AVP 0\r\nc=IN IP4 0.0.0.0\r\na=recvonly\r\n");
    assert_eq!(agreed.direction, Direction::Inactive);
}

#[test]
fn rtcp_goes_where_rfc_3605_says() {
    let (_, agreed) = answer("m=audio 4000 RTP/AVP 0\r\na=rtcp:5001 IN IP4 192.0.2.77\r\n");
    assert_eq!(agreed.remote_rtcp.to_string(), "192.0.2.77:5001");
    let (_, agreed) = answer("m=audio 65535 RTP/AVP 0\r\n");
    assert_eq!(agreed.remote_rtcp.port(), 65_535, "there is no next port");
    let (_, agreed) = answer("m=audio 4000 RTP/AVP 0\r\na=rtcp:5001 IN IP4 224.0.0.1\r\n");
    assert_eq!(agreed.remote_rtcp.to_string(), "198.51.100.2:5001");
}

#[test]
fn nothing_common_says_what_was_offered() {
    let refuse = |lines: &str| Negotiator::new(1).answer(&theirs(lines), &[local()]).unwrap_err();
    let error = refuse("m=audio 4000 RTP/AVP 18 9 101\r\na=rtpmap:101 telephone-event/8000\r\n");
    assert_eq!(error, NotAcceptable::NoCodec { offered: "G729, G722, telephone-event".to_owned() });
    assert_eq!(error.warn_code(), 305);
    let error = refuse("m=video 1 RTP/AVP 99\r\nm=audio 4000 RTP/SAVPF 0\r\n");
    assert_eq!(error, NotAcceptable::Protocol { protocol: "RTP/SAVPF".to_owned() });
    for lines in ["", "m=video 4000 RTP/AVP 99\r\n", "m=audio 0 RTP/AVP 0\r\n"] {
        assert_eq!(refuse(lines), NotAcceptable::NoAudio, "{lines}");
    }
    let at = |address: &str| format!("m=audio 4000 RTP/AVP 0\r\nc=IN IP4 {address}\r\n");
    assert_eq!(refuse(&at("255.255.255.255")), NotAcceptable::NoAddress);
    let group = refuse(&at("224.2.1.1/127"));
    assert_eq!(group, NotAcceptable::Multicast { ip: "224.2.1.1".parse().unwrap() });
    assert_eq!(group.warn_code(), 330);
    let named = refuse(&at("phone.example.com"));
    assert_eq!(named, NotAcceptable::HostName { name: "phone.example.com".to_owned() });
    assert_eq!(named.warn_code(), 301);
}

/// RFC 6157 §4.1: what is taken has to be reachable.
#[test]
fn an_address_of_the_other_family_or_another_network_is_refused() {
    let v6 = || LocalMedia { address: "2001:db8::1".parse().unwrap(), ..local() };
    let at = |connection: &str| theirs(&format!("m=audio 4000 RTP/AVP 0\r\nc={connection}\r\n"));
    let take = |local, connection: &str| {
        let offered = Negotiator::new(1).answer(&at(connection), core::slice::from_ref(&local));
        let mut caller = Negotiator::new(1);
        caller.offer(&[local]);
        let answered = caller.accept(&at(connection)).map_err(|error| error.to_string());
        let offered = offered.map(|(_, agreed)| agreed);
        assert_eq!(offered.clone().map_err(|error| error.to_string()), answered, "{connection}");
        offered
    };
    for connection in ["IN IP6 2001:db8::2", "IN IP6 2001:db8::2/3", "IN IP4 2001:db8::2"] {
        let ip = "2001:db8::2".parse().unwrap();
        assert_eq!(take(local(), connection), Err(NotAcceptable::Family { ip }), "{connection}");
        assert_eq!(take(v6(), connection).unwrap()[0].remote_rtp.ip(), ip);
    }
    let ip = "192.0.2.9".parse().unwrap();
    assert_eq!(take(v6(), "IN IP4 192.0.2.9"), Err(NotAcceptable::Family { ip }));
    for (connection, network) in [("ATM NSAP 47.0091", "ATM"), ("TN RFC2543 +12025550100", "TN")] {
        let network = network.to_owned();
        assert_eq!(take(local(), connection), Err(NotAcceptable::Network { network }));
    }
    // The same address, written as IPv6.
    assert_eq!(take(local(), "IN IP6 ::ffff:192.0.2.9").unwrap()[0].remote_rtp.ip(), ip);
    assert_eq!(take(local(), "in IP4 192.0.2.9").unwrap()[0].remote_rtp.ip(), ip);
}

/// RFC 6157 §4.1, RFC 3725 §4.2: what IPv6 user agents say for 0.0.0.0, in a first offer too.
#[test]
fn a_name_in_invalid_is_a_hold() {
    for address in ["2001:db8::1", "192.0.2.1"] {
        for c in ["IN IP6 hold.invalid", "IN IP4 INVALID.", "IN IP6 a.b.Invalid", "IN IP6 ::"] {
            let local = LocalMedia { address: address.parse().unwrap(), ..local() };
            let offer = theirs(&format!("m=audio 4000 RTP/AVP 0\r\nc={c}\r\n"));
            let (answer, agreed) = Negotiator::new(1).answer(&offer, &[local]).unwrap();
            assert!(agreed[0].remote_rtp.ip().is_unspecified(), "{c}");
            assert_eq!(agreed[0].direction, Direction::RecvOnly);
            assert!(answer.to_string().contains(&format!(" {address}\r\n")), "{answer}");
        }
    }
}

/// §5.7: what a section says of itself holds for it; RTCP elsewhere only where it can be reached.
#[test]
fn a_sections_own_address_comes_before_the_sessions() {
    let (_, agreed) = answer("m=audio 4000 RTP/AVP 0\r\nc=IN IP4 192.0.2.9\r\n");
    assert_eq!(agreed.remote_rtp.to_string(), "192.0.2.9:4000");
    let both = "m=audio 4000 RTP/AVP 0\r\nc=IN IP6 2001:db8::2\r\nc=IN IP4 192.0.2.9\r\n";
    let refused = Negotiator::new(1).answer(&theirs(both), &[local()]);
    assert!(refused.is_err(), "the first of two");
    let (_, agreed) = answer("m=audio 4000 RTP/AVP 0\r\na=rtcp:5001 IN IP6 2001:db8::2\r\n");
    assert_eq!(agreed.remote_rtcp.to_string(), "198.51.100.2:5001");
    let nowhere = "v=0\r\no=- 1 1 IN IP4 192.0.2.9\r\nm=audio 4000 RTP/AVP 0\r\n";
    let nowhere = SessionDescription::parse(nowhere.as_bytes()).unwrap();
    let refused = Negotiator::new(1).answer(&nowhere, &[local()]);
    assert_eq!(refused.unwrap_err(), NotAcceptable::NoAddress);
}

/// RFC 4733 §2.1: digits go by the clock of the sound, and what is listed is heard (pyVoIP #270).
#[test]
fn of_many_telephone_events_one_at_the_clock_of_the_codec_is_answered() {
    let maps = "a=rtpmap:96 telephone-event/48000\r\na=rtpmap:97 telephone-event/8000/2\r\n\
                a=rtpmap:98 telephone-event/8000\r\na=rtpmap:101 telephone-event/8000\r\n\
                a=fmtp:98 0-11\r\n";
    let (said, agreed) = answer(&format!("m=audio 4000 RTP/AVP 96 0 97 98 101\r\n{maps}"));
    assert_eq!(said.media[0].formats, ["0", "98"]);
    assert_eq!(agreed.telephone_event_send, Some(98));
    assert_eq!(agreed.telephone_event_receive, Some(98));
    assert!(agreed.telephone_events.contains(11) && !agreed.telephone_events.contains(12));
    // None at its clock: none.
    let (said, agreed) = answer(&format!("m=audio 4000 RTP/AVP 0 96 97\r\n{maps}"));
    assert_eq!(said.media[0].formats, ["0"]);
    assert_eq!((agreed.telephone_event_send, agreed.telephone_event_receive), (None, None));
}

#[test]
fn of_several_streams_one_that_cannot_be_used_is_over() {
    let second = LocalMedia { rtp_port: 10_002, rtcp_port: 10_003, ..local() };
    let mut negotiator = Negotiator::new(1);
    negotiator.offer(&[local(), second.clone()]);
    let good = "m=audio 4000 RTP/AVP 0\r\n";
    for bad in [
        "m=audio 4002 RTP/AVP 18\r\n",
        "m=audio 4002 RTP/AVP 0\r\nc=IN IP6 2001:db8::2\r\n",
        "m=audio 0 RTP/AVP 0\r\n",
    ] {
        let agreed = negotiator.accept(&theirs(&format!("{bad}{good}"))).unwrap();
        assert_eq!(agreed.iter().map(|it| it.stream).collect::<Vec<_>>(), [1], "{bad}");
        let agreed = negotiator.accept(&theirs(&format!("{good}{bad}"))).unwrap();
        assert_eq!(agreed.iter().map(|it| it.stream).collect::<Vec<_>>(), [0], "{bad}");
        assert!(negotiator.accept(&theirs(&format!("{bad}{bad}"))).is_err());
    }
    // It stays refused in the next offer.
    negotiator.accept(&theirs(&format!("{good}m=audio 4002 RTP/AVP 18\r\n"))).unwrap();
    let offer = negotiator.offer(&[local(), second]);
    assert_eq!(offer.media.iter().map(|it| it.port).collect::<Vec<_>>(), [10_000, 0]);
}

#[test]
fn answers_that_break_the_rules_are_errors() {
    assert_eq!(Negotiator::new(1).accept(&theirs("")), Err(AnswerError::NoOffer));
    let sections = |answered| Err(AnswerError::Sections { offered: 1, answered });
    assert_eq!(accept(""), sections(0));
    assert_eq!(accept("m=audio 1 RTP/AVP 0\r\nm=video 0 RTP/AVP 99\r\n"), sections(2));
    assert_eq!(accept("m=video 1 RTP/AVP 0\r\n"), Err(AnswerError::Kind { index: 0 }));
    assert_eq!(accept("m=audio 1 RTP/SAVP 0\r\n"), Err(AnswerError::Kind { index: 0 }));
    assert_eq!(accept("m=audio 1 RTP/AVP 18\r\n"), Err(AnswerError::NoCodec));
    assert_eq!(accept("m=audio 1 RTP/AVP 99\r\n"), Err(AnswerError::NoCodec));
    assert_eq!(accept("m=audio 1 RTP/AVP 101\r\n"), Err(AnswerError::NoCodec));
    assert_eq!(accept("m=audio 0 RTP/AVP 0\r\n"), Err(AnswerError::Refused));
    let unknown = accept("m=audio 1 RTP/AVP 0\r\nc=IN IP4 x.example\r\n");
    let name = "x.example".to_owned();
    assert_eq!(unknown, Err(AnswerError::NoAddress(NotAcceptable::HostName { name })));
    // More than was offered may be listed (§6.1); it is not used.
    let agreed = accept("m=audio 1 RTP/AVP 18 0\r\n").unwrap();
    assert_eq!(agreed[0].send, payload(0, Codec::Pcmu));
    assert_eq!(agreed[0].receive.len(), 1);
}

#[test]
fn one_session_id_and_a_version_that_rises_with_each_change() {
    let mut negotiator = Negotiator::new(42);
    let version = |sdp: &SessionDescription| {
        assert_eq!(sdp.origin.session_id, "42");
        assert_eq!(sdp.origin.address.address, "192.0.2.1");
        sdp.origin.version.clone()
    };
    assert_eq!(version(&negotiator.offer(&[local()])), "1");
    negotiator.withdraw();
    assert_eq!(version(&negotiator.offer(&[local()])), "1", "the same is the same");
    negotiator.accept(&theirs("m=audio 4000 RTP/AVP 0\r\n")).unwrap();
    let hold = LocalMedia { direction: Direction::SendOnly, ..local() };
    assert_eq!(version(&negotiator.offer(&[hold])), "2");
    negotiator.accept(&theirs("m=audio 4000 RTP/AVP 0\r\na=recvonly\r\n")).unwrap();
    let moved = LocalMedia { address: "203.0.113.5".parse().unwrap(), ..local() };
    let (said, _) = negotiator
        .answer(&theirs("m=audio 4000 RTP/AVP 0\r\n"), std::slice::from_ref(&moved))
        .unwrap();
    assert_eq!(version(&said), "3");
    let (said, _) = negotiator.answer(&theirs("m=audio 4000 RTP/AVP 0\r\n"), &[moved]).unwrap();
    assert_eq!(version(&said), "3");
    assert_eq!(said.connection.unwrap().address, "203.0.113.5");
}

#[test]
fn a_reoffer_keeps_sections_and_numbers() {
    let mut negotiator = Negotiator::new(1);
    let offer = theirs(
        "m=video 5000 RTP/AVP 99\r\nm=audio 4000 RTP/AVP 97 110\r\na=rtpmap:97 PCMA/8000\r\n\
         a=rtpmap:110 telephone-event/8000\r\n",
    );
    negotiator.answer(&offer, &[local()]).unwrap();
    let ours = negotiator.offer(&[local()]);
    assert_eq!(ours.media[0].to_string(), "m=video 0 RTP/AVP 99\r\n");
    // PCMA and telephone-event keep the numbers that the peer gave them (§8.3.2).
    assert_eq!(ours.media[1].formats, ["0", "97", "110"]);
    // §8.2: what was offered with port 0 stays over, whatever the answer says.
    let agreed = negotiator
        .accept(&theirs(
            "m=video 5000 RTP/AVP 99\r\nm=audio 4000 RTP/AVP 97\r\na=rtpmap:97 PCMA/8000\r\n",
        ))
        .unwrap();
    assert_eq!(agreed.len(), 1);
    assert_eq!(agreed[0].telephone_event_send, None);
    assert_eq!(agreed[0].telephone_events, TelephoneEvents::default());
}

#[test]
fn a_number_keeps_its_meaning_while_it_is_not_used() {
    let mut negotiator = Negotiator::new(1);
    let offer = theirs("m=audio 4000 RTP/AVP 101\r\na=rtpmap:101 PCMA/8000\r\n");
    negotiator.answer(&offer, &[local()]).unwrap();
    negotiator.answer(&theirs("m=audio 4000 RTP/AVP 0\r\n"), &[local()]).unwrap();
    // 101 stays PCMA (RFC 3264 §8.3.2), so telephone-event takes another number.
    assert_eq!(negotiator.offer(&[local()]).media[0].formats, ["0", "101", "96"]);
}

#[test]
fn a_stream_ends_and_comes_back_in_its_place() {
    let mut negotiator = Negotiator::new(1);
    negotiator.answer(&theirs("m=audio 4000 RTP/AVP 0\r\n"), &[local()]).unwrap();
    for _ in 0..2 {
        let (said, agreed) =
            negotiator.answer(&theirs("m=audio 0 RTP/AVP 0\r\n"), &[local()]).unwrap();
        assert_eq!(said.media[0].port, 0);
        assert!(agreed.is_empty(), "the stream is over");
    }
    let (_, agreed) = negotiator.answer(&theirs("m=audio 4000 RTP/AVP 0\r\n"), &[local()]).unwrap();
    assert_eq!(agreed[0].stream, 0);
    let ours = negotiator.offer(&[local()]);
    assert_eq!(ours.media.len(), 1);
}

#[test]
fn a_reoffer_does_not_bring_back_what_was_removed_unless_nothing_is_left() {
    let mut negotiator = Negotiator::new(1);
    let both = theirs("m=audio 4000 RTP/AVP 0\r\nm=audio 4002 RTP/AVP 0\r\n");
    assert_eq!(negotiator.streams_in(&both), 2);
    negotiator.answer(&both, &[local(), local()]).unwrap();
    assert_eq!((negotiator.streams(), negotiator.streams_in(&both)), (2, 2));
    let ports = |ours: SessionDescription| -> Vec<bool> {
        ours.media.iter().map(|media| media.port > 0).collect()
    };
    let one = theirs("m=audio 4000 RTP/AVP 0\r\nm=audio 0 RTP/AVP 0\r\n");
    negotiator.answer(&one, &[local(), local()]).unwrap();
    assert_eq!(ports(negotiator.offer(&[local(), local()])), [true, false]);
    negotiator.withdraw();
    let none = theirs("m=audio 0 RTP/AVP 0\r\nm=audio 0 RTP/AVP 0\r\n");
    negotiator.answer(&none, &[local(), local()]).unwrap();
    assert_eq!(ports(negotiator.offer(&[local(), local()])), [true, true]);
    // What is no audio, over, or of a profile that is not spoken asks for no stream.
    let other = theirs(
        "m=video 4000 RTP/AVP 99\r\nm=audio 4000 RTP/SAVP 0\r\nm=audio 0 RTP/AVP 0\r\n\
         m=audio 4002 RTP/AVP 0\r\n",
    );
    assert_eq!(Negotiator::new(1).streams_in(&other), 1);
}

#[test]
fn a_refused_reoffer_leaves_what_was_agreed() {
    let mut negotiator = Negotiator::new(1);
    negotiator.answer(&theirs("m=audio 4000 RTP/AVP 8\r\n"), &[local()]).unwrap();
    let bad = theirs("m=audio 4000 RTP/AVP 18\r\nm=video 1 RTP/AVP 99\r\n");
    assert!(negotiator.answer(&bad, &[local()]).is_err());
    assert_eq!(negotiator.offer(&[local()]).media.len(), 1);
    negotiator.withdraw();
    assert!(!negotiator.is_offering());
    assert_eq!(negotiator.accept(&theirs("m=audio 1 RTP/AVP 0\r\n")), Err(AnswerError::NoOffer));
}

#[test]
fn a_later_answer_to_the_same_offer_replaces_the_first() {
    // A 183 and the 200 that follows it, from another media server.
    let mut negotiator = Negotiator::new(1);
    negotiator.offer(&[local()]);
    negotiator.accept(&theirs("m=audio 4000 RTP/AVP 0\r\n")).unwrap();
    let agreed = negotiator.accept(&theirs("m=audio 6000 RTP/AVP 8\r\n")).unwrap();
    assert_eq!(agreed[0].remote_rtp.port(), 6000);
    assert_eq!(agreed[0].send, payload(8, Codec::Pcma));
}

#[test]
fn an_answer_says_the_time_of_the_offer() {
    let mut offer = theirs("m=audio 4000 RTP/AVP 0\r\n");
    offer.lines[0].value = "3034423619 3042462419".to_owned();
    let (said, _) = Negotiator::new(1).answer(&offer, &[local()]).unwrap();
    assert_eq!(said.lines, offer.lines);
}

#[test]
fn mutated_offers_and_answers_never_panic() {
    let text = theirs(
        "m=video 5000 RTP/AVP 99\r\nm=audio 4000 RTP/AVP 0 97 110\r\nc=IN IP4 192.0.2.8\r\n\
         a=rtpmap:97 PCMA/8000\r\na=rtpmap:110 telephone-event/8000\r\na=fmtp:110 0-11,16\r\n\
         a=ptime:20\r\na=maxptime:60\r\na=rtcp:4001 IN IP4 192.0.2.9\r\na=sendonly\r\n",
    )
    .to_string();
    let mut random = super::Random(0xd1a1);
    let mut negotiator = Negotiator::new(1);
    let mut taken = 0;
    for _ in 0..5_000 {
        let Ok(theirs) = SessionDescription::parse(&random.mutate(text.as_bytes())) else {
            continue;
        };
        if let Ok((said, agreed)) = negotiator.answer(&theirs, &[local()]) {
            assert_eq!(said.media.len(), theirs.media.len());
            let written = said.to_string();
            assert_eq!(SessionDescription::parse(written.as_bytes()).as_ref(), Ok(&said));
            taken += agreed.len();
        }
        negotiator.offer(&[local()]);
        taken += negotiator.accept(&theirs).map_or(0, |agreed| agreed.len());
    }
    assert!(taken > 2_500, "the damage leaves enough to agree on: {taken}");
}
