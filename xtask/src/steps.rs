//! A list of steps: each is named when it starts and timed when it ends, all run though one fails,
//! and the last lines say which did.

use std::fmt;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// One check.
pub(crate) struct Step {
    /// One word, by which it can be asked for.
    pub(crate) name: &'static str,
    /// What it makes sure of.
    pub(crate) what: &'static str,
    /// Whether `--quick` has it.
    pub(crate) quick: bool,
    pub(crate) run: fn() -> Result<StepResult, Failure>,
}

/// How a step ended that did not fail.
pub(crate) enum StepResult {
    Done,
    /// It could not be done here; a sentence says why.
    Skipped(String),
}

/// Why a step failed and what to do: one sentence.
pub(crate) struct Failure(pub(crate) String);

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Runs the steps. Under CI (the environment variable) a step that was skipped is a failure too.
pub(crate) fn run(steps: &[&Step]) -> ExitCode {
    let strict = is_ci();
    let start = Instant::now();
    let results: Vec<_> = steps.iter().map(|step| (step.name, run_one(step))).collect();

    println!("\n==> summary, after {}", Seconds(start.elapsed()));
    let mut failed = false;
    for (name, (result, time)) in &results {
        let (word, why) = match result {
            Ok(StepResult::Done) => ("ok", String::new()),
            Ok(StepResult::Skipped(why)) => ("skipped", why.clone()),
            Err(failure) => ("FAILED", failure.to_string()),
        };
        failed |= result.is_err() || (strict && word == "skipped");
        println!("{name:12} {word:8} {:>8}  {why}", Seconds(*time).to_string());
    }
    if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// Whether this is a run of continuous integration, where nothing may be skipped.
pub(crate) fn is_ci() -> bool {
    std::env::var_os("CI").is_some()
}

fn run_one(step: &Step) -> (Result<StepResult, Failure>, Duration) {
    println!("\n==> {}: {}", step.name, step.what);
    let start = Instant::now();
    let result = (step.run)();
    let time = start.elapsed();
    match &result {
        Ok(StepResult::Done) => println!("--- {}: {}", step.name, Seconds(time)),
        Ok(StepResult::Skipped(why)) => println!("--- {}: skipped: {why}", step.name),
        Err(failure) => println!("--- {}: FAILED after {}: {failure}", step.name, Seconds(time)),
    }
    (result, time)
}

struct Seconds(Duration);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.1} s", self.0.as_secs_f64())
    }
}
