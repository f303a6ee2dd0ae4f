//! What a phone cannot be made of.

use core::net::Ipv6Addr;

use super::PhoneParameters;
use crate::error::Error;
use crate::sip::check_value;
use crate::time::Duration;

/// The longest packet that anybody takes (RFC 3551 §4.2 recommends at most 200 ms).
const LONGEST_PTIME: Duration = Duration::from_millis(200);

impl PhoneParameters {
    /// Whether a phone can be made of them; [`Phone::new`](crate::phone::Phone::new) asks the same.
    ///
    /// # Errors
    /// [`Error::InvalidRange`] when the RTP range holds no pair, [`Error::InvalidValue`] with the
    /// field and its value when a parameter cannot be used: no codec, a user agent with a line feed.
    pub fn check(&self) -> Result<(), Error> {
        self.check_rtp_ports()?;
        self.check_texts()?;
        self.check_hosts()?;
        self.check_instance()?;
        self.check_websocket_path()?;
        if let (Some(key), None) = (&self.key_file, &self.cert_file) {
            let problem = "it belongs to a certificate: name a cert file";
            return Err(Error::invalid("key file", &key.to_string_lossy(), problem));
        }
        if self.codecs.is_empty() {
            return Err(Error::invalid("codecs", "", "at least one is needed"));
        }
        let ms = self.ptime.as_millis();
        if self.ptime != Duration::from_millis(ms) || ms == 0 || self.ptime > LONGEST_PTIME {
            let problem = "a packet carries 1 to 200 whole milliseconds";
            return Err(Error::invalid("ptime", &format!("{:?}", self.ptime), problem));
        }
        if self.keep_alive_interval.is_some_and(|every| every < Duration::from_secs(1)) {
            let problem = "a second is the least";
            return Err(Error::invalid("keep-alive interval", "0", problem));
        }
        let times = [
            ("expires", Some(self.expires)),
            ("answer timeout", Some(self.answer_timeout)),
            ("start timeout", self.start_timeout),
        ];
        for (what, time) in times {
            if time.is_some_and(Duration::is_zero) {
                return Err(Error::invalid(what, "0", "it takes some time"));
            }
        }
        self.proxy_hop().map(drop)
    }

    fn check_rtp_ports(&self) -> Result<(), Error> {
        let (low, high) = (self.rtp_port_low, self.rtp_port_high);
        let first_even = low.checked_add(low % 2).filter(|even| *even > 0 || high > 2);
        match first_even.and_then(|even| even.checked_add(1)).is_none_or(|odd| odd > high) {
            true => Err(Error::InvalidRange { low, high }),
            false => Ok(()),
        }
    }

    fn check_texts(&self) -> Result<(), Error> {
        let texts = [
            ("user", Some(&self.user)),
            ("display name", self.display_name.as_ref()),
            ("realm", self.realm.as_ref()),
            ("user agent", Some(&self.user_agent)),
        ];
        for (what, text) in texts {
            let text = text.map_or("", String::as_str);
            let problem = "it holds a line feed or a NUL, or is too long";
            check_value(text).map_err(|_| Error::invalid(what, text, problem))?;
        }
        Ok(())
    }

    /// RFC 5626 §4.1: a URN, which here is quoted as it is (RFC 8141 §2).
    fn check_instance(&self) -> Result<(), Error> {
        let Some(urn) = &self.instance else { return Ok(()) };
        let (longest, plain) = (255, |b: u8| b.is_ascii_graphic() && !b"\"<>\\".contains(&b));
        let named = urn.get(..4).is_some_and(|scheme| scheme.eq_ignore_ascii_case("urn:"));
        match named && urn.len() > 4 && urn.len() <= longest && urn.bytes().all(plain) {
            true => Ok(()),
            false => Err(Error::invalid("instance", urn, "it is no URN: write urn:uuid:...")),
        }
    }

    fn check_websocket_path(&self) -> Result<(), Error> {
        let path = &self.websocket_path;
        let visible = path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#');
        match path.starts_with('/') && visible {
            true => Ok(()),
            false => {
                let problem = "it begins with a slash and has no spaces: /sip";
                Err(Error::invalid("ws-path", path, problem))
            }
        }
    }

    fn check_hosts(&self) -> Result<(), Error> {
        let stun = self.stun.as_deref().map(|stun| super::split_port(stun).0.to_owned());
        let hosts = [
            ("server", &self.server),
            ("stun", &stun),
            ("hostname", &self.hostname),
            ("remote hostname", &self.remote_hostname),
        ];
        for (what, host) in hosts {
            let Some(host) = host else { continue };
            if host.as_bytes().contains(&b'%') {
                let problem = "an address with a zone means something on one machine only";
                return Err(Error::invalid(what, host, problem));
            }
            let plain = |c: char| c.is_ascii_alphanumeric() || "-._:[]".chars().any(|it| it == c);
            let longest = 255;
            let ported =
                host.as_bytes().contains(&b':') && super::bare(host).parse::<Ipv6Addr>().is_err();
            if host.is_empty() || host.len() > longest || !host.chars().all(plain) || ported {
                return Err(Error::invalid(what, host, "it is no host name or address"));
            }
        }
        Ok(())
    }
}
