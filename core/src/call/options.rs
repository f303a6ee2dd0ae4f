//! What an application asks of a call, and what it may know about one.

use crate::codec::Codec;
use crate::event::{CallDirection, CallId, CallState};
use crate::sdp::Direction;

/// How an outgoing call departs from the phone's parameters.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CallOptions {
    /// Header fields to add to the INVITE, by name and value. Names that the phone itself writes
    /// (Via, From, To, Call-ID, CSeq, Contact, ...) are refused.
    pub headers: Vec<(String, String)>,
    /// The codecs to offer, best first; `None` for those of the phone.
    pub codecs: Option<Vec<Codec>>,
    /// Which way audio is to flow, from us. Default both ways.
    pub direction: Direction,
    /// How many audio streams to offer, 1 to 4; each has a pair of ports. Default 1. What is read is
    /// their mix, and what is written goes to all. Fewer are offered when there are fewer ports.
    pub streams: u8,
}

impl Default for CallOptions {
    fn default() -> Self {
        Self { headers: Vec::new(), codecs: None, direction: Direction::default(), streams: 1 }
    }
}

impl CallOptions {
    /// Adds a header field to the INVITE.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The codecs to offer, best first.
    #[must_use]
    pub fn codecs(mut self, codecs: &[Codec]) -> Self {
        self.codecs = Some(codecs.to_vec());
        self
    }

    /// Which way audio is to flow, from us.
    #[must_use]
    pub fn direction(mut self, direction: Direction) -> Self {
        self.direction = direction;
        self
    }

    /// How many audio streams to offer, 1 to 4.
    #[must_use]
    pub fn streams(mut self, streams: u8) -> Self {
        self.streams = streams;
        self
    }
}

/// What is known about a call.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct CallInfo {
    /// The call's number.
    pub id: CallId,
    /// Who began it.
    pub direction: CallDirection,
    /// Where it stands.
    pub state: CallState,
    /// The far end's URI: From of an incoming call, the target of an outgoing one.
    pub remote: String,
    /// The far end's display name, if it gave one.
    pub remote_name: Option<String>,
    /// Our own URI in this call: To of an incoming call, From of an outgoing one.
    pub local: String,
    /// The Call-ID header field.
    pub call_id: String,
    /// The header fields of an incoming call's INVITE as they came; none for an outgoing call.
    pub headers: Vec<(String, String)>,
    /// The codec we send, once media is agreed.
    pub codec: Option<Codec>,
    /// Which way audio may flow, from us, once media is agreed.
    pub media: Option<Direction>,
    /// Whether the far end has put us on hold.
    pub held: bool,
}
