//! Events, calls and statistics as plain JavaScript objects; `types.rs` has their types.

use core::time::Duration;

use offhook_core::call::CallInfo;
use offhook_core::error::Error;
use offhook_core::event::{
    CallDirection, CallEvent, CallId, Cause, Ending, Event, PhoneEvent, PhoneStatus, ReferralId,
    Reply, SipRequestId,
};
use offhook_core::rtp::MediaStats;
use wasm_bindgen::JsValue;

use crate::error::refused;
use crate::object::{Builder, number};

/// An event; `None` for what JavaScript is not told.
pub(crate) fn event(event: Event) -> Option<JsValue> {
    let object = match event {
        Event::Phone(event) => of_phone(event)?,
        Event::Call { call, event } => of_call(call, event)?,
        Event::Response { request, reply } => response(request, reply),
        _ => return None,
    };
    Some(object.done())
}

fn of_phone(event: PhoneEvent) -> Option<Builder> {
    Some(match event {
        PhoneEvent::Status(status) => Builder::of("status").with("status", status_name(status)),
        PhoneEvent::Registered { expires } => {
            Builder::of("registered").with("expires", number(expires.as_secs()))
        }
        PhoneEvent::Unregistered => Builder::of("unregistered"),
        PhoneEvent::RegistrationFailed { cause: why, error } => {
            cause(Builder::of("registrationFailed").maybe("error", error.map(refused)), why)
        }
        PhoneEvent::Incoming { call, from, to } => {
            of("incoming", call).with("from", from).with("to", to)
        }
        PhoneEvent::CallRefused { from, to, code, error } => Builder::of("callRefused")
            .with("from", from)
            .with("to", to)
            .with("code", number(code.into()))
            .with("error", refused(error)),
        PhoneEvent::Message { from, to, body, content_type } => Builder::of("message")
            .with("from", from)
            .with("to", to)
            .with("body", String::from_utf8_lossy(&body).into_owned())
            .with("contentType", content_type),
        _ => return None,
    })
}

fn of_call(call: CallId, event: CallEvent) -> Option<Builder> {
    Some(match event {
        CallEvent::State { state, cause: why } => {
            cause(of("state", call).with("state", state.as_str()), why)
        }
        CallEvent::Hold { by, held } => of("hold", call).with("by", by.as_str()).with("held", held),
        CallEvent::HoldFailed { held, cause: why } => {
            cause(of("holdFailed", call).with("held", held), why)
        }
        CallEvent::Renegotiated => of("renegotiated", call),
        CallEvent::Transfer { to, outcome, last, cause: why } => {
            let object = of("transfer", call).with("to", to).with("outcome", outcome.as_str());
            cause(object.with("last", last), why)
        }
        CallEvent::Referred { referral: ReferralId(referral), to, by } => {
            of("referred", call).with("referral", number(referral)).with("to", to).with("by", by)
        }
        CallEvent::Dtmf { digit, duration } => {
            of("dtmf", call).with("digit", digit.to_string()).with("durationMs", millis(duration))
        }
        CallEvent::DtmfSent => of("dtmfSent", call),
        CallEvent::AudioSent => of("audioSent", call),
        CallEvent::Mark { name, played } => {
            of("mark", call).with("name", name).with("played", played)
        }
        CallEvent::Silent => of("silent", call),
        CallEvent::Goodbye => of("goodbye", call),
        CallEvent::Ended(ending) => {
            let Ending { by, cause: why, error, stats: done, .. } = *ending;
            let object = cause(of("ended", call).with("by", by.as_str()), why);
            object.maybe("error", error.map(refused)).with("stats", stats(&done))
        }
        _ => return None,
    })
}

fn response(request: SipRequestId, reply: Result<Reply, Option<Error>>) -> Builder {
    let object = Builder::of("response").with("request", number(request.0));
    match reply {
        Ok(Reply { cause: why, headers, body, round_trip, .. }) => cause(object, Some(why))
            .with("headers", pairs(headers))
            .with("body", js_sys::Uint8Array::from(&body[..]))
            .with("roundTripMs", millis(round_trip)),
        Err(error) => object.maybe("error", error.map(refused)),
    }
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
    time.as_micros() as f64 / 1_000.0
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
