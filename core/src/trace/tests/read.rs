//! Captures of others, and our own, read again.

use super::{ALICE, BOB, Script};
use crate::host::Transport;
use crate::trace::pcap::Writer;
use crate::trace::{Capture, CaptureError, Kind, Packet};

/// The parts of a capture that we wrote: each packet's time in microseconds, and its IP packet.
fn packets(file: &[u8]) -> Vec<(u64, Vec<u8>)> {
    let number = |bytes: &[u8], at: usize| {
        u64::from(u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()))
    };
    let (mut rest, mut packets) = (&file[24..], Vec::new());
    while !rest.is_empty() {
        let length = number(rest, 8) as usize;
        let micros = number(rest, 0) * 1_000_000 + number(rest, 4);
        packets.push((micros, rest[16..16 + length].to_vec()));
        rest = &rest[16 + length..];
    }
    packets
}

/// A pcap of big-endian numbers and nanoseconds, each IP packet after `head`.
fn pcap(packets: &[(u64, Vec<u8>)], link: u32, head: &[u8]) -> Vec<u8> {
    let mut file =
        [0xa1b2_3c4d_u32, 0x0002_0004, 0, 0, 65_535, link].map(u32::to_be_bytes).concat();
    for (micros, packet) in packets {
        let (seconds, nanos) = ((micros / 1_000_000) as u32, (micros % 1_000_000 * 1_000) as u32);
        let length = (head.len() + packet.len()) as u32;
        file.extend([seconds, nanos, length, length].map(u32::to_be_bytes).concat());
        file.extend_from_slice(head);
        file.extend_from_slice(packet);
    }
    file
}

/// A pcapng of nanoseconds.
fn pcapng(packets: &[(u64, Vec<u8>)], link: u16) -> Vec<u8> {
    fn block(kind: u32, body: &[u8]) -> Vec<u8> {
        let length = (12 + body.len().next_multiple_of(4)) as u32;
        let mut block = [kind.to_le_bytes(), length.to_le_bytes()].concat();
        block.extend_from_slice(body);
        block.resize(length as usize - 4, 0);
        block.extend(length.to_le_bytes());
        block
    }
    let mut section = [0x1a2b_3c4d_u32, 1].map(u32::to_le_bytes).concat();
    section.extend([0xff; 8]);
    let mut file = block(0x0a0d_0d0a, &section);
    let mut interface = [u32::from(link), 65_535].map(u32::to_le_bytes).concat();
    interface.extend([9, 0, 1, 0, 9, 0, 0, 0, 0, 0, 0, 0]); // if_tsresol: 10^-9
    file.extend(block(1, &interface));
    file.extend(block(5, &[0; 16])); // statistics, which nobody needs
    for (micros, packet) in packets {
        let ticks = micros * 1_000;
        let length = packet.len() as u32;
        let head = [0, (ticks >> 32) as u32, ticks as u32, length, length];
        file.extend(block(6, &[head.map(u32::to_le_bytes).concat(), packet.clone()].concat()));
    }
    file
}

/// What a ladder of this call shows without names.
fn expected(script: &Script) -> String {
    let ladder = script.trace.ladder();
    ladder.split_once('\n').expect("a line of names first").1.to_owned()
}

#[test]
fn what_we_wrote_is_read_again() {
    let script = Script::call();
    let capture = Capture::read(&script.trace.pcap()).unwrap();
    assert_eq!(capture.trace.ladder(), expected(&script));
    assert_eq!((capture.unread, capture.other), (0, 0));
    let (read, written) = (capture.trace.packets(), script.trace.packets());
    assert!(read.map(|p| (p.wall, p.kind)).eq(written.map(|p| (p.wall, p.kind))));
}

#[test]
fn every_kind_of_network_and_file() {
    let script = Script::call();
    let packets = packets(&script.trace.pcap());
    let ethernet = [&[2; 12][..], &[0x08, 0x00]].concat();
    let vlan = [&[2; 12][..], &[0x81, 0x00, 0, 7, 0x08, 0x00]].concat();
    let files = [
        pcap(&packets, 1, &ethernet),
        pcap(&packets, 1, &vlan),
        pcap(&packets, 0, &[2, 0, 0, 0]),
        pcap(&packets, 228, &[]),
        pcap(&packets, 113, &[0; 16]),
        pcap(&packets, 276, &[0; 20]),
        pcapng(&packets, 101),
    ];
    for file in files {
        assert_eq!(Capture::read(&file).unwrap().trace.ladder(), expected(&script));
    }
    assert_eq!(
        Capture::read(&pcap(&packets, 147, &[])).unwrap_err(),
        CaptureError::UnknownLink { link: 147 }
    );
}

#[test]
fn what_is_no_call_is_counted() {
    let script = Script::call();
    let mut packets = packets(&script.trace.pcap());
    let count = packets.len();
    let mut sctp = packets[0].1.clone();
    sctp[9] = 132;
    let mut fragment = packets[0].1.clone();
    fragment[6] = 0x20;
    let mut elsewhere = packets[7].1.clone(); // RTP
    elsewhere[20..24].copy_from_slice(&[0, 53, 0, 54]);
    packets.extend([sctp, fragment, elsewhere].map(|packet| (0, packet)));
    let capture = Capture::read(&pcap(&packets, 101, &[])).unwrap();
    assert_eq!(capture.trace.packets().len(), count);
    assert_eq!((capture.unread, capture.other), (2, 1));
}

#[test]
fn connections_are_read_once_whatever_was_sent_again() {
    let mut script = Script::new();
    let message = "OPTIONS sip:bob@h SIP/2.0\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n";
    for piece in message.repeat(3).as_bytes().chunks(40) {
        script.carry(Transport::Tcp, ALICE, BOB, Kind::Sip, piece);
    }
    let whole = script.trace.packets().len();
    let mut writer = Writer::new(Vec::new()).unwrap();
    for packet in script.trace.packets() {
        for bytes in packet.bytes.chunks(30) {
            writer.write(&Packet { bytes, ..packet }).unwrap();
        }
    }
    let mut packets = packets(writer.sink());
    let again = packets[1..4].to_vec();
    packets.splice(5..5, again);
    let capture = Capture::read(&pcap(&packets, 101, &[])).unwrap();
    assert_eq!((capture.trace.packets().len(), capture.unread, capture.other), (whole, 0, 0));
    assert!(capture.trace.packets().all(|packet| packet.bytes == message.as_bytes()));
    // What began before the capture, and no SIP: TLS, for example.
    let mut other = packets[0].1.clone();
    other[40..70].fill(0x16);
    let capture = Capture::read(&pcap(&[(0, other)], 101, &[])).unwrap();
    assert_eq!((capture.trace.packets().len(), capture.other), (0, 1));
}

#[test]
fn a_connection_made_anew_from_the_same_port_is_read_afresh() {
    let message = "OPTIONS sip:bob@h SIP/2.0\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n";
    let mut script = Script::new();
    script.carry(Transport::Tcp, ALICE, BOB, Kind::Sip, message.as_bytes());
    let mut writer = Writer::new(Vec::new()).unwrap();
    script.trace.packets().for_each(|packet| writer.write(&packet).unwrap());
    let (_, whole) = packets(writer.sink()).remove(0);
    // Flags, the number of the first byte as it differs from that of the first segment, and how many.
    let segment = |flags: u8, number: i32, length: usize| {
        let mut packet = whole[..40 + length].to_vec();
        let first = u32::from_be_bytes(packet[24..28].try_into().unwrap());
        packet[24..28].copy_from_slice(&first.wrapping_add_signed(number).to_be_bytes());
        packet[2..4].copy_from_slice(&(40 + length as u16).to_be_bytes());
        packet[33] = flags;
        (0, packet)
    };
    let (syn, data, length) = (0x02, 0x18, message.len());
    let packets = [
        segment(data, 0, length),
        segment(data, length as i32, 20), // half a message, and then it breaks
        segment(syn, -5_001, 0),
        segment(data, -5_000, length),
        segment(data, -5_000, length), // sent again
    ];
    let capture = Capture::read(&pcap(&packets, 101, &[])).unwrap();
    assert_eq!((capture.trace.packets().len(), capture.unread, capture.other), (2, 0, 0));
    assert!(capture.trace.packets().all(|packet| packet.bytes == message.as_bytes()));
}

#[test]
fn a_file_that_is_cut_or_damaged_is_read_as_far_as_it_goes() {
    let script = Script::call();
    let packets = packets(&script.trace.pcap());
    for file in [script.trace.pcap(), pcapng(&packets, 101), pcap(&packets, 276, &[0; 20])] {
        for end in 0..file.len().min(3_000) {
            let _ = Capture::read(&file[..end]);
            let mut damaged = file.clone();
            damaged[end] ^= 0xff;
            let _ = Capture::read(&damaged);
        }
    }
    assert_eq!(Capture::read(b"").unwrap_err(), CaptureError::UnknownFormat);
    assert_eq!(Capture::read(b"RIFF").unwrap_err(), CaptureError::UnknownFormat);
}

#[test]
fn the_picture_has_every_arrow() {
    let mut script = Script::call();
    script.packet("10.0.0.1:5060", "10.0.0.1:5060", crate::trace::Kind::Sip, b"<&>");
    let (svg, ladder) = (script.trace.svg(), script.trace.ladder());
    assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"), "{svg}");
    for text in ["alice", "10.0.0.9:5060", "INVITE sip:bob@example.com", "200 OK (INVITE) +SDP"] {
        assert!(svg.contains(text), "{text} in {svg}");
    }
    // Two lines of headings.
    assert_eq!(svg.matches("marker-end").count(), ladder.lines().count() - 2);
    assert!(!svg.contains("<&>"));
}
