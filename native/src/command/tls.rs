//! The options of TLS.

use std::path::{Path, PathBuf};

use clap::Args;
use offhook::core::config::KeyPassword;
use offhook::{Error, PhoneParameters, file_problem};

use super::failure::Failure;

/// Whom a phone trusts, and what it shows of itself.
#[derive(Args, Debug)]
#[command(next_help_heading = "TLS")]
pub(crate) struct Tls {
    /// The authorities that may sign the certificates of servers, in PEM [default: those that the
    /// system trusts]; a server's own certificate may stand here too
    #[arg(long, value_name = "FILE")]
    pub(crate) ca_file: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) own: Own,
    /// Take any certificate of any server, which anybody on the way can make; for tests alone
    #[arg(long)]
    pub(crate) tls_insecure: bool,
}

/// What is shown to others.
#[derive(Args, Debug)]
#[command(next_help_heading = "TLS")]
pub(crate) struct Own {
    /// Our certificate in PEM, and after it those up to its authority; for those who connect to us,
    /// and for servers that ask for one
    #[arg(long, value_name = "FILE")]
    pub(crate) cert_file: Option<PathBuf>,
    /// The private key of --cert-file in PEM [default: it stands in that file]
    #[arg(long, value_name = "FILE", requires = "cert_file")]
    pub(crate) key_file: Option<PathBuf>,
    /// A file whose first line is the password of an encrypted private key
    #[arg(long, value_name = "FILE", requires = "cert_file")]
    pub(crate) key_password_file: Option<PathBuf>,
    /// The authorities that may sign the certificates of those who connect to us, in PEM; a peer that
    /// shows none is turned away [default: nobody is asked for one]
    #[arg(long, value_name = "FILE", requires = "cert_file")]
    pub(crate) client_ca_file: Option<PathBuf>,
}

impl Tls {
    /// What is said when nobody is checked.
    pub(crate) const INSECURE: &str = "--tls-insecure: the certificates of servers are not checked; \
         anybody on the way can listen and change what is said";

    /// Sets what the options say.
    pub(crate) fn apply(&self, parameters: &mut PhoneParameters) -> Result<(), Failure> {
        parameters.ca_file.clone_from(&self.ca_file);
        parameters.cert_file.clone_from(&self.own.cert_file);
        parameters.key_file.clone_from(&self.own.key_file);
        parameters.key_password = self.own.key_password()?;
        parameters.client_ca_file.clone_from(&self.own.client_ca_file);
        parameters.tls_insecure = self.tls_insecure;
        Ok(())
    }
}

impl Own {
    /// The password in the file that was named.
    pub(crate) fn key_password(&self) -> Result<Option<KeyPassword>, Failure> {
        self.key_password_file.as_deref().map(first_line).transpose()
    }
}

/// The first line of a file, whatever its bytes.
fn first_line(path: &Path) -> Result<KeyPassword, Failure> {
    let bytes = std::fs::read(path).map_err(|error| {
        let problem = file_problem(&error);
        Failure::from(Error::TlsFile { path: path.to_owned(), problem })
    })?;
    let line = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    Ok(line.strip_suffix(b"\r").unwrap_or(line).into())
}
