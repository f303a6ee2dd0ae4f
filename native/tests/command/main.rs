//! The command, as scripts use it.
#![cfg(all(feature = "cli", unix))]

#[path = "../common/mod.rs"]
mod common;
#[path = "../common/process.rs"]
mod process;
mod transfer;

use std::net::UdpSocket;
use std::path::Path;

use common::{check, check_tone, check_tone_at};
use hound::{SampleFormat, WavReader, WavSpec, WavWriter};
use offhook::core::codec::measure::Tone;
use offhook_tests::stall::unless_stalled;
use process::Offhook;
use tempfile::{TempDir, tempdir};

/// A directory with `tone.wav`: five seconds of 1 kHz at 16 kHz.
fn with_tone() -> TempDir {
    with_tone_of(1_000)
}

/// The same of another frequency.
fn with_tone_of(frequency: u32) -> TempDir {
    let directory = tempdir().unwrap();
    let spec = WavSpec {
        channels: 1,
        sample_rate: 16_000,
        bits_per_sample: 16,
        sample_format: SampleFormat::Int,
    };
    let mut wav = WavWriter::create(directory.path().join("tone.wav"), spec).unwrap();
    for sample in Tone::new(16_000, frequency, 8_000).take(5 * 16_000) {
        wav.write_sample(sample).unwrap();
    }
    wav.finalize().unwrap();
    directory
}

fn read(directory: &Path, name: &str) -> Vec<i16> {
    let mut wav = WavReader::open(directory.join(name)).unwrap();
    assert_eq!((wav.spec().channels, wav.spec().sample_rate), (1, 8_000));
    wav.samples().map(Result::unwrap).collect()
}

/// The parts of `sound` between silences of more than 15 ms.
fn parts(sound: &[i16]) -> Vec<&[i16]> {
    const SILENCE: usize = 15 * 8;
    let mut parts = Vec::new();
    let (mut start, mut quiet) = (None, 0);
    for (i, sample) in sound.iter().enumerate() {
        match (sample.unsigned_abs() > 500, start) {
            (true, None) => (start, quiet) = (Some(i), 0),
            (true, Some(_)) => quiet = 0,
            (false, Some(from)) => {
                quiet += 1;
                if quiet > SILENCE {
                    parts.push(&sound[from..=i - quiet]);
                    start = None;
                }
            }
            (false, None) => {}
        }
    }
    parts.extend(start.map(|from| &sound[from..sound.len() - quiet]));
    parts
}

#[test]
fn an_exchange_an_echo_and_a_caller() {
    unless_stalled(echo_through_an_exchange);
}

fn echo_through_an_exchange() -> Result<(), String> {
    let directory = with_tone();
    let at = directory.path();
    let exchange = Offhook::start(at, "exchange --listen 127.0.0.1:0 --user alice:a --user bob:b");
    let server = exchange.address();
    let bob = Offhook::start(
        at,
        &format!(
            "answer --server {server} --user bob --password b --echo --record-received bob.wav"
        ),
    );
    bob.wait("registered");
    let (status, sentence, events) = Offhook::run(
        at,
        &format!(
            "call bob --server {server} --user alice --password a --play tone.wav \
             --record-received alice.wav --dtmf 195 --duration 4"
        ),
    );
    assert_eq!((status, sentence.as_str()), (0, ""), "{events:?}");
    for digit in ["1", "9", "5"] {
        assert_eq!(bob.wait("dtmf")["digit"], digit);
    }
    let ended = bob.wait("ended");
    assert_eq!((&ended["by"], &ended["stats"]["lost"]), (&"remote".into(), &0.into()));
    let ended = events.iter().find(|event| event["event"] == "ended").unwrap();
    assert_eq!((&ended["by"], &ended["stats"]["codec"]), (&"local".into(), &"PCMU".into()));
    bob.signal("-TERM");
    assert_eq!(bob.end().0, 0);
    exchange.signal("-INT");
    assert_eq!(exchange.end().0, 0);

    for name in ["bob.wav", "alice.wav"] {
        let sound = read(at, name);
        // Three digits may each make a silence, and nothing else.
        let parts = parts(&sound);
        check(parts.len() <= 4, || format!("{name}: {} parts", parts.len()))?;
        for part in parts.iter().filter(|part| part.len() > 8 * 100) {
            check_tone(part, 1_000, part.len() / 8)?;
        }
        let sounding: usize = parts.iter().map(|part| part.len() / 8).sum();
        check(sounding > 3_000, || format!("{name}: {sounding} ms of sound"))?;
    }
    Ok(())
}

#[test]
fn a_wrong_password() {
    let directory = tempdir().unwrap();
    let at = directory.path();
    let exchange = Offhook::start(at, "exchange --listen 127.0.0.1:0 --user alice:a");
    let server = exchange.address();
    let asked = format!("--server {server} --user alice --password wrong");
    for what in ["register", "call bob", "answer"] {
        let (status, sentence, events) = Offhook::run(at, &format!("{what} {asked}"));
        assert_eq!(status, 3, "{what}: {events:?}");
        assert!(sentence.contains("refused to register alice"), "{what}: {sentence}");
        assert!(sentence.contains("is the password right?"), "{what}: {sentence}");
        assert_eq!(events.last().unwrap()["code"], "registration_refused");
    }
}

#[test]
fn no_password_at_all() {
    let directory = tempdir().unwrap();
    let at = directory.path();
    let exchange = Offhook::start(at, "exchange --listen 127.0.0.1:0 --user alice:a");
    let asked = format!("register --server {} --user alice", exchange.address());
    let (status, sentence, _) = Offhook::run(at, &asked);
    assert_eq!(status, 3);
    assert!(sentence.contains("no password was given"), "{sentence}");
}

#[test]
fn registering_once_and_for_a_while() {
    let directory = tempdir().unwrap();
    let at = directory.path();
    let exchange =
        Offhook::start(at, "exchange --listen 127.0.0.1:0 --user alice:a --algorithm SHA-256");
    let server = exchange.address();
    std::fs::write(at.join("password"), "a\n").unwrap();
    let asked = format!("register --server {server} --user alice --password-file password");
    let (status, _, events) = Offhook::run(at, &format!("{asked} --expires 60 --once"));
    assert_eq!(status, 0);
    assert_eq!(events.iter().find(|e| e["event"] == "registered").unwrap()["expires"], 60);
    assert!(events.iter().all(|e| e["event"] != "unregistered"));
    exchange.wait("registered");
    let (status, _, events) = Offhook::run(at, &format!("{asked} --for 0.2"));
    assert_eq!((status, &events.last().unwrap()["event"]), (0, &"unregistered".into()));
    assert_eq!(exchange.wait("unregistered")["user"], "alice");
}

#[test]
fn a_busy_peer() {
    let directory = tempdir().unwrap();
    let at = directory.path();
    let bob = Offhook::start(at, "answer --bind 127.0.0.1:0 --reject 486 --calls 1");
    let (status, sentence, events) = Offhook::run(at, &format!("call sip:bob@{}", bob.address()));
    assert_eq!(status, 4);
    assert!(sentence.contains("486 Busy Here (the other side is busy)"), "{sentence}");
    let ended = events.iter().find(|event| event["event"] == "ended").unwrap();
    assert_eq!((&ended["code"], &ended["by"]), (&486.into(), &"remote".into()));
    assert_eq!(bob.end().0, 0);
}

#[test]
fn a_peer_that_never_answers() {
    let directory = tempdir().unwrap();
    let at = directory.path();
    let bob = Offhook::start(at, "answer --bind 127.0.0.1:0 --delay 60");
    let bob_at = bob.address();
    let (status, sentence, _) =
        Offhook::run(at, &format!("call sip:bob@{bob_at} --answer-timeout 0.5"));
    assert_eq!(status, 4);
    assert!(sentence.contains("nobody answered"), "{sentence}");
    assert_eq!(bob.wait("ended")["by"], "remote");
    // What was cancelled as asked is no failure.
    let cancelled = format!("call sip:bob@{bob_at} --cancel-after 0.3");
    assert_eq!(Offhook::run(at, &cancelled).0, 0);
    bob.wait("ended");
    bob.signal("-INT");
    assert_eq!(bob.end().0, 0);
}

#[test]
fn a_port_in_use() {
    let directory = tempdir().unwrap();
    let holder = UdpSocket::bind("127.0.0.1:0").unwrap();
    let taken = holder.local_addr().unwrap();
    for asked in [
        format!("answer --bind {taken}"),
        format!("call sip:bob@127.0.0.1 --bind {taken}"),
        format!("exchange --listen {taken} --user a:a"),
    ] {
        let (status, sentence, events) = Offhook::run(directory.path(), &asked);
        assert_eq!(status, 6, "{asked}: {sentence}");
        assert!(sentence.contains(&taken.to_string()) && sentence.contains("in use"), "{sentence}");
        let failed = events.iter().find(|event| event["event"] == "start_failed");
        assert_eq!(failed.is_some(), !asked.starts_with("exchange"), "{asked}: {events:?}");
        assert!(failed.is_none_or(|event| event["code"] == "bind"), "{failed:?}");
    }
}

#[test]
fn codecs_that_do_not_match() {
    let directory = tempdir().unwrap();
    let at = directory.path();
    let bob = Offhook::start(at, "answer --bind 127.0.0.1:0 --codecs PCMA");
    let asked = format!("call sip:bob@{} --codecs PCMU", bob.address());
    let (status, sentence, _) = Offhook::run(at, &asked);
    assert_eq!(status, 4);
    assert!(sentence.contains("488") && sentence.contains("no codec in common"), "{sentence}");
}

/// 5 kHz is more than half of what 8,000 samples a second can carry. Whoever answers takes G.722 without
/// being told to, and sends back what is heard.
#[test]
fn wide_band_both_ways() {
    unless_stalled(talk_in_wide_band);
}

fn talk_in_wide_band() -> Result<(), String> {
    let directory = with_tone_of(5_000);
    let at = directory.path();
    let bob = Offhook::start(
        at,
        "answer --bind 127.0.0.1:0 --calls 1 --echo --record-received bob.wav --record both.wav",
    );
    let asked = format!(
        "call sip:bob@{} --codecs G722 --play tone.wav --record-received alice.wav --duration 2.5",
        bob.address()
    );
    let (status, sentence, events) = Offhook::run(at, &asked);
    assert_eq!((status, sentence.as_str()), (0, ""), "{events:?}");
    let ended = events.iter().find(|event| event["event"] == "ended").unwrap();
    assert_eq!(ended["stats"]["codec"], "G722");
    assert_eq!(bob.wait("ended")["stats"]["codec"], "G722");
    assert_eq!(bob.end().0, 0);
    for (name, channels) in [("bob.wav", 1), ("alice.wav", 1), ("both.wav", 2)] {
        let mut wav = WavReader::open(at.join(name)).unwrap();
        assert_eq!((wav.spec().channels, wav.spec().sample_rate), (channels, 16_000), "{name}");
        // What was heard is the last channel.
        let samples = wav.samples().skip(usize::from(channels) - 1).step_by(channels.into());
        let heard: Vec<i16> = samples.map(Result::unwrap).collect();
        let first = heard.iter().position(|sample| sample.unsigned_abs() > 500);
        // A second in its midst: how much comes before the end is the affair of both clocks.
        let midst = first.and_then(|first| heard.get(first + 8_000..first + 24_000));
        check_tone_at(midst.unwrap_or_default(), 16_000, 5_000, 1_000)
            .map_err(|spoilt| format!("{name}: {spoilt}"))?;
    }
    Ok(())
}

#[test]
fn files_that_are_missing_or_cannot_be_written() {
    let directory = tempdir().unwrap();
    let at = directory.path();
    let (status, sentence, events) = Offhook::run(at, "call sip:bob@127.0.0.1:9 --play no.wav");
    assert_eq!((status, events.len()), (6, 1), "{events:?}");
    assert!(sentence.contains("no.wav: there is no such file"), "{sentence}");
    let bob = Offhook::start(at, "answer --bind 127.0.0.1:0");
    let asked = format!("call sip:bob@{} --record nowhere/a.wav --duration 1", bob.address());
    let (status, sentence, _) = Offhook::run(at, &asked);
    assert_eq!(status, 6, "{sentence}");
    assert!(sentence.contains("nowhere/a.wav"), "{sentence}");
}

#[test]
fn signals_end_calls_and_close_recordings() {
    unless_stalled(end_by_signal);
}

fn end_by_signal() -> Result<(), String> {
    let directory = with_tone();
    let at = directory.path();
    let bob = Offhook::start(at, "answer --bind 127.0.0.1:0 --record-received bob.wav --calls 1");
    let asked = format!(
        "call sip:bob@{} --play tone.wav --loop --record alice.wav --dtmf 5 --dtmf-after 0.7",
        bob.address()
    );
    let alice = Offhook::start(at, &asked);
    // By now there is something on both recordings.
    bob.wait("dtmf");
    alice.signal("-INT");
    let (status, _, events) = alice.end();
    assert_eq!(status, 0);
    assert!(events.iter().any(|event| event["event"] == "ended" && event["by"] == "local"));
    assert_eq!(bob.wait("ended")["by"], "remote");
    assert_eq!(bob.end().0, 0);
    let wav = WavReader::open(at.join("alice.wav")).unwrap();
    assert_eq!(wav.spec().channels, 2);
    assert!(wav.duration() > 8 * 400);
    let heard = read(at, "bob.wav");
    check(parts(&heard).iter().any(|part| part.len() > 8 * 400), || "only pieces".to_owned())
}

#[test]
fn a_menu_that_collects_digits() {
    let directory = tempdir().unwrap();
    let at = directory.path();
    let bob = Offhook::start(at, "answer --bind 127.0.0.1:0 --collect 4 --calls 1");
    let asked =
        format!("call sip:bob@{} --dtmf 0*#D --dtmf-after 0.1 --duration 20", bob.address());
    let (status, _, events) = Offhook::run(at, &asked);
    assert_eq!(status, 0);
    assert!(events.iter().any(|event| event["event"] == "ended" && event["by"] == "remote"));
    assert_eq!(bob.wait("collected")["digits"], "0*#D");
    assert_eq!(bob.end().0, 0);
}

#[test]
fn redirected_and_too_many() {
    let directory = tempdir().unwrap();
    let at = directory.path();
    let bob =
        Offhook::start(at, "answer --bind 127.0.0.1:0 --redirect sip:carol@192.0.2.1 --calls 1");
    let call = format!("call sip:bob@{} --max-redirects 0", bob.address());
    let (status, _, events) = Offhook::run(at, &call);
    assert_eq!(status, 4);
    assert!(events.iter().any(|event| event["code"] == 302), "{events:?}");
    // Followed, unless that is not wanted.
    let carol = Offhook::start(at, "answer --bind 127.0.0.1:0 --calls 1");
    let redirect = format!("answer --bind 127.0.0.1:0 --redirect sip:carol@{}", carol.address());
    let bob = Offhook::start(at, &format!("{redirect} --calls 1"));
    let target = format!("sip:bob@{}", bob.address());
    let (status, _, events) = Offhook::run(at, &format!("call {target} --duration 0.2"));
    assert_eq!(status, 0, "{events:?}");
    assert_eq!(carol.wait("incoming")["to"], target);
    let bob = Offhook::start(at, "answer --bind 127.0.0.1:0 --max-active 1");
    let bob_at = bob.address();
    let first = Offhook::start(at, &format!("call sip:bob@{bob_at}"));
    first.wait_state("answered");
    let (status, sentence, _) = Offhook::run(at, &format!("call sip:bob@{bob_at}"));
    assert_eq!(status, 4);
    assert!(sentence.contains("486"), "{sentence}");
    first.signal("-TERM");
    assert_eq!(first.end().0, 0);
}

#[test]
fn hold_and_resume_are_told_on_both_sides() {
    let directory = tempdir().unwrap();
    let at = directory.path();
    let bob = Offhook::start(at, "answer --bind 127.0.0.1:0 --calls 1");
    let times = "--hold-after 0.2 --resume-after 0.5 --duration 1";
    let call = format!("call sip:bob@{} {times}", bob.address());
    let (status, _, events) = Offhook::run(at, &call);
    assert_eq!(status, 0, "{events:?}");
    let holds: Vec<_> = events.iter().filter(|event| event["event"] == "hold").collect();
    let told = |by: &str, held: bool| serde_json::json!({ "event": "hold", "call": "1", "by": by, "held": held });
    assert_eq!(holds, [&told("local", true), &told("local", false)]);
    assert_eq!(bob.wait("hold"), told("remote", true));
    assert_eq!(bob.wait("hold"), told("remote", false));
    assert_eq!(bob.end().0, 0);
    // A moment to resume without one to hold before it means nothing.
    assert_eq!(Offhook::run(at, "call sip:bob@127.0.0.1 --resume-after 1").0, 2);
    let swapped = "call sip:bob@127.0.0.1 --hold-after 2 --resume-after 1";
    assert_eq!(Offhook::run(at, swapped).0, 2);
}

#[test]
fn early_media_is_heard_before_the_answer() {
    unless_stalled(hear_early_media);
}

fn hear_early_media() -> Result<(), String> {
    let directory = with_tone();
    let at = directory.path();
    let bob = Offhook::start(
        at,
        "answer --bind 127.0.0.1:0 --early-media tone.wav --calls 1 --duration 0.1",
    );
    let asked = format!("call sip:bob@{} --record-received early.wav", bob.address());
    let alice = Offhook::start(at, &asked);
    alice.wait_state("progress");
    alice.wait_state("answered");
    assert_eq!(alice.end().0, 0);
    check_tone(&read(at, "early.wav"), 1_000, 5_000)
}

/// Who leaves the offer to the callee hears nothing before the answer, and does not wait for it.
#[test]
fn a_caller_without_an_offer_is_answered_all_the_same() {
    let directory = with_tone();
    let bob = Offhook::start(
        directory.path(),
        "answer --bind 127.0.0.1:0 --early-media tone.wav --calls 1 --duration 0.1",
    );
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(std::time::Duration::from_secs(60))).unwrap();
    let (here, there) = (socket.local_addr().unwrap(), bob.address());
    let request = |method: &str, to: &str, more: &str, body: &str| {
        format!(
            "{method} sip:bob@{there} SIP/2.0\r\nVia: SIP/2.0/UDP {here};branch=z9hG4bK{method}\r\n\
             From: <sip:a@{here}>;tag=a\r\nTo: {to}\r\nCall-ID: late\r\nCSeq: 1 {method}\r\n\
             Contact: <sip:a@{here}>\r\nMax-Forwards: 70\r\n{more}Content-Length: {}\r\n\r\n{body}",
            body.len()
        )
    };
    let to = format!("<sip:bob@{there}>");
    socket.send_to(request("INVITE", &to, "", "").as_bytes(), &there).unwrap();
    let mut buffer = [0; 4_000];
    let mut next = |start: &str| loop {
        let length = socket.recv(&mut buffer).expect("it comes in time");
        let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
        if text.starts_with(start) {
            return text;
        }
    };
    next("SIP/2.0 183");
    let answer = next("SIP/2.0 200");
    assert!(answer.contains("m=audio "), "{answer}");
    let to = answer.lines().find_map(|line| line.strip_prefix("To: ")).unwrap();
    let ours = "v=0\r\nc=IN IP4 127.0.0.1\r\nm=audio 9 RTP/AVP 0\r\n";
    let ack = request("ACK", to, "Content-Type: application/sdp\r\n", ours);
    socket.send_to(ack.as_bytes(), &there).unwrap();
    let bye = next("BYE");
    let ok: Vec<&str> = bye.lines().skip(1).take_while(|line| !line.is_empty()).collect();
    let ok = format!("SIP/2.0 200 OK\r\n{}\r\n\r\n", ok.join("\r\n"));
    socket.send_to(ok.as_bytes(), &there).unwrap();
    assert_eq!(bob.end().0, 0);
}

#[test]
fn the_ladder_and_the_capture() {
    let directory = tempdir().unwrap();
    let at = directory.path();
    let bob = Offhook::start(at, "answer --bind 127.0.0.1:0 --calls 1");
    let asked = format!("call sip:bob@{} --duration 0.3 --ladder --pcap call.pcap", bob.address());
    let (status, _, events) = Offhook::run(at, &asked);
    assert_eq!(status, 0);
    let ladder = events.iter().find(|event| event["event"] == "ladder").unwrap();
    let ladder = ladder["text"].as_str().unwrap();
    for line in ["INVITE sip:bob@", "180 Ringing", "200 OK (INVITE) +SDP", "BYE", "RTP 0 PCMU"] {
        assert!(ladder.contains(line), "{line} in\n{ladder}");
    }
    let capture = std::fs::read(at.join("call.pcap")).unwrap();
    assert!(capture.len() > 5_000 && capture.windows(7).any(|bytes| bytes == b"INVITE "));
    // Read again, it is the same diagram.
    let (status, _, events) = Offhook::run(at, "trace call.pcap --svg call.svg");
    assert_eq!((status, events[0]["text"].as_str()), (0, Some(ladder)));
    let svg = std::fs::read_to_string(at.join("call.svg")).unwrap();
    assert!(svg.starts_with("<svg ") && svg.contains("200 OK (INVITE) +SDP"), "{svg}");
    let (status, sentence, _) = Offhook::run(at, "trace call.svg");
    assert_eq!(status, 6);
    assert!(sentence.contains("neither a pcap nor a pcapng"), "{sentence}");
}

#[test]
fn a_ping() {
    let directory = tempdir().unwrap();
    let at = directory.path();
    let bob = Offhook::start(at, "answer --bind 127.0.0.1:0");
    let (status, _, events) = Offhook::run(at, &format!("options sip:bob@{}", bob.address()));
    assert_eq!(status, 0);
    let answer = events.iter().find(|event| event["event"] == "options").unwrap();
    assert_eq!(answer["code"], 200);
    assert!(answer["round_trip_ms"].as_f64().unwrap() > 0.0);
}

#[test]
fn a_message_straight_and_through_an_exchange() {
    let directory = tempdir().unwrap();
    let at = directory.path();
    let exchange = Offhook::start(at, "exchange --listen 127.0.0.1:0 --user alice:a --user bob:b");
    let server = exchange.address();
    let answer = format!("answer --server {server} --user bob --password b --bind 127.0.0.1:0");
    let bob = Offhook::start(at, &answer);
    let address = bob.address();
    bob.wait("registered");
    let direct = format!("message sip:bob@{address} <x/> --content-type text/xml");
    let (status, sentence, _) = Offhook::run(at, &direct);
    assert_eq!((status, sentence.as_str()), (0, ""));
    let came = bob.wait("message");
    assert_eq!((&came["body"], &came["content_type"]), (&"<x/>".into(), &"text/xml".into()));
    let account = format!("--server {server} --user alice --password a");
    let (status, _, events) = Offhook::run(at, &format!("message bob hello {account}"));
    assert_eq!(status, 0);
    let sent = events.iter().find(|event| event["event"] == "message_sent").unwrap();
    assert_eq!(sent["code"], 200);
    let came = bob.wait("message");
    assert_eq!((&came["body"], &came["content_type"]), (&"hello".into(), &"text/plain".into()));
    assert!(came["from"].as_str().unwrap().starts_with("sip:alice@"), "{came}");
    // Nobody has that number.
    let (status, sentence, _) = Offhook::run(at, &format!("message nobody hello {account}"));
    assert_eq!(status, 4);
    assert!(sentence.contains("it was refused: 404"), "{sentence}");
    // The password is wrong.
    let wrong = format!("message bob hello --server {server} --user alice --password x");
    assert_eq!(Offhook::run(at, &wrong).0, 4);
}

#[test]
fn usage_errors() {
    let directory = tempdir().unwrap();
    for asked in [
        "call",
        "call sip:a@127.0.0.1 --loop",
        "call sip:a@127.0.0.1 --codecs GSM",
        "answer --transport tls",
        "answer --transport wss",
        "answer --transport sctp",
        "call sip:a@127.0.0.1 --ws-path sip",
        "call sip:a@127.0.0.1 --key-file alice.key",
        "exchange --listen 127.0.0.1",
        "register --user a",
        "frobnicate",
        "call not/a/uri --bind 127.0.0.1:0",
        "call sip:a@127.0.0.1 --rtp-ports 20000-10000",
        "call sip:a@127.0.0.1 --bind 127.0.0.1:0 --header Via:x",
        "call sip:a@127.0.0.1 --bind 127.0.0.1:0 --dtmf 1x9",
        "call sip:a@127.0.0.1 --bind 127.0.0.1:0 --duration 1e19",
        "answer --bind 127.0.0.1:0 --dtmf 1x9",
        "answer --bind 127.0.0.1:0 --redirect *",
    ] {
        let (status, sentence, _) = Offhook::run(directory.path(), asked);
        assert_eq!(status, 2, "{asked}: {sentence}");
        assert!(!sentence.is_empty());
    }
}

#[test]
fn a_configuration_file() {
    let directory = tempdir().unwrap();
    let at = directory.path();
    let bob = "bind = '127.0.0.1:0'\nuser = 'bob'\n[answer]\nreject = 486\nreason = 'At lunch'\n";
    std::fs::write(at.join("bob.toml"), bob).unwrap();
    let bob = Offhook::start(at, "answer --config bob.toml --calls 1");
    let target = format!("sip:bob@{}", bob.address());
    std::fs::write(at.join("alice.toml"), "display-name = 'Alice'\nanswer-timeout = 5\n").unwrap();
    let asked = format!("call {target} --config alice.toml");
    let (status, sentence, _) = Offhook::run(at, &asked);
    assert_eq!(status, 4);
    assert!(sentence.contains("486 At lunch"), "{sentence}");
    assert_eq!(bob.end().0, 0);

    std::fs::write(at.join("odd.toml"), "\nusr = 'bob'\n").unwrap();
    let (status, sentence, events) = Offhook::run(at, "call sip:a@127.0.0.1 --config odd.toml");
    assert_eq!((status, &events[0]["code"]), (2, &"config".into()));
    let expected = "odd.toml, line 2: offhook call has no option usr; did you mean user?";
    assert!(sentence.contains(expected), "{sentence}");
    let (status, sentence, _) = Offhook::run(at, "answer --config none.toml");
    assert_eq!(status, 6);
    assert!(sentence.contains("none.toml: there is no such file"), "{sentence}");
}

#[test]
fn header_fields_of_ones_own() {
    let directory = tempdir().unwrap();
    let at = directory.path();
    let header = |line: String| {
        // The value holds a space, which the other arguments do not.
        Offhook::start_with(at, &line, &["--header", "X-Mood: quite good"])
    };
    let bob = header("answer --bind 127.0.0.1:0 --calls 1 --duration 0.1 --pcap bob.pcap".into());
    let target = format!("sip:bob@{}", bob.address());
    for what in [format!("options {target}"), format!("message {target} hello")] {
        assert_eq!(header(what).end().0, 0);
    }
    assert_eq!(header(format!("call {target}")).end().0, 0);
    assert_eq!(bob.end().0, 0);
    let capture = std::fs::read(at.join("bob.pcap")).unwrap();
    let text = String::from_utf8_lossy(&capture);
    let with = |line: &str| {
        let mut found = text.split(line).skip(1).map(|rest| rest.split("\r\n\r\n").next().unwrap());
        found.any(|fields| fields.contains("\r\nX-Mood: quite good"))
    };
    for line in ["OPTIONS sip:", "MESSAGE sip:", "INVITE sip:", "SIP/2.0 180 Ringing"] {
        assert!(with(line), "{line} is without it");
    }
    assert!(!with("BYE sip:") && !with("ACK sip:"), "these begin nothing");
    let odd = Offhook::start_with(at, &format!("call {target}"), &["--header", "Via: me"]);
    assert_eq!(odd.end().0, 2);
}
