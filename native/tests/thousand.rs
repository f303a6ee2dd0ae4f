//! A thousand calls held at once, both ends and their media in this process, over real sockets; and
//! what is left of them afterwards. A test program of its own: it counts memory and descriptors.

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::net::UdpSocket;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use common::{uri, within};
use futures_util::future::join_all;
use offhook::core::codec::measure::{Tone, dominant_frequency};
use offhook::core::time::Duration as CoreDuration;
use offhook::{Call, EndedBy, Phone, PhoneOptions, PhoneParameters};
use tokio::runtime::Runtime;

const CALLS: usize = 1_000;
/// Each call has two sockets at each end.
const DESCRIPTORS: usize = 4;
/// For everything else of this process.
const SPARE: usize = 200;
/// How much sound each call that is listened to has to bring while all are held.
const HELD: Duration = Duration::from_secs(1);
/// The same while what is kept is made.
const MOMENT: Duration = Duration::from_millis(500);
/// The longest packets there are: this build is not optimised, and two cores may be shared.
const PTIME: CoreDuration = CoreDuration::from_millis(200);
/// Port ranges below those from which the system picks, with room for what others hold.
const RANGES: [(u16, u16); 2] = [(20_002, 23_001), (23_002, 26_001)];
/// How much more memory than at the beginning may be held at the end: what the runtime and its
/// allocators of tasks keep for next time; half of what one call with sound holds.
const MARGIN: usize = 48 * 1024;
/// How long anything may take: on a machine that does much else, too.
const PATIENCE: Duration = Duration::from_secs(120);
/// How many calls are listened to.
const SAMPLE: usize = 20;

/// Counts what is allocated and not freed.
struct Counting;

static LIVE: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call goes to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LIVE.fetch_add(layout.size(), Ordering::Relaxed);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Ordering::Relaxed);
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn live() -> usize {
    LIVE.load(Ordering::Relaxed)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_calls_with_sound_at_once() {
    // Sound is left out where the machine is too slow for it; that must not delay signalling.
    let sound = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let sound = sound.expect("a runtime");
    let calls = CALLS.min(descriptors_allowed().saturating_sub(SPARE) / DESCRIPTORS);
    if calls < CALLS {
        println!("the limit of open files (ulimit -Hn) allows {calls} calls of {CALLS} only");
    }
    // What is made once and kept is made now.
    hold(&sound, 2, MOMENT).await;
    let taken = unbindable();
    let (memory, descriptors) = (live(), open_descriptors());

    hold(&sound, calls, HELD).await;

    // Nobody says when the system has closed them.
    let until = Instant::now() + PATIENCE;
    while open_descriptors() > descriptors && Instant::now() < until {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(open_descriptors() <= descriptors, "{} are open", open_descriptors());
    let lost: Vec<u16> = unbindable().into_iter().filter(|port| !taken.contains(port)).collect();
    assert!(lost.is_empty(), "ports that cannot be bound again: {lost:?}");
    let left = live().saturating_sub(memory);
    println!("memory left: {left} bytes");
    assert!(left < MARGIN, "{left} bytes more than at the beginning");
    sound.shutdown_background();
}

/// Holds that many calls between two phones, with a tone each way in each, until those that are listened
/// to have brought so much of it.
async fn hold(sound: &Runtime, count: usize, time: Duration) {
    let began = Instant::now();
    let [alice, bob] = ["alice", "bob"].map(|user| {
        let index = usize::from(user == "bob");
        let (low, high) = RANGES[index];
        let mut parameters =
            PhoneParameters::without_server(user).bind(common::here()).rtp_ports(low, high);
        parameters.ptime = PTIME;
        parameters.max_calls = CALLS;
        parameters
    });
    let options = PhoneOptions::default().share_media(0, sound.handle().clone());
    let [alice, bob] = [alice, bob].map(|it| Phone::with_options(it, options.clone()));
    for phone in [&alice, &bob] {
        within(PATIENCE, phone.start()).await.expect("the phone starts");
    }
    let before = live();
    let pairs = place(&alice, &bob, count).await;
    println!("{count} calls are up after {:?}", began.elapsed());
    for (index, (caller, called)) in pairs.iter().enumerate() {
        for (call, hertz) in [(caller, there(index)), (called, back(index))] {
            let tone = Tone::new(8_000, hertz, 8_000).take(16_000);
            assert_eq!(call.write_audio(8_000, &tone).expect("the call is up"), tone.len());
        }
    }
    println!("{} bytes a call of two ends", (live() - before) / count);
    let every = (count / SAMPLE).max(1);
    let sample = pairs.iter().enumerate().step_by(every).flat_map(|(index, (caller, called))| {
        [(caller, called, there(index)), (called, caller, back(index))]
    });
    let sample: Vec<_> = sample
        .map(|(from, to, hertz)| {
            let speaking = tokio::spawn(speak(from.clone(), hertz));
            (tokio::spawn(listen(to.clone(), time)), speaking, hertz)
        })
        .collect();
    for (heard, speaking, hertz) in sample {
        let heard = within(PATIENCE, heard).await.expect("it listens");
        speaking.abort();
        let measured = dominant_frequency(&heard, 8_000);
        assert!((measured - f64::from(hertz)).abs() < 9.0, "{measured} Hz, not {hertz}");
    }
    let hangups = join_all(pairs.iter().map(|(caller, _)| caller.hangup()));
    for hung_up in within(PATIENCE, hangups).await {
        hung_up.expect("an answered call can be hung up");
    }
    let (mut packets, mut stalled) = (0, 0);
    for (caller, called) in &pairs {
        let ends = async { tokio::join!(caller.ended(), called.ended()) };
        let (one, two) = within(PATIENCE, ends).await;
        assert_eq!((one.by, two.by), (EndedBy::Local, EndedBy::Remote));
        for (sent, heard) in [(one.stats, two.stats), (two.stats, one.stats)] {
            // None is missing between the first and the last that came; what is on its way when the
            // call ends is not heard.
            assert_eq!(heard.lost, 0, "{sent:?}, {heard:?}");
            assert!(heard.received <= sent.sent, "{sent:?}, {heard:?}");
            assert!(heard.received >= 3, "{heard:?}");
            stalled += sent.stalled_frames;
            packets += heard.received;
        }
    }
    println!("{packets} packets, {stalled} left out; over after {:?}", began.elapsed());
    within(PATIENCE, async { tokio::join!(alice.stop(), bob.stop()) }).await;
}

/// Places calls and answers them, a few at a time.
async fn place(alice: &Phone, bob: &Phone, count: usize) -> Vec<(Call, Call)> {
    /// More at once would wait for each other longer than a request waits before it is repeated.
    const AT_ONCE: usize = 50;
    let target = uri(bob, "bob");
    let mut incoming = bob.incoming();
    let mut pairs = Vec::new();
    while pairs.len() < count {
        let batch = AT_ONCE.min(count - pairs.len());
        let mut placed = Vec::new();
        for _ in 0..batch {
            placed.push(within(PATIENCE, alice.call(&target)).await.expect("placed"));
        }
        let mut came = Vec::new();
        for _ in 0..batch {
            let call = within(PATIENCE, incoming.next()).await.expect("it rings");
            within(PATIENCE, call.answer()).await.expect("it is answered");
            came.push((call.info().call_id, call));
        }
        for caller in placed {
            within(PATIENCE, caller.answered()).await.expect("it is answered");
            let id = caller.info().call_id;
            let index =
                came.iter().position(|(other, _)| *other == id).expect("both ends are known");
            pairs.push((caller, came.swap_remove(index).1));
        }
    }
    pairs
}

/// Keeps speaking, also after the two seconds that every call has to send.
async fn speak(call: Call, hertz: u32) {
    let mut tone = Tone::new(8_000, hertz, 8_000);
    while call.play_samples(8_000, &tone.take(3_200)).await.is_ok() {}
}

/// So much sound, silence left out.
async fn listen(call: Call, time: Duration) -> Vec<i16> {
    let mut heard = Vec::new();
    let mut samples = [0; 800];
    while (heard.len() as u128) < 8 * time.as_millis() {
        let count = call.read_audio(8_000, &mut samples).await.expect("the call can be heard");
        if samples[..count].iter().any(|sample| sample.unsigned_abs() > 4_000) {
            heard.extend_from_slice(&samples[..count]);
        }
    }
    heard
}

/// The tones of a call: no neighbour has the same.
fn there(index: usize) -> u32 {
    400 + 30 * (index % 50) as u32
}

fn back(index: usize) -> u32 {
    2_000 + 20 * (index % 50) as u32
}

/// The ports of the ranges that cannot be bound now.
fn unbindable() -> Vec<u16> {
    let ports = RANGES.iter().flat_map(|(low, high)| *low..=*high);
    ports.filter(|port| UdpSocket::bind(("127.0.0.1", *port)).is_err()).collect()
}

fn open_descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count)
}

/// Raises the limit of open files as far as it may be, and says how many that are.
#[cfg(target_os = "linux")]
fn descriptors_allowed() -> usize {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    let wanted = (CALLS * DESCRIPTORS + SPARE) as u64;
    let allowed = limit.maximum.map_or(wanted, |hard| hard.min(wanted));
    if limit.current.is_some_and(|soft| soft < allowed) {
        limit.current = Some(allowed);
        setrlimit(Resource::Nofile, limit).expect("a limit may be raised to the hard limit");
    }
    getrlimit(Resource::Nofile).current.map_or(usize::MAX, |soft| soft as usize)
}

#[cfg(not(target_os = "linux"))]
fn descriptors_allowed() -> usize {
    1_024
}
