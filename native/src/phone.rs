//! A telephone over tokio.

pub(crate) mod shared;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use offhook_core::call::CallOptions;
use offhook_core::config::PhoneParameters;
use offhook_core::error::Error as Problem;
use offhook_core::event::{PhoneStatus, Reply, SipRequestId};
use offhook_core::host::Transport;
use offhook_core::phone::{Counters, Phone as Core, RequestOptions};
use tokio::sync::{oneshot, watch};

use self::shared::{PhoneShared, lock};
use crate::broadcast::Events;
use crate::call::Call;
use crate::driver::Driver;
use crate::driver::board::{Board, Group, Hub, LineJobs};
use crate::driver::engine::Engine;
use crate::driver::line::Line;
use crate::error::Error;
use crate::event::Event;
use crate::handler::CallHandler;
use crate::host::arrivals::Means;
use crate::host::sockets::{ConnectionOptions, Sockets};
use crate::host::timebase::Timebase;
use crate::incoming::{Incoming, Referrals};
use crate::phone_options::PhoneOptions;
use crate::tls::{Tls, TlsFiles};

/// A telephone: registers, places calls and takes them. Cheap to clone; when the last clone is
/// dropped the phone stops, as by [`stop`](Self::stop). Calls and streams do not keep it alive.
///
/// Everything that waits is cancel-safe.
#[derive(Clone, Debug)]
pub struct Phone {
    held: Arc<Held>,
}

#[derive(Debug)]
struct Held {
    parameters: PhoneParameters,
    group: Arc<Group>,
    shared: Arc<PhoneShared>,
    options: PhoneOptions,
    running: Mutex<Option<Running>>,
}

#[derive(Clone, Debug)]
struct Running {
    jobs: LineJobs,
    listening: Vec<(Transport, SocketAddr)>,
    over: watch::Receiver<bool>,
}

/// Tells that a run is over: also one that a panic in the application's `SipHandler` ended.
struct End {
    shared: Arc<PhoneShared>,
    sender: watch::Sender<bool>,
}

impl Drop for End {
    fn drop(&mut self) {
        self.shared.close();
        self.sender.send_replace(true);
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(running) = lock(&self.running).take() {
            let _ = running.jobs.send(Box::new(|line, _| line.stop()));
        }
    }
}

impl Phone {
    /// A phone that has not started.
    pub fn new(parameters: PhoneParameters) -> Self {
        Self::with_options(parameters, PhoneOptions::default())
    }

    /// A phone that has not started, with options that are no parameters of SIP.
    pub fn with_options(parameters: PhoneParameters, options: PhoneOptions) -> Self {
        Self::in_group(parameters, options, Arc::default())
    }

    /// A phone that shares this one's sockets, now and whenever both run: another account. It
    /// starts, stops, registers, calls and is called by itself, hundreds of them on one port; lines at
    /// the same server share a connection to it. Whichever of them starts first binds: the bind
    /// address, the DNS servers, and the [options](PhoneOptions) are those of
    /// that one.
    ///
    /// ```no_run
    /// # async fn run() -> Result<(), offhook::Error> {
    /// use offhook::{Phone, PhoneParameters};
    ///
    /// let alice = Phone::new(PhoneParameters::new("pbx.example.com", "alice").password("secret"));
    /// let bob = alice.another_account(PhoneParameters::new("pbx.example.com", "bob").password("hidden"));
    /// alice.start().await?;
    /// bob.start().await?;
    /// assert_eq!(alice.bound_address(), bob.bound_address());
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn another_account(&self, parameters: PhoneParameters) -> Self {
        Self::in_group(parameters, self.held.options.clone(), Arc::clone(&self.held.group))
    }

    fn in_group(parameters: PhoneParameters, options: PhoneOptions, group: Arc<Group>) -> Self {
        let (shared, running) = (Arc::new(PhoneShared::new()), Mutex::default());
        Self { held: Arc::new(Held { parameters, group, shared, options, running }) }
    }

    /// What it was made of.
    pub fn parameters(&self) -> &PhoneParameters {
        &self.held.parameters
    }

    /// Gives every call from now on to `handler`, hook by hook, in place of
    /// [`incoming`](Self::incoming).
    pub fn set_call_handler(&self, handler: impl CallHandler) {
        *lock(&self.held.shared.hooks) = Some(Arc::new(handler));
    }

    /// Binds the SIP port, registers if there is a server, and returns when the phone is ready to
    /// call and be called. A registration that fails is tried again, as often as
    /// [`registration_attempts`](PhoneParameters::registration_attempts) says and the failure allows
    /// hope, for as long as [`start_timeout`](PhoneParameters::start_timeout) says at most;
    /// [`events`](Self::events) tells each failure. Once registered the phone stays so by itself.
    ///
    /// # Errors
    /// [`Error::Bind`] when the port is in use; [`Error::TlsFile`] when a certificate or a key cannot be
    /// used; [`Error::Phone`] when a parameter cannot be used; [`Error::RegistrationRefused`];
    /// [`Error::RegistrationUnanswered`]. After each of them the phone is FAILED and holds nothing, and
    /// [`Event::StartFailed`] has been published. [`Error::AlreadyRunning`], which changes nothing;
    /// [`Error::NotRunning`] when it was stopped meanwhile.
    ///
    /// # Panics
    /// Outside of a tokio runtime with I/O and time enabled.
    pub async fn start(&self) -> Result<(), Error> {
        let running = loop {
            self.held.group.closed().await;
            match self.spawn_or_restart() {
                // The last phone beside it has stopped in this very moment.
                Err(Error::Bind { .. }) if self.held.group.is_closing() => {}
                Err(error) if !matches!(error, Error::AlreadyRunning) => {
                    self.held.shared.start_failed(&error);
                    return Err(error);
                }
                started => break started?,
            }
        };
        let mut status = self.held.shared.status.subscribe();
        let settled = |status: &PhoneStatus| {
            !matches!(status, PhoneStatus::Registering | PhoneStatus::Deregistering)
        };
        let settled = status.wait_for(settled).await.map(|status| *status);
        match settled {
            Ok(PhoneStatus::Registered) => Ok(()),
            Ok(PhoneStatus::Failed) => {
                let error = self.registration_error();
                self.end(running).await;
                self.held.shared.start_failed(&error);
                Err(error)
            }
            _ => Err(Error::NotRunning),
        }
    }

    /// Sets a driver going, or the one of a phone that has lost its registration for good and whose
    /// calls go on.
    fn spawn_or_restart(&self) -> Result<Running, Error> {
        let mut running = lock(&self.held.running);
        match running.as_ref().filter(|running| !*running.over.borrow()) {
            None => self.spawn(&mut running),
            Some(running) if self.held.shared.leave_failed(PhoneStatus::Registering) => {
                let restart = |line: &mut Line, _: &mut _| line.restart();
                running.jobs.send(Box::new(restart)).map_err(|_| Error::NotRunning)?;
                Ok(running.clone())
            }
            Some(_) => Err(Error::AlreadyRunning),
        }
    }

    /// Adds a line to the driver of the group, which is set going if none runs.
    fn spawn(&self, running: &mut Option<Running>) -> Result<Running, Error> {
        let mut phone = Core::new(self.held.parameters.clone())?;
        phone.start()?;
        let mut hub = self.held.group.hub();
        let hub = match &mut *hub {
            Some(hub) => hub,
            none => none.insert(self.open()?),
        };
        let shared = Arc::clone(&self.held.shared);
        shared.set_status(PhoneStatus::Registering);
        let media_runtime = self.held.options.media_runtime.clone();
        let line = Line::new(phone, Arc::clone(&shared), media_runtime, hub);
        let (sender, over) = watch::channel(false);
        let jobs = hub.add(line, Box::new(End { shared, sender }));
        Ok(running.insert(Running { jobs, listening: hub.listening.clone(), over }).clone())
    }

    /// Binds the sockets and sets a driver going.
    fn open(&self) -> Result<Hub, Error> {
        let parameters = &self.held.parameters;
        let address = SocketAddr::new(parameters.bind_ip, parameters.bind_port);
        let security = Arc::new(Tls::load(&TlsFiles::from(parameters))?);
        let mut sockets = Sockets::new(ConnectionOptions {
            security: Some(security),
            websocket_path: parameters.websocket_path.clone(),
            ..ConnectionOptions::default()
        });
        sockets.listen_at(parameters.listening_transports(), address)?;
        let listening = sockets.listening();
        let PhoneOptions { capture, soundless, .. } = self.held.options.clone();
        let board = Board::new(Arc::clone(&self.held.group));
        let time = Timebase::new();
        let engine = Engine::new(time, Means::find()?);
        let mut driver = Driver::new(board, time, sockets, capture.clone());
        driver.ask_names_of(&parameters.dns_servers);
        if soundless {
            driver.share_ports();
        }
        let hub = Hub::new(driver.jobs(), listening, capture, soundless, engine);
        tokio::spawn(async move { drop(driver.run().await) });
        Ok(hub)
    }

    /// Ends every call whatever its state, deregisters, and returns when everything is released;
    /// bounded in time. A phone that had FAILED is INACTIVE again. Does nothing else when the phone is
    /// not running.
    pub async fn stop(&self) {
        let running = lock(&self.held.running).clone();
        let over = running.as_ref().is_none_or(|running| *running.over.borrow());
        let next = if over { PhoneStatus::Inactive } else { PhoneStatus::Deregistering };
        self.held.shared.leave_failed(next);
        if let Some(running) = running {
            self.end(running).await;
        }
    }

    async fn end(&self, mut running: Running) {
        let _ = running.jobs.send(Box::new(|line, _| line.stop()));
        // An error means that the runtime took the driver down, which is as good.
        let _ = running.over.wait_for(|over| *over).await;
    }

    /// Says that the network has changed: the machine has another address, another interface, other
    /// routes. The sockets are bound anew where that helps, the phone registers anew at once, and
    /// its calls go on. So do the [other accounts](Self::another_account) on its sockets: say it at one
    /// of them. Does nothing when the phone is not running.
    pub fn network_changed(&self) {
        if let Ok(jobs) = self.jobs() {
            jobs.network_changed();
        }
    }

    /// Where the phone stands.
    pub fn status(&self) -> PhoneStatus {
        *self.held.shared.status.borrow()
    }

    /// The address at which it listens: the first of [`listening`](Self::listening).
    pub fn bound_address(&self) -> Option<SocketAddr> {
        self.listening().first().map(|(_, bound)| *bound)
    }

    /// Every address at which it listens, and for what; nothing when it is not running, or only opens
    /// connections of its own.
    pub fn listening(&self) -> Vec<(Transport, SocketAddr)> {
        let running = lock(&self.held.running);
        let running = running.as_ref().filter(|running| !*running.over.borrow());
        running.map(|running| running.listening.clone()).unwrap_or_default()
    }

    /// Calls `target`, a SIP URI or, with a server, a number or name there, and returns when the
    /// call is on its way. Follow it with [`Call::answered`].
    ///
    /// # Errors
    /// [`Error::NotRunning`]; [`Error::Phone`] for a target that cannot be called, too many calls,
    /// or no free RTP port.
    pub async fn call(&self, target: &str) -> Result<Call, Error> {
        self.call_with(target, CallOptions::default()).await
    }

    /// Calls with header fields, codecs or a direction of its own.
    ///
    /// # Errors
    /// As [`call`](Self::call).
    pub async fn call_with(&self, target: &str, options: CallOptions) -> Result<Call, Error> {
        let jobs = self.jobs()?;
        let (sender, placed) = oneshot::channel();
        let (target, back) = (target.to_owned(), jobs.clone());
        jobs.send(Box::new(move |line, _| {
            let call = line.call(&back, &target, options);
            // If the caller gave up, the call is dropped here, and cancelled by that.
            let _ = sender.send(call);
        }))
        .map_err(|_| Error::NotRunning)?;
        let call = placed.await.map_err(|_| Error::NotRunning)??;
        call.placed().await?;
        Ok(call)
    }

    /// Asks `target` what it can do (OPTIONS), which is a SIP ping: any answer, whatever its status,
    /// shows that somebody is there.
    ///
    /// # Errors
    /// [`Error::Timeout`] when no answer comes; otherwise as [`call`](Self::call).
    pub async fn options(&self, target: &str) -> Result<Reply, Error> {
        let target = target.to_owned();
        self.answer(move |phone| phone.options(&target), "an answer to OPTIONS").await
    }

    /// Sends `target`, a SIP URI or, with a server, a number or name there, an instant message (RFC
    /// 3428), and returns the response that took it. `content_type` is that of `body`, mostly
    /// `text/plain`. Those that come are
    /// [`PhoneEvent::Message`](crate::event::PhoneEvent::Message).
    ///
    /// # Errors
    /// [`Error::Rejected`] for any other response; [`Error::Timeout`] when no answer comes;
    /// [`Error::Phone`] for what cannot be sent, such as a message larger than the 1,300 bytes that RFC
    /// 3428 allows, header fields included ([`TooLarge`](Problem::TooLarge)); [`Error::NotRunning`].
    pub async fn message(
        &self,
        target: &str,
        body: impl AsRef<[u8]>,
        content_type: &str,
    ) -> Result<Reply, Error> {
        let (target, content_type) = (target.to_owned(), content_type.to_owned());
        let body = body.as_ref().to_owned();
        let send = move |phone: &mut Core| phone.message(&target, &body, &content_type);
        let reply = self.answer(send, "an answer to the message").await?;
        match reply.cause.code {
            200..=299 => Ok(reply),
            _ => Err(Error::Rejected { cause: reply.cause }),
        }
    }

    /// Sends `target` a request of any other method, a new one included, outside a dialog, and returns
    /// the final response, whatever its status. INVITE, REGISTER and what belongs to them the phone
    /// sends by itself.
    ///
    /// # Errors
    /// [`Error::Timeout`] when no answer comes; [`Error::Phone`] for what cannot be sent;
    /// [`Error::NotRunning`].
    pub async fn request(
        &self,
        method: &str,
        target: &str,
        options: RequestOptions,
    ) -> Result<Reply, Error> {
        let (method, target) = (method.to_owned(), target.to_owned());
        let send = move |phone: &mut Core| phone.request(&method, &target, options);
        self.answer(send, "an answer to the request").await
    }

    /// The answer to the request that `send` makes the phone send.
    async fn answer(
        &self,
        send: impl FnOnce(&mut Core) -> Result<SipRequestId, Problem> + Send + 'static,
        what: &'static str,
    ) -> Result<Reply, Error> {
        let (sender, answered) = oneshot::channel();
        let (refused, result) = oneshot::channel();
        self.jobs()?
            .send(Box::new(move |line, _| {
                let _ = refused.send(line.request(sender, send));
            }))
            .map_err(|_| Error::NotRunning)?;
        result.await.map_err(|_| Error::NotRunning)??;
        let reply = answered.await.map_err(|_| Error::NotRunning)?;
        reply.map_err(|problem| Error::unanswered(problem, what))
    }

    /// Incoming calls, unless a [`CallHandler`] takes them. Those that came before wait, so nothing is lost between
    /// [`start`](Self::start) and this.
    pub fn incoming(&self) -> Incoming {
        Incoming::new(lock(&self.held.shared.incoming).clone())
    }

    /// What the far ends of calls want this phone to call instead (REFER). Those that came before
    /// wait, as incoming calls do.
    pub fn referrals(&self) -> Referrals {
        Referrals::new(lock(&self.held.shared.referrals).clone())
    }

    /// What happens on the phone and its calls from now on.
    pub fn events(&self) -> Events<Event> {
        self.held.shared.events.listen()
    }

    /// What the phone has counted since it was started last: messages that could be read and those
    /// that could not, and so on.
    pub async fn counters(&self) -> Counters {
        let kept = || *lock(&self.held.shared.counters);
        let Ok(jobs) = self.jobs() else { return kept() };
        let (sender, counted) = oneshot::channel();
        let _ = jobs.send(Box::new(move |line: &mut Line, _: &mut _| {
            let _ = sender.send(line.phone.counters());
        }));
        counted.await.unwrap_or_else(|_| kept())
    }

    fn jobs(&self) -> Result<LineJobs, Error> {
        let running = lock(&self.held.running);
        let running = running.as_ref().filter(|running| !*running.over.borrow());
        running.map(|running| running.jobs.clone()).ok_or(Error::NotRunning)
    }

    /// What there is to say about the registration that failed last.
    pub fn registration_error(&self) -> Error {
        let parameters = &self.held.parameters;
        let failure = lock(&self.held.shared.failure).clone();
        crate::error::registration(parameters, failure)
    }
}
