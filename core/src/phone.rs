//! The phone: signalling, the only door to it.
