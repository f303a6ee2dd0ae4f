//! The files that a command plays and writes, looked at before anything rings.

use std::fs::OpenOptions;
use std::io;
use std::path::{Path, PathBuf};

use offhook::{Error, io_problem};

use super::failure::{Failure, Status};
use super::output::Output;

/// The files that the options of a call name, by the options.
#[derive(Debug, Default)]
pub(crate) struct Files<'a> {
    read: Vec<(&'static str, &'a Path)>,
    written: Vec<(&'static str, &'a Path)>,
}

impl<'a> Files<'a> {
    /// A WAV to be played.
    pub(crate) fn plays(mut self, option: &'static str, path: &'a Option<PathBuf>) -> Self {
        self.read.extend(path.as_deref().map(|path| (option, path)));
        self
    }

    /// A file to be made.
    pub(crate) fn writes(mut self, option: &'static str, path: &'a Option<PathBuf>) -> Self {
        self.written.extend(path.as_deref().map(|path| (option, path)));
        self
    }

    /// Refuses what cannot be played or made, and one file for two things; warns of WAVs that are cut
    /// short.
    pub(crate) fn check(&self, output: Output) -> Result<(), Failure> {
        for &(option, path) in &self.read {
            if let Some(cut_short) = offhook::check_wav(path)? {
                let message = format!("{option} {}: {cut_short}", path.display());
                output.warning("wav_cut_short", &message);
            }
        }
        for (index, &(option, path)) in self.written.iter().enumerate() {
            let earlier = self.written.iter().take(index);
            let same = self.read.iter().chain(earlier).find(|(_, other)| is_same(path, other));
            if let Some((other, _)) = same {
                let path = path.display();
                let message = format!("{other} and {option} cannot both have the file {path}");
                return Err(Failure::new(Status::Usage, "same_file", message));
            }
            check_writable(path)?;
        }
        Ok(())
    }
}

/// Refuses a file that cannot be made or written, and leaves no trace.
pub(crate) fn check_writable(path: &Path) -> Result<(), Failure> {
    let wrong = |problem: String| Failure::from(Error::File { path: path.to_owned(), problem });
    match std::fs::metadata(path) {
        Ok(there) if there.is_dir() => Err(wrong("cannot write it: it is a directory".into())),
        // What waits for its reader (a FIFO) would keep us waiting as well.
        Ok(there) if !there.is_file() => Ok(()),
        there => {
            let opened = OpenOptions::new().append(true).create(true).open(path);
            opened.map_err(|error| wrong(format!("cannot write it: {}", io_problem(&error))))?;
            match there {
                Err(error) if error.kind() == io::ErrorKind::NotFound => std::fs::remove_file(path)
                    .map_err(|error| wrong(format!("cannot write it: {}", io_problem(&error)))),
                _ => Ok(()),
            }
        }
    }
}

/// Whether two paths lead to one file, which may not be there yet.
fn is_same(one: &Path, other: &Path) -> bool {
    let resolved = |path: &Path| {
        path.canonicalize().ok().or_else(|| {
            let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
            Some(parent.unwrap_or(Path::new(".")).canonicalize().ok()?.join(path.file_name()?))
        })
    };
    one == other || resolved(one).is_some_and(|one| Some(one) == resolved(other))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_file_has_many_paths() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        std::fs::write(path("there"), "").unwrap();
        std::fs::create_dir(path("sub")).unwrap();
        assert!(is_same(&path("there"), &path("sub/../there")));
        assert!(is_same(&path("new"), &path("sub/../new")));
        assert!(!is_same(&path("there"), &path("new")) && !is_same(&path("a"), &path("sub/a")));
    }

    #[test]
    fn looking_leaves_no_trace() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        std::fs::write(path("there"), "kept").unwrap();
        check_writable(&path("there")).unwrap();
        check_writable(&path("new")).unwrap();
        assert_eq!(std::fs::read(path("there")).unwrap(), b"kept");
        assert!(!path("new").exists());
        let problem = |name| check_writable(&path(name)).unwrap_err().message().to_owned();
        assert!(problem("no/new").contains("No such file or directory"));
        assert!(problem("").contains("it is a directory"));
    }
}
