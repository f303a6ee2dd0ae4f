//! The steps of `cargo xtask test`.

use std::fmt::Write as _;
use std::process::ExitCode;

use crate::layers;
use crate::npm;
use crate::run::Run;
use crate::steps::{Failure, Step, StepResult, is_ci, run};
use crate::tools;
use crate::traces;
use crate::wasm;

const STEPS: &[Step] = &[
    Step { name: "tools", what: "programs that the checks need", quick: false, run: tools::all },
    Step {
        name: "format",
        what: "the code is as rustfmt writes it",
        quick: true,
        run: || {
            cargo("fmt --all --check", "run `cargo fmt --all`")?;
            cargo("fmt --manifest-path xtask/bindgen/Cargo.toml --check", "run `cargo fmt` there")
        },
    },
    Step {
        name: "layers",
        what: "the core's modules import only from those below them",
        quick: true,
        run: layers::check,
    },
    Step {
        name: "clippy",
        what: "no warnings, in any target",
        quick: true,
        run: || {
            let line = "clippy --workspace --all-targets -- -D warnings";
            cargo(line, "mend what it names")?;
            let sim = "clippy -p offhook-wasm --lib --features sim";
            cargo(&format!("{sim} -- -D warnings"), "mend what it names")?;
            let media = "clippy -p offhook-wasm --lib --no-default-features --features media";
            cargo(&format!("{media} -- -D warnings"), "mend what it names")
        },
    },
    Step {
        name: "features",
        what: "each package builds without its features, and with each",
        quick: true,
        run: features,
    },
    Step {
        name: "test",
        what: "the tests of every package, over real sockets too",
        quick: true,
        run: || {
            cargo("build --workspace --bins --examples", "the programs do not build")?;
            let line = "test --workspace --lib --bins --tests --examples --no-fail-fast";
            let peers = if is_ci() { "required" } else { "" };
            let tests = Run::cargo(line).env("OFFHOOK_PEERS", peers);
            tests.advice("a test failed; its name is above").go()?;
            Ok(StepResult::Done)
        },
    },
    Step {
        name: "doctest",
        what: "the examples in the documentation",
        quick: false,
        run: || cargo("test --workspace --doc", "an example in the documentation failed"),
    },
    Step {
        name: "docs",
        what: "the documentation is whole",
        quick: false,
        run: || {
            let docs =
                Run::cargo("doc -q --workspace --no-deps").env("RUSTDOCFLAGS", "-D warnings");
            docs.advice("mend the documentation it names").go()?;
            Ok(StepResult::Done)
        },
    },
    Step {
        name: "imports",
        what: "the core, as WebAssembly, asks nothing of its host",
        quick: false,
        run: wasm::check_imports,
    },
    Step { name: "wasm", what: "the JavaScript package builds", quick: false, run: wasm::package },
    Step {
        name: "node",
        what: "calls with sound under Node, one with the native command",
        quick: false,
        run: wasm::test_under_node,
    },
    Step {
        name: "npm",
        what: "the tarball is in order, and works where it is installed: Node, TypeScript, bundlers, Chromium",
        quick: false,
        run: npm::check,
    },
    Step {
        name: "scenarios",
        what: "every scenario's trace is as in tests/traces.txt, natively and under Node",
        quick: false,
        run: traces::check,
    },
];

fn cargo(line: &str, advice: &str) -> Result<StepResult, Failure> {
    Run::cargo(line).advice(advice).go()?;
    Ok(StepResult::Done)
}

/// The step `features`. With all features `clippy` has built them.
fn features() -> Result<StepResult, Failure> {
    for build in [
        "offhook-core --no-default-features",
        "offhook-core --no-default-features --features serde",
        "offhook --no-default-features",
        "offhook --no-default-features --features serde",
        "offhook-wasm --no-default-features",
        "offhook-wasm --no-default-features --features media",
    ] {
        let line = format!("clippy -p {build} --lib -- -D warnings");
        cargo(&line, "code that needs a feature has to say so")?;
    }
    Ok(StepResult::Done)
}

/// `cargo xtask test`: every step, the quick ones, or those named.
pub(crate) fn test(selection: &[&str]) -> ExitCode {
    let known = |name: &str| STEPS.iter().any(|step| step.name == name);
    if let Some(unknown) = selection.iter().find(|name| **name != "--quick" && !known(name)) {
        eprint!("xtask: there is no step {unknown}; the steps are\n{}", list());
        return ExitCode::from(2);
    }
    let chosen: Vec<&Step> = match selection {
        [] => STEPS.iter().collect(),
        ["--quick"] => STEPS.iter().filter(|step| step.quick).collect(),
        names => STEPS.iter().filter(|step| names.contains(&step.name)).collect(),
    };
    run(&chosen)
}

/// The steps, one a line.
pub(crate) fn list() -> String {
    STEPS.iter().fold(String::new(), |mut text, step| {
        let quick = if step.quick { " (quick)" } else { "" };
        // Writing to a String cannot fail.
        let _ = writeln!(text, "  {:12} {}{quick}", step.name, step.what);
        text
    })
}
