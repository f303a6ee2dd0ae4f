//! The recordings of a call. One that fails is reported at once, and the call goes on.

use std::path::{Path, PathBuf};

use offhook::{Call, Recording};
use tokio::task::JoinHandle;

use super::failure::Failure;
use super::output::Output;

/// Where calls are recorded, and the recordings that run.
#[derive(Debug)]
pub(crate) struct Recordings<'a> {
    output: Output,
    /// Where what is sent and heard goes.
    both: Option<&'a Path>,
    /// Where what is heard goes.
    received: Option<&'a Path>,
    /// The number of the next call: each has files of its own.
    number: u64,
    running: Vec<JoinHandle<Option<Failure>>>,
}

impl<'a> Recordings<'a> {
    /// None yet; the first will be of the call of that number.
    pub(crate) fn new(
        output: Output,
        both: &'a Option<PathBuf>,
        received: &'a Option<PathBuf>,
        number: u64,
    ) -> Self {
        let (both, received) = (both.as_deref(), received.as_deref());
        Self { output, both, received, number, running: Vec::new() }
    }

    /// Begins to record a call.
    pub(crate) fn begin(&mut self, call: &Call) {
        let both = self.both.map(|path| call.record(numbered(path, self.number)));
        let received = self.received.map(|path| call.record_received(numbered(path, self.number)));
        self.number += 1;
        let output = self.output;
        let watched = |recording: Result<Recording, _>| {
            tokio::spawn(async move {
                let result = match recording {
                    Ok(mut recording) => recording.finished().await,
                    Err(error) => Err(error),
                };
                result.err().map(|error| output.report_failure(error.into()))
            })
        };
        self.running.extend(both.into_iter().chain(received).map(watched));
    }

    /// Waits until the files are complete, which they are when the calls are over.
    ///
    /// # Errors
    /// A failure that was printed when it happened.
    pub(crate) async fn finished(self) -> Result<(), Failure> {
        let mut result = Ok(());
        for running in self.running {
            if let Some(failure) = running.await.map_err(Failure::internal)? {
                result = Err(failure);
            }
        }
        result
    }
}

/// The file for a call: `echo.wav`, `echo-2.wav`, ...
fn numbered(path: &Path, number: u64) -> PathBuf {
    if number == 1 {
        return path.to_owned();
    }
    let mut name = path.file_stem().unwrap_or_default().to_owned();
    name.push(format!("-{number}"));
    if let Some(extension) = path.extension() {
        name.push(".");
        name.push(extension);
    }
    path.with_file_name(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_call_has_a_file_of_its_own() {
        assert_eq!(numbered(Path::new("a/b.wav"), 1), Path::new("a/b.wav"));
        assert_eq!(numbered(Path::new("a/b.wav"), 3), Path::new("a/b-3.wav"));
        assert_eq!(numbered(Path::new("b"), 2), Path::new("b-2"));
    }
}
