//! baresip at Kamailio: our command calls it and is called by it, with sound both ways.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::thread;

use offhook_tests::stall::unless_stalled;
use serde_json::{Value, json};
use tempfile::{TempDir, tempdir};

use super::kamailio::{Algorithm, Kamailio, TRANSPORTS};
use super::process::Offhook;
use super::program::{PATIENCE, Program, free_port, installed, wait_until};
use super::sound::{check_heard, check_heard_at, write_tone_at};
use super::transports::{stop, with_tones};

/// A running baresip, which answers calls by itself, plays 2.2 s of a tone and records what it hears.
struct Baresip {
    control: BufReader<TcpStream>,
    _program: Program,
    directory: TempDir,
}

impl Baresip {
    /// Starts it with 1 kHz to play, and waits until it is registered.
    #[track_caller]
    fn start(kamailio: &Kamailio, transport: &str, user: &str) -> Self {
        let proxy = match transport {
            "tls" => kamailio.tls_port,
            _ => kamailio.port,
        };
        let account = format!(
            "<sip:{user}@peers.test>;auth_user={user};auth_pass=secret-{user};regint=60;\
             outbound=\"sip:127.0.0.1:{proxy};transport={transport}\";answermode=auto;audio_codecs=PCMU\n"
        );
        let mut baresip = Self::launch(&account, 0, 8_000, 1_000);
        wait_until("baresip to be registered", || baresip.command("reginfo", "").contains("OK"));
        baresip
    }

    /// Starts it without a server, with G.722 alone and 5 kHz to play; and its port.
    #[track_caller]
    fn start_wide_band() -> (Self, u16) {
        // It listens for TLS at the next port.
        let [port, _next] = [(); 2].map(|()| free_port(&[Ipv4Addr::LOCALHOST.into()]));
        let account =
            "<sip:baresip@127.0.0.1>;regint=0;answermode=auto;audio_codecs=G722/16000/1\n";
        (Self::launch(account, port, 16_000, 5_000), port)
    }

    /// Starts it with a tone to play, and waits until it takes commands.
    #[track_caller]
    fn launch(account: &str, listen: u16, rate: u32, frequency: u32) -> Self {
        let directory = tempdir().expect("a directory");
        let at = directory.path();
        write_tone_at(&at.join("tone.wav"), rate, frequency, 2_200);
        let port = free_port(&[Ipv4Addr::LOCALHOST.into()]);
        fs::write(at.join("config"), config(at, port, listen, rate)).expect("a file");
        fs::write(at.join("accounts"), account).expect("a file");
        fs::write(at.join("contacts"), "").expect("a file");
        let mut program = Program::start(at, &format!("baresip -4 -f {}", at.display()));
        let mut control = None;
        wait_until("baresip to take commands", || {
            assert!(!program.has_ended(), "baresip does not start:\n{}", program.log());
            control = TcpStream::connect(("127.0.0.1", port)).ok();
            control.is_some()
        });
        let control = control.expect("a connection");
        control.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        Self { control: BufReader::new(control), _program: program, directory }
    }

    /// Has it do something; what it says to that.
    #[track_caller]
    fn command(&mut self, name: &str, parameters: &str) -> String {
        let text = json!({ "command": name, "params": parameters, "token": "t" }).to_string();
        let framed = format!("{}:{text},", text.len());
        self.control.get_mut().write_all(framed.as_bytes()).expect("baresip listens");
        loop {
            let said = self.next();
            if said["response"] == true {
                return said["data"].as_str().unwrap_or_default().to_owned();
            }
        }
    }

    /// Waits for an event of that type.
    #[track_caller]
    fn wait(&mut self, kind: &str) {
        while self.next()["type"] != kind {}
    }

    /// What it says next: a length, a colon, JSON and a comma.
    #[track_caller]
    fn next(&mut self) -> Value {
        let mut length = Vec::new();
        self.control.read_until(b':', &mut length).expect("baresip says something");
        let length = String::from_utf8_lossy(&length);
        let length: usize = length.trim_end_matches(':').parse().expect("a length");
        let mut text = vec![0; length + 1];
        self.control.read_exact(&mut text).expect("all of it");
        text.truncate(length);
        serde_json::from_slice(&text).expect("JSON")
    }

    /// The recording of its only call, which is over.
    #[track_caller]
    fn heard(&self) -> PathBuf {
        let entries = fs::read_dir(self.directory.path()).expect("its directory");
        let names = entries.flatten().map(|entry| entry.path());
        let mut recordings = names.filter(|path| path.to_string_lossy().ends_with("-dec.wav"));
        recordings.next().expect("a recording")
    }
}

#[test]
fn calls_with_baresip() {
    if !Kamailio::is_installed() || !installed(&["baresip"]) {
        return;
    }
    let kamailio = Kamailio::start(Algorithm::Md5);
    // It has no WebSocket.
    for transport in TRANSPORTS.into_iter().filter(|transport| !transport.starts_with("ws")) {
        let kamailio = &kamailio;
        thread::scope(|scope| {
            scope.spawn(move || unless_stalled(|| baresip_is_called(kamailio, transport)));
            scope.spawn(move || unless_stalled(|| baresip_calls(kamailio, transport)));
        });
    }
}

fn baresip_is_called(kamailio: &Kamailio, transport: &str) -> Result<(), String> {
    let user = format!("{transport}-called");
    let mut baresip = Baresip::start(kamailio, transport, &user);
    let directory = with_tones();
    let at = directory.path();
    let account = kamailio.account(transport, &format!("{transport}-alice"));
    let call =
        format!("call {user} --play low.wav --record-received alice.wav --duration 2 {account}");
    let (status, sentence, events) = Offhook::run(at, &call);
    assert_eq!((status, sentence.as_str()), (0, ""), "{transport}: {events:?}");
    baresip.wait("CALL_CLOSED");
    check_heard(&at.join("alice.wav"), 1_000, 1_300)?;
    check_heard(&baresip.heard(), 600, 1_300)
}

fn baresip_calls(kamailio: &Kamailio, transport: &str) -> Result<(), String> {
    let user = format!("{transport}-bob");
    let mut baresip = Baresip::start(kamailio, transport, &format!("{transport}-caller"));
    let directory = with_tones();
    let at = directory.path();
    let account = kamailio.account(transport, &user);
    let answer = format!("answer --play low.wav --record-received bob.wav --duration 60 {account}");
    let bob = Offhook::start(at, &answer);
    bob.wait("registered");
    baresip.command("dial", &format!("sip:{user}@127.0.0.1"));
    bob.wait_state("answered");
    // Its tone is the longer one; this is its word for the end of it.
    baresip.wait("AUDIO_ERROR");
    baresip.command("hangup", "");
    assert_eq!(bob.wait("ended")["by"], "remote", "{transport}");
    stop(bob, true);
    check_heard(&at.join("bob.wav"), 1_000, 1_300)?;
    check_heard(&baresip.heard(), 600, 1_300)
}

#[test]
fn wide_band_calls_with_baresip() {
    if !installed(&["baresip"]) {
        return;
    }
    unless_stalled(wide_band_to_baresip);
    unless_stalled(wide_band_from_baresip);
}

fn wide_band_to_baresip() -> Result<(), String> {
    let (mut baresip, port) = Baresip::start_wide_band();
    let directory = tempdir().expect("a directory");
    let at = directory.path();
    write_tone_at(&at.join("tone.wav"), 16_000, 6_000, 1_500);
    let call = format!(
        "call sip:baresip@127.0.0.1:{port} --bind 127.0.0.1:0 --codecs G722 --play tone.wav \
         --record-received alice.wav --duration 2"
    );
    let (status, sentence, events) = Offhook::run(at, &call);
    assert_eq!((status, sentence.as_str()), (0, ""), "{events:?}");
    baresip.wait("CALL_CLOSED");
    check_heard_at(&at.join("alice.wav"), 16_000, 5_000, 1_300)?;
    check_heard_at(&baresip.heard(), 16_000, 6_000, 1_300)
}

fn wide_band_from_baresip() -> Result<(), String> {
    let (mut baresip, _) = Baresip::start_wide_band();
    let directory = tempdir().expect("a directory");
    let at = directory.path();
    write_tone_at(&at.join("tone.wav"), 16_000, 6_000, 1_500);
    let answer =
        "answer --bind 127.0.0.1:0 --play tone.wav --record-received bob.wav --duration 60";
    let bob = Offhook::start(at, answer);
    let target = format!("sip:bob@{}", bob.address());
    baresip.command("dial", &target);
    bob.wait_state("answered");
    // Its tone is the longer one; this is its word for the end of it.
    baresip.wait("AUDIO_ERROR");
    baresip.command("hangup", "");
    let ended = bob.wait("ended");
    assert_eq!((&ended["by"], &ended["stats"]["codec"]), (&"remote".into(), &"G722".into()));
    stop(bob, false);
    check_heard_at(&at.join("bob.wav"), 16_000, 5_000, 1_300)?;
    check_heard_at(&baresip.heard(), 16_000, 6_000, 1_300)
}

fn config(directory: &Path, control: u16, listen: u16, rate: u32) -> String {
    let at = directory.display();
    format!(
        "sip_listen 127.0.0.1:{listen}\nnet_interface 127.0.0.1\nsip_verify_server no\n\
         audio_source aufile,{at}/tone.wav\naudio_player aubridge,nil\naudio_alert aubridge,alert\n\
         audio_level no\nstatmode_default off\nausrc_srate {rate}\nauplay_srate {rate}\n\
         ausrc_channels 1\nauplay_channels 1\nrtp_ports 21000-23998\n\
         module_path /usr/lib/baresip/modules\nmodule g711.so\nmodule g722.so\nmodule uuid.so\n\
         module aufile.so\nmodule aubridge.so\nmodule sndfile.so\nmodule_tmp account.so\nmodule_app menu.so\n\
         module_app ctrl_tcp.so\nctrl_tcp_listen 127.0.0.1:{control}\nsnd_path {at}\n\
         audio_path /nonexistent\n"
    )
}
