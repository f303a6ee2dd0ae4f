//! A small registrar and proxy for development.
