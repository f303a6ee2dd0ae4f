//! What can be asked of the command.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use offhook::core::media::SymmetricRtp;
use offhook::core::nat::KeepAlive;
use offhook::core::rtp::event_of;
use offhook::core::sip::{NameAddr, Uri};
use offhook::{Codec, Listener, Network, Transport};

use super::relay::RelayArguments;
use super::tls::{Own, Tls};

/// A telephone for the terminal and for scripts.
///
/// With --json every event is one JSON object a line on standard output. Exit status: 0 done;
/// 1 an error inside; 2 usage; 3 registration refused or unanswered; 4 call or message refused,
/// not answered or failed; 5 nothing happened in the time allowed; 6 a local resource (port in use, file).
/// SIGINT and SIGTERM hang up, deregister and close recordings; a second one leaves at once. SIGUSR1
/// says that the network has changed: a phone registers anew, and its calls go on from there.
#[derive(Parser, Debug)]
#[command(name = "offhook", version, max_term_width = 100)]
pub(crate) struct Cli {
    /// Options from a TOML file, by the same names: `server = "pbx.example.com"`; the table [call] is
    /// for `offhook call` alone; what the command line says wins
    #[arg(long, value_name = "FILE", global = true)]
    pub(crate) config: Option<PathBuf>,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// Show everything at once: two phones and an exchange on this machine, a call with sound and
    /// digits, checked
    Demo(DemoArguments),
    /// Register at a server and stay registered
    Register(Box<RegisterArguments>),
    /// Call somebody
    Call(Box<CallArguments>),
    /// Answer calls
    Answer(Box<AnswerArguments>),
    /// Send an instant message
    Message(Box<MessageArguments>),
    /// Ask whether somebody is there (a SIP ping)
    Options(Box<OptionsArguments>),
    /// Call by the thousand, and measure
    Load(Box<LoadArguments>),
    /// Run a small registrar and proxy for development
    Exchange(Box<ExchangeArguments>),
    /// Lend sockets to telephones in web pages
    Relay(Box<RelayArguments>),
    /// Draw a ladder diagram from a capture (pcap or pcapng, SIP over UDP)
    Trace(TraceArguments),
    /// Print shell completions
    Completions {
        /// For which shell
        shell: clap_complete::Shell,
    },
}

impl Command {
    pub(crate) fn json(&self) -> bool {
        match self {
            Self::Demo(arguments) => arguments.json,
            Self::Register(arguments) => arguments.common.watch.json,
            Self::Call(arguments) => arguments.common.watch.json,
            Self::Answer(arguments) => arguments.common.watch.json,
            Self::Message(arguments) => arguments.common.watch.json,
            Self::Options(arguments) => arguments.common.watch.json,
            Self::Load(arguments) => arguments.common.watch.json,
            Self::Exchange(arguments) => arguments.watch.json,
            Self::Relay(arguments) => arguments.json(),
            Self::Trace(arguments) => arguments.json,
            Self::Completions { .. } => false,
        }
    }
}

/// What every phone has.
#[derive(Args, Debug)]
pub(crate) struct Common {
    #[command(flatten)]
    pub(crate) account: Account,
    #[command(flatten)]
    pub(crate) network: Local,
    #[command(flatten)]
    pub(crate) tls: Tls,
    #[command(flatten)]
    pub(crate) watch: Watch,
}

#[derive(Args, Debug)]
#[command(next_help_heading = "Account")]
pub(crate) struct Account {
    /// Registrar and proxy; without it nothing registers and calls go straight to their target
    #[arg(long, value_name = "HOST[:PORT]")]
    pub(crate) server: Option<String>,
    /// The user part of our URI [default: offhook]
    #[arg(long, value_name = "NAME")]
    pub(crate) user: Option<String>,
    /// The name to authenticate with, when it is not --user
    #[arg(long, value_name = "NAME")]
    pub(crate) auth_user: Option<String>,
    /// The password; better --password-file or the environment variable OFFHOOK_PASSWORD, which
    /// other users of this machine cannot see
    #[arg(long, value_name = "TEXT", conflicts_with = "password_file")]
    pub(crate) password: Option<String>,
    /// A file whose first line is the password
    #[arg(long, value_name = "FILE")]
    pub(crate) password_file: Option<PathBuf>,
    /// The only realm in which the password is given [default: that of the first challenge]
    #[arg(long, value_name = "TEXT")]
    pub(crate) realm: Option<String>,
    /// The name shown to others
    #[arg(long, value_name = "TEXT")]
    pub(crate) display_name: Option<String>,
    /// Use the server without registering there
    #[arg(long)]
    pub(crate) no_register: bool,
    /// How long a registration is asked for, in seconds
    #[arg(long, value_name = "S", default_value_t = 120, value_parser = clap::value_parser!(u64).range(1..=4_294_967_295))]
    pub(crate) expires: u64,
    /// How long to try to register before giving up, in seconds [default: five attempts, however long
    /// they take]
    #[arg(long, value_name = "S", value_parser = seconds)]
    pub(crate) start_timeout: Option<Duration>,
    /// The URN of this very phone, the same each time: urn:uuid: and what uuidgen has printed once. A
    /// server that knows outbound (RFC 5626) then calls it along the connection it has opened
    #[arg(long, value_name = "URN")]
    pub(crate) instance: Option<String>,
    /// A SIP URI through which every request goes
    #[arg(long, value_name = "URI")]
    pub(crate) outbound_proxy: Option<String>,
}

#[derive(Args, Debug)]
#[command(next_help_heading = "Network and media")]
pub(crate) struct Local {
    /// How SIP travels to the server, and to targets that do not say [default: as the domain name
    /// system says, or else UDP; TLS for sips]
    #[arg(long, value_name = "HOW", value_parser = ["udp", "tcp", "tls", "ws", "wss"])]
    pub(crate) transport: Option<String>,
    /// Over UDP, do not listen on TCP as well, and send by UDP also what is longer than 1,300 bytes
    #[arg(long)]
    pub(crate) no_tcp: bool,
    /// A DNS server to ask in place of those of the system; may be repeated
    #[arg(long = "dns", value_name = "IP[:PORT]", value_parser = name_server)]
    pub(crate) dns_servers: Vec<SocketAddr>,
    /// What a WebSocket server is asked for, as in the URL that it names
    #[arg(long, value_name = "PATH", default_value = "/")]
    pub(crate) ws_path: String,
    /// The address and SIP port to bind, IPv6 in brackets; port 0 picks one [default: 0.0.0.0:0;
    /// answer without --server: 0.0.0.0:5060, over TLS :5061]
    #[arg(long, value_name = "IP[:PORT]", value_parser = bind)]
    pub(crate) bind: Option<Bind>,
    /// The peers to which --hostname is advertised; to others --remote-hostname is
    #[arg(long, value_name = "CIDR")]
    pub(crate) bind_network: Option<Network>,
    /// Our host name or address for peers inside --bind-network [default: the address of the route to them]
    #[arg(long, value_name = "HOST")]
    pub(crate) hostname: Option<String>,
    /// Our host name or address for peers outside --bind-network
    #[arg(long, value_name = "HOST")]
    pub(crate) remote_hostname: Option<String>,
    /// Do not tell the server the address from which it sees us, behind a NAT
    #[arg(long)]
    pub(crate) no_learn_address: bool,
    /// A STUN server to ask how our sockets are seen from beyond a NAT: for Contact over UDP, and for the
    /// media ports of each call
    #[arg(long, value_name = "HOST[:PORT]")]
    pub(crate) stun: Option<String>,
    /// What keeps the way from the server to us open, behind a NAT: auto, off, crlf, stun (asked of the
    /// SIP server itself) or options
    #[arg(long, value_name = "HOW", default_value = "auto")]
    pub(crate) keep_alive: KeepAlive,
    /// How often that is sent, at most, in seconds [default: what the server asks for, or 25 over UDP
    /// and 120 on connections]
    #[arg(long, value_name = "S", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub(crate) keep_alive_interval: Option<u64>,
    /// How far RTP may come from elsewhere than its description says: off, first-packet (from where
    /// the first packets come), or same-address (from another port)
    #[arg(long, value_name = "HOW", default_value = "first-packet")]
    pub(crate) symmetric_rtp: SymmetricRtp,
    /// The RTP ports to use
    #[arg(long, value_name = "LOW-HIGH", default_value = "10000-20000", value_parser = port_range)]
    pub(crate) rtp_ports: (u16, u16),
    /// The codecs to use, best first
    #[arg(long, value_name = "LIST", value_delimiter = ',', default_value = "PCMU,PCMA,G722", value_parser = codec)]
    pub(crate) codecs: Vec<Codec>,
    /// How much audio a packet carries, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 20)]
    pub(crate) ptime: u64,
    /// The User-Agent and Server header field
    #[arg(long, value_name = "TEXT")]
    pub(crate) user_agent: Option<String>,
    /// A header field to add to every request that begins something, and to answers to INVITE; may be
    /// repeated
    #[arg(long = "header", value_name = "NAME: VALUE", value_parser = header)]
    pub(crate) headers: Vec<(String, String)>,
}

/// What is shown and kept.
#[derive(Args, Debug)]
#[command(next_help_heading = "Output")]
pub(crate) struct Watch {
    /// Print the ladder diagram at the end
    #[arg(long)]
    pub(crate) ladder: bool,
    /// Write SIP and RTP as sent and received to a capture that Wireshark reads
    #[arg(long, value_name = "FILE")]
    pub(crate) pcap: Option<PathBuf>,
    /// Print each SIP message's first line on standard error; twice: the whole message
    #[arg(short, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
    /// Print one JSON object a line
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args, Debug)]
pub(crate) struct DemoArguments {
    /// Where to put the recordings and the capture [default: a new temporary directory]
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Print one JSON object a line
    #[arg(long)]
    pub(crate) json: bool,
}

/// A first registration that is refused, or that nobody answers in 32 s (over UDP; sooner where there is no way
/// to the server), is the end of it, with exit status 3. Later ones are tried again.
#[derive(Args, Debug)]
pub(crate) struct RegisterArguments {
    /// Register, report, and leave the registration to expire
    #[arg(long, conflicts_with = "for_")]
    pub(crate) once: bool,
    /// Deregister and leave after this many seconds
    #[arg(long = "for", value_name = "S", value_parser = seconds)]
    pub(crate) for_: Option<Duration>,
    #[command(flatten)]
    pub(crate) common: Common,
}

#[derive(Args, Debug)]
pub(crate) struct CallArguments {
    /// A SIP URI, or a number or name at the server
    pub(crate) target: String,
    /// Play a WAV file once the call is answered
    #[arg(long, value_name = "FILE")]
    pub(crate) play: Option<PathBuf>,
    /// Play it again and again
    #[arg(long = "loop", requires = "play")]
    pub(crate) repeat: bool,
    /// Record to a stereo WAV: left what we send, right what we hear; a call that we are transferred
    /// to gets -2, the next -3, ...
    #[arg(long, value_name = "FILE")]
    pub(crate) record: Option<PathBuf>,
    /// Record what we hear to a mono WAV; a call that we are transferred to gets -2, the next -3, ...
    #[arg(long, value_name = "FILE")]
    pub(crate) record_received: Option<PathBuf>,
    /// Press these digits (0-9 * # A-D) once the call is answered
    #[arg(long, value_name = "DIGITS", value_parser = digits)]
    pub(crate) dtmf: Option<String>,
    /// Press them this many seconds after the answer
    #[arg(long, value_name = "S", value_parser = seconds, default_value = "1", requires = "dtmf")]
    pub(crate) dtmf_after: Duration,
    /// Follow at most so many targets of redirections (3xx); with 0 a redirection is a refusal
    #[arg(long, value_name = "N", default_value_t = 5)]
    pub(crate) max_redirects: u8,
    /// Put the far end on hold this many seconds after the answer
    #[arg(long, value_name = "S", value_parser = seconds)]
    pub(crate) hold_after: Option<Duration>,
    /// Take it off hold this many seconds after the answer
    #[arg(long, value_name = "S", value_parser = seconds, requires = "hold_after")]
    pub(crate) resume_after: Option<Duration>,
    /// Transfer the call: ask the far end to call this URI, number or name instead
    #[arg(long, value_name = "URI")]
    pub(crate) transfer: Option<String>,
    /// Do that this many seconds after the answer
    #[arg(long, value_name = "S", value_parser = seconds, default_value = "1", requires = "transfer")]
    pub(crate) transfer_after: Duration,
    /// Hang up only when the far end says that the target has answered, and go on if it says that
    /// it was not reached [default: hang up when the far end agrees to call it]
    #[arg(long, requires = "transfer")]
    pub(crate) notified: bool,
    /// Let the far end transfer us: call whom it names, and stay there
    #[arg(long)]
    pub(crate) accept_transfer: bool,
    /// How long it may ring, in seconds
    #[arg(long, value_name = "S", value_parser = seconds, default_value = "180")]
    pub(crate) answer_timeout: Duration,
    /// Cancel this many seconds after the INVITE if it is not answered by then; then leave with 0
    #[arg(long, value_name = "S", value_parser = seconds)]
    pub(crate) cancel_after: Option<Duration>,
    /// Hang up this many seconds after the answer [default: when what was asked for is done, or,
    /// if nothing was, when the far end hangs up]
    #[arg(long, value_name = "S", value_parser = seconds)]
    pub(crate) duration: Option<Duration>,
    #[command(flatten)]
    pub(crate) common: Common,
}

#[derive(Args, Debug)]
pub(crate) struct AnswerArguments {
    /// Play a WAV file to each caller
    #[arg(long, value_name = "FILE")]
    pub(crate) play: Option<PathBuf>,
    /// Send back what is heard
    #[arg(long)]
    pub(crate) echo: bool,
    /// Record to a stereo WAV: left what we send, right what we hear; later calls get -2, -3, ...
    #[arg(long, value_name = "FILE")]
    pub(crate) record: Option<PathBuf>,
    /// Record what we hear to a mono WAV; later calls get -2, -3, ...
    #[arg(long, value_name = "FILE")]
    pub(crate) record_received: Option<PathBuf>,
    /// Wait for this many digits, report them, and then hang up (with --echo: stay)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1_000))]
    pub(crate) collect: Option<u16>,
    /// Let it ring this many seconds first
    #[arg(long, value_name = "S", value_parser = seconds, default_value = "0")]
    pub(crate) delay: Duration,
    /// Play a WAV file before answering (183 Session Progress)
    #[arg(long, value_name = "FILE")]
    pub(crate) early_media: Option<PathBuf>,
    /// Refuse every call with this status code
    #[arg(long, value_name = "CODE", value_parser = clap::value_parser!(u16).range(400..=699), conflicts_with_all = ["redirect", "play", "echo", "early_media"])]
    pub(crate) reject: Option<u16>,
    /// The reason phrase of --reject
    #[arg(long, value_name = "TEXT", requires = "reject", value_parser = reason)]
    pub(crate) reason: Option<String>,
    /// With --reject: say that it may be tried again after this many seconds
    #[arg(long, value_name = "S", requires = "reject", value_parser = seconds)]
    pub(crate) retry_after: Option<Duration>,
    /// Send every caller to another URI (302 Moved Temporarily)
    #[arg(long, value_name = "URI", value_parser = contact)]
    pub(crate) redirect: Option<String>,
    /// Leave after this many calls
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) calls: Option<u64>,
    /// Hang up this many seconds after answering
    #[arg(long, value_name = "S", value_parser = seconds)]
    pub(crate) duration: Option<Duration>,
    /// Answer 486 Busy Here while this many calls are up
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) max_active: Option<u64>,
    /// Press these digits after answering
    #[arg(long, value_name = "DIGITS", value_parser = digits)]
    pub(crate) dtmf: Option<String>,
    /// Let the far ends transfer us: call whom they name, and do there what is done with callers
    #[arg(long)]
    pub(crate) accept_transfer: bool,
    #[command(flatten)]
    pub(crate) common: Common,
}

#[derive(Args, Debug)]
pub(crate) struct MessageArguments {
    /// A SIP URI, or a number or name at the server
    pub(crate) target: String,
    /// What to say; with its header fields it may have 1,300 bytes
    #[arg(allow_hyphen_values = true)]
    pub(crate) text: String,
    /// The media type of the text
    #[arg(long, value_name = "T", default_value = "text/plain")]
    pub(crate) content_type: String,
    #[command(flatten)]
    pub(crate) common: Common,
}

#[derive(Args, Debug)]
pub(crate) struct OptionsArguments {
    /// A SIP URI, or a number or name at the server
    pub(crate) target: String,
    #[command(flatten)]
    pub(crate) common: Common,
}

/// Calls are placed at the rate asked for, whatever becomes of them, until there were as many as asked
/// for or a signal comes; each is hung up when it has been held. Exit status 4 if any call failed.
#[derive(Args, Debug)]
pub(crate) struct LoadArguments {
    /// A SIP URI, or a number or name at the server
    pub(crate) target: String,
    /// Place this many calls a second
    #[arg(long, value_name = "CPS", default_value = "10", value_parser = rate)]
    pub(crate) rate: f64,
    /// Place none while this many are up, and go on at the same rate after it
    #[arg(long, value_name = "ACTIVE", default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(1..=30_000))]
    pub(crate) limit: u64,
    /// End after this many calls [default: at a signal]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) calls: Option<u64>,
    /// Hang up this many seconds after the answer
    #[arg(long, value_name = "S", value_parser = seconds, default_value = "1")]
    pub(crate) hold: Duration,
    /// Send silence in every call, and measure what comes back; without it no RTP is sent, and all
    /// calls share one pair of RTP ports
    #[arg(long)]
    pub(crate) media: bool,
    /// How long a call may ring, in seconds
    #[arg(long, value_name = "S", value_parser = seconds, default_value = "180")]
    pub(crate) answer_timeout: Duration,
    #[command(flatten)]
    pub(crate) common: Common,
}

#[derive(Args, Debug)]
pub(crate) struct ExchangeArguments {
    /// An address to listen at, and for what; for UDP and TCP if it does not say. May be repeated;
    /// port 0 picks one
    #[arg(long, value_name = "IP:PORT[/udp|tcp|tls|ws|wss]", value_parser = listen, required = true)]
    pub(crate) listen: Vec<Listen>,
    /// A user; may be repeated
    #[arg(long = "user", value_name = "NAME:PASSWORD", value_parser = user)]
    pub(crate) users: Vec<(String, String)>,
    /// The realm of the passwords, and the main domain
    #[arg(long, value_name = "TEXT", default_value = "offhook")]
    pub(crate) realm: String,
    /// A further domain of ours; may be repeated
    #[arg(long = "domain", value_name = "NAME", value_parser = domain)]
    pub(crate) domains: Vec<String>,
    /// The digest algorithm
    #[arg(long, value_name = "NAME", default_value = "MD5", value_parser = ["MD5", "SHA-256", "SHA-512-256"])]
    pub(crate) algorithm: String,
    /// A file whose content, 16 bytes or more, marks our calls: with the same one the calls that are
    /// up survive a restart. Make it once: openssl rand -hex 32 > FILE
    #[arg(long, value_name = "FILE")]
    pub(crate) secret_file: Option<PathBuf>,
    /// A page whose WebSockets are taken: https://phone.example.com, or * for all; may be repeated.
    /// Without it no browser is let in
    #[arg(long = "origin", value_name = "ORIGIN", value_parser = origin)]
    pub(crate) origins: Vec<String>,
    #[command(flatten)]
    pub(crate) tls: ExchangeTls,
    #[command(flatten)]
    pub(crate) watch: Watch,
}

#[derive(Args, Debug)]
#[command(next_help_heading = "TLS and WSS")]
pub(crate) struct ExchangeTls {
    #[command(flatten)]
    pub(crate) own: Own,
    /// The authorities of telephones that we connect to, in PEM [default: those of the system]
    #[arg(long, value_name = "FILE")]
    pub(crate) ca_file: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub(crate) struct TraceArguments {
    /// The capture
    #[arg(value_name = "FILE.pcap")]
    pub(crate) file: PathBuf,
    /// Draw it as a picture too
    #[arg(long, value_name = "FILE")]
    pub(crate) svg: Option<PathBuf>,
    /// Print one JSON object a line
    #[arg(long)]
    pub(crate) json: bool,
}

/// An address to bind; without a port it depends on the command.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Bind {
    pub(crate) ip: IpAddr,
    pub(crate) port: Option<u16>,
}

impl Default for Bind {
    fn default() -> Self {
        Self { ip: Ipv4Addr::UNSPECIFIED.into(), port: None }
    }
}

fn bind(text: &str) -> Result<Bind, String> {
    let problem = "an IP address, with or without a port: 192.0.2.1:5060";
    let (ip, port) = address(text).ok_or(problem)?;
    Ok(Bind { ip, port })
}

fn name_server(text: &str) -> Result<SocketAddr, String> {
    /// RFC 1035 §4.2.
    const DNS_PORT: u16 = 53;
    let problem = "an IP address, with or without a port: 192.0.2.53, [2001:db8::53]:5353";
    let (ip, port) = address(text).ok_or(problem)?;
    Ok(SocketAddr::new(ip, port.unwrap_or(DNS_PORT)))
}

/// `IP` or `IP:PORT`, IPv6 in brackets with a port.
fn address(text: &str) -> Option<(IpAddr, Option<u16>)> {
    if let Ok(address) = text.parse::<SocketAddr>() {
        return Some((address.ip(), Some(address.port())));
    }
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    Some((bare.parse().ok()?, None))
}

/// An address to listen at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Listen {
    pub(crate) address: SocketAddr,
    pub(crate) transport: Option<Transport>,
}

impl Listen {
    /// Without a transport: UDP, and so TCP too (RFC 3261 §18.2.1).
    pub(crate) fn listeners(self) -> Vec<Listener> {
        let Self { address, transport } = self;
        let both = vec![Transport::Udp, Transport::Tcp];
        let transports = transport.map_or(both, |transport| vec![transport]);
        transports.into_iter().map(|transport| Listener { transport, address }).collect()
    }
}

fn listen(text: &str) -> Result<Listen, String> {
    let (address, transport) = match text.rsplit_once('/') {
        Some((address, name)) => {
            let transport = Transport::named(name);
            let wrong = "the transport after the slash is udp, tcp, tls, ws or wss";
            (address, Some(transport.ok_or(wrong)?))
        }
        None => (text, None),
    };
    let address = address.parse().map_err(|_| "an IP address and a port: 127.0.0.1:5060")?;
    Ok(Listen { address, transport })
}

fn domain(text: &str) -> Result<String, String> {
    let uri = format!("sip:{text}");
    match Uri::parse(&uri) {
        Ok(parsed) if parsed.host() == text && parsed.ip().is_none() => Ok(text.into()),
        _ => Err("a name without port: pbx.example.com".into()),
    }
}

pub(super) fn origin(text: &str) -> Result<String, String> {
    let names = |scheme| {
        let host = text.strip_prefix(scheme).unwrap_or_default();
        !host.is_empty() && !host.contains(['/', '?', '#', '@', ' '])
    };
    match text {
        "*" | "null" => Ok(text.into()),
        _ if names("https://") || names("http://") => Ok(text.into()),
        _ => Err("what a browser says in Origin, without a path: https://phone.example.com".into()),
    }
}

fn user(text: &str) -> Result<(String, String), String> {
    match text.split_once(':') {
        Some((name, password)) if !name.is_empty() => Ok((name.into(), password.into())),
        _ => Err("a name, a colon and a password: alice:secret".into()),
    }
}

fn header(text: &str) -> Result<(String, String), String> {
    match text.split_once(':') {
        Some((name, value)) if !name.trim().is_empty() => {
            Ok((name.trim().into(), value.trim().into()))
        }
        _ => Err("a name, a colon and a value: 'Subject: hello'".into()),
    }
}

pub(super) fn port_range(text: &str) -> Result<(u16, u16), String> {
    let (low, high) = text.split_once('-').ok_or("two ports: 10000-20000")?;
    match (low.trim().parse(), high.trim().parse()) {
        (Ok(low), Ok(high)) => Ok((low, high)),
        _ => Err("two ports from 1 to 65535: 10000-20000".into()),
    }
}

fn codec(text: &str) -> Result<Codec, String> {
    let known = Codec::ALL.iter().find(|codec| codec.name().eq_ignore_ascii_case(text));
    known.copied().ok_or_else(|| {
        let names: Vec<_> = Codec::ALL.iter().map(|codec| codec.name()).collect();
        format!("this build has {}", names.join(", "))
    })
}

fn rate(text: &str) -> Result<f64, String> {
    /// More than any machine places.
    const MOST: f64 = 1e6;
    let rate = text.parse().ok().filter(|rate| *rate > 0.0 && *rate <= MOST);
    rate.ok_or_else(|| "a number of calls a second, such as 50 or 0.5".into())
}

pub(super) fn seconds(text: &str) -> Result<Duration, String> {
    /// A year; clocks cannot count much beyond some hundreds of them.
    const MOST: Duration = Duration::from_secs(365 * 24 * 3_600);
    let seconds = text.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    let seconds = seconds.filter(|seconds| *seconds <= MOST);
    seconds.ok_or_else(|| "a number of seconds, such as 4 or 0.5, up to 31536000 (a year)".into())
}

fn digits(text: &str) -> Result<String, String> {
    match text.chars().find(|digit| event_of(*digit).is_none()) {
        None => Ok(text.into()),
        Some(other) => Err(format!("{other:?} is not a DTMF digit: use 0 to 9, *, #, A to D")),
    }
}

fn reason(text: &str) -> Result<String, String> {
    is_one_line(text).then(|| text.into()).ok_or_else(|| "a text of one line".into())
}

/// Whether a text ends no header field; how long it may be is checked with the parameters.
fn is_one_line(text: &str) -> bool {
    !text.contains(['\r', '\n', '\0'])
}

fn contact(text: &str) -> Result<String, String> {
    let address = NameAddr::parse(text.trim()).ok().filter(|address| !address.is_star());
    match address.filter(|_| is_one_line(text)) {
        Some(_) => Ok(text.into()),
        None => Err("a URI: sip:bob@192.0.2.7".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arguments_are_consistent() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
    }

    #[test]
    fn values_are_read() {
        let port = |text| bind(text).unwrap().port;
        assert_eq!(
            (port("127.0.0.1"), port("127.0.0.1:0"), port("[::1]:5070")),
            (None, Some(0), Some(5070))
        );
        assert_eq!(bind("[::1]").unwrap().ip, "::1".parse::<IpAddr>().unwrap());
        assert!(bind("localhost").is_err());
        let both = listen("127.0.0.1:5060").unwrap().listeners();
        let one = |text| listen(text).unwrap().listeners();
        assert_eq!(both, [one("127.0.0.1:5060/udp"), one("127.0.0.1:5060/TCP")].concat());
        assert_eq!(one("[::1]:443/wss")[0].transport, Transport::Wss);
        assert!(listen("127.0.0.1:5060/sctp").is_err());
        assert!(domain("pbx.example.com").is_ok() && domain("pbx.example.com:5060").is_err());
        assert!(domain("10.0.0.1").is_err() && domain("a@b").is_err() && domain("").is_err());
        assert!(origin("https://phone.example.com:8443").is_ok() && origin("*").is_ok());
        assert!(origin("phone.example.com").is_err() && origin("https://a/").is_err());
        assert_eq!(user("a:b:c").unwrap(), ("a".into(), "b:c".into()));
        assert_eq!(port_range("10000-10010").unwrap(), (10_000, 10_010));
        assert!(port_range("10000").is_err());
        assert_eq!(seconds("0.5").unwrap(), Duration::from_millis(500));
        assert_eq!(rate("0.5").unwrap(), 0.5);
        assert!(rate("0").is_err() && rate("NaN").is_err() && rate("inf").is_err());
        assert!(seconds("-1").is_err() && seconds("NaN").is_err());
        assert!(seconds("31536000").is_ok() && seconds("31536001").is_err());
        assert!(digits("0*#D").is_ok() && digits("1x9").unwrap_err().contains("'x'"));
        assert!(reason("Gone fishing").is_ok() && reason("Gone\r\nX: y").is_err());
        assert!(contact("sip:bob@192.0.2.7").is_ok() && contact("tel:+12").is_ok());
        assert!(contact("x y").is_err() && contact("*").is_err());
        assert_eq!(codec("pcma").unwrap(), Codec::Pcma);
        assert_eq!(codec("G722").unwrap(), Codec::G722);
        assert!(codec("GSM").unwrap_err().contains("PCMU"));
    }
}
