//! Scenarios and tests that cross crates.
