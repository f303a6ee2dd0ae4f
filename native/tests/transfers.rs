//! Transfers between phones over real sockets of this machine.

mod common;

use common::*;
use offhook::{
    Call, CallEvent, CallState, EndedBy, Error, Event, Exchange, ExchangeParameters, Phone,
    PhoneParameters, Transfer, TransferMode, TransferOptions, TransferOutcome,
};

/// Alice in a call with bob, who may be transferred, and carol beside them.
struct Three {
    alice: Phone,
    bob: Phone,
    carol: Phone,
    caller: Call,
    called: Call,
}

async fn three() -> Three {
    let mut parameters = direct("bob");
    parameters.accept_transfer = true;
    let (alice, carol) = (start(direct("alice")).await, start(direct("carol")).await);
    let bob = start(parameters).await;
    let (caller, called) = connect(&alice, &bob).await;
    Three { alice, bob, carol, caller, called }
}

/// Bob follows the next referral, and carol answers it: bob's new call and carol's.
async fn follow(bob: &Phone, carol: &Phone) -> (Call, Call) {
    let (mut referrals, mut incoming) = (bob.referrals(), carol.incoming());
    let referral = soon(referrals.next()).await.expect("bob is asked");
    let new = soon(referral.accept()).await.expect("it is in time");
    let theirs = soon(incoming.next()).await.expect("carol is called");
    soon(theirs.answer()).await.unwrap();
    soon(new.answered()).await.unwrap();
    (new, theirs)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transferred_call_is_heard_where_it_went() {
    let Three { alice, bob, carol, caller, called } = three().await;
    let to = uri(&carol, "carol");
    let mut events = caller.events();
    let (result, (new, theirs)) = soon(async {
        tokio::join!(caller.transfer(&to, TransferMode::Notified), follow(&bob, &carol))
    })
    .await;
    assert_eq!(result.unwrap(), Transfer::Transferred);
    assert_eq!(soon(caller.ended()).await.by, EndedBy::Local);
    assert_eq!(soon(called.ended()).await.by, EndedBy::Remote);
    let mut told = Vec::new();
    while let Some(event) = soon(events.next()).await {
        if let CallEvent::Transfer { outcome, last, cause, to: whom } = event {
            assert_eq!(whom, to);
            told.push((outcome, last, cause.map(|cause| cause.code)));
        }
    }
    let expected = [
        (TransferOutcome::Accepted, false, Some(200)),
        (TransferOutcome::Succeeded, true, Some(200)),
    ];
    assert_eq!(told, expected);
    assert!(theirs.info().headers.iter().any(|(name, _)| name == "Referred-By"));
    // The new call is a call as any.
    assert_passes(&new, &theirs, 440, 400).await;
    drop(new);
    assert_eq!(soon(theirs.ended()).await.by, EndedBy::Remote, "dropped, so hung up");
    soon(async { tokio::join!(alice.stop(), bob.stop(), carol.stop()) }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_goes_on_when_its_transfer_fails() {
    let Three { alice, bob, carol, caller, called } = three().await;
    let (mut referrals, mut incoming) = (bob.referrals(), carol.incoming());
    let to = uri(&carol, "carol");
    // Carol does not want it.
    let (result, _) = soon(async {
        tokio::join!(caller.transfer(&to, TransferMode::Notified), async {
            let referral = referrals.next().await.unwrap();
            assert_eq!((referral.call(), referral.to()), (called.id(), &*to));
            assert!(referral.by().starts_with("sip:alice@"), "{}", referral.by());
            let new = referral.accept().await.unwrap();
            incoming.next().await.unwrap().deny(486, None).await.unwrap();
            new.ended().await
        })
    })
    .await;
    assert!(matches!(result, Ok(Transfer::Failed { cause: Some(cause) }) if cause.code == 486));
    // Bob does not: by word, and by dropping what asks him.
    for word in [true, false] {
        let (result, ()) = soon(async {
            tokio::join!(caller.transfer(&to, TransferMode::Blind), async {
                let referral = referrals.next().await.unwrap();
                match word {
                    true => referral.reject().await.unwrap(),
                    false => drop(referral),
                }
            })
        })
        .await;
        assert!(matches!(result, Ok(Transfer::Failed { cause: Some(cause) }) if cause.code == 603));
    }
    assert_eq!((caller.state(), called.state()), (CallState::Answered, CallState::Answered));
    // A phone that was not told so allows nothing.
    let refused = soon(called.transfer(&to, TransferMode::Blind)).await.unwrap();
    assert!(matches!(refused, Transfer::Failed { cause: Some(cause) } if cause.code == 603));
    // The call ends while the transfer is under way.
    let waiting = caller.clone();
    let transfer = tokio::spawn(async move { waiting.transfer(&to, TransferMode::Blind).await });
    let referral = soon(referrals.next()).await.unwrap();
    soon(called.hangup()).await.unwrap();
    assert_eq!(soon(transfer).await.unwrap().unwrap(), Transfer::Failed { cause: None });
    assert!(matches!(soon(referral.accept()).await, Err(Error::Phone(_))));
    assert!(caller.transfer("sip:x@127.0.0.1", TransferMode::Blind).await.is_err());
    soon(async { tokio::join!(alice.stop(), bob.stop(), carol.stop()) }).await;
    assert!(soon(referrals.next()).await.is_none());
}

/// pyVoIP #106, #207 and #308: a transfer by way of a server that asks who wants it.
#[tokio::test(flavor = "multi_thread")]
async fn a_blind_transfer_through_the_exchange() {
    let parameters =
        ExchangeParameters::new(here()).user("alice", "a").user("bob", "b").user("carol", "c");
    let exchange = Exchange::start(parameters).unwrap();
    let server = exchange.listeners()[0].address.to_string();
    let alice = registered(&server, "alice", "a").await;
    let mut parameters = PhoneParameters::new(&server, "bob").password("b").bind(here());
    parameters.accept_transfer = true;
    let bob = start(parameters).await;
    let carol = registered(&server, "carol", "c").await;
    let mut incoming = bob.incoming();
    let mut events = bob.events();
    let caller = soon(alice.call("bob")).await.unwrap();
    let called = soon(incoming.next()).await.unwrap();
    soon(called.answer()).await.unwrap();
    soon(caller.answered()).await.unwrap();
    let mut options = TransferOptions::from(TransferMode::Blind);
    options.no_reports = true;
    let (result, (new, theirs)) =
        soon(async { tokio::join!(caller.transfer("carol", options), follow(&bob, &carol)) }).await;
    assert_eq!(result.unwrap(), Transfer::Transferred);
    assert_eq!(soon(called.ended()).await.by, EndedBy::Remote);
    loop {
        let event = soon(events.next()).await.expect("it is told");
        if let Event::Call { call, event: CallEvent::Referred { to, .. } } = event {
            assert_eq!((call, to), (called.id(), format!("sip:carol@{server}")));
            break;
        }
    }
    soon(theirs.hangup()).await.unwrap();
    assert_eq!(soon(new.ended()).await.by, EndedBy::Remote);
    soon(async { tokio::join!(alice.stop(), bob.stop(), carol.stop()) }).await;
    soon(exchange.stop()).await;
}
