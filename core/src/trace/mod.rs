//! Ladder diagrams and captures.
