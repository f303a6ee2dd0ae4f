//! What stands beside a session description in a body (RFC 5621).

use offhook_core::event::CallState;
use offhook_core::time::Duration;

use super::Scenario;
use super::calls::expect_nothing_left;
use crate::stranger::{SDP, request, scene};

pub(super) const MULTIPART: Scenario = Scenario {
    name: "multipart",
    shows: "a trunk's INVITE has ISUP beside the session description: that is found, the rest readable, \
            and refused with 415 where it says that it has to be understood (RFC 5621 §8)",
    play: |seed| {
        let (mut world, alice, stranger) = scene(seed)?;
        let body = |handling: &str| {
            format!(
                "Content-Type: multipart/mixed;boundary=trunk\n\n\
                 --trunk\nContent-Type: application/isup; version=itu-t92+\n\
                 Content-Disposition: signal; handling={handling}\n\n\u{1}\u{10}\n\
                 --trunk\nContent-Type: application/sdp\n\n{SDP}\n--trunk--\n"
            )
        };
        let required = request("INVITE", 1, None, &body("required"));
        stranger.say(&mut world, &alice, &required);
        let refused = stranger.expect_answer(&world, "1 INVITE", 415)?;
        let accepted = refused.header("Accept").unwrap_or_default();
        world.expect(accepted.contains("multipart/mixed"), &accepted)?;
        stranger.say(&mut world, &alice, &request("ACK", 1, None, ""));
        stranger.say(&mut world, &alice, &request("INVITE", 2, None, &body("optional")));
        let call = world.wait_incoming(&alice)?;
        let parts = world.sim[alice.node].phone().info(call).map(|info| info.parts());
        let isup = parts.as_ref().and_then(|parts| parts.first()).map(|part| &part.body[..]);
        world.expect(isup == Some(&[1, 16]), &format!("{parts:?}"))?;
        world.act(&alice, |phone| phone.answer(call))?;
        world.pass(Duration::from_millis(50));
        let answer = stranger.expect_answer(&world, "2 INVITE", 200)?;
        let tag = crate::stranger::tag(&answer.header("To").unwrap_or_default());
        stranger.say(&mut world, &alice, &request("ACK", 2, Some(&tag), ""));
        world.wait_state(&alice, call, CallState::Answered)?;
        stranger.say(&mut world, &alice, &request("BYE", 3, Some(&tag), ""));
        world.wait_ended(&alice, call, Duration::from_secs(33))?;
        expect_nothing_left(&mut world, &[&alice])?;
        Ok(world)
    },
};
