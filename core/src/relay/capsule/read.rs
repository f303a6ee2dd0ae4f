//! Capsules from bytes.

use super::kinds::*;
use super::{Authenticate, Capsule, CapsuleError, Key, MOST_RECORDS, Ready, Subject, VERSION};
use crate::certificate::Identities;
use crate::host::{Channel, Naptr, Query, RecordSet, Srv, Transport};
use crate::relay::fields::Reader;
use crate::relay::problem::Problem;
use crate::time::Duration;

impl<'a> Capsule<'a> {
    /// Reads the capsule at the front of `bytes`, and says how many bytes it has; `None` when more have to come
    /// first. The length is judged before the value is there.
    ///
    /// # Errors
    /// [`CapsuleError`]: nothing that follows can be read.
    pub fn read(bytes: &'a [u8]) -> Result<Option<(Self, usize)>, CapsuleError> {
        let mut reader = Reader::new(bytes);
        let (Some(kind), Some(length)) = (reader.varint(), reader.varint()) else {
            return Ok(None);
        };
        let limit = limit(kind);
        let fits = usize::try_from(length).ok().filter(|length| *length <= limit);
        let Some(length) = fits else {
            return Err(CapsuleError::TooLong { kind, length, limit });
        };
        let Some(value) = reader.bytes(length) else { return Ok(None) };
        let used = bytes.len() - reader.rest.len();
        let mut value = Reader::new(value);
        let capsule = Self::value(kind, &mut value);
        let capsule = capsule.filter(|_| value.is_empty());
        Ok(Some((capsule.ok_or(CapsuleError::Malformed { kind })?, used)))
    }

    /// Reads a message that is one capsule.
    ///
    /// # Errors
    /// As [`read`](Self::read), and when the message is not exactly one.
    pub fn message(bytes: &'a [u8]) -> Result<Self, CapsuleError> {
        match Self::read(bytes)? {
            Some((capsule, used)) if used == bytes.len() => Ok(capsule),
            _ => Err(CapsuleError::Malformed { kind: Reader::new(bytes).varint().unwrap_or(0) }),
        }
    }

    fn value(kind: u64, value: &mut Reader<'a>) -> Option<Self> {
        Some(match kind {
            DATAGRAM => {
                let context = value.varint()?;
                Self::Datagram { context, payload: core::mem::take(&mut value.rest) }
            }
            AUTHENTICATE => Self::Authenticate(authenticate(value)?),
            READY => Self::Ready(ready(value)?),
            DENIED => Self::Denied { problem: problem(value)?, text: value.text()? },
            ACKNOWLEDGE => Self::Acknowledge { received: value.varint()? },
            PING => Self::Ping { received: value.varint()? },
            PONG => Self::Pong { received: value.varint()? },
            DRAINING => Self::Draining { seconds: value.varint()? },
            LEAVE => Self::Leave,
            BIND => Self::Bind { pair: value.varint()?, toward: value.ip()? },
            RELEASE => Self::Release { pair: value.varint()? },
            ASSIGN => Self::Assign {
                context: value.varint()?,
                pair: value.varint()?,
                channel: channel(value)?,
                peer: value.address()?,
            },
            UNASSIGN => Self::Unassign { context: value.varint()? },
            OPEN => Self::Open {
                flow: value.varint()?,
                transport: transport(value)?,
                to: value.address()?,
                name: value.text()?,
            },
            CLOSE => Self::Close { flow: value.varint()? },
            RESOLVE => Self::Resolve { lookup: value.varint()?, query: query(value)? },
            TOKEN => Self::Token { token: value.text()? },
            CREDIT => Self::Credit { flow: value.varint()?, bytes: value.varint()? },
            DATA => {
                let flow = value.varint()?;
                Self::Data { flow, bytes: core::mem::take(&mut value.rest) }
            }
            BOUND => {
                Self::Bound { pair: value.varint()?, rtp: value.address()?, rtcp: value.address()? }
            }
            REFUSED => Self::Refused {
                subject: subject(value)?,
                number: value.varint()?,
                problem: problem(value)?,
                text: value.text()?,
            },
            OPENED => Self::Opened {
                flow: value.varint()?,
                local: value.address()?,
                certificate: match value.byte()? {
                    0 => None,
                    1 => Some(identities(value)?),
                    _ => return None,
                },
            },
            RESOLVED => Self::Resolved {
                lookup: value.varint()?,
                ttl: Duration::from_secs(value.small::<u32>()?.into()),
                found: found(value)?,
            },
            kind => {
                value.rest = &[];
                Self::Unknown { kind }
            }
        })
    }
}

fn authenticate<'a>(value: &mut Reader<'a>) -> Option<Authenticate<'a>> {
    let version = value.varint()?;
    if version != VERSION {
        // What follows is another version's.
        value.rest = &[];
        return Some(Authenticate { version, token: "", resume: None, received: 0 });
    }
    let token = value.text()?;
    let (resume, received) = match value.byte()? {
        0 => (None, 0),
        1 => (Some(key(value)?), value.varint()?),
        _ => return None,
    };
    Some(Authenticate { version, token, resume, received })
}

fn ready(value: &mut Reader<'_>) -> Option<Ready> {
    let resumed = match value.byte()? {
        0 => false,
        1 => true,
        _ => return None,
    };
    let seconds = |value: &mut Reader<'_>| Some(Duration::from_secs(value.small::<u32>()?.into()));
    Some(Ready {
        resumed,
        key: key(value)?,
        received: value.varint()?,
        grace: seconds(value)?,
        ping: seconds(value)?,
        valid: seconds(value)?,
        window: value.varint()?,
        largest_packet: value.varint()?,
        pairs: value.varint()?,
        flows: value.varint()?,
    })
}

fn key(value: &mut Reader<'_>) -> Option<Key> {
    Some(Key { id: value.array()?, secret: value.array()? })
}

fn problem(value: &mut Reader<'_>) -> Option<Problem> {
    value.small().map(Problem::numbered)
}

fn channel(value: &mut Reader<'_>) -> Option<Channel> {
    match value.byte()? {
        0 => Some(Channel::Rtp),
        1 => Some(Channel::Rtcp),
        _ => None,
    }
}

fn transport(value: &mut Reader<'_>) -> Option<Transport> {
    match value.byte()? {
        0 => Some(Transport::Udp),
        1 => Some(Transport::Tcp),
        2 => Some(Transport::Tls),
        _ => None,
    }
}

fn query<'a>(value: &mut Reader<'a>) -> Option<Query<'a>> {
    match value.byte()? {
        0 => Some(Query::Naptr(value.text()?)),
        1 => Some(Query::Srv(value.text()?)),
        2 => Some(Query::Addresses(value.text()?)),
        _ => None,
    }
}

fn subject(value: &mut Reader<'_>) -> Option<Subject> {
    match value.byte()? {
        0 => Some(Subject::Pair),
        1 => Some(Subject::Context),
        2 => Some(Subject::Flow),
        3 => Some(Subject::Lookup),
        4 => Some(Subject::Token),
        _ => None,
    }
}

fn list<'a, T>(
    value: &mut Reader<'a>,
    mut item: impl FnMut(&mut Reader<'a>) -> Option<T>,
) -> Option<Vec<T>> {
    let count: usize = value.small()?;
    if count > MOST_RECORDS {
        return None;
    }
    (0..count).map(|_| item(value)).collect()
}

fn owned(value: &mut Reader<'_>) -> Option<String> {
    value.text().map(str::to_owned)
}

fn identities(value: &mut Reader<'_>) -> Option<Identities> {
    let uris = list(value, owned)?;
    let dns_names = list(value, owned)?;
    let addresses = list(value, Reader::ip)?;
    let common_name = list(value, owned)?.pop();
    Some(Identities { uris, dns_names, addresses, common_name })
}

fn found(value: &mut Reader<'_>) -> Option<RecordSet> {
    Some(match value.byte()? {
        0 => RecordSet::Naptr(list(value, |value| {
            Some(Naptr {
                order: value.small()?,
                preference: value.small()?,
                flags: owned(value)?,
                service: owned(value)?,
                replacement: owned(value)?,
            })
        })?),
        1 => RecordSet::Srv(list(value, |value| {
            Some(Srv {
                priority: value.small()?,
                weight: value.small()?,
                port: value.small()?,
                target: owned(value)?,
            })
        })?),
        2 => RecordSet::Addresses(list(value, Reader::ip)?),
        _ => return None,
    })
}
