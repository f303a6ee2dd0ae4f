//! A telephone in a library, over tokio.
//!
//! A [`Phone`] registers, places and takes [`Call`]s; a call plays and records, reads and writes
//! audio and digits. The protocol itself is [`offhook_core`]; this crate gives it sockets, time and
//! tasks.
#![forbid(unsafe_code)]

mod audio;
mod broadcast;
mod call;
mod capture;
mod driver;
mod error;
mod event;
mod exchange;
mod host;
mod incoming;
mod phone;

pub use audio::recording::Recording;
pub use audio::wav::check as check_wav;
pub use broadcast::Events;
pub use call::Call;
pub use capture::Capture;
pub use error::Error;
pub use event::{
    CallDirection, CallEvent, CallId, CallState, Cause, EndedBy, Ending, Event, PhoneStatus,
};
pub use exchange::{Exchange, ExchangeNotice};
pub use incoming::Incoming;
pub use phone::Phone;

pub use offhook_core as core;
pub use offhook_core::auth::{Algorithm, CredentialsManager};
pub use offhook_core::call::{CallInfo, CallOptions};
pub use offhook_core::codec::Codec;
pub use offhook_core::config::PhoneParameters;
pub use offhook_core::exchange::{ExchangeEvent, ExchangeParameters};
pub use offhook_core::nat::Network;
pub use offhook_core::rtp::MediaStats;
pub use offhook_core::trace::{Kind as PacketKind, Packet};
