//! Events, calls and statistics as plain JavaScript objects; `types.rs` has their types.

use core::time::Duration;

use js_sys::{Array, Uint8Array};
use offhook_core::call::CallInfo;
use offhook_core::error::Error;
use offhook_core::event::{
    CallDirection, CallEvent, CallId, Cause, Ending, Event, PhoneEvent, PhoneStatus, ReferralId,
    Reply, SipRequestId,
};
use offhook_core::rtp::MediaStats;
use offhook_core::sip::{BodyPart, Reason};
use offhook_core::switchboard::LineId;
use wasm_bindgen::JsValue;

use crate::error::refused;
use crate::machine::ids::joined;
use crate::object::{Builder, number};

/// An event of a line.
pub(crate) fn of_line(line: LineId, event: Event) -> Option<JsValue> {
    let object = object(joined(line, 0), event)?;
    Some(object.with("line", u16::from(line)).done())
}

/// An event. Calls, requests and referrals are counted from `base`.
fn object(base: f64, event: Event) -> Option<Builder> {
    match event {
        Event::Phone(event) => of_phone(base, event),
        Event::Call { call, event } => of_call(base, call, event),
        Event::Response { request, reply } => Some(response(base, request, reply)),
        _ => None,
    }
}

fn of_phone(base: f64, event: PhoneEvent) -> Option<Builder> {
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
            of(base, "incoming", call).with("from", from).with("to", to)
        }
        PhoneEvent::CallRefused { from, to, code, error } => Builder::of("callRefused")
            .with("from", from)
            .with("to", to)
            .with("code", number(code.into()))
            .with("error", refused(error)),
        PhoneEvent::Message { from, to, body, content_type } => Builder::of("message")
            .with("from", from)
            .with("to", to)
            .with("body", Uint8Array::from(&body[..]))
            .with("contentType", content_type),
        _ => return None,
    })
}

fn of_call(base: f64, call: CallId, event: CallEvent) -> Option<Builder> {
    let of = |kind| of(base, kind, call);
    Some(match event {
        CallEvent::State { state, cause: why } => {
            cause(of("state").with("state", state.as_str()), why)
        }
        CallEvent::Hold { by, held } => of("hold").with("by", by.as_str()).with("held", held),
        CallEvent::HoldFailed { held, cause: why } => {
            cause(of("holdFailed").with("held", held), why)
        }
        CallEvent::Renegotiated => of("renegotiated"),
        CallEvent::Transfer { to, outcome, last, cause: why } => {
            let object = of("transfer").with("to", to).with("outcome", outcome.as_str());
            cause(object.with("last", last), why)
        }
        CallEvent::Referred { referral: ReferralId(referral), to, by } => {
            of("referred").with("referral", base + number(referral)).with("to", to).with("by", by)
        }
        CallEvent::Dtmf { digit, duration } => {
            of("dtmf").with("digit", digit.to_string()).with("durationMs", millis(duration))
        }
        CallEvent::DtmfSent => of("dtmfSent"),
        CallEvent::AudioSent => of("audioSent"),
        CallEvent::Mark { name, played } => of("mark").with("name", name).with("played", played),
        CallEvent::Silent => of("silent"),
        CallEvent::Goodbye => of("goodbye"),
        CallEvent::Ended(ending) => {
            let answered_elsewhere = ending.is_answered_elsewhere();
            let Ending { by, cause: why, error, setup, duration, stats: done, reasons, .. } =
                *ending;
            cause(of("ended").with("by", by.as_str()), why)
                .maybe("error", error.map(refused))
                .maybe("setupMs", setup.map(millis))
                .with("durationMs", millis(duration))
                .with("reasons", reasons.into_iter().map(reason).collect::<Array>())
                .with("answeredElsewhere", answered_elsewhere)
                .with("stats", stats(&done))
        }
        _ => return None,
    })
}

fn response(base: f64, request: SipRequestId, reply: Result<Reply, Option<Error>>) -> Builder {
    let object = Builder::of("response").with("request", base + number(request.0));
    match reply {
        Ok(reply) => {
            let parts = parts(reply.parts());
            let Reply { cause: why, headers, body, round_trip, .. } = reply;
            cause(object, Some(why))
                .with("headers", pairs(headers))
                .with("body", Uint8Array::from(&body[..]))
                .with("parts", parts)
                .with("roundTripMs", millis(round_trip))
        }
        Err(error) => object.maybe("error", error.map(refused)),
    }
}

fn of(base: f64, kind: &str, CallId(call): CallId) -> Builder {
    Builder::of(kind).with("call", base + number(call))
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

/// An array of pairs.
pub(crate) fn pairs(headers: impl IntoIterator<Item = (String, String)>) -> Array {
    let pair = |(name, value): (String, String)| Array::of2(&name.into(), &value.into());
    headers.into_iter().map(pair).collect()
}

/// Why a call has ended, in the far end's words.
fn reason(reason: Reason) -> JsValue {
    let object = Builder::new().with("protocol", reason.protocol);
    object.maybe("cause", reason.cause).maybe("text", reason.text).done()
}

/// The parts of a body.
fn parts(parts: Vec<BodyPart>) -> Array {
    let part = |part: BodyPart| {
        Builder::new()
            .with("contentType", part.content_type())
            .with("body", Uint8Array::from(&part.body[..]))
            .with("headers", pairs(part.headers))
            .done()
    };
    parts.into_iter().map(part).collect()
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

/// What is known about the call of that number.
pub(crate) fn info(call: f64, info: CallInfo) -> JsValue {
    let direction = match info.direction {
        CallDirection::Outgoing => "outgoing",
        CallDirection::Incoming => "incoming",
    };
    let parts = parts(info.parts());
    Builder::new()
        .with("call", call)
        .with("direction", direction)
        .with("state", info.state.as_str())
        .with("remote", info.remote)
        .maybe("remoteName", info.remote_name)
        .with("local", info.local)
        .with("callId", info.call_id)
        .with("requestUri", info.request_uri)
        .with("headers", pairs(info.headers))
        .with("body", Uint8Array::from(&info.body[..]))
        .with("parts", parts)
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
