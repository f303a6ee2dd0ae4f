//! The keys of tokens: a secret that relay and web back end share (HS256), or the back end's public key (ES256,
//! EdDSA).

use std::fmt;
use std::path::Path;

use ring::hmac;
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, ED25519, EcdsaKeyPair,
    Ed25519KeyPair, UnparsedPublicKey,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{PrivatePkcs8KeyDer, SubjectPublicKeyInfoDer};
use x509_cert::der::Decode;
use x509_cert::der::oid::ObjectIdentifier;
use x509_cert::spki::SubjectPublicKeyInfoRef;

use crate::error::{Error, file_problem};

/// A shorter secret can be guessed: RFC 7518 §3.2 wants as many bytes as the hash has.
const SHORTEST_SECRET: usize = 32;
/// id-ecPublicKey with P-256 (RFC 5480), and Ed25519 (RFC 8410).
const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const ED: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");

/// A key that makes or verifies tokens. Each works with one algorithm, whatever a token says.
pub struct TokenKey {
    material: Material,
}

enum Material {
    Secret(hmac::Key),
    /// Verify alone.
    P256(Vec<u8>),
    Ed25519(Vec<u8>),
    /// Make alone.
    P256Pair(EcdsaKeyPair),
    Ed25519Pair(Ed25519KeyPair),
}

impl TokenKey {
    /// The secret in a file: its bytes, without the line end.
    ///
    /// # Errors
    /// [`Error::File`] when it cannot be read or has less than 32 bytes.
    pub fn secret_file(path: &Path) -> Result<Self, Error> {
        let bytes = read(path)?;
        let secret = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
        let secret = secret.strip_suffix(b"\r").unwrap_or(secret);
        if secret.len() < SHORTEST_SECRET {
            let hint = "openssl rand -hex 32";
            return Err(wrong(
                path,
                format!("a secret has {SHORTEST_SECRET} bytes at least: {hint}"),
            ));
        }
        Ok(Self { material: Material::Secret(hmac::Key::new(hmac::HMAC_SHA256, secret)) })
    }

    /// The public key in a PEM file, of a P-256 (ES256) or an Ed25519 (EdDSA) pair.
    ///
    /// # Errors
    /// [`Error::File`] when it cannot be read or is no such key.
    pub fn public_key_file(path: &Path) -> Result<Self, Error> {
        let bytes = read(path)?;
        let no_key =
            || wrong(path, "it holds no public key in PEM (-----BEGIN PUBLIC KEY-----)".into());
        let der = SubjectPublicKeyInfoDer::from_pem_slice(&bytes).map_err(|_| no_key())?;
        let info = SubjectPublicKeyInfoRef::from_der(&der).map_err(|_| no_key())?;
        let key = info.subject_public_key.as_bytes().ok_or_else(no_key)?.to_vec();
        let curve = info.algorithm.parameters_oid().ok();
        let material = match info.algorithm.oid {
            ED => Material::Ed25519(key),
            EC if curve == Some(P256) => Material::P256(key),
            _ => return Err(wrong(path, KINDS.into())),
        };
        Ok(Self { material })
    }

    /// The private key in a PEM file (PKCS #8), which makes tokens.
    ///
    /// # Errors
    /// As [`public_key_file`](Self::public_key_file).
    pub fn private_key_file(path: &Path) -> Result<Self, Error> {
        let bytes = read(path)?;
        let der = PrivatePkcs8KeyDer::from_pem_slice(&bytes).map_err(|_| {
            wrong(path, "it holds no private key in PKCS #8 (-----BEGIN PRIVATE KEY-----)".into())
        })?;
        let der = der.secret_pkcs8_der();
        let p256 =
            EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der, &SystemRandom::new());
        let material = match p256 {
            Ok(pair) => Material::P256Pair(pair),
            Err(_) => Ed25519KeyPair::from_pkcs8_maybe_unchecked(der)
                .map(Material::Ed25519Pair)
                .map_err(|_| wrong(path, KINDS.into()))?,
        };
        Ok(Self { material })
    }

    /// Its name in a token's head (RFC 7518 §3.1, RFC 8037 §3.1).
    pub(super) fn algorithm(&self) -> &'static str {
        match self.material {
            Material::Secret(_) => "HS256",
            Material::P256(_) | Material::P256Pair(_) => "ES256",
            Material::Ed25519(_) | Material::Ed25519Pair(_) => "EdDSA",
        }
    }

    pub(super) fn sign(&self, message: &[u8]) -> Option<Vec<u8>> {
        match &self.material {
            Material::Secret(key) => Some(hmac::sign(key, message).as_ref().to_vec()),
            Material::P256Pair(pair) => {
                let signature = pair.sign(&SystemRandom::new(), message).ok()?;
                Some(signature.as_ref().to_vec())
            }
            Material::Ed25519Pair(pair) => Some(pair.sign(message).as_ref().to_vec()),
            Material::P256(_) | Material::Ed25519(_) => None,
        }
    }

    pub(super) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        match &self.material {
            Material::Secret(key) => hmac::verify(key, message, signature).is_ok(),
            Material::P256(key) => UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, key)
                .verify(message, signature)
                .is_ok(),
            Material::Ed25519(key) => {
                UnparsedPublicKey::new(&ED25519, key).verify(message, signature).is_ok()
            }
            Material::P256Pair(_) | Material::Ed25519Pair(_) => false,
        }
    }
}

/// What is said of another key.
const KINDS: &str = "tokens are signed by keys of P-256 or Ed25519, and this is another";

/// The keys of a relay and the audience that its tokens are for.
#[derive(Clone, Debug)]
pub struct TokenKeys {
    pub(super) audience: String,
    pub(super) keys: std::sync::Arc<[(Option<String>, TokenKey)]>,
}

impl TokenKeys {
    /// Keys, each with the `kid` that tokens name it by, if they do. A token that names none is tried with each.
    pub fn new(audience: &str, keys: Vec<(Option<String>, TokenKey)>) -> Self {
        Self { audience: audience.to_owned(), keys: keys.into() }
    }
}

fn read(path: &Path) -> Result<Vec<u8>, Error> {
    std::fs::read(path).map_err(|error| wrong(path, file_problem(&error)))
}

fn wrong(path: &Path, problem: String) -> Error {
    Error::File { path: path.to_owned(), problem }
}

/// Nobody reads a secret in a log.
impl fmt::Debug for TokenKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TokenKey({})", self.algorithm())
    }
}
