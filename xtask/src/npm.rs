//! npm: the tools of the JavaScript package, as `wasm/package-lock.json` names them, and its TypeScript.

use std::fs;
use std::path::PathBuf;

use crate::run::{Run, top};
use crate::steps::{Failure, StepResult};
use crate::tools;
use crate::wasm::{self, read};

/// The oldest Node that the package runs on, as `engines` in `wasm/package.json` says: the first of its line
/// whose `require` takes an ESM package.
const NODE: (u32, u32) = (20, 19);

/// What is missing to build the package, if anything is: one sentence.
pub(crate) fn missing() -> Option<String> {
    for program in ["node", "npm"] {
        if !tools::has(program) {
            return Some(format!("{program} is not installed"));
        }
    }
    let version = Run::new("node --version").read().unwrap_or_default();
    let (major, minor) = NODE;
    let old = parsed(&version).is_none_or(|version| version < NODE);
    old.then(|| format!("Node is {}: install {major}.{minor} or newer", version.trim()))
}

/// Major and minor of `v20.19.4`.
fn parsed(version: &str) -> Option<(u32, u32)> {
    let mut numbers = version.trim().strip_prefix('v')?.split('.').map(|part| part.parse().ok());
    Some((numbers.next()??, numbers.next()??))
}

/// Installs the tools that the lock names, unless these are there.
pub(crate) fn install() -> Result<(), Failure> {
    let lock = read(&top().join("wasm/package-lock.json"))?;
    // The lock that was installed last: npm's own note of it has another form.
    let stamp = top().join("wasm/node_modules/.installed-lock.json");
    if fs::read(&stamp).is_ok_and(|installed| installed == lock) {
        return Ok(());
    }
    // No package may run a program of its own here.
    Run::new("npm ci --ignore-scripts --no-audit --no-fund")
        .within("wasm")
        .advice(
            "the npm registry has to be reachable, and wasm/package-lock.json to fit package.json",
        )
        .go()?;
    fs::write(&stamp, lock)
        .map_err(|error| Failure(format!("cannot write {}: {error}", stamp.display())))
}

/// Compiles `wasm/ts` into `wasm/dist`, beside the modules that are there.
pub(crate) fn compile() -> Result<StepResult, Failure> {
    install()?;
    Run::new("node base64.mjs").within("wasm").go()?;
    Run::new("node node_modules/typescript/bin/tsc -p tsconfig.json")
        .within("wasm")
        .advice("the TypeScript does not compile")
        .go()?;
    Ok(StepResult::Done)
}

/// Leaves the package as `target/npm/offhook-VERSION.tgz`: made in a folder that holds nothing else.
pub(crate) fn pack() -> Result<StepResult, Failure> {
    match wasm::package()? {
        StepResult::Done => {}
        skipped => return Ok(skipped),
    }
    println!("{}", tarball()?.display());
    Ok(StepResult::Done)
}

/// Packs what `wasm/dist` holds.
fn tarball() -> Result<PathBuf, Failure> {
    let folder = wasm::target_dir().join("npm/package");
    let target = wasm::target_dir().join("npm");
    Run::new("rm -rf").arg(&target).go()?;
    fs::create_dir_all(&folder)
        .map_err(|error| Failure(format!("cannot make {}: {error}", folder.display())))?;
    let copy =
        Run::new("cp -r wasm/dist wasm/package.json wasm/README.md LICENSE-APACHE LICENSE-MIT");
    copy.arg(&folder).go()?;
    // Who installs it needs none of what builds it.
    Run::new("npm pkg delete devDependencies").within(&folder).go()?;
    let pack = Run::new("npm pack --silent --ignore-scripts --pack-destination").arg(&target);
    let name = pack.within(&folder).read()?;
    Ok(target.join(name.trim()))
}

/// The step `npm`: the tarball is in order by the tools of the field, within its budgets of size, and works
/// where it is installed, under Node, TypeScript, bundlers and in Chromium.
pub(crate) fn check() -> Result<StepResult, Failure> {
    if let StepResult::Skipped(why) = wasm::package()? {
        return Ok(StepResult::Skipped(why));
    }
    let tarball = tarball()?;
    let tool = |line: &str| Run::new(&format!("node node_modules/{line}")).within("wasm");
    tool("publint/src/cli.js run --strict")
        .arg(&tarball)
        .advice("publint names what users of the package would trip over")
        .go()?;
    // A module has no types, and is imported by its address.
    tool(
        "@arethetypeswrong/cli/dist/index.js --profile esm-only --format table-flipped --no-emoji",
    )
    .arg(&tarball)
    .arg("--exclude-entrypoints")
    .arg("offhook.wasm")
    .arg("media.wasm")
    .arg("sim.wasm")
    .advice("the types do not fit what is imported")
    .go()?;
    tool("size-limit/bin.js")
        .advice("the package is larger than wasm/.size-limit.json allows")
        .go()?;
    if !tools::has("chromium") {
        return Ok(StepResult::Skipped("chromium is not installed".to_owned()));
    }
    Run::cargo("build -q -p offhook --bins").advice("the command does not build").go()?;
    let runtimes = runtimes()?;
    // One after the other: a browser that starts is heard in the sound of a call.
    wasm::run_tests("wasm/test-package", |run| {
        let run = run.arg("--test-concurrency=1");
        run.env("OFFHOOK_TARBALL", &tarball).env("OFFHOOK_RUNTIMES", &runtimes)
    })
}

/// The other runtimes in which the package is tried.
const RUNTIMES: &str = "bun@1.4.5 deno@2.9.6";

/// Installs these, once: 200 MB, which not every build needs; the folder they are in. Where the registry does
/// not give them in time, their tests say that they are skipped.
fn runtimes() -> Result<PathBuf, Failure> {
    let folder = wasm::target_dir().join("runtimes");
    if folder.join(RUNTIMES.replace(' ', "-")).is_file() {
        return Ok(folder);
    }
    fs::create_dir_all(&folder)
        .map_err(|error| Failure(format!("cannot make {}: {error}", folder.display())))?;
    // Their programs are in packages for this platform; the scripts would only move them.
    let install = Run::new(&format!(
        "timeout 120 npm install --ignore-scripts --no-audit --no-fund --prefix . {RUNTIMES}"
    ));
    if let Err(Failure(why)) = install.within(&folder).go() {
        println!("{RUNTIMES} are not tried: {why}");
        return Ok(folder);
    }
    let note = folder.join(RUNTIMES.replace(' ', "-"));
    fs::write(&note, "")
        .map_err(|error| Failure(format!("cannot write {}: {error}", note.display())))?;
    Ok(folder)
}

/// `cargo xtask js-bench`: prints what the package weighs and costs, as the table of `wasm/README.md`.
pub(crate) fn measure() -> Result<StepResult, Failure> {
    if let StepResult::Skipped(why) = wasm::package()? {
        return Ok(StepResult::Skipped(why));
    }
    let costs = wasm::costs()?;
    Run::new("node wasm/bench/figures.js").arg(costs).go()?;
    Ok(StepResult::Done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_node_are_compared() {
        assert_eq!(parsed("v20.19.4\n"), Some((20, 19)));
        assert!(parsed("v18.20.4").is_some_and(|version| version < NODE));
        assert!(parsed("v22.1.0").is_some_and(|version| version >= NODE));
        assert_eq!(parsed("node"), None);
    }
}
