//! Pieces of SIP messages (RFC 3420), as far as a referral reports with them: a status line, whatever
//! may follow it (RFC 3515 §2.4.5).

use super::queries;
use crate::agent::Content;
use crate::event::Cause;
use crate::sip::Message;

/// How many characters of a reason phrase are kept and passed on.
const MAX_REASON: usize = 128;

/// What a report says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Report {
    /// The status of what was asked for.
    Status(Cause),
    /// There is no body, though there should be.
    Nothing,
    /// There is one that is no status line.
    Malformed,
    /// It is of another type, or encoded.
    Unsupported,
}

impl Report {
    /// What a NOTIFY says.
    pub(super) fn of(notify: &Message) -> Self {
        if notify.body().is_empty() {
            return Self::Nothing;
        }
        if !notify.has_body("message", "sipfrag") || !queries::is_plain(notify) {
            return Self::Unsupported;
        }
        read(notify.body()).map_or(Self::Malformed, Self::Status)
    }
}

/// The status line at the beginning of a piece; some end it with LF alone, or with nothing.
fn read(piece: &[u8]) -> Option<Cause> {
    let line = piece.split(|b| matches!(b, b'\r' | b'\n')).next()?;
    let line = String::from_utf8_lossy(line);
    let (version, rest) = line.split_once(' ')?;
    if !version.eq_ignore_ascii_case("SIP/2.0") {
        return None;
    }
    let (code, reason) = rest.split_once(' ').unwrap_or((rest, ""));
    let digits = code.len() == 3 && code.bytes().all(|b| b.is_ascii_digit());
    let code = code.parse().ok().filter(|code| digits && (100..=699).contains(code))?;
    Some(Cause::new(code, clean(reason)))
}

/// The piece that reports `cause`.
pub(super) fn write(cause: &Cause) -> Content {
    let Cause { code, reason, .. } = cause;
    let line = format!("SIP/2.0 {code} {}\r\n", clean(reason));
    Content { kind: "message/sipfrag;version=2.0".to_owned(), bytes: line.into_bytes() }
}

/// A reason phrase for a line of its own.
fn clean(reason: &str) -> String {
    reason.trim().chars().filter(|c| !c.is_control()).take(MAX_REASON).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cause(code: u16, reason: &str) -> Cause {
        Cause::new(code, reason)
    }

    #[test]
    fn a_status_line_is_read_however_it_ends() {
        for (piece, code, reason) in [
            ("SIP/2.0 200 OK\r\n", 200, "OK"),
            ("SIP/2.0 200 OK", 200, "OK"),
            ("SIP/2.0 486 Busy Here\nWarning: 399 x \"y\"\n", 486, "Busy Here"),
            ("SIP/2.0 180\r\n", 180, ""),
            ("sip/2.0 603 Decline\r\nContact: <sip:a@b>\r\n\r\nbody", 603, "Decline"),
            ("SIP/2.0 100 Trying\0\u{1b}[2J\r\n", 100, "Trying[2J"),
        ] {
            assert_eq!(read(piece.as_bytes()), Some(cause(code, reason)), "{piece:?}");
        }
        assert_eq!(read(b"SIP/2.0 200 \xff\r\n"), Some(cause(200, "\u{fffd}")));
    }

    #[test]
    fn what_is_no_status_line_is_none() {
        // RFC 3420 §3.2 among them.
        for piece in [
            "",
            "\r\n",
            "SIP/2.0",
            "404 Not Found",
            "INVITE sip:a@b SIP/2.0",
            "SIP/1.0 200 OK",
            "SIP/2.0 20 OK",
            "SIP/2.0 0200 OK",
            "SIP/2.0 +20 OK",
            "SIP/2.0 099 OK",
            "SIP/2.0 700 OK",
            "SIP/2.0  200 OK",
        ] {
            assert_eq!(read(piece.as_bytes()), None, "{piece:?}");
        }
    }

    #[test]
    fn what_is_written_is_one_short_line() {
        let written = write(&cause(486, "Busy\r\nX: y\0"));
        assert_eq!(written.bytes, b"SIP/2.0 486 BusyX: y\r\n");
        let long = write(&cause(486, &"x".repeat(10_000)));
        assert!(long.bytes.len() < 200 && read(&long.bytes).is_some());
    }
}
