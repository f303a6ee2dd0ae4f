//! What is broken in pyVoIP: how a call begins, goes on and ends.

use offhook_core::event::{CallEvent, CallState, EndedBy, PhoneEvent};
use offhook_core::sim::Arrival;
use offhook_core::time::Duration;

use super::Scenario;
use crate::stranger::{self, SDP, Stranger, described, request, scene, session, tag};
use crate::world::{Outcome, Telephone, World};

const SOON: Duration = Duration::from_secs(33);

pub(super) const RINGS: Scenario = Scenario {
    name: "rings",
    shows: "pyVoIP: incoming calls never ring; here the caller hears 180 and the application is told",
    play: |seed| {
        let (mut world, alice, stranger) = scene(seed)?;
        let call = stranger.rings(&mut world, &alice, "")?;
        let ringing = stranger.expect_answer(&world, "1 INVITE", 180)?;
        world.expect(!tag(&text_of(&ringing, "To")).is_empty(), "the 180 has no tag")?;
        let state = world.sim[alice.node].phone().state(call);
        world.expect(state == Some(CallState::Ringing), &format!("{state:?}"))?;
        Ok(world)
    },
};

pub(super) const ANSWERS: Scenario = Scenario {
    name: "answers",
    shows: "pyVoIP #270 #307 #278 #225 #162 #81: an incoming call is answered, and ends by their BYE",
    play: |seed| {
        let (mut world, alice, stranger) = scene(seed)?;
        let (call, to_tag) = stranger.calls(&mut world, &alice, "")?;
        let answer = stranger.expect_answer(&world, "1 INVITE", 200)?;
        world.expect(answer.header("Contact").is_some(), "the 200 has no Contact")?;
        let answer = stranger.last_sdp(&world)?;
        world.expect(answer.contains("m=audio 1"), &format!("no audio in {answer}"))?;
        stranger.say(&mut world, &alice, &request("BYE", 2, Some(&to_tag), ""));
        stranger.expect_answer(&world, "2 BYE", 200)?;
        let ended = world.wait_ended(&alice, call, SOON)?.0;
        world.expect(ended == EndedBy::Remote, &format!("{ended:?}"))?;
        Ok(world)
    },
};

pub(super) const OPTIONS_ANSWERED: Scenario = Scenario {
    name: "options_answered",
    shows: "pyVoIP #46 #126: OPTIONS outside a dialog gets an answer that says what we can do",
    play: |seed| {
        let (mut world, alice, stranger) = scene(seed)?;
        stranger.say(&mut world, &alice, &request("OPTIONS", 1, None, ""));
        let answer = stranger.expect_answer(&world, "1 OPTIONS", 200)?;
        let allowed = text_of(&answer, "Allow");
        world.expect(allowed.contains("INVITE"), &format!("Allow: {allowed}"))?;
        Ok(world)
    },
};

pub(super) const NOTIFY_ANSWERED: Scenario = Scenario {
    name: "notify_answered",
    shows: "pyVoIP #150 #177: a NOTIFY that nobody asked for gets an answer",
    play: |seed| {
        let (mut world, alice, stranger) = scene(seed)?;
        let told = "Event: message-summary\nSubscription-State: active\n\
            Content-Type: application/simple-message-summary\n\nMessages-Waiting: yes\n";
        stranger.say(&mut world, &alice, &request("NOTIFY", 1, None, told));
        stranger.expect_answer(&world, "1 NOTIFY", 200)?;
        Ok(world)
    },
};

pub(super) const MESSAGE_ANSWERED: Scenario = Scenario {
    name: "message_answered",
    shows: "pyVoIP: MESSAGE outside a dialog gets no answer; here it is answered and told",
    play: |seed| {
        use offhook_core::event::Event;
        let (mut world, alice, stranger) = scene(seed)?;
        let text = "Content-Type: text/plain\n\nhello";
        stranger.say(&mut world, &alice, &request("MESSAGE", 1, None, text));
        stranger.expect_answer(&world, "1 MESSAGE", 200)?;
        let told = alice.events().iter().any(|(_, event)| {
            matches!(event, Event::Phone(PhoneEvent::Message { body, .. }) if body == b"hello")
        });
        world.expect(told, "the application was not told")?;
        Ok(world)
    },
};

pub(super) const REFER_ANSWERED: Scenario = Scenario {
    name: "refer_answered",
    shows: "pyVoIP: REFER outside a dialog gets no answer; here it gets a final one",
    play: |seed| {
        let (mut world, alice, stranger) = scene(seed)?;
        let refer = "Refer-To: <sip:carol@10.0.2.9>\n";
        stranger.say(&mut world, &alice, &request("REFER", 1, None, refer));
        let last = stranger.answers(&world, "1 REFER").last().map(Arrival::status);
        world.expect(last.is_some_and(|code| code >= 200), &format!("answered {last:?}"))?;
        Ok(world)
    },
};

pub(super) const BYE_IS_WHOLE: Scenario = Scenario {
    name: "bye_is_whole",
    shows: "pyVoIP: BYE without To-tag, with a reused branch and CSeq (#252)",
    play: |seed| {
        let (mut world, alice, stranger) = agreeable(seed)?;
        let call = stranger.is_called(&mut world, &alice)?;
        world.act(&alice, |phone| phone.hangup(call))?;
        world.wait_ended(&alice, call, SOON)?;
        let (invite, bye) = pair(&world, &stranger, "INVITE", "BYE")?;
        let to = text_of(&bye, "To");
        world.expect(tag(&to) == "scripted", &format!("To: {to}"))?;
        world.expect(branch(&invite) != branch(&bye), "the branch is that of INVITE")?;
        let (first, last) = (seq(&invite), seq(&bye));
        world.expect(last > first, &format!("CSeq went from {first} to {last}"))?;
        let line = bye.first_line();
        world.expect(line.contains("sip:stranger@10.0.2.1:5060 "), &line)?;
        Ok(world)
    },
};

pub(super) const HANGUP_RETURNS: Scenario = Scenario {
    name: "hangup_returns",
    shows: "pyVoIP: hangup() on an outgoing call blocks for ever; here it ends even unanswered",
    play: |seed| {
        let mut world = World::new(seed);
        let alice = world.telephone("alice")?;
        let stranger = Stranger::reacting(&mut world, |peer, arrival| {
            if arrival.method() == "INVITE" {
                peer.reply(arrival, "200 OK", &described());
            }
        });
        let call = stranger.is_called(&mut world, &alice)?;
        world.act(&alice, |phone| phone.hangup(call))?;
        let state = world.sim[alice.node].phone().state(call);
        world.expect(state == Some(CallState::Ended), &format!("at once {state:?}"))?;
        // Nobody answers BYE: Timer F.
        let ended = world.wait_ended(&alice, call, SOON)?.0;
        world.expect(ended == EndedBy::Local, &format!("{ended:?}"))?;
        Ok(world)
    },
};

pub(super) const CANCEL_GOES_THERE: Scenario = Scenario {
    name: "cancel_goes_there",
    shows: "pyVoIP: CANCEL sent to oneself; here to the callee, as the INVITE (RFC 3261 §9.1)",
    play: |seed| {
        let mut world = World::new(seed);
        let alice = world.telephone("alice")?;
        let stranger =
            Stranger::reacting(&mut world, |peer, arrival| match arrival.method().as_str() {
                "INVITE" => peer.reply(arrival, "180 Ringing", ""),
                "CANCEL" => peer.reply(arrival, "200 OK", ""),
                _ => {}
            });
        let call = world.call(&alice, "sip:stranger@10.0.2.1")?;
        world.pass(Duration::from_secs(1));
        world.act(&alice, |phone| phone.cancel(call))?;
        world.pass(Duration::from_millis(100));
        let (invite, cancel) = pair(&world, &stranger, "INVITE", "CANCEL")?;
        let uri = |line: String| line.split(' ').nth(1).map(str::to_owned);
        world.expect(
            uri(invite.first_line()) == uri(cancel.first_line()),
            &format!("it goes to {}", cancel.first_line()),
        )?;
        for name in ["Via", "From", "To", "Call-ID"] {
            let same = text_of(&invite, name) == text_of(&cancel, name);
            world.expect(same, &format!("{name} is {}", text_of(&cancel, name)))?;
        }
        world.expect(seq(&invite) == seq(&cancel), "CSeq is another")?;
        world.sim[stranger.sip].reply(&invite, "487 Request Terminated", "");
        let ended = world.wait_ended(&alice, call, SOON)?.0;
        world.expect(ended == EndedBy::Local, &format!("{ended:?}"))?;
        Ok(world)
    },
};

pub(super) const REFUSED_AFTER_RINGING: Scenario = Scenario {
    name: "refused_after_ringing",
    shows: "pyVoIP #244: a 4xx to 6xx after a provisional is never ACKed and the call dials for ever",
    play: |seed| {
        let mut world = World::new(seed);
        let alice = world.telephone("alice")?;
        let codes = [404, 480, 486, 488, 500, 503, 600, 603];
        let mut turn = 0;
        let stranger = Stranger::reacting(&mut world, move |peer, arrival| {
            if arrival.method() == "INVITE" {
                peer.reply(arrival, "100 Trying", "");
                peer.reply(arrival, "180 Ringing", "");
                peer.reply(arrival, &format!("{} No", codes[turn % codes.len()]), "");
                turn += 1;
            }
        });
        for code in codes {
            let call = world.call(&alice, "sip:stranger@10.0.2.1")?;
            let ended = world.wait_ended(&alice, call, SOON)?;
            world.expect(ended == (EndedBy::Remote, Some(code)), &format!("{ended:?}"))?;
        }
        world.pass(Duration::from_millis(50));
        let acks = stranger.requests(&world, "ACK").len();
        world.expect(acks == codes.len(), &format!("{acks} ACKs"))?;
        Ok(world)
    },
};

pub(super) const CANCELLED_BY_CALLER: Scenario = Scenario {
    name: "cancelled_by_caller",
    shows: "pyVoIP #255: an incoming CANCEL is ignored; here 200, 487, and the call has ended",
    play: |seed| {
        let (mut world, alice, stranger) = scene(seed)?;
        let call = stranger.rings(&mut world, &alice, "")?;
        let cancel = request("CANCEL", 1, None, "").replace("z9hG4bKCANCEL1", "z9hG4bKINVITE1");
        stranger.say(&mut world, &alice, &cancel);
        stranger.expect_answer(&world, "1 CANCEL", 200)?;
        let last = stranger.expect_answer(&world, "1 INVITE", 487)?;
        let ack = request("ACK", 1, Some(&tag(&text_of(&last, "To"))), "");
        stranger.say(&mut world, &alice, &ack.replace("z9hG4bKACK1", "z9hG4bKINVITE1"));
        let ended = world.wait_ended(&alice, call, SOON)?.0;
        world.expect(ended == EndedBy::Remote, &format!("{ended:?}"))?;
        let told = stranger.answers(&world, "1 INVITE").len();
        world.pass(SOON);
        let later = stranger.answers(&world, "1 INVITE").len();
        world.expect(told == later, "the 487 is repeated after its ACK")?;
        Ok(world)
    },
};

pub(super) const REINVITED: Scenario = Scenario {
    name: "reinvited",
    shows: "pyVoIP: an incoming re-INVITE is ignored; here hold and resume are answered and told",
    play: |seed| {
        let (mut world, alice, stranger) = scene(seed)?;
        let (call, to_tag) = stranger.calls(&mut world, &alice, "")?;
        for (number, direction, held, answered) in
            [(2, "sendonly", true, "recvonly"), (3, "sendrecv", false, "sendrecv")]
        {
            let offer = SDP.replace("o=- 1 1", &format!("o=- 1 {number}"));
            let offer = session(&format!("{offer}a={direction}\n"));
            stranger.say(&mut world, &alice, &request("INVITE", number, Some(&to_tag), &offer));
            stranger.expect_answer(&world, &format!("{number} INVITE"), 200)?;
            stranger.say(&mut world, &alice, &request("ACK", number, Some(&to_tag), ""));
            let answer = stranger.last_sdp(&world)?;
            let line = format!("a={answered}");
            world.expect(answer.contains(&line), &format!("no {line} in {answer}"))?;
            let info = world.sim[alice.node].phone().info(call);
            let held_now = info.map(|info| info.held);
            world.expect(held_now == Some(held), &format!("held is {held_now:?}"))?;
        }
        stranger.say(&mut world, &alice, &request("BYE", 4, Some(&to_tag), ""));
        world.wait_ended(&alice, call, SOON)?;
        Ok(world)
    },
};

pub(super) const REPEATS: Scenario = Scenario {
    name: "repeats",
    shows: "pyVoIP: no transactions or timers, nothing is sent again; here INVITE by Timer A, BYE by E",
    play: |seed| {
        let mut world = World::new(seed);
        let alice = world.telephone("alice")?;
        let mut heard = 0;
        let stranger = Stranger::reacting(&mut world, move |peer, arrival| {
            if arrival.method() == "INVITE" {
                heard += 1;
                // The fourth copy is the first that is heard.
                if heard == 4 {
                    peer.reply(arrival, "200 OK", &described());
                }
            }
        });
        let call = stranger.is_called(&mut world, &alice)?;
        world.act(&alice, |phone| phone.hangup(call))?;
        world.wait_ended(&alice, call, SOON)?;
        expect_gaps(&world, &stranger, "INVITE", &[500, 1_000, 2_000])?;
        let byes = [500, 1_000, 2_000, 4_000, 4_000, 4_000, 4_000, 4_000, 4_000, 4_000];
        expect_gaps(&world, &stranger, "BYE", &byes)?;
        Ok(world)
    },
};

pub(super) const ABSORBS: Scenario = Scenario {
    name: "absorbs",
    shows: "pyVoIP: no copy is absorbed; here three copies of an INVITE are one call, of BYE one end",
    play: |seed| {
        use offhook_core::event::Event;
        let (mut world, alice, stranger) = scene(seed)?;
        let invite = request("INVITE", 1, None, &session(SDP));
        for _ in 0..3 {
            stranger.say(&mut world, &alice, &invite);
        }
        let call = world.wait_incoming(&alice)?;
        world.act(&alice, |phone| phone.answer(call))?;
        world.pass(Duration::from_millis(50));
        let answer = stranger.expect_answer(&world, "1 INVITE", 200)?;
        let to_tag = tag(&text_of(&answer, "To"));
        stranger.say(&mut world, &alice, &request("ACK", 1, Some(&to_tag), ""));
        for _ in 0..3 {
            stranger.say(&mut world, &alice, &request("BYE", 2, Some(&to_tag), ""));
        }
        let answers: Vec<u16> =
            stranger.answers(&world, "2 BYE").iter().map(Arrival::status).collect();
        world.expect(answers == [200; 3], &format!("BYE was answered {answers:?}"))?;
        let count = |wanted: fn(&Event) -> bool| {
            let events = alice.events();
            let of_it = |e: &&(_, Event)| matches!(&e.1, e if wanted(e));
            events.iter().filter(of_it).count()
        };
        let came = count(|event| matches!(event, Event::Phone(PhoneEvent::Incoming { .. })));
        let went = count(|event| matches!(event, Event::Call { event: CallEvent::Ended(_), .. }));
        world.expect((came, went) == (1, 1), &format!("{came} came, {went} ended"))?;
        Ok(world)
    },
};

pub(super) const ROUTES: Scenario = Scenario {
    name: "routes",
    shows: "pyVoIP: no Record-Route or Route; here every request in the dialog goes by the proxies",
    play: |seed| {
        let mut world = World::new(seed);
        let alice = world.telephone("alice")?;
        let stranger = Stranger::reacting(&mut world, |peer, arrival| {
            let route =
                "Record-Route: <sip:10.0.2.1;lr;far>\nRecord-Route: <sip:10.0.2.1;lr;near>\n";
            match arrival.method().as_str() {
                "INVITE" => peer.reply(arrival, "200 OK", &format!("{route}{}", described())),
                "ACK" | "" => {}
                _ => peer.reply(arrival, "200 OK", ""),
            }
        });
        let call = stranger.is_called(&mut world, &alice)?;
        world.act(&alice, |phone| phone.hangup(call))?;
        world.wait_ended(&alice, call, SOON)?;
        for name in ["ACK", "BYE"] {
            let (_, request) = pair(&world, &stranger, "INVITE", name)?;
            let routes = request.headers("Route").join(", ");
            let wanted = "<sip:10.0.2.1;lr;near>, <sip:10.0.2.1;lr;far>";
            world.expect(routes == wanted, &format!("{name} has Route {routes:?}"))?;
        }
        Ok(world)
    },
};

pub(super) const ROUTES_OF_A_CALLER: Scenario = Scenario {
    name: "routes_of_a_caller",
    shows: "pyVoIP: only the first Record-Route is kept; here each is echoed and obeyed (#209)",
    play: |seed| {
        let (mut world, alice, stranger) = scene(seed)?;
        let recorded = ["<sip:10.0.2.1;lr;near>", "<sip:10.0.2.1;lr;mid>", "<sip:10.0.2.1;lr;far>"];
        let [near, mid, far] = recorded;
        let more = format!("Record-Route: {near}, {mid}\nRecord-Route: {far}\n");
        let (call, _) = stranger.calls(&mut world, &alice, &more)?;
        let answer = stranger.expect_answer(&world, "1 INVITE", 200)?;
        let echoed = answer.headers("Record-Route").join(", ");
        world.expect(echoed == recorded.join(", "), &format!("echoed {echoed:?}"))?;
        world.act(&alice, |phone| phone.hangup(call))?;
        world.pass(Duration::from_millis(50));
        let bye = stranger.requests(&world, "BYE").pop();
        let routes = bye.map(|bye| bye.headers("Route").join(", "));
        world.expect(routes == Some(recorded.join(", ")), &format!("BYE has {routes:?}"))?;
        Ok(world)
    },
};

pub(super) const UP_FOR_MINUTES: Scenario = Scenario {
    name: "up_for_minutes",
    shows: "pyVoIP #252 #78 #272: calls cut at 30 s and BYE refused; here ACK is right, so both hold",
    play: |seed| {
        let (mut world, alice, stranger) = agreeable(seed)?;
        let call = stranger.is_called(&mut world, &alice)?;
        let ack = stranger.requests(&world, "ACK").pop();
        let invite = stranger.requests(&world, "INVITE").pop();
        let (Some(ack), Some(invite)) = (ack, invite) else {
            return Err(world.failure("no ACK came"));
        };
        world
            .expect(tag(&text_of(&ack, "To")) == "scripted", "the ACK has not the callee's tag")?;
        world.expect(seq(&ack) == seq(&invite), "the ACK has another CSeq")?;
        // A minute of media each way keeps the call up; here the stranger sends a packet a second.
        for number in 0..300_u16 {
            let packet = stranger::rtp(0, false, number, u32::from(number) * 8_000, &[0xff; 160]);
            stranger.send_rtp(&mut world, &alice, packet)?;
            world.pass(Duration::from_secs(1));
        }
        let state = world.sim[alice.node].phone().state(call);
        world.expect(state == Some(CallState::Answered), &format!("after 300 s: {state:?}"))?;
        world.act(&alice, |phone| phone.hangup(call))?;
        let ended = world.wait_ended(&alice, call, SOON)?.0;
        world.expect(ended == EndedBy::Local, &format!("{ended:?}"))?;
        Ok(world)
    },
};

pub(super) const CALLER_IS_TOLD: Scenario = Scenario {
    name: "caller_is_told",
    shows: "pyVoIP #260 #104 #254: who calls: From, its display name, and P-Asserted-Identity",
    play: |seed| {
        let (mut world, alice, stranger) = scene(seed)?;
        let asserted = "\"Sales\" <sip:+4930123@pbx.example>";
        let more = format!("P-Asserted-Identity: {asserted}\n");
        let call = stranger.rings(&mut world, &alice, &more)?;
        let Some(info) = world.sim[alice.node].phone().info(call) else {
            return Err(world.failure("nothing is known of the call"));
        };
        world.expect(info.remote == "sip:stranger@10.0.2.1", &format!("from {}", info.remote))?;
        let name = info.remote_name.as_deref();
        world.expect(name == Some("Stranger"), &format!("named {name:?}"))?;
        let header = info.headers.iter().find(|(name, _)| name == "P-Asserted-Identity");
        let value = header.map(|(_, value)| value.as_str());
        world.expect(value == Some(asserted), &format!("asserted {value:?}"))?;
        Ok(world)
    },
};

/// Alice without a server, and a stranger who agrees to everything.
fn agreeable(seed: u64) -> Outcome<(World, Telephone, Stranger)> {
    let mut world = World::new(seed);
    let alice = world.telephone("alice")?;
    let stranger = Stranger::agreeable(&mut world);
    Ok((world, alice, stranger))
}

type Two = (Arrival, Arrival);

/// The first request of one method and the last of another that came to the stranger.
fn pair(world: &World, stranger: &Stranger, first: &str, last: &str) -> Outcome<Two> {
    let one = stranger.requests(world, first).into_iter().next();
    let other = stranger.requests(world, last).pop();
    one.zip(other).ok_or_else(|| world.failure(&format!("no {first} and {last} came")))
}

fn expect_gaps(world: &World, stranger: &Stranger, name: &str, wanted: &[u64]) -> Outcome {
    let times: Vec<_> = stranger.requests(world, name).iter().map(|arrival| arrival.at).collect();
    let gaps: Vec<u64> = times.windows(2).map(|pair| pair[1].since(pair[0]).as_millis()).collect();
    world.expect(gaps == wanted, &format!("{name} came after {gaps:?} ms"))
}

fn text_of(arrival: &Arrival, name: &str) -> String {
    arrival.header(name).unwrap_or_default()
}

fn branch(arrival: &Arrival) -> Option<String> {
    stranger::parameter(&text_of(arrival, "Via"), "branch")
}

fn seq(arrival: &Arrival) -> u32 {
    let value = text_of(arrival, "CSeq");
    value.split(' ').next().and_then(|number| number.parse().ok()).unwrap_or(0)
}
