//! `--header`: what the user adds to requests and answers.

use std::net::SocketAddr;

use offhook::core::phone::check_header;
use offhook::core::sip::{Message, Method};
use offhook::{MessageAction, PhoneParameters, SipDraft, SipHandler};

use super::failure::Failure;

/// Has every phone of `parameters` add `headers`.
///
/// # Errors
/// For a header field that the phone writes itself, or that is none.
pub(crate) fn add(
    headers: &[(String, String)],
    parameters: &mut PhoneParameters,
) -> Result<(), Failure> {
    if headers.is_empty() {
        return Ok(());
    }
    for (name, value) in headers {
        check_header(name, value).map_err(offhook::Error::from)?;
    }
    let headers = headers.to_vec();
    *parameters = parameters.clone().sip_class(move || Added { headers: headers.clone() });
    Ok(())
}

/// Adds header fields.
struct Added {
    headers: Vec<(String, String)>,
}

impl Added {
    fn add(&self, draft: &mut SipDraft) {
        for (name, value) in &self.headers {
            draft.add(name, value);
        }
    }
}

impl SipHandler for Added {
    fn request_out(&mut self, request: &mut SipDraft, _: SocketAddr) -> MessageAction {
        if begins(request.message()) {
            self.add(request);
        }
        MessageAction::Pass
    }

    fn response_out(&mut self, response: &mut SipDraft, _: SocketAddr) -> MessageAction {
        if *response.message().method() == Method::Invite {
            self.add(response);
        }
        MessageAction::Pass
    }
}

/// Whether a request begins something: it is in no dialog, and about no other request.
fn begins(request: &Message) -> bool {
    request.to_tag().is_none() && !matches!(request.method(), Method::Ack | Method::Cancel)
}
