//! Calls between two phones.

use super::scene::{ALICE, BOB, Scene};
use crate::event::{CallState, EndedBy};

#[test]
fn a_call_is_answered_and_hung_up() {
    let mut scene = Scene::new();
    let (alice, bob) = (scene.direct(ALICE, "alice"), scene.direct(BOB, "bob"));
    let (calling, called) = scene.answered(&alice, &bob);
    scene.tell(&alice, |phone| phone.hangup(calling)).unwrap();
    assert_eq!(scene.ended(&alice, calling), (EndedBy::Local, None));
    assert_eq!(scene.ended(&bob, called), (EndedBy::Remote, None));
    assert_eq!(
        scene.lines(),
        ["1>2 INVITE", "2>1 180", "2>1 200", "1>2 ACK", "1>2 BYE", "2>1 200"]
    );
    assert_eq!(
        alice.states(calling),
        [
            (CallState::Dialing, None),
            (CallState::Dialing, Some(180)),
            (CallState::Answered, Some(200)),
            (CallState::Ended, None),
        ]
    );
    scene.assert_idle(&alice);
    scene.assert_idle(&bob);
}
