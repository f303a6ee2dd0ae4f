//! Who a scripted peer is in its requests.

use super::scripted::message_text;

/// The party that a [`ScriptedPeer`](super::ScriptedPeer) plays: it writes the requests of one series, with
/// one Call-ID and one tag of its own.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ScriptedParty {
    /// The display name: `Tester`.
    pub name: &'static str,
    /// The user of its URI, and its tag: `tester`.
    pub user: &'static str,
    /// Its IP address; it listens on port 5060.
    pub ip: &'static str,
    /// The part of the Call-ID before its address.
    pub call_id: &'static str,
    /// The URI of the other party: `sip:bob@10.0.0.2`.
    pub peer: &'static str,
}

impl ScriptedParty {
    /// The URI of its Contact.
    pub fn contact(&self) -> String {
        format!("sip:{}@{}:5060", self.user, self.ip)
    }

    /// A request to the other party: with the tag in To once there is a dialog; `more` as
    /// [`message_text`] takes it.
    pub fn request(&self, method: &str, seq: u32, to_tag: Option<&str>, more: &str) -> String {
        self.request_to(self.peer, method, seq, to_tag, more)
    }

    /// The same with a Request-URI of its own.
    pub fn request_to(
        &self,
        uri: &str,
        method: &str,
        seq: u32,
        to_tag: Option<&str>,
        more: &str,
    ) -> String {
        let Self { name, user, ip, call_id, peer } = self;
        let to_tag = to_tag.map(|tag| format!(";tag={tag}")).unwrap_or_default();
        let head = format!(
            "{method} {uri} SIP/2.0\n\
             Via: SIP/2.0/UDP {ip}:5060;branch=z9hG4bK{method}{seq};rport\n\
             Max-Forwards: 70\nFrom: {name} <sip:{user}@{ip}>;tag={user}\n\
             To: <{peer}>{to_tag}\nCall-ID: {call_id}@{ip}\nCSeq: {seq} {method}\n\
             Contact: <{}>",
            self.contact()
        );
        message_text(&head, more)
    }
}
