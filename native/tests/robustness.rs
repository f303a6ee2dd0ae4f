//! `offhook answer` among strangers: whatever is sent to it, it goes on answering.
#![cfg(all(feature = "cli", target_os = "linux"))]

#[path = "common/process.rs"]
mod process;

use std::net::{SocketAddr, UdpSocket};
use std::path::Path;
use std::time::{Duration, Instant};

use offhook_tests::fuzz::{self, inputs};
use process::Offhook;
use tempfile::{TempDir, tempdir};

/// How long the phone may work, of a processor's time, until it answers OPTIONS, whatever came before.
const PROMPT: Duration = Duration::from_secs(1);
/// How long that may take on a machine that does much else.
const PATIENCE: Duration = Duration::from_secs(60);
/// After which time a request is repeated that may be lost (RFC 3261's T1).
const T1: Duration = Duration::from_millis(500);
/// How much is sent before the phone is asked whether it still answers.
const BATCH: usize = 250;
/// How much memory a phone may take, in bytes, with every call that this test makes still up.
const MOST_MEMORY: u64 = 200_000_000;

/// A phone under test, in a process of its own, and the socket of whoever tries it.
struct Trial {
    phone: Offhook,
    at: SocketAddr,
    socket: UdpSocket,
    asked: u32,
    /// How long it had worked when it was asked last.
    worked: Duration,
    _directory: TempDir,
}

impl Trial {
    fn new(arguments: &str) -> Self {
        let directory = tempdir().unwrap();
        let line = format!("answer --bind 127.0.0.1:0 {arguments}");
        let phone = Offhook::start(directory.path(), &line);
        let at = phone.address().parse().unwrap();
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        Self { phone, at, socket, asked: 0, worked: Duration::ZERO, _directory: directory }
    }

    fn send(&self, datagram: &[u8]) {
        // Longer ones than UDP takes cannot reach anybody.
        let _ = self.socket.send_to(datagram, self.at);
    }

    fn local(&self) -> SocketAddr {
        self.socket.local_addr().unwrap()
    }

    /// A request from here, with a transaction and a dialog of its own.
    fn request(&self, method: &str, number: u32, more: &str, body: &str) -> String {
        let here = self.local();
        format!(
            "{method} sip:bob@{} SIP/2.0\r\nVia: SIP/2.0/UDP {here};rport;branch=z9hG4bK{number}{method}\r\n\
             From: <sip:a@{here}>;tag={number}\r\nTo: <sip:bob@{}>\r\nCall-ID: {number}\r\n\
             CSeq: 1 {method}\r\nContact: <sip:a@{here}>\r\nMax-Forwards: 70\r\n{more}\
             Content-Length: {}\r\n\r\n{body}",
            self.at,
            self.at,
            body.len(),
        )
    }

    /// Asks for an answer, and passes over those to what came before.
    #[track_caller]
    fn check(&mut self) {
        self.asked += 1;
        let number = 1_000_000 + self.asked;
        self.ask(&self.request("OPTIONS", number, "", ""), &format!("Call-ID: {number}\r\n"));
        let worked = self.processor_time();
        // What a thread has worked that has ended meanwhile is not in it.
        let took = worked.saturating_sub(std::mem::replace(&mut self.worked, worked));
        assert!(took < PROMPT, "it worked for {took:?}");
    }

    /// Sends a request, as often as it takes, and waits for a final response with that line.
    #[track_caller]
    fn ask(&self, request: &str, line: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        let mut buffer = vec![0; 65_536];
        self.socket.set_read_timeout(Some(T1)).unwrap();
        self.send(request.as_bytes());
        loop {
            assert!(Instant::now() < deadline, "no answer with {line:?} in time");
            let Ok((length, from)) = self.socket.recv_from(&mut buffer) else {
                self.send(request.as_bytes());
                continue;
            };
            let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
            if from == self.at && text.contains(line) && !text.starts_with("SIP/2.0 1") {
                return text;
            }
        }
    }

    /// How long the phone has worked on any processor.
    fn processor_time(&self) -> Duration {
        let threads = std::fs::read_dir(format!("/proc/{}/task", self.phone.id())).unwrap();
        let on_processor = |thread: std::fs::DirEntry| {
            // One that has just ended has no such file.
            let times = std::fs::read_to_string(thread.path().join("schedstat")).ok()?;
            times.split(' ').next()?.parse::<u64>().ok()
        };
        Duration::from_nanos(threads.flatten().filter_map(on_processor).sum())
    }

    /// The phone's resident memory, in bytes.
    fn memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.phone.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1_024
    }

    /// Sends all of `inputs`, and asks for an answer after every batch.
    #[track_caller]
    fn send_all(&mut self, inputs: impl Iterator<Item = Vec<u8>>) {
        for (number, input) in inputs.enumerate() {
            self.send(&input);
            if number % BATCH == BATCH - 1 {
                self.check();
            }
        }
        self.check();
        let memory = self.memory();
        assert!(memory < MOST_MEMORY, "{memory} bytes");
    }

    /// Ends the phone, which must not have ended by itself; what it counted.
    #[track_caller]
    fn end(self) -> serde_json::Value {
        self.phone.signal("-INT");
        let (status, sentence, events) = self.phone.end();
        assert_eq!(status, 0, "{sentence}");
        assert!(!sentence.contains("panicked"), "{sentence}");
        let counters = events.into_iter().find(|event| event["event"] == "counters");
        counters.expect("it tells what it has counted")
    }
}

/// The messages of RFC 4475 and RFC 5118; none, and a word about it, where they are not.
fn torture() -> Vec<Vec<u8>> {
    let vectors = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/vectors");
    let mut messages = Vec::new();
    for directory in ["rfc4475", "rfc5118"] {
        let Ok(entries) = std::fs::read_dir(vectors.join(directory)) else {
            eprintln!("skipped: there is no ../shared/vectors/{directory} here");
            continue;
        };
        let paths = entries.map(|entry| entry.unwrap().path());
        messages.extend(paths.map(|path| std::fs::read(path).unwrap()));
    }
    messages.sort();
    messages
}

#[test]
fn torture_messages_one_by_one() {
    let mut trial = Trial::new("");
    for message in torture() {
        trial.send(&message);
        trial.check();
    }
    trial.check();
    let counters = trial.end();
    assert!(counters["received"].as_u64().unwrap() >= 1, "{counters}");
}

#[test]
fn messages_that_were_mangled() {
    let mut trial = Trial::new("");
    trial.send_all(inputs(&fuzz::MESSAGE, torture(), 1).take(10_000));
    let counters = trial.end();
    assert!(counters["received"].as_u64().unwrap() > 100, "{counters}");
    assert!(counters["malformed"].as_u64().unwrap() > 100, "{counters}");
}

#[test]
fn calls_with_mangled_offers() {
    let mut trial = Trial::new("--max-active 20");
    let offers: Vec<_> = inputs(&fuzz::SDP, Vec::new(), 2)
        .take(500)
        .enumerate()
        .map(|(number, offer)| {
            let (offer, kind) =
                (String::from_utf8_lossy(&offer), "Content-Type: application/sdp\r\n");
            trial.request("INVITE", number as u32, kind, &offer).into_bytes()
        })
        .collect();
    trial.send_all(offers.into_iter());
    let counters = trial.end();
    assert!(counters["received"].as_u64().unwrap() >= 500, "{counters}");
}

#[test]
fn no_sip_at_all() {
    let mut trial = Trial::new("");
    let noise =
        inputs(&fuzz::RTP, vec![Vec::new(), vec![0], vec![b'\r', b'\n'], vec![0xff; 9_000]], 3);
    trial.send_all(noise.take(2_000));
    trial.end();
}

#[test]
fn rubbish_at_the_ports_of_a_call() {
    let mut trial = Trial::new("--echo");
    let voice = UdpSocket::bind("127.0.0.1:0").unwrap();
    let stranger = UdpSocket::bind("127.0.0.1:0").unwrap();
    let offer = format!(
        "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
         m=audio {} RTP/AVP 0 101\r\na=rtpmap:101 telephone-event/8000\r\n",
        voice.local_addr().unwrap().port()
    );
    let invite = trial.request("INVITE", 7, "Content-Type: application/sdp\r\n", &offer);
    let answer = trial.ask(&invite, "CSeq: 1 INVITE\r\n");
    let after =
        |word: &str| answer.split(word).nth(1).unwrap_or_else(|| panic!("{word} in {answer}"));
    let to = after("\r\nTo: ").lines().next().unwrap();
    let rtp: u16 = after("m=audio ").split(' ').next().unwrap().parse().unwrap();
    let in_dialog = |method: &str, seq: u32| {
        let text = trial.request(method, 7, "", "");
        let to_line = format!("To: <sip:bob@{}>", trial.at);
        text.replace(&to_line, &format!("To: {to}"))
            .replace(&format!("CSeq: 1 {method}"), &format!("CSeq: {seq} {method}"))
    };
    trial.send(in_dialog("ACK", 1).as_bytes());
    let bye = in_dialog("BYE", 2);

    for (number, input) in inputs(&fuzz::RTP, Vec::new(), 4).take(4_000).enumerate() {
        // The fuzz target puts a length and a time before each packet.
        let packet = input.get(3..).unwrap_or_default();
        let socket = if number % 4 == 3 { &stranger } else { &voice };
        let _ = socket.send_to(packet, ("127.0.0.1", rtp + u16::from(number % 8 == 7)));
        if number % BATCH == BATCH - 1 {
            trial.check();
        }
    }
    // The call is still up, and echoes what is sound.
    voice.set_read_timeout(Some(T1)).unwrap();
    let mut heard = 0;
    let mut buffer = [0; 2_048];
    let deadline = Instant::now() + PATIENCE;
    let mut number = 0_u16;
    while heard < 5 {
        assert!(Instant::now() < deadline, "no echo");
        number += 1;
        let mut packet = vec![0x80, 0];
        packet.extend(number.to_be_bytes());
        packet.extend((u32::from(number) * 160).to_be_bytes());
        packet.extend(*b"here");
        // What is echoed is loud; silence is 0xff and 0x7f.
        packet.extend([0x20; 160]);
        voice.send_to(&packet, ("127.0.0.1", rtp)).unwrap();
        let Ok(length) = voice.recv(&mut buffer) else { continue };
        heard +=
            u32::from(buffer[..length].iter().skip(12).filter(|&&b| b & 0x7f < 0x40).count() > 80);
    }
    trial.ask(&bye, "CSeq: 2 BYE\r\n");
    let stats = &trial.phone.wait("ended")["stats"];
    assert!(stats["received"].as_u64().unwrap() > 0, "{stats}");
    trial.check();
    let memory = trial.memory();
    assert!(memory < MOST_MEMORY, "{memory} bytes");
    trial.end();
}
