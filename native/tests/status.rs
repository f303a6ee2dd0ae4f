//! A phone that fails: what it holds, and how it comes back.

mod common;

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use common::*;
use offhook::{CallState, Error, Event, Phone, PhoneEvent, PhoneParameters, PhoneStatus};

/// A registrar that answers every REGISTER with the status that is set, for two seconds.
struct Registrar {
    address: SocketAddr,
    status: Arc<AtomicU16>,
}

impl Registrar {
    fn answering(code: u16) -> Self {
        let socket = UdpSocket::bind(here()).expect("a port is free");
        let address = socket.local_addr().expect("it is bound");
        let status = Arc::new(AtomicU16::new(code));
        let shared = Arc::clone(&status);
        std::thread::spawn(move || {
            let mut bytes = [0; 2_048];
            while let Ok((length, from)) = socket.recv_from(&mut bytes) {
                let request = String::from_utf8_lossy(&bytes[..length]);
                let code = shared.load(Ordering::Relaxed);
                let kept = ["Via", "From", "To", "Call-ID", "CSeq"];
                let head = request.lines().filter(|line| kept.iter().any(|k| line.starts_with(k)));
                let head: String = head.map(|line| format!("{line}\r\n")).collect();
                let head = head.replacen("\r\nCall-ID", ";tag=r\r\nCall-ID", 1);
                let reply =
                    format!("SIP/2.0 {code} So\r\n{head}Expires: 2\r\nContent-Length: 0\r\n\r\n");
                let _ = socket.send_to(reply.as_bytes(), from);
            }
        });
        Self { address, status }
    }

    fn set(&self, code: u16) {
        self.status.store(code, Ordering::Relaxed);
    }

    fn phone(&self, bind: SocketAddr) -> Phone {
        let parameters = PhoneParameters::new(&self.address.to_string(), "alice").bind(bind);
        Phone::new(parameters.registration_attempts(1))
    }
}

#[tokio::test]
async fn a_failed_start_holds_nothing_until_the_next_start_or_stop() {
    let registrar = Registrar::answering(403);
    let port = UdpSocket::bind(here()).and_then(|socket| socket.local_addr()).unwrap();
    let phone = registrar.phone(port);
    for _ in 0..2 {
        let error = soon(phone.start()).await.unwrap_err();
        assert!(matches!(error, Error::RegistrationRefused { .. }), "{error}");
        assert_eq!(phone.status(), PhoneStatus::Failed);
        assert!(UdpSocket::bind(port).is_ok(), "the port is still held");
    }
    soon(phone.stop()).await;
    assert_eq!(phone.status(), PhoneStatus::Inactive);
    registrar.set(200);
    soon(phone.start()).await.unwrap();
    assert_eq!(phone.status(), PhoneStatus::Registered);
    soon(phone.stop()).await;
}

#[tokio::test]
async fn a_start_that_fails_here_is_failed_and_told_like_any_other() {
    let taken = UdpSocket::bind(here()).unwrap();
    let parameters = PhoneParameters::without_server("alice");
    let tls = |parameters: PhoneParameters| parameters.transport(offhook::Transport::Tls);
    for (parameters, code) in [
        (parameters.clone().bind(taken.local_addr().unwrap()), "bind"),
        (tls(parameters.clone().bind(here()).cert_file("/nowhere.pem")), "tls_file"),
        (parameters.bind(here()).rtp_ports(9, 8), "invalid_range"),
    ] {
        let phone = Phone::new(parameters);
        let mut events = phone.events();
        let error = soon(phone.start()).await.unwrap_err();
        assert_eq!((error.code(), phone.status()), (code, PhoneStatus::Failed));
        assert_eq!(events.try_next(), Some(Event::Phone(PhoneEvent::Status(PhoneStatus::Failed))));
        let message = error.to_string();
        assert_eq!(events.try_next(), Some(Event::StartFailed { code: error.code(), message }));
        assert_eq!(soon(phone.call("sip:x@127.0.0.1")).await.unwrap_err().code(), "not_running");
        assert_eq!(soon(phone.start()).await.unwrap_err().code(), code, "it may be tried again");
        soon(phone.stop()).await;
        assert_eq!(phone.status(), PhoneStatus::Inactive);
    }
}

#[tokio::test]
async fn a_phone_that_loses_its_registration_for_good_keeps_its_calls_and_starts_again() {
    let registrar = Registrar::answering(200);
    let phone = registrar.phone(here());
    soon(phone.start()).await.unwrap();
    let bob = start(direct("bob")).await;
    let (_at_bob, call) = connect(&bob, &phone).await;
    let mut events = phone.events();
    registrar.set(403);
    let failed = async {
        while let Some(event) = events.next().await {
            if event == Event::Phone(PhoneEvent::Status(PhoneStatus::Failed)) {
                return;
            }
        }
    };
    soon(failed).await;
    assert_eq!(phone.status(), PhoneStatus::Failed);
    assert_eq!(call.state(), CallState::Answered);
    let refused = soon(phone.call("bob")).await.unwrap_err();
    assert_eq!(refused.code(), "invalid_status");
    registrar.set(200);
    soon(phone.start()).await.unwrap();
    assert_eq!(phone.status(), PhoneStatus::Registered);
    assert_eq!(call.state(), CallState::Answered);
    let again = soon(phone.start()).await.unwrap_err();
    assert_eq!(again.code(), "already_running");
    soon(phone.stop()).await;
    assert_eq!(phone.status(), PhoneStatus::Inactive);
    bob.stop().await;
}
