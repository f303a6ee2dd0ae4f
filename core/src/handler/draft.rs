//! A message in a handler's hands: [`SipDraft`].

use core::ops::Deref;

use super::is_identity;
use crate::sip::{MediaType, Message, Writer, check_name, check_value, is_same_name};

/// A message that a handler is shown and may change. It reads as the [`Message`] before any change.
///
/// Header fields and the body can be changed, but Via, From, To, Call-ID, CSeq and Content-Length
/// cannot, nor the first line: they match messages to transactions and dialogs. Every other field
/// may, those that the phone wrote included, and the handler answers for the consequences: the peer
/// sends to a changed Contact, and the phone's media does not follow a changed session description.
/// Credentials were computed before a handler sees a request.
///
/// A change that cannot be made (one of those fields, a value with a line feed) and a message that
/// cannot be read again with it are refused: the message goes on as it was, without any of the
/// changes, and [`Counters::changes_refused`](crate::phone::Counters::changes_refused) counts it.
#[derive(Clone, Debug)]
pub struct SipDraft {
    message: Message,
    changes: Vec<Change>,
    /// Whether a change cannot be made.
    spoilt: bool,
}

#[derive(Clone, Debug)]
enum Change {
    Add(String, String),
    Remove(String),
    Body(Vec<u8>),
}

/// What a handler has made of a message.
pub(crate) enum DraftOutcome {
    /// Nothing.
    Same,
    /// This, read again.
    Changed(Message),
    /// What cannot be.
    Refused,
}

impl SipDraft {
    pub(crate) fn new(message: Message) -> Self {
        Self { message, changes: Vec::new(), spoilt: false }
    }

    /// The message before any change.
    pub fn message(&self) -> &Message {
        &self.message
    }

    /// Replaces all header fields of that name by one.
    pub fn set(&mut self, name: &str, value: &str) -> &mut Self {
        self.remove(name).add(name, value)
    }

    /// Adds a header field after all others.
    pub fn add(&mut self, name: &str, value: &str) -> &mut Self {
        if check_name(name).is_err() || check_value(value).is_err() {
            self.spoilt = true;
        }
        self.change(name, Change::Add(name.to_owned(), value.to_owned()))
    }

    /// Removes every header field of that name, in long or compact form, in any case.
    pub fn remove(&mut self, name: &str) -> &mut Self {
        self.change(name, Change::Remove(name.to_owned()))
    }

    /// Replaces the body by one of that type; an empty body removes it.
    pub fn set_body(&mut self, content_type: &str, body: &[u8]) -> &mut Self {
        self.remove("Content-Type");
        if !body.is_empty() {
            self.spoilt |= MediaType::parse(content_type).is_err();
            self.add("Content-Type", content_type);
        }
        self.changes.push(Change::Body(body.to_owned()));
        self
    }

    /// Whether a change was asked for that cannot be made.
    pub fn is_spoilt(&self) -> bool {
        self.spoilt
    }

    pub(crate) fn finish(self) -> DraftOutcome {
        if self.spoilt {
            return DraftOutcome::Refused;
        }
        if self.changes.is_empty() {
            return DraftOutcome::Same;
        }
        match Message::parse(&self.write()) {
            Ok(message) => DraftOutcome::Changed(message),
            Err(_) => DraftOutcome::Refused,
        }
    }

    fn change(&mut self, name: &str, change: Change) -> &mut Self {
        self.spoilt |= is_identity(name);
        self.changes.push(change);
        self
    }

    fn write(&self) -> Vec<u8> {
        let message = &self.message;
        let fields = message.fields().filter(|(name, _)| !is_same_name(name, "Content-Length"));
        let mut fields: Vec<(&str, &str)> = fields.collect();
        let mut body = message.body();
        for change in &self.changes {
            match change {
                Change::Add(name, value) => fields.push((name, value)),
                Change::Remove(unwanted) => {
                    fields.retain(|(name, _)| !is_same_name(name, unwanted))
                }
                Change::Body(new) => body = new,
            }
        }
        let mut bytes = Vec::new();
        let mut writer = match message.status() {
            None => {
                let uri = message.request_uri().unwrap_or_default();
                Writer::request(&mut bytes, message.method(), uri)
            }
            Some(status) => Writer::response(&mut bytes, status, message.reason()),
        };
        for (name, value) in fields {
            writer.extension(name, value);
        }
        writer.finish_with(body);
        bytes
    }
}

impl Deref for SipDraft {
    type Target = Message;

    fn deref(&self) -> &Message {
        &self.message
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sip::HeaderName;

    const INVITE: &str = "INVITE sip:bob@10.0.0.2 SIP/2.0\r\n\
        v: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bKa\r\nFrom: <sip:a@h>;tag=1\r\nt: <sip:b@h>\r\n\
        i: one\r\nCSeq: 7 INVITE\r\nX-One: 1\r\nx-one: 2\r\nSubject: old\r\nc: text/plain\r\n\
        l: 2\r\n\r\nhi";

    fn draft() -> SipDraft {
        SipDraft::new(Message::parse(INVITE.as_bytes()).unwrap())
    }

    fn changed(draft: SipDraft) -> Message {
        match draft.finish() {
            DraftOutcome::Changed(message) => message,
            DraftOutcome::Same => panic!("nothing was changed"),
            DraftOutcome::Refused => panic!("it was refused"),
        }
    }

    #[test]
    fn fields_and_body_are_changed_and_all_else_stays() {
        let mut draft = draft();
        draft.set("s", "new").remove("X-ONE").add("X-Two", "2").set_body("text/html", b"<p>");
        assert_eq!(draft.header(HeaderName::Subject), Some("old"), "it reads as it came");
        let message = changed(draft);
        assert_eq!(message.headers(HeaderName::Subject).collect::<Vec<_>>(), ["new"]);
        assert_eq!(message.header_by_name("X-One"), None);
        assert_eq!(message.header_by_name("x-two"), Some("2"));
        assert_eq!((message.body(), message.has_body("text", "html")), (&b"<p>"[..], true));
        assert_eq!(message.headers(HeaderName::ContentLength).count(), 1);
        assert_eq!((message.call_id(), message.cseq()), ("one", 7));
        assert_eq!((message.via().branch(), message.from_tag()), (Some("z9hG4bKa"), Some("1")));
        let mut draft = SipDraft::new(message);
        draft.set_body("", b"");
        let message = changed(draft);
        assert_eq!((message.body(), message.header(HeaderName::ContentType)), (&b""[..], None));
    }

    #[test]
    fn what_cannot_be_changed_spoils_the_draft() {
        assert!(matches!(draft().finish(), DraftOutcome::Same));
        type Spoil = fn(&mut SipDraft) -> &mut SipDraft;
        let spoils: [Spoil; 9] = [
            |draft| draft.set("Via", "SIP/2.0/UDP h"),
            |draft| draft.remove("v"),
            |draft| draft.add("call-id", "other"),
            |draft| draft.set("CSeq", "8 INVITE"),
            |draft| draft.set("t", "<sip:c@h>"),
            |draft| draft.set("l", "0"),
            |draft| draft.set("X-Three", "a\r\nb: c"),
            |draft| draft.add("a b", "c"),
            |draft| draft.set_body("nonsense", b"x"),
        ];
        for (index, spoil) in spoils.iter().enumerate() {
            let mut draft = draft();
            draft.set("X-Good", "1");
            spoil(&mut draft);
            assert!(draft.is_spoilt(), "{index}");
            assert!(matches!(draft.finish(), DraftOutcome::Refused), "{index}");
        }
        let mut large = draft();
        large.set_body("text/plain", &[b'x'; 300_000]);
        assert!(matches!(large.finish(), DraftOutcome::Refused), "no message is that long");
    }
}
