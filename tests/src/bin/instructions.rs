//! `instructions WORK COUNT` does a piece of work so many times; `cargo xtask instructions` runs it
//! under valgrind.

use std::process::ExitCode;

use offhook_core::host::Transport;
use offhook_core::time::Duration;
use offhook_tests::work::{Echo, Pair, parse};

const INVITE: &[u8] = include_bytes!("../../corpus/invite.sip");

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [work, count] = arguments.as_slice() else { return usage() };
    let Ok(count) = count.parse::<u32>() else { return usage() };
    match work.as_str() {
        "parse" => (0..count).for_each(|_| drop(parse(INVITE))),
        "call" => calls(Pair::over(Transport::Udp), count),
        "tcp" => calls(Pair::over(Transport::Tcp), count),
        "line" => calls(Pair::with_lines(Transport::Tcp), count),
        "packet" => {
            let mut echo = Echo::default();
            (0..count).for_each(|_| echo.frame());
        }
        _ => return usage(),
    }
    ExitCode::SUCCESS
}

fn calls(mut pair: Pair, count: u32) {
    (0..count).for_each(|_| pair.call(Duration::from_millis(100)));
}

fn usage() -> ExitCode {
    eprintln!("usage: instructions parse|call|tcp|line|packet COUNT");
    ExitCode::from(2)
}
