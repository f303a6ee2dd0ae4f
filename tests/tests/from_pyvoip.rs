//! docs/from-pyvoip.md, checked: every name of pyVoIP's page is in it, every name of ours that it
//! gives exists, and so does every scenario and test.
//!
//! The lists below are compiled: a name that is renamed no longer builds here. A name in the document
//! that is missing from them, and one of them that is missing from the document, fails a test.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use offhook_tests::scenarios::named;

const DOCUMENT: &str = include_str!("../../docs/from-pyvoip.md");

/// The names of pyVoIP's page, as [`names_of`] reads them from it, and of the types it refers to.
const THEIRS: &str = include_str!("../pyvoip-names.txt");

/// Uses a name, so that it has to exist.
macro_rules! exists {
    (kind $kind:ident) => {{
        type Named = $kind;
        let _ = size_of::<Option<&Named>>();
    }};
    (interface $interface:ident for $kind:ident) => {{
        fn implemented<T: $interface>() {}
        implemented::<$kind>();
    }};
    (hook $interface:ident :: $method:ident for $kind:ident) => {
        let _ = <$kind as $interface>::$method;
    };
    (item $item:ident) => {
        let _ = $item;
    };
    (method $kind:ident :: $method:ident) => {
        let _ = $kind::$method;
    };
    // What takes `impl Trait` has no single type to name.
    (generic $kind:ident :: $method:ident ($($argument:expr),*)) => {
        let _ = |this: &$kind| {
            let _taken = this.$method($($argument),*);
        };
    };
    (variant $kind:ident :: $variant:ident) => {
        let _ = |this: &$kind| matches!(this, $kind::$variant { .. });
    };
    (field $kind:ident . $field:ident) => {
        let _ = |this: &$kind| size_of_val(&this.$field);
    };
}

/// A list of names, each of which is used.
macro_rules! list {
    ($name:ident: $($sort:ident $kind:ident $(:: $item:ident)? $(. $field:ident)?
        $(($($argument:expr),*))? $(for $by:ident)? ;)*) => {
        pub(super) fn $name() -> BTreeSet<&'static str> {
            $(exists!($sort $kind $(:: $item)? $(. $field)? $(($($argument),*))? $(for $by)?);)*
            BTreeSet::from([$(concat!(
                stringify!($kind) $(, "::", stringify!($item))? $(, ".", stringify!($field))?
            )),*])
        }
    };
}

mod core {
    use std::collections::BTreeSet;

    use offhook_core::auth::CredentialsManager;
    use offhook_core::call::{CallInfo, CallOptions, TransferMode, TransferOptions};
    use offhook_core::codec::{Codec, from_unsigned8, to_unsigned8};
    use offhook_core::config::{KeyPassword, PhoneParameters};
    use offhook_core::error::Error;
    use offhook_core::event::{
        CallEvent, CallId, CallState, Event, PhoneEvent, PhoneStatus, TransferOutcome,
    };
    use offhook_core::handler::SipHandler;
    use offhook_core::host::Transport;
    use offhook_core::nat::{NatError, Network, advertised};
    use offhook_core::phone::Phone;
    use offhook_core::rtp::MediaSession;
    use offhook_core::sdp::Direction;
    use offhook_core::sip::Message;
    use offhook_core::softphone::Softphone;
    use offhook_core::trace::Trace;

    struct Handler;

    impl SipHandler for Handler {}

    list! { names:
        variant Error::InvalidState;
        variant Error::InvalidRange;
        variant Error::NoPortsAvailable;
        variant Error::Nat;
        variant NatError::Outside;
        variant NatError::NoAddress;
        kind CallState;
        variant CallState::Dialing;
        variant CallState::Ringing;
        variant CallState::Progress;
        variant CallState::Answered;
        variant CallState::Canceling;
        variant CallState::Ended;
        kind PhoneStatus;
        variant PhoneStatus::Inactive;
        variant PhoneStatus::Registering;
        variant PhoneStatus::Registered;
        variant PhoneStatus::Deregistering;
        variant PhoneStatus::Failed;
        variant PhoneEvent::Incoming;
        variant CallEvent::State;
        variant CallEvent::Ended;
        variant PhoneEvent::Status;
        variant CallEvent::Hold;
        variant CallEvent::Renegotiated;
        method Phone::hold;
        method Phone::resume;
        variant PhoneEvent::Message;
        variant Event::Response;
        kind CallId;
        kind CallInfo;
        field CallInfo.state;
        field CallInfo.request_uri;
        field CallInfo.headers;
        field CallInfo.body;
        field CallInfo.remote;
        field CallInfo.local;
        field CallOptions.codecs;
        field CallOptions.direction;
        kind Phone;
        method Phone::new;
        method Phone::status;
        method Phone::start;
        method Phone::stop;
        method Phone::call;
        method Phone::message;
        method Phone::state;
        method Phone::info;
        method Phone::answer;
        method Phone::deny;
        method Phone::redirect;
        method Phone::hangup;
        method Phone::cancel;
        method Phone::transfer;
        variant CallEvent::Transfer;
        kind TransferOutcome;
        variant TransferMode::Blind;
        variant TransferMode::Notified;
        field TransferOptions.mode;
        kind Softphone;
        method Softphone::new;
        kind MediaSession;
        method MediaSession::take_dtmf;
        method MediaSession::write_audio;
        method MediaSession::flush_audio;
        method MediaSession::read_audio;
        method MediaSession::available;
        method MediaSession::read_audio_or_silence;
        item from_unsigned8;
        item to_unsigned8;
        kind PhoneParameters;
        method PhoneParameters::new;
        method PhoneParameters::without_server;
        method PhoneParameters::check;
        method PhoneParameters::password;
        field PhoneParameters.server;
        field PhoneParameters.port;
        field PhoneParameters.user;
        field PhoneParameters.credentials;
        field PhoneParameters.bind_ip;
        field PhoneParameters.bind_port;
        field PhoneParameters.bind_network;
        field PhoneParameters.hostname;
        field PhoneParameters.remote_hostname;
        field PhoneParameters.transport;
        field PhoneParameters.rtp_port_low;
        field PhoneParameters.rtp_port_high;
        field PhoneParameters.ca_file;
        field PhoneParameters.cert_file;
        field PhoneParameters.key_file;
        field PhoneParameters.key_password;
        field PhoneParameters.tls_insecure;
        field PhoneParameters.allow_md5;
        field PhoneParameters.sip_class;
        interface SipHandler for Handler;
        kind CredentialsManager;
        method CredentialsManager::add;
        method CredentialsManager::find;
        kind Network;
        method Network::contains;
        item advertised;
        kind Transport;
        variant Transport::Udp;
        variant Transport::Tcp;
        variant Transport::Tls;
        kind KeyPassword;
        kind Message;
        method Message::parse;
        method Message::header;
        method Message::fields;
        method Message::body;
        method Message::bytes;
        method Trace::ladder;
        kind Trace;
        kind Codec;
        method Codec::name;
        method Codec::clock_rate;
        method Codec::static_payload_type;
        method Codec::from_static_payload_type;
        kind Direction;
        variant Direction::RecvOnly;
        variant Direction::SendRecv;
        variant Direction::SendOnly;
        variant Direction::Inactive;
    }
}

mod native {
    use std::collections::BTreeSet;

    use offhook::{
        Call, CallEvent, CallHandler, CallInfo, CallOptions, CallState, Capture, Codec,
        CredentialsManager, Ending, Error, Network, Phone, PhoneEvent, PhoneOptions,
        PhoneParameters, PhoneStatus, Transfer, TransferMode,
    };

    struct Handler;

    impl CallHandler for Handler {}

    list! { names:
        variant Error::Phone;
        variant Error::Rejected;
        kind CallState;
        variant CallState::Dialing;
        variant CallState::Ringing;
        variant CallState::Progress;
        variant CallState::Answered;
        variant CallState::Canceling;
        variant CallState::Ended;
        kind PhoneStatus;
        variant PhoneStatus::Inactive;
        variant PhoneStatus::Registering;
        variant PhoneStatus::Registered;
        variant PhoneStatus::Deregistering;
        variant PhoneStatus::Failed;
        variant PhoneEvent::Status;
        variant PhoneEvent::Incoming;
        variant PhoneEvent::Message;
        variant CallEvent::State;
        variant CallEvent::Hold;
        variant CallEvent::Renegotiated;
        method Call::hold;
        method Call::resume;
        field Ending.cause;
        kind Call;
        method Call::id;
        method Call::state;
        method Call::info;
        method Call::answer;
        method Call::answered;
        method Call::ended;
        method Call::deny;
        method Call::redirect;
        method Call::hangup;
        method Call::cancel;
        generic Call::transfer("carol", TransferMode::Blind);
        variant Transfer::Transferred;
        variant Transfer::Failed;
        variant TransferMode::Blind;
        variant TransferMode::Notified;
        method Call::take_dtmf;
        method Call::read_dtmf;
        method Call::write_audio;
        method Call::flush_audio;
        method Call::read_audio;
        method Call::take_audio;
        method Call::read_audio_or_silence;
        method Call::read_audio_u8;
        method Call::write_audio_u8;
        interface CallHandler for Handler;
        hook CallHandler::ringing for Handler;
        hook CallHandler::progress for Handler;
        hook CallHandler::answered for Handler;
        hook CallHandler::busy for Handler;
        hook CallHandler::not_found for Handler;
        hook CallHandler::unavailable for Handler;
        hook CallHandler::bye for Handler;
        hook CallHandler::renegotiate for Handler;
        generic Phone::set_call_handler(Handler);
        generic Call::play("x.wav");
        field CallInfo.headers;
        method CallOptions::codecs;
        method CallOptions::direction;
        kind Phone;
        method Phone::new;
        method Phone::status;
        method Phone::start;
        method Phone::stop;
        method Phone::call;
        method Phone::call_with;
        method Phone::incoming;
        method PhoneOptions::capture;
        generic Phone::message("sip:bob@example.com", "text", "text/plain");
        kind PhoneParameters;
        field PhoneParameters.server;
        field PhoneParameters.port;
        field PhoneParameters.user;
        field PhoneParameters.credentials;
        field PhoneParameters.bind_ip;
        field PhoneParameters.bind_port;
        field PhoneParameters.bind_network;
        field PhoneParameters.hostname;
        field PhoneParameters.remote_hostname;
        field PhoneParameters.transport;
        field PhoneParameters.rtp_port_low;
        field PhoneParameters.rtp_port_high;
        field PhoneParameters.ca_file;
        field PhoneParameters.cert_file;
        field PhoneParameters.key_file;
        field PhoneParameters.key_password;
        field PhoneParameters.tls_insecure;
        field PhoneParameters.allow_md5;
        field PhoneParameters.sip_class;
        kind CredentialsManager;
        method CredentialsManager::add;
        method CredentialsManager::find;
        kind Network;
        kind Capture;
        method Capture::ladder;
        kind Codec;
    }
}

/// The rows of the tables whose header begins with that cell.
fn rows(first: &str) -> Vec<Vec<&'static str>> {
    let mut rows = Vec::new();
    let mut within = false;
    for line in DOCUMENT.lines() {
        let cells: Vec<&str> = match line.strip_prefix("| ").and_then(|l| l.strip_suffix('|')) {
            Some(line) => line.split(" |").map(str::trim).collect(),
            None => {
                within &= line.starts_with("|---");
                continue;
            }
        };
        if within {
            rows.push(cells);
        } else {
            within = cells[0] == first;
        }
    }
    assert!(!rows.is_empty(), "there is no table of {first}");
    rows
}

/// What is written as code in a cell.
fn codes(cell: &'static str) -> impl Iterator<Item = &'static str> {
    cell.split('`').skip(1).step_by(2)
}

#[test]
fn every_name_of_theirs_is_there_once() {
    let wanted: Vec<&str> = THEIRS.lines().filter(|line| !line.starts_with('#')).collect();
    let mut found: BTreeMap<&str, usize> = BTreeMap::new();
    for row in rows("pyVoIP") {
        assert_eq!(row.len(), 5, "{row:?}");
        *found.entry(row[0].trim_matches('`')).or_default() += 1;
    }
    for name in &wanted {
        assert_eq!(found.remove(name), Some(1), "{name}");
    }
    assert!(found.is_empty(), "these are none of theirs: {found:?}");
}

#[test]
fn what_has_no_counterpart_says_why() {
    for row in rows("pyVoIP") {
        let nothing = row[1..4].iter().all(|cell| *cell == "—");
        assert!(!nothing || !row[4].is_empty(), "{row:?}");
    }
}

#[test]
fn every_name_of_ours_exists_and_is_told() {
    for (column, listed) in [(1, core::names()), (2, native::names())] {
        let told: BTreeSet<&str> =
            rows("pyVoIP").iter().flat_map(|row| codes(row[column])).collect();
        let unknown: Vec<_> = told.difference(&listed).collect();
        assert!(unknown.is_empty(), "in the document and not in the list: {unknown:?}");
        let untold: Vec<_> = listed.difference(&told).collect();
        assert!(untold.is_empty(), "in the list and not in the document: {untold:?}");
    }
}

#[test]
fn every_name_of_javascript_exists() {
    let phone =
        concat!(include_str!("../../wasm/ts/phone.ts"), include_str!("../../wasm/ts/emitter.ts"));
    let call = concat!(
        include_str!("../../wasm/ts/call.ts"),
        include_str!("../../wasm/ts/call_media.ts"),
        include_str!("../../wasm/ts/emitter.ts"),
    );
    let hooks = include_str!("../../wasm/ts/hooks.ts");
    let declared = include_str!("../../wasm/src/types.d.ts");
    let interface = |name: &str| {
        let (_, after) =
            declared.split_once(&format!("export interface {name} {{")).expect("there");
        after.split("\n}").next().unwrap_or_default()
    };
    let member = |body: &str, name: &str| {
        body.lines().map(str::trim).any(|line| {
            let mut line = line;
            for word in ["readonly ", "async ", "get "] {
                line = line.strip_prefix(word).unwrap_or(line);
            }
            let rest = line.strip_prefix(name).unwrap_or("x");
            rest.starts_with(['(', ':', '?', '<'])
        })
    };
    for row in rows("pyVoIP") {
        for code in codes(row[3]) {
            let exists = match code.split_once('.') {
                Some(("phone", name)) => member(phone, name),
                Some(("call", name)) => member(call, name.split('(').next().unwrap_or_default()),
                Some(("CallHooks", name)) => member(hooks, name),
                _ if row[3].starts_with("code ") => {
                    include_str!("../../core/src/error.rs").contains(&format!("\"{code}\""))
                }
                _ if row[3].starts_with("option ") => {
                    member(interface("CallOptions"), code)
                        || member(interface("TransferOptions"), code)
                }
                _ if code.starts_with('"') => declared.contains(code),
                _ => {
                    [phone, call, hooks, declared].into_iter().any(|text| {
                        ["class", "interface"].iter().any(|kind| {
                            let found = format!("{kind} {code}");
                            text.contains(&format!("{found} "))
                                || text.contains(&format!("{found}<"))
                        })
                    }) || (row[3].starts_with("parameter")
                        && (member(interface("PhoneParameters"), code) || member(phone, code)))
                }
            };
            assert!(exists, "{code} in {row:?}");
        }
    }
}

#[test]
fn every_fault_and_every_wish_is_shown() {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the top of the project");
    let faults = rows("there").into_iter().map(|row| (row[0], "", row[1]));
    let wishes = rows("they ask for").into_iter().map(|row| (row[0], row[1], row[2]));
    let (mut count, mut issues) = (0, 0);
    for (what, asked, shown) in faults.chain(wishes) {
        let mut told = String::new();
        let mut tests = 0;
        for code in codes(shown) {
            match code.split_once(": ") {
                Some((file, test)) => {
                    let text = std::fs::read_to_string(top.join(file)).expect(file);
                    let found = text.find(&format!("fn {test}(")).expect(code);
                    let before = &text[found.saturating_sub(80)..found];
                    assert!(before.contains("#[test]") || before.contains("::test"), "{code}");
                    tests += 1;
                }
                None => {
                    let scenario = named(code).unwrap_or_else(|| panic!("no scenario {code}"));
                    assert!(scenario.shows.contains("pyVoIP"), "{code} does not say so");
                    told += scenario.shows;
                }
            }
        }
        let later = shown.contains("later");
        assert!(!told.is_empty() || tests > 0 || later, "{what} is not shown");
        for issue in asked.split(' ').filter(|issue| !issue.is_empty()) {
            issues += 1;
            // A wish is named by a scenario that shows it, unless a test does or it comes later.
            let number = told.split(|c: char| c != '#' && !c.is_ascii_digit());
            let named = number.into_iter().any(|word| word == issue);
            assert!(named || tests > 0 || later, "{what}: nothing names {issue}");
        }
        count += 1;
    }
    // the list of what is broken in pyVoIP, item by item, and the 19 wishes with their issues.
    assert_eq!((count, issues), (59 + 19, 64));
}

/// pyVoIP's page is not in the repository. Where it lies beside it, the list of names is that of the page.
#[test]
fn the_names_are_those_of_the_seed() {
    let seed = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/seeds/voip.rst");
    let Ok(text) = std::fs::read_to_string(seed) else {
        eprintln!("skipped: there is no ../shared/seeds here");
        return;
    };
    let kept: Vec<&str> =
        THEIRS.lines().skip(1).take_while(|line| !line.starts_with('#')).collect();
    assert_eq!(kept, names_of(&text));
}

/// The names that a page of pyVoIP's documentation defines, each argument with its default.
fn names_of(page: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut owner = String::new();
    for line in page.lines().map(str::trim) {
        let Some((before, after)) = line.split_once("**") else { continue };
        let Some((name, signature)) = after.split_once("**") else { continue };
        let signature = signature.strip_prefix("\\ (");
        let signature = signature.and_then(|s| Some(s.rsplit_once(')')?.0));
        let kind = before.split('*').nth(1).filter(|_| before.starts_with('*'));
        let full = match (kind, before.strip_suffix(".\\ ")) {
            (Some("exception" | "enum" | "class"), _) => {
                owner = name.to_owned();
                name.to_owned()
            }
            (None, Some(owner)) if !owner.contains(' ') => format!("{owner}.{name}"),
            (None, None) if before.is_empty() && signature.is_some() => format!("{owner}.{name}"),
            _ => continue,
        };
        names.push(full.clone());
        names.extend(arguments(signature.unwrap_or_default()).map(|a| format!("{full}({a})")));
    }
    names
}

/// `name` or `name=default` of each argument, without types and markup.
fn arguments(signature: &str) -> impl Iterator<Item = String> {
    let mut depth = 0;
    let parts = signature.split(move |c| {
        depth += i32::from(matches!(c, '[' | '(')) - i32::from(matches!(c, ']' | ')'));
        c == ',' && depth == 0
    });
    parts.map(str::trim).filter(|part| !part.is_empty()).map(|part| {
        let name = part.split([':', '=']).next().unwrap_or_default().trim();
        match part.rsplit_once('=') {
            Some((_, default)) => format!("{name}={}", plain(default.trim())),
            None => name.to_owned(),
        }
    })
}

/// Text without references: `\ :ref:`X<Y>`.Z` is X.Z.
fn plain(text: &str) -> String {
    match text.split_once(":ref:`").and_then(|(_, rest)| rest.split_once('`')) {
        Some((reference, rest)) => {
            format!("{}{rest}", reference.split('<').next().unwrap_or_default().trim())
        }
        None => text.to_owned(),
    }
}
