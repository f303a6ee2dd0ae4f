//! The pages are whole. docs/json.md: what the command's source tells stands there, and nothing else does; that
//! the fields which are added to these are there too is seen by every test that starts the command. And the
//! guide has the code of every error.
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

#[test]
fn the_guide_has_the_code_of_every_error() {
    let guide = include_str!("../../docs/guide.md");
    let table: BTreeSet<_> = guide
        .lines()
        .skip_while(|line| !line.starts_with("| code |"))
        .take_while(|line| line.starts_with('|'))
        .filter_map(|row| row.split('|').nth(1))
        .flat_map(|codes| codes.split('`').skip(1).step_by(2))
        .collect();
    let errors =
        [include_str!("../src/error.rs"), include_str!("../../core/src/error.rs")].concat();
    let codes: BTreeSet<_> = errors
        .lines()
        .filter(|line| line.trim_start().starts_with("Self::"))
        .filter_map(|line| line.split_once("=> \"")?.1.strip_suffix("\","))
        .collect();
    assert!(codes.len() > 30, "{codes:?}");
    assert_eq!(table, codes, "the codes of the guide, and those of the source");
}
