//! A STUN server of the test beside a phone on real sockets.

mod common;

use std::net::{SocketAddr, UdpSocket};
use std::sync::mpsc::{Receiver, channel};
use std::thread::spawn;
use std::time::{Duration, Instant};

use common::*;
use offhook::core::internals::{answer_binding, is_stun};
use offhook_tests::stall::awaited_unless_stalled;

/// A server that answers whoever asks, if it `answers`, and tells who that was; it ends with the test.
fn server(answers: bool) -> (SocketAddr, Receiver<SocketAddr>) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    let (tell, told) = channel();
    spawn(move || {
        let mut buffer = [0; 1_500];
        while let Ok((length, from)) = socket.recv_from(&mut buffer) {
            let bytes = &buffer[..length];
            assert!(is_stun(bytes));
            if answers {
                socket.send_to(&answer_binding(bytes, from).unwrap(), from).unwrap();
            }
            if tell.send(from).is_err() {
                return;
            }
        }
    });
    (address, told)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stun_server_is_asked_from_each_socket_and_sound_follows() {
    awaited_unless_stalled(talk_by_stun).await;
}

async fn talk_by_stun() -> Result<(), String> {
    let (address, asked) = server(true);
    let alice = start(direct("alice").stun(&address.to_string())).await;
    let sip = asked.recv_timeout(Duration::from_secs(60)).unwrap();
    assert_eq!(sip.port(), alice.bound_address().unwrap().port());
    let bob = start(direct("bob")).await;
    let (caller, called) = connect(&alice, &bob).await;
    let mut pair = [(); 2].map(|()| asked.recv_timeout(Duration::from_secs(60)).unwrap().port());
    pair.sort_unstable();
    assert!(pair[0] % 2 == 0 && pair[1] == pair[0] + 1, "{pair:?} are RTP's and RTCP's ports");
    assert_passes(&caller, &called, 440, 400).await;
    let unmapped = alice.counters().await.unmapped;
    soon(async { tokio::join!(alice.stop(), bob.stop()) }).await;
    // It is waited for half a second.
    check(unmapped == 0, || format!("{unmapped} sockets without an answer"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_silent_costs_half_a_second() {
    let (address, _asked) = server(false);
    let began = Instant::now();
    let alice = start(direct("alice").stun(&address.to_string())).await;
    let bob = start(direct("bob")).await;
    let (caller, _called) = connect(&alice, &bob).await;
    assert!(began.elapsed() >= Duration::from_secs(1), "once to start, once to call");
    assert_eq!(alice.counters().await.unmapped, 2);
    soon(caller.hangup()).await.unwrap();
    soon(async { tokio::join!(alice.stop(), bob.stop()) }).await;
}
