use super::*;
use crate::codec::g711;

/// A file of chunks, as it says itself.
fn riff(chunks: &[(&[u8; 4], &[u8])]) -> Vec<u8> {
    let mut body = b"WAVE".to_vec();
    for (name, content) in chunks {
        body.extend_from_slice(*name);
        body.extend_from_slice(&(content.len() as u32).to_le_bytes());
        body.extend_from_slice(content);
        body.resize(body.len().next_multiple_of(2), 0);
    }
    [b"RIFF".as_slice(), &(body.len() as u32).to_le_bytes(), &body].concat()
}

fn format(tag: u16, channels: u16, rate: u32, width: u16, bits: u16) -> Vec<u8> {
    let align = channels * width;
    let mut chunk = [tag.to_le_bytes(), channels.to_le_bytes()].concat();
    chunk.extend_from_slice(&rate.to_le_bytes());
    chunk.extend_from_slice(&(rate * u32::from(align)).to_le_bytes());
    chunk.extend_from_slice(&[align.to_le_bytes(), bits.to_le_bytes()].concat());
    chunk
}

/// `WAVE_FORMAT_EXTENSIBLE` around a coding.
fn extensible(tag: u16, channels: u16, rate: u32, width: u16, bits: u16) -> Vec<u8> {
    let mut chunk = format(0xfffe, channels, rate, width, width * 8);
    chunk.extend_from_slice(&[22_u16.to_le_bytes(), bits.to_le_bytes()].concat());
    chunk.extend_from_slice(&[0; 4]);
    chunk.extend_from_slice(&tag.to_le_bytes());
    chunk.extend_from_slice(b"\0\0\0\0\x10\0\x80\0\0\xaa\0\x38\x9b\x71");
    chunk
}

fn samples(file: &[u8]) -> Vec<i16> {
    read(file).unwrap().1
}

#[test]
fn every_coding_gives_the_same_samples() {
    let expected = [0x0100_i16, -0x0200, 0x7f00, -0x8000];
    let bytes = |of: &dyn Fn(i16) -> Vec<u8>| expected.iter().flat_map(|&s| of(s)).collect();
    let pcm8: Vec<u8> = bytes(&|s| vec![((s >> 8) + 128) as u8]);
    let pcm16 = bytes(&|s| s.to_le_bytes().to_vec());
    let pcm24 = bytes(&|s| [&[7], s.to_le_bytes().as_slice()].concat());
    let pcm32 = bytes(&|s| [&[7, 7], s.to_le_bytes().as_slice()].concat());
    let float = bytes(&|s| (f32::from(s) / 32_768.0).to_le_bytes().to_vec());
    let double = bytes(&|s| (f64::from(s) / 32_768.0).to_le_bytes().to_vec());
    for (tag, width, bits, sound) in [
        (1, 1, 8, &pcm8),
        (1, 2, 16, &pcm16),
        (1, 3, 24, &pcm24),
        (1, 4, 32, &pcm32),
        (3, 4, 32, &float),
        (3, 8, 64, &double),
        // What has fewer bits than its bytes hold fills the upper ones.
        (1, 2, 12, &pcm16),
        (1, 4, 24, &pcm32),
    ] {
        for chunk in [format(tag, 1, 8_000, width, bits), extensible(tag, 1, 8_000, width, bits)] {
            let file = riff(&[(b"fmt ", &chunk), (b"data", sound)]);
            let (format, samples, cut_short) = read(&file).unwrap();
            assert_eq!(samples, expected, "{bits} bits of {tag}");
            assert_eq!((format.rate, format.channels, cut_short), (8_000, 1, None));
        }
    }
}

#[test]
fn companded_sound_is_decoded() {
    let linear = [0, 1_000, -1_000, 30_000];
    let (mut a, mut u, mut expected) = ([0; 4], [0; 4], [0; 4]);
    g711::encode_alaw(&linear, &mut a);
    g711::encode_ulaw(&linear, &mut u);
    g711::decode_alaw(&a, &mut expected);
    // These have a longer format, and a chunk that counts the samples.
    let chunk = |tag| [format(tag, 1, 8_000, 1, 8), vec![0, 0]].concat();
    let file = |tag, sound: &[u8]| {
        riff(&[(b"fmt ", &chunk(tag)), (b"fact", &4_u32.to_le_bytes()), (b"data", sound)])
    };
    assert_eq!(samples(&file(6, &a)), expected);
    g711::decode_ulaw(&u, &mut expected);
    assert_eq!(samples(&file(7, &u)), expected);
}

#[test]
fn channels_are_mixed_and_floats_saturate() {
    let stereo = [100_i16, 300, -32_768, -32_768, 32_767, 32_767].map(i16::to_le_bytes).concat();
    let file = riff(&[(b"fmt ", &format(1, 2, 44_100, 2, 16)), (b"data", &stereo)]);
    assert_eq!(samples(&file), [200, -32_768, 32_767]);
    let float = [0.5_f32, -1.0, 3.0, f32::NAN].map(f32::to_le_bytes).concat();
    let file = riff(&[(b"fmt ", &format(3, 1, 48_000, 4, 32)), (b"data", &float)]);
    assert_eq!(samples(&file), [16_384, -32_768, 32_767, 0]);
}

#[test]
fn pieces_of_any_size_give_the_same() {
    let sound: Vec<u8> = (0..=255).collect();
    let chunks: [(&[u8; 4], &[u8]); 4] = [
        // Of an odd length, and after the sound, which must not be heard.
        (b"LIST", b"odd"),
        (b"fmt ", &extensible(1, 2, 22_050, 3, 24)),
        (b"data", &sound[..252]),
        (b"LIST", &sound),
    ];
    let file = riff(&chunks);
    let expected = samples(&file);
    assert_eq!(expected.len(), 252 / 6);
    for size in 1..40 {
        let (mut reader, mut samples) = (WavReader::new(), Vec::new());
        for piece in file.chunks(size) {
            reader.handle_bytes(piece, &mut samples).unwrap();
        }
        assert_eq!(samples, expected, "pieces of {size}");
        assert_eq!(reader.handle_end(), Ok(None));
    }
}

#[test]
fn a_length_that_the_writer_did_not_know() {
    for length in [0, u32::MAX, 0x7fff_f000, 0x8000_0000] {
        let mut file = riff(&[(b"fmt ", &format(1, 1, 8_000, 2, 16)), (b"data", &[1, 0, 2, 0, 9])]);
        file.pop();
        let at = file.len() - 9;
        file[at..at + 4].copy_from_slice(&length.to_le_bytes());
        let (_, samples, cut_short) = read(&file).unwrap();
        assert_eq!((samples.as_slice(), cut_short), ([1, 2].as_slice(), None), "{length}");
    }
}

#[test]
fn what_is_cut_short_is_played_as_far_as_it_goes() {
    let file = riff(&[(b"fmt ", &format(1, 1, 8_000, 2, 16)), (b"data", &[1; 16_000])]);
    let (_, samples, cut_short) = read(&file[..file.len() - 4_001]).unwrap();
    assert_eq!(samples.len(), 8_000 - 2_001);
    let told = cut_short.unwrap().to_string();
    assert!(told.contains("of 1.0 s of sound") && told.contains("last 0.3 s"), "{told}");
    // Looked at before it is played.
    let mut reader = WavReader::new();
    reader.handle_bytes(&file[..44], &mut Vec::new()).unwrap();
    assert!(reader.format().is_some());
    assert_eq!(reader.cut_short(16_000), None);
    assert!(reader.cut_short(15_998).is_some());
}

#[test]
fn what_cannot_be_played_is_said() {
    let said = |file: &[u8]| read(file).unwrap_err().to_string();
    let sound = (b"data", [0; 4].as_slice());
    assert!(said(b"").contains("no WAV file"));
    assert!(said(b"RIFF\0\0").contains("no WAV file"));
    assert!(said(b"ID3\x04 and some music").contains("no WAV file"));
    assert!(said(b"RIFF\0\0\0\0AVI LIST").contains("no WAV file"));
    assert!(said(&riff(&[])).contains("ends before its sound"));
    assert!(said(&riff(&[sound])).contains("before its format"));
    assert!(said(&riff(&[(b"fmt ", &[1, 0, 1, 0])])).contains("too short"));
    let odd = |chunk: Vec<u8>| said(&riff(&[(b"fmt ", &chunk), sound]));
    assert!(odd(format(0x11, 1, 8_000, 1, 4)).contains("4-bit IMA ADPCM"));
    assert!(odd(format(0x1234, 1, 8_000, 1, 4)).contains("0x1234"));
    assert!(odd(format(3, 1, 8_000, 2, 16)).contains("16-bit floating point"));
    assert!(odd(format(1, 1, 8_000, 8, 64)).contains("64-bit PCM"));
    assert!(odd(format(1, 0, 8_000, 2, 16)).contains("0 channels"));
    assert!(odd(format(1, 1, 0, 2, 16)).contains("0 samples a second"));
    assert!(odd(format(0xfffe, 1, 8_000, 2, 16)).contains("too short"));
}
