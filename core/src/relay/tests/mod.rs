//! Both ends against each other in virtual time, and a relay against a client that keeps to no rule.

mod abuse;
mod calls;
mod capsules;
mod nodes;
mod resumption;

use nodes::{RelayNode, World};
