//! What holds for any input: no panic, no long time, and writing what was read changes nothing.

use super::*;

/// xorshift64*: the same numbers on every machine.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() >> 33) as usize % n.max(1)
    }
}

/// Messages to begin from: our own, and the vectors where they are.
fn seeds() -> Vec<Vec<u8>> {
    let more = "m: \"A \\\" B\" <sip:a:b@[::1]:5;lr;x=y?h=v&i=j>;q=0.5;expires=9, <tel:+1;a=b>\r\n\
                Route: <sip:p1;lr>,\r\n\t<sip:p2;lr>\r\nRecord-Route: <sip:r>\r\nk: timer, 100rel\r\n\
                Expires: 7\r\nMin-Expires: 8\r\nRetry-After: 9\r\nMax-Forwards: 70\r\nAllow: INVITE\r\n\
                c: application/sdp; x=\"y\"\r\nX-\u{e4}: no\r\nl: 4\r\n";
    let own = request("INVITE", "sip:bob@example.com;transport=udp", more) + "v=0\n";
    let own = own.replace("X-\u{e4}", "X-Umlaut: \u{e4}\r\nX-Other");
    let response =
        own.replacen("INVITE sip:bob@example.com;transport=udp SIP/2.0", "SIP/2.0 200 OK", 1);
    let mut seeds = vec![own.into_bytes(), response.into_bytes()];
    for dir in ["perf", "rfc4475", "rfc5118"] {
        seeds.extend(vectors(dir).into_iter().map(|(_, bytes)| bytes));
    }
    seeds
}

/// Parses, looks at everything, writes, parses again.
fn exercise(bytes: &[u8]) -> bool {
    let message = match Message::parse(bytes) {
        Ok(message) => message,
        Err(e) => {
            let mut buf = Vec::new();
            let from = core::net::SocketAddr::from(([192, 0, 2, 4], 5060));
            assert_eq!(e.respond(&mut buf, "t", from), !buf.is_empty());
            let _ = e.to_string();
            return false;
        }
    };
    look_at(&message);
    let once = written(&message);
    // Long names for compact ones may not fit any more.
    if once.len() <= MAX_HEAD_BYTES {
        let again = parse(&once);
        assert_eq!(written(&again), once, "{}", String::from_utf8_lossy(bytes));
        assert_eq!(again.body(), message.body());
        assert_eq!(
            again.fields().count(),
            message.fields().count()
                + usize::from(message.header(HeaderName::ContentLength).is_none())
                - message.headers(HeaderName::ContentLength).count().saturating_sub(1)
        );
        assert_eq!(again.to_tag(), message.to_tag());
        assert_eq!(again.via().branch(), message.via().branch());
    }
    true
}

fn look_at(m: &Message) {
    let addresses = m.contacts().chain(m.routes()).chain(m.record_routes());
    for address in addresses.flatten().chain([m.from(), m.to()]) {
        let _ = (address.display_name(), address.tag(), address.q(), address.expires());
        let uri = address.uri();
        let _ = uri.equivalent(&uri);
        let _ =
            (uri.user(), uri.password(), uri.host(), uri.port(), uri.ip(), uri.headers().count());
        assert!(uri.params().count() <= MAX_URI_PARAMS + 1 || !uri.is_sip());
        let _ = address.params().map(|p| p.text().len()).sum::<usize>();
    }
    for via in m.vias().flatten().chain([m.via()]) {
        let _ =
            (via.transport(), via.sent_by(), via.received(), via.rport(), via.maddr(), via.ttl());
        let _ = (via.transaction_branch(), via.port(), via.ip());
    }
    let _ = (m.uri(), m.request_uri(), m.status(), m.reason(), m.call_id(), m.cseq());
    let _ = (m.expires(), m.min_expires(), m.retry_after(), m.max_forwards(), m.content_type());
    let _ = (m.allow().map(Iterator::count), m.supports("x"), m.has_body("a", "b"), m.bytes());
    let mut buf = Vec::new();
    let from = core::net::SocketAddr::from(([192, 0, 2, 4], 5060));
    if m.is_request() {
        Writer::response_to(&mut buf, m, 200, "OK", Some("t"), Some(from)).finish();
        if buf.len() <= MAX_HEAD_BYTES {
            let response = Message::parse(&buf).unwrap_or_else(|e| {
                panic!("{e}\n{}", String::from_utf8_lossy(&buf));
            });
            assert_eq!(response.via().branch(), m.via().branch());
            assert_eq!(response.call_id(), m.call_id());
        }
    }
}

#[test]
fn cut_anywhere() {
    for seed in seeds() {
        for end in 0..seed.len() {
            exercise(&seed[..end]);
        }
    }
}

#[test]
fn a_message_with_a_length_is_whole_or_refused() {
    let own = &seeds()[0];
    for end in 0..own.len() {
        assert!(Message::parse(&own[..end]).is_err(), "cut at {end}");
    }
    assert!(Message::parse(own).is_ok());
}

#[test]
fn changed_at_random() {
    const WORDS: &[&[u8]] = &[
        b"\r\n",
        b"\r\n\r\n",
        b"\n",
        b"\r",
        b" ",
        b"\t",
        b":",
        b";",
        b",",
        b"\"",
        b"\\",
        b"<",
        b">",
        b"=",
        b"%",
        b"[",
        b"]",
        b"@",
        b"?",
        b"&",
        b"\0",
        b"\xff",
        b"\xc3\xa4",
        b"SIP/2.0",
        b"sip:",
        b"tel:",
        b"*",
        b"-1",
        b"4294967296",
        b"\r\n ",
        b"Via: ",
        b"\r\nl: 3\r\n",
        b";tag=",
        b";branch=",
        b":::",
        b"z9hG4bK",
    ];
    let seeds = seeds();
    let mut random = Random(0x0ff_400c);
    let mut taken = 0;
    let rounds = 30_000;
    for round in 0..rounds {
        let mut bytes = seeds[random.below(seeds.len())].clone();
        for _ in 0..=random.below(4) {
            let at = random.below(bytes.len());
            match random.below(5) {
                0 => bytes[at] = random.next() as u8,
                1 => drop(bytes.splice(at..at, WORDS[random.below(WORDS.len())].iter().copied())),
                2 => {
                    let to = (at + random.below(20)).min(bytes.len());
                    drop(bytes.drain(at..to));
                }
                3 => {
                    let to = (at + random.below(80)).min(bytes.len());
                    let part = bytes[at..to].to_vec();
                    let at = random.below(bytes.len());
                    drop(bytes.splice(at..at, part));
                }
                _ => bytes[at] = WORDS[random.below(WORDS.len())][0],
            }
            if bytes.is_empty() {
                bytes.push(b'x');
            }
        }
        let caught = std::panic::catch_unwind(|| exercise(&bytes));
        match caught {
            Ok(ok) => taken += usize::from(ok),
            Err(_) => panic!("round {round}: {:?}", String::from_utf8_lossy(&bytes)),
        }
    }
    // Enough of them stay messages for the fixed point to mean something.
    assert!(taken > rounds / 10, "{taken} of {rounds}");
}

/// 64 KiB made to be slow cost under 10 ms , or ten times that without optimisation.
#[test]
#[allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "measures")]
fn the_longest_inputs_are_quick() {
    let fill = |head: &str, unit: &str, tail: &str| {
        let head =
            request("INVITE", "sip:bob@example.com", "").trim_end().to_owned() + "\r\n" + head;
        let times = (MAX_HEAD_BYTES - head.len() - tail.len()) / unit.len();
        (head + &unit.repeat(times) + tail).into_bytes()
    };
    let mut inputs = vec![
        fill("", "X: y\r\n", "\r\n"),
        fill("", "v:", "\r\n"),
        fill("X: ", "\"", "\r\n\r\n"),
        fill("X: ", "\r\n ", "\r\n\r\n"),
        fill("X: ", "a\r\n ", "\r\n\r\n"),
        fill("m: ", "<a,", "\r\n\r\n"),
        fill("\r\n", "\u{fc}", ""),
        fill("X: ", " ", "\r\n\r\n"),
        vec![b'\n'; MAX_HEAD_BYTES],
        vec![0xff; MAX_HEAD_BYTES],
        b" SIP/\xff".repeat(MAX_HEAD_BYTES / 6),
    ];
    // Under the limit of each field, so that all of it is looked at.
    for unit in ["<sip:a@b>,", ";a", "a,", "\"", "\\", "sip:a@b;", "<sip:a@b;c;c;c>,", " ", "<"] {
        let value = unit.repeat(8_000 / unit.len());
        let field = |name: &str| format!("{name}: {value}\r\n");
        let more = field("m")
            + &field("Route")
            + &field("Record-Route")
            + &field("Allow")
            + &field("k")
            + &field("X");
        inputs.push(request("INVITE", "sip:bob@example.com", &more).into_bytes());
        inputs.push(
            request("INVITE", "sip:b@e", &format!("v: SIP/2.0/UDP h {value}\r\n")).into_bytes(),
        );
        let uri = format!("sip:a@b{}", ";a".repeat(MAX_URI_PARAMS));
        inputs
            .push(request("INVITE", &uri, "").replace("sip:alice@example.com", &uri).into_bytes());
    }
    for input in inputs {
        let best = (0..5)
            .map(|_| {
                let start = std::time::Instant::now();
                let message = Message::parse(&input);
                if let Ok(message) = &message {
                    let _ = (
                        message.contacts().count(),
                        message.routes().count(),
                        message.values(HeaderName::Allow).count(),
                    );
                    let _ = message.vias().flatten().count();
                    let _ = message.uri().map(|u| u.equivalent(&message.from().uri()));
                }
                start.elapsed()
            })
            .min()
            .unwrap();
        let shown = String::from_utf8_lossy(&input[..input.len().min(400)]).into_owned();
        let limit = if cfg!(debug_assertions) { 100 } else { 10 };
        assert!(best.as_millis() < limit, "{best:?} for {shown}");
    }
}
