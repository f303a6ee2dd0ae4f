//! Where media may go: the addresses in the descriptions that a client's SIP servers have sent it.

use core::net::{IpAddr, SocketAddr};
use std::collections::VecDeque;

use super::grant::Policy;
use crate::sdp::SessionDescription;
use crate::sip::Message;
use crate::stream::{Frame, Framer};

/// How many addresses are remembered; the oldest give way. A call has one or two.
const MOST: usize = 64;

/// The addresses for RTP and RTCP that were described, the newest last.
#[derive(Debug, Default)]
pub(super) struct Described {
    addresses: VecDeque<SocketAddr>,
}

impl Described {
    pub(super) fn is_empty(&self) -> bool {
        self.addresses.is_empty()
    }

    pub(super) fn contains(&self, address: SocketAddr) -> bool {
        self.addresses.contains(&address)
    }

    /// Whether any port at that address was.
    pub(super) fn has_host(&self, ip: IpAddr) -> bool {
        self.addresses.iter().any(|address| address.ip() == ip)
    }

    /// Takes what a SIP server has sent over UDP.
    pub(super) fn read_datagram(&mut self, policy: &Policy, bytes: &[u8]) {
        if let Ok(message) = Message::parse(bytes) {
            self.read(policy, &message);
        }
    }

    /// Takes the next bytes of its stream.
    pub(super) fn read_stream(&mut self, policy: &Policy, framer: &mut Framer, mut bytes: &[u8]) {
        while let Some(frame) = framer.next(&mut bytes) {
            if let Frame::Message(message) = frame
                && let Ok(message) = Message::parse(message)
            {
                self.read(policy, &message);
            }
        }
    }

    fn read(&mut self, policy: &Policy, message: &Message) {
        if message.has_body("application", "sdp") {
            self.describe(policy, message.body());
        } else if let Some(kind) = message.content_type()
            && kind.kind().eq_ignore_ascii_case("multipart")
            && let Some(boundary) = kind.params().find("boundary")
        {
            for part in parts(message.body(), boundary.text()) {
                self.describe(policy, part);
            }
        }
    }

    fn describe(&mut self, policy: &Policy, body: &[u8]) {
        let Ok(description) = SessionDescription::parse(body) else { return };
        for media in description.media.iter().filter(|media| media.port != 0) {
            let Some(ip) = description.connection(media).and_then(|line| line.ip()) else {
                continue;
            };
            // RFC 3605: it may name another port, and another address.
            let rtcp = media.attribute("rtcp").and_then(|value| {
                let mut words = value.split_ascii_whitespace();
                let port = words.next()?.parse().ok()?;
                Some(SocketAddr::new(
                    words.nth(2).and_then(|ip| ip.parse().ok()).unwrap_or(ip),
                    port,
                ))
            });
            let rtcp = rtcp.or_else(|| Some(SocketAddr::new(ip, media.port.checked_add(1)?)));
            for address in [Some(SocketAddr::new(ip, media.port)), rtcp].into_iter().flatten() {
                if let Ok(address) = policy.judge_media(address) {
                    self.remember(address);
                }
            }
        }
    }

    fn remember(&mut self, address: SocketAddr) {
        self.addresses.retain(|known| *known != address);
        if self.addresses.len() >= MOST {
            self.addresses.pop_front();
        }
        self.addresses.push_back(address);
    }
}

/// The bodies in a multipart body that are descriptions (RFC 2046 §5.1).
fn parts<'a>(body: &'a [u8], boundary: &str) -> Vec<&'a [u8]> {
    const MOST_PARTS: usize = 16;
    let delimiter = format!("--{boundary}");
    let starts = memchr::memmem::find_iter(body, delimiter.as_bytes()).take(MOST_PARTS);
    let starts: Vec<usize> = starts.collect();
    let ends = starts.iter().skip(1).copied().chain([body.len()]);
    let part = |(start, end): (usize, usize)| {
        let part = body.get(start..end)?;
        let head = memchr::memmem::find(part, b"\r\n\r\n")?;
        let fields = part.get(..head)?.to_ascii_lowercase();
        memchr::memmem::find(&fields, b"application/sdp")?;
        part.get(head + 4..)
    };
    starts.iter().copied().zip(ends).filter_map(part).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SDP: &str = "v=0\r\no=- 1 1 IN IP4 9.9.9.9\r\ns=-\r\nc=IN IP4 9.9.9.9\r\nt=0 0\r\n";

    fn message(kind: &str, body: &str) -> Vec<u8> {
        let length = body.len();
        let text = format!(
            "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nFrom: <sip:a@h>;tag=1\r\n\
             To: <sip:b@h>;tag=2\r\nCall-ID: 1\r\nCSeq: 1 INVITE\r\nContent-Type: {kind}\r\n\
             Content-Length: {length}\r\n\r\n{body}"
        );
        text.into_bytes()
    }

    fn described(policy: &Policy, kind: &str, body: &str) -> Vec<String> {
        let mut whole = Described::default();
        whole.read_datagram(policy, &message(kind, body));
        // A stream says the same, however it is cut.
        let (mut pieces, mut framer) = (Described::default(), Framer::new());
        for byte in message(kind, body) {
            pieces.read_stream(policy, &mut framer, &[byte]);
        }
        assert_eq!(pieces.addresses, whole.addresses);
        whole.addresses.iter().map(SocketAddr::to_string).collect()
    }

    #[test]
    fn rtp_and_rtcp_of_each_section_that_is_not_refused() {
        let policy = Policy::default();
        let body = format!(
            "{SDP}m=audio 4000 RTP/AVP 0\r\nm=audio 0 RTP/AVP 0\r\nm=video 5000 RTP/AVP 99\r\n\
             c=IN IP4 8.8.8.8\r\na=rtcp:5009 IN IP4 8.8.4.4\r\n"
        );
        let wanted = ["9.9.9.9:4000", "9.9.9.9:4001", "8.8.8.8:5000", "8.8.4.4:5009"];
        assert_eq!(described(&policy, "application/sdp", &body), wanted);
        assert_eq!(described(&policy, "text/plain", &body), [""; 0]);
    }

    #[test]
    fn a_description_among_other_parts() {
        let body = format!(
            "--x\r\nContent-Type: text/plain\r\n\r\nm=audio 1 RTP/AVP 0\r\n--x\r\n\
             Content-Type: application/sdp\r\n\r\n{SDP}m=audio 4000 RTP/AVP 0\r\n--x--\r\n"
        );
        let wanted = ["9.9.9.9:4000", "9.9.9.9:4001"];
        assert_eq!(described(&Policy::default(), "multipart/mixed;boundary=x", &body), wanted);
    }

    #[test]
    fn a_description_opens_no_way_to_what_is_forbidden() {
        let policy = Policy::default();
        for (ip, port) in
            [("127.0.0.1", 4_000), ("10.0.0.1", 4_000), ("9.9.9.9", 53), ("224.0.0.1", 4_000)]
        {
            let body =
                format!("v=0\r\no=- 1 1 IN IP4 h\r\nc=IN IP4 {ip}\r\nm=audio {port} RTP/AVP 0\r\n");
            assert_eq!(described(&policy, "application/sdp", &body), [""; 0], "{ip}:{port}");
        }
    }

    #[test]
    fn the_oldest_gives_way() {
        let (mut described, policy) = (Described::default(), Policy::default());
        for port in (10_000..20_000).step_by(2) {
            let body = format!("{SDP}m=audio {port} RTP/AVP 0\r\n");
            described.read_datagram(&policy, &message("application/sdp", &body));
        }
        assert_eq!(described.addresses.len(), MOST);
        assert!(described.contains("9.9.9.9:19999".parse().unwrap()));
    }
}
