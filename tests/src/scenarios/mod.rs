//! The table of scenarios.

mod audio;
mod bodies;
mod calls;
mod exchange_transports;
mod handler;
mod interruption;
mod loss;
mod media;
mod names;
mod nat;
mod network;
mod pyvoip_calls;
mod pyvoip_media;
mod pyvoip_parser;
mod pyvoip_registration;
mod pyvoip_transfer;
mod registration;
mod sessions;
mod stream;
mod transfer;
mod wide_band;

use crate::played;
use crate::world::{Outcome, World};

/// A thing that happens to telephones, and what has to come of it.
pub struct Scenario {
    /// Its name.
    pub name: &'static str,
    /// What it shows, and where that is asked for.
    pub shows: &'static str,
    /// Plays it on the network that follows from a seed.
    pub play: fn(seed: u64) -> Outcome<World>,
}

impl Scenario {
    /// Plays it; the hash covers every byte on the wire and every event.
    ///
    /// # Errors
    /// What did not hold, with the seed.
    pub fn run(&self, seed: u64) -> Outcome<u64> {
        let played = played::play(|| (self.play)(seed));
        played.map_err(|failure| format!("scenario {}: {failure}", self.name))
    }
}

/// Every scenario.
pub const SCENARIOS: &[Scenario] = &[
    calls::FIRST_CALL,
    calls::DIRECT_CALL,
    calls::BUSY,
    calls::NO_ANSWER,
    calls::NOBODY_THERE,
    calls::CODEC_MISMATCH,
    calls::CANCEL,
    calls::CANCEL_CROSSES_ANSWER,
    calls::BYE_CROSSES_BYE,
    calls::FORK,
    calls::REASONS,
    calls::EARLY_MEDIA,
    calls::KILLED_PEER,
    calls::STOP_ENDS_CALLS,
    calls::THOUSAND_CALLS,
    registration::WRONG_PASSWORD,
    registration::DIGESTS,
    registration::REFRESH,
    registration::SERVER_COMES_BACK,
    registration::SERVER_GONE,
    registration::START_TIMEOUT,
    audio::TONE_BOTH_WAYS,
    audio::TONE_UNDER_LOSS,
    audio::DIGITS_UNDER_LOSS,
    audio::STALL_MAKES_NO_BURST,
    audio::RATES,
    media::MIXED_STREAMS,
    media::OFFERED_STREAMS,
    media::FORKED_EARLY_MEDIA,
    media::MARKS,
    wide_band::WIDE_BAND,
    wide_band::WIDE_BAND_CHANGE,
    sessions::HOLD,
    sessions::HOLD_GLARE,
    sessions::CODEC_CHANGE,
    sessions::HELD_AND_MOVED,
    sessions::LATE_OFFER,
    sessions::REDIRECTED,
    sessions::NO_ANSWER_IN_2XX,
    sessions::RACE_OF_ANSWERS,
    bodies::MULTIPART,
    nat::FULL_CONE_CALLER,
    nat::FULL_CONE_CALLEE,
    nat::FULL_CONE_BOTH,
    nat::RESTRICTED_CALLER,
    nat::RESTRICTED_CALLEE,
    nat::RESTRICTED_BOTH,
    nat::PORT_RESTRICTED_CALLER,
    nat::PORT_RESTRICTED_CALLEE,
    nat::PORT_RESTRICTED_BOTH,
    nat::SYMMETRIC_CALLER,
    nat::SYMMETRIC_CALLEE,
    nat::SYMMETRIC_BOTH,
    nat::SYMMETRIC_AND_CONE,
    nat::KEEP_ALIVE_OFF,
    nat::RESTARTS,
    nat::HELD_FOR_LONG,
    nat::HIJACKS,
    network::CALLER_MOVES,
    network::BOTH_MOVE,
    network::NO_NETWORK_FOR_A_WHILE,
    network::MOVES_WHILE_IT_RINGS,
    stream::CALLS_OVER_CONNECTIONS,
    names::FAILOVER_ON_TIMEOUT,
    names::FAILOVER_ON_503,
    names::FAILOVER_ON_REFUSAL,
    names::WEIGHTS,
    names::TTL,
    names::NAPTR_CHOOSES,
    names::SIPS_STAYS_PRIVATE,
    stream::DIRECT_CONNECTIONS,
    stream::CONNECTION_IN_PIECES,
    stream::CONNECTION_LOST,
    stream::CONNECTION_HALF_OPEN,
    stream::CONNECTION_THROUGH_NAT,
    exchange_transports::EVERY_PAIR,
    stream::LARGE_REQUEST,
    stream::LARGE_REQUEST_CANCELLED,
    stream::RESPONSE_BY_ANOTHER,
    stream::LOST_ACK,
    stream::UNREACHED_BYE,
    loss::A_LITTLE_LOSS,
    loss::ANY_LOSS,
    interruption::CUT,
    interruption::CALLER_SEES,
    interruption::CALLED_SEES,
    interruption::RESTART,
    interruption::SILENT,
    handler::SIP_HANDLER,
    transfer::BLIND,
    transfer::REFUSED,
    transfer::OUTSIDE,
    transfer::A_LITTLE_LOSS,
    transfer::ANY_LOSS,
    pyvoip_calls::RINGS,
    pyvoip_calls::ANSWERS,
    pyvoip_calls::OPTIONS_ANSWERED,
    pyvoip_calls::NOTIFY_ANSWERED,
    pyvoip_calls::MESSAGE_ANSWERED,
    pyvoip_calls::REFER_ANSWERED,
    pyvoip_calls::BYE_IS_WHOLE,
    pyvoip_calls::HANGUP_RETURNS,
    pyvoip_calls::CANCEL_GOES_THERE,
    pyvoip_calls::REFUSED_AFTER_RINGING,
    pyvoip_calls::CANCELLED_BY_CALLER,
    pyvoip_calls::REINVITED,
    pyvoip_calls::REPEATS,
    pyvoip_calls::ABSORBS,
    pyvoip_calls::ROUTES,
    pyvoip_calls::ROUTES_OF_A_CALLER,
    pyvoip_calls::UP_FOR_MINUTES,
    pyvoip_calls::CALLER_IS_TOLD,
    pyvoip_parser::INFO,
    pyvoip_parser::UPDATE,
    pyvoip_parser::PRACK,
    pyvoip_parser::UNKNOWN_STATUS,
    pyvoip_parser::NO_SPACE_AFTER_COLON,
    pyvoip_parser::COMPACT_NAMES,
    pyvoip_parser::FOLDED_LINES,
    pyvoip_parser::IPV6_IN_VIA,
    pyvoip_parser::SAVPF,
    pyvoip_parser::ODD_USERS,
    pyvoip_parser::TEL_URI,
    pyvoip_parser::QUOTED_NAMES,
    pyvoip_parser::HYPHENS_IN_HOSTS,
    pyvoip_registration::NEW_BRANCH,
    pyvoip_registration::DIGEST_URI,
    pyvoip_registration::RESTARTED,
    pyvoip_registration::SERVERS_EXPIRES,
    pyvoip_registration::TOO_BRIEF,
    pyvoip_registration::TO_THE_SOURCE,
    pyvoip_registration::RPORT_ASKED,
    pyvoip_registration::OUTSIDE,
    pyvoip_registration::OUTSIDE_UNTOLD,
    pyvoip_registration::FAILED_START,
    pyvoip_registration::FAILED_IN_A_CALL,
    pyvoip_media::TWO_SECTIONS,
    pyvoip_media::NO_DESCRIPTION,
    pyvoip_media::ADVERTISED_PORT,
    pyvoip_media::RTCP,
    pyvoip_media::SEQUENCE_WRAPS,
    pyvoip_media::DIGIT_WITHOUT_MARKER,
    pyvoip_media::HOSTILE_PACKETS,
    pyvoip_media::EXTENSION_AND_PADDING,
    pyvoip_media::TIMESTAMP_JUMP,
    pyvoip_media::SILENCE_IS_DATA,
    pyvoip_media::FRESH,
    pyvoip_media::DIGITS_SENT,
    pyvoip_media::ALAW_ALONE,
    pyvoip_media::STATISTICS,
    pyvoip_media::PORTS_GIVEN_BACK,
    pyvoip_media::IPV6,
    pyvoip_transfer::AUTHENTICATED,
    pyvoip_transfer::SUCCEEDS,
    pyvoip_transfer::FAILS,
];

/// The scenario of that name.
pub fn named(name: &str) -> Option<&'static Scenario> {
    SCENARIOS.iter().find(|scenario| scenario.name == name)
}
