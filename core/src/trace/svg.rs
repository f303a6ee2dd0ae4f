//! The ladder diagram as a picture.

use core::fmt::Write as _;

use super::ladder::Arrow;

/// Where everything stands, in pixels.
const MARGIN: usize = 80;
const TOP: usize = 60;
const ROW: usize = 26;
/// How wide a character of a label is, nearly.
const CHARACTER: usize = 7;

/// Draws arrows between columns: each with its name and address, and its place in characters.
pub(super) fn draw(columns: &[(usize, &str, &str)], arrows: &[Arrow], note: &str) -> String {
    let x = |column: usize| MARGIN + columns.get(column).map_or(0, |(at, ..)| at * CHARACTER);
    let last = columns.len().saturating_sub(1);
    // A message to itself has its label at its right.
    let beyond = arrows.iter().filter(|arrow| arrow.from == arrow.to);
    let beyond = beyond.map(|arrow| (arrow.label.len() + 4) * CHARACTER).max().unwrap_or(0);
    let (width, height) = (x(last) + beyond.max(2 * MARGIN), TOP + (arrows.len() + 2) * ROW);
    let mut svg = format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" font-family="monospace" font-size="11">
<defs><marker id="head" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" markerHeight="8" orient="auto"><path d="M0 0L8 4L0 8z"/></marker></defs>
<rect width="100%" height="100%" fill="white"/>
"##
    );
    let foot = height - ROW;
    for (column, (_, name, address)) in columns.iter().enumerate() {
        let x = x(column);
        text(&mut svg, x, 20, "middle", name);
        text(&mut svg, x, 36, "middle", address);
        let _ = writeln!(svg, r##"<path d="M{x} 44V{foot}" stroke="#999"/>"##);
    }
    for (row, arrow) in arrows.iter().enumerate() {
        let (y, from, to) = (TOP + (row + 1) * ROW, x(arrow.from), x(arrow.to));
        text(&mut svg, 4, y, "start", &arrow.time());
        // Media are runs of many packets.
        let stroke = if arrow.shaft == '=' {
            "stroke=\"#07c\" stroke-width=\"3\""
        } else {
            "stroke=\"black\""
        };
        let path = match from == to {
            true => format!("M{from} {}h14v8h-12", y - 6),
            false => format!("M{from} {y}H{to}"),
        };
        let _ =
            writeln!(svg, r##"<path d="{path}" {stroke} fill="none" marker-end="url(#head)"/>"##);
        match from == to {
            true => text(&mut svg, from + 20, y, "start", &arrow.label),
            false => text(&mut svg, (from + to) / 2, y - 5, "middle", &arrow.label),
        }
    }
    if !note.is_empty() {
        text(&mut svg, MARGIN, height - 8, "start", note);
    }
    svg + "</svg>\n"
}

fn text(svg: &mut String, x: usize, y: usize, anchor: &str, text: &str) {
    let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    // Writing to a String cannot fail.
    let _ = writeln!(svg, r##"<text x="{x}" y="{y}" text-anchor="{anchor}">{text}</text>"##);
}
