//! Many accounts on one set of sockets.

mod common;

use common::*;
use futures_util::future::join_all;
use offhook::{EndedBy, Exchange, ExchangeParameters, Phone, PhoneParameters, PhoneStatus};

const ACCOUNTS: usize = 200;

/// An exchange with so many users, its address, and a phone for each on one port.
async fn accounts(count: usize) -> (Exchange, String, Vec<Phone>) {
    let names = (0..count).map(|number| format!("u{number}"));
    let add = |parameters: ExchangeParameters, name: &String| parameters.user(name, "secret");
    let all: Vec<String> = names.clone().chain(["caller".to_owned()]).collect();
    let exchange = Exchange::start(all.iter().fold(ExchangeParameters::new(here()), add)).unwrap();
    let server = exchange.listeners()[0].address.to_string();
    let parameters =
        |name: String| PhoneParameters::new(&server, &name).password("secret").bind(here());
    let mut phones: Vec<Phone> = Vec::new();
    for name in names {
        phones.push(match phones.first() {
            Some(first) => first.another_account(parameters(name)),
            None => Phone::new(parameters(name)),
        });
    }
    for started in soon(join_all(phones.iter().map(Phone::start))).await {
        started.unwrap();
    }
    (exchange, server, phones)
}

#[tokio::test(flavor = "multi_thread")]
async fn each_account_has_its_own_calls_on_one_port() {
    let (exchange, server, phones) = accounts(ACCOUNTS).await;
    let ports: Vec<_> = phones.iter().filter_map(Phone::bound_address).collect();
    assert!(ports.len() == ACCOUNTS && ports.iter().all(|port| *port == ports[0]), "{ports:?}");
    let caller = registered(&server, "caller", "secret").await;
    for number in [0, 1, 150] {
        let mut incoming = phones[number].incoming();
        let calling = soon(caller.call(&format!("u{number}"))).await.unwrap();
        let called = soon(incoming.next()).await.expect("it rings where it was called");
        let (answer, answered) =
            soon(async { tokio::join!(called.answer(), calling.answered()) }).await;
        answer.unwrap();
        answered.unwrap();
        assert_passes(&calling, &called, 440, 300).await;
        soon(called.hangup()).await.unwrap();
        assert_eq!(soon(calling.ended()).await.by, EndedBy::Remote);
    }
    // An account calls another on the same port.
    let mut incoming = phones[7].incoming();
    let calling = soon(phones[6].call("u7")).await.unwrap();
    let called = soon(incoming.next()).await.unwrap();
    soon(called.deny(486, None)).await.unwrap();
    assert_eq!(soon(calling.ended()).await.cause.map(|cause| cause.code), Some(486));
    soon(join_all(phones.iter().map(Phone::stop))).await;
    soon(caller.stop()).await;
    soon(exchange.stop()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_port_is_held_until_the_last_account_stops() {
    let (_exchange, _, phones) = accounts(3).await;
    let bound = phones[0].bound_address().unwrap();
    // Who has bound it may go first.
    soon(phones[0].stop()).await;
    assert_eq!(phones[0].bound_address(), None);
    assert_eq!(phones[1].bound_address(), Some(bound));
    let mut incoming = phones[2].incoming();
    let calling = soon(phones[1].call("u2")).await.unwrap();
    let called = soon(incoming.next()).await.unwrap();
    drop(calling);
    assert_eq!(soon(called.ended()).await.by, EndedBy::Remote);
    soon(phones[0].start()).await.unwrap();
    assert_eq!(phones[0].bound_address(), Some(bound));
    soon(join_all(phones.iter().map(Phone::stop))).await;
    assert!(phones.iter().all(|phone| phone.status() == PhoneStatus::Inactive));
    std::net::UdpSocket::bind(bound).expect("the port is free again");
    soon(phones[2].start()).await.expect("and they can begin anew");
    soon(phones[2].stop()).await;
}
