//! Capsules to bytes.

use super::{Capsule, Key, LARGEST_LIST, LARGEST_TEXT, MOST_RECORDS};
use crate::certificate::Identities;
use crate::host::{Channel, Query, RecordSet, Transport};
use crate::relay::fields::{put_address, put_ip, put_text, put_varint, varint_length};

impl Capsule<'_> {
    /// The capsule as it is sent. Long explanations and lists are cut.
    pub fn to_bytes(&self) -> Vec<u8> {
        if let Self::Datagram { context: number, payload: rest }
        | Self::Data { flow: number, bytes: rest } = self
        {
            let (kind, length) = (self.kind(), varint_length(*number) + rest.len());
            let mut out = Vec::with_capacity(8 + length);
            put_varint(&mut out, kind);
            put_varint(&mut out, length as u64);
            put_varint(&mut out, *number);
            out.extend_from_slice(rest);
            return out;
        }
        let mut value = Vec::new();
        self.put_value(&mut value);
        let mut out = Vec::with_capacity(8 + value.len());
        put_varint(&mut out, self.kind());
        put_varint(&mut out, value.len() as u64);
        out.append(&mut value);
        out
    }

    fn put_value(&self, out: &mut Vec<u8>) {
        match self {
            Self::Datagram { .. } | Self::Data { .. } | Self::Leave | Self::Unknown { .. } => {}
            Self::Authenticate(authenticate) => {
                put_varint(out, authenticate.version);
                put_text(out, authenticate.token);
                out.push(u8::from(authenticate.resume.is_some()));
                if let Some(Key { id, secret }) = authenticate.resume {
                    out.extend(id);
                    out.extend(secret);
                    put_varint(out, authenticate.received);
                }
            }
            Self::Ready(ready) => {
                out.push(u8::from(ready.resumed));
                out.extend(ready.key.id);
                out.extend(ready.key.secret);
                put_varint(out, ready.received);
                for time in [ready.grace, ready.ping, ready.valid] {
                    put_varint(out, time.as_secs().min(u32::MAX.into()));
                }
                for limit in [ready.window, ready.largest_packet, ready.pairs, ready.flows] {
                    put_varint(out, limit);
                }
            }
            Self::Denied { problem, text } => {
                put_varint(out, problem.number().into());
                put_text(out, cut(text));
            }
            Self::Acknowledge { received: number }
            | Self::Ping { received: number }
            | Self::Pong { received: number }
            | Self::Draining { seconds: number }
            | Self::Release { pair: number }
            | Self::Unassign { context: number }
            | Self::Close { flow: number } => put_varint(out, *number),
            Self::Bind { pair, toward } => {
                put_varint(out, *pair);
                put_ip(out, *toward);
            }
            Self::Assign { context, pair, channel, peer } => {
                put_varint(out, *context);
                put_varint(out, *pair);
                out.push(u8::from(*channel == Channel::Rtcp));
                put_address(out, *peer);
            }
            Self::Open { flow, transport, to, name } => {
                put_varint(out, *flow);
                out.push(transport_number(*transport));
                put_address(out, *to);
                put_text(out, name);
            }
            Self::Resolve { lookup, query } => {
                put_varint(out, *lookup);
                let (kind, name) = match query {
                    Query::Naptr(name) => (0, name),
                    Query::Srv(name) => (1, name),
                    Query::Addresses(name) => (2, name),
                };
                out.push(kind);
                put_text(out, name);
            }
            Self::Token { token } => put_text(out, token),
            Self::Credit { flow, bytes } => {
                put_varint(out, *flow);
                put_varint(out, *bytes);
            }
            Self::Bound { pair, rtp, rtcp } => {
                put_varint(out, *pair);
                put_address(out, *rtp);
                put_address(out, *rtcp);
            }
            Self::Refused { subject, number, problem, text } => {
                out.push(*subject as u8);
                put_varint(out, *number);
                put_varint(out, problem.number().into());
                put_text(out, cut(text));
            }
            Self::Opened { flow, local, certificate } => {
                put_varint(out, *flow);
                put_address(out, *local);
                out.push(u8::from(certificate.is_some()));
                if let Some(identities) = certificate {
                    put_identities(out, identities);
                }
            }
            Self::Resolved { lookup, ttl, found } => {
                put_varint(out, *lookup);
                put_varint(out, ttl.as_secs().min(u32::MAX.into()));
                put_found(out, found);
            }
        }
    }
}

/// WebSocket has none: no page needs a relay for it.
fn transport_number(transport: Transport) -> u8 {
    match transport {
        Transport::Udp => 0,
        Transport::Tcp => 1,
        Transport::Tls => 2,
        _ => u8::MAX,
    }
}

fn put_list<T>(out: &mut Vec<u8>, items: &[T], mut put: impl FnMut(&mut Vec<u8>, &T)) {
    let mut written = Vec::new();
    let mut count = 0;
    for item in items.iter().take(MOST_RECORDS) {
        let before = written.len();
        put(&mut written, item);
        if out.len() + written.len() > LARGEST_LIST - MOST_RECORDS {
            written.truncate(before);
            break;
        }
        count += 1;
    }
    put_varint(out, count);
    out.append(&mut written);
}

fn put_identities(out: &mut Vec<u8>, identities: &Identities) {
    let text = |out: &mut Vec<u8>, text: &String| put_text(out, text);
    put_list(out, &identities.uris, text);
    put_list(out, &identities.dns_names, text);
    put_list(out, &identities.addresses, |out, ip| put_ip(out, *ip));
    put_list(out, identities.common_name.as_slice(), text);
}

fn put_found(out: &mut Vec<u8>, found: &RecordSet) {
    match found {
        RecordSet::Naptr(records) => {
            out.push(0);
            put_list(out, records, |out, record| {
                put_varint(out, record.order.into());
                put_varint(out, record.preference.into());
                put_text(out, &record.flags);
                put_text(out, &record.service);
                put_text(out, &record.replacement);
            });
        }
        RecordSet::Srv(records) => {
            out.push(1);
            put_list(out, records, |out, record| {
                put_varint(out, record.priority.into());
                put_varint(out, record.weight.into());
                put_varint(out, record.port.into());
                put_text(out, &record.target);
            });
        }
        RecordSet::Addresses(addresses) => {
            out.push(2);
            put_list(out, addresses, |out, ip| put_ip(out, *ip));
        }
    }
}

/// As much of a text as is sent.
fn cut(text: &str) -> &str {
    let end = (0..=LARGEST_TEXT).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    text.get(..end.min(text.len())).unwrap_or(text)
}
