//! The byte form of what signalling and media tell each other, for the way to another program: a
//! worker thread, an AudioWorklet. Both sides are of one build, or refuse each other by [`VERSION`].
//!
//! A message is the version, the number of its variant, and its fields in order: integers with the most
//! significant byte first, texts and lists after their length, a codec by its name, clock and channels.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::{
    MediaControl, MediaEvent, MediaOptions, MediaParameters, MediaTransport, SymmetricRtp,
};
use crate::codec::{Codec, PayloadFormat};
use crate::host::MediaPort;
use crate::sdp::{Agreed, Direction, TelephoneEvents};
use crate::time::Duration;

/// The first byte of every message. It rises when a message changes.
const VERSION: u8 = 1;

/// Why bytes are no [`MediaControl`], or no [`MediaEvent`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MediaBytesError {
    /// They are those of another build.
    #[error("version {version} of the byte form is not {VERSION}: both sides must be of one build")]
    Version {
        /// The version they have.
        version: u8,
    },
    /// There are fewer than they say.
    #[error("the bytes end too soon")]
    Truncated,
    /// There are more than they say.
    #[error("{surplus} bytes too many")]
    Surplus {
        /// How many too many.
        surplus: usize,
    },
    /// Something has a value that it cannot have.
    #[error("the bytes have no {what} that there is")]
    Value {
        /// What.
        what: &'static str,
    },
}

impl MediaControl {
    /// Its byte form.
    pub fn to_bytes(&self) -> Vec<u8> {
        to_bytes(self)
    }

    /// Reads its byte form.
    ///
    /// # Errors
    /// When the bytes are not the whole byte form of one.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, MediaBytesError> {
        from_bytes(bytes)
    }
}

impl MediaEvent {
    /// Its byte form.
    pub fn to_bytes(&self) -> Vec<u8> {
        to_bytes(self)
    }

    /// Reads its byte form.
    ///
    /// # Errors
    /// When the bytes are not the whole byte form of one.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, MediaBytesError> {
        from_bytes(bytes)
    }
}

fn to_bytes(message: &impl Value) -> Vec<u8> {
    let mut bytes = vec![VERSION];
    message.write(&mut bytes);
    bytes
}

fn from_bytes<T: Value>(bytes: &[u8]) -> Result<T, MediaBytesError> {
    let mut input = Input(bytes);
    match u8::read(&mut input)? {
        VERSION => {}
        version => return Err(MediaBytesError::Version { version }),
    }
    let message = T::read(&mut input)?;
    match input.0.len() {
        0 => Ok(message),
        surplus => Err(MediaBytesError::Surplus { surplus }),
    }
}

/// What has a byte form.
trait Value: Sized {
    fn write(&self, bytes: &mut Vec<u8>);
    fn read(input: &mut Input<'_>) -> Result<Self, MediaBytesError>;
}

/// What is still to be read.
struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], MediaBytesError> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(MediaBytesError::Truncated)?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], MediaBytesError> {
        let taken = self.take(N)?;
        taken.first_chunk().copied().ok_or(MediaBytesError::Truncated)
    }
}

/// A structure is its fields in this order.
macro_rules! structure {
    ($name:ident { $($field:ident),* $(,)? }) => {
        impl Value for $name {
            fn write(&self, bytes: &mut Vec<u8>) {
                let Self { $($field),* } = self;
                $($field.write(bytes);)*
            }

            fn read(input: &mut Input<'_>) -> Result<Self, MediaBytesError> {
                Ok(Self { $($field: Value::read(input)?),* })
            }
        }
    };
}

/// An enumeration is the number of its variant, then that one's fields.
macro_rules! enumeration {
    ($name:ident, $what:literal { $($number:literal => $variant:ident { $($field:ident),* }),* $(,)? }) => {
        impl Value for $name {
            fn write(&self, bytes: &mut Vec<u8>) {
                match self {
                    $(Self::$variant { $($field),* } => {
                        bytes.push($number);
                        $($field.write(bytes);)*
                    })*
                }
            }

            fn read(input: &mut Input<'_>) -> Result<Self, MediaBytesError> {
                Ok(match u8::read(input)? {
                    $($number => Self::$variant { $($field: Value::read(input)?),* },)*
                    _ => return Err(MediaBytesError::Value { what: $what }),
                })
            }
        }
    };
}

macro_rules! integers {
    ($($integer:ident),*) => {
        $(impl Value for $integer {
            fn write(&self, bytes: &mut Vec<u8>) {
                bytes.extend_from_slice(&self.to_be_bytes());
            }

            fn read(input: &mut Input<'_>) -> Result<Self, MediaBytesError> {
                input.array().map(Self::from_be_bytes)
            }
        })*
    };
}

enumeration!(MediaControl, "control" {
    0 => Open { cname, options },
    1 => Configure { stream, parameters },
    2 => Remove { stream },
    3 => Release { port },
    4 => Close {},
});

enumeration!(MediaEvent, "event" {
    0 => Dtmf { digit, duration },
    1 => DtmfSent {},
    2 => AudioSent {},
    3 => Mark { name, played },
    4 => Silent {},
    5 => Goodbye {},
});

enumeration!(MediaTransport, "transport" {
    0 => Rtp { port },
});

enumeration!(SymmetricRtp, "symmetric RTP" {
    0 => Off {},
    1 => FirstPacket {},
    2 => SameAddress {},
});

enumeration!(Direction, "direction" {
    0 => SendRecv {},
    1 => SendOnly {},
    2 => RecvOnly {},
    3 => Inactive {},
});

structure!(MediaOptions { silence_timeout, symmetric_rtp, digit_duration, digit_pause });

structure!(MediaParameters { transport, agreed });

structure!(Agreed {
    stream,
    remote_rtp,
    remote_rtcp,
    direction,
    send,
    receive,
    telephone_event_send,
    telephone_events,
    telephone_event_receive,
    ptime,
});

structure!(PayloadFormat { payload_type, codec, fmtp });

integers!(u8, u16, u32, u64);

impl Value for bool {
    fn write(&self, bytes: &mut Vec<u8>) {
        u8::from(*self).write(bytes);
    }

    fn read(input: &mut Input<'_>) -> Result<Self, MediaBytesError> {
        match u8::read(input)? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(MediaBytesError::Value { what: "truth" }),
        }
    }
}

impl Value for char {
    fn write(&self, bytes: &mut Vec<u8>) {
        u32::from(*self).write(bytes);
    }

    fn read(input: &mut Input<'_>) -> Result<Self, MediaBytesError> {
        u32::read(input)?.try_into().map_err(|_| MediaBytesError::Value { what: "character" })
    }
}

impl Value for String {
    fn write(&self, bytes: &mut Vec<u8>) {
        write_text(self, bytes);
    }

    fn read(input: &mut Input<'_>) -> Result<Self, MediaBytesError> {
        read_text(input).map(str::to_owned)
    }
}

impl Value for Box<str> {
    fn write(&self, bytes: &mut Vec<u8>) {
        write_text(self, bytes);
    }

    fn read(input: &mut Input<'_>) -> Result<Self, MediaBytesError> {
        read_text(input).map(Self::from)
    }
}

fn write_text(text: &str, bytes: &mut Vec<u8>) {
    write_length(text.len(), bytes);
    bytes.extend_from_slice(text.as_bytes());
}

fn read_text<'a>(input: &mut Input<'a>) -> Result<&'a str, MediaBytesError> {
    let length = u32::read(input)? as usize;
    let text = core::str::from_utf8(input.take(length)?);
    text.map_err(|_| MediaBytesError::Value { what: "text" })
}

fn write_length(length: usize, bytes: &mut Vec<u8>) {
    // Nothing here is near 4 GB long.
    u32::try_from(length).unwrap_or(u32::MAX).write(bytes);
}

impl<T: Value> Value for Option<T> {
    fn write(&self, bytes: &mut Vec<u8>) {
        self.is_some().write(bytes);
        if let Some(value) = self {
            value.write(bytes);
        }
    }

    fn read(input: &mut Input<'_>) -> Result<Self, MediaBytesError> {
        bool::read(input)?.then(|| T::read(input)).transpose()
    }
}

impl<T: Value> Value for Vec<T> {
    fn write(&self, bytes: &mut Vec<u8>) {
        write_length(self.len(), bytes);
        self.iter().for_each(|value| value.write(bytes));
    }

    fn read(input: &mut Input<'_>) -> Result<Self, MediaBytesError> {
        // Each element takes bytes, so that there is no more memory than there are bytes.
        (0..u32::read(input)?).map(|_| T::read(input)).collect()
    }
}

impl Value for Duration {
    fn write(&self, bytes: &mut Vec<u8>) {
        self.as_micros().write(bytes);
    }

    fn read(input: &mut Input<'_>) -> Result<Self, MediaBytesError> {
        u64::read(input).map(Self::from_micros)
    }
}

impl Value for MediaPort {
    fn write(&self, bytes: &mut Vec<u8>) {
        self.0.write(bytes);
    }

    fn read(input: &mut Input<'_>) -> Result<Self, MediaBytesError> {
        u64::read(input).map(Self)
    }
}

impl Value for SocketAddr {
    fn write(&self, bytes: &mut Vec<u8>) {
        match self.ip() {
            IpAddr::V4(ip) => {
                4_u8.write(bytes);
                bytes.extend_from_slice(&ip.octets());
            }
            IpAddr::V6(ip) => {
                6_u8.write(bytes);
                bytes.extend_from_slice(&ip.octets());
            }
        }
        self.port().write(bytes);
    }

    fn read(input: &mut Input<'_>) -> Result<Self, MediaBytesError> {
        let ip = match u8::read(input)? {
            4 => Ipv4Addr::from(input.array::<4>()?).into(),
            6 => Ipv6Addr::from(input.array::<16>()?).into(),
            _ => return Err(MediaBytesError::Value { what: "address family" }),
        };
        Ok(Self::new(ip, u16::read(input)?))
    }
}

impl Value for Codec {
    fn write(&self, bytes: &mut Vec<u8>) {
        write_text(self.name(), bytes);
        self.clock_rate().write(bytes);
        self.channels().write(bytes);
    }

    fn read(input: &mut Input<'_>) -> Result<Self, MediaBytesError> {
        let (name, clock_rate) = (read_text(input)?, u32::read(input)?);
        let codec = Self::from_name(name, clock_rate, u8::read(input)?);
        codec.ok_or(MediaBytesError::Value { what: "codec" })
    }
}

impl Value for TelephoneEvents {
    fn write(&self, bytes: &mut Vec<u8>) {
        self.words().iter().for_each(|word| word.write(bytes));
    }

    fn read(input: &mut Input<'_>) -> Result<Self, MediaBytesError> {
        let mut words = [0; 4];
        for word in &mut words {
            *word = u64::read(input)?;
        }
        Ok(Self::from_words(words))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn agreed(remote: &str) -> Agreed {
        let remote = remote.parse().unwrap();
        let mut wide = PayloadFormat::new(96, Codec::L16);
        wide.fmtp = Some("a=1;b=ü".into());
        Agreed {
            stream: 3,
            remote_rtp: remote,
            remote_rtcp: SocketAddr::new(remote.ip(), remote.port() + 1),
            direction: Direction::RecvOnly,
            send: PayloadFormat::new(8, Codec::Pcma),
            receive: vec![PayloadFormat::new(0, Codec::Pcmu), wide],
            telephone_event_send: None,
            telephone_events: TelephoneEvents::parse(Some("0-15,66,255")),
            telephone_event_receive: Some(101),
            ptime: Duration::from_millis(30),
        }
    }

    fn controls() -> Vec<MediaControl> {
        let configure = |remote| MediaControl::Configure {
            stream: 7,
            parameters: MediaParameters {
                transport: MediaTransport::Rtp { port: MediaPort(u64::MAX) },
                agreed: agreed(remote),
            },
        };
        let open = |options| MediaControl::Open { cname: "a@b".to_owned(), options };
        let silent = MediaOptions {
            silence_timeout: None,
            symmetric_rtp: SymmetricRtp::SameAddress,
            ..MediaOptions::default()
        };
        vec![
            open(MediaOptions::default()),
            open(silent),
            configure("192.0.2.1:4000"),
            configure("[2001:db8::1]:65534"),
            MediaControl::Remove { stream: 255 },
            MediaControl::Release { port: MediaPort(9) },
            MediaControl::Close,
        ]
    }

    fn events() -> Vec<MediaEvent> {
        vec![
            MediaEvent::Dtmf { digit: '#', duration: Duration::from_millis(80) },
            MediaEvent::DtmfSent,
            MediaEvent::AudioSent,
            MediaEvent::Mark { name: "Straße".to_owned(), played: true },
            MediaEvent::Mark { name: String::new(), played: false },
            MediaEvent::Silent,
            MediaEvent::Goodbye,
        ]
    }

    #[test]
    fn every_message_comes_back() {
        for control in controls() {
            assert_eq!(MediaControl::from_bytes(&control.to_bytes()), Ok(control));
        }
        for event in events() {
            assert_eq!(MediaEvent::from_bytes(&event.to_bytes()), Ok(event));
        }
    }

    #[test]
    fn less_more_and_other_bytes_are_refused() {
        let all = controls().iter().map(MediaControl::to_bytes).collect::<Vec<_>>();
        for bytes in &all {
            for length in 0..bytes.len() {
                let read = MediaControl::from_bytes(&bytes[..length]);
                assert_eq!(read, Err(MediaBytesError::Truncated));
            }
            let more = [bytes, &[0][..]].concat();
            assert_eq!(
                MediaControl::from_bytes(&more),
                Err(MediaBytesError::Surplus { surplus: 1 })
            );
        }
        let version = MediaBytesError::Version { version: 9 };
        assert_eq!(MediaControl::from_bytes(&[9, 4]), Err(version));
        let what = |what| Err(MediaBytesError::Value { what });
        assert_eq!(MediaControl::from_bytes(&[VERSION, 5]), what("control"));
        let name = "PCMA".as_bytes();
        let other: Vec<_> = all[2].windows(4).position(|bytes| bytes == name).into_iter().collect();
        let mut unknown = all[2].clone();
        unknown[other[0]] = b'X';
        assert_eq!(MediaControl::from_bytes(&unknown), what("codec"));
        // Lengths are not believed.
        let long = [VERSION, 0, 255, 255, 255, 255, b'a'];
        assert_eq!(MediaControl::from_bytes(&long), Err(MediaBytesError::Truncated));
    }

    #[test]
    fn whatever_is_changed_is_read_or_refused() {
        let mut dice = 1_u64;
        for bytes in controls().iter().map(MediaControl::to_bytes) {
            for _ in 0..20_000 {
                let mut changed = bytes.clone();
                for _ in 0..=dice % 3 {
                    dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    let at = (dice >> 32) as usize % changed.len();
                    changed[at] = (dice >> 24) as u8;
                }
                if let Ok(control) = MediaControl::from_bytes(&changed) {
                    assert_eq!(MediaControl::from_bytes(&control.to_bytes()), Ok(control));
                }
            }
        }
    }
}
