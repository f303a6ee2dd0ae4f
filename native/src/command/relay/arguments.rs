//! The options of `offhook relay`.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};
use offhook::Network;
use offhook::core::relay::Server;

use super::super::arguments::{origin, port_range, seconds};
use super::super::tls::Own;

/// Pages connect by WebSocket (ws://HOST:PORT/offhook/1) with a token of --secret-file or --public-key-file, and use
/// UDP, TCP and TLS from here as their tokens allow: SIP servers that the token names, and media where those servers
/// want it. Everything else is refused. The operator can read the signalling.
#[derive(Args, Debug)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct RelayArguments {
    #[command(subcommand)]
    pub(crate) command: Option<RelayCommand>,
    #[command(flatten)]
    pub(crate) serve: ServeArguments,
}

#[derive(Subcommand, Debug)]
pub(crate) enum RelayCommand {
    /// Print a token for one user, good for ten minutes at most; web back ends make their own
    Token(TokenArguments),
}

impl RelayArguments {
    pub(crate) fn json(&self) -> bool {
        match &self.command {
            Some(RelayCommand::Token(arguments)) => arguments.json,
            None => self.serve.json,
        }
    }
}

#[derive(Args, Debug)]
pub(crate) struct ServeArguments {
    /// The address to listen at; port 0 picks one
    #[arg(long, value_name = "IP:PORT", default_value_t = SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)))]
    pub(crate) listen: SocketAddr,
    /// A file with the secret (32 bytes or more) that signs tokens (HS256): openssl rand -hex 32 > FILE
    #[arg(long, value_name = "FILE")]
    pub(crate) secret_file: Option<PathBuf>,
    /// A file with the public key in PEM of who signs tokens (ES256, EdDSA); with a name before it (kid) it is for
    /// tokens that say this name. May be repeated
    #[arg(long = "public-key-file", value_name = "[KID=]FILE", value_parser = named_file)]
    pub(crate) public_key_files: Vec<(Option<String>, PathBuf)>,
    /// Whom tokens have to be for (aud)
    #[arg(long, value_name = "NAME", default_value = AUDIENCE)]
    pub(crate) audience: String,
    /// A page that may connect: https://phone.example.com, or * for all; may be repeated. Without it no browser is
    /// let in
    #[arg(long = "origin", value_name = "ORIGIN", value_parser = origin)]
    pub(crate) origins: Vec<String>,
    /// A SIP server that tokens may name; may be repeated [default: whichever they name]
    #[arg(long = "sip-server", value_name = "HOST[:PORT]")]
    pub(crate) sip_servers: Vec<Server>,
    /// A network that is not public (loopback, private, link-local) to which it connects all the same; may be
    /// repeated
    #[arg(long = "allow-network", value_name = "CIDR")]
    pub(crate) networks: Vec<Network>,
    /// A network to which media goes though no SIP server has named the address; may be repeated
    #[arg(long = "media-network", value_name = "CIDR")]
    pub(crate) media_networks: Vec<Network>,
    /// The address that peers get, behind a NAT; once for each family [default: that of the route to them]
    #[arg(long = "public-address", value_name = "IP")]
    pub(crate) public: Vec<IpAddr>,
    /// The UDP ports to use, for media and SIP
    #[arg(long, value_name = "LOW-HIGH", default_value = "10000-20000", value_parser = port_range)]
    pub(crate) rtp_ports: (u16, u16),
    /// How long a page that has lost its connection may take to come back, in seconds
    #[arg(long, value_name = "S", default_value = "60", value_parser = seconds)]
    pub(crate) grace: Duration,
    /// How long calls may go on after the first signal, in seconds
    #[arg(long, value_name = "S", default_value = "10", value_parser = seconds)]
    pub(crate) drain: Duration,
    /// How many sessions there may be; a page is one
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    pub(crate) max_sessions: u64,
    /// How many of them may be of one user
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    pub(crate) max_sessions_per_user: u64,
    /// How many pairs of media ports a session may have
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u64).range(1..=1_000))]
    pub(crate) max_ports: u64,
    /// How many flows to SIP servers a session may have
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u64).range(1..=1_000))]
    pub(crate) max_flows: u64,
    /// How many packets of media a second a session may send, and receive
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub(crate) max_packets: u64,
    /// How many kilobits of media a second a session may send, and receive
    #[arg(long, value_name = "N", default_value_t = 2_000, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub(crate) max_kbps: u64,
    #[command(flatten)]
    pub(crate) own: Own,
    /// The authorities of SIP servers over TLS, in PEM [default: those of the system]
    #[arg(long, value_name = "FILE", help_heading = "TLS")]
    pub(crate) ca_file: Option<PathBuf>,
    /// Print one JSON object a line
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args, Debug)]
pub(crate) struct TokenArguments {
    /// The relay's secret (HS256)
    #[arg(long, value_name = "FILE", required_unless_present = "key_file")]
    pub(crate) secret_file: Option<PathBuf>,
    /// A private key in PEM (PKCS #8) of P-256 (ES256) or Ed25519 (EdDSA)
    #[arg(long, value_name = "FILE", conflicts_with = "secret_file")]
    pub(crate) key_file: Option<PathBuf>,
    /// The name of the key (kid)
    #[arg(long, value_name = "NAME")]
    pub(crate) kid: Option<String>,
    /// A SIP server that the page may use; may be repeated
    #[arg(long = "sip-server", value_name = "HOST[:PORT]", required = true)]
    pub(crate) sip_servers: Vec<Server>,
    /// Who uses it (sub)
    #[arg(long, value_name = "NAME", default_value = "offhook")]
    pub(crate) subject: String,
    /// Which relay it is for (aud)
    #[arg(long, value_name = "NAME", default_value = AUDIENCE)]
    pub(crate) audience: String,
    /// How many calls at a time
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1_000))]
    pub(crate) calls: Option<u64>,
    /// For how many seconds, at most 600
    #[arg(long = "for", value_name = "S", default_value_t = 600, value_parser = clap::value_parser!(u64).range(1..=600))]
    pub(crate) for_: u64,
    /// Print it in a JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

/// The audience of tokens where nobody has said another.
const AUDIENCE: &str = "offhook-relay";

fn named_file(text: &str) -> Result<(Option<String>, PathBuf), String> {
    match text.split_once('=') {
        Some((name, file)) if !name.is_empty() && !name.contains('/') => {
            Ok((Some(name.to_owned()), file.into()))
        }
        Some(("", _)) => Err("a name, an equals sign and a file, or a file alone".to_owned()),
        _ => Ok((None, text.into())),
    }
}
