//! The project's own checks and builds: `cargo xtask help`.
#![forbid(unsafe_code)]

mod checks;
mod imports;
mod instructions;
mod layers;
mod module;
mod npm;
mod run;
mod sizes;
mod steps;
mod tools;
mod traces;
mod wasm;

use std::process::ExitCode;

use crate::steps::{Failure, StepResult};

const HELP: &str = "\
cargo xtask COMMAND

  test [--quick] [STEP ...]   run the project's checks: all of them, those a developer runs before
                              each commit (--quick), or the steps named
  steps                       list the steps of `test`
  wasm                        build the JavaScript package into wasm/dist
  npm                         pack it: target/npm/offhook-VERSION.tgz
  sizes                       print what weighs what in the modules of the JavaScript package
  traces                      write the scenarios' traces to tests/traces.txt; the commit says why they
                              have changed
  js-bench                    measure the JavaScript package: sizes, start, calls, packets, parsing
  instructions                count what parsing, a call and a packet cost, with valgrind
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["test", selection @ ..] => checks::test(selection),
        ["steps"] => {
            print!("{}", checks::list());
            ExitCode::SUCCESS
        }
        ["wasm"] => report(wasm::package()),
        ["npm"] => report(npm::pack()),
        ["js-bench"] => report(npm::measure()),
        ["sizes"] => report(sizes::print()),
        ["traces"] => report(traces::write()),
        ["instructions"] => report(instructions::measure()),
        ["help" | "--help" | "-h"] => {
            print!("{HELP}");
            ExitCode::SUCCESS
        }
        _ => {
            eprint!("{HELP}");
            ExitCode::from(2)
        }
    }
}

fn report(result: Result<StepResult, Failure>) -> ExitCode {
    match result {
        Ok(StepResult::Done) => ExitCode::SUCCESS,
        Ok(StepResult::Skipped(why)) => {
            eprintln!("xtask: {why}");
            ExitCode::FAILURE
        }
        Err(failure) => {
            eprintln!("xtask: {failure}");
            ExitCode::FAILURE
        }
    }
}
