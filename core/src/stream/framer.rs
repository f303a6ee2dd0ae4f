//! Where messages begin and end in a stream of bytes (RFC 3261 §7.5, §18.3).

use memchr::memchr;

use crate::sip::{Fault, HeaderName, MAX_HEAD_BYTES, MAX_MESSAGE_BYTES, ParseError, decimal};

/// How much room is kept for the next message that comes in pieces; what was larger is given back.
const KEPT_ROOM: usize = 4_096;

/// Cuts a stream of bytes into messages and keep-alives. However the bytes were cut up on their way,
/// what comes out is the same.
///
/// A message that came whole in one piece is not copied; of one that did not, no more is held than
/// has come, whatever its Content-Length claims.
#[derive(Clone, Debug, Default)]
pub struct Framer {
    state: State,
    /// The message under way, from its start line on; of one that was given out, until the next call.
    buffer: Vec<u8>,
    /// Whether a pong is awaited: the next line end is one, and no half of a ping.
    awaiting: bool,
}

/// ```text
///            first byte          empty line             last byte
/// Between ───────────────► Head ────────────► Body ───────────────► Given ──► Between
///    │ no message begins so │ too long,         │ too long
///    └──────────────────────┴──────── Broken ◄──┘ no length
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    /// Before a start line; what of a ping has come.
    Between(LineEnds),
    /// In the start line or the header fields; where the unfinished line begins.
    Head { line: usize },
    /// How long the whole message is.
    Body { length: usize },
    /// The message in the buffer was given out.
    Given,
    /// Where the next message begins cannot be known.
    Broken,
}

/// What of CR LF CR LF has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum LineEnds {
    #[default]
    None,
    Cr,
    CrLf,
    CrLfCr,
}

impl Default for State {
    fn default() -> Self {
        Self::Between(LineEnds::None)
    }
}

/// What a stream holds.
#[derive(Debug)]
pub enum Frame<'a> {
    /// One message, start line to end of body.
    Message(&'a [u8]),
    /// CR LF CR LF: it is to be answered by CR LF (RFC 5626 §4.4.1).
    Ping,
    /// The CR LF that answers a ping of ours.
    Pong,
    /// Where this message ends cannot be known, so the stream is of no more use: it may be answered,
    /// and then is to be closed. Nothing comes after it.
    Broken(ParseError),
}

impl Framer {
    /// At the beginning of a stream.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next frame from the front of `piece`; `None` when all of it was taken.
    pub fn next<'f, 'i: 'f>(&'f mut self, piece: &mut &'i [u8]) -> Option<Frame<'f>> {
        if self.state == State::Given {
            self.state = State::default();
            self.buffer.clear();
            self.buffer.shrink_to(KEPT_ROOM);
        }
        if let State::Between(seen) = self.state {
            if let Some(keep_alive) = self.skip_line_ends(piece, seen) {
                return Some(keep_alive);
            }
            let first = piece.first()?;
            if !first.is_ascii_graphic() {
                return self.give_up(piece, Fault::NotSip);
            }
            if let Some(message) = take_whole(piece) {
                self.state = State::default();
                return Some(Frame::Message(message));
            }
            self.state = State::Head { line: 0 };
        }
        if let State::Head { line } = self.state
            && let Err(fault) = self.read_head(piece, line)
        {
            return self.give_up(piece, fault);
        }
        if let State::Body { length } = self.state {
            self.take(piece, length.saturating_sub(self.buffer.len()));
            if self.buffer.len() == length {
                self.state = State::Given;
                return Some(Frame::Message(&self.buffer));
            }
        }
        *piece = &[];
        None
    }

    /// A ping was sent: the next line end that comes between messages is its pong.
    pub fn expect_pong(&mut self) {
        self.awaiting = true;
    }

    /// Whether a message has begun and not ended.
    pub fn is_midway(&self) -> bool {
        matches!(self.state, State::Head { .. } | State::Body { .. })
    }

    /// Takes the line ends before a start line, which mean nothing (§7.5) unless they are a
    /// keep-alive. A CR or LF alone is ignored as the parser ignores it.
    fn skip_line_ends(&mut self, piece: &mut &[u8], mut seen: LineEnds) -> Option<Frame<'static>> {
        while let Some((byte @ (b'\r' | b'\n'), rest)) = piece.split_first() {
            *piece = rest;
            seen = match (seen, byte) {
                (LineEnds::Cr, b'\n') if core::mem::take(&mut self.awaiting) => {
                    self.state = State::default();
                    return Some(Frame::Pong);
                }
                (LineEnds::CrLfCr, b'\n') => {
                    self.state = State::default();
                    return Some(Frame::Ping);
                }
                (LineEnds::Cr, b'\n') => LineEnds::CrLf,
                (LineEnds::CrLf, b'\r') => LineEnds::CrLfCr,
                (_, b'\r') => LineEnds::Cr,
                (_, _) => LineEnds::None,
            };
            self.state = State::Between(seen);
        }
        None
    }

    /// Takes the start line and the header fields, line by line; a line that has not ended begins at
    /// `line`.
    fn read_head(&mut self, piece: &mut &[u8], mut line: usize) -> Result<(), Fault> {
        loop {
            let end = memchr(b'\n', piece).map(|at| at + 1);
            let room = MAX_HEAD_BYTES.saturating_sub(self.buffer.len());
            let wanted = end.unwrap_or(piece.len());
            self.take(piece, wanted.min(room));
            if wanted > room {
                return Err(Fault::MessageTooLong);
            }
            if end.is_none() {
                self.state = State::Head { line };
                return Ok(());
            }
            if matches!(self.buffer.get(line..), Some(b"\n" | b"\r\n")) {
                self.state = State::Body { length: message_length(&self.buffer)? };
                return Ok(());
            }
            line = self.buffer.len();
        }
    }

    /// Moves up to `count` bytes from the piece to the buffer.
    fn take(&mut self, piece: &mut &[u8], count: usize) {
        let (taken, rest) = piece.split_at_checked(count).unwrap_or((piece, &[]));
        self.buffer.extend_from_slice(taken);
        *piece = rest;
    }

    fn give_up(&mut self, piece: &mut &[u8], fault: Fault) -> Option<Frame<'static>> {
        *piece = &[];
        self.state = State::Broken;
        Some(Frame::Broken(ParseError::of_head(&core::mem::take(&mut self.buffer), fault)))
    }
}

/// Takes a message of which nothing is missing, without a copy.
fn take_whole<'i>(piece: &mut &'i [u8]) -> Option<&'i [u8]> {
    let mut head = 0;
    loop {
        let rest = piece.get(head..)?;
        let end = memchr(b'\n', rest)? + 1;
        head += end;
        if matches!(rest.get(..end), Some(b"\n" | b"\r\n")) {
            break;
        }
    }
    let length = message_length(piece.get(..head.min(MAX_HEAD_BYTES))?).ok()?;
    let (message, rest) = piece.split_at_checked(length).filter(|_| head <= MAX_HEAD_BYTES)?;
    *piece = rest;
    Some(message)
}

/// How long a message is that begins with these lines, the empty one among them. Content-Length has
/// to be there (§18.3), and twice it has to say the same.
fn message_length(head: &[u8]) -> Result<usize, Fault> {
    let name = HeaderName::ContentLength;
    let mut found: Option<&[u8]> = None;
    let mut lines = head.split(|&byte| byte == b'\n').skip(1).peekable();
    while let Some(line) = lines.next() {
        let Some(colon) = memchr(b':', line) else { continue };
        let (label, value) = line.split_at_checked(colon).unwrap_or_default();
        if HeaderName::find(label.trim_ascii_end()).0 != name {
            continue;
        }
        let mut value = value.get(1..).unwrap_or_default().trim_ascii();
        // §7.3.1: a line that begins with a space goes on with the one before.
        while let Some(more) = lines.next_if(|next| matches!(next.first(), Some(b' ' | b'\t'))) {
            match (value, more.trim_ascii()) {
                (_, []) => {}
                ([], more) => value = more,
                _ => return Err(Fault::Value(name)),
            }
        }
        match found {
            Some(first) if first != value => return Err(Fault::Repeated(name)),
            _ => found = Some(value),
        }
    }
    let body = decimal(found.ok_or(Fault::Missing(name))?).ok_or(Fault::Value(name))?;
    let length = usize::try_from(body).ok().and_then(|body| body.checked_add(head.len()));
    length.filter(|length| *length <= MAX_MESSAGE_BYTES).ok_or(Fault::MessageTooLong)
}
