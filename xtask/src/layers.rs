//! Whether core's imports point down: `docs/architecture.md` lists its modules, the highest first, and
//! a module imports only from those below it. Tests may import what they like.

use std::fs;
use std::path::{Path, PathBuf};

use crate::run::top;
use crate::steps::{Failure, StepResult};

/// The step `layers`.
pub(crate) fn check() -> Result<StepResult, Failure> {
    let page = top().join("docs/architecture.md");
    let modules = listed(&read(&page)?);
    let root = top().join("core/src");
    let mut faults = Vec::new();
    for file in sources(&root)? {
        let path = file.strip_prefix(&root).unwrap_or(&file).to_string_lossy().into_owned();
        let module = path.split(['/', '.']).next().unwrap_or_default();
        if module == "lib" {
            continue;
        }
        let Some(own) = place(&modules, module) else {
            faults.push(format!("{path}: `{module}` is not in the table of {}", page.display()));
            continue;
        };
        for import in imports(&read(&file)?) {
            if place(&modules, &import).is_none_or(|other| other < own) {
                faults
                    .push(format!("{path}: `{module}` imports `{import}`, which is not below it"));
            }
        }
    }
    match faults.is_empty() {
        true => Ok(StepResult::Done),
        false => Err(Failure(format!("imports point down only:\n{}", faults.join("\n")))),
    }
}

/// The modules of the table, the highest first: the first cell of each row names one or more.
fn listed(page: &str) -> Vec<String> {
    let rows = page.lines().filter(|line| line.starts_with("| `"));
    let cells = rows.filter_map(|row| row.split('|').nth(1));
    cells.flat_map(|cell| cell.split('`').skip(1).step_by(2)).map(str::to_owned).collect()
}

fn place(modules: &[String], module: &str) -> Option<usize> {
    modules.iter().position(|listed| listed == module)
}

/// The modules that a file names by `crate::`, its tests and comments left out.
fn imports(source: &str) -> Vec<String> {
    let code = source.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    let code: Vec<&str> =
        code.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
    let mut found = Vec::new();
    for after in code.join("\n").split("crate::").skip(1) {
        let names = match after.strip_prefix('{') {
            Some(group) => first_names(group),
            None => vec![leading_name(after)],
        };
        found.extend(names);
    }
    found
}

/// The first name of each part of `a::{b, c}, d}`.
fn first_names(group: &str) -> Vec<String> {
    let (mut depth, mut names, mut fresh) = (0, Vec::new(), true);
    for (at, character) in group.char_indices() {
        match character {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => fresh = true,
            _ if fresh && character.is_alphabetic() => {
                names.push(leading_name(group.get(at..).unwrap_or_default()));
                fresh = false;
            }
            _ => {}
        }
    }
    names
}

fn leading_name(text: &str) -> String {
    text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

/// Every source file below a folder that is not of tests only.
fn sources(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let entries = fs::read_dir(folder).map_err(|error| unreadable(folder, &error))?;
    let mut found = Vec::new();
    for entry in entries.flatten() {
        let path = entry.path();
        let name = entry.file_name().to_string_lossy().into_owned();
        let stem = name.trim_end_matches(".rs");
        if stem == "tests" || stem == "testing" || stem.ends_with("_tests") {
            continue;
        }
        match path.is_dir() {
            true => found.extend(sources(&path)?),
            false if name.ends_with(".rs") => found.push(path),
            false => {}
        }
    }
    Ok(found)
}

fn read(path: &Path) -> Result<String, Failure> {
    fs::read_to_string(path).map_err(|error| unreadable(path, &error))
}

fn unreadable(path: &Path, error: &std::io::Error) -> Failure {
    Failure(format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_import_is_found_however_it_is_written() {
        let source = "use crate::sip::{Uri, Via};\nuse crate::{host::Host, time::{Duration, Instant}};\n\
                      // crate::phone\nfn f() -> crate::error::Error {}\n#[cfg(test)]\nmod tests { use crate::sim; }";
        assert_eq!(imports(source), ["sip", "host", "time", "error"]);
    }

    #[test]
    fn the_table_is_read_from_the_top() {
        let page = "| module | holds |\n|---|---|\n| `sim`, `trace` | a |\n| `sip` | b |\n";
        assert_eq!(listed(page), ["sim", "trace", "sip"]);
    }
}
