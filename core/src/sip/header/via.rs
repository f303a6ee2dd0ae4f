//! Via (RFC 3261 §18.2.1, §20.42; RFC 3581).

use core::fmt;
use core::net::{IpAddr, SocketAddr};

use crate::sip::chars::{Span, TOKEN, is_space, run, skip_space};
use crate::sip::error::Malformed;
use crate::sip::header::params::{Param, Params, walk};
use crate::sip::uri::{host_and_port, ip_of};
use crate::sip::{BRANCH_COOKIE, MAX_FIELD_BYTES, MAX_IDENTIFIER_BYTES};
use crate::transport::Transport;

/// One hop that a request took: `SIP/2.0/UDP host:5060;branch=z9hG4bK…;rport`.
#[derive(Clone, Copy)]
pub struct Via<'a> {
    text: &'a str,
    parts: ViaParts,
}

/// Where the parts stand in the text.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ViaParts {
    transport: Span,
    host: Span,
    port: Option<u16>,
    params: Span,
    branch: Span,
    /// The value of rport, empty where it has none yet; at 0 where there is no rport.
    rport: Span,
}

impl<'a> Via<'a> {
    /// Parses one value of a Via field.
    pub fn parse(value: &'a str) -> Result<Self, Malformed> {
        let (parts, end) = ViaParts::parse(value)?;
        if end != value.len() {
            return Err(Malformed::new("something follows the value", end));
        }
        Ok(Self { text: value, parts })
    }

    #[inline]
    pub(crate) const fn new(text: &'a str, parts: ViaParts) -> Self {
        Self { text, parts }
    }

    /// The transport, as it came: `UDP`, `TCP`, `TLS`, …
    pub fn transport(&self) -> &'a str {
        self.parts.transport.of(self.text)
    }

    /// The host of sent-by, IPv6 in its brackets.
    pub fn host(&self) -> &'a str {
        self.parts.host.of(self.text)
    }

    /// The address that the host is, if it is not a name.
    pub fn ip(&self) -> Option<IpAddr> {
        ip_of(self.host())
    }

    /// The port of sent-by, if it has one.
    pub fn port(&self) -> Option<u16> {
        self.parts.port
    }

    /// The host and port, as they came: `host:5060`.
    pub fn sent_by(&self) -> &'a str {
        let end = usize::from(self.parts.params.start);
        let text = self.text.get(usize::from(self.parts.host.start)..end);
        text.unwrap_or_default().trim_end_matches([' ', '\t'])
    }

    /// The branch, if it has one.
    pub fn branch(&self) -> Option<&'a str> {
        (!self.parts.branch.is_empty()).then(|| self.parts.branch.of(self.text))
    }

    /// The branch, if it identifies a transaction by itself: the cookie and something more
    /// (RFC 3261 §17.2.3; RFC 4475 §3.2.1 has one with nothing more).
    pub fn transaction_branch(&self) -> Option<&'a str> {
        self.branch().filter(|b| {
            let cookie = b.get(..BRANCH_COOKIE.len());
            b.len() > BRANCH_COOKIE.len()
                && cookie.is_some_and(|c| c.eq_ignore_ascii_case(BRANCH_COOKIE))
        })
    }

    /// The address that the next element received it from; with or without brackets (RFC 5118 §4.5).
    pub fn received(&self) -> Option<IpAddr> {
        self.param("received").and_then(|p| ip_of(p.text()))
    }

    /// RFC 3581: `None` without the parameter, `Some(None)` when it has no value yet.
    pub fn rport(&self) -> Option<Option<u16>> {
        (self.parts.rport.start > 0).then(|| self.parts.rport.of(self.text).parse().ok())
    }

    /// Where a response goes whose request came from `from` (RFC 3261 §18.2.2): back on its connection;
    /// over UDP to the port that it came from where rport asks for that (RFC 3581 §4), else to the port
    /// of sent-by. Neither the host of sent-by nor maddr is followed, so that nobody can have responses
    /// sent to others (§26.3.2.4).
    pub fn return_address(&self, transport: Transport, from: SocketAddr) -> SocketAddr {
        if transport.is_reliable() || self.rport().is_some() {
            return from;
        }
        match self.port().unwrap_or(transport.default_port()) {
            0 => from,
            port => SocketAddr::new(from.ip(), port),
        }
    }

    /// The multicast address or host that a response goes to (§18.1.1).
    pub fn maddr(&self) -> Option<&'a str> {
        self.param("maddr").map(|p| p.text())
    }

    /// The time to live of a multicast request.
    pub fn ttl(&self) -> Option<u8> {
        self.param("ttl").and_then(|p| p.text().parse().ok())
    }

    /// A parameter by name, in any case.
    pub fn param(&self, name: &str) -> Option<Param<'a>> {
        self.params().find(name)
    }

    /// All parameters, in order.
    pub fn params(&self) -> Params<'a> {
        Params::new(self.parts.params.of(self.text))
    }

    /// The value, as it came.
    pub fn as_str(&self) -> &'a str {
        self.text
    }
}

impl fmt::Display for Via<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text)
    }
}

impl fmt::Debug for Via<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Via({})", self.text)
    }
}

impl ViaParts {
    /// Parses the first value in `value`; returns where it ends, at a comma or the end.
    pub(crate) fn parse(value: &str) -> Result<(Self, usize), Malformed> {
        if value.len() > MAX_FIELD_BYTES {
            return Err(Malformed::new("the value is too long", MAX_FIELD_BYTES));
        }
        let text = value.as_bytes();
        let (transport, at) = sent_protocol(text)?;
        let space = skip_space(text, at);
        if space == at {
            return Err(Malformed::new("no space before the host", at));
        }
        let (host, port, at) = host_and_port(text, space)?;
        let mut parts = Self { transport, host, port, ..Self::default() };
        let end = walk(text, at, |name, value| {
            if parts.branch.is_empty() && name.eq_ignore_ascii_case(b"branch") {
                parts.branch = Span::new(value.0, value.1);
            } else if name.eq_ignore_ascii_case(b"rport") && parts.rport.start == 0 {
                parts.rport = Span::new(value.0, value.1);
            }
        })?;
        parts.params = Span::new(at, end);
        if usize::from(parts.branch.end - parts.branch.start) > MAX_IDENTIFIER_BYTES {
            return Err(Malformed::new("the branch is too long", parts.branch.start.into()));
        }
        match text.get(end) {
            None | Some(b',') => Ok((parts, end)),
            Some(_) => Err(Malformed::new("neither a parameter nor a comma", end)),
        }
    }
}

/// `SIP / 2.0 / UDP`: where the transport stands, and where it all ends.
fn sent_protocol(text: &[u8]) -> Result<(Span, usize), Malformed> {
    // Nearly always without spaces.
    if let Some(rest) = text.strip_prefix(b"SIP/2.0/") {
        let end = text.len() - rest.len() + run(rest, 0, TOKEN);
        if end > 8 && text.get(end).is_some_and(|&b| is_space(b)) {
            return Ok((Span::new(8, end), end));
        }
    }
    let mut at = 0;
    for expected in [&b"SIP"[..], b"2.0"] {
        let end = run(text, at, TOKEN);
        if !text.get(at..end).is_some_and(|t| t.eq_ignore_ascii_case(expected)) {
            return Err(Malformed::new("the protocol is not SIP/2.0", at));
        }
        let slash = skip_space(text, end);
        if text.get(slash) != Some(&b'/') {
            return Err(Malformed::new("no slash in the protocol", slash));
        }
        at = skip_space(text, slash + 1);
    }
    let end = run(text, at, TOKEN);
    if end == at {
        return Err(Malformed::new("no transport", at));
    }
    Ok((Span::new(at, end), end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts() {
        let via = Via::parse(
            "SIP/2.0/UDP [2001:db8::9:1]:6050;rport=7;Branch=z9hG4bKx;received=[::1];ttl=16;maddr=m",
        )
        .unwrap();
        assert_eq!(
            (via.transport(), via.host(), via.port()),
            ("UDP", "[2001:db8::9:1]", Some(6050))
        );
        assert_eq!(via.sent_by(), "[2001:db8::9:1]:6050");
        assert_eq!(via.ip(), Some("2001:db8::9:1".parse().unwrap()));
        assert_eq!(via.branch(), Some("z9hG4bKx"));
        assert_eq!(via.received(), Some("::1".parse().unwrap()));
        assert_eq!((via.rport(), via.ttl(), via.maddr()), (Some(Some(7)), Some(16), Some("m")));
        let via = Via::parse("SIP/2.0/UDP h;rport;received=2001:db8::9:255").unwrap();
        assert_eq!((via.rport(), via.branch(), via.port()), (Some(None), None, None));
        assert_eq!(via.received(), Some("2001:db8::9:255".parse().unwrap()));
    }

    #[test]
    fn a_response_goes_to_the_sender_at_the_port_it_asks_for() {
        let from = "192.0.2.7:40000".parse().unwrap();
        let back = |transport, via| Via::parse(via).unwrap().return_address(transport, from);
        for (via, port) in [
            ("SIP/2.0/UDP 10.0.0.1:6050", 6_050),
            ("SIP/2.0/UDP phone.example", 5_060),
            ("SIP/2.0/UDP 10.0.0.1:6050;rport", 40_000),
            ("SIP/2.0/UDP 10.0.0.1:6050;rport=1", 40_000),
            ("SIP/2.0/UDP 10.0.0.1:6050;maddr=198.51.100.1;received=198.51.100.2", 6_050),
            ("SIP/2.0/UDP 10.0.0.1:0", 40_000),
        ] {
            assert_eq!(back(Transport::Udp, via), SocketAddr::new(from.ip(), port), "{via}");
            assert_eq!(back(Transport::Tcp, via), from, "{via}");
        }
    }

    #[test]
    fn spaces_where_the_grammar_has_them() {
        // RFC 3261 §20.42.
        let via =
            Via::parse("SIP / 2.0 / UDP first.example.com: 4000;ttl=16 ;maddr=224.2.0.1").unwrap();
        assert_eq!(
            (via.host(), via.port(), via.ttl()),
            ("first.example.com", Some(4000), Some(16))
        );
        assert_eq!(via.transport(), "UDP");
    }

    #[test]
    fn a_branch_of_nothing_but_the_cookie_identifies_nothing() {
        let branch = |b: &str| {
            let text = format!("SIP/2.0/UDP h;branch={b}");
            Via::parse(&text).unwrap().transaction_branch().map(str::to_owned)
        };
        assert_eq!(branch("z9hG4bK"), None);
        assert_eq!(branch("1"), None);
        assert_eq!(branch("z9hG4bK1").as_deref(), Some("z9hG4bK1"));
        assert_eq!(branch("Z9HG4BK1").as_deref(), Some("Z9HG4BK1"));
    }

    #[test]
    fn malformed() {
        for bad in [
            "",
            "SIP/2.0/UDP",
            "SIP/2.0/UDP ",
            "SIP/2.0 h",
            "SIP/7.0/UDP h",
            "HTTP/2.0/UDP h",
            "SIP/2.0/UDP h;;",
            "SIP/2.0/UDP h:99999",
            "SIP/2.0/UDP h:",
            "SIP/2.0/UDP [::1",
            "SIP/2.0/UDP 2001:db8::1",
            "SIP/2.0/UDP h x",
            "SIP/2.0/UDP h;a=\"b",
            "SIP/2.0/UDP h,",
        ] {
            assert!(Via::parse(bad).is_err(), "{bad}");
        }
    }
}
