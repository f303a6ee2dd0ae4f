//! What the ladder reads in a SIP message: just enough for a label and for finding the media, and
//! as forgiving as a diagram of broken messages has to be.

use core::net::{IpAddr, SocketAddr};

use crate::sip::head;

/// The longest label; what is longer is cut.
const MAX_LABEL: usize = 60;
const STUN_COOKIE: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];

/// A short text for a message on a signalling socket.
pub(super) fn label(bytes: &[u8]) -> String {
    if bytes.iter().all(|byte| matches!(byte, b'\r' | b'\n' | 0)) {
        return "keep-alive".to_owned();
    }
    if bytes.get(4..8) == Some(&STUN_COOKIE[..]) && bytes.first().is_some_and(|first| *first < 4) {
        return "STUN".to_owned();
    }
    let text = String::from_utf8_lossy(bytes);
    let first = text.lines().next().unwrap_or("");
    let what = if let Some(status) = first.strip_prefix("SIP/2.0 ") {
        match header(&text, "cseq", None).and_then(|cseq| cseq.split_whitespace().nth(1)) {
            Some(method) => format!("{status} ({method})"),
            None => status.to_owned(),
        }
    } else if let Some(request) = first.strip_suffix(" SIP/2.0") {
        request.to_owned()
    } else {
        return format!("{} bytes", bytes.len());
    };
    let sdp = if sdp(&text).is_some() { " +SDP" } else { "" };
    let room = MAX_LABEL - sdp.len();
    let mut what = escape(&what);
    if what.len() > room {
        what.truncate(room - 3);
        what += "...";
    }
    what + sdp
}

/// Makes text fit for a terminal: what is not printable ASCII is escaped.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            ' '..='~' => escaped.push(c),
            _ => escaped.extend(c.escape_default()),
        }
    }
    escaped
}

/// A stream of a session description: where it is received, and what its payload types mean.
#[derive(Debug)]
pub(super) struct Stream {
    ip: Option<IpAddr>,
    port: u16,
    pub(super) formats: Vec<(u8, String)>,
}

impl Stream {
    /// Where RTP is received; nowhere when the stream is refused or has no numeric address.
    pub(super) fn rtp(&self) -> Option<SocketAddr> {
        self.ip.filter(|_| self.port != 0).map(|ip| SocketAddr::new(ip, self.port))
    }
}

/// The Call-ID of a message and the streams that its body describes.
pub(super) fn streams(bytes: &[u8]) -> Option<(String, Vec<Stream>)> {
    let text = String::from_utf8_lossy(bytes);
    let body = sdp(&text)?;
    let call = header(&text, "call-id", Some("i")).unwrap_or("").to_owned();
    let mut session_ip = None;
    let mut streams: Vec<Stream> = Vec::new();
    for line in body.lines() {
        if let Some(connection) = line.strip_prefix("c=") {
            let ip = connection.split_whitespace().nth(2).and_then(|ip| ip.parse().ok());
            match streams.last_mut() {
                Some(stream) => stream.ip = ip,
                None => session_ip = ip,
            }
        } else if let Some(media) = line.strip_prefix("m=") {
            let port = media.split_whitespace().nth(1).and_then(|port| port.parse().ok());
            let port = port.unwrap_or(0);
            streams.push(Stream { ip: session_ip, port, formats: Vec::new() });
        } else if let Some(map) = line.strip_prefix("a=rtpmap:")
            && let Some((number, name)) = map.split_once(' ')
            && let Ok(number) = number.parse()
            && let Some(stream) = streams.last_mut()
        {
            let name = name.split('/').next().unwrap_or("").trim();
            stream.formats.push((number, name.to_owned()));
        }
    }
    Some((call, streams))
}

/// Where the author of a message can be reached, if others have passed it on: a request says that by more
/// than one Via, a response, which has lost them, by a Contact elsewhere.
pub(super) fn author(bytes: &[u8]) -> Option<SocketAddr> {
    let text = String::from_utf8_lossy(bytes);
    let is_request = !text.starts_with("SIP/2.0 ");
    if is_request
        && headers(&text, "via", Some("v")).map(|via| via.split(',').count()).sum::<usize>() < 2
    {
        return None;
    }
    let contact = header(&text, "contact", Some("m"))?;
    let (_, uri) = contact.split_once("sip:").or_else(|| contact.split_once("sips:"))?;
    let uri = uri.split(['>', ';', '?', ',']).next()?;
    let host = uri.split_once('@').map_or(uri, |(_, host)| host);
    let ip = || host.trim_start_matches('[').trim_end_matches(']').parse().ok();
    host.parse().ok().or_else(|| Some(SocketAddr::new(ip()?, 5060)))
}

/// The body, if it is a session description.
fn sdp(text: &str) -> Option<&str> {
    let (_, body) = text.split_once("\r\n\r\n").or_else(|| text.split_once("\n\n"))?;
    let kind = header(text, "content-type", Some("c"))?;
    (head(kind).eq_ignore_ascii_case("application/sdp") && !body.is_empty()).then_some(body)
}

fn header<'a>(text: &'a str, long: &str, compact: Option<&str>) -> Option<&'a str> {
    headers(text, long, compact).next()
}

fn headers<'a>(text: &'a str, long: &str, compact: Option<&str>) -> impl Iterator<Item = &'a str> {
    text.lines().skip(1).take_while(|line| !line.is_empty()).filter_map(move |line| {
        let (name, value) = line.split_once(':')?;
        let name = name.trim();
        let named = name.eq_ignore_ascii_case(long)
            || compact.is_some_and(|compact| name.eq_ignore_ascii_case(compact));
        named.then(|| value.trim())
    })
}
