use super::*;
use crate::codec::measure::{self, Noise, Tone};

/// A sequence of ITU-T G.722 Appendix II.
fn words(name: &str) -> Option<Vec<u16>> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/vectors/g722/");
    let bytes = std::fs::read(format!("{folder}{name}")).ok()?;
    Some(bytes.chunks_exact(2).map(|w| u16::from_be_bytes([w[0], w[1]])).collect())
}

/// The sequences go past the filters: one word is a sample of both bands, or a byte. A word whose last
/// bit is set resets the codec.
#[test]
fn the_itu_sequences_are_reproduced() {
    if words("bt1c1.xmt").is_none() {
        println!("shared/vectors/g722 is not here: the ITU sequences were not checked");
        return;
    }
    for (signal, coded) in [("bt1c1.xmt", "bt2r1.cod"), ("bt1c2.xmt", "bt2r2.cod")] {
        let mut encoder = Encoder::new();
        let made: Vec<u16> = words(signal)
            .unwrap()
            .into_iter()
            .map(|word| {
                if word & 1 != 0 {
                    encoder = Encoder::new();
                    return 1;
                }
                let sample = i32::from(word as i16 >> 1);
                u16::from(encoder.encode_bands(sample, sample)) << 8
            })
            .collect();
        same(coded, &made);
    }
    for (coded, number) in [("bt2r1.cod", 1), ("bt2r2.cod", 2), ("bt1d3.cod", 3)] {
        for (mode, digit) in [(Mode::Kbit64, 1), (Mode::Kbit56, 2), (Mode::Kbit48, 3)] {
            let mut decoder = Decoder::new(mode);
            let (lower, higher): (Vec<u16>, Vec<u16>) = words(coded)
                .unwrap()
                .into_iter()
                .map(|word| {
                    if word & 1 != 0 {
                        decoder = Decoder::new(mode);
                        return (1, 1);
                    }
                    let (lower, higher) = decoder.decode_bands((word >> 8) as u8);
                    ((lower << 1) as u16, (higher << 1) as u16)
                })
                .unzip();
            same(&format!("bt3l{number}.rc{digit}"), &lower);
            same(&format!("bt3h{number}.rc0"), &higher);
        }
    }
}

fn same(name: &str, made: &[u16]) {
    let expected = words(name).unwrap();
    assert_eq!(made.len(), expected.len(), "{name}");
    let differs = made.iter().zip(&expected).position(|(a, b)| a != b);
    assert_eq!(differs, None, "{name}: the first word that differs");
}

/// FNV-1a.
fn hash(bytes: impl IntoIterator<Item = u8>) -> u64 {
    bytes.into_iter().fold(0xCBF2_9CE4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01B3)
    })
}

fn encode(samples: &[i16]) -> Vec<u8> {
    let mut payload = vec![0; samples.len() / 2];
    Encoder::new().encode(samples, &mut payload);
    payload
}

fn decode(mode: Mode, payload: &[u8]) -> Vec<i16> {
    let mut samples = vec![0; payload.len() * 2];
    Decoder::new(mode).decode(payload, &mut samples);
    samples
}

/// Our own vector, for where the ITU's is not: a loud tone that glides through noise, and its hashes
/// from a build that reproduced the sequences of the ITU.
#[test]
fn a_seeded_signal_is_coded_as_before() {
    let noise = Noise::new(722, 9_000).take(16_000);
    let glide = (0..160).flat_map(|n| Tone::new(16_000, 50 * n, 23_000).take(100));
    let signal: Vec<i16> = noise.into_iter().zip(glide).map(|(a, b)| a.saturating_add(b)).collect();
    let payload = encode(&signal);
    let heard = [Mode::Kbit64, Mode::Kbit56, Mode::Kbit48]
        .map(|mode| hash(decode(mode, &payload).iter().flat_map(|sample| sample.to_le_bytes())));
    assert_eq!(hash(payload), 0xB2F5_71E1_9FFF_1A98);
    assert_eq!(heard, [0x66B4_894E_3884_830B, 0x3F0B_8760_1EA4_0760, 0x51AE_FD61_E41E_8E9A]);
}

#[test]
fn tones_of_both_bands_keep_frequency_and_level() {
    for frequency in [300, 1_000, 3_400, 5_000, 6_800] {
        let signal = Tone::new(16_000, frequency, 10_000).take(16_000);
        let heard = decode(Mode::Kbit64, &encode(&signal));
        let (signal, heard) = (&signal[1_000..], &heard[1_000..]);
        let share = measure::share_at(heard, 16_000, frequency.into());
        assert!(share > 0.98, "{frequency} Hz: {share}");
        let change = measure::level_dbov(heard) - measure::level_dbov(signal);
        assert!(change.abs() < 0.5, "{frequency} Hz: {change} dB");
    }
}

/// The filters delay by 22 samples (§1.4.5 allows 4 ms), whatever the pieces are.
#[test]
fn the_size_of_the_pieces_makes_no_difference() {
    let signal = Noise::new(5, 8_000).take(3_200);
    let whole = encode(&signal);
    let mut encoder = Encoder::new();
    let mut pieces = Vec::new();
    for piece in signal.chunks(160) {
        let mut payload = [0; 80];
        encoder.encode(piece, &mut payload);
        pieces.extend(payload);
    }
    assert!(pieces == whole);
    let heard = decode(Mode::Kbit64, &whole);
    let (delay, _) = measure::delay(&signal, &heard, 64).unwrap();
    assert_eq!(delay, 22);
}

/// No signal and no byte takes a state out of its bounds: arithmetic that overflowed would panic here.
#[test]
fn extremes_stay_in_range() {
    let square: Vec<i16> =
        (0..4_000).map(|n| if n / 7 % 2 == 0 { i16::MAX } else { i16::MIN }).collect();
    for signal in [square, vec![i16::MIN; 4_000], Noise::new(1, i16::MAX).take(4_000)] {
        decode(Mode::Kbit64, &encode(&signal));
    }
    for byte in 0..=u8::MAX {
        decode(Mode::Kbit64, &[byte; 600]);
    }
}

#[test]
fn the_shorter_slice_decides() {
    let mut payload = [7; 3];
    Encoder::new().encode(&[1; 5], &mut payload);
    assert_eq!(payload[2], 7, "an odd sample is left out");
    let mut samples = [7; 3];
    Decoder::new(Mode::Kbit64).decode(&[0; 9], &mut samples);
    assert_eq!(samples[2], 7);
}
