//! Other people's programs that tests need.

/// What of the environment says that a missing program fails a test instead of skipping it: it is
/// `required`. `cargo xtask test` sets it under CI.
pub const PEERS: &str = "OFFHOOK_PEERS";

/// Whether programs are installed; says on standard error which is not, so that no test is skipped in
/// silence.
///
/// # Panics
/// When one is not, and [`PEERS`] says that all are required.
pub fn installed(programs: &[&str]) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found =
        |program: &str| std::env::split_paths(&path).any(|folder| folder.join(program).is_file());
    let missing = programs.iter().find(|program| !found(program));
    if let Some(program) = missing {
        skip(&format!("{program} is not installed (cargo xtask test tools)"));
    }
    missing.is_none()
}

/// Says on standard error why a test is skipped.
///
/// # Panics
/// When [`PEERS`] says that none may be.
pub fn skip(why: &str) {
    let required = std::env::var_os(PEERS).is_some_and(|value| value == "required");
    assert!(!required, "{why}, and {PEERS}=required");
    eprintln!("skipped: {why}");
}
