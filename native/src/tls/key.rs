//! Private keys in PEM: PKCS#8 (RFC 5208), also encrypted (RFC 8018), PKCS#1 and SEC1.

use offhook_core::config::KeyPassword;
use pkcs8::EncryptedPrivateKeyInfoRef;
use pkcs8::der::SecretDocument;
use pkcs8::der::pem::PemLabel;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

/// The first private key of `text`; an error is what is wrong with the file.
pub(super) fn read(
    text: &[u8],
    password: Option<&KeyPassword>,
) -> Result<PrivateKeyDer<'static>, String> {
    let plain = std::str::from_utf8(text).unwrap_or_default();
    if let Some(section) = section(plain, EncryptedPrivateKeyInfoRef::PEM_LABEL) {
        return decrypt(section, password);
    }
    if plain.contains("Proc-Type: 4,ENCRYPTED") {
        let way = "openssl pkcs8 -topk8 -in OLD -out NEW";
        return Err(format!("it is encrypted in the old way of OpenSSL; make it a new one: {way}"));
    }
    PrivateKeyDer::from_pem_slice(text).map_err(|error| match error {
        rustls::pki_types::pem::Error::NoItemsFound => {
            "it holds no private key (PEM begins with -----BEGIN PRIVATE KEY-----)".into()
        }
        _ => "the private key in it is damaged, or not in PEM".into(),
    })
}

fn decrypt(
    section: &str,
    password: Option<&KeyPassword>,
) -> Result<PrivateKeyDer<'static>, String> {
    let Some(password) = password else {
        return Err("it is encrypted: give its password (--key-password-file)".into());
    };
    let unknown = || {
        let way = "openssl pkcs8 -topk8 -v2 aes256 -in OLD -out NEW";
        format!("it is damaged, or encrypted in a way not known here; make it a new one: {way}")
    };
    let (_, document) = SecretDocument::from_pem(section).map_err(|_| unknown())?;
    let encrypted =
        EncryptedPrivateKeyInfoRef::try_from(document.as_bytes()).map_err(|_| unknown())?;
    use pkcs8::pkcs5::Error::{NoPbes1CryptSupport, UnsupportedAlgorithm};
    let key = encrypted.decrypt(password.reveal()).map_err(|error| match error {
        pkcs8::Error::EncryptedPrivateKey(UnsupportedAlgorithm { .. } | NoPbes1CryptSupport) => {
            unknown()
        }
        // Whatever a wrong password makes of a key is hardly ever one.
        _ => "its password is wrong".to_owned(),
    })?;
    Ok(PrivatePkcs8KeyDer::from(key.as_bytes().to_vec()).into())
}

/// From the first line that begins a section with this label to the one that ends it.
fn section<'a>(text: &'a str, label: &str) -> Option<&'a str> {
    let end = format!("-----END {label}-----");
    let start = text.find(&format!("-----BEGIN {label}-----"))?;
    let rest = text.get(start..)?;
    rest.get(..rest.find(&end)? + end.len())
}
