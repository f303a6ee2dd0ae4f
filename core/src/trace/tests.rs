mod read;

use core::net::SocketAddr;

use super::*;
use crate::host::{Flow, MediaPort, Transport};
use crate::time::Duration;

const ALICE: &str = "10.0.0.1:5060";
const PROXY: &str = "10.0.0.9:5060";
const BOB: &str = "10.0.0.2:5060";
const ALICE_RTP: &str = "10.0.0.1:10000";
const BOB_RTP: &str = "10.0.0.2:20000";

/// A trace being written by hand: each packet one more millisecond later.
struct Script {
    trace: Trace,
    millis: u64,
}

impl Script {
    fn new() -> Self {
        Self { trace: Trace::new(), millis: 0 }
    }

    fn packet(&mut self, from: &str, to: &str, kind: Kind, bytes: &[u8]) {
        self.carry(Transport::Udp, from, to, kind, bytes);
    }

    fn carry(&mut self, transport: Transport, from: &str, to: &str, kind: Kind, bytes: &[u8]) {
        let (from, to) = (from.parse().unwrap(), to.parse().unwrap());
        let at = Instant::from_micros(5_000_000) + Duration::from_millis(self.millis);
        let wall = WallTime::from_micros(1_767_225_600_000_000 + self.millis * 1_000);
        self.trace.push(Packet { at, wall, from, to, transport, kind, bytes });
        self.millis += 1;
    }

    fn sip(&mut self, from: &str, to: &str, first_line: &str, cseq: &str, sdp: Option<&str>) {
        let body = sdp.map_or(String::new(), |rtp| {
            let rtp: SocketAddr = rtp.parse().unwrap();
            let version = if rtp.is_ipv4() { "IP4" } else { "IP6" };
            let (ip, port) = (rtp.ip(), rtp.port());
            format!(
                "v=0\r\no=- 1 1 IN {version} {ip}\r\ns=-\r\nc=IN {version} {ip}\r\nt=0 0\r\n\
                 m=audio {port} RTP/AVP 0 101\r\na=rtpmap:101 telephone-event/8000\r\n"
            )
        });
        let kind = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
        let text = format!(
            "{first_line}\r\nVia: SIP/2.0/UDP {from};branch=z9hG4bK{cseq}\r\n\
             From: <sip:alice@example.com>;tag=1\r\nTo: <sip:bob@example.com>;tag=2\r\n\
             Call-ID: call@example.com\r\nCSeq: 1 {cseq}\r\n{kind}Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        self.packet(from, to, Kind::Sip, text.as_bytes());
    }

    fn rtp(&mut self, from: &str, to: &str, number: u16, pt: u8, payload: &[u8], timestamp: u32) {
        let mut bytes = vec![0x80, pt];
        bytes.extend(number.to_be_bytes());
        bytes.extend(timestamp.to_be_bytes());
        bytes.extend(7_u32.to_be_bytes());
        bytes.extend(payload);
        self.packet(from, to, Kind::Rtp, &bytes);
        self.millis += 9;
    }

    /// A call through a proxy, with speech both ways and the digits 1 and #.
    fn call() -> Self {
        let mut script = Self::new();
        script.trace.name(ALICE.parse().unwrap(), "alice");
        script.trace.name(PROXY.parse().unwrap(), "exchange");
        let invite = "INVITE sip:bob@example.com SIP/2.0";
        for (from, to) in [(ALICE, PROXY), (ALICE, PROXY), (PROXY, BOB)] {
            script.sip(from, to, invite, "INVITE", Some(ALICE_RTP));
        }
        for (from, to) in [(BOB, PROXY), (PROXY, ALICE)] {
            script.sip(from, to, "SIP/2.0 200 OK", "INVITE", Some(BOB_RTP));
        }
        script.sip(ALICE, BOB, "ACK sip:bob@10.0.0.2 SIP/2.0", "ACK", None);
        for number in 0..10 {
            let timestamp = u32::from(number) * 160;
            script.rtp(ALICE_RTP, BOB_RTP, number, 0, &[0xff; 160], timestamp);
            script.rtp(BOB_RTP, ALICE_RTP, number, 0, &[0xff; 160], timestamp);
        }
        for (digit, timestamp) in [(1, 1600), (11, 3200)] {
            for repeat in 0..4 {
                let payload = [digit, if repeat == 3 { 0x8a } else { 10 }, 0, 160];
                script.rtp(ALICE_RTP, BOB_RTP, 10 + repeat, 101, &payload, timestamp);
            }
        }
        script.packet(
            "10.0.0.1:10001",
            "10.0.0.2:20001",
            Kind::Rtcp,
            &[0x80, 201, 0, 1, 0, 0, 0, 7],
        );
        script.sip(BOB, ALICE, "BYE sip:alice@10.0.0.1 SIP/2.0", "BYE", None);
        script.sip(ALICE, BOB, "SIP/2.0 200 OK", "BYE", None);
        script
    }
}

#[test]
fn a_call_is_drawn() {
    let drawn = Script::call().trace.ladder();
    assert_eq!(drawn, include_str!("call.txt"), "\n{drawn}");
}

#[test]
fn media_is_between_those_who_describe_it_whoever_passes_that_on() {
    // What alice sees: three programs on one machine, of which she talks SIP to the proxy alone.
    let [alice, proxy, bob] = ["127.0.0.1:6001", "127.0.0.1:5060", "127.0.0.1:6002"];
    let [alice_rtp, bob_rtp] = ["127.0.0.1:10000", "127.0.0.1:20000"];
    let mut script = Script::new();
    script.sip(alice, proxy, "INVITE sip:bob@example.com SIP/2.0", "INVITE", Some(alice_rtp));
    let contact = format!("SIP/2.0 200 OK\r\nContact: <sip:bob@{bob};ob>");
    script.sip(proxy, alice, &contact, "INVITE", Some(bob_rtp));
    script.rtp(alice_rtp, bob_rtp, 1, 0, &[0xff; 160], 0);
    script.rtp(bob_rtp, alice_rtp, 1, 0, &[0xff; 160], 0);
    let drawn = script.trace.ladder();
    let mut lines = drawn.lines();
    let heading = lines.next().unwrap();
    assert_eq!(heading.split_whitespace().collect::<Vec<_>>(), [alice, proxy, bob], "{drawn}");
    let arrows: Vec<_> = lines.filter(|line| line.contains("RTP 0")).collect();
    assert_eq!(arrows.len(), 2, "{drawn}");
    for arrow in arrows {
        // From the first column to the last, past the one between.
        assert_eq!(arrow.matches('|').count(), 2, "{drawn}");
    }
}

#[test]
fn hostile_text_is_escaped_and_cut() {
    let mut script = Script::new();
    script.sip(ALICE, BOB, "SIP/2.0 486 \u{1b}[2J\u{202e}Besetzt \u{fc}", "INVITE\u{7}", None);
    script.sip(BOB, ALICE, &format!("INVITE sip:{} SIP/2.0", "x".repeat(500)), "INVITE", None);
    script.packet(ALICE, BOB, Kind::Sip, b"\r\n\r\n");
    script.packet(ALICE, BOB, Kind::Sip, b"\xff\xfe\x00");
    script.packet(ALICE, BOB, Kind::Sip, b"\0\x01\0\0\x21\x12\xa4\x42............");
    script.packet(ALICE, BOB, Kind::Sip, b"");
    script.packet(ALICE, BOB, Kind::Rtp, b"");
    script.packet(ALICE, ALICE, Kind::Sip, b"OPTIONS sip:me SIP/2.0\r\n\r\n");
    script.trace.name(ALICE.parse().unwrap(), "al\u{1b}ice");
    let drawn = script.trace.ladder();
    assert!(drawn.chars().all(|c| c == '\n' || (' '..='~').contains(&c)), "{drawn}");
    for what in
        ["486 \\u{1b}[2J\\u{202e}Besetzt \\u{fc} (INVITE\\u{7})", "keep-alive", "3 bytes", "STUN"]
    {
        assert!(drawn.contains(what), "{what} in {drawn}");
    }
    assert!(drawn.contains("xxx...") && drawn.contains("|--. OPTIONS sip:me"), "{drawn}");
    assert!(drawn.lines().all(|line| line.len() < 120));
}

#[test]
fn many_addresses_share_the_last_column() {
    let mut script = Script::new();
    for port in 1..=1_000 {
        script.packet(ALICE, &format!("10.0.1.1:{port}"), Kind::Sip, b"x");
    }
    let drawn = script.trace.ladder();
    assert!(drawn.lines().next().unwrap().ends_with("others"), "{drawn}");
    assert!(drawn.lines().all(|line| line.len() < 600));
}

#[test]
fn an_empty_trace_draws_nothing() {
    assert_eq!(Trace::new().ladder().trim(), "");
}

#[test]
fn a_full_trace_says_what_it_missed() {
    let mut script = Script::new();
    script.trace = Trace::with_limit(1_000);
    for _ in 0..100 {
        script.packet(ALICE, BOB, Kind::Sip, &[b'x'; 100]);
    }
    let kept = script.trace.packets().len();
    assert!((4..10).contains(&kept), "{kept}");
    assert_eq!(script.trace.missed(), 100 - kept as u64);
    // A small one that would fit leaves no hole either.
    script.packet(ALICE, BOB, Kind::Sip, b"");
    assert_eq!(script.trace.packets().len(), kept);
    assert!(script.trace.ladder().contains("more packets"));
}

#[test]
fn only_packets_are_kept() {
    let mut trace = Trace::new();
    let (now, wall) = (Instant::ZERO, WallTime::from_micros(0));
    let (local, peer): (SocketAddr, SocketAddr) = (ALICE.parse().unwrap(), BOB.parse().unwrap());
    let flow = Flow { transport: Transport::Udp, id: 1 };
    let (port, channel) = (MediaPort(1), Channel::Rtcp);
    trace.outbound(now, wall, local, &Outbound::Datagram { flow, to: peer, bytes: b"a" });
    trace.outbound(now, wall, local, &Outbound::Media { port, channel, to: peer, bytes: b"b" });
    trace.outbound(now, wall, local, &Outbound::CloseFlow { flow });
    trace.inbound(now, wall, local, &Inbound::Datagram { flow, from: peer, bytes: b"c" });
    trace.inbound(now, wall, local, &Inbound::Media { port, channel, from: peer, bytes: b"d" });
    trace.inbound(now, wall, local, &Inbound::FlowClosed { flow });
    let kept: Vec<_> = trace.packets().map(|p| (p.from == local, p.kind, p.bytes)).collect();
    let expected: [(bool, Kind, &[u8]); 4] = [
        (true, Kind::Sip, b"a"),
        (true, Kind::Rtcp, b"b"),
        (false, Kind::Sip, b"c"),
        (false, Kind::Rtcp, b"d"),
    ];
    assert_eq!(kept, expected);
}

/// The records of a capture: their times in microseconds and their bytes from the IP header on.
fn records(file: &[u8]) -> Vec<(u64, &[u8])> {
    let word = |at: usize| u64::from(u32::from_le_bytes(file[at..at + 4].try_into().unwrap()));
    assert_eq!((word(0), word(4), word(20)), (0xa1b2_c3d4, 0x0004_0002, 101));
    let (mut at, mut found) = (24, Vec::new());
    while at < file.len() {
        let length = word(at + 8) as usize;
        assert_eq!(word(at + 12) as usize, length);
        found.push((word(at) * 1_000_000 + word(at + 4), &file[at + 16..at + 16 + length]));
        at += 16 + length;
    }
    found
}

/// Adds up 16-bit words the plain way; over data with its checksum the sum is 0xffff.
fn sum(parts: &[&[u8]]) -> u64 {
    let mut bytes = parts.concat();
    bytes.resize(bytes.len().next_multiple_of(2), 0);
    let words = bytes.chunks(2).map(|pair| u64::from(pair[0]) << 8 | u64::from(pair[1]));
    let mut sum: u64 = words.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum
}

#[test]
fn captures_have_right_checksums() {
    let mut script = Script::new();
    for length in [0, 1, 2, 171, 172, 1500, 65_507, 70_000] {
        script.packet(ALICE, BOB, Kind::Sip, &vec![0xf7; length]);
        script.packet("[2001:db8::1]:5060", "[2001:db8::2]:5062", Kind::Sip, &vec![0xf7; length]);
        script.packet("[::ffff:10.0.0.1]:5060", BOB, Kind::Sip, &vec![0xf7; length]);
    }
    let file = script.trace.pcap();
    let records = records(&file);
    assert_eq!(records.len(), 24);
    for (index, (at, ip)) in records.into_iter().enumerate() {
        assert_eq!(at, 1_767_225_600_000_000 + index as u64 * 1_000);
        let (addresses, udp) = match ip[0] >> 4 {
            4 => {
                assert_eq!(sum(&[&ip[..20]]), 0xffff);
                assert_eq!(usize::from(u16::from_be_bytes([ip[2], ip[3]])), ip.len());
                (&ip[12..20], &ip[20..])
            }
            version => {
                assert_eq!((version, index % 3), (6, 1));
                assert_eq!(usize::from(u16::from_be_bytes([ip[4], ip[5]])), ip.len() - 40);
                (&ip[8..40], &ip[40..])
            }
        };
        assert_eq!(sum(&[addresses, &[0, 17], &udp[4..6], udp]), 0xffff, "packet {index}");
        assert_eq!(usize::from(u16::from_be_bytes([udp[4], udp[5]])), udp.len());
    }
}

#[test]
fn a_checksum_of_zero_is_written_as_all_ones() {
    let zero_checksums = (0..=u16::MAX).filter(|word| {
        let mut file = Vec::new();
        let mut writer = pcap::Writer::new(&mut file).unwrap();
        let bytes = &word.to_be_bytes();
        let (at, wall) = (Instant::ZERO, WallTime::from_micros(0));
        let (from, to) = (ALICE.parse().unwrap(), BOB.parse().unwrap());
        let (transport, kind) = (Transport::Udp, Kind::Sip);
        writer.write(&Packet { at, wall, from, to, transport, kind, bytes }).unwrap();
        assert_ne!(file[24 + 16 + 26..24 + 16 + 28], [0, 0]);
        file[24 + 16 + 26..24 + 16 + 28] == [0xff, 0xff]
    });
    assert_eq!(zero_checksums.count(), 1);
}

#[test]
fn the_writer_and_the_trace_write_the_same() {
    let script = Script::call();
    let mut written = Vec::new();
    let mut writer = pcap::Writer::new(&mut written).unwrap();
    script.trace.packets().for_each(|packet| writer.write(&packet).unwrap());
    assert_eq!(written, script.trace.pcap());
}

/// Wireshark's own opinion of a capture, where it is installed: each list of arguments, answered.
#[cfg(not(target_arch = "wasm32"))]
fn tshark<const N: usize>(trace: &Trace, arguments: [&str; N]) -> Option<[String; N]> {
    use std::process::Command;
    use std::sync::atomic::{AtomicU32, Ordering};

    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let name = format!("offhook-trace-{}-{number}.pcap", std::process::id());
    let path = std::env::temp_dir().join(name);
    std::fs::write(&path, trace.pcap()).unwrap();
    let checked = ["ip.check_checksum:TRUE", "udp.check_checksum:TRUE", "tcp.check_checksum:TRUE"];
    let answers = arguments.map(|arguments| {
        let mut command = Command::new("tshark");
        command.args(checked.iter().flat_map(|option| ["-o", option])).args(["-n", "-r"]);
        let output = command.arg(&path).args(arguments.split(' ')).output().ok()?;
        Some(String::from_utf8_lossy(&output.stdout).into_owned())
    });
    let _ = std::fs::remove_file(&path);
    if answers.contains(&None) {
        eprintln!("tshark is not installed: its opinion was not asked for");
        return None;
    }
    Some(answers.map(Option::unwrap_or_default))
}

#[cfg(not(target_arch = "wasm32"))]
#[test]
fn tshark_reads_a_capture() {
    let mut script = Script::call();
    let v6 = ["[2001:db8::1]:5060", "[2001:db8::2]:5060"];
    script.sip(v6[0], v6[1], "OPTIONS sip:bob@example.com SIP/2.0", "OPTIONS", None);
    let Some([packets, bad, streams]) = tshark(
        &script.trace,
        [
            "-T fields -e _ws.col.Protocol -e sip.Method -e sip.Status-Code",
            "-Y ip.checksum.status==0||udp.checksum.status==0||_ws.malformed",
            "-q -z rtp,streams",
        ],
    ) else {
        return;
    };
    let count = |what: &str| packets.lines().filter(|line| line.contains(what)).count();
    assert_eq!(packets.lines().count(), script.trace.packets().len(), "{packets}");
    assert_eq!((count("INVITE"), count("200"), count("OPTIONS")), (3, 3, 1), "{packets}");
    assert_eq!((count("RTP"), count("RTCP")), (28, 1), "{packets}");
    assert_eq!(bad, "");
    assert!(streams.contains("10000") && streams.contains("20000"), "{streams}");
}

#[cfg(not(target_arch = "wasm32"))]
#[test]
fn tshark_reads_connections() {
    let mut script = on_connections();
    // Where it would expect TLS, and where it expects nothing.
    let ok = "SIP/2.0 200 OK\r\nCSeq: 2 OPTIONS\r\nContent-Length: 0\r\n\r\n";
    for (transport, port) in [(Transport::Tls, 5061), (Transport::Wss, 443), (Transport::Ws, 80)] {
        let near = format!("10.0.0.1:{port}");
        script.carry(transport, &near, "10.0.0.9:49152", Kind::Sip, ok.as_bytes());
    }
    script.carry(Transport::Tcp, "10.0.0.9:49153", "10.0.0.2:49154", Kind::Sip, ok.as_bytes());
    let Some([sip, bad]) = tshark(
        &script.trace,
        [
            "-d tcp.port==80,sip -Y sip -T fields -e tcp.port -e sip.Method -e sip.Status-Code",
            "-Y ip.checksum.status==0||tcp.checksum.status==0||_ws.malformed||tcp.analysis.flags",
        ],
    ) else {
        return;
    };
    let count = |what: &str| sip.lines().filter(|line| line.contains(what)).count();
    assert_eq!((count("INVITE"), count("180"), count("200")), (2, 1, 6), "{sip}");
    assert_eq!(bad, "");
}

/// A call's beginning on connections: glued, in pieces, with keep-alives.
fn on_connections() -> Script {
    let mut script = Script::new();
    let text = |line: &str| {
        format!("{line}\r\nCall-ID: 1@h\r\nCSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n")
    };
    let invite = text("INVITE sip:bob@h SIP/2.0");
    let (ringing, ok) = (text("SIP/2.0 180 Ringing"), text("SIP/2.0 200 OK"));
    for piece in invite.as_bytes().chunks(50) {
        script.carry(Transport::Tcp, ALICE, BOB, Kind::Sip, piece);
    }
    script.carry(Transport::Tcp, BOB, ALICE, Kind::Sip, format!("{ringing}{ok}").as_bytes());
    script.carry(Transport::Tcp, ALICE, BOB, Kind::Sip, b"\r\n\r\n");
    script.carry(Transport::Tcp, BOB, ALICE, Kind::Sip, b"\r\n");
    script.carry(Transport::Ws, BOB, PROXY, Kind::Sip, ok.as_bytes());
    script.carry(Transport::Tls, ALICE, PROXY, Kind::Sip, invite.as_bytes());
    script
}

#[test]
fn a_message_on_a_stream_is_one_row() {
    let mut script = on_connections();
    script.carry(Transport::Tls, BOB, ALICE, Kind::Sip, b"\x16\x03\x01");
    let ladder = script.trace.ladder();
    let expected = [
        "INVITE sip:bob@h (TCP)",
        "180 Ringing (INVITE) (TCP)",
        "200 OK (INVITE) (TCP)",
        "keep-alive (TCP)",
        "keep-alive (TCP)",
        "200 OK (INVITE) (WS)",
        "INVITE sip:bob@h (TLS)",
        "3 bytes (TLS)",
    ];
    let rows: Vec<&str> = ladder.lines().filter(|line| line.contains("--")).collect();
    assert_eq!(rows.len(), expected.len(), "{ladder}");
    for (row, label) in rows.iter().zip(expected) {
        assert!(row.contains(label), "{label:?} in {ladder}");
    }
}

#[test]
fn half_a_message_is_not_kept_for_ever() {
    let mut script = Script::new();
    for port in 1_000..3_000 {
        script.carry(Transport::Tcp, &format!("10.0.0.7:{port}"), BOB, Kind::Sip, b"OPTIONS ");
    }
    assert_eq!((script.trace.packets().len(), script.trace.missed()), (0, 0));
    assert!(format!("{:?}", script.trace).matches("Framer").count() <= 256);
}

#[test]
fn sequence_numbers_go_on_and_acknowledge() {
    let file = on_connections().trace.pcap();
    let mut segments = Vec::new();
    let mut rest = &file[24..];
    while let Some((head, after)) = rest.split_at_checked(16) {
        let length = u32::from_le_bytes(head[8..12].try_into().unwrap()) as usize;
        let (packet, after) = after.split_at(length);
        assert_eq!(packet[9], 6, "TCP");
        let number = |at: usize| u32::from_be_bytes(packet[at..at + 4].try_into().unwrap());
        segments.push((number(24), number(28), length as u32 - 40));
        rest = after;
    }
    let (invite, ringing, ok) = (segments[0].2, segments[1].2, segments[2].2);
    assert_eq!(
        segments[..5],
        [
            (1, 1, invite),
            (1, 1 + invite, ringing),
            (1 + ringing, 1 + invite, ok),
            (1 + invite, 1 + ringing + ok, 4),
            (1 + ringing + ok, 5 + invite, 2),
        ]
    );
}
