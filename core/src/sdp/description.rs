//! stub
use core::fmt;

/// A session description.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct SessionDescription {
    /// The media sections, in order.
    pub media: Vec<Media>,
}

/// A media section.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Media {}

/// Why a text is no session description.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SdpError {
    /// Longer than [`SessionDescription::MAX_BYTES`].
    #[error("the session description is too long")]
    TooLong,
}

impl SessionDescription {
    /// Reads a description.
    pub fn parse(_bytes: &[u8]) -> Result<Self, SdpError> {
        Err(SdpError::TooLong)
    }
}

impl fmt::Display for SessionDescription {
    fn fmt(&self, _f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Ok(())
    }
}
