//! The files that are played and recorded: WAVs of every kind, and those that fail.
#![cfg(all(feature = "cli", unix))]

mod common;
#[path = "common/process.rs"]
mod process;

use std::path::Path;

use common::*;
use offhook::core::codec::measure::Tone;
use offhook::core::internals::g711;
use offhook::{Transfer, TransferMode};
use offhook_tests::stall::{awaited_unless_stalled, unless_stalled};
use process::Offhook;
use tempfile::tempdir;

/// A WAV file: its coding's number, its channels and rate, the bits of a sample, its sound, and the length
/// that it says that has.
fn wav(tag: u16, channels: u16, rate: u32, bits: u16, sound: &[u8], told: u32) -> Vec<u8> {
    let align = channels * bits / 8;
    let mut file = b"RIFF\xff\xff\xff\xffWAVEfmt ".to_vec();
    let extension: &[u8] = match tag {
        0xfffe => b"\x16\0\x18\0\0\0\0\0\x01\0\0\0\0\0\x10\0\x80\0\0\xaa\0\x38\x9b\x71",
        _ => b"",
    };
    file.extend_from_slice(&(16 + extension.len() as u32).to_le_bytes());
    file.extend_from_slice(&[tag.to_le_bytes(), channels.to_le_bytes()].concat());
    file.extend_from_slice(&[rate.to_le_bytes(), (rate * u32::from(align)).to_le_bytes()].concat());
    file.extend_from_slice(&[align.to_le_bytes(), bits.to_le_bytes()].concat());
    file.extend_from_slice(extension);
    file.extend_from_slice(b"data");
    file.extend_from_slice(&told.to_le_bytes());
    file.extend_from_slice(sound);
    file
}

/// Each sample as a coding writes it, in each of so many channels.
fn sound(samples: &[i16], channels: usize, write: impl Fn(i16) -> Vec<u8>) -> Vec<u8> {
    samples.iter().flat_map(|sample| write(*sample).repeat(channels)).collect()
}

fn companded(samples: &[i16], encode: fn(&[i16], &mut [u8])) -> Vec<u8> {
    let mut bytes = vec![0; samples.len()];
    encode(samples, &mut bytes);
    bytes
}

#[tokio::test(flavor = "multi_thread")]
async fn wavs_of_every_kind_are_heard() {
    /// How long each sounds.
    const MS: usize = 300;
    let directory = tempdir().unwrap();
    let tone = |rate: u32| Tone::new(rate, 1_000, 8_000).take(rate as usize * MS / 1_000);
    let pcm16 = |rate, channels| sound(&tone(rate), channels, |s| s.to_le_bytes().to_vec());
    let pcm8 = sound(&tone(11_025), 1, |s| vec![((s >> 8) + 128) as u8]);
    let pcm24 = sound(&tone(44_100), 2, |s| [&[0], s.to_le_bytes().as_slice()].concat());
    let pcm32 = sound(&tone(96_000), 1, |s| [&[0, 0], s.to_le_bytes().as_slice()].concat());
    let float = sound(&tone(48_000), 2, |s| (f32::from(s) / 32_768.0).to_le_bytes().to_vec());
    let (alaw, ulaw) =
        (companded(&tone(8_000), g711::encode_alaw), companded(&tone(8_000), g711::encode_ulaw));
    let all = |bytes: &[u8]| bytes.len() as u32;
    let files = [
        ("8-bit", wav(1, 1, 11_025, 8, &pcm8, all(&pcm8))),
        ("16-bit stereo", wav(1, 2, 22_050, 16, &pcm16(22_050, 2), all(&pcm16(22_050, 2)))),
        ("24-bit, extensible", wav(0xfffe, 2, 44_100, 24, &pcm24, all(&pcm24))),
        ("32-bit", wav(1, 1, 96_000, 32, &pcm32, all(&pcm32))),
        ("float", wav(3, 2, 48_000, 32, &float, all(&float))),
        ("A-law", wav(6, 1, 8_000, 8, &alaw, all(&alaw))),
        ("mu-law", wav(7, 1, 8_000, 8, &ulaw, all(&ulaw))),
        ("of no length", wav(1, 1, 16_000, 16, &pcm16(16_000, 1), 0)),
        ("of endless length", wav(1, 1, 16_000, 16, &pcm16(16_000, 1), u32::MAX)),
        ("cut short", wav(1, 1, 16_000, 16, &pcm16(16_000, 1), 100_000)),
    ];
    let (alice, bob) = (start(direct("alice")).await, start(direct("bob")).await);
    let (caller, called) = connect(&alice, &bob).await;
    for (kind, file) in files {
        let path = directory.path().join(kind);
        std::fs::write(&path, file).unwrap();
        let cut_short = offhook::check_wav(&path).unwrap();
        assert_eq!(cut_short.is_some(), kind == "cut short", "{kind}");
        awaited_unless_stalled(async || {
            while called.take_audio(8_000, &mut [0; 1_024]) > 0 {}
            let (played, heard) =
                soon(async { tokio::join!(caller.play(&path), listen(&called, MS + 300)) }).await;
            played.unwrap_or_else(|error| panic!("{kind}: {error}"));
            check_tone(&heard, 1_000, MS).map_err(|spoilt| format!("{kind}: {spoilt}"))
        })
        .await;
    }
    soon(async { tokio::join!(alice.stop(), bob.stop()) }).await;
}

/// A WAV of the length that it says, or of another.
fn write_tone(path: &Path, told: Option<u32>) {
    let bytes = sound(&tone(1_000, 400), 1, |s| s.to_le_bytes().to_vec());
    std::fs::write(path, wav(1, 1, 8_000, 16, &bytes, told.unwrap_or(bytes.len() as u32))).unwrap();
}

#[test]
fn what_cannot_be_done_is_known_before_it_rings() {
    let directory = tempdir().unwrap();
    let at = directory.path();
    write_tone(&at.join("tone.wav"), None);
    std::fs::write(at.join("song.wav"), "ID3 and some music").unwrap();
    let bob = Offhook::start(at, "answer --bind 127.0.0.1:0");
    let target = bob.address();
    for (options, status, words) in [
        ("--play none.wav", 6, "none.wav: there is no such file"),
        ("--play song.wav", 6, "song.wav: this is no WAV file: convert it"),
        ("--play .", 6, "Is a directory"),
        ("--record no/a.wav", 6, "no/a.wav: cannot write it"),
        ("--record-received no/a.wav", 6, "no/a.wav: cannot write it"),
        ("--record .", 6, "it is a directory"),
        ("--pcap no/a.pcap", 6, "no/a.pcap: cannot write it"),
        ("--play tone.wav --record ./tone.wav", 2, "--play and --record cannot both"),
        ("--play tone.wav --record-received tone.wav", 2, "--play and --record-received"),
        ("--record a.wav --record-received ./a.wav", 2, "--record and --record-received"),
        ("--record a.wav --pcap a.wav", 2, "--record and --pcap"),
    ] {
        for command in [format!("call sip:bob@{target}"), "answer --bind 127.0.0.1:0".into()] {
            let (ended, sentence, events) = Offhook::run(at, &format!("{command} {options}"));
            assert_eq!((ended, events.len()), (status, 1), "{command} {options}: {events:?}");
            assert!(sentence.contains(words), "{command} {options}: {sentence}");
        }
    }
    for missing in ["--password-file none", "--config none", "--transport tls --cert-file none"] {
        let (status, sentence, _) = Offhook::run(at, &format!("call sip:bob@{target} {missing}"));
        assert_eq!(status, 6, "{missing}: {sentence}");
        assert!(sentence.contains("none: there is no such file"), "{sentence}");
    }
    for command in ["register --server 127.0.0.1:9", "exchange --listen 127.0.0.1:0"] {
        let (status, sentence, _) = Offhook::run(at, &format!("{command} --pcap no/a.pcap"));
        assert_eq!(status, 6, "{command}: {sentence}");
    }
    let early = Offhook::run(at, "answer --bind 127.0.0.1:0 --early-media none.wav");
    assert_eq!(early.0, 6, "{early:?}");
    bob.signal("-TERM");
    let (_, _, events) = bob.end();
    assert!(events.iter().all(|event| event["event"] != "incoming"), "it rang: {events:?}");
    assert!(!at.join("a.wav").exists(), "looking leaves no trace");
    let kept = std::fs::read(at.join("tone.wav")).unwrap();
    assert_eq!(kept.len(), 44 + 2 * 8 * 400, "what was to be played is as it was");
}

#[test]
fn what_is_cut_short_is_played_with_a_warning() {
    unless_stalled(play_what_is_cut_short);
}

fn play_what_is_cut_short() -> Result<(), String> {
    let directory = tempdir().unwrap();
    let at = directory.path();
    write_tone(&at.join("short.wav"), Some(16_000));
    let bob = Offhook::start(at, "answer --bind 127.0.0.1:0 --calls 1 --record-received heard.wav");
    let call = format!("call sip:bob@{} --play short.wav", bob.address());
    let (status, sentence, events) = Offhook::run(at, &call);
    assert_eq!(status, 0, "{sentence}");
    assert!(sentence.contains("warning: --play short.wav: it is cut short"), "{sentence}");
    let warning = events.iter().find(|event| event["event"] == "warning").unwrap();
    assert_eq!(warning["code"], "wav_cut_short");
    assert_eq!(bob.end().0, 0);
    let heard = hound::WavReader::open(at.join("heard.wav")).unwrap();
    let heard: Vec<i16> = heard.into_samples().map(Result::unwrap).collect();
    check_tone(&heard, 1_000, 400)
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_ends_no_call() {
    let directory = tempdir().unwrap();
    let at = directory.path();
    std::os::unix::fs::symlink("/dev/full", at.join("full.wav")).unwrap();
    let bob = Offhook::start(at, "answer --bind 127.0.0.1:0 --calls 2 --record full.wav");
    let target = bob.address();
    let call = format!("call sip:bob@{target} --record-received full.wav --duration 3 --dtmf 1");
    let (status, sentence, events) = Offhook::run(at, &call);
    assert_eq!(status, 6, "{events:?}");
    let errors: Vec<_> = events.iter().filter(|event| event["event"] == "error").collect();
    assert_eq!(errors.len(), 1, "it is told once: {events:?}");
    assert_eq!(sentence.matches("full.wav: cannot write it: No space left").count(), 1);
    let place = |name: &str| events.iter().position(|event| event["event"] == name).unwrap();
    assert!(place("error") < place("ended"), "it is told when it happens: {events:?}");
    let ended = &events[place("ended")];
    assert!(ended["stats"]["duration_ms"].as_u64().unwrap() >= 3_000, "{ended}");
    // Bob goes on to the next call, which has a file of its own.
    assert_eq!(bob.wait("dtmf")["digit"], "1");
    bob.wait("ended");
    let (status, sentence, _) = Offhook::run(at, &format!("call sip:bob@{target} --duration 0.2"));
    assert_eq!((status, sentence.as_str()), (0, ""));
    let (status, sentence, events) = bob.end();
    assert_eq!(status, 6, "{events:?}");
    assert!(sentence.contains("full.wav: cannot write it"), "{sentence}");
}

#[test]
fn a_file_that_goes_ends_no_other_call() {
    let directory = tempdir().unwrap();
    let at = directory.path();
    write_tone(&at.join("tone.wav"), None);
    let bob = Offhook::start(at, "answer --bind 127.0.0.1:0 --calls 2 --play tone.wav");
    let call = format!("call sip:bob@{}", bob.address());
    std::fs::rename(at.join("tone.wav"), at.join("gone.wav")).unwrap();
    assert_eq!(Offhook::run(at, &call).0, 0);
    assert_eq!(bob.wait("error")["code"], "file");
    std::fs::rename(at.join("gone.wav"), at.join("tone.wav")).unwrap();
    assert_eq!(Offhook::run(at, &call).0, 0);
    assert_eq!(bob.end().0, 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_is_recorded_also_where_it_was_sent() {
    awaited_unless_stalled(record_where_it_was_sent).await;
}

async fn record_where_it_was_sent() -> Result<(), String> {
    let (menu, target) = (start(direct("menu")).await, start(direct("target")).await);
    let (mut calls, mut transferred) = (menu.incoming(), target.incoming());
    let directory = tempdir().unwrap();
    let at = directory.path().to_owned();
    let asked = format!(
        "call {} --bind 127.0.0.1 --accept-transfer --record-received heard.wav",
        uri(&menu, "menu")
    );
    let run = tokio::task::spawn_blocking(move || Offhook::run(&at, &asked));
    let call = soon(calls.next()).await.unwrap();
    soon(call.answer()).await.unwrap();
    let there = uri(&target, "target");
    let (done, new) = soon(async {
        tokio::join!(call.transfer(&there, TransferMode::Notified), async {
            let new = transferred.next().await.unwrap();
            new.answer().await.unwrap();
            new
        })
    })
    .await;
    assert_eq!(done.unwrap(), Transfer::Transferred);
    soon(new.play_samples(8_000, &tone(700, 500))).await.unwrap();
    soon(new.hangup()).await.unwrap();
    let (status, sentence, _) = soon(run).await.unwrap();
    assert_eq!((status, sentence.as_str()), (0, ""));
    let heard = hound::WavReader::open(directory.path().join("heard-2.wav")).unwrap();
    let heard: Vec<i16> = heard.into_samples().map(Result::unwrap).collect();
    check_tone(&heard, 700, 500)
}
