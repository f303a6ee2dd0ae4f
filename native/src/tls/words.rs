//! What is wrong, in words that end a sentence and say what to do.

use std::io;

use rustls::pki_types::UnixTime;
use rustls::{AlertDescription, CertificateError, Error};
use x509_cert::der::DateTime;

use crate::host::dial::ConnectError;

/// Why a handshake with a server that was asked for as `name` failed; `shown` says whether it had
/// asked for a certificate of ours, and if so, whether there was one.
pub(super) fn of_server(error: io::Error, name: &str, presented: Option<bool>) -> ConnectError {
    let Some(problem) = inner(&error) else { return lost(error, presented) };
    ConnectError::Untrusted(match problem {
        Error::InvalidCertificate(problem) => certificate(problem),
        Error::AlertReceived(alert) => return refused(*alert, name, presented),
        Error::InvalidMessage(_) => "it speaks no TLS there (is the port right?)".into(),
        Error::PeerIncompatible(_) => "it speaks no TLS that is safe (1.2 or 1.3)".into(),
        Error::NoCertificatesPresented => "it has presented no certificate".into(),
        problem => format!("the TLS handshake failed: {problem}"),
    })
}

/// Why a handshake with a client failed.
pub(super) fn of_client(error: io::Error) -> ConnectError {
    match inner(&error) {
        Some(problem) => ConnectError::Untrusted(match problem {
            Error::InvalidCertificate(problem) => certificate(problem),
            Error::NoCertificatesPresented => "it has presented no certificate".into(),
            Error::InvalidMessage(_) => "it speaks no TLS".into(),
            Error::PeerIncompatible(_) => "it speaks no TLS that is safe (1.2 or 1.3)".into(),
            Error::AlertReceived(alert) => format!("it refused our certificate ({alert:?})"),
            problem => format!("the TLS handshake failed: {problem}"),
        }),
        None => error.into(),
    }
}

/// What is wrong with a certificate of a peer.
fn certificate(problem: &CertificateError) -> String {
    use CertificateError as Problem;
    match problem {
        Problem::Expired => "its certificate has expired".into(),
        Problem::ExpiredContext { not_after, .. } => {
            format!("its certificate expired on {}", date(*not_after))
        }
        Problem::NotValidYet => "its certificate is not valid yet (is the clock right?)".into(),
        Problem::NotValidYetContext { not_before, .. } => {
            let from = date(*not_before);
            format!("its certificate is valid from {from} only (is the clock right?)")
        }
        Problem::Revoked => "its certificate was revoked".into(),
        Problem::UnknownIssuer => {
            "its certificate is self-signed, or signed by an authority that is not trusted here (give --ca-file)"
                .into()
        }
        Problem::BadSignature => "its certificate is signed wrongly".into(),
        Problem::NotValidForName => "its certificate is for another name".into(),
        Problem::NotValidForNameContext { expected, presented } if presented.is_empty() => {
            let name = expected.to_str();
            format!("its certificate has no DNS name and no address, as HTTPS wants it: not {name}")
        }
        Problem::NotValidForNameContext { expected, presented } => {
            let named: Vec<&str> = presented.iter().map(|name| bare(name)).collect();
            let (named, name) = (named.join(", "), expected.to_str());
            format!("its certificate is for {named}, not {name}")
        }
        Problem::InvalidPurpose | Problem::InvalidPurposeContext { .. } => {
            "its certificate is not one for this end of TLS (extendedKeyUsage)".into()
        }
        Problem::UnhandledCriticalExtension => {
            "its certificate makes a demand that is not known here".into()
        }
        Problem::BadEncoding => "its certificate cannot be read".into(),
        Problem::Other(problem) => match problem.to_string().as_str() {
            "CaUsedAsEndEntity" => {
                "its certificate is that of an authority, as self-signed ones often are, and is not trusted here (give --ca-file)"
                    .into()
            }
            "UnsupportedCertVersion" => "its certificate is older than version 3".into(),
            other => format!("its certificate is not valid: {other}"),
        },
        other => format!("its certificate is not valid: {other}"),
    }
}

/// A name as a certificate has it: rustls tells `DnsName("example.com")`.
fn bare(presented: &str) -> &str {
    let inner = presented.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')'));
    inner.map_or(presented, |inner| inner.trim_matches('"'))
}

/// What is wrong with a certificate in a file.
pub(super) fn unreadable(problem: &CertificateError) -> String {
    match problem {
        CertificateError::BadEncoding => "a certificate in it is damaged".into(),
        CertificateError::Other(problem) if problem.to_string() == "UnsupportedCertVersion" => {
            "a certificate in it is older than version 3".into()
        }
        problem => format!("a certificate in it cannot be used: {problem}"),
    }
}

/// What the server says is wrong with us.
fn refused(alert: AlertDescription, name: &str, presented: Option<bool>) -> ConnectError {
    use AlertDescription as Alert;
    ConnectError::Untrusted(match (alert, presented) {
        (Alert::ProtocolVersion, _) => "it speaks no TLS that is safe (1.2 or 1.3)".into(),
        (Alert::UnrecognisedName, _) => format!("it does not know the name {name}"),
        (_, Some(false)) => "it asks for a certificate: give --cert-file and --key-file".into(),
        (Alert::UnknownCA, _) => "it does not trust the authority of our certificate".into(),
        (Alert::CertificateExpired, _) => "it says that our certificate has expired".into(),
        (Alert::CertificateRevoked, _) => "it says that our certificate was revoked".into(),
        (alert, Some(true)) => format!("it refused our certificate ({alert:?})"),
        (Alert::HandshakeFailure | Alert::InsufficientSecurity, None) => {
            "it has no cipher in common with us".into()
        }
        (alert, None) => format!("it refused the TLS handshake ({alert:?})"),
    })
}

/// The connection was lost in the handshake.
fn lost(error: io::Error, presented: Option<bool>) -> ConnectError {
    use io::ErrorKind as Kind;
    let closed =
        matches!(error.kind(), Kind::UnexpectedEof | Kind::ConnectionReset | Kind::BrokenPipe);
    match presented {
        Some(false) if closed => {
            let why = "it asks for a certificate: give --cert-file and --key-file";
            ConnectError::Untrusted(why.into())
        }
        _ if closed => {
            let why = "it closed the connection in the TLS handshake (does it speak TLS there?)";
            ConnectError::Unreachable(why.into())
        }
        _ => error.into(),
    }
}

fn inner(error: &io::Error) -> Option<&Error> {
    error.get_ref()?.downcast_ref()
}

/// `2 May 2026`, in UTC.
fn date(time: UnixTime) -> String {
    const MONTHS: [&str; 12] = [
        "January",
        "February",
        "March",
        "April",
        "May",
        "June",
        "July",
        "August",
        "September",
        "October",
        "November",
        "December",
    ];
    let since = std::time::Duration::from_secs(time.as_secs());
    let Ok(date) = DateTime::from_unix_duration(since) else { return "no known day".into() };
    let month = MONTHS.get(usize::from(date.month()).wrapping_sub(1)).unwrap_or(&"");
    format!("{} {month} {}", date.day(), date.year())
}
