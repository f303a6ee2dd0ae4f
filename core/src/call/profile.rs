//! What is known about a call, in a form that costs nothing to pass on.

use std::sync::Arc;

use super::CallInfo;
use crate::codec::Codec;
use crate::event::{CallDirection, CallId, CallState};
use crate::sdp::Direction;
use crate::sip::{Message, NameAddr};

/// What is known about a call at one moment: what a [`CallInfo`] is made from. Cheap to clone, for
/// texts are shared; nothing is read out of them until [`info`](Self::info) is asked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CallProfile {
    pub(super) id: CallId,
    pub(super) direction: CallDirection,
    pub(super) state: CallState,
    pub(super) parties: Parties,
    pub(super) codec: Option<Codec>,
    pub(super) streams: usize,
    pub(super) media: Option<Direction>,
    pub(super) held: bool,
    pub(super) holding: bool,
}

/// Who calls whom.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Parties {
    /// A call of ours.
    Ours {
        /// The far end: a name-addr without its tag.
        remote: Arc<str>,
        /// Ourselves likewise; empty until there is a path to the far end.
        local: Arc<str>,
        /// Empty until the call first crosses.
        call_id: Arc<str>,
    },
    /// A call that came in: its INVITE, as text, for a parsed message is larger and calls are many.
    Theirs(Arc<[u8]>),
}

impl CallProfile {
    /// The call's number.
    pub fn id(&self) -> CallId {
        self.id
    }

    /// Who began it.
    pub fn direction(&self) -> CallDirection {
        self.direction
    }

    /// Where it stands.
    pub fn state(&self) -> CallState {
        self.state
    }

    /// All of it, each thing by itself.
    pub fn info(&self) -> CallInfo {
        let mut info = CallInfo {
            id: self.id,
            direction: self.direction,
            state: self.state,
            remote: String::new(),
            remote_name: None,
            local: String::new(),
            call_id: String::new(),
            request_uri: String::new(),
            headers: Vec::new(),
            body: Vec::new(),
            codec: self.codec,
            streams: self.streams,
            media: self.media,
            held: self.held,
            holding: self.holding,
        };
        match &self.parties {
            Parties::Ours { remote, local, call_id } => {
                (info.remote, info.remote_name) = match NameAddr::parse(remote) {
                    Ok(remote) => parts(&remote),
                    Err(_) => (remote.as_ref().to_owned(), None),
                };
                info.local = NameAddr::parse(local)
                    .map_or_else(|_| local.as_ref().to_owned(), |local| local.uri_str().to_owned());
                info.call_id = call_id.as_ref().to_owned();
            }
            Parties::Theirs(invite) => {
                let Ok(invite) = Message::parse(invite) else { return info };
                (info.remote, info.remote_name) = parts(&invite.from());
                info.local = invite.to().uri_str().to_owned();
                info.call_id = invite.call_id().to_owned();
                info.request_uri = invite.request_uri().unwrap_or_default().to_owned();
                info.body = invite.body().to_owned();
                let fields = invite.fields();
                info.headers = fields.map(|(n, v)| (n.to_owned(), v.to_owned())).collect();
            }
        }
        info
    }
}

/// The URI and the display name.
fn parts(address: &NameAddr<'_>) -> (String, Option<String>) {
    let name = address.display_name().into_owned();
    (address.uri_str().to_owned(), (!name.is_empty()).then_some(name))
}
