//! Transfers by the command: of a call of ours, and when we are sent elsewhere.

use tempfile::tempdir;

use crate::common;
use crate::process::Offhook;

#[test]
fn a_call_is_transferred() {
    let directory = tempdir().unwrap();
    let at = directory.path();
    let answer = |arguments: &str| {
        Offhook::start(at, &format!("answer --bind 127.0.0.1:0 --user x {arguments}"))
    };
    let target = answer("--echo");
    let busy = answer("--reject 486");
    let (target_uri, busy_uri) =
        (format!("sip:x@{}", target.address()), format!("sip:x@{}", busy.address()));
    let menu = answer("--echo --accept-transfer");
    let menu_uri = format!("sip:x@{}", menu.address());
    let call = |arguments: &str| Offhook::run(at, &format!("call {menu_uri} {arguments}"));
    let told = |events: &[serde_json::Value]| -> Vec<(String, u64)> {
        let transfers = events.iter().filter(|event| event["event"] == "transfer");
        let told = transfers.map(|event| {
            (event["result"].as_str().unwrap().to_owned(), event["code"].as_u64().unwrap())
        });
        told.collect()
    };
    // Blind: ours ends at once, theirs goes on at the target.
    let (status, sentence, events) = call(&format!("--transfer {target_uri} --transfer-after 0"));
    assert_eq!((status, sentence.as_str()), (0, ""), "{events:?}");
    assert_eq!(told(&events), [("accepted".to_owned(), 200)]);
    let transfer = events.iter().find(|event| event["event"] == "transfer").unwrap();
    assert_eq!((&transfer["call"], &transfer["to"]), (&"1".into(), &target_uri.as_str().into()));
    assert_eq!(menu.wait("referred")["to"], target_uri);
    assert_eq!(target.wait_state("answered")["call"], "1");
    // Waiting for the outcome.
    let arguments = format!("--transfer {target_uri} --transfer-after 0.2 --notified");
    let (status, _, events) = call(&arguments);
    assert_eq!(status, 0, "{events:?}");
    assert_eq!(told(&events), [("accepted".to_owned(), 200), ("succeeded".to_owned(), 200)]);
    // To somebody who does not want it: the call goes on, to its own end.
    let (status, sentence, events) =
        call(&format!("--transfer {busy_uri} --transfer-after 0 --notified --duration 1"));
    assert_eq!(status, 4, "{events:?}");
    assert!(sentence.contains("was not transferred: 486 Busy Here"), "{sentence}");
    assert_eq!(told(&events), [("accepted".to_owned(), 200), ("failed".to_owned(), 486)]);
    let ended = events.iter().find(|event| event["event"] == "ended").unwrap();
    assert!(ended["stats"]["duration_ms"].as_u64().unwrap() >= 1_000, "{ended}");
    // Nobody is transferred who has not said that he may be.
    let (status, sentence, _) =
        Offhook::run(at, &format!("call {target_uri} --transfer {menu_uri} --transfer-after 0"));
    assert_eq!(status, 4);
    assert!(sentence.contains("603"), "{sentence}");
}

#[test]
fn whoever_answers_goes_where_it_is_sent() {
    let directory = tempdir().unwrap();
    let at = directory.path();
    let target = Offhook::start(at, "answer --bind 127.0.0.1:0 --duration 1");
    let menu = Offhook::start(
        at,
        "answer --bind 127.0.0.1:0 --accept-transfer --calls 1 --record-received heard.wav",
    );
    let (menu_at, target_at) = (menu.address(), target.address());
    let arguments = format!("call sip:x@{menu_at} --transfer sip:x@{target_at} --notified");
    let (status, sentence, _) = Offhook::run(at, &arguments);
    assert_eq!((status, sentence.as_str()), (0, ""));
    assert_eq!(target.wait("ended")["by"], "local");
    let (status, _, events) = menu.end();
    assert_eq!(status, 0, "it leaves when both calls are over");
    assert_eq!(events.iter().filter(|event| event["event"] == "ended").count(), 2);
    assert!(at.join("heard.wav").exists() && at.join("heard-2.wav").exists());
}

/// A run of the command in a call of a menu, which may send it to a target.
struct Sendable {
    run: tokio::task::JoinHandle<(i32, String, Vec<serde_json::Value>)>,
    call: offhook::Call,
    menu: offhook::Phone,
    target: offhook::Phone,
}

impl Sendable {
    async fn new(more: &'static str) -> Self {
        let menu = common::start(common::direct("menu")).await;
        let target = common::start(common::direct("target")).await;
        let mut calls = menu.incoming();
        let to = common::uri(&menu, "menu");
        let run = tokio::task::spawn_blocking(move || {
            let directory = tempdir().unwrap();
            let asked = format!("call {to} --bind 127.0.0.1 --accept-transfer{more}");
            Offhook::run(directory.path(), &asked)
        });
        let call = common::soon(calls.next()).await.unwrap();
        common::soon(call.answer()).await.unwrap();
        Self { run, call, menu, target }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_calls_goes_where_it_is_sent() {
    let Sendable { run, call, menu, target } = Sendable::new("").await;
    let (there, mut transferred) = (common::uri(&target, "target"), target.incoming());
    // To nobody first: the caller stays.
    let mode = offhook::TransferMode::Notified;
    let nowhere = common::soon(call.transfer("sip:x@127.0.0.1:9", mode)).await.unwrap();
    assert!(matches!(nowhere, offhook::Transfer::Failed { .. }), "{nowhere:?}");
    let (done, new) = common::soon(async {
        tokio::join!(call.transfer(&there, mode), async {
            let new = transferred.next().await.unwrap();
            new.answer().await.unwrap();
            new
        })
    })
    .await;
    assert_eq!(done.unwrap(), offhook::Transfer::Transferred);
    common::soon(new.hangup()).await.unwrap();
    let (status, sentence, events) = common::soon(run).await.unwrap();
    assert_eq!((status, sentence.as_str()), (0, ""), "{events:?}");
    assert_eq!(events.iter().filter(|event| event["event"] == "referred").count(), 2);
    common::soon(async { tokio::join!(menu.stop(), target.stop()) }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_sent_elsewhere_stays_no_longer_than_asked() {
    let Sendable { run, call, menu, target } = Sendable::new(" --duration 3").await;
    let (there, mut transferred) = (common::uri(&target, "target"), target.incoming());
    let mode = offhook::TransferMode::Notified;
    let (_, rings) = common::soon(async {
        tokio::join!(call.transfer(&there, mode), async {
            // It rings for longer than anybody waits.
            transferred.next().await.unwrap()
        })
    })
    .await;
    assert_eq!(common::soon(call.ended()).await.by, offhook::EndedBy::Remote);
    assert_eq!(common::soon(rings.ended()).await.by, offhook::EndedBy::Remote);
    let (status, sentence, _) = common::soon(run).await.unwrap();
    assert_eq!((status, sentence.as_str()), (0, ""));
    common::soon(async { tokio::join!(menu.stop(), target.stop()) }).await;
}
