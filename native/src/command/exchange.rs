//! `offhook exchange`: the small registrar and proxy.

use offhook::{Algorithm, Departure, Exchange, ExchangeEvent, ExchangeNotice, ExchangeParameters};
use serde_json::json;

use super::arguments::{ExchangeArguments, Listen};
use super::failure::{Failure, Status};
use super::output::{Output, printable};
use super::session::Recorder;
use super::signals::Signals;

pub(crate) async fn run(arguments: ExchangeArguments, output: Output) -> Result<(), Failure> {
    let Some(first) = arguments.listen.first() else {
        return Err(Failure::new(Status::Usage, "no_address", "name an address to --listen at"));
    };
    let algorithm = match arguments.algorithm.as_str() {
        "SHA-256" => Algorithm::Sha256,
        "SHA-512-256" => Algorithm::Sha512256,
        _ => Algorithm::Md5,
    };
    let mut parameters =
        ExchangeParameters::new(first.address).realm(&arguments.realm).algorithm(algorithm);
    parameters.listen = arguments.listen.into_iter().flat_map(Listen::listeners).collect();
    parameters.users = arguments.users;
    let signals = Signals::listen().map_err(Failure::internal)?;
    let recorder = Recorder::new(&arguments.watch);
    let exchange = match recorder.capture.clone() {
        Some(capture) => Exchange::start_captured(parameters, capture)?,
        None => Exchange::start(parameters)?,
    };
    for listener in exchange.listeners() {
        output.listening(listener.transport, listener.address);
    }
    let mut events = exchange.events();
    loop {
        tokio::select! {
            notice = events.next() => match notice {
                Some(notice) => tell(output, &notice),
                None => break,
            },
            () = signals.came() => break,
        }
    }
    exchange.stop().await;
    recorder.finish(output)
}

fn tell(output: Output, notice: &ExchangeNotice) {
    let (value, line) = match notice {
        ExchangeNotice::Event(ExchangeEvent::Registered { user, contact, expires }) => {
            let expires = expires.as_secs();
            (
                json!({ "event": "registered", "user": user, "contact": contact, "expires": expires }),
                format!("{} registered at {} for {expires} s", printable(user), printable(contact)),
            )
        }
        ExchangeNotice::Event(ExchangeEvent::Unregistered { user, contact, cause }) => {
            let how = match cause {
                Departure::Expired => "expired",
                Departure::Lost => "lost",
                _ => "unregistered",
            };
            let expired = *cause == Departure::Expired;
            (
                json!({
                    "event": "unregistered", "user": user, "contact": contact, "expired": expired,
                    "lost": *cause == Departure::Lost,
                }),
                format!("{} {how} at {}", printable(user), printable(contact)),
            )
        }
        ExchangeNotice::Event(ExchangeEvent::Call { from, to, contacts }) => (
            json!({ "event": "call", "from": from, "to": to, "contacts": contacts }),
            format!("{} calls {}", printable(from), printable(to)),
        ),
        ExchangeNotice::Event(ExchangeEvent::Refused { method, source, user, code }) => {
            let (method, source) = (method.as_str(), source.to_string());
            let who = user.as_deref().map(|user| format!(" for {}", printable(user)));
            let value = json!({
                "event": "refused", "method": method, "source": source, "user": user, "code": code,
            });
            let method = printable(method);
            (value, format!("{method} from {source}{} refused: {code}", who.unwrap_or_default()))
        }
        ExchangeNotice::Lagged { missed } => (
            json!({ "event": "lagged", "missed": missed }),
            format!("{missed} events came too fast to be shown"),
        ),
        _ => return,
    };
    output.tell(&value, &line);
}
