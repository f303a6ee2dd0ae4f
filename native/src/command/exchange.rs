//! `offhook exchange`: the small registrar and proxy.

use std::path::Path;

use offhook::{
    Algorithm, Departure, Error, Exchange, ExchangeEvent, ExchangeNotice, ExchangeOptions,
    ExchangeParameters, Listener, TlsFiles, file_problem,
};
use serde_json::json;

use super::arguments::{ExchangeArguments, ExchangeTls, Listen};
use super::failure::{Failure, Status};
use super::output::{Output, printable, turned_away};
use super::session::Recorder;
use super::signals::Signals;

/// A shorter secret can be guessed.
const SHORTEST_SECRET: usize = 16;

pub(crate) async fn run(arguments: ExchangeArguments, output: Output) -> Result<(), Failure> {
    let parameters = parameters(&arguments)?;
    let has_no_users = parameters.users.is_empty();
    let recorder = Recorder::new(&arguments.watch)?;
    let mut options = ExchangeOptions::default();
    options.tls = tls(&arguments.tls)?;
    options.origins = arguments.origins;
    options.capture.clone_from(&recorder.capture);
    let signals = Signals::listen().map_err(Failure::internal)?;
    let exchange = Exchange::start_with(parameters, options)?;
    for listener in exchange.listeners() {
        output.listening(listener.transport, listener.address);
    }
    if has_no_users {
        let message = "nobody can register, for there is no user: give --user NAME:PASSWORD";
        output.warning("no_users", message);
    }
    let mut events = exchange.events();
    loop {
        tokio::select! {
            notice = events.next() => match notice {
                Some(notice) => print_notice(output, &notice),
                None => break,
            },
            () = signals.came() => break,
        }
    }
    exchange.stop().await;
    recorder.finish(output)
}

fn parameters(arguments: &ExchangeArguments) -> Result<ExchangeParameters, Failure> {
    let listen: Vec<_> = arguments.listen.iter().copied().flat_map(Listen::listeners).collect();
    let Some(first) = listen.first() else {
        return Err(Failure::new(Status::Usage, "no_address", "name an address to --listen at"));
    };
    check_ports(&listen)?;
    let algorithm = match arguments.algorithm.as_str() {
        "SHA-256" => Algorithm::Sha256,
        "SHA-512-256" => Algorithm::Sha512256,
        _ => Algorithm::Md5,
    };
    let mut parameters =
        ExchangeParameters::new(first.address).realm(&arguments.realm).algorithm(algorithm);
    parameters.listen = listen;
    parameters.users.clone_from(&arguments.users);
    parameters.domains.clone_from(&arguments.domains);
    parameters.secret = arguments.secret_file.as_deref().map(secret).transpose()?;
    Ok(parameters)
}

/// A port has one listener for connections, whatever they carry.
fn check_ports(listen: &[Listener]) -> Result<(), Failure> {
    let connects = |listener: &&Listener| listener.transport.is_reliable();
    for (index, one) in listen.iter().enumerate().filter(|(_, one)| connects(one)) {
        let same = |other: &&Listener| other.address == one.address && one.address.port() != 0;
        if let Some(other) = listen.iter().skip(index + 1).filter(connects).find(same) {
            let (at, one, other) = (one.address, one.transport, other.transport);
            let (one, other) = (one.as_str(), other.as_str());
            let message =
                format!("{at} cannot be both for {one} and for {other}: give each its port");
            return Err(Failure::new(Status::Usage, "listen", message));
        }
    }
    Ok(())
}

fn secret(path: &Path) -> Result<Vec<u8>, Failure> {
    let wrong = |problem: String| Failure::from(Error::File { path: path.to_owned(), problem });
    let secret = std::fs::read(path).map_err(|error| wrong(file_problem(&error)))?;
    match secret.len() {
        ..SHORTEST_SECRET => Err(wrong(format!(
            "a secret has {SHORTEST_SECRET} bytes at least: openssl rand -hex 32"
        ))),
        _ => Ok(secret),
    }
}

fn tls(arguments: &ExchangeTls) -> Result<TlsFiles, Failure> {
    let ExchangeTls { own, ca_file } = arguments;
    Ok(TlsFiles {
        ca_file: ca_file.clone(),
        cert_file: own.cert_file.clone(),
        key_file: own.key_file.clone(),
        key_password: own.key_password()?,
        client_ca_file: own.client_ca_file.clone(),
        ..TlsFiles::default()
    })
}

fn print_notice(output: Output, notice: &ExchangeNotice) {
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
        ExchangeNotice::Event(ExchangeEvent::Unreachable { transport, peer, problem }) => {
            let transport = transport.as_str().to_ascii_lowercase();
            let peer = peer.to_string();
            let value = json!({
                "event": "unreachable", "transport": transport, "peer": peer, "problem": problem,
            });
            (value, format!("{peer} cannot be reached over {transport}: {}", printable(problem)))
        }
        ExchangeNotice::Event(ExchangeEvent::Limited { source, limit, count }) => {
            let (source, limit) = (source.to_string(), limit.as_str());
            let value =
                json!({ "event": "limited", "source": source, "limit": limit, "count": count });
            (value, format!("{source} is held back: too many {limit} ({count} times)"))
        }
        ExchangeNotice::TurnedAway(away) => turned_away(away),
        ExchangeNotice::Lagged { missed } => (
            json!({ "event": "lagged", "missed": missed }),
            format!("{missed} events came too fast to be shown"),
        ),
        _ => return,
    };
    output.report(&value, &line);
}
