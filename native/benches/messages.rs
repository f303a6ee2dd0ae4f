//! Parsing and writing SIP messages, ours beside the SIP crates of crates.io, in one run.
//!
//! `parse` has To, From, the topmost Via, CSeq and every Contact typed when it ends, from a slice in a
//! receive buffer. `parse_lazy` is what each crate calls parsing by itself; how much of that is typed
//! stands in each row's name. `write` turns a message held in memory into bytes; `compose` (ours alone)
//! writes one from values.

use std::fmt;
use std::sync::LazyLock;

use divan::counter::ItemsCount;
use divan::{Bencher, black_box};

fn main() {
    // So many at a time that the clock's grain does not show.
    divan::Divan::from_args().sample_size(200).sample_count(200).run_benches();
}

/// The messages on which peers were timed, or text of our own like them.
#[derive(Clone, Copy)]
enum Sample {
    Invite,
    Ok200,
    Options,
}

const SAMPLES: [Sample; 3] = [Sample::Invite, Sample::Ok200, Sample::Options];

static TEXTS: LazyLock<[Vec<u8>; 3]> = LazyLock::new(|| {
    [("invite", INVITE), ("ok200", OK200), ("options", OPTIONS)].map(|(name, own)| {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/vectors/perf/");
        std::fs::read(format!("{path}{name}.sip")).unwrap_or_else(|_| {
            let own = own.replace('\n', "\r\n");
            let body = own.split_once("\r\n\r\n").map_or(0, |(_, body)| body.len());
            own.replace("LENGTH", &body.to_string()).into_bytes()
        })
    })
});

impl Sample {
    fn bytes(self) -> &'static [u8] {
        &TEXTS[self as usize]
    }
}

impl fmt::Display for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = ["INVITE", "200 OK", "OPTIONS"][*self as usize];
        write!(f, "{name} {} B", self.bytes().len())
    }
}

fn each<T>(bencher: Bencher<'_, '_>, mut work: impl FnMut() -> T) {
    bencher.counter(ItemsCount::new(1u32)).bench_local(|| black_box(work()));
}

mod offhook {
    use offhook_core::sip::Message;
    pub(super) use offhook_tests::work::parse as typed;

    pub(super) fn parse(bytes: &[u8]) -> Message {
        Message::parse(bytes).expect("a message")
    }
}

mod rsipstack {
    use rsipstack::sip::prelude::*;
    use rsipstack::sip::{SipMessage, typed};

    pub(super) fn parse(bytes: &[u8]) -> SipMessage {
        SipMessage::try_from(bytes).expect("a message")
    }

    pub(super) fn typed(bytes: &[u8]) -> impl Sized {
        let m = parse(bytes);
        let to: typed::To = m.to_header().unwrap().typed().unwrap();
        let from: typed::From = m.from_header().unwrap().typed().unwrap();
        let via: typed::Via = m.via_header().unwrap().typed().unwrap();
        let cseq: typed::CSeq = m.cseq_header().unwrap().typed().unwrap();
        let contacts = m.typed_contact_headers().unwrap();
        (to, from, via, cseq, contacts, m)
    }
}

mod rsip {
    use rsip::prelude::*;
    use rsip::{SipMessage, typed};

    pub(super) fn parse(bytes: &[u8]) -> SipMessage {
        SipMessage::try_from(bytes).expect("a message")
    }

    /// It cannot read the Contact of the INVITE (a quoted parameter) and does that much less.
    pub(super) fn typed(bytes: &[u8]) -> impl Sized {
        let m = parse(bytes);
        let to: typed::To = m.to_header().unwrap().typed().unwrap();
        let from: typed::From = m.from_header().unwrap().typed().unwrap();
        let via: typed::Via = m.via_header().unwrap().typed().unwrap();
        let cseq: typed::CSeq = m.cseq_header().unwrap().typed().unwrap();
        let contacts: Vec<typed::Contact> =
            m.contact_headers().into_iter().filter_map(|c| c.typed().ok()).collect();
        (to, from, via, cseq, contacts, m)
    }
}

mod ezk {
    use std::fmt::Write;

    use bytes::Bytes;
    use ezk_sip_types::header::typed::{CSeq, Contact, FromTo, Via};
    use ezk_sip_types::msg::{Line, MessageLine, PullParser};
    use ezk_sip_types::parse::Parse;
    use ezk_sip_types::print::{AppendCtx, PrintCtx};
    use ezk_sip_types::{Headers, Name};

    pub(super) struct Message {
        line: MessageLine,
        headers: Headers,
        body: Bytes,
    }

    /// As ezk's own endpoint does it.
    pub(super) fn parse(bytes: &[u8]) -> Message {
        let bytes = Bytes::copy_from_slice(bytes);
        let mut lines = PullParser::new(&bytes, 0);
        let first = std::str::from_utf8(lines.next().unwrap().unwrap()).unwrap();
        let (_, line) = MessageLine::parse(&bytes)(first).unwrap();
        let mut headers = Headers::new();
        for line in &mut lines {
            let line = std::str::from_utf8(line.unwrap()).unwrap();
            let (_, line) = Line::parse(&bytes, line).unwrap();
            headers.insert(line.name, line.value);
        }
        let body = bytes.slice(lines.head_end()..);
        Message { line, headers, body }
    }

    pub(super) fn typed(bytes: &[u8]) -> impl Sized {
        let m = parse(bytes);
        let to: FromTo = m.headers.get(Name::TO).unwrap();
        let from: FromTo = m.headers.get(Name::FROM).unwrap();
        let via: Via = m.headers.get_named().unwrap();
        let cseq: CSeq = m.headers.get_named().unwrap();
        let contacts: Vec<Contact> = m.headers.get_named().unwrap();
        (to, from, via, cseq, contacts, m)
    }

    pub(super) fn write(m: &Message) -> Vec<u8> {
        let mut text = String::new();
        let ctx = PrintCtx { method: m.line.request_method(), uri: None };
        write!(text, "{}\r\n{}\r\n", m.line.print_ctx(ctx), m.headers).unwrap();
        let mut bytes = text.into_bytes();
        bytes.extend_from_slice(&m.body);
        bytes
    }
}

mod sipx {
    use bytes::Bytes;
    use sipx_sip::Message;
    use sipx_sip::headers::{CSeq, Contact, From, To, Via};
    use sipx_sip::parser::{Limits, parse_datagram};

    pub(super) fn parse(bytes: &[u8]) -> Message {
        parse_datagram(Bytes::copy_from_slice(bytes), &Limits::datagram()).expect("a message")
    }

    pub(super) fn typed(bytes: &[u8]) -> impl Sized {
        let m = parse(bytes);
        let h = m.headers();
        let to: To = h.typed().unwrap().unwrap();
        let from: From = h.typed().unwrap().unwrap();
        let via: Via = h.typed().unwrap().unwrap();
        let cseq: CSeq = h.typed().unwrap().unwrap();
        let contacts: Vec<Contact> = h.typed_all().map(Result::unwrap).collect();
        (to, from, via, cseq, contacts, m)
    }
}

/// To, From, topmost Via, CSeq and every Contact typed.
#[divan::bench_group(name = "parse")]
mod parse {
    use super::*;

    #[divan::bench(args = SAMPLES)]
    fn offhook(bencher: Bencher<'_, '_>, sample: Sample) {
        each(bencher, || super::offhook::typed(black_box(sample.bytes())));
    }

    #[divan::bench(args = SAMPLES)]
    fn rsipstack(bencher: Bencher<'_, '_>, sample: Sample) {
        each(bencher, || super::rsipstack::typed(black_box(sample.bytes())));
    }

    #[divan::bench(args = SAMPLES)]
    fn ezk_sip_types(bencher: Bencher<'_, '_>, sample: Sample) {
        each(bencher, || super::ezk::typed(black_box(sample.bytes())));
    }

    #[divan::bench(args = SAMPLES, name = "rsip (fails on the INVITE's Contact)")]
    fn rsip(bencher: Bencher<'_, '_>, sample: Sample) {
        each(bencher, || super::rsip::typed(black_box(sample.bytes())));
    }

    #[divan::bench(args = SAMPLES)]
    fn sipx_sip(bencher: Bencher<'_, '_>, sample: Sample) {
        each(bencher, || super::sipx::typed(black_box(sample.bytes())));
    }
}

/// Parsing alone: less work for all, and not the same for each.
#[divan::bench_group(name = "parse_lazy")]
mod parse_lazy {
    use super::*;

    #[divan::bench(args = SAMPLES, name = "offhook (Via, From, To, Call-ID, CSeq typed)")]
    fn offhook(bencher: Bencher<'_, '_>, sample: Sample) {
        each(bencher, || super::offhook::parse(black_box(sample.bytes())));
    }

    #[divan::bench(args = SAMPLES, name = "rsipstack (none typed)")]
    fn rsipstack(bencher: Bencher<'_, '_>, sample: Sample) {
        each(bencher, || super::rsipstack::parse(black_box(sample.bytes())));
    }

    #[divan::bench(args = SAMPLES, name = "ezk_sip_types (none typed)")]
    fn ezk_sip_types(bencher: Bencher<'_, '_>, sample: Sample) {
        each(bencher, || super::ezk::parse(black_box(sample.bytes())));
    }

    #[divan::bench(args = SAMPLES, name = "rsip (none typed)")]
    fn rsip(bencher: Bencher<'_, '_>, sample: Sample) {
        each(bencher, || super::rsip::parse(black_box(sample.bytes())));
    }

    #[divan::bench(args = SAMPLES, name = "sipx_sip (none typed)")]
    fn sipx_sip(bencher: Bencher<'_, '_>, sample: Sample) {
        each(bencher, || super::sipx::parse(black_box(sample.bytes())));
    }
}

/// A message in memory to bytes.
#[divan::bench_group(name = "write")]
mod write {
    use super::*;

    #[divan::bench(args = SAMPLES)]
    fn offhook(bencher: Bencher<'_, '_>, sample: Sample) {
        let message = super::offhook::parse(sample.bytes());
        let mut buf = Vec::new();
        each(bencher, || {
            black_box(&message).write(&mut buf);
            buf.len()
        });
    }

    #[divan::bench(args = SAMPLES)]
    fn rsipstack(bencher: Bencher<'_, '_>, sample: Sample) {
        let message = super::rsipstack::parse(sample.bytes());
        each(bencher, || black_box(&message).to_bytes());
    }

    #[divan::bench(args = SAMPLES)]
    fn ezk_sip_types(bencher: Bencher<'_, '_>, sample: Sample) {
        let message = super::ezk::parse(sample.bytes());
        each(bencher, || super::ezk::write(black_box(&message)));
    }

    #[divan::bench(args = SAMPLES)]
    fn rsip(bencher: Bencher<'_, '_>, sample: Sample) {
        let message = super::rsip::parse(sample.bytes());
        each(bencher, || black_box(&message).to_string().into_bytes());
    }

    #[divan::bench(args = SAMPLES)]
    fn sipx_sip(bencher: Bencher<'_, '_>, sample: Sample) {
        let message = super::sipx::parse(sample.bytes());
        let mut buf = Vec::new();
        each(bencher, || {
            buf.clear();
            black_box(&message).write_to(&mut buf);
            buf.len()
        });
    }
}

/// The INVITE and a response to it, from values.
#[divan::bench_group(name = "compose")]
mod compose {
    use offhook_core::host::Transport;
    use offhook_core::internals::Writer;
    use offhook_core::sip::{HeaderName, Method};

    use super::*;

    #[divan::bench]
    fn offhook_invite(bencher: Bencher<'_, '_>) {
        let body = [b'x'; 278];
        let mut buf = Vec::new();
        each(bencher, || {
            let uri = "sip:bob@biloxi.example.com;transport=udp";
            let mut w = Writer::request(&mut buf, &Method::Invite, black_box(uri));
            w.via(Transport::Udp, "pc33.atlanta.example.com:5060", "z9hG4bK74bf9a1c2d", true);
            w.field(HeaderName::MaxForwards, 70);
            w.field(
                HeaderName::From,
                "\"Alice Liddell\" <sip:alice@atlanta.example.com>;tag=9fxced",
            );
            w.field(HeaderName::To, "Bob <sip:bob@biloxi.example.com>");
            w.field(HeaderName::CallId, "3848276298220188511@atlanta.example.com");
            w.cseq(314_159, &Method::Invite);
            w.field(HeaderName::Contact, "<sip:alice@192.0.2.101:5060;transport=udp>");
            w.field(HeaderName::Allow, "INVITE, ACK, CANCEL, OPTIONS, BYE, REFER, NOTIFY, UPDATE");
            w.field(HeaderName::Supported, "replaces, timer, 100rel, path");
            w.field(HeaderName::UserAgent, "BenchUA/1.0");
            w.body("application/sdp", &body);
            buf.len()
        });
    }

    #[divan::bench]
    fn offhook_response_to(bencher: Bencher<'_, '_>) {
        let invite = super::offhook::parse(Sample::Invite.bytes());
        let from = std::net::SocketAddr::from(([192, 0, 2, 101], 5060));
        let mut buf = Vec::new();
        each(bencher, || {
            let request = black_box(&invite);
            let mut w =
                Writer::response_to(&mut buf, request, 200, "OK", Some("314159265"), Some(from));
            w.field(HeaderName::Contact, "<sip:bob@192.0.2.4:5060>");
            w.finish();
            buf.len()
        });
    }
}

const INVITE: &str = "\
INVITE sip:bob@example.net;transport=udp SIP/2.0
Via: SIP/2.0/UDP client.example.com:5060;branch=z9hG4bK5f1d7a90cc;rport
Max-Forwards: 70
From: \"Alice Example\" <sip:alice@example.com>;tag=4fa81c0b
To: Bob <sip:bob@example.net>
Call-ID: 71f9d0f6b3c24f1e9@client.example.com
CSeq: 20571 INVITE
Contact: <sip:alice@192.0.2.7:5060;transport=udp>;+sip.instance=\"<urn:uuid:00000000-0000-1000-8000-AABBCCDDEEFF>\"
Allow: INVITE, ACK, CANCEL, OPTIONS, BYE, REFER, NOTIFY, UPDATE, PRACK, INFO
Supported: replaces, timer, 100rel, path
Session-Expires: 1800;refresher=uac
Min-SE: 90
User-Agent: Example/1.0
Content-Type: application/sdp
Content-Length: LENGTH

v=0
o=alice 1 1 IN IP4 192.0.2.7
s=-
c=IN IP4 192.0.2.7
t=0 0
m=audio 49170 RTP/AVP 0 101
a=rtpmap:0 PCMU/8000
a=rtpmap:101 telephone-event/8000
";

const OK200: &str = "\
SIP/2.0 200 OK
Via: SIP/2.0/UDP edge.example.net:5060;branch=z9hG4bKa1;received=192.0.2.30
Via: SIP/2.0/TCP core.example.net;branch=z9hG4bKb2.1;received=192.0.2.20;rport=5070
Via: SIP/2.0/UDP client.example.com:5060;branch=z9hG4bK5f1d7a90cc;received=192.0.2.7;rport=5060
Record-Route: <sip:edge.example.net;lr>
Record-Route: <sip:core.example.net;lr;transport=tcp>
Record-Route: <sip:192.0.2.20:5070;lr;ftag=4fa81c0b>
From: \"Alice Example\" <sip:alice@example.com>;tag=4fa81c0b
To: Bob <sip:bob@example.net>;tag=9d2e7733
Call-ID: 71f9d0f6b3c24f1e9@client.example.com
CSeq: 20571 INVITE
Contact: <sip:bob@192.0.2.40:5060>
Allow: INVITE, ACK, CANCEL, OPTIONS, BYE
Supported: replaces, timer
Server: Example/1.0
Content-Length: 0

";

const OPTIONS: &str = "\
OPTIONS sip:bob@192.0.2.40 SIP/2.0
Via: SIP/2.0/UDP 192.0.2.7:5060;branch=z9hG4bK0c8812f1
Max-Forwards: 70
From: <sip:alice@example.com>;tag=77120a
To: <sip:bob@192.0.2.40>
Call-ID: 5b1c66f0e2
CSeq: 63104 OPTIONS
Contact: <sip:alice@192.0.2.7>
Accept: application/sdp
Content-Length: 0

";
