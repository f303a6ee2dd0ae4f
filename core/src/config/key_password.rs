//! What opens an encrypted private key.

use core::fmt;
use std::sync::Arc;

/// The password of a private key (pyVoIP's KEY_PASSWORD): text, bytes, or something that is asked
/// for one each time the key is read. It is never shown, and never written.
///
/// ```
/// use offhook_core::config::{KeyPassword, PhoneParameters};
///
/// let asked = KeyPassword::ask(|| std::env::var("KEY_PASSWORD").unwrap_or_default());
/// let parameters = PhoneParameters::new("pbx.example.com", "alice")
///     .cert_file("alice.pem")
///     .key_file("alice.key")
///     .key_password(asked);
/// assert!(parameters.key_password.is_some());
/// ```
#[derive(Clone)]
pub struct KeyPassword(Arc<dyn Fn() -> Vec<u8> + Send + Sync>);

impl KeyPassword {
    /// One that is asked for when it is needed.
    pub fn ask<P: Into<Vec<u8>>>(ask: impl Fn() -> P + Send + Sync + 'static) -> Self {
        Self(Arc::new(move || ask().into()))
    }

    /// The password.
    pub fn reveal(&self) -> Vec<u8> {
        (self.0)()
    }
}

impl From<&[u8]> for KeyPassword {
    fn from(password: &[u8]) -> Self {
        let password = password.to_owned();
        Self::ask(move || password.clone())
    }
}

impl From<&str> for KeyPassword {
    fn from(password: &str) -> Self {
        Self::from(password.as_bytes())
    }
}

impl fmt::Debug for KeyPassword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyPassword")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_bytes_or_a_callable() {
        let asked = KeyPassword::ask(|| "hunter2".to_owned());
        for password in [KeyPassword::from("hunter2"), KeyPassword::from(&b"hunter2"[..]), asked] {
            assert_eq!(password.reveal(), b"hunter2");
            assert_eq!(format!("{password:?}"), "KeyPassword");
        }
    }
}
