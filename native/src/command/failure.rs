//! How the command fails: a sentence, a stable word and an exit status.

use std::process::ExitCode;

use offhook::Error;

/// Why the command failed.
#[derive(Debug)]
pub(crate) struct Failure {
    status: Status,
    code: &'static str,
    message: String,
    /// Whether it was printed when it happened.
    printed: bool,
}

/// The exit statuses of the contract; 0 is success.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(crate) enum Status {
    /// An error inside.
    Internal = 1,
    /// The arguments make no sense.
    Usage = 2,
    /// The registration was refused or not answered.
    Registration = 3,
    /// The call or message was refused, not answered or failed.
    Call = 4,
    /// Nothing happened in the time allowed.
    Nothing = 5,
    /// A port, a file or another local thing.
    Resource = 6,
}

impl Failure {
    pub(crate) fn new(status: Status, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), printed: false }
    }

    /// Something that should not have happened.
    pub(crate) fn internal(error: impl std::fmt::Display) -> Self {
        Self::new(Status::Internal, "internal", error.to_string())
    }

    /// Why a phone did not start, or lost its registration: there is no way to the server, or it is
    /// not trusted, is no answer to the registration either.
    pub(crate) fn of_registration(error: Error) -> Self {
        match error.code() {
            "unreachable" | "untrusted" | "no_answer" => {
                Self::from(error).with_status(Status::Registration)
            }
            _ => error.into(),
        }
    }

    /// The same failure with another exit status.
    pub(crate) fn with_status(mut self, status: Status) -> Self {
        self.status = status;
        self
    }

    /// The same, which was printed when it happened.
    pub(crate) fn printed(mut self) -> Self {
        self.printed = true;
        self
    }

    pub(crate) fn is_printed(&self) -> bool {
        self.printed
    }

    pub(crate) fn code(&self) -> &'static str {
        self.code
    }

    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.status as u8)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let status = match &error {
            Error::Bind { .. } | Error::File { .. } | Error::TlsFile { .. } | Error::Wav { .. } => {
                Status::Resource
            }
            Error::NoCertificate { .. } => Status::Usage,
            Error::RegistrationRefused { .. } | Error::RegistrationUnanswered { .. } => {
                Status::Registration
            }
            // Digits were checked before: these are what the far end does not take.
            Error::Dtmf(_)
            | Error::Rejected { .. }
            | Error::Unreachable
            | Error::Ended { .. }
            | Error::Timeout { .. } => Status::Call,
            _ => match error.code() {
                "no_ports_available" => Status::Resource,
                "invalid_value" | "invalid_range" | "too_large" => Status::Usage,
                "nat" | "no_media" | "too_many_calls" | "too_many_requests" | "unreachable"
                | "untrusted" | "no_answer" => Status::Call,
                _ => Status::Internal,
            },
        };
        Self::new(status, error.code(), error.to_string())
    }
}
