//! Events, calls and statistics as plain JavaScript objects; `types.rs` has their types.

use offhook_core::call::CallInfo;
use offhook_core::event::{
    CallDirection, CallId, Cause, Event, PhoneStatus, ReferralId, Reply, SipRequestId,
};
use offhook_core::media::MediaEvent;
use offhook_core::rtp::MediaStats;
use offhook_core::softphone::SoftphoneEvent;
use offhook_core::time::Duration;
use wasm_bindgen::JsValue;

use crate::error::refused;
use crate::object::{Builder, number};

/// An event; `stats` are those of the call that it ends. `None` for what JavaScript is not told.
pub(crate) fn event(event: SoftphoneEvent, stats: Option<MediaStats>) -> Option<JsValue> {
    let object = match event {
        SoftphoneEvent::Phone(event) => phone(event, stats)?,
        SoftphoneEvent::Media(call, event) => media(call, event)?,
        _ => return None,
    };
    Some(object.done())
}

fn phone(event: Event, ended: Option<MediaStats>) -> Option<Builder> {
    Some(match event {
        Event::Status(status) => Builder::of("status").with("status", status_name(status)),
        Event::Registered { expires } => {
            Builder::of("registered").with("expires", number(expires.as_secs()))
        }
        Event::Unregistered => Builder::of("unregistered"),
        Event::RegistrationFailed { cause: why, error } => {
            cause(Builder::of("registrationFailed").maybe("error", error.map(refused)), why)
        }
        Event::Incoming { call, from, to } => {
            of("incoming", call).with("from", from).with("to", to)
        }
        Event::CallRefused { from, to, code, error } => Builder::of("callRefused")
            .with("from", from)
            .with("to", to)
            .with("code", number(code.into()))
            .with("error", refused(error)),
        Event::State { call, state, cause: why } => {
            cause(of("state", call).with("state", state.as_str()), why)
        }
        Event::Ended { call, by, cause: why, error } => {
            let object = cause(of("ended", call).with("by", by.as_str()), why);
            object.maybe("error", error.map(refused)).maybe("stats", ended.as_ref().map(stats))
        }
        Event::Hold { call, by, held } => {
            of("hold", call).with("by", by.as_str()).with("held", held)
        }
        Event::HoldFailed { call, held, cause: why } => {
            cause(of("holdFailed", call).with("held", held), why)
        }
        Event::Renegotiated { call } => of("renegotiated", call),
        Event::Transfer { call, to, outcome, last, cause: why } => {
            let object = of("transfer", call).with("to", to).with("outcome", outcome.as_str());
            cause(object.with("last", last), why)
        }
        Event::Referred { call, referral: ReferralId(referral), to, by } => {
            of("referred", call).with("referral", number(referral)).with("to", to).with("by", by)
        }
        Event::Response { request: SipRequestId(request), reply: Ok(reply) } => {
            let Reply { cause: why, headers, body, round_trip, .. } = reply;
            cause(Builder::of("response").with("request", number(request)), Some(why))
                .with("headers", pairs(headers))
                .with("body", js_sys::Uint8Array::from(&body[..]))
                .with("roundTripMs", millis(round_trip.into()))
        }
        Event::Response { request: SipRequestId(request), reply: Err(error) } => {
            let object = Builder::of("response").with("request", number(request));
            object.maybe("error", error.map(refused))
        }
        Event::Message { from, to, body, content_type } => Builder::of("message")
            .with("from", from)
            .with("to", to)
            .with("body", String::from_utf8_lossy(&body).into_owned())
            .with("contentType", content_type),
        _ => return None,
    })
}

fn media(call: CallId, event: MediaEvent) -> Option<Builder> {
    Some(match event {
        MediaEvent::Dtmf { digit, duration } => {
            of("dtmf", call).with("digit", digit.to_string()).with("durationMs", millis(duration))
        }
        MediaEvent::DtmfSent => of("dtmfSent", call),
        MediaEvent::AudioSent => of("audioSent", call),
        MediaEvent::Mark { name, played } => {
            of("mark", call).with("name", name).with("played", played)
        }
        MediaEvent::Silent => of("silent", call),
        MediaEvent::Goodbye => of("goodbye", call),
        _ => return None,
    })
}

fn of(kind: &str, call: CallId) -> Builder {
    Builder::of(kind).with("call", number(call.0))
}

fn cause(object: Builder, cause: Option<Cause>) -> Builder {
    match cause {
        Some(Cause { code, reason, retry_after, .. }) => {
            let object = object.with("code", code).with("reason", reason);
            match retry_after {
                Some(seconds) => object.with("retryAfter", seconds),
                None => object,
            }
        }
        None => object,
    }
}

fn millis(time: Duration) -> f64 {
    number(time.as_micros()) / 1_000.0
}

fn pairs(headers: Vec<(String, String)>) -> js_sys::Array {
    let pair = |(name, value): (String, String)| js_sys::Array::of2(&name.into(), &value.into());
    headers.into_iter().map(pair).collect()
}

/// A status in lower case.
pub(crate) fn status_name(status: PhoneStatus) -> &'static str {
    match status {
        PhoneStatus::Inactive => "inactive",
        PhoneStatus::Registering => "registering",
        PhoneStatus::Registered => "registered",
        PhoneStatus::Deregistering => "deregistering",
        PhoneStatus::Failed => "failed",
    }
}

/// What is known about a call.
pub(crate) fn info(info: CallInfo) -> JsValue {
    let direction = match info.direction {
        CallDirection::Outgoing => "outgoing",
        CallDirection::Incoming => "incoming",
    };
    Builder::new()
        .with("call", number(info.id.0))
        .with("direction", direction)
        .with("state", info.state.as_str())
        .with("remote", info.remote)
        .maybe("remoteName", info.remote_name)
        .with("local", info.local)
        .with("callId", info.call_id)
        .with("requestUri", info.request_uri)
        .with("headers", pairs(info.headers))
        .with("body", js_sys::Uint8Array::from(&info.body[..]))
        .maybe("codec", info.codec.map(|codec| codec.name()))
        .with("streams", number(info.streams as u64))
        .maybe("media", info.media.map(|direction| direction.as_str()))
        .with("held", info.held)
        .with("holding", info.holding)
        .done()
}

/// What the media of a call has done so far.
pub(crate) fn stats(stats: &MediaStats) -> JsValue {
    Builder::new()
        .maybe("codec", stats.codec.map(|codec| codec.name()))
        .with("sent", number(stats.sent))
        .with("received", number(stats.received))
        .with("lost", number(stats.lost))
        .with("duplicates", number(stats.duplicates))
        .with("late", number(stats.late))
        .with("discarded", number(stats.discarded))
        .with("jitterMs", number(stats.jitter_us) / 1_000.0)
        .maybe("rttMs", stats.rtt_us.map(|rtt| number(rtt) / 1_000.0))
        .with("playoutDelayMs", number(stats.playout_delay_us) / 1_000.0)
        .with("concealedMs", number(stats.concealed_ms))
        .with("stalledFrames", number(stats.stalled_frames))
        .with("mos", f64::from(stats.mos_x100) / 100.0)
        .done()
}
