//! Where a phone's requests go first: its server and its outbound proxy.

use super::PhoneParameters;
use crate::error::Error;
use crate::locate::Hop;
use crate::sip::Uri;

impl PhoneParameters {
    /// The server's hop; `None` without a server.
    pub(crate) fn server_hop(&self) -> Option<Hop> {
        let port = (self.port != 0).then_some(self.port);
        Some(Hop::new(self.server.as_deref()?, port, self.transport))
    }

    /// The outbound proxy's hop, and its URI as a loose route (RFC 3261 §8.1.2); `None` without one.
    ///
    /// # Errors
    /// When it is no SIP URI that can be reached.
    pub(crate) fn proxy_hop(&self) -> Result<Option<(Hop, String)>, Error> {
        let Some(proxy) = &self.outbound_proxy else { return Ok(None) };
        let bare = proxy.trim();
        let bare = bare.strip_prefix('<').and_then(|p| p.strip_suffix('>')).unwrap_or(bare);
        let uri = Uri::parse(bare).ok().filter(|uri| !uri.has_headers());
        let hop = uri.as_ref().and_then(|uri| Hop::of(uri).ok());
        let (Some(uri), Some(hop)) = (uri, hop) else {
            let problem = "it is no SIP URI that can be reached";
            return Err(Error::invalid("outbound proxy", proxy, problem));
        };
        let loose = if uri.param("lr").is_some() { "" } else { ";lr" };
        Ok(Some((hop.by(self.transport), format!("{bare}{loose}"))))
    }

    /// The server as the host of URIs: with its port, if that is said and not the usual one.
    pub(crate) fn server_host(&self) -> Option<String> {
        let server = self.server.as_deref()?;
        let bare = server.strip_prefix('[').and_then(|s| s.strip_suffix(']')).unwrap_or(server);
        let usual = self.transport.unwrap_or_default().default_port();
        let joined = Hop::join(bare, self.port);
        Some(match self.port {
            port if port == 0 || port == usual => {
                let (host, _) = joined.rsplit_once(':').unwrap_or((&joined, ""));
                host.to_owned()
            }
            _ => joined,
        })
    }
}
