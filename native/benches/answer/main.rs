//! Calls answered per CPU-second by `offhook answer` under `sipp -sn uac`, beside SIPp's own `uas`, and
//! memory a held call: `cargo bench --bench answer` (Linux, with SIPp). What it found is in
//! docs/testing.md.
//!
//! CPU time is that of the answering process alone, user and system. The two take turns, because
//! machines are shared; the ratio says more than the figures.

mod core_phone;
mod process;

use std::process::ExitCode;

use process::{Answering, Caller};

/// Calls in a round, and how many begin each second.
const CALLS: u64 = 10_000;
const RATE: u64 = 1_000;
/// Odd, so that there is one in the middle.
const ROUNDS: usize = 5;
/// Calls held at once.
const HELD: u64 = 3_000;

fn main() -> ExitCode {
    // `cargo test` runs it too.
    if !std::env::args().any(|argument| argument == "--bench") {
        return ExitCode::SUCCESS;
    }
    println!("a held call, signalling alone: {} bytes of the core's phone", core_phone::held(HELD));
    if !cfg!(target_os = "linux") || !process::has_sipp() {
        println!("the rest needs Linux and SIPp");
        return ExitCode::SUCCESS;
    }
    println!("a held call, ports open, no media: {} bytes of the process", memory());
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        ours.push(speed(Answering::offhook()));
        theirs.push(speed(Answering::sipp()));
        let (us, sipp) = (ours.last().copied(), theirs.last().copied());
        println!("calls per CPU-second: {:.0}, SIPp {:.0}", us.unwrap_or(0.0), sipp.unwrap_or(0.0));
    }
    let (us, sipp) = (median(ours), median(theirs));
    println!("median: {us:.0}, SIPp {sipp:.0}, ratio {:.2}", us / sipp);
    ExitCode::SUCCESS
}

/// Calls answered for a second of the process' time.
fn speed(answering: Answering) -> f64 {
    let before = answering.cpu();
    Caller::short(CALLS, RATE).call(&answering);
    CALLS as f64 / (answering.cpu() - before).as_secs_f64()
}

/// How much each held call makes the process grow.
fn memory() -> u64 {
    /// What is made once is made by these.
    const FIRST: u64 = 50;
    let answering = Answering::offhook();
    Caller::short(FIRST, FIRST).call(&answering);
    let before = answering.resident();
    let caller = Caller::held(HELD, RATE / 2).start(&answering);
    // RTP and RTCP of a call have a socket each.
    answering.wait_for_sockets(2 * HELD);
    let grown = answering.resident() - before;
    caller.stop();
    grown / HELD
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN)
}
