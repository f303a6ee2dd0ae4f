//! TLS (RFC 8446, RFC 5246): encrypted streams.
//!
//! rustls does the protocol. Here are the files that the parameters name ([`files`], [`key`]), who
//! connects ([`connector`]) and who is connected to ([`acceptor`]), which chains of certificates are
//! trusted ([`chain`]), the identities in a certificate ([`identities`]) and, in [`words`], the error
//! messages. The core checks whether a certificate names the domain that was asked for (RFC 5922).

mod acceptor;
mod chain;
mod connector;
mod files;
mod identities;
mod key;
#[cfg(test)]
mod tests;
mod words;

use std::sync::Arc;

use offhook_core::host::Transport;
use rustls::crypto::CryptoProvider;

use self::acceptor::Acceptor;
use self::chain::Names;
use self::connector::Connector;
use self::files::Own;
pub use self::files::TlsFiles;
use crate::error::Error;
use crate::host::dial::ConnectError;
use crate::host::security::{Handshake, Security, Stream};

/// Both ends of TLS, as the files of a phone or of an exchange want them.
#[derive(Debug)]
pub(crate) struct Tls {
    connector: Connector,
    acceptor: Option<Acceptor>,
}

impl Tls {
    /// Reads the files.
    ///
    /// # Errors
    /// [`Error::TlsFile`] with the file that cannot be used.
    pub(crate) fn load(files: &TlsFiles) -> Result<Self, Error> {
        let own = Own::load(files)?;
        let authorities = files.ca_file.as_deref().map(files::certificates).transpose()?;
        let acceptor = match &own {
            Some(own) => Some(Acceptor::new(own, files.client_ca_file.as_deref())?),
            None => None,
        };
        let connector = match files.insecure {
            true => Connector::insecure(own),
            false => Connector::new(own, authorities, files.ca_file.as_deref())?,
        };
        Ok(Self { connector, acceptor })
    }
}

impl Security for Tls {
    fn connect<'a>(&'a self, transport: Transport, stream: Stream, name: &'a str) -> Handshake<'a> {
        let names = if transport == Transport::Wss { Names::Https } else { Names::Sip };
        Box::pin(async move {
            let (stream, named) = self.connector.connect(stream, name, names).await?;
            Ok((Box::new(stream) as Stream, Some(named)))
        })
    }

    fn accept(&self, stream: Stream) -> Handshake<'_> {
        Box::pin(async move {
            let acceptor = self.acceptor.as_ref().ok_or(ConnectError::Unsupported)?;
            let (stream, named) = acceptor.accept(stream).await?;
            Ok((Box::new(stream) as Stream, named))
        })
    }
}

/// The algorithms, by name and not by what the process has as its default.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}
