//! A session description and its media sections (RFC 8866 §5), as text and as values.
//!
//! Every line that has no field of its own is kept as it came, so what is written says no less than
//! what was read. The order of the lines is the grammar's (RFC 8866 §9).

use core::fmt::{self, Write as _};
use core::net::IpAddr;

use super::Direction;

/// An attribute that is added is seldom longer, in bytes.
const USUAL_LENGTH: usize = 32;

/// A session description (RFC 8866).
///
/// ```
/// # use offhook_core::sdp::SessionDescription;
/// let text = "v=0\no=- 1 1 IN IP4 192.0.2.1\nc=IN IP4 192.0.2.1\nm=audio 4000 RTP/AVP 0\n";
/// let description = SessionDescription::parse(text.as_bytes()).unwrap();
/// assert_eq!(description.media[0].port, 4000);
/// ```
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct SessionDescription {
    /// `o=`: who made it, and which version it is.
    pub origin: Origin,
    /// `s=`: the session's name, in a call a dash (RFC 3264 §5).
    pub name: String,
    /// `c=` of the session, for the sections that have none.
    pub connection: Option<Connection>,
    /// Every other line before the first section.
    pub lines: Vec<Line>,
    /// The media sections, in order.
    pub media: Vec<Media>,
}

/// `o=` (RFC 8866 §5.2).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Origin {
    /// The user, or a dash.
    pub username: String,
    /// Names the session together with the user and the address; digits.
    pub session_id: String,
    /// Rises with each change; digits.
    pub version: String,
    /// Where the description was made: `IN IP4 192.0.2.1`.
    pub address: Connection,
}

/// A network address as `c=`, `o=` and `a=rtcp` have it (RFC 8866 §5.7).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Connection {
    /// `IN`.
    pub network: String,
    /// `IP4` or `IP6`.
    pub family: String,
    /// The address or name, with what follows a slash.
    pub address: String,
}

/// A line kept as it came: `a=ptime:20` is of kind `a`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Line {
    /// The letter before the equals sign.
    pub kind: char,
    /// What stands after it.
    pub value: String,
}

/// A media section: `m=` and the lines that follow it (RFC 8866 §5.14).
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Media {
    /// `audio`, `video`, `text`, `application`, `image` or another token.
    pub kind: String,
    /// The port; 0 for a section that is refused or over (RFC 3264 §6, §8.2).
    pub port: u16,
    /// How many pairs of ports, where it is said.
    pub port_count: Option<u16>,
    /// `RTP/AVP` or another profile.
    pub protocol: String,
    /// The formats, best first; in RTP profiles payload types.
    pub formats: Vec<String>,
    /// `c=` of this section.
    pub connection: Option<Connection>,
    /// Every other line of the section.
    pub lines: Vec<Line>,
}

impl SessionDescription {
    /// The direction of a section: its own, else the session's, else both ways (RFC 8866 §6.7).
    pub fn direction(&self, media: &Media) -> Direction {
        direction(&media.lines).or_else(|| direction(&self.lines)).unwrap_or_default()
    }

    /// The connection of a section: its own, else the session's (RFC 8866 §5.7).
    pub fn connection<'a>(&'a self, media: &'a Media) -> Option<&'a Connection> {
        media.connection.as_ref().or(self.connection.as_ref())
    }

    /// The value of a session attribute; empty for one without a value.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        attributes(&self.lines, name).next()
    }
}

impl Media {
    /// The value of the first attribute of that name; empty for one without a value. Names are
    /// case-sensitive (RFC 8866 §5.13).
    pub fn attribute(&self, name: &str) -> Option<&str> {
        attributes(&self.lines, name).next()
    }

    /// The values of every attribute of that name, in order.
    pub fn attributes<'a, 'n>(
        &'a self,
        name: &'n str,
    ) -> impl Iterator<Item = &'a str> + use<'a, 'n> {
        attributes(&self.lines, name)
    }

    /// Adds an attribute: `add_attribute("ptime", 20)`.
    pub fn add_attribute(&mut self, name: &str, value: impl fmt::Display) {
        let mut line = String::with_capacity(USUAL_LENGTH);
        // Writing to a string cannot fail.
        let _ = write!(line, "{name}:{value}");
        self.lines.push(Line { kind: 'a', value: line });
    }

    /// Adds an attribute without a value: `add_property("sendrecv")`.
    pub fn add_property(&mut self, name: &str) {
        self.lines.push(Line { kind: 'a', value: name.to_owned() });
    }
}

impl Connection {
    /// An Internet address.
    pub fn internet(address: IpAddr) -> Self {
        let address = address.to_canonical();
        Self {
            network: "IN".to_owned(),
            family: if address.is_ipv4() { "IP4" } else { "IP6" }.to_owned(),
            address: address.to_string(),
        }
    }

    /// The address, without a multicast time to live; `None` for a name.
    pub fn ip(&self) -> Option<IpAddr> {
        let host = self.address.split_once('/').map_or(self.address.as_str(), |(host, _)| host);
        host.parse().ok().map(|ip: IpAddr| ip.to_canonical())
    }
}

impl Default for Origin {
    /// Nobody: what stands in for an `o=` that is missing.
    fn default() -> Self {
        Self {
            username: "-".to_owned(),
            session_id: "0".to_owned(),
            version: "0".to_owned(),
            address: Connection::internet(core::net::Ipv4Addr::UNSPECIFIED.into()),
        }
    }
}

fn attributes<'a, 'n>(
    lines: &'a [Line],
    name: &'n str,
) -> impl Iterator<Item = &'a str> + use<'a, 'n> {
    lines.iter().filter(|line| line.kind == 'a').filter_map(move |line| {
        let rest = line.value.strip_prefix(name)?.trim();
        if rest.is_empty() { Some(rest) } else { rest.strip_prefix(':').map(str::trim_start) }
    })
}

fn direction(lines: &[Line]) -> Option<Direction> {
    lines
        .iter()
        .filter(|line| line.kind == 'a')
        .find_map(|line| Direction::from_name(line.value.trim_end()))
}

impl fmt::Display for SessionDescription {
    /// Writes the description with CRLF line ends, in the order of RFC 8866 §9.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        line(f, 'v', ["0"])?;
        line(f, 'o', self.origin.words())?;
        line(f, 's', [if self.name.is_empty() { "-" } else { &self.name }])?;
        kept(f, &self.lines, |kind| matches!(kind, 'i' | 'u' | 'e' | 'p'))?;
        if let Some(connection) = &self.connection {
            line(f, 'c', connection.words())?;
        }
        kept(f, &self.lines, |kind| matches!(kind, 'c' | 'b'))?;
        // RFC 8866 §5.9 wants at least one time; that of a call is unbounded (RFC 3264 §5).
        if !self.lines.iter().any(|line| line.kind == 't') {
            line(f, 't', ["0 0"])?;
        }
        kept(f, &self.lines, |kind| matches!(kind, 't' | 'r' | 'z'))?;
        kept(f, &self.lines, |kind| kind == 'k')?;
        kept(f, &self.lines, |kind| "iuepcbtrzk".chars().all(|known| kind != known))?;
        self.media.iter().try_for_each(|media| media.fmt(f))
    }
}

impl fmt::Display for Media {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, port, port_count, protocol, formats, .. } = self;
        let port = match port_count {
            Some(count) => format!("{port}/{count}"),
            None => port.to_string(),
        };
        let words = [kind, &port, protocol].into_iter().chain(formats);
        line(f, 'm', words.map(String::as_str))?;
        kept(f, &self.lines, |kind| kind == 'i')?;
        if let Some(connection) = &self.connection {
            line(f, 'c', connection.words())?;
        }
        kept(f, &self.lines, |kind| matches!(kind, 'c' | 'b'))?;
        kept(f, &self.lines, |kind| kind == 'k')?;
        kept(f, &self.lines, |kind| !matches!(kind, 'i' | 'c' | 'b' | 'k'))
    }
}

impl Origin {
    fn words(&self) -> [&str; 6] {
        let [network, family, address] = self.address.words();
        [&self.username, &self.session_id, &self.version, network, family, address]
    }
}

impl Connection {
    fn words(&self) -> [&str; 3] {
        [&self.network, &self.family, &self.address]
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words().join(" "))
    }
}

impl fmt::Display for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words().join(" "))
    }
}

/// Writes the lines of some kinds, in order.
fn kept(f: &mut fmt::Formatter<'_>, lines: &[Line], of_kind: impl Fn(char) -> bool) -> fmt::Result {
    let mut lines = lines.iter().filter(|line| of_kind(line.kind));
    lines.try_for_each(|kept| line(f, kept.kind, [kept.value.as_str()]))
}

/// Writes one line, a space between its words; what an application put together cannot make two of
/// it.
fn line<'a>(
    f: &mut fmt::Formatter<'_>,
    kind: char,
    words: impl IntoIterator<Item = &'a str>,
) -> fmt::Result {
    clean(f, kind.encode_utf8(&mut [0; 4]))?;
    let mut before = '=';
    for word in words {
        f.write_char(before)?;
        clean(f, word)?;
        before = ' ';
    }
    f.write_str("\r\n")
}

/// Leaves out what RFC 8866 §9 allows in no value: NUL, CR and LF.
fn clean(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    if !text.bytes().any(|b| matches!(b, b'\0' | b'\r' | b'\n')) {
        return f.write_str(text);
    }
    text.split(['\0', '\r', '\n']).try_for_each(|part| f.write_str(part))
}
