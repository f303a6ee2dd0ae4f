//! The ladder diagram.

use core::iter;
use core::net::SocketAddr;

use super::describe;
use super::media::{Formats, Runs};
use super::svg;
use super::{Kind, Packet};
use crate::map::{Map, Set};
use crate::time::{Duration, Instant};

/// The width of the time at the left of each line, the space after it included.
const TIME_WIDTH: usize = 11;
/// The least distance between two columns.
const MIN_GAP: usize = 20;
/// The most columns; the last is shared by all further addresses.
const MAX_COLUMNS: usize = 16;
/// What an arrow needs besides its label: its head, its tail and the spaces.
const ARROW_EXTRA: usize = 8;

/// Draws packets.
pub(super) fn draw<'a>(
    packets: impl Iterator<Item = Packet<'a>>,
    names: &Map<SocketAddr, String>,
    missed: u64,
) -> String {
    Ladder::of(packets).draw(names, missed)
}

/// Draws packets as a picture.
pub(super) fn picture<'a>(
    packets: impl Iterator<Item = Packet<'a>>,
    names: &Map<SocketAddr, String>,
    missed: u64,
) -> String {
    let ladder = Ladder::of(packets);
    let (addresses, names) = ladder.headings(names);
    let at = ladder.positions(&addresses, &names);
    let columns = at.iter().zip(names.iter().zip(&addresses));
    let columns: Vec<_> =
        columns.map(|(at, (name, address))| (*at, name.as_str(), address.as_str())).collect();
    svg::draw(&columns, &ladder.arrows, &note(missed))
}

/// What did not fit.
fn note(missed: u64) -> String {
    match missed {
        0 => String::new(),
        _ => format!("(the trace was full: {missed} more packets)"),
    }
}

#[derive(Default)]
struct Ladder<'a> {
    start: Option<Instant>,
    columns: Vec<SocketAddr>,
    arrows: Vec<Arrow>,
    runs: Runs,
    formats: Formats,
    /// The endpoint to which a media address belongs, from session descriptions.
    homes: Map<SocketAddr, SocketAddr>,
    /// Which descriptions were seen: one that a proxy passes on is still its first sender's.
    described: Set<(String, SocketAddr)>,
    /// What was sent before, to mark what is sent again.
    sent: Set<(SocketAddr, SocketAddr, &'a [u8])>,
}

pub(super) struct Arrow {
    after: Duration,
    pub(super) from: usize,
    pub(super) to: usize,
    pub(super) label: String,
    pub(super) shaft: char,
}

impl<'a> Ladder<'a> {
    fn of(packets: impl Iterator<Item = Packet<'a>>) -> Self {
        let mut ladder = Self::default();
        packets.for_each(|packet| ladder.add(&packet));
        ladder.end_runs();
        ladder
    }

    fn add(&mut self, packet: &Packet<'a>) {
        self.start.get_or_insert(packet.at);
        if packet.kind != Kind::Sip {
            return self.runs.add(packet, &self.formats);
        }
        self.end_runs();
        let (from, to) = (self.column(packet.from), self.column(packet.to));
        if let Some((call, streams)) = describe::streams(packet.bytes) {
            let home = describe::author(packet.bytes).unwrap_or(packet.from);
            for stream in streams {
                let Some(rtp) = stream.rtp() else { continue };
                if self.described.insert((call.clone(), rtp)) {
                    self.homes.insert(rtp, home);
                }
                for (number, name) in stream.formats {
                    self.formats.insert((rtp, number), name);
                }
            }
        }
        let mut label = describe::label(packet.bytes);
        if packet.transport.is_reliable() {
            label += &format!(" ({})", packet.transport.as_str());
        }
        if !self.sent.insert((packet.from, packet.to, packet.bytes)) {
            label += " (again)";
        }
        self.push(packet.at, from, to, label, '-');
    }

    fn end_runs(&mut self) {
        for run in self.runs.take() {
            let (from, to) = (self.media_column(run.from), self.media_column(run.to));
            self.push(run.first, from, to, run.label(&self.formats), '=');
        }
    }

    fn push(&mut self, at: Instant, from: usize, to: usize, label: String, shaft: char) {
        let after = at.since(self.start.unwrap_or(at));
        self.arrows.push(Arrow { after, from, to, label, shaft });
    }

    fn column(&mut self, address: SocketAddr) -> usize {
        let known = self.columns.iter().position(|column| *column == address);
        if known.is_none() && self.columns.len() < MAX_COLUMNS {
            self.columns.push(address);
        }
        known.unwrap_or(self.columns.len() - 1)
    }

    /// The column of a media address: that of the endpoint which described it, not of a proxy on the way,
    /// or else the only one on its host, or else one of its own. RTCP goes with the RTP port below it.
    fn media_column(&mut self, address: SocketAddr) -> usize {
        let below = SocketAddr::new(address.ip(), address.port().saturating_sub(1));
        if let Some(home) = self.homes.get(&address).or_else(|| self.homes.get(&below)) {
            return self.column(*home);
        }
        let on_host = |(_, column): &(usize, &SocketAddr)| column.ip() == address.ip();
        let mut same_host = self.columns.iter().enumerate().filter(on_host);
        match (same_host.next(), same_host.next()) {
            (Some((column, _)), None) => column,
            _ => self.column(address),
        }
    }

    /// The addresses of the columns, and their names as far as they have any.
    fn headings(&self, names: &Map<SocketAddr, String>) -> (Vec<String>, Vec<String>) {
        let mut addresses: Vec<String> = self.columns.iter().map(ToString::to_string).collect();
        if let Some(last) = addresses.get_mut(MAX_COLUMNS - 1) {
            *last = "others".to_owned();
        }
        let name = |address| names.get(address).map_or("", String::as_str);
        (addresses, self.columns.iter().map(|column| describe::escape(name(column))).collect())
    }

    fn draw(&self, names: &Map<SocketAddr, String>, missed: u64) -> String {
        let (addresses, names) = self.headings(names);
        let at = self.positions(&addresses, &names);
        let mut drawing = String::new();
        if names.iter().any(|name| !name.is_empty()) {
            drawing += &heading(&at, names.iter().map(String::as_str));
        }
        drawing += &heading(&at, addresses.iter().map(String::as_str));
        for arrow in &self.arrows {
            let (time, rails) = (arrow.time(), rails(&at));
            drawing += &format!("{time:>9}  {}\n", arrow.draw(rails, &at).trim_end());
        }
        if missed > 0 {
            drawing += &(note(missed) + "\n");
        }
        drawing
    }

    /// Where each column's rail stands: far enough apart for the labels between them.
    fn positions(&self, addresses: &[String], names: &[String]) -> Vec<usize> {
        let width = |column: usize| addresses[column].len().max(names[column].len());
        let mut at: Vec<usize> = Vec::with_capacity(self.columns.len());
        for column in 0..self.columns.len() {
            let Some(before) = column.checked_sub(1) else {
                at.push(width(column) / 2);
                continue;
            };
            let headings = (width(before) + width(column)) / 2 + 3;
            let mut least = at[before] + headings.max(MIN_GAP);
            for arrow in &self.arrows {
                let (left, right) = (arrow.from.min(arrow.to), arrow.from.max(arrow.to));
                // A message to itself has its label at its right.
                let ends_here = right == column && left < right || left == right && right == before;
                if ends_here {
                    least = least.max(at[left] + arrow.label.len() + ARROW_EXTRA);
                }
            }
            at.push(least);
        }
        at
    }
}

impl Arrow {
    /// When it begins, in seconds.
    pub(super) fn time(&self) -> String {
        let micros = self.after.as_micros();
        format!("{}.{:03}", micros / 1_000_000, micros / 1_000 % 1_000)
    }

    /// Draws the arrow over the rails of its line.
    fn draw(&self, mut line: Vec<char>, at: &[usize]) -> String {
        let (from, to) = (at[self.from], at[self.to]);
        if from == to {
            let tail = format!("--. {}", self.label);
            line.resize(line.len().max(from + 1 + tail.len()), ' ');
            line.iter_mut().skip(from + 1).zip(tail.chars()).for_each(|(cell, c)| *cell = c);
            return line.into_iter().collect();
        }
        let (left, right) = (from.min(to), from.max(to));
        let label = format!(" {} ", self.label);
        let room = right - left - 1;
        let before = room.saturating_sub(label.len()) / 2;
        let shaft = iter::repeat_n(self.shaft, before)
            .chain(label.chars())
            .chain(iter::repeat(self.shaft))
            .take(room);
        line.iter_mut().skip(left + 1).zip(shaft).for_each(|(cell, c)| *cell = c);
        if to > from {
            line[right - 1] = '>';
        } else {
            line[left + 1] = '<';
        }
        line.into_iter().collect()
    }
}

fn rails(at: &[usize]) -> Vec<char> {
    let mut line = vec![' '; at.last().map_or(0, |last| last + 1)];
    at.iter().for_each(|&column| line[column] = '|');
    line
}

/// A line of texts, each centred over its rail.
fn heading<'t>(at: &[usize], texts: impl Iterator<Item = &'t str>) -> String {
    let mut line = " ".repeat(TIME_WIDTH);
    for (&column, text) in at.iter().zip(texts) {
        let start = TIME_WIDTH + column.saturating_sub(text.len() / 2);
        line.extend(iter::repeat_n(' ', start.saturating_sub(line.len())));
        line += text;
    }
    line.truncate(line.trim_end().len());
    line + "\n"
}
