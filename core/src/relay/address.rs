//! Which addresses a relay connects to.
//!
//! An address is normalised once, judged, and then that same address is used: whatever form it was written in, a
//! loopback address is a loopback address.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What an address is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Reach {
    /// Anybody on the Internet may have it.
    Public,
    /// Loopback, private, link-local, shared, documentation and the like: allowed where it is configured.
    Restricted,
    /// Unspecified, multicast, broadcast, tunnels: never.
    Never,
}

/// The address that packets to `ip` come to: an IPv4 address in an IPv6 form is that IPv4 address.
pub(super) fn normalised(ip: IpAddr) -> IpAddr {
    let IpAddr::V6(six) = ip else { return ip };
    let [a, b, c, d, e, f, high, low] = six.segments();
    let [first, second] = high.to_be_bytes();
    let [third, fourth] = low.to_be_bytes();
    let inner = IpAddr::V4(Ipv4Addr::new(first, second, third, fourth));
    match [a, b, c, d, e, f] {
        // ::ffff:0:0/96 mapped (RFC 4291 §2.5.5.2), ::ffff:0:0:0/96 translated (RFC 2765 §2.1).
        [0, 0, 0, 0, 0, 0xffff] | [0, 0, 0, 0, 0xffff, 0] => inner,
        // ::/96 compatible (RFC 4291 §2.5.5.1), but not :: and ::1.
        [0, 0, 0, 0, 0, 0] if high != 0 => inner,
        // 64:ff9b::/96 (RFC 6052 §2.1).
        [0x64, 0xff9b, 0, 0, 0, 0] => inner,
        _ => ip,
    }
}

/// What a [`normalised`] address is.
pub(super) fn reach(ip: IpAddr) -> Reach {
    match ip {
        IpAddr::V4(ip) => reach_v4(ip),
        IpAddr::V6(ip) => reach_v6(ip),
    }
}

fn reach_v4(ip: Ipv4Addr) -> Reach {
    match ip.octets() {
        // This network (RFC 791), multicast, and the reserved block with the broadcast address in it.
        [0, ..] | [224..=255, ..] => Reach::Never,
        [10 | 127, ..]
        | [100, 64..=127, ..]
        | [169, 254, ..]
        | [172, 16..=31, ..]
        // 192.0.0.0/24 of the IETF, documentation, and 192.88.99.0/24, the relays of 6to4.
        | [192, 0, 0 | 2, _]
        | [192, 88, 99, _]
        | [192, 168, ..]
        | [198, 18 | 19, ..]
        | [198, 51, 100, _]
        | [203, 0, 113, _] => Reach::Restricted,
        _ => Reach::Public,
    }
}

fn reach_v6(ip: Ipv6Addr) -> Reach {
    match ip.segments() {
        // Unspecified, multicast, and what leads to an IPv4 address that is not looked at: Teredo, 6to4.
        [0, 0, 0, 0, 0, 0, 0, 0] | [0xff00..=0xffff, ..] | [0x2001, 0, ..] | [0x2002, ..] => {
            Reach::Never
        }
        // Documentation, old and new (RFC 3849, RFC 9637), and benchmarking (RFC 5180) are no addresses of anybody.
        [0x2001, 0xdb8, ..] | [0x3fff, 0..=0x0fff, ..] | [0x2001, 2, 0, ..] => Reach::Restricted,
        // All that is global lies here (RFC 4291 §2.4); the rest is loopback, local, or not assigned.
        [0x2000..=0x3fff, ..] => Reach::Public,
        _ => Reach::Restricted,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(text: &str) -> Reach {
        reach(normalised(text.parse().unwrap()))
    }

    /// Each form under which an address has slipped through a list, CVE-2020-26262 and CVE-2026-27624 among them.
    #[test]
    fn an_address_is_the_same_in_each_of_its_forms() {
        for form in [
            "127.0.0.1",
            "127.255.255.254",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:7f00:1",
            "::ffff:0:127.0.0.1",
            "::127.0.0.1",
            "64:ff9b::127.0.0.1",
            "10.0.0.1",
            "::ffff:10.0.0.1",
            "64:ff9b::a00:1",
            "100.64.0.1",
            "100.127.255.255",
            "169.254.169.254",
            "::ffff:169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.1",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.1",
            "203.0.113.1",
            "fe80::1",
            "fec0::1",
            "fc00::1",
            "fd12:3456::1",
            "2001:db8::1",
            "3fff::1",
            "100::1",
            "64:ff9b:1::1",
        ] {
            assert_eq!(judged(form), Reach::Restricted, "{form}");
        }
        for form in [
            "0.0.0.0",
            "0.1.2.3",
            "::",
            "::ffff:0.0.0.0",
            "64:ff9b::0.0.0.0",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "::ffff:255.255.255.255",
            "ff02::1",
            "2002:7f00:1::1",
            "2002:c000:204::1",
            "2001:0:4136:e378::1",
        ] {
            assert_eq!(judged(form), Reach::Never, "{form}");
        }
        for form in [
            "1.1.1.1",
            "::ffff:8.8.8.8",
            "64:ff9b::8.8.8.8",
            "11.0.0.1",
            "100.63.255.255",
            "100.128.0.1",
            "172.15.0.1",
            "172.32.0.1",
            "192.0.1.1",
            "2606:4700::1111",
            "2a00::1",
        ] {
            assert_eq!(judged(form), Reach::Public, "{form}");
        }
    }

    #[test]
    fn what_is_used_is_what_was_judged() {
        let eight: IpAddr = "8.8.8.8".parse().unwrap();
        for form in ["8.8.8.8", "::ffff:8.8.8.8", "64:ff9b::808:808", "::8.8.8.8"] {
            assert_eq!(normalised(form.parse().unwrap()), eight);
        }
        for plain in ["::1", "::", "2606:4700::1111"] {
            assert_eq!(normalised(plain.parse().unwrap()).to_string(), plain);
        }
    }
}
