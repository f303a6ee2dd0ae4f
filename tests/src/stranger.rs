//! A stranger: a peer on the wire that says exactly what a scenario wants of it, word for word.

use offhook_core::event::{CallId, CallState};
pub use offhook_core::sim::session_body as session;
use offhook_core::sim::{Arrival, NodeId, ScriptedParty, ScriptedPeer};
use offhook_core::time::Duration;

use crate::world::{Outcome, STRANGER, Telephone, World};

/// The stranger's media port; RTP is sent to and from it as to another [`ScriptedPeer`].
pub const MEDIA_PORT: u16 = 4_000;

/// PCMU, PCMA and telephone-event at the stranger's media port.
pub const SDP: &str = "v=0\no=- 1 1 IN IP4 10.0.2.1\ns=-\nc=IN IP4 10.0.2.1\nt=0 0\n\
    m=audio 4000 RTP/AVP 0 8 101\na=rtpmap:101 telephone-event/8000\na=fmtp:101 0-15\n";

/// A [`ScriptedPeer`] for signalling and one for media, at [`STRANGER`].
#[derive(Clone, Copy)]
pub struct Stranger {
    /// Its SIP socket.
    pub sip: NodeId<ScriptedPeer>,
    /// Its RTP socket.
    pub rtp: NodeId<ScriptedPeer>,
}

impl Stranger {
    /// One that says only what it is told to.
    pub fn new(world: &mut World) -> Self {
        Self::reacting(world, |_, _| {})
    }

    /// One that reacts to each message that comes.
    pub fn reacting(
        world: &mut World,
        reaction: impl FnMut(&mut ScriptedPeer, &Arrival) + 'static,
    ) -> Self {
        let sip = world.sim.add(STRANGER, ScriptedPeer::reacting(reaction));
        let rtp = world.sim.add_at((STRANGER, MEDIA_PORT), ScriptedPeer::new());
        Self { sip, rtp }
    }

    /// One that answers every request with 200, and INVITE with its session description.
    pub fn agreeable(world: &mut World) -> Self {
        Self::reacting(world, |peer, arrival| match arrival.method().as_str() {
            "INVITE" => peer.reply(arrival, "200 OK", &described()),
            "ACK" | "" => {}
            _ => peer.reply(arrival, "200 OK", ""),
        })
    }

    /// Says something to a telephone, and lets what follows at once happen.
    pub fn say(&self, world: &mut World, to: &Telephone, text: &str) {
        world.sim[self.sip].send(to.node.address(), text);
        world.pass(Duration::from_millis(50));
    }

    /// Sends RTP to the media port that a telephone told last.
    pub fn send_rtp(&self, world: &mut World, to: &Telephone, packet: Vec<u8>) -> Outcome {
        let told = self.last_sdp(world)?;
        let port = told.lines().find_map(|l| l.strip_prefix("m=audio ")?.split(' ').next());
        let port = port.and_then(|port| port.parse().ok());
        let port: u16 = port.ok_or_else(|| world.failure("no media port was told"))?;
        world.sim[self.rtp].send_bytes((to.node.ip(), port).into(), packet);
        Ok(())
    }

    /// The session description that came last.
    pub fn last_sdp(&self, world: &World) -> Outcome<String> {
        let mut arrivals = world.sim[self.sip].received().iter().rev();
        let found = arrivals.find_map(|arrival| {
            let (_, body) = arrival.text().split_once("\r\n\r\n").map(own)?;
            body.starts_with("v=0").then_some(body)
        });
        found.ok_or_else(|| world.failure("no session description came"))
    }

    /// The responses that came to requests with this CSeq (`1 INVITE`), oldest first.
    pub fn answers(&self, world: &World, cseq: &str) -> Vec<Arrival> {
        let of_it = |arrival: &&Arrival| {
            arrival.status() > 0 && arrival.header("CSeq").as_deref() == Some(cseq)
        };
        world.sim[self.sip].received().iter().filter(of_it).cloned().collect()
    }

    /// The requests of that method that came, oldest first.
    pub fn requests(&self, world: &World, name: &str) -> Vec<Arrival> {
        let of_it = |arrival: &&Arrival| arrival.method() == name;
        world.sim[self.sip].received().iter().filter(of_it).cloned().collect()
    }

    /// Fails unless the last answer to that CSeq has this status; gives it.
    pub fn expect_answer(&self, world: &World, cseq: &str, wanted: u16) -> Outcome<Arrival> {
        let answers = self.answers(world, cseq);
        match answers.last() {
            Some(last) if last.status() == wanted => Ok(last.clone()),
            other => Err(world.failure(&format!("{cseq} was answered {other:?}, not {wanted}"))),
        }
    }

    /// Calls a telephone with `INVITE` and further header lines, and waits until it rings.
    pub fn rings(&self, world: &mut World, at: &Telephone, more: &str) -> Outcome<CallId> {
        let invite = request("INVITE", 1, None, &format!("{more}{}", session(SDP)));
        world.sim[self.sip].send(at.node.address(), &invite);
        let call = world.wait_incoming(at)?;
        world.pass(Duration::from_millis(50));
        Ok(call)
    }

    /// Calls a telephone, which answers: the call, and the tag of the telephone.
    pub fn calls(
        &self,
        world: &mut World,
        to: &Telephone,
        more: &str,
    ) -> Outcome<(CallId, String)> {
        let call = self.rings(world, to, more)?;
        world.act(to, |phone| phone.answer(call))?;
        world.pass(Duration::from_millis(50));
        let answer = self.expect_answer(world, "1 INVITE", 200)?;
        let tag = tag(&answer.header("To").unwrap_or_default());
        self.say(world, to, &request("ACK", 1, Some(&tag), ""));
        Ok((call, tag))
    }

    /// Is called by a telephone and answers; needs a stranger that does, as
    /// [`agreeable`](Self::agreeable).
    pub fn is_called(&self, world: &mut World, by: &Telephone) -> Outcome<CallId> {
        let call = world.call(by, "sip:stranger@10.0.2.1")?;
        world.wait_state(by, call, CallState::Answered)?;
        world.pass(Duration::from_millis(50));
        Ok(call)
    }
}

/// Alice without a server, and a stranger who only speaks when told.
pub fn scene(seed: u64) -> Outcome<(World, Telephone, Stranger)> {
    let mut world = World::new(seed);
    let alice = world.telephone("alice")?;
    let stranger = Stranger::new(&mut world);
    Ok((world, alice, stranger))
}

/// What the stranger is called, and whom it calls.
const PARTY: ScriptedParty = ScriptedParty {
    name: "Stranger",
    user: "stranger",
    ip: "10.0.2.1",
    call_id: "strange",
    peer: "sip:alice@10.0.1.1",
};

/// A request of the stranger, in one series by its Call-ID and tag: `more` are header lines, each
/// ended by a line feed, and perhaps an empty line and a body.
pub fn request(method: &str, seq: u32, to_tag: Option<&str>, more: &str) -> String {
    PARTY.request(method, seq, to_tag, more)
}

/// The header lines and body of a 2xx or 1xx with the stranger's session description.
pub fn described() -> String {
    format!("Contact: <{}>\n{}", PARTY.contact(), session(SDP))
}

/// The tag in a From or To; empty if there is none.
pub fn tag(value: &str) -> String {
    parameter(value, "tag").unwrap_or_default()
}

/// A parameter of a header field's value.
pub fn parameter(value: &str, name: &str) -> Option<String> {
    value.split(';').skip(1).find_map(|part| {
        let (key, value) = part.split_once('=').unwrap_or((part, ""));
        key.trim().eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
    })
}

/// An RTP packet (RFC 3550 §5.1) of the stranger's source.
pub fn rtp(payload_type: u8, marker: bool, seq: u16, timestamp: u32, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x80, payload_type | if marker { 0x80 } else { 0 }];
    packet.extend(seq.to_be_bytes());
    packet.extend(timestamp.to_be_bytes());
    packet.extend(0x5354_5247_u32.to_be_bytes());
    packet.extend(payload);
    packet
}

fn own((head, body): (&str, &str)) -> (String, String) {
    (head.to_owned(), body.to_owned())
}
