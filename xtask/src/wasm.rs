//! WebAssembly: finding a compiler, the check that the core asks nothing of its host, and the
//! JavaScript package.

use std::fs;
use std::path::{Path, PathBuf};

use crate::imports::imports;
use crate::npm;
use crate::run::{Run, top};
use crate::steps::{Failure, StepResult, is_ci};

const TARGET: &str = "wasm32-unknown-unknown";

/// What wasm-bindgen imports into every module, needed or not.
const BINDGENS_OWN: &str = "__wbindgen_init_externref_table";

/// A compiler for [`TARGET`], as `scripts/wasm-toolchain.sh` found or made it.
struct Toolchain {
    environment: Vec<(String, String)>,
    target_dir: PathBuf,
}

impl Toolchain {
    fn find() -> Result<Self, Failure> {
        let script = Run::new("bash scripts/wasm-toolchain.sh")
            .advice("there is no compiler for WebAssembly, and none could be made");
        let environment: Vec<_> = script.read()?.lines().filter_map(exported).collect();
        let own_dir = environment.iter().find(|(name, _)| name == "CARGO_TARGET_DIR");
        let target_dir = own_dir.map_or_else(target_dir, |(_, folder)| PathBuf::from(folder));
        Ok(Self { environment, target_dir })
    }

    /// Compiles something of the package offhook-wasm as it is published; `what` is `--lib`, with
    /// features or not, or `--example NAME`.
    ///
    /// The library is built for JavaScript alone: beside an rlib nothing in it is private, and what is
    /// called once is not put where it is called, which makes a seventh more.
    fn build(&self, what: &str) -> Result<PathBuf, Failure> {
        let (command, kind) = match what.starts_with("--lib") {
            true => ("rustc", "--crate-type cdylib"),
            false => ("build", ""),
        };
        let build =
            format!("{command} -q -p offhook-wasm {what} --target {TARGET} --profile wasm {kind}");
        Run::cargo(&build)
            .envs(&self.environment)
            .advice("the code does not build for WebAssembly")
            .go()?;
        let folder = self.target_dir.join(TARGET).join("wasm");
        Ok(match what.strip_prefix("--example ") {
            Some(name) => folder.join("examples").join(format!("{name}.wasm")),
            None => folder.join("offhook_wasm.wasm"),
        })
    }
}

/// The name and value of a line `export NAME='VALUE'`.
fn exported(line: &str) -> Option<(String, String)> {
    let (name, value) = line.strip_prefix("export ")?.split_once('=')?;
    Some((name.to_owned(), value.trim_matches('\'').to_owned()))
}

/// Where the project's own builds go.
pub(crate) fn target_dir() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| top().join("target"), PathBuf::from)
}

/// The step `imports`: a module that runs a phone, its media and the simulation imports nothing.
pub(crate) fn check_imports() -> Result<StepResult, Failure> {
    let module = Toolchain::find()?.build("--example probe")?;
    let bytes = read(&module)?;
    let Some(found) = imports(&bytes) else {
        return Err(Failure(format!("{} is not a WebAssembly module", module.display())));
    };
    if found.is_empty() {
        println!("the core imports nothing ({} bytes)", bytes.len());
        return Ok(StepResult::Done);
    }
    let names: Vec<_> = found.iter().map(ToString::to_string).collect();
    Err(Failure(format!(
        "the core asks its host for {}: take it through `core/src/host.rs` instead",
        names.join(", ")
    )))
}

/// Builds the JavaScript package into `wasm/dist`, anew: the telephone, the simulation, the media machine
/// alone, and what TypeScript makes of `wasm/ts`.
pub(crate) fn package() -> Result<StepResult, Failure> {
    if let Some(missing) = npm::missing() {
        return Ok(StepResult::Skipped(missing));
    }
    let module = Toolchain::find()?.build("--lib")?;
    let folder = top().join("wasm/dist");
    // What is no longer made must not be there to be imported.
    let _ = fs::remove_dir_all(&folder);
    bindgen(&module, &folder)?;
    let module = folder.join("offhook.wasm");
    move_file(&folder.join("offhook_wasm_bg.wasm"), &module)?;
    // What the module exports is the glue's own affair.
    let _ = fs::remove_file(folder.join("offhook_wasm_bg.wasm.d.ts"));
    print_size(&module)?;
    sim_module(&folder)?;
    media_module(&folder.join("media.wasm"))?;
    npm::compile()
}

/// Builds the simulation and its glue, which is its own: a program has telephones of both.
fn sim_module(to: &Path) -> Result<(), Failure> {
    let module = Toolchain::find()?.build("--lib --features sim")?;
    let folder = target_dir().join("sim");
    bindgen(&module, &folder)?;
    move_file(&folder.join("offhook_wasm.js"), &to.join("sim_glue.js"))?;
    move_file(&folder.join("offhook_wasm.d.ts"), &to.join("sim_glue.d.ts"))?;
    let module = to.join("sim.wasm");
    move_file(&folder.join("offhook_wasm_bg.wasm"), &module)?;
    print_size(&module)
}

/// Builds the media machine alone: a module that asks nothing of its host and needs no glue.
fn media_module(to: &Path) -> Result<StepResult, Failure> {
    let module = Toolchain::find()?.build("--lib --no-default-features --features media")?;
    let folder = target_dir().join("media");
    bindgen(&module, &folder)?;
    let bytes = read(&folder.join("offhook_wasm_bg.wasm"))?;
    let found = imports(&bytes).unwrap_or_default();
    if let Some(import) = found.iter().find(|import| import.name != BINDGENS_OWN) {
        return Err(Failure(format!("the media module asks its host for {import}")));
    }
    fs::write(to, &bytes)
        .map_err(|error| Failure(format!("cannot write {}: {error}", to.display())))?;
    print_size(to)?;
    Ok(StepResult::Done)
}

/// Prints how large a module is, as it is and as a server sends it.
fn print_size(module: &Path) -> Result<(), Failure> {
    let script = "process.stdout.write(String(require('zlib').brotliCompressSync(\
                  require('fs').readFileSync(process.argv[1])).length))";
    let packed = Run::new("node -e").arg(script).arg(module).read()?;
    let name = module.file_name().unwrap_or_default().to_string_lossy();
    println!("{name}: {} bytes, {packed} by brotli", read(module)?.len());
    Ok(())
}

/// A module of the package with the names of its functions in it, built with these features of cargo.
pub(crate) fn with_names(features: &str) -> Result<Vec<u8>, Failure> {
    let module = Toolchain::find()?.build(&format!("--lib {features}"))?;
    let folder = target_dir().join("sizes");
    run_bindgen(&["--names"], &module, &folder)?;
    read(&folder.join("offhook_wasm_bg.wasm"))
}

/// The step `node`: the tests of the package under Node, among them a call with the native command.
pub(crate) fn test_under_node() -> Result<StepResult, Failure> {
    if let Some(missing) = npm::missing() {
        return Ok(StepResult::Skipped(missing));
    }
    Run::cargo("build -q -p offhook --bins").advice("the command does not build").go()?;
    package()?;
    run_tests("wasm/test", |run| run)
}

/// Runs a folder's tests under Node, the native command at hand.
pub(crate) fn run_tests(folder: &str, with: impl Fn(Run) -> Run) -> Result<StepResult, Failure> {
    let command = target_dir().join("debug/offhook");
    let peers = if is_ci() { "required" } else { "" };
    let run = Run::new("node --test").env("OFFHOOK_BIN", command).env("OFFHOOK_PEERS", peers);
    let mut run = with(run);
    for file in test_files(Path::new(folder))? {
        run = run.arg(file);
    }
    run.advice(&format!("a test of {folder} failed; its name is above")).go()?;
    Ok(StepResult::Done)
}

/// The files `*.test.js` of a folder, from the top of the project.
fn test_files(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let entries = fs::read_dir(top().join(folder));
    let entries =
        entries.map_err(|error| Failure(format!("cannot read {}: {error}", folder.display())))?;
    let names = entries.flatten().map(|entry| entry.file_name());
    let tests = names.filter(|name| name.to_string_lossy().ends_with(".test.js"));
    let mut files: Vec<_> = tests.map(|name| folder.join(name)).collect();
    files.sort();
    Ok(files)
}

/// The traces of every scenario, played under Node.
pub(crate) fn traces_under_node() -> Result<String, Failure> {
    let module = Toolchain::find()?.build("--example scenarios")?;
    let folder = target_dir().join("scenarios");
    bindgen(&module, &folder)?;
    // Before version 20.19 Node does not see by itself that a file is a module.
    let manifest = folder.join("package.json");
    fs::write(&manifest, r#"{"type":"module"}"#)
        .map_err(|error| Failure(format!("cannot write {}: {error}", manifest.display())))?;
    Run::new("node wasm/test/traces.js")
        .arg(folder.join("scenarios.js"))
        .advice("a scenario failed under Node")
        .read()
}

/// Builds the module that measures a crossing and parsing; its glue.
pub(crate) fn costs() -> Result<PathBuf, Failure> {
    let module = Toolchain::find()?.build("--example costs")?;
    let folder = target_dir().join("js-bench");
    bindgen(&module, &folder)?;
    Ok(folder.join("costs.js"))
}

/// Makes JavaScript of a module with the generator in `xtask/bindgen`, which is built on first use.
fn bindgen(module: &Path, folder: &Path) -> Result<(), Failure> {
    run_bindgen(&[], module, folder)
}

fn run_bindgen(options: &[&str], module: &Path, folder: &Path) -> Result<(), Failure> {
    let run = Run::cargo("run -q --locked --manifest-path xtask/bindgen/Cargo.toml --target-dir");
    let run = run.arg(target_dir().join("bindgen")).arg("--");
    let run = options.iter().fold(run, Run::arg);
    run.arg(module)
        .arg(folder)
        .advice("are wasm/Cargo.toml and xtask/bindgen/Cargo.toml of one wasm-bindgen version?")
        .go()
}

/// Gives a file another name.
fn move_file(from: &Path, to: &Path) -> Result<(), Failure> {
    let moved = fs::rename(from, to);
    moved.map_err(|error| Failure(format!("cannot write {}: {error}", to.display())))
}

pub(crate) fn read(file: &Path) -> Result<Vec<u8>, Failure> {
    fs::read(file).map_err(|error| Failure(format!("cannot read {}: {error}", file.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_toolchain_is_what_the_script_exports() {
        let given = ["export RUSTC='/a b/rustc'", "note", "export WASM_TOOLCHAIN=debian"];
        let read: Vec<_> = given.into_iter().filter_map(exported).collect();
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(read, [pair("RUSTC", "/a b/rustc"), pair("WASM_TOOLCHAIN", "debian")]);
    }
}
