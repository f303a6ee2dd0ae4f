//! Reads what waits in a media socket: many packets in one system call, each with its time of arrival.

use std::io::{self, IoSliceMut};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use quinn_udp::{BATCH_SIZE, RecvMeta, UdpSocketState};

use crate::error::Error;

/// Where packets are read to; one serves many sockets.
#[derive(Debug)]
pub(crate) struct Arrivals {
    means: Means,
    bytes: Box<[u8]>,
    metas: [RecvMeta; Arrivals::AT_ONCE],
}

/// What the system offers for reading sockets; found out once.
#[derive(Clone, Debug)]
pub(crate) struct Means(Arc<UdpSocketState>);

impl Means {
    /// # Errors
    /// [`Error::Bind`] when there is no UDP socket to ask.
    pub(crate) fn find() -> Result<Self, Error> {
        // Asking changes the socket that is asked; so it is none of a call's.
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let asked = UdpSocket::bind(address).and_then(|it| UdpSocketState::new((&it).into()));
        let state =
            asked.map_err(|source| Error::Bind { what: "UDP", address, source: source.into() })?;
        Ok(Self(Arc::new(state)))
    }
}

impl Arrivals {
    /// How many packets one system call takes, where the system can.
    const AT_ONCE: usize = if BATCH_SIZE < 8 { BATCH_SIZE } else { 8 };
    /// No packet that we negotiate is larger; a longer one is cut and fails to parse.
    const LARGEST: usize = 4_096;
    /// How many packets of one socket are taken before others are looked at.
    const MOST: usize = 128;

    pub(crate) fn new(means: Means) -> Self {
        let bytes = vec![0; Self::AT_ONCE * Self::LARGEST].into();
        Self { means, bytes, metas: [RecvMeta::default(); Self::AT_ONCE] }
    }

    /// Hands the packets that wait in `socket` to `take`: from where each came, how long before `wall`
    /// it did, and what it holds. Where the system does not say when they came, it is now.
    pub(crate) fn read(
        &mut self,
        socket: &UdpSocket,
        wall: SystemTime,
        mut take: impl FnMut(SocketAddr, Duration, &[u8]),
    ) {
        let wall = wall.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let mut slices = self.bytes.chunks_exact_mut(Self::LARGEST).map(IoSliceMut::new);
        let mut slices: [IoSliceMut<'_>; Self::AT_ONCE] =
            std::array::from_fn(|_| slices.next().unwrap_or_else(|| IoSliceMut::new(&mut [])));
        for _ in 0..Self::MOST / Self::AT_ONCE {
            let count = match self.means.0.recv(socket.into(), &mut slices, &mut self.metas) {
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                // That of a packet which was sent; what came is behind it.
                Err(_) => continue,
            };
            for (meta, slice) in self.metas.iter().zip(&slices).take(count) {
                let age = meta.timestamp.map(|came| wall.saturating_sub(came)).unwrap_or_default();
                if let Some(bytes) = slice.get(..meta.len) {
                    take(meta.addr, age, bytes);
                }
            }
            if count < Self::AT_ONCE {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::media;

    #[test]
    fn packets_come_in_order_with_the_time_at_which_they_came() {
        let here = "127.0.0.1:0".parse().unwrap();
        let [sender, receiver] = [here, here].map(|at| media::open(at, None).unwrap());
        let (from, to) = (sender.local_addr().unwrap(), receiver.local_addr().unwrap());
        let mut arrivals = Arrivals::new(Means::find().unwrap());
        let (before, count) = (SystemTime::now(), Arrivals::AT_ONCE * 2 + 1);
        for number in 0..count {
            sender.send_to(&[number as u8; 3], to).unwrap();
        }
        sender.send_to(&[1; 20_000], to).unwrap();
        let sent = before.elapsed().unwrap();
        // Who looks late knows all the same.
        let late = Duration::from_secs(10);
        let mut got = Vec::new();
        while got.len() <= count {
            arrivals.read(&receiver, SystemTime::now() + late, |peer, age, bytes| {
                assert_eq!(peer, from);
                got.push((bytes.first().copied(), bytes.len(), age));
            });
        }
        let took = before.elapsed().unwrap();
        let firsts: Vec<_> = got.iter().take(count).map(|(first, ..)| *first).collect();
        assert_eq!(firsts, (0..count).map(|number| Some(number as u8)).collect::<Vec<_>>());
        assert_eq!(got[0].1, 3);
        assert_eq!(got[count].1, Arrivals::LARGEST, "a long one is cut");
        if cfg!(target_os = "linux") {
            let age = got[0].2;
            assert!(age >= late && age <= late + took, "{age:?} {sent:?}");
        }
    }

    #[test]
    fn an_empty_socket_has_none() {
        let socket = media::open("127.0.0.1:0".parse().unwrap(), None).unwrap();
        let mut arrivals = Arrivals::new(Means::find().unwrap());
        arrivals
            .read(&socket, SystemTime::now(), |from, _, _| panic!("something came from {from}"));
    }
}
