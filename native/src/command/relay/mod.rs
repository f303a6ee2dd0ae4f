//! `offhook relay`: sockets for telephones in web pages.

mod arguments;
mod token;

use offhook::core::relay::Problem;
use offhook::{Relay, RelayEvent, RelayOptions, TlsFiles, TokenKey, TokenKeys};
use serde_json::{Value, json};
use tokio::runtime::Handle;

use super::failure::{Failure, Status};
use super::output::{Output, printable, turned_away};
use super::signals::Signals;

pub(crate) use arguments::RelayArguments;
use arguments::{RelayCommand, ServeArguments};

/// Tokens are the key to everything, so a relay without any lets nobody in.
const NO_KEY: &str = "nobody could show a token: name the file of a secret (--secret-file), or of the public key of \
     who makes tokens (--public-key-file)";

pub(crate) async fn run(
    arguments: RelayArguments,
    output: Output,
    many: &Handle,
) -> Result<(), Failure> {
    match arguments.command {
        Some(RelayCommand::Token(arguments)) => token::run(&arguments, output),
        None => {
            // The sessions share the processors.
            let serving = many.spawn(serve(arguments.serve, output));
            serving.await.unwrap_or_else(|panic| Err(Failure::internal(panic)))
        }
    }
}

async fn serve(arguments: ServeArguments, output: Output) -> Result<(), Failure> {
    let drain = arguments.drain;
    let without_pages = arguments.origins.is_empty();
    let options = options(arguments)?;
    let signals = Signals::listen().map_err(Failure::internal)?;
    let relay = Relay::start(options)?;
    let mut events = relay.events();
    listening(output, &relay);
    if without_pages {
        let message =
            "no browser is let in, for there is no page that may connect: give --origin ORIGIN";
        output.warning("no_origins", message);
    }
    loop {
        tokio::select! {
            event = events.next() => match event {
                Some(event) => report(output, &event),
                None => break,
            },
            () = signals.came() => break,
        }
    }
    relay.stop(drain).await;
    let counters = relay.counters();
    drop(relay);
    while let Some(event) = events.next().await {
        report(output, &event);
    }
    let value = json!({ "event": "relay_counters", "counters": shown(&counters) });
    let (up, down) = (counters.packets_up, counters.packets_down);
    output.report(&value, &format!("{up} packets of media to peers, {down} from them"));
    Ok(())
}

fn options(arguments: ServeArguments) -> Result<RelayOptions, Failure> {
    let mut keys = Vec::new();
    if let Some(file) = &arguments.secret_file {
        keys.push((None, TokenKey::secret_file(file)?));
    }
    for (kid, file) in &arguments.public_key_files {
        keys.push((kid.clone(), TokenKey::public_key_file(file)?));
    }
    if keys.is_empty() {
        return Err(Failure::new(Status::Usage, "no_key", NO_KEY));
    }
    let keys = TokenKeys::new(&arguments.audience, keys);
    let mut options = RelayOptions::new(arguments.listen, keys);
    options.tls = TlsFiles {
        ca_file: arguments.ca_file,
        key_password: arguments.own.key_password()?,
        cert_file: arguments.own.cert_file,
        key_file: arguments.own.key_file,
        client_ca_file: arguments.own.client_ca_file,
        ..TlsFiles::default()
    };
    options.origins = arguments.origins;
    let policy = &mut options.policy;
    policy.servers = arguments.sip_servers;
    policy.networks = arguments.networks;
    policy.media_networks = arguments.media_networks;
    policy.public = arguments.public;
    policy.ports = arguments.rtp_ports;
    policy.grace = arguments.grace.into();
    let allowance = &mut policy.allowance;
    (allowance.pairs, allowance.flows) = (arguments.max_ports, arguments.max_flows);
    (allowance.packets, allowance.bits) = (arguments.max_packets, arguments.max_kbps * 1_000);
    let count = |count: u64| usize::try_from(count).unwrap_or(usize::MAX);
    options.max_sessions = count(arguments.max_sessions);
    options.sessions_per_user = count(arguments.max_sessions_per_user);
    Ok(options)
}

fn listening(output: Output, relay: &Relay) {
    let (local, url) = (relay.local(), relay.url());
    let transport = url.split(':').next().unwrap_or_default();
    let value = json!({
        "event": "listening", "local": local.to_string(), "transport": transport, "websocket": url,
    });
    output.report(&value, &format!("pages connect to {url}"));
}

fn report(output: Output, event: &RelayEvent) {
    let (value, line) = match event {
        RelayEvent::Began { session, subject, from } => (
            json!({
                "event": "session", "session": session, "subject": subject,
                "from": from.to_string(), "resumed": false,
            }),
            format!("session {session}: {} from {from}", printable(subject)),
        ),
        RelayEvent::Resumed { session, from } => (
            json!({
                "event": "session", "session": session, "from": from.to_string(), "resumed": true,
            }),
            format!("session {session}: back from {from}"),
        ),
        RelayEvent::Lost { session } => (
            json!({ "event": "session_lost", "session": session }),
            format!("session {session}: its connection is lost"),
        ),
        RelayEvent::Opened { session, transport, server } => {
            let transport = transport.as_str().to_ascii_lowercase();
            (
                json!({
                    "event": "flow", "session": session, "transport": transport,
                    "server": server.to_string(),
                }),
                format!("session {session}: {transport} to {server}"),
            )
        }
        RelayEvent::Bound { session, rtp } => (
            json!({ "event": "ports", "session": session, "rtp": rtp.to_string() }),
            format!("session {session}: media at {rtp}"),
        ),
        RelayEvent::Refused { session, problem, what } => (
            json!({
                "event": "relay_refused", "session": session, "code": problem.code(), "what": what,
            }),
            format!("session {session}: {} refused: {problem}", printable(what)),
        ),
        RelayEvent::Ended { session, problem, counters } => (
            json!({
                "event": "session_ended", "session": session, "code": problem.map(Problem::code),
                "counters": shown(counters),
            }),
            match problem {
                Some(problem) => format!("session {session}: ended: {problem}"),
                None => format!("session {session}: left"),
            },
        ),
        RelayEvent::Denied { from, problem } => (
            json!({ "event": "denied", "from": from.to_string(), "code": problem.code() }),
            format!("{from} was not let in: {problem}"),
        ),
        RelayEvent::TurnedAway(away) => turned_away(away),
        RelayEvent::Lagged { missed } => (
            json!({ "event": "lagged", "missed": missed }),
            format!("{missed} events came too fast to be shown"),
        ),
        _ => return,
    };
    output.report(&value, &line);
}

/// What has passed, for programs.
fn shown(counters: &offhook::core::relay::Counters) -> Value {
    json!({
        "packets_up": counters.packets_up,
        "bytes_up": counters.bytes_up,
        "packets_down": counters.packets_down,
        "bytes_down": counters.bytes_down,
        "signalling_up": counters.signalling_up,
        "signalling_down": counters.signalling_down,
        "limited": counters.limited,
        "foreign": counters.foreign,
        "dropped": counters.dropped,
        "refused": counters.refused,
    })
}
