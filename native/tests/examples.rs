//! The examples, each as the process that a user starts: what they say and what is heard of them.

mod common;

use std::io::{BufRead, BufReader};
use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use common::*;
use offhook::core::codec::measure;
use offhook::{Call, EndedBy, Exchange, ExchangeEvent, ExchangeNotice, Phone, RequestOptions};
use offhook_tests::stall::awaited_unless_stalled;
use tempfile::{TempDir, tempdir};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

/// A running example.
struct Example {
    child: Child,
    lines: UnboundedReceiver<String>,
}

impl Example {
    fn start(name: &str, directory: &Path, arguments: &[&str]) -> Self {
        let mut child = Command::new(program(name))
            .args(arguments)
            .current_dir(directory)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the example starts");
        let out = child.stdout.take().expect("it is a pipe");
        let (told, lines) = unbounded_channel();
        std::thread::spawn(move || {
            BufReader::new(out).lines().map_while(Result::ok).all(|line| told.send(line).is_ok())
        });
        Self { child, lines }
    }

    /// The next line that it prints.
    async fn line(&mut self) -> String {
        soon(self.lines.recv()).await.expect("it goes on")
    }

    /// All lines that are left, once it has ended by itself.
    async fn rest(mut self) -> Vec<String> {
        let mut lines = Vec::new();
        while let Some(line) = soon(self.lines.recv()).await {
            lines.push(line);
        }
        assert!(self.child.wait().expect("it has ended").success());
        lines
    }
}

impl Drop for Example {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Where cargo puts examples: beside the directory of this test.
fn program(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("this test is a file");
    let target = test.ancestors().nth(2).expect("in target/*/deps");
    let program =
        target.join("examples").join(name).with_extension(std::env::consts::EXE_EXTENSION);
    assert!(program.exists(), "build the examples first: cargo build -p offhook --examples");
    program
}

/// An exchange, the example registered there as alice, and a phone of bob.
struct Site {
    example: Example,
    bob: Phone,
    _exchange: Exchange,
    _directory: TempDir,
}

impl Site {
    async fn new(name: &str, sounds: &[(&str, u32, usize)], more: &[&str]) -> Self {
        let directory = tempdir().expect("there is a place for it");
        for (file, frequency, ms) in sounds {
            wav(&directory.path().join(file), &tone(*frequency, *ms));
        }
        let (exchange, server) = exchange();
        let bob = registered(&server, "bob", "b").await;
        let mut events = exchange.events();
        let arguments = [&[server.as_str(), "alice", "a"], more].concat();
        let example = Example::start(name, directory.path(), &arguments);
        let registered = |notice: &ExchangeNotice| {
            matches!(notice, ExchangeNotice::Event(ExchangeEvent::Registered { user, .. })
                if user == "alice")
        };
        while !registered(&soon(events.next()).await.expect("the exchange runs")) {}
        Self { example, bob, _exchange: exchange, _directory: directory }
    }

    /// Bob calls the example, which answers.
    async fn call(&self) -> Call {
        let call = soon(self.bob.call("alice")).await.expect("the call is placed");
        soon(call.answered()).await.expect("it is answered");
        call
    }
}

fn wav(path: &Path, samples: &[i16]) {
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: 8_000,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut writer = hound::WavWriter::create(path, spec).expect("it can be written");
    samples.iter().for_each(|sample| writer.write_sample(*sample).expect("it can be written"));
    writer.finalize().expect("it can be written");
}

/// Checks that a tone was heard; how pure sound is, calls.rs measures.
fn check_heard(heard: &[i16], frequency: u32, ms: usize) -> Result<(), String> {
    let first = first_loud(heard).ok_or("nothing is heard")?;
    let last = last_loud(heard).unwrap_or(first);
    let length = (last - first) / 8;
    check(length.abs_diff(ms) <= 45, || format!("{length} ms of sound instead of {ms}"))?;
    let measured = measure::dominant_frequency(&heard[first..last], 8_000);
    let is_near = (measured - f64::from(frequency)).abs() < 5.0;
    check(is_near, || format!("{measured} Hz, not {frequency}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn answer() {
    let mut site = Site::new("answer", &[], &[]).await;
    let call = site.call().await;
    assert_eq!(soon(call.ended()).await.by, EndedBy::Remote, "it hangs up");
    let line = site.example.line().await;
    assert!(line.starts_with("sip:bob@") && line.ends_with(" calls"), "{line}");
    site.call().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn announcement() {
    let site = Site::new("announcement", &[("board.wav", 440, 900)], &["board.wav"]).await;
    awaited_unless_stalled(async || {
        let call = site.call().await;
        let heard = soon(listen(&call, 3_000)).await;
        assert_eq!(soon(call.ended()).await.by, EndedBy::Remote, "it hangs up");
        check_heard(&heard, 440, 900)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn menu() {
    awaited_unless_stalled(press_in_a_menu).await;
}

async fn press_in_a_menu() -> Result<(), String> {
    let sounds = [
        ("welcome.wav", 440, 1_000),
        ("opening-hours.wav", 700, 600),
        ("not-understood.wav", 1_000, 600),
    ];
    let mut site = Site::new("menu", &sounds, &[]).await;
    // The whole welcome, and then a digit that means nothing.
    let call = site.call().await;
    check_heard(&soon(listen(&call, 1_200)).await, 440, 1_000)?;
    call.send_dtmf("7").unwrap();
    check_heard(&soon(listen(&call, 3_000)).await, 1_000, 600)?;
    assert_eq!(soon(call.ended()).await.by, EndedBy::Remote);
    assert!(site.example.line().await.ends_with(" pressed 7"));
    // A digit that interrupts it.
    let call = site.call().await;
    call.send_dtmf("1").unwrap();
    let heard = soon(listen(&call, 3_000)).await;
    assert_eq!(soon(call.ended()).await.by, EndedBy::Remote);
    assert!(site.example.line().await.ends_with(" pressed 1"));
    let last = last_loud(&heard).ok_or("nothing is heard")?;
    let measured = measure::dominant_frequency(&heard[last.saturating_sub(4_000)..last], 8_000);
    check((measured - 700.0).abs() < 5.0, || format!("{measured} Hz"))?;
    check(last / 8 < 1_500, || format!("the welcome went on: {} ms", last / 8))
}

#[tokio::test(flavor = "multi_thread")]
async fn callers_who_hang_up_early_end_no_example() {
    let sounds = [("board.wav", 440, 900), ("welcome.wav", 440, 1_000)];
    for (name, more) in [("answer", None), ("announcement", Some("board.wav")), ("menu", None)] {
        let site = Site::new(name, &sounds, more.as_slice()).await;
        for patience in [0, 1, 5, 20, 60, 200] {
            let call = soon(site.bob.call("alice")).await.expect("the call is placed");
            let _ = tokio::time::timeout(Duration::from_millis(patience), call.answered()).await;
            // Whatever has come of it by now: dropping it cancels it, or hangs it up.
            drop(call);
        }
        site.call().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn states() {
    let site = Site::new("states", &[], &["bob"]).await;
    let called = soon(site.bob.incoming().next()).await.expect("it calls");
    soon(called.answer()).await.unwrap();
    called.send_dtmf("5").unwrap();
    let mut said = site.example;
    assert_eq!(said.line().await, "progress: 180 Ringing");
    assert!(said.line().await.starts_with("answered by sip:bob@"));
    assert_eq!(said.line().await, "they pressed 5");
    soon(called.hangup()).await.unwrap();
    let lasted = soon(called.ended()).await.duration.as_secs();
    let rest = said.rest().await;
    // Each end counts for itself.
    let ends = [lasted.saturating_sub(1), lasted, lasted + 1];
    let ends = ends.map(|seconds| format!("ended after {seconds} s"));
    assert!(rest.len() == 2 && rest[0] == "they hung up" && ends.contains(&rest[1]), "{rest:?}");

    let site = Site::new("states", &[], &["bob"]).await;
    let called = soon(site.bob.incoming().next()).await.expect("it calls");
    called.deny(486, None).await.unwrap();
    let said = site.example.rest().await;
    assert_eq!(said, ["progress: 180 Ringing", "busy", "ended after 0 s"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn caller() {
    let directory = tempdir().unwrap();
    let bob = start(direct("bob")).await;
    let said = Example::start("caller", directory.path(), &[&uri(&bob, "bob")]);
    let called = soon(bob.incoming().next()).await.expect("it calls");
    soon(called.answer()).await.unwrap();
    called.play_samples(8_000, &tone(440, 600)).await.unwrap();
    soon(called.hangup()).await.unwrap();
    let said = said.rest().await;
    assert!(said[0].ends_with(" packets heard, 0 lost"), "{said:?}");
    assert!(directory.path().join("call.wav").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn gate() {
    let directory = tempdir().unwrap();
    let bob = start(direct("bob")).await;
    let target = uri(&bob, "bob");
    let mut said = Example::start("gate", directory.path(), &["127.0.0.1:0", &target]);
    let line = said.line().await;
    let address = line.strip_prefix("listening on ").expect("it says where").to_owned();
    // Its calls name the account.
    let called = soon(bob.incoming().next()).await.expect("it calls");
    let headers = called.info().headers;
    assert!(headers.contains(&("X-Account".into(), "7001".into())), "{headers:?}");
    soon(called.answer()).await.unwrap();
    soon(called.ended()).await;
    // Its own method.
    for count in ["1", "2"] {
        let gate = format!("sip:gate@{address}");
        let reply = soon(bob.request("PING", &gate, RequestOptions::default())).await.unwrap();
        assert!(reply.headers.contains(&("X-Pings".into(), count.into())), "{reply:?}");
    }
    // A scanner hears nothing: what comes first is the answer to who asks after it.
    let socket = UdpSocket::bind(here()).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    for (seq, agent) in [(1, "friendly-scanner"), (2, "friend")] {
        let local = socket.local_addr().unwrap();
        let options = format!(
            "OPTIONS sip:gate@{address} SIP/2.0\r\nVia: SIP/2.0/UDP {local};branch=z9hG4bK{seq}\r\n\
             Max-Forwards: 70\r\nFrom: <sip:x@{local}>;tag=1\r\nTo: <sip:gate@{address}>\r\n\
             Call-ID: scan\r\nCSeq: {seq} OPTIONS\r\nUser-Agent: {agent}\r\n\
             Content-Length: 0\r\n\r\n"
        );
        socket.send_to(options.as_bytes(), &address).unwrap();
    }
    let mut bytes = [0; 2_000];
    let length = socket.recv(&mut bytes).expect("an answer comes");
    let answer = String::from_utf8_lossy(&bytes[..length]);
    assert!(answer.starts_with("SIP/2.0 200") && answer.contains("CSeq: 2 "), "{answer}");
    assert!(answer.contains(", PING\r\n"), "its method is allowed: {answer}");
}
