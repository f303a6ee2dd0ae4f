//! Whole messages. What touches one file alone is tested there.

mod answers;
mod examples;
mod properties;
mod tolerance;
mod torture;
mod uris;
mod writing;

use super::*;

/// Parses lines joined by CRLF, the empty one and no body added.
fn lines(lines: &[&str]) -> Result<Message, ParseError> {
    Message::parse(&[lines.join("\r\n").as_bytes(), b"\r\n\r\n"].concat())
}

/// A request with the header fields it must have, then `more`.
fn request(method: &str, uri: &str, more: &str) -> String {
    format!(
        "{method} {uri} SIP/2.0\r\n\
         Via: SIP/2.0/UDP pc33.example.com;branch=z9hG4bKnashds8\r\n\
         From: Alice <sip:alice@example.com>;tag=1928301774\r\n\
         To: Bob <sip:bob@example.com>\r\n\
         Call-ID: a84b4c76e66710\r\n\
         CSeq: 1 {method}\r\n{more}\r\n"
    )
}

fn parse(text: impl AsRef<[u8]>) -> Message {
    let bytes = text.as_ref();
    match Message::parse(bytes) {
        Ok(message) => message,
        Err(e) => panic!("{e}\n{}", String::from_utf8_lossy(bytes)),
    }
}

fn fault(text: impl AsRef<[u8]>) -> Fault {
    match Message::parse(text.as_ref()) {
        Ok(message) => panic!("{message:?} was taken"),
        Err(e) => e.fault(),
    }
}

/// The canonical form.
fn written(message: &Message) -> Vec<u8> {
    let mut buf = Vec::new();
    message.write(&mut buf);
    buf
}

/// The files of a directory of `../shared/vectors` with their names; none, and a word about it, where
/// that is not there.
fn vectors(dir: &str) -> Vec<(String, Vec<u8>)> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/vectors/");
    let Ok(entries) = std::fs::read_dir(format!("{path}{dir}")) else {
        eprintln!("{path}{dir} is not there: not tested");
        return Vec::new();
    };
    let mut files: Vec<_> = entries
        .map(|entry| {
            let path = entry.expect("a directory entry").path();
            let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            (name, std::fs::read(path).expect("a vector"))
        })
        .collect();
    files.sort();
    files
}
