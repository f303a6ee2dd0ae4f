//! Messages that pyVoIP's parser drops whole. Here each is read, and a stranger gets the answer
//! that it waits for (a tolerant parser: pyVoIP #301 #256 #154 #238).

use offhook_core::event::{CallState, Event, PhoneEvent};
use offhook_core::sim::Arrival;
use offhook_core::time::Duration;

use super::Scenario;
use crate::stranger::{SDP, Stranger, described, request, scene, session};
use crate::world::{Outcome, Telephone, World};

pub(super) const INFO: Scenario = Scenario {
    name: "info",
    shows: "pyVoIP #301: INFO is dropped whole; here it is answered within a call",
    play: |seed| {
        let (mut world, alice, stranger) = scene(seed)?;
        let (_, to_tag) = stranger.calls(&mut world, &alice, "")?;
        stranger.say(&mut world, &alice, &request("INFO", 2, Some(&to_tag), ""));
        stranger.expect_answer(&world, "2 INFO", 200)?;
        Ok(world)
    },
};

pub(super) const UPDATE: Scenario = Scenario {
    name: "update",
    shows: "pyVoIP #256: UPDATE is dropped whole; here it moves the target of the call",
    play: |seed| {
        let (mut world, alice, stranger) = scene(seed)?;
        let (call, to_tag) = stranger.calls(&mut world, &alice, "")?;
        let update = request("UPDATE", 2, Some(&to_tag), "");
        let update = update.replace("sip:stranger@10.0.2.1:5060", "sip:moved@10.0.2.1:5060");
        stranger.say(&mut world, &alice, &update);
        stranger.expect_answer(&world, "2 UPDATE", 200)?;
        world.act(&alice, |phone| phone.hangup(call))?;
        world.pass(Duration::from_millis(50));
        let bye = stranger.requests(&world, "BYE").pop().map(|bye| bye.first_line());
        let wanted = Some("BYE sip:moved@10.0.2.1:5060 SIP/2.0".to_owned());
        world.expect(bye == wanted, &format!("{bye:?}"))?;
        Ok(world)
    },
};

pub(super) const PRACK: Scenario = Scenario {
    name: "prack",
    shows: "pyVoIP #154: PRACK is dropped whole; here one that acknowledges nothing gets an answer",
    play: |seed| {
        let (mut world, alice, stranger) = scene(seed)?;
        stranger.say(&mut world, &alice, &request("PRACK", 1, None, "RAck: 1 1 INVITE\n"));
        stranger.expect_answer(&world, "1 PRACK", 481)?;
        Ok(world)
    },
};

pub(super) const UNKNOWN_STATUS: Scenario = Scenario {
    name: "unknown_status",
    shows: "pyVoIP #238: an unknown status is dropped; here it counts as the x00 of its class",
    play: |seed| {
        let mut world = World::new(seed);
        let alice = world.telephone("alice")?;
        let stranger = Stranger::reacting(&mut world, |peer, arrival| {
            match (arrival.method().as_str(), arrival.first_line().contains("nobody@")) {
                ("INVITE", true) => peer.reply(arrival, "477 Whatever", ""),
                ("INVITE", false) => {
                    peer.reply(arrival, "199 Early", "");
                    peer.reply(arrival, "299 Fine", &described());
                }
                ("BYE", _) => peer.reply(arrival, "200 OK", ""),
                _ => {}
            }
        });
        let call = stranger.is_called(&mut world, &alice)?;
        world.act(&alice, |phone| phone.hangup(call))?;
        world.wait_ended(&alice, call, Duration::from_secs(33))?;
        let call = world.call(&alice, "sip:nobody@10.0.2.1")?;
        let ended = world.wait_ended(&alice, call, Duration::from_secs(33))?.1;
        world.expect(ended == Some(477), &format!("{ended:?}"))?;
        Ok(world)
    },
};

pub(super) const NO_SPACE_AFTER_COLON: Scenario = Scenario {
    name: "no_space_after_colon",
    shows: "pyVoIP: no space after a colon, and the message is dropped; here it is read",
    play: |seed| takes_invite(seed, |invite| invite.replace(": ", ":"), no_more),
};

pub(super) const COMPACT_NAMES: Scenario = Scenario {
    name: "compact_names",
    shows: "pyVoIP: compact header names are dropped; here they are read (RFC 3261 §7.3.3)",
    play: |seed| {
        takes_invite(
            seed,
            |invite| {
                let names = [
                    ("Via:", "v:"),
                    ("From:", "f:"),
                    ("To:", "t:"),
                    ("Call-ID:", "i:"),
                    ("Contact:", "m:"),
                    ("Content-Type:", "c:"),
                    ("Content-Length:", "l:"),
                ];
                names.iter().fold(invite, |text, (long, short)| text.replace(long, short))
            },
            no_more,
        )
    },
};

pub(super) const FOLDED_LINES: Scenario = Scenario {
    name: "folded_lines",
    shows: "pyVoIP: folded headers are dropped; here they are one line (RFC 3261 §7.3.1)",
    play: |seed| {
        takes_invite(
            seed,
            |invite| {
                let folded =
                    [("From: Stranger ", "From: Stranger\r\n  "), (";rport", "\r\n\t;rport")];
                folded.iter().fold(invite, |text, (plain, folded)| text.replace(plain, folded))
            },
            |world, alice| expect_caller(world, alice, "sip:stranger@10.0.2.1"),
        )
    },
};

pub(super) const IPV6_IN_VIA: Scenario = Scenario {
    name: "ipv6_in_via",
    shows: "pyVoIP: IPv6 in Via is dropped; here it is read, and the answer goes to the source",
    play: |seed| {
        takes_invite(
            seed,
            |invite| {
                let via = "Via: SIP/2.0/UDP [2001:db8::9]:5060;branch=z9hG4bKINVITE1";
                invite.replace("Via: SIP/2.0/UDP 10.0.2.1:5060;branch=z9hG4bKINVITE1", via)
            },
            no_more,
        )
    },
};

pub(super) const SAVPF: Scenario = Scenario {
    name: "savpf",
    shows: "pyVoIP: RTP/SAVPF drops the message; here an offer of it alone is answered, with 488",
    play: |seed| {
        let (mut world, alice, stranger) = scene(seed)?;
        let offer = session(&SDP.replace("RTP/AVP", "RTP/SAVPF"));
        stranger.say(&mut world, &alice, &request("INVITE", 1, None, &offer));
        stranger.expect_answer(&world, "1 INVITE", 488)?;
        Ok(world)
    },
};

pub(super) const ODD_USERS: Scenario = Scenario {
    name: "odd_users",
    shows: "pyVoIP: `. - % *` in a user drops the message; here it rings, and the user is told whole",
    play: |seed| {
        let change = |invite: String| {
            let from = "sip:a.b-c%20d*2@10.0.2.1>;tag";
            invite.replace("sip:stranger@10.0.2.1>;tag", from).replace("alice@", "*98-1.0%23@")
        };
        takes_invite(seed, change, |world, alice| {
            expect_caller(world, alice, "sip:a.b-c%20d*2@10.0.2.1")
        })
    },
};

pub(super) const TEL_URI: Scenario = Scenario {
    name: "tel_uri",
    shows: "pyVoIP: `tel:` drops the message; here a caller with a tel URI rings and is told",
    play: |seed| {
        let change =
            |invite: String| invite.replace("<sip:stranger@10.0.2.1>;tag", "<tel:+49-30-1234>;tag");
        takes_invite(seed, change, |world, alice| expect_caller(world, alice, "tel:+49-30-1234"))
    },
};

pub(super) const QUOTED_NAMES: Scenario = Scenario {
    name: "quoted_names",
    shows: "pyVoIP: a quoted display name without a space drops the message; here it is read",
    play: |seed| {
        let change = |invite: String| {
            let named = r#"From: "Doe, \"J\" <x>"<sip:stranger@10.0.2.1>"#;
            invite.replace("From: Stranger <sip:stranger@10.0.2.1>", named)
        };
        takes_invite(seed, change, |world, alice| {
            let phone = world.sim[alice.node].phone();
            let name = phone.calls().next().and_then(|call| phone.info(call)?.remote_name);
            let wanted = Some(r#"Doe, "J" <x>"#);
            world.expect(name.as_deref() == wanted, &format!("the name is {name:?}"))
        })
    },
};

pub(super) const HYPHENS_IN_HOSTS: Scenario = Scenario {
    name: "hyphens_in_hosts",
    shows: "pyVoIP: host names with a hyphen are cut; here BYE goes to the whole name",
    play: |seed| {
        let mut world = World::new(seed);
        let alice = world.telephone("alice")?;
        let contact = described().replace("stranger@10.0.2.1", "stranger@my-pbx-2.example.com");
        let stranger =
            Stranger::reacting(&mut world, move |peer, arrival| match arrival.method().as_str() {
                "INVITE" => peer.reply(arrival, "200 OK", &contact),
                "BYE" => peer.reply(arrival, "200 OK", ""),
                _ => {}
            });
        world.sim.set_name("my-pbx-2.example.com", &[crate::world::STRANGER]);
        let call = world.call(&alice, "sip:stranger@my-pbx-2.example.com")?;
        world.wait_state(&alice, call, CallState::Answered)?;
        world.pass(Duration::from_millis(100));
        world.act(&alice, |phone| phone.hangup(call))?;
        world.pass(Duration::from_millis(100));
        for name in ["INVITE", "ACK", "BYE"] {
            let line = stranger.requests(&world, name).pop().map(|request| request.first_line());
            let whole = line.as_ref().is_some_and(|line| line.contains("@my-pbx-2.example.com"));
            world.expect(whole, &format!("{name}: {line:?}"))?;
        }
        Ok(world)
    },
};

/// An INVITE, changed, rings at Alice; she answers, and the caller gets her session description.
fn takes_invite(
    seed: u64,
    change: fn(String) -> String,
    look: impl FnOnce(&World, &Telephone) -> Outcome,
) -> Outcome<World> {
    let (mut world, alice, stranger) = scene(seed)?;
    let invite = change(request("INVITE", 1, None, &session(SDP)));
    stranger.say(&mut world, &alice, &invite);
    let call = world.wait_incoming(&alice)?;
    let codes: Vec<u16> = world.sim[stranger.sip].received().iter().map(Arrival::status).collect();
    world.expect(codes.last() == Some(&180), &format!("it was answered {codes:?}"))?;
    look(&world, &alice)?;
    world.act(&alice, |phone| phone.answer(call))?;
    world.pass(Duration::from_millis(50));
    let sdp = stranger.last_sdp(&world)?;
    world.expect(sdp.contains("m=audio 1"), &format!("answered {sdp}"))?;
    Ok(world)
}

/// Nothing more is to be seen.
fn no_more(_: &World, _: &Telephone) -> Outcome {
    Ok(())
}

/// The application was told that this URI calls.
fn expect_caller(world: &World, alice: &Telephone, uri: &str) -> Outcome {
    let told = alice.events().into_iter().find_map(|(_, event)| match event {
        Event::Phone(PhoneEvent::Incoming { from, .. }) => Some(from),
        _ => None,
    });
    world.expect(told.as_deref() == Some(uri), &format!("the caller is {told:?}"))
}
