//! What is broken in pyVoIP: each of its digest faults.

use super::*;

fn response(algorithm: &str, nonce: &str) -> String {
    let field =
        format!("Digest realm=\"r\", nonce=\"{nonce}\", qop=\"auth\", algorithm={algorithm}");
    let (mut client, mut rounds) = challenged(&[&field]);
    answer(&mut client, &mut rounds)
}

/// What the response must be, computed from its parts without the code under test.
fn expected(field: &str, hash: impl Fn(&str) -> String, session: bool) -> String {
    let cnonce = param(field, "cnonce").unwrap();
    let mut secret = hash("Mufasa:r:Circle of Life");
    if session {
        secret = hash(&format!("{secret}:n:{cnonce}"));
    }
    let request = hash(&format!("REGISTER:{URI}"));
    hash(&format!("{secret}:n:00000001:{cnonce}:auth:{request}"))
}

fn hash<D: sha2::Digest>(text: &str) -> String {
    D::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn sha_256_is_not_md5() {
    let field = response("SHA-256", "n");
    assert_eq!(param(&field, "response").unwrap(), expected(&field, hash::<sha2::Sha256>, false));
}

#[test]
fn sha_512_256_is_not_a_truncated_sha_512() {
    let field = response("SHA-512-256", "n");
    let told = param(&field, "response").unwrap();
    assert_eq!(told, expected(&field, hash::<sha2::Sha512_256>, false));
    let truncated = |text: &str| hash::<sha2::Sha512>(text)[..64].to_owned();
    assert_ne!(told, expected(&field, truncated, false));
}

#[test]
fn session_variants_hash_the_secret_twice() {
    let field = response("MD5-sess", "n");
    assert_eq!(param(&field, "response").unwrap(), expected(&field, hash::<md5::Md5>, true));
    let field = response("SHA-256-sess", "n");
    assert_eq!(param(&field, "response").unwrap(), expected(&field, hash::<sha2::Sha256>, true));
}

#[test]
fn the_uri_is_that_of_the_request() {
    let (mut client, mut rounds) = challenged(&["Digest realm=\"r\", nonce=\"n\""]);
    let uri = "sip:bob@198.51.100.2:5070;transport=udp";
    let fields = client.authorize(&mut bench(), &mut rounds, "BYE", uri, b"");
    assert_eq!(param(&fields[0].value, "uri").as_deref(), Some(uri));
}

// Userhash: `client::a_hashed_name_is_sent_where_it_is_wanted` and `vectors`.
