//! The figures of a call when it is over.

mod common;

use std::net::UdpSocket;

use common::{direct, here, soon, start};
use offhook::core::sim::message_text;
use offhook::{CallEvent, EndedBy};

/// How many packets come in the last moment of the call.
const LAST: u16 = 20;

/// A caller that says what the test wants: one socket for SIP, one for RTP.
struct Caller {
    sip: UdpSocket,
    rtp: UdpSocket,
    target: std::net::SocketAddr,
    to_tag: String,
}

impl Caller {
    fn new(target: std::net::SocketAddr) -> Self {
        let bind = || UdpSocket::bind(here()).unwrap();
        let (sip, rtp) = (bind(), bind());
        sip.set_nonblocking(true).unwrap();
        Self { sip, rtp, target, to_tag: String::new() }
    }

    fn send(&self, method: &str, seq: u32, more: &str) {
        let (local, target, tag) = (self.sip.local_addr().unwrap(), self.target, &self.to_tag);
        let head = format!(
            "{method} sip:bob@{target} SIP/2.0\n\
             Via: SIP/2.0/UDP {local};branch=z9hG4bK{method}{seq};rport\nMax-Forwards: 70\n\
             From: <sip:alice@{local}>;tag=alice\nTo: <sip:bob@{target}>{tag}\n\
             Call-ID: figures\nCSeq: {seq} {method}\nContact: <sip:alice@{local}>"
        );
        self.sip.send_to(message_text(&head, more).as_bytes(), target).unwrap();
    }

    /// Waits for the 200 to INVITE, acknowledges it, and returns the port of its audio.
    async fn established(&mut self) -> u16 {
        let response = loop {
            let mut buffer = [0; 2_000];
            match self.sip.recv(&mut buffer) {
                Ok(length) => {
                    let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
                    if text.starts_with("SIP/2.0 200") {
                        break text;
                    }
                }
                Err(_) => tokio::task::yield_now().await,
            }
        };
        let to = response.lines().find_map(|line| line.strip_prefix("To:")).unwrap();
        self.to_tag = to[to.find(";tag=").unwrap()..].to_owned();
        self.send("ACK", 1, "");
        let media = response.lines().find_map(|line| line.strip_prefix("m=audio ")).unwrap();
        media.split(' ').next().unwrap().parse().unwrap()
    }

    /// Sends RTP with 20 ms of PCMU.
    fn speak(&self, port: u16, sequence: u16) {
        let mut packet = vec![0x80, 0];
        packet.extend(sequence.to_be_bytes());
        packet.extend((u32::from(sequence) * 160).to_be_bytes());
        packet.extend([0, 0, 0, 7]);
        packet.extend([0x55; 160]);
        self.rtp.send_to(&packet, (self.target.ip(), port)).unwrap();
    }
}

/// Nothing of the phone runs while the test sends: the BYE waits in one socket and the sound before it in
/// another. Whichever is read first, the packets count.
#[tokio::test]
async fn what_waits_when_a_call_ends_is_in_its_figures() {
    let bob = start(direct("bob")).await;
    let mut incoming = bob.incoming();
    let mut alice = Caller::new(bob.bound_address().unwrap());
    let port = alice.rtp.local_addr().unwrap().port();
    let offer = format!(
        "v=0\no=- 1 1 IN IP4 127.0.0.1\ns=-\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio {port} RTP/AVP 0\n"
    );
    alice.send("INVITE", 1, &format!("Content-Type: application/sdp\n\n{offer}"));
    let call = soon(incoming.next()).await.unwrap();
    let mut events = call.events();
    soon(call.answer()).await.unwrap();
    let port = soon(alice.established()).await;
    alice.speak(port, 0);
    soon(async {
        while call.stats().received == 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;

    alice.send("BYE", 2, "");
    (1..=LAST).for_each(|sequence| alice.speak(port, sequence));
    let ending = soon(call.ended()).await;
    assert_eq!(ending.by, EndedBy::Remote);
    assert_eq!(ending.stats.received, u64::from(LAST) + 1);
    let mut last = None;
    while let Some(event) = soon(events.next()).await {
        last = Some(event);
    }
    assert!(matches!(last, Some(CallEvent::Ended(_))), "{last:?}");
    bob.stop().await;
}
