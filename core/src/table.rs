//! Hash tables that replay from a seed.
