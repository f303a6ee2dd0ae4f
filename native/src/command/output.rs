//! What the command tells: readable lines, or one JSON object a line.

use std::fmt::{self, Arguments, Display, Formatter, Write as _};
use std::io::Write as _;
use std::net::SocketAddr;
use std::time::Duration;

use offhook::{
    CallEvent, CallId, CallState, Cause, Counters, Ending, Event, HoldBy, MediaStats, PhoneEvent,
    Reason, Transport, TurnedAway,
};
use serde_json::{Value, json};

use super::failure::Failure;

/// Writes to standard output, and sentences about failure to standard error.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Output {
    json: bool,
    /// Whether what happens in single calls is printed.
    calls: bool,
}

impl Output {
    pub(crate) fn new(json: bool) -> Self {
        Self { json, calls: true }
    }

    /// The same, but silent about single calls.
    pub(crate) fn without_calls(self) -> Self {
        Self { calls: false, ..self }
    }

    pub(crate) fn is_json(self) -> bool {
        self.json
    }

    /// Prints `value` for programs, or `line` for people.
    pub(crate) fn report(self, value: &Value, line: &str) {
        match self.json {
            true => self.print(&format!("{value}\n")),
            false if line.is_empty() => {}
            false => self.print(&format!("{line}\n")),
        }
    }

    /// Writes whole lines, with one system call.
    pub(crate) fn print(self, lines: &str) {
        let mut out = std::io::stdout().lock();
        // Nobody may be reading any more; the call goes on all the same.
        let _ = out.write_all(lines.as_bytes());
        let _ = out.flush();
    }

    /// Adds a line: what `value` makes for programs, or `text` for people.
    fn add(self, lines: &mut String, value: impl FnOnce() -> Value, text: Arguments<'_>) {
        // Writing to a string cannot fail.
        let _ = match self.json {
            true => writeln!(lines, "{}", value()),
            false => writeln!(lines, "{text}"),
        };
    }

    pub(crate) fn listening(self, transport: Transport, local: SocketAddr) {
        let transport = transport.as_str().to_ascii_lowercase();
        let value =
            json!({ "event": "listening", "local": local.to_string(), "transport": transport });
        self.report(&value, &format!("listening on {transport} {local}"));
    }

    /// Prints the failure with which the command ends, unless that was printed.
    pub(crate) fn failure(self, failure: &Failure) {
        if failure.is_printed() {
            return;
        }
        if self.json {
            let (code, message) = (failure.code(), failure.message());
            self.report(&json!({ "event": "error", "code": code, "message": message }), "");
        }
        eprintln!("offhook: {}", printable(failure.message()));
    }

    /// Prints a failure with which the command may go on; ending with it later, it is not printed again.
    pub(crate) fn report_failure(self, failure: Failure) -> Failure {
        self.failure(&failure);
        failure.printed()
    }

    /// Tells of something that is dangerous, or not as it seems.
    pub(crate) fn warning(self, code: &str, message: &str) {
        if self.json {
            self.report(&json!({ "event": "warning", "code": code, "message": message }), "");
        }
        eprintln!("offhook: warning: {}", printable(message));
    }

    /// Tells programs what a phone has counted, and people what was wrong with what came.
    pub(crate) fn counters(self, counters: Counters) {
        let Counters { received, malformed, stray, refused, .. } = counters;
        let value = json!({
            "event": "counters", "received": received, "malformed": malformed, "stray": stray,
            "refused": refused, "calls_refused": counters.calls_refused,
            "unanswered_challenges": counters.unanswered_challenges,
        });
        let line = match malformed + refused {
            0 => String::new(),
            _ => format!(
                "of what came, {malformed} datagrams were no SIP, and {refused} requests were too many"
            ),
        };
        self.report(&value, &line);
    }

    /// Adds what happened on a phone to `lines`, which are for [`print`](Self::print).
    pub(crate) fn event(self, lines: &mut String, event: &Event) {
        match event {
            Event::Phone(event) => self.phone_event(lines, event),
            Event::Call { .. } | Event::Lagged { .. } if !self.calls => {}
            Event::Call { call, event } => self.call_event(lines, *call, event),
            Event::TurnedAway(away) => {
                let (value, line) = turned_away(away);
                self.add(lines, || value, format_args!("{line}"));
            }
            // People read it in the error of the command.
            Event::StartFailed { .. } if !self.json => {}
            Event::StartFailed { code, message } => {
                let value = || json!({ "event": "start_failed", "code": code, "message": message });
                self.add(lines, value, format_args!(""));
            }
            Event::Lagged { missed } => {
                let value = || json!({ "event": "lagged", "missed": missed });
                let what = "events came too fast to be shown";
                self.add(lines, value, format_args!("{missed} {what}"));
            }
            _ => {}
        }
    }

    fn phone_event(self, lines: &mut String, event: &PhoneEvent) {
        match event {
            PhoneEvent::Incoming { .. } if !self.calls => {}
            PhoneEvent::Registered { expires } => {
                let expires = expires.as_secs();
                let value = || json!({ "event": "registered", "expires": expires });
                self.add(lines, value, format_args!("registered for {expires} s"));
            }
            PhoneEvent::Unregistered => {
                let value = || json!({ "event": "unregistered" });
                self.add(lines, value, format_args!("unregistered"));
            }
            PhoneEvent::RegistrationFailed { cause, error } => {
                let value = || {
                    let value = with_cause(json!({ "event": "registration_failed" }), cause);
                    with_error(value, error)
                };
                let why = match (cause, error) {
                    (Some(cause), _) => describe(cause),
                    (None, Some(error)) => error.to_string(),
                    (None, None) => "no answer".into(),
                };
                self.add(lines, value, format_args!("registration failed: {why}"));
            }
            PhoneEvent::Incoming { call, from, to } => {
                let id = || call.to_string();
                let value = || json!({ "event": "incoming", "call": id(), "from": from, "to": to });
                let (from, to) = (printable(from), printable(to));
                self.add(lines, value, format_args!("call {call}: from {from} to {to}"));
                self.state(lines, *call, CallState::Ringing, &None);
            }
            PhoneEvent::CallRefused { from, to, code, error } => {
                let value = || {
                    let value = json!({
                        "event": "call_refused", "from": from, "to": to, "code": code,
                    });
                    with_error(value, &Some(error.clone()))
                };
                let (from, to) = (printable(from), printable(to));
                let line = format_args!("a call from {from} to {to} was refused ({code}): {error}");
                self.add(lines, value, line);
            }
            PhoneEvent::Message { from, body, content_type, .. } => {
                let body = String::from_utf8_lossy(body);
                let value = || {
                    json!({
                        "event": "message", "from": from, "body": body,
                        "content_type": content_type,
                    })
                };
                let text = content_type.to_ascii_lowercase().starts_with("text/plain");
                let kind = match text {
                    true => String::new(),
                    false => format!("({}) ", printable(content_type)),
                };
                let (from, said) = (printable(from), printable(&body));
                self.add(lines, value, format_args!("message from {from}: {kind}{said}"));
            }
            _ => {}
        }
    }

    fn call_event(self, lines: &mut String, call: CallId, event: &CallEvent) {
        let id = || call.to_string();
        match event {
            CallEvent::State { state, cause } => self.state(lines, call, *state, cause),
            CallEvent::Dtmf { digit, duration } => {
                let ms = millis(*duration);
                let value = || {
                    json!({
                        "event": "dtmf", "call": id(), "digit": digit.to_string(),
                        "duration_ms": ms, "method": "rfc4733",
                    })
                };
                self.add(lines, value, format_args!("call {call}: digit {digit} ({ms} ms)"));
            }
            CallEvent::Hold { by, held } => {
                let value =
                    || json!({ "event": "hold", "call": id(), "by": by.as_str(), "held": held });
                let text = match (by, held) {
                    (HoldBy::Local, true) => "the far end is on hold",
                    (HoldBy::Local, false) => "the far end is off hold",
                    (HoldBy::Remote, true) => "put on hold by the far end",
                    (HoldBy::Remote, false) => "taken off hold by the far end",
                };
                self.add(lines, value, format_args!("call {call}: {text}"));
            }
            CallEvent::Transfer { to, outcome, last, cause } => {
                let result = outcome.as_str();
                let value = || {
                    let id = id();
                    let value = json!({
                        "event": "transfer", "call": id, "to": to, "result": result, "last": last,
                    });
                    with_cause(value, cause)
                };
                let why = cause.as_ref().map(|cause| format!(" ({})", describe(cause)));
                let (to, why) = (printable(to), why.unwrap_or_default());
                self.add(lines, value, format_args!("call {call}: transfer to {to} {result}{why}"));
            }
            CallEvent::Referred { to, by, .. } => {
                let value = || json!({ "event": "referred", "call": id(), "to": to, "by": by });
                let (to, by) = (printable(to), printable(by));
                self.add(lines, value, format_args!("call {call}: {by} wants us to call {to}"));
            }
            CallEvent::Ended(ending) => self.ended(lines, call, ending),
            _ => {}
        }
    }

    fn state(self, lines: &mut String, call: CallId, state: CallState, cause: &Option<Cause>) {
        // People learn of the end from the line that has the figures.
        if state == CallState::Ended && !self.json {
            return;
        }
        let value = || {
            let id = call.to_string();
            with_cause(json!({ "event": "state", "call": id, "state": state.as_str() }), cause)
        };
        let why = cause.as_ref().map(|cause| format!(" ({})", describe(cause))).unwrap_or_default();
        self.add(lines, value, format_args!("call {call}: {state}{why}"));
    }

    fn ended(self, lines: &mut String, call: CallId, ending: &Ending) {
        let by = ending.by.as_str();
        let value = || {
            let id = call.to_string();
            let value = json!({ "event": "ended", "call": id, "by": by, "stats": stats(ending) });
            let value = with_error(with_cause(value, &ending.cause), &ending.error);
            with_reasons(value, &ending.reasons)
        };
        let why = match (&ending.error, &ending.cause) {
            _ if ending.is_answered_elsewhere() => " (answered elsewhere)".to_owned(),
            (Some(error), _) => format!(" ({error})"),
            (None, Some(cause)) => format!(" ({})", describe(cause)),
            (None, None) => String::new(),
        };
        let after = match ending.was_answered() {
            true => {
                let seconds = ending.duration.as_secs_f64();
                format!(" after {seconds:.1} s; {}", figures(&ending.stats))
            }
            false => String::new(),
        };
        self.add(lines, value, format_args!("call {call}: ended by {by}{why}{after}"));
    }
}

/// The quality figures of a call, for programs.
fn stats(ending: &Ending) -> Value {
    let stats = &ending.stats;
    json!({
        "codec": stats.codec.map(|codec| codec.name()),
        "duration_ms": millis(ending.duration),
        "setup_ms": ending.setup.map(|setup| rounded(setup.as_secs_f64() * 1_000.0)),
        "sent": stats.sent,
        "received": stats.received,
        "lost": stats.lost,
        "duplicates": stats.duplicates,
        "late": stats.late,
        "discarded": stats.discarded,
        "jitter_ms": rounded(stats.jitter_us as f64 / 1_000.0),
        "rtt_ms": stats.rtt_us.map(|rtt| rounded(rtt as f64 / 1_000.0)),
        "mos": f64::from(stats.mos_x100) / 100.0,
        "concealed_ms": stats.concealed_ms,
    })
}

/// The quality figures of a call, for people.
pub(crate) fn figures(stats: &MediaStats) -> String {
    let codec = stats.codec.map_or("no codec", |codec| codec.name());
    let (sent, received, lost) = (stats.sent, stats.received, stats.lost);
    let jitter = stats.jitter_us as f64 / 1_000.0;
    let mut line = format!("{codec}, sent {sent}, received {received}, lost {lost}");
    line.push_str(&format!(", jitter {jitter:.1} ms"));
    if let Some(rtt) = stats.rtt_us {
        line.push_str(&format!(", round trip {:.1} ms", rtt as f64 / 1_000.0));
    }
    if stats.concealed_ms > 0 {
        line.push_str(&format!(", {} ms made up", stats.concealed_ms));
    }
    if stats.mos_x100 > 0 {
        line.push_str(&format!(", MOS {:.2}", f64::from(stats.mos_x100) / 100.0));
    }
    line
}

fn with_error(mut value: Value, error: &Option<offhook::core::error::Error>) -> Value {
    if let Some(error) = error {
        value["error"] = json!({ "code": error.code(), "message": error.to_string() });
    }
    value
}

/// Why BYE, CANCEL or a response says that it ends.
fn with_reasons(mut value: Value, reasons: &[Reason]) -> Value {
    if !reasons.is_empty() {
        let reason = |reason: &Reason| {
            let Reason { protocol, cause, text, .. } = reason;
            json!({ "protocol": protocol, "cause": cause, "text": text })
        };
        value["reasons"] = reasons.iter().map(reason).collect();
    }
    value
}

fn with_cause(mut value: Value, cause: &Option<Cause>) -> Value {
    if let Some(cause) = cause {
        value["code"] = json!(cause.code);
        value["reason"] = json!(cause.reason);
        if let Some(seconds) = cause.retry_after {
            value["retry_after"] = json!(seconds);
        }
    }
    value
}

/// A peer that was not let in, for programs and for people.
pub(crate) fn turned_away(away: &TurnedAway) -> (Value, String) {
    let TurnedAway { transport, from, problem, others, .. } = away;
    let transport = transport.as_str().to_ascii_lowercase();
    let value = json!({
        "event": "turned_away", "transport": transport, "from": from.to_string(),
        "problem": problem, "others": others,
    });
    let others = match others {
        0 => String::new(),
        others => format!(", and {others} others before"),
    };
    (value, format!("{from} was turned away at {transport}: {}{others}", printable(problem)))
}

/// A response as people read it: `486 Busy Here`.
pub(crate) fn describe(cause: &Cause) -> String {
    format!("{} {}", cause.code, printable(&cause.reason))
}

/// What a peer wrote, without what would steer the terminal.
pub(crate) fn printable(text: &str) -> Printable<'_> {
    Printable(text)
}

/// See [`printable`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Printable<'a>(&'a str);

impl Display for Printable<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for piece in self.0.split_inclusive(char::is_control) {
            let clean = piece.trim_end_matches(char::is_control);
            f.write_str(clean)?;
            write!(f, "{}", piece[clean.len()..].escape_default())?;
        }
        Ok(())
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Rounded to thousandths: microseconds of a figure in milliseconds.
pub(crate) fn rounded(figure: f64) -> f64 {
    (figure * 1_000.0).round() / 1_000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_cannot_steer_the_terminal() {
        let shown = |text| printable(text).to_string();
        assert_eq!(shown("Busy\u{1b}[2J\nHere"), "Busy\\u{1b}[2J\\nHere");
        assert_eq!(shown("\r\nGrüße\0"), "\\r\\nGrüße\\u{0}");
    }

    #[test]
    fn a_cause_is_printed_by_code_and_reason() {
        let cause = Cause::new(486, "Busy Here");
        let value = with_cause(json!({}), &Some(cause));
        assert_eq!(value, json!({ "code": 486, "reason": "Busy Here" }));
    }
}
