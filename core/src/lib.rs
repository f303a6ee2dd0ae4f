//! offhook-core: SIP and RTP without I/O.
//!
//! The crate holds the whole telephone and touches no socket, clock or random source. A host (tokio,
//! Node, a browser page, the simulation in [`sim`]) gives it those through one interface, [`host`]:
//! values in ([`host::Inbound`]), values out ([`host::Outbound`]), and the time of the next deadline.
//!
//! Read from the top: [`softphone`] joins signalling ([`phone`]) and media ([`rtp`]); signalling is
//! [`call`] over `dialog` over `transaction` over [`sip`], with what calls, registration, pings and messages
//! share in `agent`. Layers call downward and return values upward.
#![forbid(unsafe_code)]

pub mod certificate;
pub mod config;
pub mod error;
pub mod event;
pub mod handler;
pub mod host;
pub mod media;
pub mod time;

pub mod phone;
pub mod softphone;
pub mod switchboard;

pub mod auth;
pub mod call;
pub mod sip;

pub mod codec;
pub mod rtp;
pub mod sdp;
pub mod wav;

pub mod nat;

pub mod exchange;
pub mod relay;
pub mod sim;
pub mod trace;

mod agent;
mod dialog;
mod locate;
mod registration;
mod stream;

mod map;
mod quoted;
mod slab;
mod sort;
mod state;
mod table;
mod timers;
mod transaction;
mod transport;

/// The parts that this repository's tests, benchmarks and fuzz targets take one by one. They are no part
/// of the crate's interface and change without notice.
#[doc(hidden)]
pub mod internals {
    pub use crate::codec::resampler::Resampler;
    pub use crate::nat::stun::{
        StunClass, StunError, StunMessage, TransactionId, answer_binding, binding_request, is_stun,
    };
    pub use crate::rtp::jitter::{
        Adjustment, Arrived, BufferedPacket, Insertion, JitterBuffer, NextAudio,
    };
    pub use crate::rtp::packet::{Extension, Header, Packet, PacketError};
    pub use crate::sdp::negotiator::{AnswerError, LocalMedia, Negotiator, NotAcceptable};
    pub use crate::sip::writer::Writer;
    pub use crate::stream::{Frame, Framer};
    pub use crate::transaction::{
        ClientId, Failure, FailureCause, Layer, Limits, Received, ServerId,
    };

    /// The functions of G.711.
    pub mod g711 {
        pub use crate::codec::g711::{decode_alaw, decode_ulaw, encode_alaw, encode_ulaw};
    }

    /// The two halves of G.722.
    pub mod g722 {
        pub use crate::codec::g722::{Decoder, Encoder, Mode};
    }
}
