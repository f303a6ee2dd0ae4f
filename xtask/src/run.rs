//! Running other programs from the top of the project.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::steps::Failure;

/// The top of the project.
pub(crate) fn top() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_owned()
}

/// Where programs are: `PATH`, and the folders of servers (kamailio, nft), which the `PATH` of users and
/// of CI may lack.
pub(crate) fn path() -> OsString {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = ["/usr/local/sbin", "/usr/sbin", "/sbin"].map(PathBuf::from);
    std::env::join_paths(std::env::split_paths(&path).chain(folders)).unwrap_or(path)
}

/// A program to run, with its arguments and what its failure means.
pub(crate) struct Run {
    command: Command,
    advice: String,
}

impl Run {
    /// A program with arguments separated by spaces, without input.
    pub(crate) fn new(line: &str) -> Self {
        let (program, arguments) = line.split_once(' ').unwrap_or((line, ""));
        Self::of(program.as_ref(), arguments)
    }

    /// The cargo that runs us, with arguments separated by spaces.
    pub(crate) fn cargo(line: &str) -> Self {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        Self::of(&cargo, line)
    }

    fn of(program: &OsStr, arguments: &str) -> Self {
        let mut command = Command::new(program);
        command.args(arguments.split(' ').filter(|argument| !argument.is_empty()));
        command.current_dir(top()).env("PATH", path()).stdin(Stdio::null());
        Self { command, advice: String::new() }
    }

    /// One more argument, which may have spaces.
    pub(crate) fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.command.arg(argument);
        self
    }

    /// The folder to run it in, from the top of the project; without this the top itself.
    pub(crate) fn within(mut self, folder: impl AsRef<Path>) -> Self {
        self.command.current_dir(top().join(folder));
        self
    }

    /// An environment variable.
    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Several environment variables.
    pub(crate) fn envs(mut self, variables: &[(String, String)]) -> Self {
        self.command.envs(variables.iter().map(|(name, value)| (name, value)));
        self
    }

    /// What to do when it fails.
    pub(crate) fn advice(mut self, advice: &str) -> Self {
        self.advice = advice.to_owned();
        self
    }

    /// Runs it with our own output, shown as `$ ...`.
    pub(crate) fn go(mut self) -> Result<(), Failure> {
        println!("$ {self}");
        match self.command.status() {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(self.failure(&status.to_string())),
            Err(error) => Err(self.failure(&error.to_string())),
        }
    }

    /// Runs it and takes what it prints; its errors are shown.
    pub(crate) fn read(mut self) -> Result<String, Failure> {
        println!("$ {self}");
        match self.command.stderr(Stdio::inherit()).output() {
            Ok(output) if output.status.success() => {
                Ok(String::from_utf8_lossy(&output.stdout).into_owned())
            }
            Ok(output) => Err(self.failure(&output.status.to_string())),
            Err(error) => Err(self.failure(&error.to_string())),
        }
    }

    /// Runs it in silence; whether it succeeded.
    pub(crate) fn succeeds(mut self) -> bool {
        let silent = self.command.stdout(Stdio::null()).stderr(Stdio::null());
        silent.status().is_ok_and(|status| status.success())
    }

    fn failure(&self, what: &str) -> Failure {
        let advice = if self.advice.is_empty() { "see above" } else { &self.advice };
        Failure(format!("`{self}` failed ({what}): {advice}"))
    }
}

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let program = Path::new(self.command.get_program());
        let name = program.file_name().unwrap_or(program.as_os_str());
        write!(f, "{}", name.to_string_lossy())?;
        for argument in self.command.get_args() {
            write!(f, " {}", argument.to_string_lossy())?;
        }
        Ok(())
    }
}
