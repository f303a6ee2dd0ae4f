//! A telephone in a library, over tokio.
//!
//! A [`Phone`] registers, places and takes [`Call`]s; a call plays and records, reads and writes
//! audio and digits. A phone that answers and plays a file:
//!
//! ```no_run
//! use offhook::{Call, Error, Phone, PhoneParameters};
//!
//! #[tokio::main]
//! async fn main() -> Result<(), Error> {
//!     let parameters = PhoneParameters::new("pbx.example.com", "alice").password("secret");
//!     // Any free port: an exchange on this machine may have 5060.
//!     let phone = Phone::new(parameters.any_port());
//!     phone.start().await?;
//!     let mut incoming = phone.incoming();
//!     while let Some(call) = incoming.next().await {
//!         // Each call in a task of its own: a caller who hangs up early ends that, and no other.
//!         tokio::spawn(async move {
//!             if let Err(error) = welcome(&call).await {
//!                 eprintln!("{}: {error}", call.info().remote);
//!             }
//!         });
//!     }
//!     Ok(())
//! }
//!
//! async fn welcome(call: &Call) -> Result<(), Error> {
//!     call.answer().await?;
//!     call.play("welcome.wav").await?;
//!     call.hangup().await
//! }
//! ```
//!
//! One that calls, and presses digits at who answers:
//!
//! ```no_run
//! # async fn dial() -> Result<(), offhook::Error> {
//! # use offhook::{Phone, PhoneParameters};
//! let phone = Phone::new(PhoneParameters::without_server("caller").any_port());
//! phone.start().await?;
//! let call = phone.call("sip:bob@192.0.2.7").await?;
//! call.answered().await?;
//! call.send_dtmf("195#")?;
//! println!("{:?}", call.ended().await);
//! # Ok(())
//! # }
//! ```
//!
//! An [`Error`] names who is at fault, with which value, and what to do; its [`code`](Error::code) is for
//! programs.
//!
//! The protocol itself is [`offhook_core`], re-exported as [`core`]; this crate gives it sockets,
//! time and tasks. It needs a tokio runtime with I/O and time enabled. The `offhook` command lives
//! behind the default feature `cli`; a library user leaves it out with `default-features = false`.
//!
//! Inside: `phone` and `call` are handles; `driver` holds the one loop that carries an endpoint of
//! the core and the task of each call's media; `host` is the interface to the operating system.
#![forbid(unsafe_code)]

mod audio;
mod broadcast;
mod call;
mod capture;
mod driver;
mod error;
mod event;
mod exchange;
mod handler;
mod host;
mod incoming;
mod phone;
mod phone_options;
mod referral;
#[cfg(feature = "relay")]
mod relay;
mod tls;

pub use audio::recording::Recording;
pub use audio::wav::check as check_wav;
pub use broadcast::Events;
pub use call::{Call, Transfer};
pub use capture::Capture;
pub use error::Error;
#[doc(hidden)]
pub use error::{file_problem, io_problem};
pub use event::{
    CallDirection, CallEvent, CallId, CallState, Cause, EndedBy, Ending, Event, HoldBy, PhoneEvent,
    PhoneStatus, ReferralId, TransferOutcome, TurnedAway,
};
pub use exchange::{Exchange, ExchangeNotice, ExchangeOptions};
pub use handler::CallHandler;
pub use incoming::{Incoming, Referrals};
pub use phone::Phone;
pub use phone_options::PhoneOptions;
pub use referral::Referral;
#[cfg(feature = "relay")]
pub use relay::{RELAY_PATH, Relay, RelayEvent, RelayOptions, TokenClaims, TokenKey, TokenKeys};
pub use tls::TlsFiles;

pub use offhook_core as core;
pub use offhook_core::auth::{Algorithm, CredentialsManager};
pub use offhook_core::call::{CallInfo, CallOptions, DenyOptions, TransferMode, TransferOptions};
pub use offhook_core::codec::Codec;
pub use offhook_core::config::{KeyPassword, PhoneParameters};
pub use offhook_core::event::Reply;
pub use offhook_core::exchange::{Departure, ExchangeEvent, ExchangeParameters, Limit, Listener};
pub use offhook_core::handler::{MessageAction, RequestAction, SipAnswer, SipDraft, SipHandler};
pub use offhook_core::host::Transport;
pub use offhook_core::nat::Network;
pub use offhook_core::phone::Counters;
pub use offhook_core::phone::RequestOptions;
pub use offhook_core::rtp::MediaStats;
pub use offhook_core::sip::{BodyPart, Reason};
pub use offhook_core::trace::{Kind as PacketKind, Packet};
pub use offhook_core::wav::CutShort;
