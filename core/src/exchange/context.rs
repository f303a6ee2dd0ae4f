//! The response context of a forwarded request (RFC 3261 §16.7) and the choice among its responses.

use super::side::PeerFlow;
use super::target::Target;
use crate::host::{Flow, RequestId};
use crate::sip::{HeaderName, Message, Method, Reason};
use crate::timers::TimerId;
use crate::transaction::{ClientId, ServerId};

/// A request that was forwarded, and what became of it.
#[derive(Debug)]
pub(super) struct ResponseContext {
    pub(super) server: ServerId,
    pub(super) request: Message,
    /// Where it came from.
    pub(super) origin: PeerFlow,
    /// Whether it belongs to a call that we connected.
    pub(super) sealed: bool,
    pub(super) branches: Vec<Branch>,
    /// Whether a final response was passed on.
    pub(super) answered: bool,
    /// Why what is under way is cancelled (RFC 3326).
    pub(super) reasons: Vec<Reason>,
    /// Keeps the context for further 2xx responses after the first.
    pub(super) linger: Option<TimerId>,
}

/// One target of a forwarded request.
#[derive(Debug)]
pub(super) struct Branch {
    pub(super) target: Target,
    pub(super) state: BranchState,
    /// Its transaction, also after the first final response: more 2xx may follow.
    pub(super) client: Option<ClientId>,
    /// The connection by which an INVITE went.
    pub(super) flow: Option<Flow>,
    /// While waiting for the host: when to stop; in an INVITE's call: Timer C (§16.6 step 11).
    pub(super) timer: Option<TimerId>,
}

/// ```text
/// Waiting --- flow open --> Sent --- final response, failure --> Done
///    |                                                            ^
///    +--- no way, cancelled --------------------------------------+
/// ```
#[derive(Debug)]
pub(super) enum BranchState {
    /// The host was asked for an address or a flow.
    Waiting(RequestId),
    /// The request is under way.
    Sent {
        client: ClientId,
        /// Whether a provisional response came: CANCEL may be sent (§9.1).
        provisional: bool,
        /// Whether the branch is to be cancelled, or was.
        cancelled: bool,
    },
    /// It is over.
    Done(BranchOutcome),
}

/// How a branch ended.
#[derive(Clone, Debug)]
pub(super) enum BranchOutcome {
    /// With a response.
    Response(Message),
    /// Without one: this status code stands for what happened.
    Failed(u16),
}

impl BranchOutcome {
    pub(super) fn status(&self) -> u16 {
        match self {
            Self::Response(response) => response.status().unwrap_or(500),
            Self::Failed(status) => *status,
        }
    }

    /// Whether the flow to the target has failed rather than the target itself (RFC 5626 §7).
    pub(super) fn is_flow_failure(&self) -> bool {
        match self {
            Self::Response(response) => response.status() == Some(430),
            Self::Failed(status) => matches!(status, 408 | 480),
        }
    }

    /// Which of two is better, the lesser being so (§16.7 step 6): a 6xx before all, then the lowest
    /// class, in 4xx first what helps the caller to try again, last what says nothing.
    fn rank(&self) -> (u16, u8) {
        let status = self.status();
        let class = match status / 100 {
            6 => 0,
            class => class,
        };
        let detail = match self {
            Self::Failed(_) => 3,
            Self::Response(_) => match status {
                401 | 407 | 415 | 420 | 484 => 0,
                408 | 487 | 503 => 2,
                _ => 1,
            },
        };
        (class, detail)
    }
}

impl Branch {
    /// Whether the host has not said yet how to reach the target.
    pub(super) fn waits(&self) -> bool {
        matches!(self.state, BranchState::Waiting(_))
    }

    /// Whether its INVITE has had a provisional response, and no final one.
    pub(super) fn rings(&self) -> bool {
        matches!(self.state, BranchState::Sent { provisional: true, .. })
    }

    /// Whether it is to be cancelled, or was.
    pub(super) fn is_cancelled(&self) -> bool {
        matches!(self.state, BranchState::Sent { cancelled: true, .. })
    }
}

impl ResponseContext {
    pub(super) fn is_invite(&self) -> bool {
        *self.request.method() == Method::Invite
    }

    /// Whether every branch is over.
    pub(super) fn is_done(&self) -> bool {
        self.branches.iter().all(|branch| matches!(branch.state, BranchState::Done(_)))
    }

    /// Whether a branch ended with a 2xx.
    pub(super) fn is_accepted(&self) -> bool {
        self.outcomes().any(|outcome| outcome.status() / 100 == 2)
    }

    /// The response to pass on when there is no 2xx; the first of equals.
    pub(super) fn best(&self) -> Option<&BranchOutcome> {
        self.outcomes().min_by_key(|outcome| outcome.rank())
    }

    /// §16.7 step 7: the challenges of all branches but the chosen, for a 401 or 407.
    pub(super) fn other_challenges(&self, chosen: &Message) -> Vec<(HeaderName, String)> {
        let mut challenges = Vec::new();
        for outcome in self.outcomes() {
            let BranchOutcome::Response(response) = outcome else { continue };
            let asks = matches!(response.status(), Some(401 | 407));
            if !asks || core::ptr::eq(response.bytes(), chosen.bytes()) {
                continue;
            }
            for name in [HeaderName::WwwAuthenticate, HeaderName::ProxyAuthenticate] {
                challenges.extend(response.headers(name).map(|value| (name, value.to_owned())));
            }
        }
        challenges
    }

    fn outcomes(&self) -> impl Iterator<Item = &BranchOutcome> {
        self.branches.iter().filter_map(|branch| match &branch.state {
            BranchState::Done(outcome) => Some(outcome),
            _ => None,
        })
    }
}
