//! `--config FILE`: options from a TOML file, under the names they have on the command line.
//!
//! The file is turned into arguments, which clap then reads with those that were given, so every
//! option is defined once, and its value is checked in one way.

use std::any::TypeId;
use std::collections::BTreeSet;
use std::error::Error as _;
use std::ffi::OsString;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::error::{ContextKind, ContextValue};
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command, CommandFactory, Parser};
use toml::de::{DeTable, DeValue};

use super::arguments::Cli;
use super::failure::{Failure, Status};
use super::suggestion::nearest;
use offhook::file_problem;

/// Why there are no arguments.
#[derive(Debug)]
pub(crate) enum Refused {
    /// The command line makes no sense, or asked for help.
    CommandLine(clap::Error),
    /// The file cannot be read, or makes no sense.
    File(Failure),
}

/// The arguments `given` (the program's name first), completed by the file that they name. What is
/// given wins over the file, and the file's table for the command over what stands before it.
pub(crate) fn arguments(
    given: Vec<OsString>,
    read: impl FnOnce(&Path) -> io::Result<String>,
) -> Result<Cli, Refused> {
    let mut whole = Cli::command();
    whole.build();
    // What the file has to provide is still missing, and mistakes are reported when it is read below.
    let look = whole.clone().ignore_errors(true).try_get_matches_from(&given);
    let named = look.as_ref().ok().and_then(|matches| {
        let (name, matches) = matches.subcommand()?;
        Some((whole.find_subcommand(name)?, matches, matches.get_one::<PathBuf>("config")?))
    });
    let Some((command, matches, path)) = named else {
        return Cli::try_parse_from(given).map_err(Refused::CommandLine);
    };
    let text = read(path).map_err(|error| {
        let problem = file_problem(&error);
        Refused::File(offhook::Error::File { path: path.clone(), problem }.into())
    })?;
    let file = File { path, text: &text };
    let options = file.options(&whole, command, matches).map_err(Refused::File)?;
    let mut all = given;
    let at = place_after(&all, command.get_name());
    all.splice(at..at, options.iter().flat_map(|option| option.arguments.iter().map(Into::into)));
    Cli::try_parse_from(all).map_err(|error| file.explain(error, &options))
}

/// Where the options of the subcommand `name` may begin: only --config has a value before it.
fn place_after(arguments: &[OsString], name: &str) -> usize {
    let mut value = false;
    let at = arguments.iter().skip(1).position(|argument| {
        let is_name = !value && argument == name;
        value = !value && argument == "--config";
        is_name
    });
    at.map_or(arguments.len(), |at| at + 2)
}

/// A configuration file.
#[derive(Clone, Copy)]
struct File<'a> {
    path: &'a Path,
    text: &'a str,
}

/// An option that the file sets.
struct FromFile {
    key: String,
    at: Range<usize>,
    arguments: Vec<String>,
}

impl File<'_> {
    /// What the file sets for `command` and the command line does not.
    fn options(
        self,
        whole: &Command,
        command: &Command,
        matches: &ArgMatches,
    ) -> Result<Vec<FromFile>, Failure> {
        let table = DeTable::parse(self.text)
            .map_err(|error| self.wrong(error.span().unwrap_or_default(), error.message()))?;
        let (mut own, mut others) = (None, Vec::new());
        for (key, value) in table.get_ref() {
            match (value.get_ref(), whole.find_subcommand(&**key.get_ref())) {
                // Mistakes in the options of other commands are reported as well.
                (DeValue::Table(table), Some(section)) => {
                    let options = self.section(section, table.iter())?;
                    if section.get_name() == command.get_name() {
                        own = Some(options);
                    }
                }
                _ => others.push((key, value)),
            }
        }
        let mut set: BTreeSet<&str> =
            given(command, matches).map(|arg| arg.get_id().as_str()).collect();
        let mut options = Vec::new();
        for section in [own.unwrap_or_default(), self.section(command, others.into_iter())?] {
            let news: Vec<_> = section
                .into_iter()
                .filter(|(arg, _)| {
                    let mut stronger =
                        command.get_arguments().filter(|a| set.contains(a.get_id().as_str()));
                    !stronger.any(|strong| excludes(command, strong, arg))
                })
                .collect();
            set.extend(news.iter().map(|(arg, _)| arg.get_id().as_str()));
            options.extend(news.into_iter().map(|(_, option)| option));
        }
        Ok(options)
    }

    /// The options of `command` that `entries` set.
    fn section<'c, 't>(
        self,
        command: &'c Command,
        entries: impl Iterator<Item = Entry<'t>>,
    ) -> Result<Vec<(&'c Arg, FromFile)>, Failure> {
        let option = |(key, value): Entry<'t>| {
            let Some(arg) = options(command).find(|arg| name(arg) == key.get_ref()) else {
                return Err(self.unknown(command, key.get_ref(), key.span()));
            };
            let arguments = in_arguments(arg, value.get_ref()).map_err(|wanted| {
                let found = value.get_ref().type_str();
                self.wrong(value.span(), &format!("{} is {wanted}, not {found}", key.get_ref()))
            })?;
            let key = key.get_ref().to_string();
            Ok((arg, FromFile { key, at: value.span(), arguments }))
        };
        entries.map(option).collect()
    }

    fn unknown(self, command: &Command, key: &str, at: Range<usize>) -> Failure {
        let meant = nearest(key, options(command).map(name));
        let hint = meant.map(|name| format!("; did you mean {name}?")).unwrap_or_default();
        let command = command.get_name();
        self.wrong(at, &format!("offhook {command} has no option {key}{hint}"))
    }

    /// An error of clap about an option of the file names its place there.
    fn explain(self, error: clap::Error, options: &[FromFile]) -> Refused {
        let blamed = match error.get(ContextKind::InvalidArg) {
            Some(ContextValue::String(blamed)) => blamed.split([' ', '=']).next(),
            _ => None,
        };
        let blamed = blamed.and_then(|blamed| blamed.strip_prefix("--"));
        let Some(option) = options.iter().find(|option| Some(option.key.as_str()) == blamed) else {
            return Refused::CommandLine(error);
        };
        let problem = match (error.source(), error.get(ContextKind::ValidValue)) {
            (Some(source), _) => source.to_string(),
            (None, Some(ContextValue::Strings(known))) => format!("one of {}", known.join(", ")),
            _ => {
                let text = error.to_string();
                let first = text.lines().next().unwrap_or_default();
                first.trim_start_matches("error: ").to_owned()
            }
        };
        Refused::File(self.wrong(option.at.clone(), &format!("{}: {problem}", option.key)))
    }

    fn wrong(self, at: Range<usize>, problem: &str) -> Failure {
        let before = self.text.get(..at.start).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        let message = format!("{}, line {line}: {problem}", self.path.display());
        Failure::new(Status::Usage, "config", message)
    }
}

type Entry<'t> = (&'t toml::Spanned<toml::de::DeString<'t>>, &'t toml::Spanned<DeValue<'t>>);

/// The options that a file may set: all but those that only make sense on the command line.
fn options(command: &Command) -> impl Iterator<Item = &Arg> {
    let actions = |arg: &Arg| {
        matches!(
            arg.get_action(),
            ArgAction::Set | ArgAction::Append | ArgAction::SetTrue | ArgAction::Count
        )
    };
    let named = command.get_arguments().filter(|arg| !arg.is_positional());
    named.filter(move |arg| actions(arg) && arg.get_id() != "config")
}

/// The name of an option in a file.
fn name(arg: &Arg) -> &str {
    arg.get_long().unwrap_or(arg.get_id().as_str())
}

/// The options that the command line gives.
fn given<'c>(command: &'c Command, matches: &ArgMatches) -> impl Iterator<Item = &'c Arg> {
    options(command)
        .filter(|arg| matches.value_source(arg.get_id().as_str()) == Some(ValueSource::CommandLine))
}

/// Whether `strong` leaves no place for `weak`.
fn excludes(command: &Command, strong: &Arg, weak: &Arg) -> bool {
    let conflicts = |a, b: &Arg| {
        command.get_arg_conflicts_with(a).iter().any(|conflict| conflict.get_id() == b.get_id())
    };
    strong.get_id() == weak.get_id() || conflicts(strong, weak) || conflicts(weak, strong)
}

/// The arguments that say what the file says; what the value should be, when it is something else.
fn in_arguments(arg: &Arg, value: &DeValue<'_>) -> Result<Vec<String>, &'static str> {
    let with = |text: String| format!("--{}={text}", name(arg));
    match (arg.get_action(), value) {
        (ArgAction::SetTrue, DeValue::Boolean(true)) => Ok(vec![format!("--{}", name(arg))]),
        (ArgAction::SetTrue, DeValue::Boolean(false)) => Ok(Vec::new()),
        (ArgAction::SetTrue, _) => Err("true or false"),
        (ArgAction::Count, value) => {
            /// As often as anybody says --verbose.
            const MOST: usize = 8;
            let times = number(value).and_then(|text| text.parse().ok());
            let times = times.filter(|times| *times <= MOST).ok_or("a small number")?;
            let short = arg.get_short().map(|short| format!("-{short}"));
            Ok(vec![short.unwrap_or_else(|| format!("--{}", name(arg))); times])
        }
        (ArgAction::Append, DeValue::Array(values)) => {
            let texts = values.iter().map(|value| scalar(arg, value.get_ref()).map(with));
            texts.collect::<Option<_>>().ok_or("an array of strings")
        }
        (ArgAction::Append, value) => {
            scalar(arg, value).map(|text| vec![with(text)]).ok_or("a string or an array of strings")
        }
        (_, value) => {
            let wanted = if is_number(arg) { "a number" } else { "a string" };
            scalar(arg, value).map(|text| vec![with(text)]).ok_or(wanted)
        }
    }
}

/// The text of one value, if it is of the option's type.
fn scalar(arg: &Arg, value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) if !is_number(arg) => Some(text.to_string()),
        value if is_number(arg) => number(value),
        _ => None,
    }
}

fn number(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::Integer(integer) => {
            let number = i64::from_str_radix(integer.as_str(), integer.radix()).ok()?;
            Some(number.to_string())
        }
        DeValue::Float(float) => Some(float.as_str().parse::<f64>().ok()?.to_string()),
        _ => None,
    }
}

/// Whether the option's value is a number; everything else is written as a string.
fn is_number(arg: &Arg) -> bool {
    let kind = arg.get_value_parser().type_id();
    let whole = [TypeId::of::<u8>(), TypeId::of::<u16>(), TypeId::of::<u64>()];
    let broken = [TypeId::of::<f64>(), TypeId::of::<Duration>()];
    whole.iter().chain(&broken).any(|number| kind == *number)
}

#[cfg(test)]
mod tests;
