//! What is broken in pyVoIP: registering and in finding the way back.

use offhook_core::config::PhoneParameters;
use offhook_core::error::Error;
use offhook_core::event::{CallEvent, CallState, EndedBy, Event, PhoneStatus};
use offhook_core::sim::{Arrival, ScriptedPeer};
use offhook_core::softphone::Softphone;
use offhook_core::time::Duration;

use super::Scenario;
use crate::stranger::{SDP, Stranger, described, parameter, request, scene, session};
use crate::world::{Outcome, STRANGER, Telephone, World};

pub(super) const NEW_BRANCH: Scenario = Scenario {
    name: "new_branch",
    shows: "pyVoIP: same branch for the authenticated INVITE; here each sending has its own, and CSeq",
    play: |seed| {
        let (mut world, alice, server) = at_server(seed, |peer, arrival| {
            let challenged = arrival.header("Authorization").is_none();
            match arrival.method().as_str() {
                "INVITE" | "BYE" if challenged => challenge(peer, arrival),
                "INVITE" => peer.reply(arrival, "200 OK", &described()),
                "ACK" | "" => {}
                _ => peer.reply(arrival, "200 OK", "Expires: 120\n"),
            }
        })?;
        let call = world.call(&alice, "bob")?;
        world.wait_state(&alice, call, CallState::Answered)?;
        world.pass(Duration::from_millis(50));
        world.act(&alice, |phone| phone.hangup(call))?;
        let ended = world.wait_ended(&alice, call, Duration::from_secs(33))?.0;
        world.expect(ended == EndedBy::Local, &format!("{ended:?}"))?;
        for name in ["INVITE", "BYE"] {
            let sent = server.requests(&world, name);
            world.expect(sent.len() == 2, &format!("{} {name}", sent.len()))?;
            let branches: Vec<_> = sent.iter().map(|request| via(request, "branch")).collect();
            world.expect(branches[0] != branches[1], &format!("{name}: {branches:?}"))?;
            let numbers: Vec<_> = sent.iter().map(|request| request.header("CSeq")).collect();
            world.expect(numbers[0] != numbers[1], &format!("{name}: {numbers:?}"))?;
            let same = |field: &str| sent[0].header(field) == sent[1].header(field);
            world.expect(same("Call-ID") && same("From"), &format!("{name} is another dialog"))?;
        }
        Ok(world)
    },
};

pub(super) const DIGEST_URI: Scenario = Scenario {
    name: "digest_uri",
    shows: "pyVoIP: digest uri always the server's; here that of each request (RFC 7616 §3.4)",
    play: |seed| {
        let (mut world, alice, server) = at_server(seed, |peer, arrival| {
            let challenged = arrival.header("Authorization").is_none();
            match arrival.method().as_str() {
                "ACK" | "" => {}
                _ if challenged => challenge(peer, arrival),
                "INVITE" => peer.reply(arrival, "200 OK", &described()),
                _ => peer.reply(arrival, "200 OK", "Expires: 120\n"),
            }
        })?;
        let call = world.call(&alice, "bob")?;
        world.wait_state(&alice, call, CallState::Answered)?;
        world.act(&alice, |phone| phone.hangup(call))?;
        world.wait_ended(&alice, call, Duration::from_secs(33))?;
        for name in ["REGISTER", "INVITE", "BYE"] {
            let Some(request) = server.requests(&world, name).pop() else {
                return Err(world.failure(&format!("no {name} came")));
            };
            let line = request.first_line();
            let target = line.split(' ').nth(1).unwrap_or_default();
            let shown = request.header("Authorization").unwrap_or_default();
            let uri = format!("uri=\"{target}\"");
            world.expect(shown.contains(&uri), &format!("{name} {target} shows {shown}"))?;
        }
        Ok(world)
    },
};

pub(super) const RESTARTED: Scenario = Scenario {
    name: "restarted",
    shows: "pyVoIP: the same Call-IDs after each restart; here new ones, and one for all refreshes",
    play: |seed| {
        let (mut world, alice, server) = at_server(seed, agreeing("Expires: 120\n"))?;
        world.pass(Duration::from_secs(300));
        let parameters = server_parameters();
        let softphone = Softphone::new(parameters).map_err(|e| world.failure(&e.to_string()))?;
        world.sim.restart(alice.node, softphone);
        world.act(&alice, |phone| phone.start())?;
        world.pass(Duration::from_secs(300));
        let mut ids: Vec<_> =
            server.requests(&world, "REGISTER").iter().map(|r| r.header("Call-ID")).collect();
        let sent = ids.len();
        world.expect(sent >= 6, &format!("{sent} REGISTER in ten minutes"))?;
        ids.dedup();
        world.expect(ids.len() == 2 && ids[0] != ids[1], &format!("the Call-IDs are {ids:?}"))?;
        Ok(world)
    },
};

pub(super) const SERVERS_EXPIRES: Scenario = Scenario {
    name: "servers_expires",
    shows: "pyVoIP #125: the server's Expires is ignored; here the refresh comes before it",
    play: |seed| {
        let (mut world, _, server) = at_server(seed, agreeing("Expires: 30\n"))?;
        world.pass(Duration::from_secs(300));
        let sent = server.requests(&world, "REGISTER");
        let late = sent.windows(2).any(|two| two[1].at.since(two[0].at).as_secs() >= 30);
        world.expect(!late && sent.len() > 9, &format!("{} in 300 s", sent.len()))?;
        Ok(world)
    },
};

pub(super) const TOO_BRIEF: Scenario = Scenario {
    name: "too_brief",
    shows: "pyVoIP #242: 423 is ignored; here the longer interval is asked for (RFC 3261 §10.2.8)",
    play: |seed| {
        let (world, _, server) =
            at_server(seed, |peer, arrival| match arrival.header("Expires").as_deref() {
                Some("600") => peer.reply(arrival, "200 OK", "Expires: 600\n"),
                _ => peer.reply(arrival, "423 Interval Too Brief", "Min-Expires: 600\n"),
            })?;
        let asked: Vec<_> =
            server.requests(&world, "REGISTER").iter().map(|r| r.header("Expires")).collect();
        let wanted = [Some("120".to_owned()), Some("600".to_owned())];
        world.expect(asked == wanted, &format!("asked for {asked:?}"))?;
        Ok(world)
    },
};

pub(super) const TO_THE_SOURCE: Scenario = Scenario {
    name: "to_the_source",
    shows: "pyVoIP #76: responses go to the Via host; here to the source, with received and rport",
    play: |seed| {
        let (mut world, alice, stranger) = scene(seed)?;
        let options = request("OPTIONS", 1, None, "");
        let options = options.replace("UDP 10.0.2.1:5060", "UDP 192.168.1.9:9999");
        stranger.say(&mut world, &alice, &options);
        let answer = stranger.expect_answer(&world, "1 OPTIONS", 200)?;
        let told = (via(&answer, "received"), via(&answer, "rport"));
        let wanted = (Some("10.0.2.1".to_owned()), Some("5060".to_owned()));
        world.expect(told == wanted, &format!("the Via has {told:?}"))?;
        Ok(world)
    },
};

pub(super) const RPORT_ASKED: Scenario = Scenario {
    name: "rport_asked",
    shows: "pyVoIP #58: no rport is asked for; here by every request (RFC 3581 §3)",
    play: |seed| {
        let (mut world, alice, server) =
            at_server(seed, |peer, arrival| match arrival.method().as_str() {
                "INVITE" => peer.reply(arrival, "200 OK", &described()),
                "ACK" | "" => {}
                _ => peer.reply(arrival, "200 OK", "Expires: 120\n"),
            })?;
        let call = world.call(&alice, "bob")?;
        world.wait_state(&alice, call, CallState::Answered)?;
        world.act(&alice, |phone| phone.hangup(call))?;
        world.wait_ended(&alice, call, Duration::from_secs(33))?;
        for request in world.sim[server.sip].received() {
            let asks = via(request, "rport").as_deref() == Some("");
            world.expect(asks, &format!("not by {}", request.first_line()))?;
        }
        Ok(world)
    },
};

pub(super) const OUTSIDE: Scenario = Scenario {
    name: "outside",
    shows: "pyVoIP #209 #153: a peer outside bind_network is told remote_hostname everywhere",
    play: |seed| {
        let mut parameters = PhoneParameters::without_server("alice");
        let network = "10.0.1.0/24".parse();
        parameters.bind_network = network.map_err(|e| format!("{e}"))?;
        parameters.hostname = Some("10.0.1.77".to_owned());
        parameters.remote_hostname = Some("203.0.113.7".to_owned());
        let mut world = World::new(seed);
        let alice = world.add(parameters)?;
        world.start(&alice)?;
        let stranger = Stranger::agreeable(&mut world);
        let call = stranger.is_called(&mut world, &alice)?;
        world.act(&alice, |phone| phone.hangup(call))?;
        world.wait_ended(&alice, call, Duration::from_secs(33))?;
        let Some(invite) = stranger.requests(&world, "INVITE").pop() else {
            return Err(world.failure("no INVITE came"));
        };
        let text = invite.text();
        let told = ["Contact", "Via", "From"].map(|name| invite.header(name).unwrap_or_default());
        let everywhere = told.iter().all(|value| value.contains("203.0.113.7"));
        world.expect(everywhere, &format!("told {told:?}"))?;
        world.expect(text.contains("c=IN IP4 203.0.113.7"), &format!("the SDP says {text}"))?;
        world.expect(!text.contains("10.0.1."), "the inner address was told too")?;
        // One inside is told the other name.
        let bob = world.telephone("bob")?;
        world.sim.record_wire(10);
        world.call(&alice, &format!("sip:bob@{}", bob.node.address()))?;
        world.wait_incoming(&bob)?;
        let invite =
            world.sim.wire().find(|p| p.text().starts_with("INVITE")).map(|p| own(p.text()));
        let inner = invite.is_some_and(|text| text.contains("10.0.1.77:5060;branch"));
        world.expect(inner, "the hostname was not told inside")?;
        Ok(world)
    },
};

pub(super) const OUTSIDE_UNTOLD: Scenario = Scenario {
    name: "outside_untold",
    shows: "pyVoIP's NATError: outside bind_network without remote_hostname nothing is sent",
    play: |seed| {
        let mut parameters = PhoneParameters::without_server("alice");
        parameters.bind_network = "10.0.1.0/24".parse().map_err(|e| format!("{e}"))?;
        let mut world = World::new(seed);
        let alice = world.add(parameters)?;
        world.start(&alice)?;
        let stranger = Stranger::agreeable(&mut world);
        let call = world.call(&alice, "sip:stranger@10.0.2.1")?;
        let error = world.wait(&alice, "end", Duration::from_secs(1), |event| match event {
            Event::Call { call: it, event: CallEvent::Ended(ending) } if *it == call => {
                Some(ending.error.clone())
            }
            _ => None,
        })?;
        let wanted = Some(Error::Nat { peer: STRANGER });
        world.expect(error == wanted, &format!("it ended with {error:?}"))?;
        let came = world.sim[stranger.sip].received().len();
        world.expect(came == 0, &format!("{came} messages came"))?;
        Ok(world)
    },
};

pub(super) const FAILED_START: Scenario = Scenario {
    name: "failed_start",
    shows: "pyVoIP's FAILED: it stays until the next start or stop, and everything is released",
    play: |seed| {
        let mut world = World::new(seed);
        let mut refusals = 2;
        let server = Stranger::reacting(&mut world, move |peer, arrival| {
            refusals -= i32::from(arrival.method() == "REGISTER");
            match refusals >= 0 {
                true => peer.reply(arrival, "403 Forbidden", ""),
                false => peer.reply(arrival, "200 OK", "Expires: 120\n"),
            }
        });
        let alice = world.add(server_parameters())?;
        for end in [PhoneStatus::Failed, PhoneStatus::Inactive] {
            world.act(&alice, |phone| phone.start())?;
            world.wait_status(&alice, PhoneStatus::Failed)?;
            if end == PhoneStatus::Inactive {
                world.act(&alice, |phone| {
                    phone.stop();
                    Ok(())
                })?;
                world.wait_status(&alice, end)?;
            }
            world.pass(Duration::from_secs(3_600));
            let softphone = &world.sim[alice.node];
            let (status, deadline) = (
                softphone.phone().status(),
                offhook_core::host::Endpoint::next_deadline(softphone),
            );
            world.expect(status == end, &format!("an hour later it is {status:?}"))?;
            world.expect(deadline.is_none(), &format!("something is due at {deadline:?}"))?;
            let ports = world.sim.media_ports(alice.node);
            world.expect(ports == 0, &format!("{ports} ports are kept"))?;
            // Nobody is at home, and nobody answers.
            server.say(&mut world, &alice, &request("INVITE", 1, None, &session(SDP)));
            let calls = world.sim[alice.node].phone().calls().count();
            world.expect(calls == 0, "a phone that failed has taken a call")?;
            let called = world.sim.node_mut(alice.node).phone_mut().call("bob", Default::default());
            let wanted = Err(Error::InvalidStatus { command: "call from", status: end });
            world.expect(called == wanted, &format!("call gave {called:?}"))?;
        }
        world.start(&alice)?;
        Ok(world)
    },
};

pub(super) const FAILED_IN_A_CALL: Scenario = Scenario {
    name: "failed_in_a_call",
    shows: "pyVoIP's FAILED: a call goes on when the registration is lost; its end releases the rest",
    play: |seed| {
        let mut refuses = false;
        let (mut world, alice, server) =
            at_server(seed, move |peer, arrival| match arrival.method().as_str() {
                "REGISTER" if refuses => peer.reply(arrival, "403 Forbidden", ""),
                "REGISTER" => {
                    peer.reply(arrival, "200 OK", "Expires: 20\n");
                    refuses = true;
                }
                "INVITE" => peer.reply(arrival, "200 OK", &described()),
                "ACK" | "" => {}
                _ => peer.reply(arrival, "200 OK", ""),
            })?;
        let call = world.call(&alice, "bob")?;
        world.wait_state(&alice, call, CallState::Answered)?;
        world.wait_status(&alice, PhoneStatus::Failed)?;
        world.pass(Duration::from_secs(5));
        let state = world.sim[alice.node].phone().state(call);
        world.expect(state == Some(CallState::Answered), &format!("the call is {state:?}"))?;
        server.say(&mut world, &alice, &request("INVITE", 1, None, &session(SDP)));
        server.expect_answer(&world, "1 INVITE", 480)?;
        world.act(&alice, |phone| phone.hangup(call))?;
        world.wait_ended(&alice, call, Duration::from_secs(33))?;
        let softphone = &world.sim[alice.node];
        let due = offhook_core::host::Endpoint::next_deadline(softphone);
        world.expect(due.is_none(), &format!("something is due at {due:?}"))?;
        let ports = world.sim.media_ports(alice.node);
        world.expect(ports == 0, &format!("{ports} ports are kept"))?;
        let status = world.sim[alice.node].phone().status();
        world.expect(status == PhoneStatus::Failed, &format!("it is {status:?}"))?;
        Ok(world)
    },
};

/// A telephone registered at a scripted server.
fn at_server(
    seed: u64,
    reaction: impl FnMut(&mut ScriptedPeer, &Arrival) + 'static,
) -> Outcome<(World, Telephone, Stranger)> {
    let mut world = World::new(seed);
    let server = Stranger::reacting(&mut world, reaction);
    let alice = world.add(server_parameters())?;
    world.start(&alice)?;
    Ok((world, alice, server))
}

fn server_parameters() -> PhoneParameters {
    PhoneParameters::new(&STRANGER.to_string(), "alice").password("secret")
}

/// A server that takes everything, with these header lines.
fn agreeing(more: &'static str) -> impl FnMut(&mut ScriptedPeer, &Arrival) + 'static {
    move |peer, arrival| {
        if !["ACK", ""].contains(&arrival.method().as_str()) {
            peer.reply(arrival, "200 OK", more);
        }
    }
}

fn challenge(peer: &mut ScriptedPeer, request: &Arrival) {
    let wants =
        "WWW-Authenticate: Digest realm=\"r\", nonce=\"n\", qop=\"auth\", algorithm=SHA-256\n";
    peer.reply(request, "401 Unauthorized", wants);
}

fn via(message: &Arrival, name: &str) -> Option<String> {
    parameter(&message.header("Via").unwrap_or_default(), name)
}

fn own(text: std::borrow::Cow<'_, str>) -> String {
    text.into_owned()
}
