//! The examples of the RFCs, and the shared vectors.

use super::*;

/// RFC 7616 §3.9.1.
const NONCE: &str = "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v";
const CNONCE: &str = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ";

fn get(nonce: &str, algorithm: Algorithm, secret: &str, cnonce: &str) -> String {
    let protection = Some((Qop::Auth, "00000001", cnonce));
    let request = Request { nonce, method: "GET", uri: "/dir/index.html", body: b"", protection };
    algorithm::response(algorithm, secret, &request)
}

#[test]
fn rfc_7616() {
    for (algorithm, expected) in [
        (Algorithm::Md5, "8ca523f5e9506fed4657c9700eebdbec"),
        (Algorithm::Sha256, "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
    ] {
        let realm = "http-auth@example.org";
        let secret =
            algorithm::secret(algorithm, "Mufasa", realm, "Circle of Life", (NONCE, CNONCE));
        assert_eq!(get(NONCE, algorithm, &secret, CNONCE), expected);
    }
}

#[test]
fn rfc_2617() {
    // §3.5.
    let nonce = "dcd98b7102dd2f0e8b11d0f600bfb0c093";
    let realm = "testrealm@host.com";
    let secret = algorithm::secret(Algorithm::Md5, "Mufasa", realm, "Circle Of Life", (nonce, ""));
    assert_eq!(secret, "939e7578ed9e3c518a452acee763bce9");
    let response = get(nonce, Algorithm::Md5, &secret, "0a4f113b");
    assert_eq!(response, "6629fae49393a05397450978507c4ef1");
}

#[test]
fn sha_512_256_is_that_of_fips_180_4() {
    // RFC 7616 §3.9.2 as erratum 4897 corrects it; the RFC's text has a truncated SHA-512.
    let (algorithm, name) = (Algorithm::Sha512256, "J\u{e4}s\u{f8}n Doe");
    let realm = "api@example.org";
    let nonce = "5TsQWLVdgBdmrQ0XsxbDODV+57QdFR34I9HAbC/RVvkK";
    let cnonce = "NTg6RKcb9boFIAS3KrFK9BGeh+iDa/sm6jUMp2wds69v";
    let secret = algorithm::secret(algorithm, name, realm, "Secret, or not?", (nonce, cnonce));
    let protection = Some((Qop::Auth, "00000001", cnonce));
    let request = Request { nonce, method: "GET", uri: "/doe.json", body: b"", protection };
    assert_eq!(
        algorithm::response(algorithm, &secret, &request),
        "3798d4131c277846293534c3edc11bd8a5e4cdcbff78b05db9d95eeb1cec68a5"
    );
    assert_eq!(
        hashed_username(algorithm, name, realm),
        "793263caabb707a56211940d90411ea4a575adeccb7e360aeb624ed06ece9b0b"
    );
}

#[test]
fn an_empty_body_hashes_as_the_empty_string() {
    // RFC 3261 §22.4 (7), RFC 8760 §2.6 (7).
    assert_eq!(Algorithm::Md5.hash(&[b""]), "d41d8cd98f00b204e9800998ecf8427e");
    assert_eq!(
        Algorithm::Sha256.hash(&[b""]),
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    );
}

/// The string of that name in a flat JSON object whose strings need no escapes.
fn string<'a>(object: &'a str, name: &str) -> Option<&'a str> {
    let (_, value) = object.split_once(&format!("\"{name}\":"))?;
    Some(value.trim_start().strip_prefix('"')?.split_once('"')?.0)
}

#[test]
fn shared_vectors() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/vectors/digest/digest.json");
    let Ok(text) = std::fs::read_to_string(path) else {
        println!("skipped: {path} is not there");
        return;
    };
    let vectors: Vec<&str> = text.split('}').filter(|vector| vector.contains('{')).collect();
    assert!(vectors.len() >= 7);
    for vector in vectors {
        let field = |name: &str| string(vector, name);
        let text = |name: &str| field(name).unwrap_or_default();
        let algorithm = Algorithm::from_name(text("algorithm")).unwrap();
        let nonces = (text("nonce"), text("cnonce"));
        let (name, realm) = (text("username"), text("realm"));
        let secret = algorithm::secret(algorithm, name, realm, text("password"), nonces);
        let request = Request {
            nonce: nonces.0,
            method: text("method"),
            uri: text("uri"),
            body: text("body").as_bytes(),
            protection: field("qop")
                .map(|qop| (Qop::from_name(qop).unwrap(), text("nc"), nonces.1)),
        };
        let response = algorithm::response(algorithm, &secret, &request);
        assert_eq!(response, text("response"), "{}", text("source"));
        if let Some(userhash) = field("userhash") {
            assert_eq!(hashed_username(algorithm, name, realm), userhash);
        }
    }
}
