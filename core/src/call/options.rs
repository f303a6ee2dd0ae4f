//! What an application asks of a call, and what it may know about one.

use core::time::Duration;

use crate::codec::Codec;
use crate::event::{CallDirection, CallId, CallState};
use crate::sdp::Direction;
use crate::sip::BodyPart;

/// How an outgoing call departs from the phone's parameters.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CallOptions {
    /// Header fields to add to the INVITE, by name and value. Names that the phone itself writes
    /// (Via, From, To, Call-ID, CSeq, Contact, ...) are refused.
    pub headers: Vec<(String, String)>,
    /// The codecs to offer, best first; `None` for those of the phone.
    pub codecs: Option<Vec<Codec>>,
    /// How many targets of redirections (3xx) to follow; `None` for as many as the phone does.
    pub max_redirects: Option<u8>,
    /// Whether to leave the offer to the callee: the INVITE has no session description, and ours is
    /// the answer, in ACK (RFC 3261 §13.2.1). There is no early media then. Default false.
    pub late_offer: bool,
    /// Which way audio is to flow, from us. Default both ways.
    pub direction: Direction,
    /// How many audio streams to offer, 1 to 4; each has a pair of ports. Default 1. What is read is
    /// their mix, and what is written goes to all. Fewer are offered when there are fewer ports.
    pub streams: u8,
}

impl Default for CallOptions {
    fn default() -> Self {
        Self {
            headers: Vec::new(),
            codecs: None,
            max_redirects: None,
            late_offer: false,
            direction: Direction::default(),
            streams: 1,
        }
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

    /// How many targets of redirections to follow; 0 none.
    #[must_use]
    pub fn max_redirects(mut self, limit: u8) -> Self {
        self.max_redirects = Some(limit);
        self
    }

    /// Leaves the offer to the callee.
    #[must_use]
    pub fn late_offer(mut self) -> Self {
        self.late_offer = true;
        self
    }

    /// How many audio streams to offer, 1 to 4.
    #[must_use]
    pub fn streams(mut self, streams: u8) -> Self {
        self.streams = streams;
        self
    }
}

/// What is said beside the status code when a call is refused.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct DenyOptions {
    /// The reason phrase; `None` for the code's own.
    pub reason: Option<String>,
    /// After what time it may be tried again (RFC 3261 §20.33), in whole seconds.
    pub retry_after: Option<Duration>,
}

impl DenyOptions {
    /// The reason phrase.
    #[must_use]
    pub fn reason(mut self, reason: &str) -> Self {
        self.reason = Some(reason.to_owned());
        self
    }

    /// After what time it may be tried again.
    #[must_use]
    pub fn retry_after(mut self, time: Duration) -> Self {
        self.retry_after = Some(time);
        self
    }
}

/// When a transfer is done.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
#[non_exhaustive]
pub enum TransferMode {
    /// When the far end has agreed to call the target: the call ends at once, whatever becomes of
    /// that.
    #[default]
    Blind,
    /// When the far end says that the target has answered; if it says that it was not reached, the
    /// call goes on (pyVoIP's `blind=False`).
    Notified,
}

/// How a call is transferred.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct TransferOptions {
    /// When it is done. Default [`TransferMode::Blind`].
    pub mode: TransferMode,
    /// Whether to tell the target, by way of the far end, who transfers it (Referred-By, RFC 3892).
    /// Default true.
    pub referred_by: bool,
    /// Whether to ask a blind transfer's far end for no reports, for nobody waits for them (RFC
    /// 4488). Default false.
    pub no_reports: bool,
    /// Whether to send REFER outside the call's dialog and name that in Target-Dialog (RFC 4538), as
    /// RFC 7647 §4 wants for far ends whose Contact leads to them from anywhere. Many know only
    /// REFER within the dialog. Default false.
    pub outside_dialog: bool,
}

impl Default for TransferOptions {
    fn default() -> Self {
        let mode = TransferMode::Blind;
        Self { mode, referred_by: true, no_reports: false, outside_dialog: false }
    }
}

impl TransferOptions {
    /// When it is done.
    #[must_use]
    pub fn mode(mut self, mode: TransferMode) -> Self {
        self.mode = mode;
        self
    }

    /// Whether to tell the target who transfers it.
    #[must_use]
    pub fn referred_by(mut self, referred_by: bool) -> Self {
        self.referred_by = referred_by;
        self
    }

    /// Whether to ask for no reports.
    #[must_use]
    pub fn no_reports(mut self, no_reports: bool) -> Self {
        self.no_reports = no_reports;
        self
    }

    /// Whether to send REFER outside the dialog.
    #[must_use]
    pub fn outside_dialog(mut self, outside_dialog: bool) -> Self {
        self.outside_dialog = outside_dialog;
        self
    }
}

impl From<TransferMode> for TransferOptions {
    fn from(mode: TransferMode) -> Self {
        Self::default().mode(mode)
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
    /// The Request-URI of an incoming call's INVITE: the number that was dialled when a trunk or a caller
    /// sends it to us, which To need not be after a diversion. From the server where we are registered it
    /// is our own Contact (RFC 3261 §16.5), and `local` has what was dialled. Empty for an outgoing call.
    pub request_uri: String,
    /// The header fields of an incoming call's INVITE as they came, in order, all of them; none for an
    /// outgoing call.
    pub headers: Vec<(String, String)>,
    /// The body of an incoming call's INVITE: the offer, mostly, or [`parts`](Self::parts) of which one is
    /// the offer; empty where there is none, and for an outgoing call.
    pub body: Vec<u8>,
    /// The codec we send, once media is agreed.
    pub codec: Option<Codec>,
    /// How many audio streams are in use: those of early dialogs too, until one answers.
    pub streams: usize,
    /// Which way audio may flow, from us, once media is agreed.
    pub media: Option<Direction>,
    /// Whether the far end has put us on hold.
    pub held: bool,
    /// Whether we have put the far end on hold.
    pub holding: bool,
}

impl CallInfo {
    /// The parts of the body: beside the offer a trunk's ISUP, or where the caller is (RFC 5621).
    pub fn parts(&self) -> Vec<BodyPart> {
        BodyPart::split(&self.headers, &self.body)
    }
}
