//! The relay over real sockets, with the core's client end in the place of a page.
#![cfg(all(feature = "cli", unix))]

#[path = "../common/process.rs"]
mod process;

mod page;

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use offhook::core::codec::measure::{Tone, longest_gap, share_at};
use offhook::core::config::PhoneParameters;
use offhook::core::host::{Channel, Transport};
use offhook::core::relay::{Authenticate, Capsule, ClientEvent, Problem};
use offhook_tests::stall::awaited_unless_stalled;
use page::{PROTOCOL, Page, RATE, connect, hear, say};
use process::Offhook;
use tokio_tungstenite::tungstenite::Error;

const SECRET: &str = "a secret of thirty-two bytes, or more";

/// A relay that serves 127.0.0.1, and its URL.
fn relay(at: &Path, more: &str) -> (Offhook, String) {
    std::fs::write(at.join("secret"), SECRET).unwrap();
    let options = "relay --listen 127.0.0.1:0 --secret-file secret --origin https://phone.example";
    let relay = Offhook::start(at, &format!("{options} {more}"));
    let url = relay.wait("listening")["websocket"].as_str().unwrap().to_owned();
    (relay, url)
}

fn token(at: &Path, server: &str, more: &str) -> String {
    let options = format!("relay token --secret-file secret --sip-server {server} {more}");
    let (status, sentence, events) = Offhook::run(at, &options);
    assert_eq!(status, 0, "{sentence}");
    events[0]["token"].as_str().unwrap().to_owned()
}

fn write_tone(path: &Path, frequency: u32, seconds: u32) {
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: RATE,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut file = hound::WavWriter::create(path, spec).unwrap();
    for sample in Tone::new(RATE, frequency, 8_000).take((seconds * RATE) as usize) {
        file.write_sample(sample).unwrap();
    }
    file.finalize().unwrap();
}

/// Whether that tone is there without a gap, from shortly after its beginning on.
fn expect_tone(samples: &[i16], frequency: f64) -> Result<(), String> {
    /// A jitter buffer has found its pace by then.
    const SETTLED: usize = RATE as usize / 5;
    const LONG: usize = RATE as usize * 8 / 5;
    let begin = samples.iter().position(|sample| sample.unsigned_abs() > 500);
    let begin = begin.ok_or("nothing was heard")? + SETTLED;
    let tone = samples.get(begin..begin + LONG).ok_or("too little was heard")?;
    let (share, gap) = (share_at(tone, RATE, frequency), longest_gap(tone, RATE, -35.0));
    match share > 0.98 && gap.as_millis() < 10 {
        true => Ok(()),
        false => Err(format!("{share} of the power is at {frequency} Hz, and a gap is {gap:?}")),
    }
}

fn parameters(transport: Transport) -> PhoneParameters {
    PhoneParameters::without_server("alice").transport(transport)
}

/// Calls somebody who plays 300 Hz, and speaks 1 kHz; with the connection cut before the sound if that is wanted.
async fn talk(transport: Transport, cut: bool) -> Result<(), String> {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    // It is longer than the call, which ends with it.
    write_tone(&at.join("tone.wav"), 300, 60);
    let bob = Offhook::start(
        at,
        "answer --bind 127.0.0.1:0 --play tone.wav --record-received heard.wav --calls 1 \
         --codecs PCMU",
    );
    let address = bob.address();
    let (relay, url) = relay(at, "--allow-network 127.0.0.0/8");
    let mut page = Page::open(&url, &token(at, &address, ""), parameters(transport)).await;
    assert_eq!(page.events, [ClientEvent::Ready { resumed: false }]);
    let call = page.call(&format!("sip:bob@{address}")).await;
    if cut {
        page.lose();
        relay.wait("session_lost");
        page.pass(Duration::from_secs(1)).await;
        page.reconnect().await;
        page.heard.clear();
        assert_eq!(page.events, [ClientEvent::Ready { resumed: true }]);
        assert_eq!(relay.wait("session")["resumed"], true);
    }
    let tone = Tone::new(RATE, 1_000, 8_000).take(2 * RATE as usize);
    assert_eq!(page.phone().media_mut(call).unwrap().write_audio(RATE, &tone), tone.len());
    page.pass(Duration::from_millis(2_700)).await;
    page.phone().phone_mut().hangup(call).unwrap();
    page.until(|page| page.phone().phone().calls().next().is_none()).await;
    // BYE came through the same flow.
    let (status, sentence, _) = bob.end();
    assert_eq!(status, 0, "{sentence}");
    relay.signal("-TERM");
    page.until(|page| page.socket.is_none()).await;
    let last = &page.events[page.events.len() - 3..];
    assert_eq!(last[0], ClientEvent::Draining { seconds: 10 });
    assert!(matches!(last[1], ClientEvent::Denied { problem: Problem::Draining, .. }), "{last:?}");
    assert_eq!(last[2], ClientEvent::Lost);
    let ended = relay.wait("session_ended");
    assert_eq!((&ended["session"], &ended["code"]), (&1.into(), &"draining".into()));
    let counted = relay.wait("relay_counters")["counters"].clone();
    assert_eq!(counted, ended["counters"]);
    assert!(counted["packets_up"].as_u64() > Some(50), "{counted}");
    assert_eq!([&counted["refused"], &counted["limited"]], [0, 0]);
    assert_eq!(relay.end().0, 0);
    let mut file = hound::WavReader::open(at.join("heard.wav")).unwrap();
    let heard: Vec<i16> = file.samples().map(Result::unwrap).collect();
    expect_tone(&heard, 1_000.0).map_err(|what| format!("the far end heard {what}"))?;
    expect_tone(&page.heard, 300.0).map_err(|what| format!("the page heard {what}"))
}

#[tokio::test]
async fn a_call_through_the_relay_is_heard_both_ways_over_udp() {
    awaited_unless_stalled(async || talk(Transport::Udp, false).await).await;
}

#[tokio::test]
async fn a_call_through_the_relay_is_heard_both_ways_over_tcp() {
    awaited_unless_stalled(async || talk(Transport::Tcp, false).await).await;
}

#[tokio::test]
async fn a_call_goes_on_when_the_connection_was_cut_and_taken_up_again() {
    for transport in [Transport::Udp, Transport::Tcp] {
        awaited_unless_stalled(async || talk(transport, true).await).await;
    }
}

/// What the relay answers to a first message with that token.
async fn denial(url: &str, token: &str) -> Option<Problem> {
    let mut socket = connect(url, None, PROTOCOL).await.unwrap();
    let first = Authenticate { version: 1, token, resume: None, received: 0 };
    say(&mut socket, &Capsule::Authenticate(first)).await;
    let answer = hear(&mut socket).await.expect("an answer");
    match Capsule::message(&answer) {
        Ok(Capsule::Denied { problem, .. }) => {
            assert_eq!(hear(&mut socket).await, None, "and it is closed");
            Some(problem)
        }
        Ok(Capsule::Ready(_)) => None,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn who_shows_no_good_token_is_not_let_in_and_the_next_is() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    let (relay, url) = relay(at, "--max-sessions-per-user 2");
    let good = token(at, "pbx.test", "");
    let other = token(at, "pbx.test", "--audience elsewhere");
    std::fs::write(at.join("secret"), "another secret of thirty-two bytes or more").unwrap();
    let forged = token(at, "pbx.test", "");
    for token in ["", "x", &other, &forged, &format!("{good}x")] {
        assert_eq!(denial(&url, token).await, Some(Problem::TokenInvalid));
        assert_eq!(relay.wait("denied")["code"], "token_invalid");
    }
    let mut socket = connect(&url, None, PROTOCOL).await.unwrap();
    say(&mut socket, &Capsule::Leave).await;
    let answer = hear(&mut socket).await.unwrap();
    let denied = Capsule::message(&answer);
    assert!(
        matches!(denied, Ok(Capsule::Denied { problem: Problem::Unauthenticated, .. })),
        "{denied:?}"
    );
    let refused = async |origin, protocol, url: &str| match connect(url, origin, protocol).await {
        Err(Error::Http(response)) => response.status().as_u16(),
        Ok(_) => 0,
        Err(other) => panic!("{other}"),
    };
    let page = Some("https://phone.example");
    assert_eq!(refused(Some("https://other.example"), PROTOCOL, &url).await, 403);
    assert_eq!(refused(page, None, &url).await, 400);
    assert_eq!(refused(page, Some("sip"), &url).await, 400);
    assert_eq!(refused(page, PROTOCOL, &format!("{url}/x")).await, 404);
    assert_eq!(refused(page, PROTOCOL, &url).await, 0);
    assert_eq!(denial(&url, &good).await, None);
    assert_eq!(denial(&url, &good).await, None);
    assert_eq!(denial(&url, &good).await, Some(Problem::Limit), "two are all that a user may have");
}

#[tokio::test]
async fn a_page_reaches_no_server_and_no_peer_that_it_may_not() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    let (relay, url) = relay(at, "--allow-network 127.0.0.1/32 --sip-server 127.0.0.1:5099");
    let mut socket = connect(&url, None, PROTOCOL).await.unwrap();
    let token = token(at, "127.0.0.1:5099 --sip-server 127.0.0.1 --sip-server 127.0.0.2:5099", "");
    let first = Authenticate { version: 1, token: &token, resume: None, received: 0 };
    say(&mut socket, &Capsule::Authenticate(first)).await;
    hear(&mut socket).await.expect("READY");
    let to = |text: &str| text.parse::<SocketAddr>().unwrap();
    for (flow, address) in
        (1..).zip(["127.0.0.1:5060", "127.0.0.2:5099", "[::1]:5099", "169.254.169.254:80"])
    {
        let (transport, to) = (Transport::Tcp, to(address));
        say(&mut socket, &Capsule::Open { flow, transport, to, name: "127.0.0.1" }).await;
        let refused = relay.wait("relay_refused");
        assert_eq!(refused["code"], "server_forbidden", "{address}");
        assert_eq!(refused["what"], format!("tcp:{address}"));
    }
    let victim = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let peer = victim.local_addr().unwrap();
    say(&mut socket, &Capsule::Bind { pair: 1, toward: peer.ip() }).await;
    relay.wait("ports");
    let (context, pair, channel) = (0, 1, Channel::Rtp);
    say(&mut socket, &Capsule::Assign { context, pair, channel, peer }).await;
    say(&mut socket, &Capsule::Datagram { context, payload: &[0x80; 12] }).await;
    assert_eq!(relay.wait("relay_refused")["code"], "peer_forbidden");
    say(&mut socket, &Capsule::Leave).await;
    // The relay has read the packet before it read that.
    let ended = relay.wait("session_ended");
    assert!(ended["code"].is_null() && ended["counters"]["packets_up"] == 0, "{ended}");
    victim.set_nonblocking(true).unwrap();
    let nothing = victim.recv(&mut [0; 64]).unwrap_err();
    assert_eq!(nothing.kind(), std::io::ErrorKind::WouldBlock);
}

#[test]
fn what_cannot_work_is_reported_before_it_listens() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    std::fs::write(at.join("short"), "short").unwrap();
    for (arguments, status, code) in [
        ("relay --listen 127.0.0.1:0", 2, "no_key"),
        ("relay --listen 127.0.0.1:0 --secret-file none", 6, "file"),
        ("relay --listen 127.0.0.1:0 --secret-file short", 6, "file"),
        ("relay --listen 127.0.0.1:0 --public-key-file short", 6, "file"),
        ("relay token --secret-file short --sip-server pbx.test", 6, "file"),
    ] {
        let (ended, sentence, events) = Offhook::run(at, arguments);
        assert_eq!((ended, &events[0]["code"]), (status, &code.into()), "{arguments}: {sentence}");
    }
    for arguments in [
        "relay token --secret-file s",
        "relay token --sip-server pbx.test",
        "relay token --secret-file s --sip-server pbx.test --for 601",
        "relay --listen 127.0.0.1:0 --sip-server a:b:c --secret-file s",
        "relay --listen 127.0.0.1:0 --origin phone.example --secret-file s",
    ] {
        assert_eq!(Offhook::run(at, arguments).0, 2, "{arguments}");
    }
}
