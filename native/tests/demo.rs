//! `offhook demo`, on its own: what it measures suffers when other tests run beside it.
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
    for name in ["spoken.wav", "menu-heard.wav", "alice-heard.wav", "call.wav", "demo.pcap"] {
        assert!(directory.path().join("shown").join(name).exists(), "{name}");
    }
}
