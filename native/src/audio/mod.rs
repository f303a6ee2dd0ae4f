//! Sound files.

pub(crate) mod recording;
pub(crate) mod wav;
