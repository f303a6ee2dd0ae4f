use super::*;
use crate::error::Error;

fn problem(parameters: PhoneParameters) -> (&'static str, String) {
    match parameters.check() {
        Err(Error::InvalidValue { what, value, .. }) => (what, value),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_call_may_be_silent_for_a_time_or_for_ever() {
    let limit = |limit: core::time::Duration| {
        PhoneParameters::without_server("alice").media_timeout(limit).media_timeout
    };
    assert_eq!(limit(core::time::Duration::from_secs(5)), Some(Duration::from_secs(5)));
    assert_eq!(limit(core::time::Duration::ZERO), None);
}

#[test]
fn the_defaults_are_the_seeds() {
    let parameters = PhoneParameters::new("pbx.example.com", "alice");
    assert_eq!(parameters.server.as_deref(), Some("pbx.example.com"));
    assert_eq!((parameters.port, parameters.bind_port), (0, 5060));
    assert_eq!(parameters.bind_ip, IpAddr::V4(Ipv4Addr::UNSPECIFIED));
    assert_eq!(parameters.bind_network.to_string(), "0.0.0.0/0");
    assert_eq!((parameters.rtp_port_low, parameters.rtp_port_high), (10_000, 20_000));
    assert_eq!((&parameters.hostname, &parameters.remote_hostname), (&None, &None));
    assert_eq!(parameters.transport, None);
    assert!(parameters.credentials.is_empty());
    assert_eq!(parameters.check(), Ok(()));
    let other = PhoneParameters::new("[2001:db8::1]:5080", "alice");
    assert_eq!((other.server.as_deref(), other.port), (Some("2001:db8::1"), 5080));
}

#[test]
fn what_cannot_be_used_is_named_with_its_value() {
    let good = || PhoneParameters::new("pbx.example.com", "alice");
    assert_eq!(good().rtp_ports(20, 10).check(), Err(Error::InvalidRange { low: 20, high: 10 }));
    assert_eq!(good().rtp_ports(11, 12).check(), Err(Error::InvalidRange { low: 11, high: 12 }));
    assert_eq!(good().rtp_ports(10, 11).check(), Ok(()));
    assert_eq!(problem(good().hostname("a b")), ("hostname", "a b".into()));
    assert_eq!(problem(good().remote_hostname("h\r\n")), ("remote hostname", "h\r\n".into()));
    let ported = "pbx.example.com:99999";
    assert_eq!(problem(PhoneParameters::new(ported, "alice")), ("server", ported.into()));
    assert_eq!(problem(good().user_agent("x\ny")), ("user agent", "x\ny".into()));
    assert_eq!(problem(good().display_name("x\0")), ("display name", "x\0".into()));
    assert_eq!(problem(good().codecs(&[])), ("codecs", "".into()));
    assert_eq!(problem(good().ptime(Duration::from_millis(201))).0, "ptime");
    assert_eq!(problem(good().ptime(Duration::from_micros(20_500))).0, "ptime");
    assert_eq!(problem(good().expires(Duration::ZERO)), ("expires", "0".into()));
    assert_eq!(problem(good().start_timeout(Duration::ZERO)), ("start timeout", "0".into()));
    for path in ["sip", "/a b", "/#"] {
        assert_eq!(problem(good().websocket_path(path)), ("ws-path", path.into()));
    }
    assert_eq!(problem(good().key_file("alice.key")), ("key file", "alice.key".into()));
    assert_eq!(problem(good().outbound_proxy("tel:+1")), ("outbound proxy", "tel:+1".into()));
}

#[cfg(feature = "serde")]
mod text {
    use super::*;

    const WHOLE: &str = r#"
server = "pbx.example.com:5080"
user = "alice"
realm = "example.com"
display-name = "Alice"
no-register = true
expires = 300
outbound-proxy = "sip:10.0.0.8"
transport = "udp"
dns = ["192.0.2.53:53", "[2001:db8::53]:5353"]
ws-path = "/sip"
ca-file = "ca.pem"
cert-file = "alice.pem"
key-file = "alice.key"
client-ca-file = "clients.pem"
tls-insecure = false
bind = "192.0.2.7:5070"
bind-network = "192.168.0.0/16"
hostname = "inside.example.com"
remote-hostname = "outside.example.com"
no-tcp = true
no-learn-address = true
stun = "stun.example.com"
keep-alive = "options"
keep-alive-interval = 40
symmetric-rtp = "same-address"
rtp-ports = "10000-10999"
codecs = ["PCMA", "PCMU"]
ptime = 30
user-agent = "door/1"
allow-md5 = false
registration-attempts = 3
start-timeout = 9
answer-timeout = 0.5
max-redirects = 2
media-timeout = 0
max-calls = 12
accept-any-user = false
accept-transfer = true
next-hop = "127.0.0.1:5060"
"#;

    fn read(toml: &str) -> Result<PhoneParameters, String> {
        toml::from_str(toml).map_err(|error| error.to_string())
    }

    #[test]
    fn every_name_is_read_and_written_the_same() {
        let parameters = read(WHOLE).unwrap();
        assert_eq!(
            (parameters.server.as_deref(), parameters.port),
            (Some("pbx.example.com"), 5080)
        );
        assert_eq!(parameters.bind_port, 5070);
        assert_eq!((parameters.rtp_port_low, parameters.rtp_port_high), (10_000, 10_999));
        assert_eq!(parameters.answer_timeout, Duration::from_millis(500));
        assert_eq!(parameters.start_timeout, Some(Duration::from_secs(9)));
        assert_eq!((parameters.media_timeout, parameters.register), (None, false));
        assert_eq!(parameters.symmetric_rtp, crate::media::SymmetricRtp::SameAddress);
        assert_eq!(parameters.stun_server(), Some(("stun.example.com", 3478)));
        assert_eq!(parameters.keep_alive, crate::nat::KeepAlive::Options);
        assert_eq!(parameters.keep_alive_interval, Some(Duration::from_secs(40)));
        assert_eq!((parameters.learn_address, parameters.allow_tcp), (false, false));
        assert_eq!((parameters.max_redirects, parameters.accept_transfer), (2, true));
        assert_eq!(toml::to_string(&parameters).unwrap().trim(), WHOLE.trim());
        let again = read(&toml::to_string(&parameters).unwrap()).unwrap();
        assert_eq!(format!("{again:?}"), format!("{parameters:?}"));
    }

    #[test]
    fn what_is_missing_has_its_default() {
        let parameters = read("user = \"alice\"\ncodecs = \"pcma, PCMU\"").unwrap();
        assert_eq!(parameters.codecs, [Codec::Pcma, Codec::Pcmu]);
        let defaults = PhoneParameters::without_server("alice").codecs(&parameters.codecs);
        assert_eq!(format!("{parameters:?}"), format!("{defaults:?}"));
    }

    #[test]
    fn passwords_are_read_and_never_written_nor_shown() {
        let parameters = read(
            r#"
            server = "pbx"
            user = "alice"
            auth-user = "alice-login"
            password = "hunter2"
            key-password = "hunter4"
            [[credentials]]
            username = "mail"
            password = "hunter3"
            realm = "voicemail"
            "#,
        )
        .unwrap();
        let find = |realm| parameters.credentials.find("pbx", realm, "alice");
        assert_eq!(find("any"), Some(("alice-login", "hunter2")));
        assert_eq!(find("voicemail"), Some(("mail", "hunter3")));
        assert_eq!(parameters.key_password.as_ref().unwrap().reveal(), b"hunter4");
        let written = toml::to_string(&parameters).unwrap();
        for text in [written, format!("{parameters:?}")] {
            assert!(!text.contains("hunter") && !text.contains("password ="), "{text}");
        }
    }

    #[test]
    fn an_error_names_the_field_and_the_value() {
        for (toml, named) in [
            ("colour = 1", "colour"),
            ("bind = \"nowhere\"", "bind \"nowhere\""),
            ("bind-network = \"10/8\"", "bind-network \"10/8\""),
            ("rtp-ports = \"7\"", "rtp-ports \"7\""),
            ("rtp-ports = \"20-10\"", "20 to 10"),
            ("codecs = [\"G729\"]", "codecs \"G729\""),
            ("dns = [\"names.example\"]", "dns \"names.example\""),
            ("transport = \"pigeon\"", "transport \"pigeon\""),
            ("stun = \"stun.example.com:x\"", "stun \"stun.example.com:x\""),
            ("keep-alive = \"ping\"", "keep-alive \"ping\""),
            ("symmetric-rtp = \"maybe\"", "symmetric-rtp \"maybe\""),
            ("server = \"a b\"", "server \"a b\""),
            ("expires = -1", "-1"),
            ("auth-user = \"x\"", "auth-user \"x\""),
        ] {
            let error = read(toml).unwrap_err();
            assert!(error.contains(named), "{toml}: {error}");
        }
    }
}
