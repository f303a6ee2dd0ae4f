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

/// The longest that it may take to answer OPTIONS, whatever came before.
const PROMPT: Duration = Duration::from_secs(1);
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
    _directory: TempDir,
}

impl Trial {
    fn new(arguments: &str) -> Self {
        let directory = tempdir().unwrap();
        let line = format!("answer --bind 127.0.0.1:0 {arguments}");
        let phone = Offhook::start(directory.path(), &line);
        let at = phone.address().parse().unwrap();
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        Self { phone, at, socket, asked: 0, _directory: directory }
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
        let started = Instant::now();
        self.send(self.request("OPTIONS", number, "", "").as_bytes());
        self.response(&format!("Call-ID: {number}\r\n"), started + PROMPT);
    }

    /// Waits for a final response with that line.
    #[track_caller]
    fn response(&self, line: &str, deadline: Instant) -> String {
        let mut buffer = vec![0; 65_536];
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "no answer with {line:?} in time");
            self.socket.set_read_timeout(Some(left)).unwrap();
            let Ok((length, from)) = self.socket.recv_from(&mut buffer) else { continue };
            let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
            if from == self.at && text.contains(line) && !text.starts_with("SIP/2.0 1") {
                return text;
            }
        }
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
    trial.send(invite.as_bytes());
    let answer = trial.response("CSeq: 1 INVITE\r\n", Instant::now() + PROMPT);
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
    voice.set_read_timeout(Some(PROMPT)).unwrap();
    let mut heard = 0;
    let mut buffer = [0; 2_048];
    let deadline = Instant::now() + 10 * PROMPT;
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
        let length = voice.recv(&mut buffer).expect("packets come all the time");
        heard +=
            u32::from(buffer[..length].iter().skip(12).filter(|&&b| b & 0x7f < 0x40).count() > 80);
    }
    trial.send(bye.as_bytes());
    trial.response("CSeq: 2 BYE\r\n", Instant::now() + PROMPT);
    let stats = &trial.phone.wait("ended")["stats"];
    assert!(stats["received"].as_u64().unwrap() > 0, "{stats}");
    trial.check();
    let memory = trial.memory();
    assert!(memory < MOST_MEMORY, "{memory} bytes");
    trial.end();
}
