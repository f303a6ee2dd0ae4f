//! Digits on bad networks.

use super::*;

const ALL: &str = "0123456789*#ABCD";

#[test]
fn every_digit_arrives_once_at_a_fifth_lost() {
    for seed in 0..40 {
        let mut dice = Dice::new(seed);
        let network = move |_, at| match dice.roll(5) {
            0 => vec![],
            _ => vec![at + Duration::from_millis(30)],
        };
        let mut pair = Pair::over(Box::new(network), delayed(30));
        pair.alice.session.send_dtmf(ALL).unwrap();
        pair.run(Duration::from_secs(5), |_| ());
        assert_eq!(pair.bob.digits(), ALL, "seed {seed}");
        assert_eq!(pair.bob.session.take_dtmf(None), ALL);
        assert_eq!(pair.alice.events, [MediaEvent::DtmfSent]);
    }
}

#[test]
fn digits_survive_loss_duplication_and_reordering_together() {
    for seed in 0..40 {
        let mut dice = Dice::new(seed + 1_000);
        let network = move |_, at| match dice.roll(20) {
            0 => vec![],
            1 | 2 => vec![at + Duration::from_millis(30), at + Duration::from_millis(45)],
            _ => vec![at + Duration::from_millis(20 + dice.roll(35))],
        };
        let mut pair = Pair::over(Box::new(network), delayed(30));
        pair.alice.session.send_dtmf("11223344#*").unwrap();
        pair.run(Duration::from_secs(5), |_| ());
        assert_eq!(pair.bob.digits(), "11223344#*", "seed {seed}");
    }
}

#[test]
fn digits_have_their_limits() {
    let mut pair = Pair::new();
    let session = &mut pair.alice.session;
    assert_eq!(session.send_dtmf("12x"), Err(DtmfError::InvalidDigit { digit: 'x' }));
    assert_eq!(session.send_dtmf("１"), Err(DtmfError::InvalidDigit { digit: '１' }));
    assert_eq!(session.send_dtmf(&"1".repeat(257)), Err(DtmfError::TooMany { limit: 256 }));
    assert_eq!(session.send_dtmf("abcd"), Ok(()));
    pair.run(Duration::from_secs(2), |_| ());
    assert_eq!(pair.bob.digits(), "ABCD");
    let without = Agreed { telephone_event_send: None, ..agreed(BOB) };
    pair.alice.control(configure(without));
    assert_eq!(pair.alice.session.send_dtmf("1"), Err(DtmfError::NotAgreed));
}

use crate::rtp::DtmfError;
