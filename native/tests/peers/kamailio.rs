//! Kamailio as registrar and proxy, on every transport at once.

use std::fmt::Write as _;
use std::fs;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::Duration;

use tempfile::{TempDir, tempdir};

use super::certificates::{Authority, Pair};
use super::program::{Program, free_port, installed, wait_until};

/// The transports that it serves.
pub(crate) const TRANSPORTS: [&str; 5] = ["udp", "tcp", "tls", "ws", "wss"];

/// The digest algorithms that it can ask for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Algorithm {
    Md5,
    Sha256,
}

/// A running Kamailio.
pub(crate) struct Kamailio {
    program: Option<Program>,
    line: String,
    /// The first of its addresses, over UDP.
    address: SocketAddr,
    /// Its port for UDP, TCP and WebSocket.
    pub(crate) port: u16,
    /// Its port for TLS, and WebSocket over TLS.
    pub(crate) tls_port: u16,
    authority: Authority,
    directory: TempDir,
}

impl Kamailio {
    /// Whether it is installed.
    pub(crate) fn is_installed() -> bool {
        installed(&["kamailio"])
    }

    /// Starts it on the loopback, and waits until it answers.
    #[track_caller]
    pub(crate) fn start(algorithm: Algorithm) -> Self {
        Self::start_at(algorithm, &["127.0.0.1", "::1"])
    }

    /// Starts it at other addresses.
    #[track_caller]
    pub(crate) fn start_at(algorithm: Algorithm, hosts: &[&str]) -> Self {
        let authority = Authority::new("peers");
        let own = authority.issue(&[hosts, &["localhost"]].concat());
        Self::start_with(algorithm, hosts, authority, &own, None)
    }

    /// Starts it with a certificate of its own, which `authority` need not have signed; with `clients` it
    /// wants one of theirs, signed by that authority.
    #[track_caller]
    pub(crate) fn start_with(
        algorithm: Algorithm,
        hosts: &[&str],
        authority: Authority,
        own: &Pair,
        clients: Option<&Authority>,
    ) -> Self {
        let directory = tempdir().expect("a directory");
        let at = directory.path();
        let addresses: Vec<IpAddr> =
            hosts.iter().map(|host| host.parse().expect("an address")).collect();
        let (port, tls_port) = (free_port(&addresses), free_port(&addresses));
        fs::write(at.join("kamailio.cfg"), include_str!("kamailio.cfg")).expect("a file");
        fs::write(at.join("tls.cfg"), secure(own, clients)).expect("a file");
        let mut line = format!(
            "kamailio -f kamailio.cfg -DD -E -m 64 -M 8 -Y {0} -A TLS_FILE=\"{0}/tls.cfg\"",
            at.display()
        );
        if algorithm == Algorithm::Sha256 {
            line.push_str(" -A WITH_SHA256");
        }
        for ip in &addresses {
            let (plain, secure) =
                (SocketAddr::from((*ip, port)), SocketAddr::from((*ip, tls_port)));
            let _ = write!(line, " -l udp:{plain} -l tcp:{plain} -l tls:{secure}");
        }
        let address = SocketAddr::from((addresses[0], port));
        let mut kamailio =
            Self { program: None, line, address, port, tls_port, authority, directory };
        kamailio.restart();
        kamailio
    }

    /// Starts it again, at the same ports.
    #[track_caller]
    pub(crate) fn restart(&mut self) {
        self.program = None;
        let mut program = Program::start(self.directory.path(), &self.line);
        let to = self.address;
        let probe = UdpSocket::bind((to.ip(), 0)).expect("a socket");
        probe.set_read_timeout(Some(Duration::from_millis(100))).expect("a timeout");
        let options = format!(
            "OPTIONS sip:{to} SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1;rport;branch=z9hG4bKup\r\n\
             From: <sip:probe@127.0.0.1>;tag=1\r\nTo: <sip:127.0.0.1>\r\nCall-ID: up\r\n\
             CSeq: 1 OPTIONS\r\nMax-Forwards: 1\r\nContent-Length: 0\r\n\r\n"
        );
        wait_until("kamailio to answer", || {
            assert!(!program.has_ended(), "kamailio does not start:\n{}", program.log());
            let _ = probe.send_to(options.as_bytes(), to);
            probe.recv(&mut [0; 2_048]).is_ok()
        });
        self.program = Some(program);
    }

    /// Kills it (SIGKILL). What was registered is forgotten, connections end.
    pub(crate) fn kill(&mut self) {
        self.program = None;
    }

    /// The options of a phone of that user, over a transport.
    pub(crate) fn account(&self, transport: &str, user: &str) -> String {
        self.account_at("127.0.0.1", transport, user)
    }

    /// The same at one of its addresses, an IPv6 address in brackets.
    pub(crate) fn account_at(&self, ip: &str, transport: &str, user: &str) -> String {
        let secure = matches!(transport, "tls" | "wss");
        let port = if secure { self.tls_port } else { self.port };
        let mut options = format!(
            "--server {ip}:{port} --transport {transport} --bind {ip} --user {user} --password secret-{user}"
        );
        if secure {
            let _ = write!(options, " --ca-file {}", self.authority.file().display());
        }
        options
    }
}

/// What Kamailio is told about TLS.
fn secure(own: &Pair, clients: Option<&Authority>) -> String {
    let required = match clients {
        Some(authority) => format!(
            "verify_certificate = yes\nrequire_certificate = yes\nca_list = {}\n",
            authority.file().display()
        ),
        None => "verify_certificate = no\nrequire_certificate = no\n".to_owned(),
    };
    format!(
        "[server:default]\nmethod = TLSv1.2+\nprivate_key = {}\ncertificate = {}\n{required}\
         [client:default]\nverify_certificate = no\nrequire_certificate = no\n",
        own.key.display(),
        own.certificate.display(),
    )
}
