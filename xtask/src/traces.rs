//! The hash of each scenario's trace: everything on the wire and every event. It is the same natively and
//! under Node, and stays as it stands in `tests/traces.txt` until a commit says why it changes.

use std::fs;
use std::path::PathBuf;

use crate::run::{Run, top};
use crate::steps::{Failure, StepResult};
use crate::{tools, wasm};

/// The step `scenarios`.
pub(crate) fn check() -> Result<StepResult, Failure> {
    let native = native()?;
    let listed = fs::read_to_string(list())
        .map_err(|error| Failure(format!("cannot read {}: {error}", list().display())))?;
    compare(
        ("in tests/traces.txt", &listed),
        ("now", &native),
        "if that is meant, run `cargo xtask traces` and let the commit say why",
    )?;
    if !tools::has("node") {
        return Ok(StepResult::Skipped("node is not installed".to_owned()));
    }
    let node = wasm::traces_under_node()?;
    compare(
        ("natively", &native),
        ("under Node", &node),
        "look for floating point, `usize` and the order of maps in core",
    )?;
    let count = native.lines().count();
    println!("traces as listed, natively and under Node:\n{count} passed, 0 failed");
    Ok(StepResult::Done)
}

/// `cargo xtask traces`: writes the list anew.
pub(crate) fn write() -> Result<StepResult, Failure> {
    let traces = native()?;
    fs::write(list(), traces)
        .map_err(|error| Failure(format!("cannot write {}: {error}", list().display())))?;
    println!("tests/traces.txt is written: a commit that changes it says why");
    Ok(StepResult::Done)
}

/// The list: a line `SCENARIO SEED HASH` for each.
fn list() -> PathBuf {
    top().join("tests/traces.txt")
}

fn native() -> Result<String, Failure> {
    Run::cargo("run -q -p offhook-wasm --example traces")
        .advice("a scenario failed natively")
        .read()
}

/// Compares two lists, each with where it is from.
fn compare(one: (&str, &str), other: (&str, &str), advice: &str) -> Result<(), Failure> {
    let (here, there): (Vec<_>, Vec<_>) = (one.1.lines().collect(), other.1.lines().collect());
    let count = here.len().max(there.len());
    if count == 0 {
        return Err(Failure("there is no scenario".to_owned()));
    }
    let line =
        |list: &[&str], index: usize| list.get(index).map_or("none", |line| *line).to_owned();
    let different: Vec<_> = (0..count)
        .filter(|&index| here.get(index) != there.get(index))
        .map(|index| {
            format!("{} {}, {} {}", line(&here, index), one.0, line(&there, index), other.0)
        })
        .collect();
    if different.is_empty() {
        return Ok(());
    }
    Err(Failure(format!("traces differ: {}: {advice}", different.join("; "))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_compared_line_by_line() {
        let compare = |one: &str, other: &str| compare(("here", one), ("there", other), "mend it");
        assert!(compare("a 1 ff\nb 1 00\n", "a 1 ff\nb 1 00\n").is_ok());
        for other in ["a 1 fe\nb 1 00\n", "a 1 ff\n", ""] {
            assert!(compare("a 1 ff\nb 1 00\n", other).is_err());
        }
        assert!(compare("", "").is_err());
    }
}
