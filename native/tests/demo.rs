//! `offhook demo`, on its own: what it measures suffers when other tests run beside it, and where the machine
//! stalls it does all again.
#![cfg(all(feature = "cli", unix))]

#[path = "common/process.rs"]
mod process;

use process::Offhook;
use tempfile::tempdir;

#[test]
fn the_demo() {
    let directory = tempdir().unwrap();
    let (status, sentence, events) = Offhook::run(directory.path(), "demo --out shown");
    assert_eq!(status, 0, "{sentence}");
    let demo = events.last().unwrap();
    assert_eq!(
        (&demo["event"], &demo["ok"], &demo["digits"]),
        (&"demo".into(), &true.into(), &"195".into())
    );
    let ladder = demo["ladder"].as_str().unwrap();
    for what in ["REFER sip:menu@", "NOTIFY sip:alice@", "INVITE sip:desk@"] {
        assert!(ladder.contains(what), "{what}: {ladder}");
    }
    for heard in ["spoken", "echoed", "transferred"] {
        assert!(demo[heard]["pause_ms"].as_f64().unwrap() < 10.0, "{demo}");
    }
    let files = ["spoken", "menu-heard", "alice-heard", "desk-heard", "call"];
    let files = files.map(|name| format!("{name}.wav")).into_iter().chain(["demo.pcap".to_owned()]);
    for name in files {
        assert!(directory.path().join("shown").join(&name).exists(), "{name}");
    }
}
