//! SIPp beyond Kamailio, over UDP and TCP: our command calls it and is called by it.

use std::net::UdpSocket;

use offhook_tests::sipp::{Scenario, Sipp, TAG, sdp};
use offhook_tests::stall::unless_stalled;

use super::kamailio::{Algorithm, Kamailio, TRANSPORTS};
use super::process::Offhook;
use super::program::PATIENCE;
use super::sound::check_heard;
use super::transports::{stop, with_tones};

/// SIPp's name for a transport, one socket for all calls; `None` where it has none.
fn mode(transport: &str) -> Option<&'static str> {
    match transport {
        "udp" => Some("u1"),
        "tcp" => Some("t1"),
        _ => None,
    }
}

/// Takes a call, and stays until it is hung up.
fn callee() -> Scenario {
    // Whatever proxies have added goes back to them.
    let answer = |status: &str, content: &str| {
        format!(
            "SIP/2.0 {status}\n[last_Via:]\n[last_Record-Route:]\n[last_From:]\n[last_To:];tag={TAG}\n\
             [last_Call-ID:]\n[last_CSeq:]\n\
             Contact: <sip:sipp@[local_ip]:[local_port];transport=[transport]>\n{content}"
        )
    };
    let description = format!(
        "Content-Type: application/sdp\nContent-Length: [len]\n\n{}",
        sdp(1, "0", "a=rtpmap:0 PCMU/8000\n")
    );
    Scenario::callee()
        .receive("INVITE")
        .send_text(&answer("180 Ringing", "Content-Length: 0\n\n"))
        .send_text(&answer("200 OK", &description))
        .receive("ACK")
        .receive("BYE")
        .reply("200 OK", "", "")
}

/// Calls, stays for a while and hangs up.
fn caller() -> Scenario {
    Scenario::caller()
        .begin("INVITE", 1, "", &sdp(1, "0", ""))
        .allow(100)
        .allow(180)
        .established()
        .request("ACK", 1, "[routes]", "")
        .pause(500)
        .request("BYE", 2, "[routes]", "")
        .expect(200)
}

#[test]
fn calls_with_sipp_beyond_kamailio() {
    if !Kamailio::is_installed() || !Sipp::is_installed() {
        return;
    }
    let kamailio = Kamailio::start(Algorithm::Sha256);
    for transport in TRANSPORTS {
        let Some(mode) = mode(transport) else { continue };
        let directory = with_tones();
        let at = directory.path();
        unless_stalled(|| {
            let mut sipp = Sipp::play(&callee(), &["-t", mode, "-rtp_echo"], None, PATIENCE);
            sipp.wait_until_bound();
            // Its own user each time, or the call would fork to those before.
            let user = format!("sipp-{transport}-{}", sipp.port);
            register(&kamailio, &user, sipp.port, transport);
            let account = kamailio.account(transport, "alice");
            let call = format!("call {user} --play high.wav --record-received alice.wav {account}");
            let (status, sentence, events) = Offhook::run(at, &call);
            assert_eq!((status, sentence.as_str()), (0, ""), "{transport}: {events:?}");
            sipp.finish();
            check_heard(&at.join("alice.wav"), 1_000, 1_300)
        });

        let bob = Offhook::start(at, &format!("answer {}", kamailio.account(transport, "bob")));
        bob.wait("registered");
        Sipp::play(&caller(), &["-t", mode, "-s", "bob"], Some(kamailio.port), PATIENCE).finish();
        assert_eq!(bob.wait("ended")["by"], "remote", "{transport}");
        stop(bob, true);
    }
}

#[test]
fn calls_with_sipp_without_a_server() {
    if !Sipp::is_installed() {
        return;
    }
    for transport in TRANSPORTS {
        let Some(mode) = mode(transport) else { continue };
        let directory = with_tones();
        let at = directory.path();
        unless_stalled(|| {
            let mut sipp = Sipp::play(&callee(), &["-t", mode, "-rtp_echo"], None, PATIENCE);
            sipp.wait_until_bound();
            let call = format!(
                "call sip:sipp@127.0.0.1:{};transport={transport} --bind 127.0.0.1 --play high.wav \
             --record-received alice.wav",
                sipp.port
            );
            let (status, sentence, events) = Offhook::run(at, &call);
            assert_eq!((status, sentence.as_str()), (0, ""), "{transport}: {events:?}");
            sipp.finish();
            check_heard(&at.join("alice.wav"), 1_000, 1_300)
        });

        let bob = Offhook::start(at, "answer --bind 127.0.0.1:0");
        let port = bob.address().rsplit(':').next().unwrap().parse().unwrap();
        Sipp::play(&caller(), &["-t", mode, "-s", "bob"], Some(port), PATIENCE).finish();
        assert_eq!(bob.wait("ended")["by"], "remote", "{transport}");
        stop(bob, false);
    }
}

/// Registers somebody who cannot do it himself, whom Kamailio takes without a password.
fn register(kamailio: &Kamailio, user: &str, port: u16, transport: &str) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let here = socket.local_addr().unwrap();
    let request = format!(
        "REGISTER sip:127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP {here};rport;branch=z9hG4bK{user}\r\n\
         From: <sip:{user}@127.0.0.1>;tag=1\r\nTo: <sip:{user}@127.0.0.1>\r\nCall-ID: {user}\r\n\
         CSeq: 1 REGISTER\r\nMax-Forwards: 70\r\nExpires: 60\r\n\
         Contact: <sip:{user}@127.0.0.1:{port};transport={transport}>\r\nContent-Length: 0\r\n\r\n"
    );
    socket.send_to(request.as_bytes(), ("127.0.0.1", kamailio.port)).unwrap();
    let mut response = [0; 4_096];
    let length = socket.recv(&mut response).expect("an answer to REGISTER");
    let text = String::from_utf8_lossy(&response[..length]);
    assert!(text.starts_with("SIP/2.0 200 "), "{text}");
}
