//! WebAssembly: finding a compiler, the check that the core asks nothing of its host, and the
//! JavaScript package.

use std::fs;
use std::path::{Path, PathBuf};

use crate::imports::imports;
use crate::run::{Run, top};
use crate::steps::{Failure, Outcome};

const TARGET: &str = "wasm32-unknown-unknown";

/// How to compile.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Profile {
    Dev,
    Release,
}

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

    /// Compiles something of the package offhook-wasm; `what` is `--lib` or `--example NAME`.
    fn build(&self, what: &str, profile: Profile) -> Result<PathBuf, Failure> {
        let release = if profile == Profile::Release { " --profile wasm" } else { "" };
        Run::cargo(&format!("build -q -p offhook-wasm {what} --target {TARGET}{release}"))
            .envs(&self.environment)
            .advice("the code does not build for WebAssembly")
            .go()?;
        let folder = if profile == Profile::Release { "wasm" } else { "debug" };
        let folder = self.target_dir.join(TARGET).join(folder);
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
pub(crate) fn check_imports() -> Result<Outcome, Failure> {
    let module = Toolchain::find()?.build("--example probe", Profile::Dev)?;
    let bytes = read(&module)?;
    let Some(found) = imports(&bytes) else {
        return Err(Failure(format!("{} is not a WebAssembly module", module.display())));
    };
    if found.is_empty() {
        println!("the core imports nothing ({} bytes)", bytes.len());
        return Ok(Outcome::Done);
    }
    let names: Vec<_> = found.iter().map(ToString::to_string).collect();
    Err(Failure(format!(
        "the core asks its host for {}: take it through `core/src/host.rs` instead",
        names.join(", ")
    )))
}

/// Builds the JavaScript package into `wasm/dist`.
pub(crate) fn package(profile: Profile) -> Result<Outcome, Failure> {
    let module = Toolchain::find()?.build("--lib", profile)?;
    let folder = top().join("wasm/dist");
    bindgen(&module, &folder)?;
    let size = read(&folder.join("offhook_wasm_bg.wasm"))?.len();
    println!("wasm/dist: {size} bytes of WebAssembly");
    Ok(Outcome::Done)
}

/// Builds the scenarios for JavaScript into `target/scenarios`.
pub(crate) fn scenarios() -> Result<PathBuf, Failure> {
    let module = Toolchain::find()?.build("--example scenarios", Profile::Dev)?;
    let folder = target_dir().join("scenarios");
    bindgen(&module, &folder)?;
    Ok(folder)
}

/// Makes JavaScript of a module with the generator in `xtask/bindgen`, which is built on first use.
fn bindgen(module: &Path, folder: &Path) -> Result<(), Failure> {
    Run::cargo("run -q --locked --manifest-path xtask/bindgen/Cargo.toml --target-dir")
        .arg(target_dir().join("bindgen"))
        .arg("--")
        .arg(module)
        .arg(folder)
        .advice("are wasm/Cargo.toml and xtask/bindgen/Cargo.toml of one wasm-bindgen version?")
        .go()
}

fn read(file: &Path) -> Result<Vec<u8>, Failure> {
    fs::read(file).map_err(|error| Failure(format!("cannot read {}: {error}", file.display())))
}
