//! STUN binding (RFC 8489): asking a server from which address it sees us, and answering who asks.
//!
//! Messages are read from datagrams that hold one each and nothing else. Nothing here is
//! authenticated: an answer counts only from the address that was asked and with the 96 random bits
//! of the question, and what it says is only where we are to be reached.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::host::Entropy;

/// The port of STUN over UDP (§18.6).
pub(crate) const STUN_PORT: u16 = 3478;

/// What the second word of every message is (§5).
const MAGIC_COOKIE: u32 = 0x2112_A442;
const COOKIE: [u8; 4] = MAGIC_COOKIE.to_be_bytes();
const HEADER: usize = 20;
/// What an attribute begins with: its type and its length.
const ATTRIBUTE_HEADER: usize = 4;
/// How many attributes are looked at. Those that are known are not half as many.
const MAX_ATTRIBUTES: usize = 64;
/// How many unknown attributes an answer names.
const MAX_UNKNOWN: usize = 8;
/// What the CRC of a message is mixed with (§14.7).
const FINGERPRINT_XOR: u32 = 0x5354_554E;

const BINDING: u16 = 0x001;

const MAPPED_ADDRESS: u16 = 0x0001;
const USERNAME: u16 = 0x0006;
const MESSAGE_INTEGRITY: u16 = 0x0008;
const ERROR_CODE: u16 = 0x0009;
const UNKNOWN_ATTRIBUTES: u16 = 0x000A;
const REALM: u16 = 0x0014;
const NONCE: u16 = 0x0015;
const MESSAGE_INTEGRITY_SHA256: u16 = 0x001C;
const PASSWORD_ALGORITHM: u16 = 0x001D;
const USERHASH: u16 = 0x001E;
const XOR_MAPPED_ADDRESS: u16 = 0x0020;
/// What may be ignored if it is not understood begins here (§14).
const OPTIONAL: u16 = 0x8000;
const FINGERPRINT: u16 = 0x8028;

const UNKNOWN_ATTRIBUTE: u16 = 420;

/// Names a question, so that nobody can answer it who has not seen it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct TransactionId([u8; 12]);

impl TransactionId {
    /// A random one (§5).
    pub fn new<E: Entropy + ?Sized>(entropy: &mut E) -> Self {
        let mut bytes = [0; 12];
        entropy.fill(&mut bytes);
        Self(bytes)
    }
}

/// What kind a message is (§5).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StunClass {
    /// A question.
    Request,
    /// Something that is not answered.
    Indication,
    /// An answer.
    Success,
    /// A refusal.
    Error,
}

/// A message, as far as binding needs it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StunMessage {
    /// What it is.
    pub class: StunClass,
    /// The method; 1 is binding.
    pub method: u16,
    /// The question, or what it answers.
    pub id: TransactionId,
    /// The sender's address as the one who answers sees it: XOR-MAPPED-ADDRESS (§14.2), or of an old
    /// server MAPPED-ADDRESS.
    pub mapped: Option<SocketAddr>,
    /// The number of ERROR-CODE (§14.8), 300 to 699.
    pub error: Option<u16>,
    /// The attributes that would have to be understood, the first of them.
    pub unknown: Vec<u16>,
    /// Whether it ended in a FINGERPRINT; a wrong one is an error.
    pub fingerprint: bool,
}

/// A datagram that is no STUN message.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StunError {
    /// It does not begin as one, or its length is not what it says.
    #[error("it is no STUN message")]
    NotStun,
    /// An attribute is longer than the message or than it can be, or there are too many.
    #[error("its attributes cannot be read")]
    Attributes,
    /// The FINGERPRINT is not that of the message, or not at its end.
    #[error("its fingerprint is wrong")]
    Fingerprint,
}

/// Whether a datagram on a socket for SIP or RTP is STUN (§5; RFC 7983 §7): its first two bits are
/// zero and the magic cookie follows.
pub fn is_stun(datagram: &[u8]) -> bool {
    matches!(datagram, [first, _, _, _, cookie @ ..]
        if first & 0xC0 == 0 && cookie.starts_with(&COOKIE) && datagram.len() >= HEADER)
}

impl StunMessage {
    /// Reads a datagram.
    ///
    /// # Errors
    /// See [`StunError`].
    pub fn parse(datagram: &[u8]) -> Result<Self, StunError> {
        let Some((header, attributes)) = datagram.split_first_chunk::<HEADER>() else {
            return Err(StunError::NotStun);
        };
        let [t0, t1, l0, l1, _, _, _, _, id @ ..] = *header;
        let length = usize::from(u16::from_be_bytes([l0, l1]));
        if !is_stun(datagram) || length != attributes.len() || length % 4 != 0 {
            return Err(StunError::NotStun);
        }
        let kind = u16::from_be_bytes([t0, t1]);
        let mut message = Self {
            class: match kind & 0x0110 {
                0x0000 => StunClass::Request,
                0x0010 => StunClass::Indication,
                0x0100 => StunClass::Success,
                _ => StunClass::Error,
            },
            // §5: the class lies between the bits of the method.
            method: kind & 0x000F | (kind & 0x00E0) >> 1 | (kind & 0x3E00) >> 2,
            id: TransactionId(id),
            mapped: None,
            error: None,
            unknown: Vec::new(),
            fingerprint: false,
        };
        message.read_attributes(datagram, attributes)?;
        Ok(message)
    }

    fn read_attributes(&mut self, datagram: &[u8], attributes: &[u8]) -> Result<(), StunError> {
        let mut rest = attributes;
        let (mut signed, mut plain) = (false, None);
        for _ in 0..MAX_ATTRIBUTES {
            let Some((header, after)) = rest.split_first_chunk::<ATTRIBUTE_HEADER>() else { break };
            let [k0, k1, l0, l1] = *header;
            let kind = u16::from_be_bytes([k0, k1]);
            let length = usize::from(u16::from_be_bytes([l0, l1]));
            let value = after.get(..length).ok_or(StunError::Attributes)?;
            let before = datagram.len() - rest.len();
            rest = after.get(length.next_multiple_of(4)..).ok_or(StunError::Attributes)?;
            match kind {
                FINGERPRINT => {
                    let expected = fingerprint(datagram.get(..before).unwrap_or_default());
                    if !rest.is_empty() || value != expected.to_be_bytes() {
                        return Err(StunError::Fingerprint);
                    }
                    self.fingerprint = true;
                }
                // §14.5: what follows the integrity is not covered by it.
                _ if signed => {}
                MESSAGE_INTEGRITY | MESSAGE_INTEGRITY_SHA256 => signed = true,
                // §14: of several, the first counts.
                XOR_MAPPED_ADDRESS if self.mapped.is_none() => {
                    self.mapped = Some(self.unmask(read_address(value)?));
                }
                MAPPED_ADDRESS if plain.is_none() => plain = Some(read_address(value)?),
                ERROR_CODE if self.error.is_none() => self.error = Some(read_error(value)?),
                XOR_MAPPED_ADDRESS | MAPPED_ADDRESS | ERROR_CODE | USERNAME | REALM | NONCE
                | UNKNOWN_ATTRIBUTES | PASSWORD_ALGORITHM | USERHASH => {}
                kind if kind < OPTIONAL && self.unknown.len() < MAX_UNKNOWN => {
                    self.unknown.push(kind);
                }
                _ => {}
            }
        }
        self.mapped = self.mapped.or(plain);
        if rest.is_empty() { Ok(()) } else { Err(StunError::Attributes) }
    }

    /// Takes from an address what XOR-MAPPED-ADDRESS mixes into it, or puts it there (§14.2).
    fn unmask(&self, address: SocketAddr) -> SocketAddr {
        let port = address.port() ^ (MAGIC_COOKIE >> 16) as u16;
        let ip = match address.ip() {
            IpAddr::V4(ip) => IpAddr::V4(Ipv4Addr::from_bits(ip.to_bits() ^ MAGIC_COOKIE)),
            IpAddr::V6(ip) => {
                let mut mask = [0; 16];
                mask[..4].copy_from_slice(&COOKIE);
                mask[4..].copy_from_slice(&self.id.0);
                IpAddr::V6(Ipv6Addr::from_bits(ip.to_bits() ^ u128::from_be_bytes(mask)))
            }
        };
        SocketAddr::new(ip, port)
    }
}

/// A question: "from where do you see me?" (§6.1).
pub fn binding_request(id: TransactionId) -> Vec<u8> {
    write(StunClass::Request, id, &[])
}

/// Says nothing but "I am still here" (§6.2.1: it is not answered), to keep a way open.
pub(crate) fn binding_indication(id: TransactionId) -> Vec<u8> {
    write(StunClass::Indication, id, &[])
}

/// What a server answers a datagram that came from `from` (§6.3.1); `None` when it is no binding
/// request. The answer is never much longer than the question, and goes where that came from.
pub fn answer_binding(datagram: &[u8], from: SocketAddr) -> Option<Vec<u8>> {
    let request = StunMessage::parse(datagram).ok()?;
    if request.class != StunClass::Request || request.method != BINDING {
        return None;
    }
    if !request.unknown.is_empty() {
        let mut error =
            vec![0, 0, (UNKNOWN_ATTRIBUTE / 100) as u8, (UNKNOWN_ATTRIBUTE % 100) as u8];
        error.extend_from_slice(b"Unknown Attribute");
        let named = request.unknown.iter().flat_map(|kind| kind.to_be_bytes()).collect();
        let attributes = [(ERROR_CODE, error), (UNKNOWN_ATTRIBUTES, named)];
        return Some(write(StunClass::Error, request.id, &attributes));
    }
    let from = SocketAddr::new(from.ip().to_canonical(), from.port());
    let masked = request.unmask(from);
    let mut value = vec![0, if masked.is_ipv4() { 1 } else { 2 }];
    value.extend_from_slice(&masked.port().to_be_bytes());
    match masked.ip() {
        IpAddr::V4(ip) => value.extend_from_slice(&ip.octets()),
        IpAddr::V6(ip) => value.extend_from_slice(&ip.octets()),
    }
    Some(write(StunClass::Success, request.id, &[(XOR_MAPPED_ADDRESS, value)]))
}

/// A binding message with these attributes and a FINGERPRINT.
fn write(class: StunClass, id: TransactionId, attributes: &[(u16, Vec<u8>)]) -> Vec<u8> {
    let class: u16 = match class {
        StunClass::Request => 0x0000,
        StunClass::Indication => 0x0010,
        StunClass::Success => 0x0100,
        StunClass::Error => 0x0110,
    };
    let mut bytes = Vec::with_capacity(HEADER + 32);
    bytes.extend_from_slice(&(BINDING | class).to_be_bytes());
    bytes.extend_from_slice(&[0; 2]);
    bytes.extend_from_slice(&COOKIE);
    bytes.extend_from_slice(&id.0);
    for (kind, value) in attributes {
        bytes.extend_from_slice(&kind.to_be_bytes());
        bytes.extend_from_slice(&(value.len() as u16).to_be_bytes());
        bytes.extend_from_slice(value);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
    }
    // §14.7: the length counts the fingerprint already.
    let length = (bytes.len() - HEADER + ATTRIBUTE_HEADER + 4) as u16;
    bytes[2..4].copy_from_slice(&length.to_be_bytes());
    let fingerprint = fingerprint(&bytes);
    bytes.extend_from_slice(&FINGERPRINT.to_be_bytes());
    bytes.extend_from_slice(&4_u16.to_be_bytes());
    bytes.extend_from_slice(&fingerprint.to_be_bytes());
    bytes
}

/// MAPPED-ADDRESS (§14.1): the family in the second byte, the port, the address.
fn read_address(value: &[u8]) -> Result<SocketAddr, StunError> {
    let ([_, family, p0, p1], address) =
        value.split_first_chunk::<4>().ok_or(StunError::Attributes)?;
    let ip = match family {
        1 => <[u8; 4]>::try_from(address).map(IpAddr::from),
        2 => <[u8; 16]>::try_from(address).map(IpAddr::from),
        _ => return Err(StunError::Attributes),
    };
    let ip = ip.map_err(|_| StunError::Attributes)?;
    Ok(SocketAddr::new(ip, u16::from_be_bytes([*p0, *p1])))
}

/// ERROR-CODE (§14.8): the hundreds in the third byte, the rest in the fourth.
fn read_error(value: &[u8]) -> Result<u16, StunError> {
    match value {
        [_, _, hundreds, rest, ..] if (3..=6).contains(&(hundreds & 7)) && *rest < 100 => {
            Ok(u16::from(hundreds & 7) * 100 + u16::from(*rest))
        }
        _ => Err(StunError::Attributes),
    }
}

/// The value of FINGERPRINT after `bytes`: their CRC-32 (ITU-T V.42), mixed with a constant.
fn fingerprint(bytes: &[u8]) -> u32 {
    let crc = bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ ((crc & 1) * 0xEDB8_8320))
    });
    !crc ^ FINGERPRINT_XOR
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(hex: &str) -> Vec<u8> {
        let hex: String = hex.split_whitespace().collect();
        let pairs = hex.as_bytes().chunks(2).map(|pair| core::str::from_utf8(pair).unwrap());
        pairs.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect()
    }

    const ID: &str = "b7e7a701 bc34d686 fa87dfae";

    /// RFC 5769 §2.1.
    fn sample_request() -> Vec<u8> {
        bytes(&format!(
            "00010058 2112a442 {ID} 80220010 5354554e 20746573 7420636c 69656e74 00240004 6e0001ff
             80290008 932ff9b1 51263b36 00060009 6576746a 3a683676 59202020 00080014 9aeaa70c
             bfd8cb56 781ef2b5 b2d3f249 c1b571a2 80280004 e57a3bcf"
        ))
    }

    /// RFC 5769 §2.2.
    fn sample_ipv4() -> Vec<u8> {
        bytes(&format!(
            "0101003c 2112a442 {ID} 8022000b 74657374 20766563 746f7220 00200008 0001a147 e112a643
             00080014 2b91f599 fd9e90c3 8c7489f9 2af9ba53 f06be7d7 80280004 c07d4c96"
        ))
    }

    /// RFC 5769 §2.3.
    fn sample_ipv6() -> Vec<u8> {
        bytes(&format!(
            "01010048 2112a442 {ID} 8022000b 74657374 20766563 746f7220 00200014 0002a147 0113a9fa
             a5d3f179 bc25f4b5 bed2b9d9 00080014 a382954e 4be67bf1 1784c97c 8292c275 bfe3ed41
             80280004 c8fb0b4c"
        ))
    }

    fn id() -> TransactionId {
        TransactionId(bytes(ID).try_into().unwrap())
    }

    #[test]
    fn the_vectors_of_rfc_5769_are_read() {
        let request = StunMessage::parse(&sample_request()).unwrap();
        assert_eq!((request.class, request.method), (StunClass::Request, BINDING));
        // PRIORITY of ICE would have to be understood.
        assert_eq!((request.id, request.unknown, request.fingerprint), (id(), vec![0x0024], true));
        for (vector, mapped) in [
            (sample_ipv4(), "192.0.2.1:32853"),
            (sample_ipv6(), "[2001:db8:1234:5678:11:2233:4455:6677]:32853"),
        ] {
            assert!(is_stun(&vector));
            let response = StunMessage::parse(&vector).unwrap();
            assert_eq!((response.class, response.id), (StunClass::Success, id()));
            assert_eq!(response.mapped, Some(mapped.parse().unwrap()));
            assert!(response.fingerprint && response.unknown.is_empty());
        }
    }

    #[test]
    fn a_question_is_answered_with_the_address_it_came_from() {
        let question = binding_request(id());
        assert_eq!(question.len(), 28);
        for from in ["203.0.113.7:5062", "[2001:db8::7]:5062"] {
            let from: SocketAddr = from.parse().unwrap();
            let answer = StunMessage::parse(&answer_binding(&question, from).unwrap()).unwrap();
            assert_eq!(answer.class, StunClass::Success);
            assert_eq!((answer.id, answer.mapped), (id(), Some(from)));
        }
        // A socket for both families shows IPv4 in IPv6.
        let answer = answer_binding(&question, "[::ffff:192.0.2.9]:7".parse().unwrap()).unwrap();
        let mapped = StunMessage::parse(&answer).unwrap().mapped;
        assert_eq!(mapped, Some("192.0.2.9:7".parse().unwrap()));
    }

    #[test]
    fn what_is_not_understood_is_refused_and_named() {
        let from = "203.0.113.7:5062".parse().unwrap();
        let answer = answer_binding(&sample_request(), from).unwrap();
        let refusal = StunMessage::parse(&answer).unwrap();
        assert_eq!((refusal.class, refusal.error), (StunClass::Error, Some(420)));
        let named = [0x00, 0x0A, 0x00, 0x02, 0x00, 0x24, 0x00, 0x00];
        assert!(answer.windows(8).any(|window| window == named), "{answer:02x?}");
        // Neither answers nor indications are answered, so two servers cannot keep each other busy.
        for other in [sample_ipv4(), answer, binding_indication(id())] {
            assert_eq!(answer_binding(&other, from), None);
        }
    }

    #[test]
    fn an_old_server_says_it_in_plain() {
        let mut response = bytes(&format!("0101000c 2112a442 {ID} 00010008 00011388 c0000201"));
        let mapped = |bytes: &[u8]| StunMessage::parse(bytes).map(|message| message.mapped);
        assert_eq!(mapped(&response), Ok(Some("192.0.2.1:5000".parse().unwrap())));
        // Of both, that which no gateway has rewritten.
        let both = bytes(&format!(
            "01010018 2112a442 {ID} 00010008 00011388 0a000001 00200008 0001a147 e112a643"
        ));
        assert_eq!(mapped(&both), Ok(Some("192.0.2.1:32853".parse().unwrap())));
        response[25] = 9;
        assert_eq!(mapped(&response), Err(StunError::Attributes), "of no family");
    }

    #[test]
    fn nothing_else_is_taken_for_it() {
        let good = sample_ipv4();
        let changed = |at: usize, to: u8| {
            let mut bytes = good.clone();
            bytes[at] = to;
            StunMessage::parse(&bytes).unwrap_err()
        };
        assert_eq!(changed(0, 0x81), StunError::NotStun, "RTP");
        assert_eq!(changed(4, 0x20), StunError::NotStun, "another cookie");
        assert_eq!(changed(3, 0x38), StunError::NotStun, "shorter than the datagram");
        assert_eq!(changed(23, 0xFF), StunError::Attributes, "longer than the message");
        assert_eq!(changed(30, 0x00), StunError::Fingerprint);
        assert_eq!(changed(39, 0x04), StunError::Attributes, "an address of no length");
        for length in 0..good.len() {
            assert!(StunMessage::parse(&good[..length]).is_err(), "{length}");
        }
        assert!(!is_stun(b"OPTIONS sip:alice@example.com SIP/2.0\r\n"));
        assert!(!is_stun(b"\r\n\r\n") && !is_stun(&good[..19]));
        let error = |hundreds, rest| {
            let head = bytes(&format!("01110008 2112a442 {ID} 00090004 0000"));
            let error = [&head[..], &[hundreds, rest]].concat();
            StunMessage::parse(&error).map(|message| message.error)
        };
        assert_eq!(error(4, 20), Ok(Some(420)));
        assert_eq!(error(0, 0), Err(StunError::Attributes));
        assert_eq!(error(4, 100), Err(StunError::Attributes));
    }

    #[test]
    fn many_attributes_are_bounded() {
        let flood = |count: usize| {
            let mut message = bytes(&format!("0001 0000 2112a442 {ID}"));
            message.extend([0x7F, 0xFF, 0, 0].repeat(count));
            let length = (message.len() - HEADER) as u16;
            message[2..4].copy_from_slice(&length.to_be_bytes());
            message
        };
        let from = "203.0.113.7:5062".parse().unwrap();
        assert_eq!(StunMessage::parse(&flood(64)).unwrap().unknown.len(), MAX_UNKNOWN);
        assert!(answer_binding(&flood(64), from).unwrap().len() < 100);
        assert_eq!(StunMessage::parse(&flood(65)), Err(StunError::Attributes));
    }
}
