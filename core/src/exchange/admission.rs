//! Who may do what (RFC 3261 §22; §10.3 steps 3 to 5; §26.3.2.1).

use core::net::IpAddr;

use super::ExchangeParameters;
use super::domain::Domain;
use crate::auth::{Asker, DigestServer, Refusal};
use crate::host::Host;
use crate::sip::{Message, NameAddr, Uri, unescape};

/// Asks for passwords, for the registrar and for the proxy.
#[derive(Debug)]
pub(super) struct Admission {
    registrar: DigestServer,
    proxy: DigestServer,
}

/// Why a request is not let in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Denied {
    /// It has to be sent again with credentials (or with a fresh nonce).
    Challenge { stale: bool },
    /// The name or the password is wrong.
    Wrong,
    /// It is refused for good.
    Refused(u16),
}

impl Admission {
    pub(super) fn new(host: &mut dyn Host, parameters: &ExchangeParameters) -> Self {
        let mut server = || DigestServer::new(host, &parameters.realm, &parameters.algorithms);
        Self { registrar: server(), proxy: server() }
    }

    /// The user of ours as whom a request shows credentials, be they right or wrong.
    pub(super) fn claimed(
        &mut self,
        asker: Asker,
        request: &Message,
        parameters: &ExchangeParameters,
    ) -> Option<String> {
        let claimed = self.server(asker).claimed(request.headers(asker.credentials_field()))?;
        parameters.users.iter().any(|(name, _)| *name == claimed).then_some(claimed)
    }

    /// Lets a request from `source` in if its sender proves to be the user that `identity` names: To in a
    /// REGISTER, From elsewhere. Tells the user's name.
    pub(super) fn admit(
        &mut self,
        host: &mut dyn Host,
        asker: Asker,
        (request, source): (&Message, IpAddr),
        identity: &NameAddr<'_>,
        parameters: &ExchangeParameters,
        domain: &Domain,
    ) -> Result<String, Denied> {
        let password = |user: &str| {
            let entry = parameters.users.iter().find(|(name, _)| name == user);
            entry.map(|(_, password)| password.clone())
        };
        let (method, fields) =
            (request.method().as_str(), request.headers(asker.credentials_field()));
        let server = self.server(asker);
        let verified = server.verify(host, source, fields, method, request.body(), password);
        let user = match verified {
            Ok(verified) if is_meant(&verified.uri, request, domain) => verified.username,
            Ok(_) => return Err(Denied::Refused(400)),
            Err(Refusal::Missing) => return Err(Denied::Challenge { stale: false }),
            Err(Refusal::Stale) => return Err(Denied::Challenge { stale: true }),
            Err(Refusal::Malformed) => return Err(Denied::Refused(400)),
            Err(Refusal::Wrong) => return Err(Denied::Wrong),
        };
        match user_of(identity, domain) {
            Some(claimed) if claimed == user => Ok(user),
            _ => Err(Denied::Refused(403)),
        }
    }

    /// The challenges to send to `source`.
    pub(super) fn challenges(
        &mut self,
        host: &mut dyn Host,
        asker: Asker,
        source: IpAddr,
        stale: bool,
    ) -> Vec<String> {
        self.server(asker).challenges(host, source, stale)
    }

    fn server(&mut self, asker: Asker) -> &mut DigestServer {
        match asker {
            Asker::Server => &mut self.registrar,
            Asker::Proxy => &mut self.proxy,
        }
    }
}

/// Whether credentials were made for this request (RFC 7616 §3.4.6). Not every phone repeats the
/// Request-URI to the letter, so any URI of ours will do.
fn is_meant(uri: &str, request: &Message, domain: &Domain) -> bool {
    request.request_uri() == Some(uri) || Uri::parse(uri).is_ok_and(|uri| domain.is_ours(&uri))
}

/// The name of the user of ours that an address means.
pub(super) fn user_of(address: &NameAddr<'_>, domain: &Domain) -> Option<String> {
    let uri = address.uri();
    let user = uri.user().filter(|_| domain.is_ours(&uri))?;
    Some(unescape(user).into_owned())
}
