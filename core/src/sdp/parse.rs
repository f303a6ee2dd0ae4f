//! Reading session descriptions (RFC 8866 §5, §9), as strictly as safety asks and no more.
//!
//! What the field sends is taken: bare LF, a missing `s=` or `t=`, an `o=` or `c=` that cannot be
//! read (kept as a line), more than one space, text that is not UTF-8.

use std::borrow::Cow;

use super::description::{Connection, Line, Media, Origin, SessionDescription};

/// Why a text is no session description.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SdpError {
    /// Longer than [`SessionDescription::MAX_BYTES`].
    #[error("a session description of {length} bytes; at most 65536 are read")]
    TooLong {
        /// Its length in bytes.
        length: usize,
    },
    /// More lines than [`SessionDescription::MAX_LINES`].
    #[error("a session description of more than 2048 lines")]
    TooManyLines,
    /// More media sections than [`SessionDescription::MAX_MEDIA`].
    #[error("more than 16 media sections")]
    TooManyMedia,
    /// More formats in one section than [`SessionDescription::MAX_FORMATS`].
    #[error("line {line}: more than 64 formats in one media section")]
    TooManyFormats {
        /// The line, from 1.
        line: usize,
    },
    /// It does not begin with `v=0`, has a second `v=`, or holds a NUL.
    #[error("not one session description of version 0")]
    NotSdp,
    /// A line that cannot be read.
    #[error("line {line} of the session description cannot be read")]
    Malformed {
        /// The line, from 1.
        line: usize,
    },
}

impl SdpError {
    /// Whether it may be a description, and says more than is read: not acceptable (488) rather than a
    /// bad request (400).
    pub const fn is_limit(&self) -> bool {
        !matches!(self, Self::NotSdp | Self::Malformed { .. })
    }
}

impl SessionDescription {
    /// The longest text that is read.
    pub const MAX_BYTES: usize = 65_536;
    /// The most lines that are read.
    pub const MAX_LINES: usize = 2_048;
    /// The most media sections.
    pub const MAX_MEDIA: usize = 16;
    /// The most formats of one section.
    pub const MAX_FORMATS: usize = 64;

    /// Reads a description.
    ///
    /// # Errors
    /// When it is not one, or exceeds a limit; the error names the line.
    pub fn parse(bytes: &[u8]) -> Result<Self, SdpError> {
        if bytes.len() > Self::MAX_BYTES {
            return Err(SdpError::TooLong { length: bytes.len() });
        }
        if bytes.contains(&0) {
            return Err(SdpError::NotSdp);
        }
        let text = match core::str::from_utf8(bytes) {
            Ok(text) => Cow::Borrowed(text),
            Err(_) => String::from_utf8_lossy(bytes),
        };
        // RFC 8866 §5: lines end in CRLF, but a bare LF should be taken; neither is part of a value.
        let mut number = 1;
        let mut lines = text
            .split_inclusive(['\r', '\n'])
            .map(|line| {
                let this = number;
                number += usize::from(line.ends_with('\n'));
                (this, line.trim_end_matches(['\r', '\n']).trim_start())
            })
            .filter(|(_, line)| !line.is_empty());
        match lines.next() {
            Some((_, version)) if version.trim_end() == "v=0" => {}
            _ => return Err(SdpError::NotSdp),
        }
        let mut reader = Reader::default();
        for (count, (number, line)) in lines.enumerate() {
            if count >= Self::MAX_LINES {
                return Err(SdpError::TooManyLines);
            }
            reader.line(number, line)?;
        }
        let Reader { origin, name, connection, lines, media } = reader;
        let origin = origin.unwrap_or_default();
        let name = name.unwrap_or_else(|| "-".to_owned());
        Ok(Self { origin, name, connection, lines, media })
    }
}

#[derive(Default)]
struct Reader {
    origin: Option<Origin>,
    name: Option<String>,
    connection: Option<Connection>,
    lines: Vec<Line>,
    media: Vec<Media>,
}

impl Reader {
    fn line(&mut self, number: usize, line: &str) -> Result<(), SdpError> {
        let malformed = SdpError::Malformed { line: number };
        let (kind, value) = line.split_once('=').ok_or(malformed.clone())?;
        let mut letters = kind.chars();
        let (Some(kind), None) = (letters.next(), letters.next()) else { return Err(malformed) };
        if !kind.is_ascii_graphic() {
            return Err(malformed);
        }
        // RFC 3264 §5: exactly one description.
        if kind == 'v' {
            return Err(SdpError::NotSdp);
        }
        if kind == 'm' {
            if self.media.len() >= SessionDescription::MAX_MEDIA {
                return Err(SdpError::TooManyMedia);
            }
            self.media.push(section(number, value)?);
            return Ok(());
        }
        let (connection, lines) = match self.media.last_mut() {
            Some(media) => (&mut media.connection, &mut media.lines),
            None => {
                match kind {
                    'o' if self.origin.is_none() => {
                        self.origin = Origin::parse(value);
                        if self.origin.is_some() {
                            return Ok(());
                        }
                    }
                    's' if self.name.is_none() => {
                        let name = if value.is_empty() { "-" } else { value };
                        self.name = Some(name.to_owned());
                        return Ok(());
                    }
                    _ => {}
                }
                (&mut self.connection, &mut self.lines)
            }
        };
        if kind == 'c' && connection.is_none() {
            *connection = Connection::parse(value);
            if connection.is_some() {
                return Ok(());
            }
        }
        lines.push(Line { kind, value: value.to_owned() });
        Ok(())
    }
}

/// Reads `audio 4000/2 RTP/AVP 0 8 101` (RFC 8866 §5.14). A section without formats, as some send
/// for one that they refuse, is taken.
fn section(number: usize, value: &str) -> Result<Media, SdpError> {
    let malformed = || SdpError::Malformed { line: number };
    let mut words = value.split_ascii_whitespace();
    let mut word = || words.next().ok_or_else(malformed);
    let (kind, port, protocol) = (word()?, word()?, word()?);
    let (port, port_count) = match port.split_once('/') {
        Some((port, count)) => (port, Some(integer(count).ok_or_else(malformed)?)),
        None => (port, None),
    };
    let formats: Vec<String> =
        words.take(SessionDescription::MAX_FORMATS.saturating_add(1)).map(str::to_owned).collect();
    if formats.len() > SessionDescription::MAX_FORMATS {
        return Err(SdpError::TooManyFormats { line: number });
    }
    Ok(Media {
        kind: kind.to_owned(),
        port: integer(port).ok_or_else(malformed)?,
        port_count,
        protocol: protocol.to_owned(),
        formats,
        connection: None,
        lines: Vec::new(),
    })
}

impl Origin {
    /// Reads `- 1 1 IN IP4 192.0.2.1`; a user name with spaces, which some send, is taken.
    fn parse(value: &str) -> Option<Self> {
        let words: Vec<&str> = value.split_ascii_whitespace().collect();
        let (username, rest) = words.split_at_checked(words.len().checked_sub(5)?)?;
        let [session_id, version, network, family, address] = rest else { return None };
        if username.is_empty() {
            return None;
        }
        Some(Self {
            username: username.join(" "),
            session_id: (*session_id).to_owned(),
            version: (*version).to_owned(),
            address: Connection {
                network: (*network).to_owned(),
                family: (*family).to_owned(),
                address: (*address).to_owned(),
            },
        })
    }
}

impl Connection {
    /// Reads `IN IP4 192.0.2.1`.
    pub(super) fn parse(value: &str) -> Option<Self> {
        let mut words = value.split_ascii_whitespace();
        let (network, family, address) = (words.next()?, words.next()?, words.next()?);
        Some(Self {
            network: network.to_owned(),
            family: family.to_owned(),
            address: address.to_owned(),
        })
    }
}

/// Reads digits; `str::parse` alone takes a leading plus.
pub(super) fn integer<T: core::str::FromStr>(text: &str) -> Option<T> {
    text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}
