//! docs/json.md is whole: what the command's source tells stands there, and nothing else does. That the
//! fields which are added to these are there too is seen by every test that starts the command.
#![cfg(all(feature = "cli", unix))]

#[path = "common/process.rs"]
mod process;

use std::collections::BTreeSet;
use std::path::Path;

/// The text of every file of a folder.
fn sources(folder: &Path) -> String {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries
        .map(|path| match path.is_dir() {
            true => sources(&path),
            false => std::fs::read_to_string(path).unwrap(),
        })
        .collect()
}

/// The keys of the objects that are events, each after its event's name.
fn told(source: &str) -> BTreeSet<(&str, &str)> {
    let events = source.split("json!({").skip(1).filter_map(|object| {
        let object = object.split_once("})").map_or(object, |(object, _)| object);
        let mut keys = object.split('"').skip(1).step_by(2);
        (keys.next() == Some("event")).then_some(())?;
        let event = keys.next()?;
        // A key is what a colon follows.
        let key = |text: &&str| object.contains(&format!("\"{text}\":"));
        Some(keys.filter(key).map(move |key| (event, key)).chain([(event, "event")]))
    });
    events.flatten().collect()
}

#[test]
fn the_page_has_every_event_and_every_field() {
    let source = sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src/command"));
    let (told, documented) = (told(&source), process::documented());
    assert!(told.len() > 80, "the source is read: {told:?}");
    let events: BTreeSet<_> = told.iter().map(|(event, _)| *event).collect();
    let page: BTreeSet<_> = documented.keys().copied().collect();
    assert_eq!(events, page, "the events of the source, and those of the page");
    for (event, field) in &told {
        let known = *field == "event"
            || documented[event].iter().any(|known| known.split('.').next() == Some(field));
        assert!(known, "docs/json.md has no {event}.{field}");
    }
    for (event, fields) in &documented {
        for field in fields.iter().flat_map(|field| field.split('.')) {
            let written = source.contains(&format!("\"{field}\""));
            assert!(written, "{event}.{field} is nowhere in the source");
        }
    }
}
