//! A seeded network in virtual time.
