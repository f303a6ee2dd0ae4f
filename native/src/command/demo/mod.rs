//! `offhook demo`: an exchange and three phones on this machine, a call between two of them over
//! real sockets, and its transfer to the third, through nothing but the library's public interface.
//! What was heard and pressed is checked. A machine that stands still leaves out sound: where it did, and
//! that is heard, all is done again.

mod speech;
mod stall;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use offhook::{
    Call, Capture, Ending, Error, Exchange, ExchangeOptions, ExchangeParameters, Listener,
    MediaStats, Phone, PhoneOptions, PhoneParameters, Transfer, TransferMode, io_problem,
};
use serde_json::json;
use tokio::time::timeout;

use super::answer::echo;
use super::arguments::DemoArguments;
use super::failure::{Failure, Status};
use super::output::{Output, describe as describe_cause, figures};
use super::signals::Signals;
use speech::{CHIME, Measured, Melody, SPEECH};
use stall::{Attempts, FailedAttempt};

/// What is pressed.
const DIGITS: &str = "195";
/// The rate of the WAV that is spoken; the call's is another, so that it has to be resampled.
const SPOKEN_RATE: u32 = 16_000;
/// The demo takes a tenth of this when all is well.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often it is shown at the most.
const ATTEMPTS: u32 = 3;
/// A free port of this machine.
const HERE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

pub(crate) async fn run(arguments: DemoArguments, output: Output) -> Result<(), Failure> {
    let signals = Signals::listen().map_err(Failure::internal)?;
    let files = Files::create(arguments.out)?;
    let steps = Steps::new(output);
    let mut attempts = Attempts::new(ATTEMPTS);
    loop {
        let capture = Capture::new();
        let result = tokio::select! {
            result = timeout(PATIENCE, show(&steps, &files, &capture)) => match result {
                Ok(result) => result,
                Err(_) => Err(failed(format!("{} took too long", steps.current())).into()),
            },
            () = signals.came() => Err(failed("interrupted".into()).into()),
        };
        steps.clear();
        capture.write_pcap(files.path("demo.pcap"))?;
        let problem = match result {
            Ok(shown) => {
                report(output, &files, &capture, &shown);
                break;
            }
            Err(Problem::Failed(failure)) => return Err(failure),
            Err(Problem::Spoilt(problem)) => problem,
        };
        let FailedAttempt { stall, again } = attempts.fail();
        if !again {
            return Err(failed(problem));
        }
        let stall = stall.as_millis();
        let message = format!("{problem}: this machine stood still for {stall} ms; once more");
        output.warning("stalled", &message);
    }
    Ok(())
}

/// Why the demo could not be shown.
enum Problem {
    Failed(Failure),
    /// What was heard is not what was said, which a machine that stands still does too.
    Spoilt(String),
}

impl<F: Into<Failure>> From<F> for Problem {
    fn from(failure: F) -> Self {
        Self::Failed(failure.into())
    }
}

/// Something that did not work as it should: status 1.
fn failed(message: String) -> Failure {
    Failure::new(Status::Internal, "demo_failed", format!("the demo failed: {message}"))
}

/// How each end saw the call.
struct Shown {
    caller: Ending,
    menu: MediaStats,
    spoken: Measured,
    echoed: Measured,
    transferred: Measured,
}

async fn show(steps: &Steps, files: &Files, capture: &Capture) -> Result<Shown, Problem> {
    let spoken = files.path("spoken.wav");
    speech::write(&spoken, SPOKEN_RATE, &SPEECH.samples(SPOKEN_RATE)).map_err(Failure::internal)?;

    steps.begin("starting an exchange");
    let parameters = ExchangeParameters::new(HERE);
    let parameters = parameters.user("alice", "a").user("menu", "m").user("desk", "d");
    let exchange =
        Exchange::start_with(parameters, ExchangeOptions::default().capture(capture.clone()))?;
    let server = exchange.listeners().first().map_or(HERE, |listener| listener.address).to_string();
    steps.done(&format!("an exchange listens at udp {server}"));

    steps.begin("registering three phones");
    // The exchange sees all signalling; sound passes it by.
    let sound = PhoneOptions::default().capture(capture.clone().without_signalling());
    let menu = phone(&server, "menu", "m", true, PhoneOptions::default());
    let alice = phone(&server, "alice", "a", false, sound.clone());
    let desk = phone(&server, "desk", "d", false, sound);
    tokio::try_join!(menu.start(), alice.start(), desk.start())?;
    name(capture, &exchange, &[(&menu, "menu"), (&alice, "alice"), (&desk, "desk")]);
    steps.done("three phones have registered: alice, menu and desk");

    let attended = tokio::spawn(attend(menu.clone(), files.path("menu-heard.wav")));
    let listened = tokio::spawn(listen(desk.clone(), files.path("desk-heard.wav")));
    let caller = speak(steps, files, &alice).await?;
    let (digits, stats) = attended.await.map_err(Failure::internal)??;
    listened.await.map_err(Failure::internal)??;
    steps.done("menu has spoken to desk, and hung up");
    steps.begin("stopping the phones and the exchange");
    tokio::join!(alice.stop(), menu.stop(), desk.stop());
    exchange.stop().await;
    steps.done("the phones have deregistered");

    steps.begin("checking what was heard");
    if digits != DIGITS {
        return Err(failed(format!("{DIGITS} was pressed, and {digits:?} was received")).into());
    }
    steps.done(&format!("the digits {digits} were received"));
    let spoken = checked(&files.path("menu-heard.wav"), "menu", SPEECH)?;
    steps.done(&format!("menu heard what alice said: {}", describe(&spoken)));
    let echoed = checked(&files.path("alice-heard.wav"), "alice", SPEECH)?;
    steps.done(&format!("alice heard the echo: {}", describe(&echoed)));
    let transferred = checked(&files.path("desk-heard.wav"), "desk", CHIME)?;
    steps.done(&format!("desk heard menu after the transfer: {}", describe(&transferred)));
    Ok(Shown { caller, menu: stats, spoken, echoed, transferred })
}

/// A phone on this machine that registers at `server`, and may be transferred or not.
fn phone(
    server: &str,
    user: &str,
    password: &str,
    accept_transfer: bool,
    options: PhoneOptions,
) -> Phone {
    let parameters = PhoneParameters::new(server, user).password(password).bind(HERE);
    Phone::with_options(parameters.accept_transfer(accept_transfer), options)
}

fn name(capture: &Capture, exchange: &Exchange, phones: &[(&Phone, &str)]) {
    for &Listener { address, .. } in exchange.listeners() {
        capture.name(address, "exchange");
    }
    for (phone, name) in phones {
        if let Some(address) = phone.bound_address() {
            capture.name(address, name);
        }
    }
}

/// The menu: answers with a chime, takes digits, then sends back what it hears. When it is
/// transferred it chimes there, and hangs up.
async fn attend(phone: Phone, heard: PathBuf) -> Result<(String, MediaStats), Error> {
    let (mut incoming, mut referrals) = (phone.incoming(), phone.referrals());
    let call = incoming.next().await.ok_or(Error::NotRunning)?;
    let recording = call.record_received(heard)?;
    call.answer().await?;
    let rate = call.rate();
    call.play_samples(rate, &CHIME.samples(rate)).await?;
    let digits = call.read_dtmf(DIGITS.len()).await?;
    // What comes back now is the caller's own voice; what was said before is on file.
    recording.stop().await?;
    while call.take_audio(rate, &mut [0; 1_024]) > 0 {}
    let moved = async {
        let referral = referrals.next().await.ok_or(Error::NotRunning)?;
        let there = referral.accept().await?;
        there.answered().await?;
        there.play_samples(there.rate(), &CHIME.samples(there.rate())).await?;
        there.hangup().await
    };
    tokio::try_join!(echo(&call), moved)?;
    Ok((digits, call.ended().await.stats))
}

/// The desk: answers, and listens until it is hung up.
async fn listen(phone: Phone, heard: PathBuf) -> Result<(), Error> {
    let call = phone.incoming().next().await.ok_or(Error::NotRunning)?;
    let mut recording = call.record_received(heard)?;
    call.answer().await?;
    call.ended().await;
    recording.finished().await
}

/// The caller: speaks, presses digits, speaks again and hears it come back, transfers the menu to
/// the desk, which ends the call.
async fn speak(steps: &Steps, files: &Files, phone: &Phone) -> Result<Ending, Failure> {
    steps.begin("calling");
    let call = phone.call("menu").await?;
    let mut recording = call.record(files.path("call.wav"))?;
    call.answered().await?;
    steps.done("alice called menu, and menu answered");

    steps.begin("speaking");
    call.play(files.path("spoken.wav")).await?;
    steps.done("alice has spoken");

    steps.begin("pressing 1-9-5");
    super::call::press(&call, DIGITS).await?;
    steps.done("alice has pressed 1-9-5");

    steps.begin("speaking to be echoed");
    let heard = call.record_received(files.path("alice-heard.wav"))?;
    call.play(files.path("spoken.wav")).await?;
    hear_the_rest(&call).await?;
    heard.stop().await?;
    steps.done("alice has been echoed");

    steps.begin("transferring menu to desk");
    if let Transfer::Failed { cause } = call.transfer("desk", TransferMode::Notified).await? {
        let why = cause.as_ref().map_or("no answer".into(), describe_cause);
        return Err(failed(format!("menu was not transferred to desk: {why}")));
    }
    let ending = call.ended().await;
    recording.finished().await?;
    steps.done("alice has transferred menu to desk, and hung up");
    Ok(ending)
}

/// Waits until the echo of what was said last must have come.
async fn hear_the_rest(call: &Call) -> Result<(), Error> {
    /// The longest way there and back, jitter buffers and the echo's cushion included.
    const ROUND_TRIP_MS: usize = 600;
    let rate = call.rate();
    let mut samples = vec![0; rate as usize / 50];
    // What came while speaking waits unread; skip it, then listen on.
    while call.take_audio(rate, &mut samples) > 0 {}
    let mut rest = rate as usize * ROUND_TRIP_MS / 1_000;
    while rest > 0 {
        match call.read_audio(rate, &mut samples).await? {
            0 => break,
            count => rest = rest.saturating_sub(count),
        }
    }
    Ok(())
}

fn checked(path: &Path, who: &str, said: Melody) -> Result<Measured, Problem> {
    let (rate, heard) = speech::read(path).map_err(Failure::internal)?;
    said.check(&heard, rate).map_err(|problem| {
        Problem::Spoilt(format!("what {who} heard is not what was said: {problem}"))
    })
}

fn describe(measured: &Measured) -> String {
    let Measured { level, pitch_error, pause_ms } = measured;
    let percent = pitch_error * 100.0;
    format!("every note within {percent:.1} %, {level:.1} dBov, no pause above {pause_ms:.1} ms")
}

fn report(output: Output, files: &Files, capture: &Capture, shown: &Shown) {
    let ladder = capture.ladder();
    let measured = |m: &Measured| json!({ "level_dbov": m.level, "pitch_error": m.pitch_error, "pause_ms": m.pause_ms });
    let value = json!({
        "event": "demo", "ok": true, "digits": DIGITS, "out": files.directory,
        "spoken": measured(&shown.spoken), "echoed": measured(&shown.echoed),
        "transferred": measured(&shown.transferred),
        "mos": f64::from(shown.caller.stats.mos_x100) / 100.0,
        "duration_ms": shown.caller.duration.as_millis() as u64, "ladder": ladder,
    });
    let setup = shown.caller.setup.unwrap_or_default().as_secs_f64() * 1_000.0;
    let seconds = shown.caller.duration.as_secs_f64();
    let lines = [
        String::new(),
        ladder.trim_end().to_owned(),
        String::new(),
        format!("The call was answered after {setup:.1} ms and lasted {seconds:.1} s."),
        format!("  alice: {}", figures(&shown.caller.stats)),
        format!("  menu:  {}", figures(&shown.menu)),
        String::new(),
        format!("In {}:", files.directory.display()),
        "  spoken.wav       what alice said".into(),
        "  menu-heard.wav   what menu heard of it".into(),
        "  alice-heard.wav  what alice heard of the echo".into(),
        "  desk-heard.wav   what desk heard of menu after the transfer".into(),
        "  call.wav         the call at alice's end, left sent, right heard".into(),
        "  demo.pcap        every packet, for Wireshark".into(),
    ];
    output.report(&value, &lines.join("\n"));
}

/// Where the demo's files go.
struct Files {
    directory: PathBuf,
}

impl Files {
    fn create(chosen: Option<PathBuf>) -> Result<Self, Failure> {
        let named = || std::env::temp_dir().join(format!("offhook-demo-{}", std::process::id()));
        let directory = chosen.unwrap_or_else(named);
        std::fs::create_dir_all(&directory).map_err(|error| {
            let problem = format!("cannot make this directory: {}", io_problem(&error));
            Failure::from(Error::File { path: directory.clone(), problem })
        })?;
        Ok(Self { directory })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }
}

/// What the demo is doing now and has done.
struct Steps {
    output: Output,
    bar: ProgressBar,
}

impl Steps {
    fn new(output: Output) -> Self {
        // Draws on standard error, and only if that is a terminal.
        let bar = if output.is_json() { ProgressBar::hidden() } else { ProgressBar::new_spinner() };
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}") {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(100));
        Self { output, bar }
    }

    fn begin(&self, what: &str) {
        self.bar.set_message(what.to_owned());
    }

    fn done(&self, what: &str) {
        let value = json!({ "event": "step", "what": what });
        self.bar.suspend(|| self.output.report(&value, &format!("ok  {what}")));
    }

    fn current(&self) -> String {
        self.bar.message()
    }

    fn clear(&self) {
        self.bar.finish_and_clear();
    }
}
