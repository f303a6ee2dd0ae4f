//! A request of ours within a dialog (RFC 3261 §12.2.1), until its final response.

use std::sync::Arc;

use super::{Attempt, Content, Context, Lost, Owner, Path, Reach, Refusal, Request};
use crate::dialog::Dialog;
use crate::event::Reply;
use crate::host::Flow;
use crate::sip::{HeaderName, Message, Method};
use crate::time::Instant;
use crate::transaction::{ClientId, FailureCause};

/// One request: BYE, re-INVITE, REFER, NOTIFY. Its owner calls [`send`](Self::send) until it is sent
/// (again when a path has come), and hands it every response and failure that is
/// [its own](Self::is_of). A 401 or 407 to any method is answered here once for each realm, and once
/// more when only the nonce was stale (§22).
///
/// ```text
///   new ── send: no path yet ─┐   send         final response, failure
///    │ ◄──────────────────────┘ ┌──────► Sent ─────────────────────────► (over)
///    └──────────────────────────┘        │ ▲
///                                        └─┘ 1xx, a challenge that could be met
/// ```
#[derive(Debug)]
pub(crate) struct InDialogRequest {
    owner: Owner,
    method: Method,
    /// Header fields beyond those of every request; kept, for a challenge asks for all of it again.
    fields: Vec<(HeaderName, String)>,
    /// Header fields of the application.
    extensions: Vec<(String, String)>,
    body: Option<Content>,
    /// The CSeq number of the latest sending; 0 before the first.
    seq: u32,
    /// When that was.
    at: Instant,
    attempt: Attempt,
    path: Option<Arc<Path>>,
    /// How many connections have ended under it.
    losses: u8,
}

/// Over how many further connections a request is sent.
const MAX_LOSSES: u8 = 3;

/// How far a response has brought a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Progress {
    /// More is to come: it was provisional, or a challenge that was met.
    Pending,
    /// It is final; and if it asked for credentials, why they were not given.
    Final(Option<Refusal>),
}

impl InDialogRequest {
    /// A request that has not been sent.
    pub(crate) fn new(owner: Owner, method: Method) -> Self {
        let (fields, extensions, attempt) = (Vec::new(), Vec::new(), Attempt::default());
        let (body, path, seq, losses) = (None, None, 0, 0);
        let at = Instant::ZERO;
        Self { owner, method, fields, extensions, body, seq, at, attempt, path, losses }
    }

    /// With this header field.
    pub(crate) fn field(mut self, name: HeaderName, value: impl Into<String>) -> Self {
        self.fields.push((name, value.into()));
        self
    }

    /// With these header fields of the application.
    pub(crate) fn extended(mut self, extensions: Vec<(String, String)>) -> Self {
        self.extensions = extensions;
        self
    }

    /// With this body.
    pub(crate) fn carrying(mut self, body: Content) -> Self {
        self.body = Some(body);
        self
    }

    /// Its method.
    pub(crate) fn method(&self) -> &Method {
        &self.method
    }

    /// What its owner reports of its final response.
    pub(crate) fn reply(&self, cx: &Context<'_>, response: &Message) -> Reply {
        Reply::of(response, cx.now().since(self.at))
    }

    /// Whether it has been sent.
    pub(crate) fn is_sent(&self) -> bool {
        self.path.is_some()
    }

    /// Sends it, unless it was sent. False while there is no path: the owner is notified when there
    /// is.
    ///
    /// # Errors
    /// When there can be none.
    pub(crate) fn send(&mut self, cx: &mut Context<'_>, dialog: &mut Dialog) -> Result<bool, Lost> {
        if self.is_sent() {
            return Ok(true);
        }
        match cx.reach_dialog(dialog, self.owner) {
            Reach::Open(path) => {
                if !dialog
                    .peer_connection()
                    .is_some_and(|it| cx.agent.connections.contains(it.flow()))
                {
                    dialog.set_peer_connection(path.peer_connection());
                }
                self.path = Some(path);
            }
            Reach::Later => return Ok(false),
            Reach::Never(lost) => return Err(lost),
        }
        self.send_again(cx, dialog);
        Ok(true)
    }

    /// Takes a response to it. A provisional one is [`Progress::Pending`]; after [`Progress::Final`]
    /// nothing more comes, but further 2xx to INVITE.
    pub(crate) fn handle_response(
        &mut self,
        cx: &mut Context<'_>,
        dialog: &mut Dialog,
        response: &Message,
    ) -> Progress {
        let Some(path) = self.path.clone() else { return Progress::Pending };
        match response.status().unwrap_or_default() {
            ..=199 => Progress::Pending,
            200..=299 => {
                cx.handle_success(&path, response);
                Progress::Final(None)
            }
            401 | 407 => match cx.handle_challenge(&path, response, &mut self.attempt) {
                Ok(()) if self.send_again(cx, dialog) => Progress::Pending,
                Ok(()) => Progress::Final(Some(Refusal::TooLarge)),
                Err(refusal) => Progress::Final(Some(refusal)),
            },
            _ => Progress::Final(None),
        }
    }

    /// Whether it failed because its connection ended, and can be [sent](Self::send) over another: who
    /// has left may not have heard it.
    pub(crate) fn repeats_after(&mut self, cause: FailureCause) -> bool {
        let was_connection = self.path.as_ref().is_some_and(|path| path.is_connection());
        if cause != FailureCause::Transport || !was_connection || self.losses >= MAX_LOSSES {
            return false;
        }
        self.losses += 1;
        (self.path, self.attempt) = (None, Attempt::default());
        true
    }

    /// Whether it is under way on this flow.
    pub(crate) fn is_on(&self, flow: Flow) -> bool {
        self.path.as_ref().is_some_and(|path| path.flow == flow)
    }

    /// Whether this is its latest transaction.
    pub(crate) fn is_of(&self, client: ClientId) -> bool {
        self.attempt.is(client)
    }

    /// The CSeq number of the latest sending; 0 before the first.
    pub(crate) fn seq(&self) -> u32 {
        self.seq
    }

    /// The CSeq number and the credentials, for the ACK of an INVITE.
    pub(crate) fn into_invite(self) -> (u32, Attempt) {
        (self.seq, self.attempt)
    }

    /// Withdraws an INVITE (§9.1); what comes is still its final response.
    pub(crate) fn cancel(&self, cx: &mut Context<'_>) {
        cx.cancel_invite(&self.attempt, &[]);
    }

    /// Forgets it: what still comes is a stray.
    pub(crate) fn close(mut self, cx: &mut Context<'_>) {
        cx.abandon(&mut self.attempt);
    }

    fn send_again(&mut self, cx: &mut Context<'_>, dialog: &mut Dialog) -> bool {
        let Some(path) = self.path.clone() else { return false };
        (self.seq, self.at) = (dialog.next_seq(), cx.now());
        let mut request = Request::within(dialog, self.method.clone(), self.seq);
        request.fields.clone_from(&self.fields);
        request.extensions = &self.extensions;
        request.body = self.body.as_ref().map(|body| (&*body.kind, &*body.bytes));
        cx.send(&path, &request, &mut self.attempt, self.owner)
    }
}

impl<'a> Request<'a> {
    /// A request within a dialog (§12.2.1.1).
    pub(crate) fn within(dialog: &'a Dialog, method: Method, seq: u32) -> Self {
        Self {
            method,
            course: dialog.course(),
            from: dialog.local(),
            to: dialog.remote(),
            call_id: dialog.call_id(),
            seq,
            fields: Vec::new(),
            extensions: &[],
            body: None,
        }
    }
}

impl Context<'_> {
    /// A path to the next hop of a dialog: the connection on which the far end was heard last, or one
    /// to where it says that it is.
    pub(crate) fn reach_dialog(&mut self, dialog: &Dialog, owner: Owner) -> Reach {
        let hop = match self.agent.hop_of_course(dialog.course().next_hop, dialog.is_secure()) {
            Ok(hop) => hop,
            Err(error) => return Reach::Never(Lost::Because(error)),
        };
        match self.agent.path_back(dialog.peer_connection(), &hop) {
            Some(path) => Reach::Open(Arc::new(path)),
            None => self.reach(&hop, owner),
        }
    }

    /// No path leads to the next hop of a dialog. From now on the connection on which the far end was
    /// heard last is used for its requests, if it lives; false when it does not.
    pub(crate) fn fall_back(&self, dialog: &mut Dialog) -> bool {
        let hop = self.agent.hop_of_course(dialog.course().next_hop, dialog.is_secure());
        match (hop, dialog.peer_connection_mut()) {
            (Ok(hop), Some(connection)) => self.agent.falls_back_on(connection, &hop),
            _ => false,
        }
    }
}
