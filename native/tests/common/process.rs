//! The command as a child process: its JSON lines, its sentence and its exit status, each waited
//! for with a deadline.
#![allow(dead_code, reason = "each test program uses a part")]

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

/// A running `offhook`.
pub(crate) struct Offhook {
    child: Child,
    lines: Receiver<Value>,
    sentence: Receiver<String>,
    /// What of its standard error has been waited for already.
    said: String,
}

/// Longer than anything takes that these tests start.
const PATIENCE: Duration = Duration::from_secs(120);

impl Offhook {
    /// Starts it with `arguments`, split at spaces, and `--json`; `directory` is where it works.
    pub(crate) fn start(directory: &Path, arguments: &str) -> Self {
        Self::start_with(directory, arguments, &[])
    }

    /// Starts it likewise, with `more` arguments as they are.
    pub(crate) fn start_with(directory: &Path, arguments: &str, more: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_offhook"))
            .args(arguments.split_whitespace())
            .args(more)
            .arg("--json")
            .current_dir(directory)
            .env_remove("OFFHOOK_PASSWORD")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("offhook starts");
        let (out, err) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        let (line, lines) = channel();
        thread::spawn(move || {
            for text in BufReader::new(out).lines().map_while(Result::ok) {
                let value = serde_json::from_str(&text).expect(&text);
                if let Some(unknown) = undocumented(&value) {
                    panic!("docs/json.md does not know {unknown}: {text}");
                }
                let _ = line.send(value);
            }
        });
        let (told, sentence) = channel();
        thread::spawn(move || {
            let mut err = BufReader::new(err);
            let mut text = String::new();
            while err.read_line(&mut text).is_ok_and(|length| length > 0) {
                let _ = told.send(std::mem::take(&mut text));
            }
        });
        Self { child, lines, sentence, said: String::new() }
    }

    /// Waits for the event of that name, passing over others.
    #[track_caller]
    pub(crate) fn wait(&self, event: &str) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(value) if value["event"] == event => return value,
                Ok(_) => {}
                Err(error) => panic!("no event {event}: {error}"),
            }
        }
    }

    /// Waits for the state of that name.
    #[track_caller]
    pub(crate) fn wait_state(&self, state: &str) -> Value {
        loop {
            let value = self.wait("state");
            if value["state"] == state {
                return value;
            }
        }
    }

    /// Waits for a line on standard error that has these words (with `-v`, the messages).
    #[track_caller]
    pub(crate) fn wait_said(&mut self, words: &str) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.sentence.recv_timeout(left) {
                Ok(line) => {
                    self.said.push_str(&line);
                    if line.contains(words) {
                        return;
                    }
                }
                Err(error) => panic!("it did not say {words}: {error}; {}", self.said),
            }
        }
    }

    /// The address that the first `listening` tells.
    #[track_caller]
    pub(crate) fn address(&self) -> String {
        self.wait("listening")["local"].as_str().unwrap().to_owned()
    }

    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends SIGTERM, SIGINT or SIGKILL: `-TERM`.
    pub(crate) fn signal(&self, signal: &str) {
        let id = self.id().to_string();
        let sent = Command::new("kill").args([signal, &id]).status().expect("kill runs");
        assert!(sent.success());
    }

    /// Waits for the end: the exit status, the sentence on standard error, the events left.
    #[track_caller]
    pub(crate) fn end(mut self) -> (i32, String, Vec<Value>) {
        let deadline = Instant::now() + PATIENCE;
        // Both streams end when the process does.
        let mut sentence = std::mem::take(&mut self.said);
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.sentence.recv_timeout(left) {
                Ok(line) => sentence.push_str(&line),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {
                    let _ = self.child.kill();
                    panic!(
                        "it does not end; it told {:?}",
                        self.lines.try_iter().collect::<Vec<_>>()
                    );
                }
            }
        }
        assert!(!sentence.contains("os error"), "that is a number for nobody: {sentence}");
        let status = self.child.wait().expect("it has ended");
        let events = self.lines.iter().collect();
        (status.code().unwrap_or(-1), sentence, events)
    }

    /// Runs it to its end.
    #[track_caller]
    pub(crate) fn run(directory: &Path, arguments: &str) -> (i32, String, Vec<Value>) {
        Self::start(directory, arguments).end()
    }
}

/// The events of docs/json.md, and the fields of each.
pub(crate) fn documented() -> BTreeMap<&'static str, BTreeSet<&'static str>> {
    let mut events = BTreeMap::<_, BTreeSet<_>>::new();
    for row in include_str!("../../../docs/json.md").lines() {
        let mut columns = row.split('|').skip(1);
        let names = |column: Option<&'static str>| column.unwrap_or_default().split('`').skip(1);
        let (event, fields) = (names(columns.next()).next(), names(columns.next()).step_by(2));
        if let Some(event) = event {
            events.entry(event).or_default().extend(fields);
        }
    }
    events
}

/// An event, or a field of one, that docs/json.md does not have.
fn undocumented(value: &Value) -> Option<String> {
    let event = value["event"].as_str().unwrap_or_default();
    let Some(fields) = documented().remove(event) else { return Some(event.to_owned()) };
    let known = |name: &str| name == "event" || fields.contains(name);
    let missing = |(name, value): (&String, &Value)| {
        let inner = value.as_object().into_iter().flatten();
        let inner = inner.map(|(inner, _)| format!("{name}.{inner}")).find(|name| !known(name));
        let has_inner = fields.iter().any(|field| field.starts_with(&format!("{name}.")));
        match has_inner {
            true => inner,
            false => Some(name.clone()).filter(|name| !known(name)),
        }
    };
    value.as_object()?.iter().find_map(missing).map(|field| format!("{event}.{field}"))
}

impl Drop for Offhook {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
