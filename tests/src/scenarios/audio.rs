//! Sound and digits, measured.

use offhook_core::codec::measure::{Tone, level_dbov, longest_gap, share_at};
use offhook_core::event::CallId;
use offhook_core::sim::Link;
use offhook_core::time::{Duration, Instant};
use offhook_core::trace::Kind;

use super::Scenario;
use crate::world::{Outcome, RATE, Telephone, World};

/// The peak of the tones spoken here, and their level: 20·log10(8000/32768) - 3.01 dB.
const AMPLITUDE: i16 = 8_000;
const LEVEL_DBOV: f64 = -15.26;

/// How long a tone lasts.
const SPOKEN: Duration = Duration::from_secs(2);

pub(super) const TONE_BOTH_WAYS: Scenario = Scenario {
    name: "tone_both_ways",
    shows: "a tone each way keeps its frequency and level and has no gap",
    play: |seed| {
        let mut world = World::new(seed);
        let (alice, out, bob, inc) = pair(&mut world)?;
        speak(&mut world, &alice, out, 1_000)?;
        speak(&mut world, &bob, inc, 300)?;
        world.pass(Duration::from_secs(3));
        expect_tone(&world, &bob.heard(inc), 1_000)?;
        expect_tone(&world, &alice.heard(out), 300)?;
        world.disconnect((&bob, inc), (&alice, out))?;
        Ok(world)
    },
};

pub(super) const TONE_UNDER_LOSS: Scenario = Scenario {
    name: "tone_under_loss",
    shows: "with 5 % loss, 30 ms jitter and reordering the tone is concealed, not cut (pyVoIP #181 #159)",
    play: |seed| {
        let mut world = World::new(seed);
        let (alice, out, bob, inc) = pair(&mut world)?;
        world.sim.set_default_link(Link {
            delay: Duration::from_millis(40),
            jitter: Duration::from_millis(30),
            duplicate_permille: 10,
            reorder_permille: 10,
            ..Link::lossy(50)
        });
        // Let the jitter buffer learn the network first.
        world.pass(Duration::from_secs(5));
        let silence = bob.heard(inc).len();
        speak(&mut world, &alice, out, 500)?;
        world.pass(Duration::from_secs(3));
        let heard = &bob.heard(inc)[silence..];
        let tone = sounding(heard);
        let seconds = tone.len() as f64 / f64::from(RATE);
        world.expect((1.8..2.3).contains(&seconds), &format!("{seconds} s were heard"))?;
        let share = share_at(tone, RATE, 500.0);
        world.expect(share > 0.8, &format!("{share} of the power is the tone"))?;
        let gap = longest_gap(tone, RATE, LEVEL_DBOV - 20.0);
        world.expect(gap < Duration::from_millis(60), &format!("a gap of {gap:?}"))?;
        world.sim.set_default_link(Link::default());
        world.disconnect((&alice, out), (&bob, inc))?;
        Ok(world)
    },
};

pub(super) const DIGITS_UNDER_LOSS: Scenario = Scenario {
    name: "digits_under_loss",
    shows: "digits arrive once, in order, under 20 % loss (diago#21 #31, livekit/sip#585, pyVoIP #265)",
    play: |seed| {
        let mut world = World::new(seed);
        let (alice, out, bob, inc) = pair(&mut world)?;
        world.sim.set_default_link(Link { duplicate_permille: 50, ..Link::lossy(200) });
        let digits = "0123456789*#ABCD";
        world.media(&alice, out)?.send_dtmf(digits).map_err(|e| e.to_string())?;
        world.pass(Duration::from_secs(8));
        let heard = bob.digits(inc);
        world.expect(heard == digits, &format!("digits {heard:?}"))?;
        let taken = world.media(&bob, inc)?.take_dtmf(None);
        world.expect(taken == digits, &format!("take_dtmf has {taken:?}"))?;
        world.sim.set_default_link(Link::default());
        world.disconnect((&alice, out), (&bob, inc))?;
        Ok(world)
    },
};

pub(super) const STALL_MAKES_NO_BURST: Scenario = Scenario {
    name: "stall_makes_no_burst",
    shows: "after a host stalls for 500 ms its media goes on in step, without a burst (pyVoIP #165)",
    play: |seed| {
        let mut world = World::new(seed);
        let (alice, out, bob, inc) = pair(&mut world)?;
        world.sim.record_wire(10_000);
        speak(&mut world, &alice, out, 440)?;
        world.pass(Duration::from_millis(700));
        let stalled = world.sim.now();
        world.sim.stall(alice.node, Duration::from_millis(500));
        world.pass(Duration::from_secs(3));
        let sent = rtp_times(&world, &alice);
        let after: Vec<Instant> = sent.into_iter().filter(|at| *at > stalled).collect();
        world.expect(after.len() > 80, &format!("{} packets after the stall", after.len()))?;
        let first = after.first().copied().unwrap_or_default();
        let at_once = after.iter().filter(|at| at.since(first).as_millis() < 15).count();
        world.expect(at_once <= 4, &format!("{at_once} packets at once"))?;
        let steady = after.iter().skip(at_once).zip(after.iter().skip(at_once + 1));
        let uneven = steady.filter(|(a, b)| b.since(**a).as_micros() != 20_000).count();
        world.expect(uneven == 0, &format!("{uneven} packets out of step"))?;
        let frames = bob.heard(inc);
        world.expect(!sounding(&frames).is_empty(), "nothing was heard")?;
        world.disconnect((&alice, out), (&bob, inc))?;
        Ok(world)
    },
};

pub(super) const RATES: Scenario = Scenario {
    name: "rates",
    shows: "8, 16, 24, 44.1 and 48 kHz in any chunk (livekit/node-sdks#679; pyVoIP: 8 kHz alone)",
    play: |seed| {
        let mut world = World::new(seed);
        let (alice, out, bob, inc) = pair(&mut world)?;
        for (rate, chunk) in
            [(8_000, 160), (16_000, 333), (24_000, 7), (44_100, 1_000), (48_000, 4_801)]
        {
            let before = bob.heard(inc).len();
            let samples = Tone::new(rate, 700, AMPLITUDE).take(2 * rate as usize);
            for part in samples.chunks(chunk) {
                world.media(&alice, out)?.write_audio(rate, part);
            }
            world.pass(Duration::from_secs(3));
            expect_tone(&world, &bob.heard(inc)[before..], 700)
                .map_err(|failure| format!("at {rate} Hz: {failure}"))?;
        }
        world.disconnect((&alice, out), (&bob, inc))?;
        Ok(world)
    },
};

/// Two telephones in a call without an exchange.
fn pair(world: &mut World) -> Outcome<(Telephone, CallId, Telephone, CallId)> {
    let alice = world.telephone("alice")?;
    let bob = world.telephone("bob")?;
    let target = format!("sip:bob@{}", bob.node.address());
    let (out, inc) = world.connect(&alice, &bob, &target)?;
    Ok((alice, out, bob, inc))
}

/// Speaks a tone of two seconds.
pub(super) fn speak(world: &mut World, from: &Telephone, call: CallId, hertz: u32) -> Outcome {
    speak_at(world, from, call, RATE, hertz)
}

/// The same at another rate.
pub(super) fn speak_at(
    world: &mut World,
    from: &Telephone,
    call: CallId,
    rate: u32,
    hertz: u32,
) -> Outcome {
    let samples = Tone::new(rate, hertz, AMPLITUDE).take(2 * rate as usize);
    let taken = world.media(from, call)?.write_audio(rate, &samples);
    world.expect(taken == samples.len(), &format!("only {taken} samples were taken"))
}

/// What was heard is two seconds of that tone at the level at which it was spoken.
pub(super) fn expect_tone(world: &World, heard: &[i16], hertz: u32) -> Outcome {
    expect_tone_at(world, heard, RATE, hertz)
}

/// The same of what was heard at another rate.
pub(super) fn expect_tone_at(world: &World, heard: &[i16], rate: u32, hertz: u32) -> Outcome {
    let tone = sounding(heard);
    let length = Duration::from_micros(tone.len() as u64 * 1_000_000 / u64::from(rate));
    let missing = SPOKEN.as_micros().abs_diff(length.as_micros());
    world.expect(missing < 25_000, &format!("{length:?} of {hertz} Hz were heard"))?;
    let inner = tone.get(400..tone.len().saturating_sub(400)).unwrap_or_default();
    let share = share_at(inner, rate, f64::from(hertz));
    world.expect(share > 0.99, &format!("{share} of the power is at {hertz} Hz"))?;
    let level = level_dbov(inner);
    world.expect((level - LEVEL_DBOV).abs() < 0.5, &format!("{hertz} Hz came at {level} dBov"))?;
    let gap = longest_gap(inner, rate, LEVEL_DBOV - 20.0);
    world.expect(gap < Duration::from_millis(2), &format!("a gap of {gap:?} in {hertz} Hz"))
}

/// What was heard, without the silence before and after.
fn sounding(heard: &[i16]) -> &[i16] {
    let loud = |sample: &i16| sample.unsigned_abs() > 200;
    let Some(first) = heard.iter().position(loud) else { return &[] };
    let last = heard.iter().rposition(loud).unwrap_or(first);
    &heard[first..=last]
}

/// When a telephone sent RTP.
fn rtp_times(world: &World, telephone: &Telephone) -> Vec<Instant> {
    let from_here = world.sim.wire().filter(|p| p.from.ip() == telephone.node.ip());
    from_here.filter(|p| p.kind == Kind::Rtp).map(|p| p.sent).collect()
}
