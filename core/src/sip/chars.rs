//! Character classes of RFC 3261 §25.1 as one table, and positions in a text of at most 64 KiB.

/// `token` characters.
pub(crate) const TOKEN: u8 = 1;
/// Characters of a host name; the underscore is not in the RFC, but in many names.
pub(crate) const HOST: u8 = 2;
/// What may stand in a URI: no space, no control, no delimiter of the field around it.
pub(crate) const URI: u8 = 4;
/// Letters, digits, `+`, `-`, `.`: a URI scheme.
pub(crate) const SCHEME: u8 = 8;
/// What may stand unquoted in a parameter's value: more than a token, for hosts and tolerance.
pub(crate) const VALUE: u8 = 16;
/// What may stand unescaped in the user part of a URI (§19.1.2).
pub(crate) const USER: u8 = 32;

/// Where a part of a short text begins. (std's search for texts is made for long ones.)
pub(crate) fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    text.windows(part.len()).position(|here| here == part)
}

static CLASS: [u8; 256] = classes();

#[allow(clippy::indexing_slicing, reason = "runs when this is compiled")]
const fn classes() -> [u8; 256] {
    let mut table = [0; 256];
    let mut i = 0;
    while i < 256 {
        let b = i as u8;
        let mut class = 0;
        if b.is_ascii_alphanumeric() || contains(b"-.!%*_+`'~", b) {
            class |= TOKEN;
        }
        if b.is_ascii_alphanumeric() || contains(b"-._", b) {
            class |= HOST;
        }
        if b > b' ' && b != 0x7f && !contains(b"<>\"", b) {
            class |= URI;
        }
        if b.is_ascii_alphanumeric() || contains(b"+-.", b) {
            class |= SCHEME;
        }
        if b > b' ' && b != 0x7f && !contains(b";,\"<>", b) {
            class |= VALUE;
        }
        if b.is_ascii_alphanumeric() || contains(b"-_.!~*'()&=+$,;?/", b) {
            class |= USER;
        }
        table[i] = class;
        i += 1;
    }
    table
}

#[allow(clippy::indexing_slicing, reason = "runs when this is compiled")]
const fn contains(set: &[u8], b: u8) -> bool {
    let mut i = 0;
    while i < set.len() {
        if set[i] == b {
            return true;
        }
        i += 1;
    }
    false
}

/// Whether `b` is of `class`.
#[inline]
#[allow(clippy::indexing_slicing, reason = "every byte has a place in the table")]
pub(crate) fn is(b: u8, class: u8) -> bool {
    CLASS[usize::from(b)] & class != 0
}

/// Whether `text` is not empty and all of `class`.
#[inline]
pub(crate) fn all(text: &[u8], class: u8) -> bool {
    !text.is_empty() && text.iter().all(|&b| is(b, class))
}

/// The first position at or after `at` whose byte is not of `class`, or the end.
#[inline]
pub(crate) fn run(text: &[u8], at: usize, class: u8) -> usize {
    match text.get(at..) {
        Some(rest) => at + rest.iter().position(|&b| !is(b, class)).unwrap_or(rest.len()),
        None => text.len(),
    }
}

/// Space or tab. Line ends never reach the typed parsers: folds are undone before (§7.3.1).
#[inline]
pub(crate) const fn is_space(b: u8) -> bool {
    b == b' ' || b == b'\t'
}

/// The first position at or after `at` that is neither space nor tab, or the end.
#[inline]
pub(crate) fn skip_space(text: &[u8], mut at: usize) -> usize {
    while let Some(&b) = text.get(at)
        && is_space(b)
    {
        at += 1;
    }
    at
}

/// `text` without spaces and tabs at both ends.
#[inline]
pub(crate) fn trim(text: &str) -> &str {
    text.trim_matches([' ', '\t'])
}

/// The number that `text` writes in decimal digits and nothing else.
pub(crate) fn decimal(text: &[u8]) -> Option<u32> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0u32, |n, &b| {
        let digit = b.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        n.checked_mul(10)?.checked_add(u32::from(digit))
    })
}

/// From where to where in a text; the text is at most [`super::MAX_HEAD_BYTES`] long, a body
/// after it aside.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Span {
    pub(crate) start: u16,
    pub(crate) end: u16,
}

impl Span {
    /// Positions beyond 16 bits are of a head that is too long: it is refused when all is read.
    #[inline]
    pub(crate) fn new(start: usize, end: usize) -> Self {
        let narrow = |n: usize| u16::try_from(n).unwrap_or(u16::MAX);
        Self { start: narrow(start), end: narrow(end) }
    }

    #[inline]
    pub(crate) const fn is_empty(self) -> bool {
        self.start >= self.end
    }

    /// The text there.
    #[inline]
    pub(crate) fn of(self, text: &str) -> &str {
        text.get(usize::from(self.start)..usize::from(self.end)).unwrap_or_default()
    }
}
