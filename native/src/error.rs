//! What can go wrong with a phone and its calls, in sentences for the person who reads them.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use offhook_core::config::PhoneParameters;
use offhook_core::event::{Cause, EndedBy, Ending};

/// Why something on a [`Phone`](crate::Phone), a [`Call`](crate::Call) or a file failed.
#[derive(Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The phone refused the command: see [`offhook_core::error::Error`].
    #[error(transparent)]
    Phone(#[from] offhook_core::error::Error),
    /// A local address could not be bound.
    #[error("cannot listen on {what} {address}: {}", bind_problem(source))]
    Bind {
        /// The kind of socket.
        what: &'static str,
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: Arc<io::Error>,
    },
    /// The server refused the registration.
    #[error("{server} refused to register {user}: {} {}{}", cause.code, cause.reason, hint)]
    RegistrationRefused {
        /// The registrar.
        server: String,
        /// The user that was to be registered.
        user: String,
        /// Its final response.
        cause: Cause,
        /// What may help, in brackets; empty when nobody knows.
        hint: &'static str,
    },
    /// The server did not answer the registration.
    #[error(
        "{server} did not answer the registration of {user}: is it running, and is the address right?"
    )]
    RegistrationUnanswered {
        /// The registrar.
        server: String,
        /// The user that was to be registered.
        user: String,
    },
    /// The far end, or a server on the way, refused the call, its hold, or the message.
    #[error("it was refused: {} {}{}", cause.code, cause.reason, rejection_hint(cause.code))]
    Rejected {
        /// The final response.
        cause: Cause,
    },
    /// The call did not get through: the network refused it, or its target has no address.
    #[error("the call did not get through: is the far end running, and is its address right?")]
    Unreachable,
    /// Something that had to come did not come in time.
    #[error("{what} did not come within the time allowed")]
    Timeout {
        /// What was waited for.
        what: &'static str,
    },
    /// The call ended while, or before, something was done with it.
    #[error("the call is over: {}", ending(*by))]
    Ended {
        /// Who ended it.
        by: offhook_core::event::EndedBy,
    },
    /// The call stays as it was: the far end could not be asked, or the contrary was asked for before
    /// it had agreed.
    #[error("the call stays as it was: the far end could not be asked, or is asked otherwise now")]
    Unchanged,
    /// The phone is not running: it was not started, or it was stopped.
    #[error("the phone is not running: start it first")]
    NotRunning,
    /// The phone already runs.
    #[error("the phone is already running")]
    AlreadyRunning,
    /// Digits cannot be sent.
    #[error(transparent)]
    Dtmf(#[from] offhook_core::rtp::DtmfError),
    /// Too many marks wait to be played.
    #[error("{limit} marks wait to be played already")]
    TooManyMarks {
        /// How many may wait.
        limit: usize,
    },
    /// A file could not be read or written.
    #[error("{}: {problem}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// A certificate, a private key or a list of authorities cannot be used.
    #[error("{}: {problem}", path.display())]
    TlsFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, or with the password of the key in it.
        problem: String,
    },
    /// There is no certificate to show to those who connect over TLS.
    #[error(
        "cannot listen for TLS at {address} without a certificate: name its file (cert_file, --cert-file)"
    )]
    NoCertificate {
        /// Where it was to listen.
        address: SocketAddr,
    },
    /// A file is no WAV that can be played.
    #[error("{}: {problem}", path.display())]
    Wav {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: offhook_core::wav::WavError,
    },
}

/// The sentence as well: `main` shows the error that it returns in this way.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self} ({})", self.code())
    }
}

impl Error {
    /// The response that is to blame, if one is.
    pub fn cause(&self) -> Option<&Cause> {
        match self {
            Self::RegistrationRefused { cause, .. } | Self::Rejected { cause } => Some(cause),
            _ => None,
        }
    }

    /// The error for somebody who still wanted something of a call that has ended.
    pub(crate) fn of_ending(ending: &Ending) -> Self {
        match (&ending.error, &ending.cause, ending.by) {
            (Some(error), ..) => error.clone().into(),
            (None, _, EndedBy::Timeout) if !ending.was_answered() => {
                Self::Timeout { what: "an answer to the call" }
            }
            (None, Some(cause), EndedBy::Remote | EndedBy::Error) if !ending.was_answered() => {
                Self::Rejected { cause: cause.clone() }
            }
            (None, None, EndedBy::Error) if !ending.was_answered() => Self::Unreachable,
            (None, _, by) => Self::Ended { by },
        }
    }

    /// Why a request has no answer.
    pub(crate) fn unanswered(
        problem: Option<offhook_core::error::Error>,
        what: &'static str,
    ) -> Self {
        problem.map_or(Self::Timeout { what }, Self::Phone)
    }

    /// A word for programs; never changes for one kind of error.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Phone(refusal) => refusal.code(),
            Self::Bind { .. } => "bind",
            Self::RegistrationRefused { .. } => "registration_refused",
            Self::RegistrationUnanswered { .. } => "registration_unanswered",
            Self::Rejected { .. } => "rejected",
            Self::Unreachable => "unreachable",
            Self::Timeout { .. } => "timeout",
            Self::Ended { .. } => "ended",
            Self::Unchanged => "unchanged",
            Self::NotRunning => "not_running",
            Self::AlreadyRunning => "already_running",
            Self::Dtmf(_) => "dtmf",
            Self::TooManyMarks { .. } => "too_many_marks",
            Self::File { .. } => "file",
            Self::TlsFile { .. } => "tls_file",
            Self::NoCertificate { .. } => "no_certificate",
            Self::Wav { .. } => "wav",
        }
    }
}

/// Why registering failed: `failure` is the server's response, or `None` when none came.
pub(crate) fn registration(
    parameters: &PhoneParameters,
    failure: crate::phone::shared::Failure,
) -> Error {
    let host = parameters.server.as_deref().unwrap_or_default();
    let server = match parameters.port {
        0 => host.to_owned(),
        port if host.contains(':') => format!("[{host}]:{port}"),
        port => format!("{host}:{port}"),
    };
    let user = parameters.user.clone();
    match failure {
        (Some(cause), _) => {
            let hint = registration_hint(parameters, cause.code);
            Error::RegistrationRefused { server, user, cause, hint }
        }
        (None, Some(error)) => Error::Phone(error),
        (None, None) => Error::RegistrationUnanswered { server, user },
    }
}

/// What the system says of an error, without its number.
#[doc(hidden)]
pub fn io_problem(error: &dyn std::fmt::Display) -> String {
    let text = error.to_string();
    text.split_once(" (os error ").map_or(&*text, |(words, _)| words).to_owned()
}

/// The same of a file that is to be read.
#[doc(hidden)]
pub fn file_problem(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "there is no such file".into(),
        _ => io_problem(error),
    }
}

fn bind_problem(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => "the port is in use by another program; \
             stop it, or bind another port (0 picks a free one)"
            .into(),
        io::ErrorKind::AddrNotAvailable => "this machine does not have that address".into(),
        io::ErrorKind::PermissionDenied => {
            "ports below 1024 need a privilege; bind a higher one".into()
        }
        _ => io_problem(error),
    }
}

fn registration_hint(parameters: &PhoneParameters, code: u16) -> &'static str {
    match code {
        401 | 403 | 407 if parameters.credentials.is_empty() => " (no password was given)",
        401 | 407 if parameters.realm.is_some() => " (are the password and the realm right?)",
        401 | 403 | 407 => " (is the password right?)",
        404 => " (the server does not know this user)",
        _ => "",
    }
}

fn rejection_hint(code: u16) -> &'static str {
    match code {
        401 | 407 => " (are the user and the password right?)",
        403 => " (the server or the far end does not allow it)",
        404 => " (nobody has this number there)",
        408 => " (the server had no answer from the far end in time)",
        480 => " (the far end cannot be reached, or takes no calls now)",
        486 | 600 => " (the other side is busy)",
        488 => " (the two sides may have no codec in common)",
        603 => " (the far end does not want it)",
        513 => " (it is too large)",
        _ => "",
    }
}

fn ending(by: EndedBy) -> &'static str {
    match by {
        EndedBy::Local => "this side ended it",
        EndedBy::Remote => "the far end ended it",
        EndedBy::Timeout => "the far end fell silent",
        EndedBy::Error => "it failed",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_named_with_the_port_that_was_said() {
        for (server, named) in [
            ("pbx.test", "pbx.test did"),
            ("pbx.test:5060", "pbx.test:5060 did"),
            ("pbx.test:5080", "pbx.test:5080 did"),
            ("[2001:db8::1]:5080", "[2001:db8::1]:5080 did"),
        ] {
            let error = registration(&PhoneParameters::new(server, "alice"), (None, None));
            assert!(error.to_string().starts_with(named), "{error}");
        }
    }
}
