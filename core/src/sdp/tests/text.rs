//! Reading and writing.

use crate::codec::Codec;
use crate::sdp::{Direction, Encoding, SdpError, SessionDescription, TelephoneEvents};
use crate::time::Duration;

fn parse(text: &str) -> SessionDescription {
    SessionDescription::parse(text.as_bytes()).unwrap()
}

/// RFC 8866 §5, its first example, with lines of every kind.
const LECTURE: &str = "v=0\r\n\
    o=jdoe 3724394400 3724394405 IN IP4 198.51.100.1\r\n\
    s=Call to John Smith\r\n\
    i=SDP Offer #1\r\n\
    u=http://www.jdoe.example.com/home.html\r\n\
    e=Jane Doe <jane@jdoe.example.com>\r\n\
    p=+1 617 555-6011\r\n\
    c=IN IP4 198.51.100.1\r\n\
    b=CT:128\r\n\
    t=2873397496 2873404696\r\n\
    r=7d 1h 0 25h\r\n\
    k=prompt\r\n\
    a=recvonly\r\n\
    x=unknown lines stay\r\n\
    m=audio 49170 RTP/AVP 0\r\n\
    i=title\r\n\
    c=IN IP6 2001:db8::2\r\n\
    b=AS:64\r\n\
    a=x-unknown:kept as it came \r\n\
    m=audio 49180/2 RTP/AVP 0 96\r\n\
    a=rtpmap:96 L16/44100/2\r\n\
    m=video 51372 RTP/AVP 99\r\n\
    a=rtpmap:99 h263-1998/90000\r\n";

/// What WebRTC and older phones send: bare LF, no `s=`, no `t=`, SAVPF, `a=` without a value.
const FIELD: &str = "v=0\no=- 1 2 IN IP4 127.0.0.1\nc=IN IP4 192.0.2.7\n\
    m=audio 9 UDP/TLS/RTP/SAVPF 111 0\na=rtcp:9 IN IP4 0.0.0.0\na=rtcp-mux\n\
    a=rtpmap:111 opus/48000/2\na=fmtp:111 minptime=10;useinbandfec=1\na=ptime:30\n";

#[test]
fn a_description_survives_reading_and_writing_byte_for_byte() {
    let description = parse(LECTURE);
    assert_eq!(description.to_string(), LECTURE);
    assert_eq!(description.origin.session_id, "3724394400");
    assert_eq!(description.media.len(), 3, "sections stay apart");
    assert_eq!(description.media[1].port_count, Some(2));
    let at = |index: usize| description.connection(&description.media[index]).unwrap().ip();
    assert_eq!(at(0), "2001:db8::2".parse().ok());
    assert_eq!(at(1), "198.51.100.1".parse().ok());
}

#[test]
fn what_the_field_sends_is_read() {
    let description = parse(FIELD);
    let audio = &description.media[0];
    assert!(audio.is_rtp());
    assert_eq!(description.name, "-");
    assert!(description.to_string().contains("\r\nt=0 0\r\n"));
    assert_eq!(audio.attribute("rtcp-mux"), Some(""));
    assert_eq!(audio.attribute("rtcp"), Some("9 IN IP4 0.0.0.0"));
    let opus = audio.rtp_formats().into_iter().find(|format| format.payload_type == 111).unwrap();
    assert_eq!(opus.fmtp.as_deref(), Some("minptime=10;useinbandfec=1"));
    assert_eq!(audio.ptime(), Some(Duration::from_millis(30)));
    let formats = audio.rtp_formats();
    assert_eq!(formats[0].encoding.to_string(), "opus/48000/2");
    assert_eq!(formats[1].encoding, Encoding::of(Codec::Pcmu), "a static type needs no rtpmap");
}

#[test]
fn origin_and_connection_that_cannot_be_read_are_kept() {
    let description =
        parse("v=0\no=- x\nc=IN\nc=IN IP4 192.0.2.1\no=John Doe 1 2 IN IP4 a.example\n");
    assert_eq!(description.origin.username, "John Doe");
    assert_eq!(description.connection.as_ref().unwrap().address, "192.0.2.1");
    assert_eq!(description.lines.len(), 2);
    let none = parse("v=0\nm=audio 1 RTP/AVP 0\n");
    assert_eq!((none.origin.username.as_str(), none.connection), ("-", None));
}

#[test]
fn directions_of_session_and_section() {
    // RFC 8866 §6.7, its example.
    let description = parse(
        "v=0\no=- 1 1 IN IP4 192.0.2.1\nc=IN IP4 192.0.2.1\na=inactive\n\
         m=audio 49170 RTP/AVP 0\na=sendrecv\nm=audio 49180 RTP/AVP 0\n",
    );
    let direction = |index: usize| description.direction(&description.media[index]);
    assert_eq!(direction(0), Direction::SendRecv);
    assert_eq!(direction(1), Direction::Inactive);
    let plain = parse("v=0\nm=audio 1 RTP/AVP 0\n");
    assert_eq!(plain.direction(&plain.media[0]), Direction::SendRecv);
}

#[test]
fn packet_times_are_clamped_and_nonsense_says_nothing() {
    let ptime = |value: &str| {
        parse(&format!("v=0\nm=audio 1 RTP/AVP 0\na=ptime:{value}\n")).media[0].ptime()
    };
    for (value, micros) in [
        ("20", 20_000),
        ("2.5", 2_500),
        ("0.125", 1_000),
        ("1000", 200_000),
        ("99999999999999999999999", 200_000),
        (" 40 ", 40_000),
    ] {
        assert_eq!(ptime(value), Some(Duration::from_micros(micros)), "{value}");
    }
    for value in ["0", "", "-20", "+20", "abc", "0.0", "20ms"] {
        assert_eq!(ptime(value), None, "{value}");
    }
}

#[test]
fn rtcp_of_rfc_3605() {
    let rtcp =
        |value: &str| parse(&format!("v=0\nm=audio 1 RTP/AVP 0\na=rtcp:{value}\n")).media[0].rtcp();
    assert_eq!(rtcp("53020"), Some((53020, None)));
    assert_eq!(rtcp("53020 IN IP4 126.16.64.4"), Some((53020, "126.16.64.4".parse().ok())));
    let v6 = "2001:2345:6789:abcd:ef01:2345:6789:abcd";
    assert_eq!(rtcp(&format!("53020 IN IP6 {v6}")), Some((53020, v6.parse().ok())));
    assert_eq!(rtcp("0"), None);
    assert_eq!(rtcp("70000"), None);
}

#[test]
fn payload_types_that_cannot_be_are_left_out() {
    let description = parse(
        "v=0\nm=audio 1 RTP/AVP 0 0 96 97 98 128 300 x 8 18\n\
         a=rtpmap:96 PCMA/8000/1\na=rtpmap:97\na=rtpmap:98 X/0\na=rtpmap:8 pcma/8000\n",
    );
    let types: Vec<(u8, String)> = description.media[0]
        .rtp_formats()
        .into_iter()
        .map(|format| (format.payload_type, format.encoding.to_string()))
        .collect();
    let expected = [(0, "PCMU/8000"), (96, "PCMA/8000"), (8, "pcma/8000"), (18, "G729/8000")];
    assert_eq!(types, expected.map(|(number, name)| (number, name.to_owned())));
    assert_eq!(description.media[0].rtp_formats()[2].encoding.codec(), Some(Codec::Pcma));
}

#[test]
fn telephone_events_are_a_set() {
    // RFC 4733 §2.4.1, its example.
    let events = TelephoneEvents::parse(Some("0-15,66,70"));
    assert!([0, 9, 15, 66, 70].iter().all(|event| events.contains(*event)));
    assert!([16, 65, 67, 255].iter().all(|event| !events.contains(*event)));
    assert_eq!(events.to_string(), "0-15,66,70");
    assert_eq!(TelephoneEvents::parse(None), TelephoneEvents::DTMF);
    assert_eq!(TelephoneEvents::parse(Some("events=0-11")).to_string(), "0-11");
    assert_eq!(TelephoneEvents::parse(Some("9-2,,x,300,-1,255")).to_string(), "255");
}

#[test]
fn limits_hold() {
    let sections = |count: usize| {
        let text = format!("v=0\n{}", "m=audio 1 RTP/AVP 0\n".repeat(count));
        SessionDescription::parse(text.as_bytes())
    };
    assert!(sections(16).is_ok());
    assert_eq!(sections(17), Err(SdpError::TooManyMedia));
    let formats = |count: usize| {
        let text = format!("v=0\nm=audio 1 RTP/AVP{}\n", " 0".repeat(count));
        SessionDescription::parse(text.as_bytes())
    };
    assert!(formats(64).is_ok());
    assert_eq!(formats(65), Err(SdpError::TooManyFormats { line: 2 }));
    let long = format!("v=0\ns={}", "x".repeat(65_536));
    assert_eq!(
        SessionDescription::parse(long.as_bytes()),
        Err(SdpError::TooLong { length: 65_542 })
    );
    let lines = format!("v=0\n{}", "a=\n".repeat(2_049));
    assert_eq!(SessionDescription::parse(lines.as_bytes()), Err(SdpError::TooManyLines));
}

#[test]
fn what_is_no_description_names_its_line() {
    let refuse = |text: &str| SessionDescription::parse(text.as_bytes()).unwrap_err();
    for text in ["", "\n", "v=1\n", "hello", "v=0\na=x\0y\n", "v=0\nv=0\n"] {
        assert_eq!(refuse(text), SdpError::NotSdp, "{text:?}");
    }
    for line in [
        "m=audio",
        "m=audio 65536 RTP/AVP 0",
        "m=audio -1 RTP/AVP 0",
        "m=audio 1/x RTP/AVP 0",
        "a",
        "ab=c",
        "é=x",
    ] {
        let text = format!("v=0\r\n\r\n{line}\r\n");
        assert_eq!(refuse(&text), SdpError::Malformed { line: 3 }, "{line}");
    }
}

#[test]
fn a_value_never_becomes_two_lines() {
    let mut description = parse(FIELD);
    description.name = "a\r\nm=audio 1 RTP/AVP 0".to_owned();
    description.media[0].add_attribute("x", "y\nz\0");
    let written = description.to_string();
    assert_eq!(parse(&written).media.len(), 1);
    assert!(written.contains("a=x:yz\r\n"));
}

/// Whatever is read is written so that it reads as it was written; only the order of lines may
/// become the grammar's.
fn assert_fixed_point(bytes: &[u8]) {
    if let Ok(description) = SessionDescription::parse(bytes) {
        let written = description.to_string();
        match SessionDescription::parse(written.as_bytes()) {
            Ok(again) => assert_eq!(again.to_string(), written),
            // Writing adds lines and carriage returns that were missing.
            Err(SdpError::TooLong { .. } | SdpError::TooManyLines) => {}
            Err(error) => panic!("{error} {written}"),
        }
        for media in &description.media {
            let _ = (media.rtp_formats(), media.ptime(), media.maxptime(), media.rtcp());
        }
    }
}

#[test]
fn truncation_at_every_byte_is_harmless() {
    for text in [LECTURE, FIELD] {
        for length in 0..=text.len() {
            assert_fixed_point(&text.as_bytes()[..length]);
        }
    }
}

#[test]
fn mutations_are_harmless() {
    let mut random = super::Random(0x5eed);
    for round in 0..5_000_u32 {
        let text = if round % 2 == 0 { LECTURE } else { FIELD };
        assert_fixed_point(&random.mutate(text.as_bytes()));
    }
}
