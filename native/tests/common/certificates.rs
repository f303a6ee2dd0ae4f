//! Certificates, made for one test.
#![allow(dead_code, reason = "not every test needs all of it")]

use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    SanType, date_time_ymd,
};
use tempfile::TempDir;

/// An authority, and a directory for what it has signed.
pub(crate) struct Authority {
    pub(crate) directory: TempDir,
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

/// A certificate and its key, in files.
#[derive(Clone, Debug)]
pub(crate) struct Pair {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let params = authority(name);
        let pem = params.self_signed(&key).unwrap().pem();
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("ca.pem"), &pem).unwrap();
        Self { directory, issuer: Issuer::new(params, key), pem }
    }

    /// The file with its certificate.
    pub(crate) fn file(&self) -> PathBuf {
        self.path("ca.pem")
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// A certificate for these names, addresses and `sip:` URIs.
    pub(crate) fn issue(&self, names: &[&str]) -> Pair {
        self.sign(params(names), &[])
    }

    /// A certificate with only a common name.
    pub(crate) fn issue_common_name(&self, name: &str) -> Pair {
        let mut params = params(&[]);
        params.distinguished_name.push(DnType::CommonName, name);
        self.sign(params, &[])
    }

    /// A certificate that was valid once, or is some day.
    pub(crate) fn issue_for_years(&self, names: &[&str], first: i32, last: i32) -> Pair {
        let mut params = params(names);
        params.not_before = date_time_ymd(first, 1, 1);
        params.not_after = date_time_ymd(last, 5, 2);
        self.sign(params, &[])
    }

    /// A certificate for one end of TLS alone.
    pub(crate) fn issue_for_use(&self, names: &[&str], usage: ExtendedKeyUsagePurpose) -> Pair {
        let mut params = params(names);
        params.extended_key_usages = vec![usage];
        self.sign(params, &[])
    }

    /// A certificate that an authority between has signed, with or without that one's.
    pub(crate) fn issue_below(&self, names: &[&str], complete: bool) -> Pair {
        let key = KeyPair::generate().unwrap();
        let params_between = authority("between");
        let between = params_between.signed_by(&key, &self.issuer).unwrap().pem();
        let issuer = Issuer::new(params_between, key);
        let key = KeyPair::generate().unwrap();
        let certificate = params(names).signed_by(&key, &issuer).unwrap();
        let chain = if complete { vec![between] } else { Vec::new() };
        self.store(&certificate.pem(), &chain, &key)
    }

    /// A certificate that nobody but its own key has signed.
    pub(crate) fn self_signed(&self, names: &[&str], can_sign: bool) -> Pair {
        let key = KeyPair::generate().unwrap();
        let mut params = params(names);
        if can_sign {
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        }
        self.store(&params.self_signed(&key).unwrap().pem(), &[], &key)
    }

    fn sign(&self, params: CertificateParams, chain: &[String]) -> Pair {
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        self.store(&certificate.pem(), chain, &key)
    }

    fn store(&self, certificate: &str, chain: &[String], key: &KeyPair) -> Pair {
        let number = std::fs::read_dir(self.directory.path()).unwrap().count();
        let file = self.path(&format!("{number}.pem"));
        std::fs::write(&file, [certificate.to_owned(), chain.concat()].concat()).unwrap();
        let key_file = self.path(&format!("{number}.key"));
        std::fs::write(&key_file, key.serialize_pem()).unwrap();
        Pair { certificate: file, key: key_file }
    }
}

fn authority(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params
}

fn params(names: &[&str]) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    let kind = |name: &&str| match (name.parse(), name.starts_with("sip")) {
        (Ok(address), _) => SanType::IpAddress(address),
        (_, true) => SanType::URI((*name).try_into().unwrap()),
        _ => SanType::DnsName((*name).try_into().unwrap()),
    };
    params.subject_alt_names = names.iter().map(kind).collect();
    params
}

/// Runs openssl, which every machine that runs the tests has.
pub(crate) fn openssl(directory: &Path, arguments: &str) {
    let output = std::process::Command::new("openssl")
        .args(arguments.split_whitespace())
        .current_dir(directory)
        .output()
        .expect("openssl runs");
    assert!(output.status.success(), "{arguments}: {}", String::from_utf8_lossy(&output.stderr));
}
