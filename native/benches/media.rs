//! RTP in and out, G.711, G.722, the jitter buffer, and a whole call's media in memory.
//!
//! The allocation columns stay empty: in the steady state a packet costs no memory.

use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use offhook_core::codec::Codec;
use offhook_core::codec::measure::Tone;
use offhook_core::internals::{
    Arrived, Header, JitterBuffer, NextAudio, Packet, Resampler, g711, g722,
};
use offhook_core::time::Duration;
use offhook_tests::work::Echo;

#[global_allocator]
static ALLOCATIONS: divan::AllocProfiler = divan::AllocProfiler::system();

fn main() {
    divan::main();
}

const HEADER: Header =
    Header { payload_type: 0, marker: false, sequence: 1, timestamp: 160, ssrc: 0x0102_0304 };

/// A packet of 20 ms of G.711 out of a datagram.
#[divan::bench]
fn rtp_parse(bencher: Bencher<'_, '_>) {
    let datagram = [&HEADER.to_bytes()[..], &[0x55; 160]].concat();
    bencher.bench_local(|| {
        let packet = Packet::parse(black_box(&datagram)).unwrap();
        (packet.header, packet.payload.len())
    });
}

/// The same into a reused buffer, payload copied.
#[divan::bench]
fn rtp_build(bencher: Bencher<'_, '_>) {
    let payload = [0x55; 160];
    let mut buffer = Vec::with_capacity(172);
    let mut header = HEADER;
    bencher.bench_local(|| {
        header.sequence = header.sequence.wrapping_add(1);
        header.timestamp = header.timestamp.wrapping_add(160);
        header.write(black_box(&payload), &mut buffer);
        buffer.len()
    });
}

const SAMPLES: usize = 8_000;

#[divan::bench]
fn g711_encode_ulaw(bencher: Bencher<'_, '_>) {
    let (samples, mut payload) = (Tone::new(8_000, 440, 12_000).take(SAMPLES), vec![0; SAMPLES]);
    bencher
        .counter(ItemsCount::new(SAMPLES))
        .bench_local(|| g711::encode_ulaw(black_box(&samples), &mut payload));
}

#[divan::bench]
fn g711_encode_alaw(bencher: Bencher<'_, '_>) {
    let (samples, mut payload) = (Tone::new(8_000, 440, 12_000).take(SAMPLES), vec![0; SAMPLES]);
    bencher
        .counter(ItemsCount::new(SAMPLES))
        .bench_local(|| g711::encode_alaw(black_box(&samples), &mut payload));
}

#[divan::bench]
fn g711_decode_ulaw(bencher: Bencher<'_, '_>) {
    let payload: Vec<u8> = (0..SAMPLES).map(|i| i as u8).collect();
    let mut samples = vec![0; SAMPLES];
    bencher
        .counter(ItemsCount::new(SAMPLES))
        .bench_local(|| g711::decode_ulaw(black_box(&payload), &mut samples));
}

#[divan::bench]
fn g711_decode_alaw(bencher: Bencher<'_, '_>) {
    let payload: Vec<u8> = (0..SAMPLES).map(|i| i as u8).collect();
    let mut samples = vec![0; SAMPLES];
    bencher
        .counter(ItemsCount::new(SAMPLES))
        .bench_local(|| g711::decode_alaw(black_box(&payload), &mut samples));
}

/// A second of sound at 16 kHz, both bands in use.
fn wide_band() -> Vec<i16> {
    let tones = [440, 1_900, 5_200].map(|hertz| Tone::new(16_000, hertz, 8_000).take(16_000));
    (0..16_000).map(|at| tones.iter().map(|tone| tone[at]).sum()).collect()
}

#[divan::bench]
fn g722_encode(bencher: Bencher<'_, '_>) {
    let (samples, mut payload) = (wide_band(), vec![0; SAMPLES]);
    let mut encoder = g722::Encoder::new();
    bencher
        .counter(ItemsCount::new(samples.len()))
        .bench_local(|| encoder.encode(black_box(&samples), &mut payload));
}

#[divan::bench]
fn g722_decode(bencher: Bencher<'_, '_>) {
    let (mut samples, mut payload) = (wide_band(), vec![0; SAMPLES]);
    g722::Encoder::new().encode(&samples, &mut payload);
    let mut decoder = g722::Decoder::new(g722::Mode::Kbit64);
    bencher
        .counter(ItemsCount::new(samples.len()))
        .bench_local(|| decoder.decode(black_box(&payload), &mut samples));
}

/// One packet in and one out, with four waiting in between.
#[divan::bench]
fn jitter_put_and_take(bencher: Bencher<'_, '_>) {
    let mut buffer = JitterBuffer::new(8_000, 160);
    let payload = [0x55; 160];
    let mut next = (1u64 << 16, 0u32);
    let mut put = |buffer: &mut JitterBuffer| {
        next = (next.0 + 1, next.1.wrapping_add(160));
        let (sequence, timestamp) = next;
        let arrived = Arrived {
            sequence,
            timestamp,
            codec: Codec::Pcmu,
            samples: 160,
            payload: black_box(&payload),
        };
        buffer.insert(Duration::from_millis(10), arrived)
    };
    for _ in 0..4 {
        put(&mut buffer);
    }
    bencher.bench_local(|| {
        put(&mut buffer);
        if let NextAudio::Packet { packet, .. } = buffer.take(160) {
            buffer.recycle(packet);
        }
        buffer.handle_played(0);
    });
}

/// A second of sound from one rate to the other.
#[divan::bench(args = [(8_000, 16_000), (16_000, 8_000), (8_000, 48_000), (48_000, 8_000), (44_100, 8_000)])]
fn resample(bencher: Bencher<'_, '_>, (from, to): (u32, u32)) {
    let input = Tone::new(from, 440, 12_000).take(from as usize);
    let mut output = vec![0; to as usize + 1];
    let mut resampler = Resampler::new(from, to).unwrap();
    bencher
        .counter(ItemsCount::new(to))
        .bench_local(|| resampler.process(black_box(&input), &mut output));
}

/// One frame of a call: a packet comes in, is decoded through the jitter buffer and read; what was
/// read is written, encoded and sent.
#[divan::bench]
fn echoed_packet(bencher: Bencher<'_, '_>) {
    let mut echo = Echo::default();
    for _ in 0..1_000 {
        echo.frame();
    }
    bencher.bench_local(|| echo.frame());
}
