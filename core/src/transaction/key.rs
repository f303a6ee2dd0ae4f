//! Which transaction a message belongs to (RFC 3261 §17.1.3, §17.2.3).
//!
//! What identifies a transaction is put through a keyed hash of 128 bits, and the table holds that
//! instead of the texts: an entry is small however long a branch a peer makes up, and nobody without
//! the key can make two that are equal.

use core::hash::Hasher;

use siphasher::sip128::{Hasher128, SipHasher13};

use crate::host::Entropy;
use crate::sip::{Message, Method};

/// What identifies a transaction, hashed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct Key(u64, u64);

/// Makes [`Key`]s; each layer has a secret of its own.
#[derive(Clone, Debug)]
pub(super) struct Keys {
    secret: SipHasher13,
}

/// What a key is for: keys of different kinds never meet.
#[derive(Clone, Copy)]
enum Kind {
    Client,
    Server,
    /// A server transaction of an RFC 2543 client.
    Legacy,
    /// The ACK of such a client.
    LegacyAck,
    Merge,
    Tag,
}

impl Keys {
    pub(super) fn new<E: Entropy + ?Sized>(entropy: &mut E) -> Self {
        Self { secret: SipHasher13::new_with_keys(entropy.random(), entropy.random()) }
    }

    /// The client transaction of a request with that branch (§17.1.3).
    pub(super) fn client(&self, branch: &str, method: &Method) -> Key {
        self.start(Kind::Client).folded(branch).exact(method.as_str()).finish()
    }

    /// The server transaction that a request makes or belongs to, taken for one of `method`: its
    /// own; INVITE for an ACK (§17.2.3); that of the request to be ended for a CANCEL (§9.2).
    pub(super) fn server(&self, request: &Message, method: &Method) -> Key {
        let via = request.via();
        let Some(branch) = via.transaction_branch() else {
            return self.legacy(request, method);
        };
        // §7.3.1: parameter values do not differ by case, nor do host names. The number of CSeq is
        // not in the RFC's list, but copies of a request, its ACK and its CANCEL all have it, and
        // some clients use a branch again when they authenticate.
        self.start(Kind::Server)
            .folded(branch)
            .folded(via.host())
            .number(via.port().map_or(u64::MAX, u64::from))
            .number(request.cseq().into())
            .exact(method.as_str())
            .finish()
    }

    /// The second list of §17.2.3, for requests of RFC 2543.
    fn legacy(&self, request: &Message, method: &Method) -> Key {
        self.start(Kind::Legacy)
            .optional(request.to_tag())
            .identity(request)
            .exact(method.as_str())
            .finish()
    }

    /// What the INVITE of an RFC 2543 client and its ACK have in common, if `request` is of one:
    /// the method and the To tag differ.
    pub(super) fn legacy_ack(&self, request: &Message) -> Option<Key> {
        if request.via().transaction_branch().is_some() {
            return None;
        }
        Some(self.start(Kind::LegacyAck).identity(request).finish())
    }

    /// What merged requests have in common, if `request` may be one (§8.2.2.2).
    pub(super) fn merge(&self, request: &Message) -> Option<Key> {
        if request.to_tag().is_some() || *request.method() == Method::Cancel {
            return None;
        }
        let key = self.start(Kind::Merge).optional(request.from_tag()).exact(request.call_id());
        let key = key.number(request.cseq().into()).exact(request.method().as_str());
        Some(key.finish())
    }

    /// A To tag for a response that the layer makes itself: the same whenever the same request
    /// comes (§8.2.7).
    pub(super) fn tag(&self, request: &Message) -> String {
        let key = self.start(Kind::Tag).exact(request.via().as_str()).identity(request).finish();
        format!("{:016x}", key.0)
    }

    fn start(&self, kind: Kind) -> Hash {
        Hash(self.secret).number(kind as u64)
    }
}

/// A key in the making. Every part is followed or preceded by its length, so that parts never run
/// into each other.
struct Hash(SipHasher13);

impl Hash {
    fn exact(mut self, text: &str) -> Self {
        self.0.write(text.as_bytes());
        self.number(text.len() as u64)
    }

    /// Text in which case makes no difference.
    fn folded(mut self, text: &str) -> Self {
        let mut lower = [0; 64];
        for chunk in text.as_bytes().chunks(lower.len()) {
            for (to, from) in lower.iter_mut().zip(chunk) {
                *to = from.to_ascii_lowercase();
            }
            self.0.write(lower.get(..chunk.len()).unwrap_or_default());
        }
        self.number(text.len() as u64)
    }

    fn optional(self, text: Option<&str>) -> Self {
        match text {
            Some(text) => self.number(1).exact(text),
            None => self.number(0),
        }
    }

    fn number(mut self, number: u64) -> Self {
        self.0.write(&number.to_le_bytes());
        self
    }

    /// Request-URI, From tag, Call-ID, CSeq number and top Via (§17.2.3). They are compared as
    /// they came: a copy of a request has them byte for byte.
    fn identity(self, request: &Message) -> Self {
        self.optional(request.request_uri())
            .optional(request.from_tag())
            .exact(request.call_id())
            .number(request.cseq().into())
            .exact(request.via().as_str())
    }

    fn finish(self) -> Key {
        let hash = self.0.finish128();
        Key(hash.h1, hash.h2)
    }
}
