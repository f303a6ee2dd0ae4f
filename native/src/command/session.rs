//! A phone made of the command's arguments, its events printed as they come, and its clean end.

use std::path::{Path, PathBuf};
use std::task::Poll;
use std::time::Duration;

use offhook::{
    Capture, Error, Event, PacketKind, Phone, PhoneEvent, PhoneOptions, PhoneParameters,
    PhoneStatus, Transport, file_problem,
};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::arguments::{Account, Common, Local, Watch};
use super::failure::{Failure, Status};
use super::files::check_writable;
use super::headers;
use super::output::{Output, printable};
use super::signals::{Changes, Signals};
use super::tls::Tls;

/// How many bytes of lines are written at once.
const ENOUGH: usize = 64 * 1024;

/// A running phone.
pub(crate) struct Session {
    pub(crate) phone: Phone,
    pub(crate) signals: Signals,
    pub(crate) output: Output,
    announcer: JoinHandle<()>,
    /// Passes on that the network has changed.
    watcher: JoinHandle<()>,
    /// Whether a registration has been printed.
    registered: watch::Receiver<bool>,
    recorder: Recorder,
}

impl Session {
    /// Starts a phone and waits until it is ready. The first registration that fails is the end of
    /// it: a script wants to know.
    pub(crate) async fn start(
        parameters: PhoneParameters,
        watch: &Watch,
        output: Output,
    ) -> Result<Self, Failure> {
        Self::begin(parameters, PhoneOptions::default(), watch, output).await
    }

    /// As [`start`](Self::start), for a phone with options.
    pub(crate) async fn begin(
        parameters: PhoneParameters,
        mut options: PhoneOptions,
        watch: &Watch,
        output: Output,
    ) -> Result<Self, Failure> {
        let signals = Signals::listen().map_err(Failure::internal)?;
        if parameters.tls_insecure {
            output.warning("tls_insecure", Tls::INSECURE);
        }
        let recorder = Recorder::new(watch)?;
        if let Some(capture) = &recorder.capture {
            options = options.capture(capture.clone());
        }
        let phone = Phone::with_options(parameters, options);
        let mut events = phone.events();
        let mut failures = phone.events();
        let (report, registered) = watch::channel(false);
        let announcer = tokio::spawn(async move {
            let mut lines = String::new();
            while let Some(first) = events.next().await {
                let mut registered = false;
                // What has happened meanwhile is written with it.
                let mut next = Some(first);
                while let Some(event) = next {
                    registered |= matches!(event, Event::Phone(PhoneEvent::Registered { .. }));
                    output.event(&mut lines, &event);
                    next = if lines.len() < ENOUGH { events.try_next() } else { None };
                }
                output.print(&lines);
                lines.clear();
                if registered {
                    report.send_replace(true);
                }
            }
        });
        let (watched, mut changes) = (phone.clone(), Changes::listen().map_err(Failure::internal)?);
        let watcher = tokio::spawn(async move {
            loop {
                changes.next().await;
                watched.network_changed();
            }
        });
        let session = Self { phone, signals, output, announcer, watcher, registered, recorder };
        let registers = {
            let parameters = session.phone.parameters();
            parameters.register && parameters.server.is_some()
        };
        let started = {
            let peer = server(session.phone.parameters());
            let start = patiently(output, &session.phone, &peer, session.phone.start());
            tokio::pin!(start);
            // The first poll binds, or fails to; the rest waits for the server.
            let early = std::future::poll_fn(|cx| Poll::Ready(start.as_mut().poll(cx))).await;
            session.print_listening();
            match early {
                Poll::Ready(result) => result.map_err(Failure::of_registration),
                Poll::Pending => tokio::select! {
                    result = &mut start => result.map_err(Failure::of_registration),
                    () = failed(&mut failures) => {
                        Err(Failure::of_registration(session.phone.registration_error()))
                    }
                    // Where nobody has to be asked there is no wait to interrupt.
                    () = session.signals.came(), if registers => Err(interrupted()),
                },
            }
        };
        match started {
            Ok(()) => Ok(session),
            Err(failure) => {
                session.end().await?;
                Err(failure)
            }
        }
    }

    fn print_listening(&self) {
        for (transport, local) in self.phone.listening() {
            self.output.listening(transport, local);
        }
    }

    /// Waits until the registration is lost for good.
    pub(crate) async fn registration_lost(&self) -> Failure {
        // What is not registered anywhere cannot lose it, and need not hear of every call.
        if self.phone.parameters().server.is_none() {
            return std::future::pending().await;
        }
        let mut events = self.phone.events();
        if self.phone.status() != PhoneStatus::Failed {
            while let Some(event) = events.next().await {
                if event == Event::Phone(PhoneEvent::Status(PhoneStatus::Failed)) {
                    break;
                }
            }
        }
        Failure::of_registration(self.phone.registration_error())
    }

    /// Why a request outside a registration came to nothing. A server that is not trusted would not have
    /// registered us either.
    pub(crate) fn failure(&self, error: Error) -> Failure {
        match error.code() {
            "untrusted" if self.phone.parameters().server.is_some() => {
                Failure::of_registration(error)
            }
            _ => error.into(),
        }
    }

    /// Ends calls, deregisters, tells the rest, and writes what was to be kept.
    pub(crate) async fn end(self) -> Result<(), Failure> {
        self.phone.stop().await;
        if self.recorder.verbose && self.phone.parameters().tls_insecure {
            self.output.warning("tls_insecure", Tls::INSECURE);
        }
        // The stream of events ends with the phone, whose last handle has to go.
        self.watcher.abort();
        let _ = self.watcher.await;
        drop(self.phone);
        let _ = self.announcer.await;
        self.recorder.finish(self.output)
    }

    /// Leaves without a word to the server: the registration stays until it expires.
    pub(crate) async fn leave(mut self) -> Result<(), Failure> {
        let _ = self.registered.wait_for(|registered| *registered).await;
        self.recorder.finish(self.output)?;
        // Dropping the last handle would deregister.
        std::mem::forget(self.phone);
        Ok(())
    }
}

/// Waits for a registration that failed.
async fn failed(events: &mut offhook::Events<Event>) {
    loop {
        match events.next().await {
            Some(Event::Phone(PhoneEvent::RegistrationFailed { .. })) => return,
            Some(_) => {}
            None => return std::future::pending().await,
        }
    }
}

/// The server as it was named.
fn server(parameters: &PhoneParameters) -> String {
    let host = parameters.server.as_deref().unwrap_or_default();
    match parameters.port {
        0 => host.to_owned(),
        port if host.contains(':') => format!("[{host}]:{port}"),
        port => format!("{host}:{port}"),
    }
}

/// Waits for an answer of `peer`, and says once, when that takes long, that it is waited for.
pub(crate) async fn patiently<T>(
    output: Output,
    phone: &Phone,
    peer: &str,
    answer: impl Future<Output = T>,
) -> T {
    /// An answer on its way is there by now, and a packet that was lost has been sent again thrice.
    const LONG: Duration = Duration::from_secs(4);
    let before = phone.counters().await.received;
    tokio::pin!(answer);
    match timeout(LONG, &mut answer).await {
        Ok(answer) => answer,
        Err(_) => {
            let long = LONG.as_secs();
            let message = match phone.counters().await.received == before {
                true => format!(
                    "{peer} has not answered for {long} s: is it running, and is the address right? \
                     Still asking"
                ),
                // A challenge, or 100 (Trying).
                false => format!(
                    "{peer} has given no final answer for {long} s, though a message has come back. \
                     Still asking"
                ),
            };
            output.warning("no_answer_yet", &message);
            answer.await
        }
    }
}

/// The end that a signal asked for before anything else had happened.
pub(crate) fn interrupted() -> Failure {
    Failure::new(Status::Nothing, "interrupted", "interrupted before an answer came")
}

/// Keeps packets, for the ladder, the capture file and `-v`.
#[derive(Debug)]
pub(crate) struct Recorder {
    pub(crate) capture: Option<Capture>,
    verbose: bool,
    ladder: bool,
    pcap: Option<PathBuf>,
}

impl Recorder {
    /// Refuses a capture that could not be written in the end.
    pub(crate) fn new(watch: &Watch) -> Result<Self, Failure> {
        watch.pcap.as_deref().map_or(Ok(()), check_writable)?;
        let kept = watch.ladder || watch.pcap.is_some();
        let capture = (kept || watch.verbose > 0).then(|| {
            let capture = Capture::new();
            match watch.verbose {
                0 => capture,
                level => capture.watch(move |packet| {
                    if packet.kind == PacketKind::Sip {
                        narrate(level, packet.from, packet.to, packet.bytes);
                    }
                }),
            }
        });
        let verbose = watch.verbose > 0;
        Ok(Self { capture, verbose, ladder: watch.ladder, pcap: watch.pcap.clone() })
    }

    pub(crate) fn finish(&self, output: Output) -> Result<(), Failure> {
        let Some(capture) = &self.capture else { return Ok(()) };
        if self.ladder {
            let ladder = capture.ladder();
            output.report(
                &serde_json::json!({ "event": "ladder", "text": ladder }),
                ladder.trim_end(),
            );
        }
        if let Some(path) = &self.pcap {
            capture.write_pcap(path)?;
        }
        Ok(())
    }
}

/// Shows a message on standard error.
fn narrate(level: u8, from: std::net::SocketAddr, to: std::net::SocketAddr, bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let mut lines = text.lines();
    eprintln!("{from} > {to}  {}", printable(lines.next().unwrap_or_default()));
    if level > 1 {
        for line in lines {
            eprintln!("    {}", printable(line));
        }
    }
}

/// The parameters that the arguments describe; `port` is bound when they name none.
pub(crate) fn parameters(common: &Common, port: u16) -> Result<PhoneParameters, Failure> {
    let mut parameters = account(&common.account)?;
    network(&common.network, port, &mut parameters);
    common.tls.apply(&mut parameters)?;
    headers::add(&common.network.headers, &mut parameters)?;
    Ok(parameters)
}

fn account(account: &Account) -> Result<PhoneParameters, Failure> {
    let user = account.user.as_deref().unwrap_or("offhook");
    let mut parameters = match &account.server {
        Some(server) => PhoneParameters::new(server, user),
        None => PhoneParameters::without_server(user),
    };
    parameters.accept_any_user = account.user.is_none();
    if let Some(password) = password(account)? {
        let name = account.auth_user.as_deref().unwrap_or(user);
        let realm = account.realm.as_deref();
        parameters.credentials.add(name, &password, None, realm, None);
    }
    parameters.realm.clone_from(&account.realm);
    parameters.display_name.clone_from(&account.display_name);
    parameters.register = !account.no_register;
    parameters.expires = offhook::core::time::Duration::from_secs(account.expires);
    parameters.start_timeout = account.start_timeout.map(Into::into);
    parameters.instance.clone_from(&account.instance);
    parameters.outbound_proxy.clone_from(&account.outbound_proxy);
    Ok(parameters)
}

fn network(local: &Local, port: u16, parameters: &mut PhoneParameters) {
    let bind = local.bind.unwrap_or_default();
    parameters.transport = local.transport.as_deref().and_then(Transport::named);
    parameters.allow_tcp = !local.no_tcp;
    parameters.dns_servers.clone_from(&local.dns_servers);
    parameters.websocket_path.clone_from(&local.ws_path);
    parameters.bind_ip = bind.ip;
    parameters.bind_port = bind.port.unwrap_or(port);
    if let Some(network) = local.bind_network {
        parameters.bind_network = network;
    }
    parameters.hostname.clone_from(&local.hostname);
    parameters.remote_hostname.clone_from(&local.remote_hostname);
    parameters.learn_address = !local.no_learn_address;
    parameters.stun.clone_from(&local.stun);
    parameters.keep_alive = local.keep_alive;
    parameters.keep_alive_interval =
        local.keep_alive_interval.map(offhook::core::time::Duration::from_secs);
    parameters.symmetric_rtp = local.symmetric_rtp;
    (parameters.rtp_port_low, parameters.rtp_port_high) = local.rtp_ports;
    parameters.codecs.clone_from(&local.codecs);
    parameters.ptime = offhook::core::time::Duration::from_millis(local.ptime);
    if let Some(user_agent) = &local.user_agent {
        parameters.user_agent.clone_from(user_agent);
    }
}

/// The password: the option, the file, or the environment, in this order.
fn password(account: &Account) -> Result<Option<String>, Failure> {
    if let Some(password) = &account.password {
        return Ok(Some(password.clone()));
    }
    let Some(path) = &account.password_file else {
        return Ok(std::env::var("OFFHOOK_PASSWORD").ok());
    };
    first_line(path).map(Some)
}

/// The first line of a file: a password.
fn first_line(path: &Path) -> Result<String, Failure> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        Failure::from(Error::File { path: path.to_owned(), problem: file_problem(&error) })
    })?;
    Ok(text.lines().next().unwrap_or_default().to_owned())
}
