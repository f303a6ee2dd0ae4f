//! What each fuzz target does with an input.

use offhook_core::codec::measure::Tone;
use offhook_core::host::{Channel, Endpoint, Host, Inbound, MediaPort};
use offhook_core::internals::g722::{Decoder, Encoder, Mode};
use offhook_core::internals::{
    Frame, Framer, Negotiator, StunClass, StunMessage, Writer, answer_binding, binding_request,
    is_stun,
};
use offhook_core::sdp::{SdpError, SessionDescription};
use offhook_core::sip::{HeaderName, Message, NameAddr, Uri, Via};
use offhook_core::wav::{self, WavReader};

use super::Target;
use crate::idle::IdleHost;

/// Datagrams to the SIP parser: what is accepted can be looked at whole, written again, and then
/// reads the same; what is refused can be answered.
pub const MESSAGE: Target = Target {
    name: "message",
    corpus: || {
        let texts: [&[u8]; 5] = [
            include_bytes!("../../corpus/invite.sip"),
            include_bytes!("../../corpus/ok.sip"),
            include_bytes!("../../corpus/options.sip"),
            include_bytes!("../../corpus/register.sip"),
            include_bytes!("../../corpus/odd.sip"),
        ];
        texts.map(<[u8]>::to_vec).to_vec()
    },
    dictionary: &[
        "\r\n",
        "\r\n ",
        "\r\n\r\n",
        "SIP/2.0",
        "Via: SIP/2.0/UDP [::1]:5060;branch=z9hG4bK",
        "sip:",
        "tel:",
        "<",
        ">",
        "\"",
        "\\",
        ";",
        ",",
        "Content-Length: 4294967296\r\n",
        "l:-1\r\n",
        "i:",
        ";tag=",
        "%00",
        "%",
        "*",
        "\0",
        "CSeq: 99999999999 INVITE\r\n",
        "Contact: *\r\n",
        "@",
        ":",
    ],
    run: message,
};

fn message(input: &[u8]) {
    let message = match Message::parse(input) {
        Ok(message) => message,
        Err(error) => {
            let mut answer = Vec::new();
            let from = "192.0.2.1:5060".parse().expect("an address");
            if error.respond(&mut answer, "tag", from) {
                // What the request had broken (a Via) the answer repeats, so it need not be readable.
                assert!(answer.starts_with(b"SIP/2.0 "), "the answer is no response");
                assert!(answer.ends_with(b"Content-Length: 0\r\n\r\n"), "the answer has no end");
            }
            return;
        }
    };
    let _lists = (
        message.vias().count(),
        message.contacts().count(),
        message.routes().count(),
        message.record_routes().count(),
        message.require().count(),
        message.values(HeaderName::Supported).count(),
    );
    let _numbers = (message.expires(), message.max_forwards(), message.min_expires());
    let parts = message.parts();
    assert!(parts.len() <= 32, "{} parts", parts.len());
    let _typed = (message.content_type(), message.uri(), message.via(), message.from().uri());
    let again = rewrite(&message);
    let second = Message::parse(&again).expect("what was written can be read");
    assert_eq!(second.fields().count(), message.fields().count());
    assert_eq!(second.body(), message.body());
    assert_eq!(rewrite(&second), again, "writing is not a fixed point");
}

/// The message with every field written by name and value.
fn rewrite(message: &Message) -> Vec<u8> {
    let mut bytes = Vec::new();
    match message.request_uri() {
        Some(uri) => drop(Writer::request(&mut bytes, message.method(), uri)),
        None => {
            let status = message.status().unwrap_or_default();
            drop(Writer::response(&mut bytes, status, message.reason()));
        }
    }
    for (name, value) in message.fields() {
        bytes.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
    }
    bytes.extend_from_slice(b"\r\n");
    bytes.extend_from_slice(message.body());
    bytes
}

/// A stream in pieces of the lengths that its first bytes name: the same messages and keep-alives as
/// when all of it comes at once.
pub(super) const STREAM: Target = Target {
    name: "stream",
    corpus: || {
        let texts = (MESSAGE.corpus)();
        let whole = |text: &Vec<u8>| [b"\x03\xff\x01", &text[..]].concat();
        let all = [b"\x05\x00\x40", &texts.join(&b"\r\n\r\n"[..])[..]].concat();
        texts.iter().map(whole).chain([all]).collect()
    },
    dictionary: &["\r\n", "\r\n\r\n", "\n", "Content-Length: 3\r\n", "l:\r\n 0\r\n", ":", " ", "0"],
    run: |input| {
        let Some((sizes, bytes)) = input.split_at_checked(3) else { return };
        let mut rest = bytes;
        let mut sizes = sizes.iter().cycle();
        let pieces = core::iter::from_fn(|| {
            let size = usize::from(*sizes.next()?).max(1).min(rest.len());
            let (piece, after) = rest.split_at(size);
            rest = after;
            (!piece.is_empty()).then_some(piece)
        });
        assert_eq!(frames(pieces), frames([bytes]), "it shows where the stream was cut");
    },
};

/// What a framer makes of these pieces.
fn frames<'p>(pieces: impl IntoIterator<Item = &'p [u8]>) -> Vec<Vec<u8>> {
    let mut framer = Framer::new();
    let mut frames = Vec::new();
    for mut piece in pieces {
        while let Some(frame) = framer.next(&mut piece) {
            frames.push(match frame {
                Frame::Message(bytes) => bytes.to_vec(),
                other => format!("{other:?}").into_bytes(),
            });
        }
    }
    frames
}

/// URIs, name-addrs and Vias as text.
pub(super) const URI: Target = Target {
    name: "uri",
    corpus: || {
        [
            "sip:alice@atlanta.com;transport=tcp?subject=a%20b&priority=urgent",
            "sips:alice:secret@[2001:db8::10]:5061;lr;maddr=239.255.255.1",
            "tel:+1-201-555-0123;phone-context=example.com",
            "\"A. G. Bell\" <sip:agb@bell-telephone.com> ;tag=a48s;q=0.7",
            "SIP/2.0/UDP erlang.bell-telephone.com:5060;branch=z9hG4bK87asdks7;rport;received=::1",
            "sip:%61lice%40x@h;p=%3b",
            "*",
        ]
        .iter()
        .map(|text| text.as_bytes().to_vec())
        .collect()
    },
    dictionary: &[
        "sip:", "sips:", "tel:", "@", ":", ";", "?", "&", "=", "[", "]", "%", "%41", "\"", "<", ">",
    ],
    run: |input| {
        let Ok(text) = core::str::from_utf8(input) else { return };
        if let Ok(uri) = Uri::parse(text) {
            assert!(uri.equivalent(&uri), "a URI is not equivalent to itself");
            let written = uri.to_string();
            let again = Uri::parse(&written).expect("what was written can be read");
            assert_eq!(again.to_string(), written, "writing is not a fixed point");
            let _parts = (uri.ip(), uri.port(), uri.params().count(), uri.headers().count());
        }
        if let Ok(address) = NameAddr::parse(text) {
            let _parts = (address.uri(), address.tag(), address.param("q").is_some());
        }
        let _via = Via::parse(text);
    },
};

/// Session descriptions, and the answer to each that can be read.
pub const SDP: Target = Target {
    name: "sdp",
    corpus: || {
        [
            "v=0\r\no=alice 2890844526 2890844526 IN IP4 host.anywhere.com\r\ns= \r\n\
             c=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 49170 RTP/AVP 0 8 97\r\na=rtpmap:0 PCMU/8000\r\n\
             a=rtpmap:97 iLBC/8000\r\na=ptime:20\r\nm=video 51372 RTP/AVP 31 32\r\n",
            "v=0\r\no=- 1 2 IN IP6 ::1\r\ns=-\r\nc=IN IP6 ::1\r\nt=0 0\r\nm=audio 1 RTP/AVP 101 0\r\n\
             a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15,32\r\na=sendonly\r\na=rtcp:53020\r\n",
        ]
        .iter()
        .map(|text| text.as_bytes().to_vec())
        .collect()
    },
    dictionary: &[
        "m=audio 0 RTP/AVP 0\r\n",
        "a=inactive\r\n",
        "c=IN IP4 0.0.0.0\r\n",
        "a=rtpmap:",
        "a=ptime:0\r\n",
        "a=maxptime:99999999999\r\n",
        "65536",
        "-1",
        " ",
        "/",
        "127",
        "128",
        "\n",
        "\0",
    ],
    run: |input| {
        let Ok(description) = SessionDescription::parse(input) else { return };
        let written = description.to_string();
        let again = match SessionDescription::parse(written.as_bytes()) {
            Ok(again) => again,
            // Writing adds lines and carriage returns that were missing.
            Err(SdpError::TooLong { .. } | SdpError::TooManyLines) => return,
            Err(error) => panic!("what was written cannot be read: {error}"),
        };
        assert_eq!(again.to_string(), written, "writing is not a fixed point");
        let local = crate::idle::local_media();
        if let Ok((answer, _)) = Negotiator::new(1).answer(&description, &[local]) {
            assert_eq!(answer.media.len(), description.media.len(), "RFC 3264 §6");
        }
    },
};

/// A sequence of RTP and RTCP packets to a media session: two bytes of length, one of channel and
/// time, then the packet.
pub const RTP: Target = Target {
    name: "rtp",
    corpus: || {
        // PCMU, and PCMU and G.722 by turns.
        let [speech, changing] = [[0, 0], [0, 9]].map(|payload_types| {
            let mut speech = Vec::new();
            for (number, payload_type) in (0..8_u8).zip(payload_types.into_iter().cycle()) {
                let mut packet =
                    vec![0x80, payload_type, 0, number, 0, 0, number, 0xa0, 1, 2, 3, 4];
                packet.resize(172, 0x7f);
                frame(&mut speech, 20, &packet);
            }
            speech
        });
        let mut digits = Vec::new();
        for (number, duration) in [(0, 160), (1, 320), (2, 480)] {
            let end = if number == 2 { 0x8a } else { 0x0a };
            let event = [
                0x80,
                101,
                0,
                number,
                0,
                0,
                0,
                9,
                1,
                2,
                3,
                4,
                5,
                end,
                (duration >> 8) as u8,
                duration as u8,
            ];
            frame(&mut digits, 20, &event);
        }
        let mut report = Vec::new();
        let sender = [
            0x80, 200, 0, 6, 1, 2, 3, 4, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 160, 0, 0, 0, 1, 0, 0, 0,
            160,
        ];
        frame(&mut report, 0x80 | 20, &sender);
        vec![speech, changing, digits, report]
    },
    dictionary: &["\u{1}\0\0", "\0\0\u{5}"],
    run: rtp,
};

fn frame(into: &mut Vec<u8>, head: u8, packet: &[u8]) {
    into.extend_from_slice(&[(packet.len() >> 8) as u8, packet.len() as u8, head]);
    into.extend_from_slice(packet);
}

fn rtp(input: &[u8]) {
    let mut host = IdleHost::default();
    let mut session = crate::idle::media_session(&mut host);
    let from = crate::idle::PEER;
    let mut rest = input;
    while let [high, low, head, tail @ ..] = rest {
        let length = (usize::from(*high) << 8 | usize::from(*low)).min(tail.len());
        let (packet, after) = tail.split_at(length);
        let channel = if head & 0x80 == 0 { Channel::Rtp } else { Channel::Rtcp };
        host.pass_millis(u64::from(head & 0x7f));
        let inbound = Inbound::Media { port: MediaPort(1), channel, from, bytes: packet };
        let host: &mut dyn Host = &mut host;
        session.handle_inbound(host, inbound);
        session.handle_deadline(host);
        rest = after;
    }
    let mut samples = [0; 160];
    while session.read_audio(8_000, &mut samples) > 0 {}
    while session.next_event().is_some() {}
}

/// A G.722 payload to the decoder. Its first byte says in which mode and where it is cut in two: the same
/// sound as when it comes whole.
pub(super) const G722: Target = Target {
    name: "g722",
    corpus: || {
        let coded = |hertz| {
            let mut payload = vec![0; 161];
            Encoder::new().encode(&Tone::new(16_000, hertz, 30_000).take(322), &mut payload);
            payload
        };
        vec![coded(440), coded(5_000), vec![0; 161], vec![0xFF; 161]]
    },
    dictionary: &["\0\0\0\0", "\u{3f}\u{3f}\u{3f}\u{3f}"],
    run: g722,
};

fn g722(input: &[u8]) {
    let Some((head, payload)) = input.split_first() else { return };
    let mode = [Mode::Kbit64, Mode::Kbit56, Mode::Kbit48][usize::from(head % 3)];
    let payload = &payload[..payload.len().min(160)];
    let (first, second) = payload.split_at(usize::from(*head).min(payload.len()));
    let mut whole = vec![0; 2 * payload.len()];
    Decoder::new(mode).decode(payload, &mut whole);
    let mut pieces = vec![0; 2 * payload.len()];
    let mut decoder = Decoder::new(mode);
    let (room, rest) = pieces.split_at_mut(2 * first.len());
    decoder.decode(first, room);
    decoder.decode(second, rest);
    assert_eq!(pieces, whole, "it is heard where the payload was cut");
}

/// Datagrams to the STUN reader: an answer says where the sender is seen, and is small.
pub(super) const STUN: Target = Target {
    name: "stun",
    corpus: || {
        let id = offhook_core::internals::TransactionId::new(&mut IdleHost::default());
        let request = binding_request(id);
        let answers = ["192.0.2.1:32853", "[2001:db8::1]:32853"].map(|from| {
            let from = from.parse().expect("an address");
            answer_binding(&request, from).expect("an answer")
        });
        let mut unknown = request.clone();
        unknown.splice(20..20, [0x00, 0x24, 0, 4, 1, 2, 3, 4]);
        unknown[3] += 8;
        [&answers[..], &[request, unknown]].concat()
    },
    dictionary: &["\u{1}\0", "\0\u{8}", "\0\u{1}", "\0\u{9}\0\u{4}", "\0 \0\u{8}"],
    run: stun,
};

fn stun(input: &[u8]) {
    let parsed = StunMessage::parse(input);
    assert!(parsed.is_err() || is_stun(input), "it is read but not taken for STUN");
    for from in ["192.0.2.1:5060", "[2001:db8::1]:5060"] {
        let from = from.parse().expect("an address");
        let Some(answer) = answer_binding(input, from) else { continue };
        let question = parsed.as_ref().expect("what is answered can be read");
        assert_eq!(question.class, StunClass::Request);
        assert!(answer.len() < input.len() + 64, "it is answered with much more");
        let answer = StunMessage::parse(&answer).expect("what was written can be read");
        assert_eq!(answer.id, question.id);
        let told = (answer.mapped == Some(from), answer.error == Some(420));
        assert_eq!(told, (question.unknown.is_empty(), !question.unknown.is_empty()));
    }
}

/// Files to the WAV reader: pieces give what the whole gives, and no more samples than there are bytes.
pub(super) const WAV: Target = Target {
    name: "wav",
    corpus: || {
        let head = b"RIFF\xff\xff\xff\xffWAVEfmt \x10\0\0\0".as_slice();
        let pcm = b"\x01\0\x02\0\x40\x1f\0\0\0\x7d\0\0\x04\0\x10\0".as_slice();
        let alaw = b"\x06\0\x01\0\x40\x1f\0\0\x40\x1f\0\0\x01\0\x08\0".as_slice();
        let float = b"\x03\0\x01\0\x80\xbb\0\0\0\xee\x02\0\x04\0\x20\0".as_slice();
        let data = b"LIST\x03\0\0\0odd\0data\x0b\0\0\0eleven bytes".as_slice();
        let endless = b"data\0\0\0\0as many bytes as come".as_slice();
        let file = |format, data| [head, format, data].concat();
        vec![file(pcm, data), file(alaw, endless), file(float, data), file(alaw, data)]
    },
    dictionary: &["RIFF", "WAVE", "fmt ", "data", "\u{7f}\0", "\0\0\0\0", "\x03\0", "\x18\0"],
    run: wav,
};

fn wav(input: &[u8]) {
    let (mut reader, mut samples) = (WavReader::new(), Vec::new());
    let taken = input.chunks(7).try_for_each(|piece| reader.handle_bytes(piece, &mut samples));
    assert!(samples.len() <= input.len(), "more samples than bytes");
    match (wav::read(input), taken.and_then(|()| reader.handle_end())) {
        (Ok((_, whole, cut)), Ok(cut_in_pieces)) => {
            assert_eq!((whole, cut), (samples, cut_in_pieces), "pieces differ from the whole");
        }
        (Err(whole), Err(pieces)) => assert_eq!(whole, pieces),
        (whole, pieces) => panic!("{whole:?} differs from {pieces:?} in pieces"),
    }
}
