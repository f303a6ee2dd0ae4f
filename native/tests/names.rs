//! Servers that are found by name (RFC 3263), with a DNS server of the tests' own.

mod common;
#[cfg(all(feature = "cli", unix))]
#[path = "common/process.rs"]
mod process;
#[path = "common/zone.rs"]
mod zone;

use std::net::{SocketAddr, UdpSocket};
use std::time::Instant;

use common::*;
use offhook::{Exchange, ExchangeParameters, Phone, PhoneParameters};
use zone::Zone;

/// An exchange for `pbx.test` at any port of that address.
fn exchange_at(ip: &str) -> (Exchange, u16) {
    let address = SocketAddr::new(ip.parse().unwrap(), 0);
    let mut parameters = ExchangeParameters::new(address).user("alice", "a").user("bob", "b");
    parameters.domains = vec!["pbx.test".to_owned()];
    let exchange = Exchange::start(parameters).expect("the exchange starts");
    let port = exchange.listeners()[0].address.port();
    (exchange, port)
}

/// A port of 127.0.0.1 at which nobody listens, nor a program that the system gives a port.
#[cfg(all(feature = "cli", unix))]
const DEAD_PORT: u16 = 9;

/// A registered phone that knows its server by name alone.
async fn registered_by_name(zone: &Zone, user: &str, password: &str) -> Phone {
    let parameters = PhoneParameters::new("pbx.test", user).password(password).bind(here());
    start(parameters.dns_servers(&[zone.address])).await
}

/// Of two exchanges the first is dead: phones register with the second, and call there.
#[tokio::test(flavor = "multi_thread")]
async fn a_dead_server_is_passed_over_for_the_next() {
    let zone = Zone::new();
    let (first, port) = exchange_at("127.0.0.1");
    first.stop().await;
    let (second, live) = exchange_at("127.0.0.1");
    zone.naptr(
        "pbx.test",
        &[(20, "SIP+D2T", "_sip._tcp.pbx.test"), (10, "SIP+D2U", "_sip._udp.pbx.test")],
    );
    let servers = [(20, 0, live, "two.pbx.test"), (10, 100, port, "one.pbx.test")];
    zone.srv("_sip._udp.pbx.test", 60, &servers);
    zone.host("one.pbx.test", &["127.0.0.1"]);
    zone.host("two.pbx.test", &["127.0.0.1"]);

    let alice = registered_by_name(&zone, "alice", "a").await;
    let bob = registered_by_name(&zone, "bob", "b").await;
    let mut incoming = bob.incoming();
    let caller = soon(alice.call("bob")).await.unwrap();
    let called = soon(incoming.next()).await.unwrap();
    soon(called.answer()).await.unwrap();
    soon(caller.answered()).await.unwrap();
    assert_passes(&caller, &called, 440, 400).await;
    caller.hangup().await.unwrap();
    soon(caller.ended()).await;
    // Each phone has asked once, for the records hold.
    assert_eq!(zone.asked("NAPTR pbx.test"), 2);
    assert_eq!(zone.asked("SRV _sip._udp.pbx.test"), 2);
    assert_eq!(zone.asked("SRV _sip._tcp.pbx.test"), 0);
    soon(async { tokio::join!(alice.stop(), bob.stop(), second.stop()) }).await;
}

/// The addresses of both families are tried, those of IPv6 first (RFC 6724), whichever the server has.
#[tokio::test(flavor = "multi_thread")]
async fn a_name_with_both_families_leads_to_the_one_that_listens() {
    let zone = Zone::new();
    zone.host("pbx.test", &["127.0.0.1", "::1"]);
    let families: &[&str] = match UdpSocket::bind("[::1]:0") {
        Ok(_) => &["127.0.0.1", "::1"],
        Err(_) => {
            println!("without IPv6 on this machine only 127.0.0.1 is tried");
            &["127.0.0.1"]
        }
    };
    for ip in families {
        let (exchange, port) = exchange_at(ip);
        let everywhere = SocketAddr::from(([0, 0, 0, 0], 0));
        let parameters = PhoneParameters::new("pbx.test", "alice").port(port).password("a");
        let alice = start(parameters.bind(everywhere).dns_servers(&[zone.address])).await;
        soon(async { tokio::join!(alice.stop(), exchange.stop()) }).await;
    }
    assert_eq!(zone.asked("SRV _sip._udp.pbx.test"), 0, "a port was said");
}

/// What the records say holds as long as they say, and not longer.
#[tokio::test(flavor = "multi_thread")]
async fn records_are_asked_for_again_when_they_end() {
    let zone = Zone::new();
    let (exchange, port) = exchange_at("127.0.0.1");
    let (srv, ttl) = ("SRV _sip._udp.pbx.test", 1);
    let began = Instant::now();
    zone.srv("_sip._udp.pbx.test", ttl, &[(0, 0, port, "one.pbx.test")]);
    zone.host("one.pbx.test", &["127.0.0.1"]);
    let alice = start(direct("alice").dns_servers(&[zone.address])).await;
    soon(alice.options("sip:pbx.test")).await.unwrap();
    soon(alice.options("sip:pbx.test")).await.unwrap();
    let asked = zone.asked(srv);
    assert!(asked == 1 || began.elapsed().as_secs() >= u64::from(ttl), "{asked} times");
    let (other, moved) = exchange_at("127.0.0.1");
    zone.srv("_sip._udp.pbx.test", 60, &[(0, 0, moved, "one.pbx.test")]);
    exchange.stop().await;
    let again = async {
        while zone.asked(srv) == asked {
            let _ = alice.options("sip:pbx.test").await;
        }
    };
    soon(again).await;
    soon(alice.options("sip:pbx.test")).await.unwrap();
    soon(async { tokio::join!(alice.stop(), other.stop()) }).await;
}

/// The command says which name is unknown, and ends as a registration that failed does.
#[cfg(all(feature = "cli", unix))]
#[test]
fn the_command_says_what_is_wrong_with_a_name() {
    let (zone, directory) = (Zone::new(), tempfile::tempdir().unwrap());
    let register = format!("register --once --dns {} --user alice --server", zone.address);
    let run =
        |server: &str| process::Offhook::run(directory.path(), &format!("{register} {server}"));
    let (status, sentence, events) = run("nowhere.test");
    let failed = events.iter().find(|event| event["event"] == "registration_failed").unwrap();
    assert_eq!(failed["error"]["code"], "unreachable");
    let unknown = "nowhere.test cannot be reached: DNS has no address for it";
    assert_eq!((status, sentence.trim()), (3, &*format!("offhook: {unknown}")));
    zone.break_down();
    let (status, sentence, _) = run("pbx.test");
    assert_eq!(status, 3);
    assert!(
        sentence.contains(
            "pbx.test cannot be reached: its name could not be looked up: the DNS server says"
        ),
        "{sentence}"
    );
}

/// The command finds its server by name.
#[cfg(all(feature = "cli", unix))]
#[tokio::test(flavor = "multi_thread")]
async fn the_command_registers_by_name() {
    let (zone, directory) = (Zone::new(), tempfile::tempdir().unwrap());
    let (_exchange, port) = exchange_at("127.0.0.1");
    zone.srv("_sip._udp.pbx.test", 60, &[(0, 0, DEAD_PORT, "pbx.test"), (1, 0, port, "pbx.test")]);
    zone.host("pbx.test", &["127.0.0.1"]);
    let arguments = format!(
        "register --once --server pbx.test --user alice --password a --dns {}",
        zone.address
    );
    let ended =
        tokio::task::spawn_blocking(move || process::Offhook::run(directory.path(), &arguments));
    let (status, sentence, events) = ended.await.unwrap();
    assert_eq!(status, 0, "{sentence}");
    assert!(events.iter().any(|event| event["event"] == "registered"), "{events:?}");
}
