//! The parameters of challenges and credentials (RFC 3261 §25.1: challenge, credentials;
//! RFC 7235 §2.1).

use core::fmt;

/// The longest field that is read; challenges are some hundred bytes.
const MAX_FIELD: usize = 8_192;
/// The most parameters that are read of one field.
const MAX_PARAMETERS: usize = 64;

/// A scheme and its parameters.
#[derive(Debug, Default)]
pub(super) struct Params {
    scheme: String,
    parameters: Vec<(String, String)>,
}

impl Params {
    /// Reads a field's value; some senders join several with commas. What comes after something
    /// unreadable, or beyond the limits, is left out.
    pub(super) fn parse(value: &str) -> Vec<Self> {
        let mut fields: Vec<Self> = Vec::new();
        let mut rest = if value.len() > MAX_FIELD { "" } else { value };
        for _ in 0..MAX_PARAMETERS {
            rest = rest.trim_start_matches(is_separator);
            let Some((word, after)) = token(rest) else { break };
            match after.trim_start().strip_prefix('=') {
                // A word that no equals sign follows is a scheme.
                None => {
                    fields.push(Self { scheme: word.to_owned(), parameters: Vec::new() });
                    rest = after;
                }
                Some(after) => {
                    let Some((value, after)) = parameter_value(after.trim_start()) else { break };
                    let Some(field) = fields.last_mut() else { break };
                    field.parameters.push((word.to_owned(), value));
                    rest = after;
                }
            }
        }
        fields
    }

    pub(super) fn is_digest(&self) -> bool {
        self.scheme.eq_ignore_ascii_case("Digest")
    }

    /// The value of the first parameter of that name, in any case, unescaped.
    pub(super) fn value(&self, name: &str) -> Option<&str> {
        let named = |(found, _): &&(String, String)| found.eq_ignore_ascii_case(name);
        self.parameters.iter().find(named).map(|(_, value)| value.as_str())
    }

    /// Reads the parameters of Authentication-Info, which has no scheme.
    pub(super) fn of_info(value: &str) -> Self {
        Self::parse(&format!("Digest {value}")).into_iter().next().unwrap_or_default()
    }
}

fn is_separator(c: char) -> bool {
    c == ',' || c.is_ascii_whitespace()
}

/// Splits off a token. More is taken than RFC 3261 §25.1 allows, as base64 without its quotes.
fn token(text: &str) -> Option<(&str, &str)> {
    let ends = |c: char| is_separator(c) || matches!(c, '=' | '"');
    let (word, rest) = text.split_at_checked(text.find(ends).unwrap_or(text.len()))?;
    (!word.is_empty()).then_some((word, rest))
}

/// Splits off a value: a quoted string, whose escapes are undone (RFC 3261 §25.1: quoted-pair), or
/// a word up to the next comma.
fn parameter_value(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find(is_separator).unwrap_or(text.len());
        let (value, rest) = text.split_at_checked(end)?;
        return Some((value.to_owned(), rest));
    };
    let mut value = String::new();
    let mut letters = quoted.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' => return Some((value, quoted.get(at.checked_add(1)?..)?)),
            '\\' => value.push(letters.next()?.1),
            _ => value.push(letter),
        }
    }
    None
}

/// Writes a value in quotes, escaped; what no header field may hold is left out.
pub(super) struct Quoted<'a>(pub(super) &'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write as _;
        f.write_char('"')?;
        for letter in self.0.chars().filter(|letter| !matches!(letter, '\r' | '\n' | '\0')) {
            if matches!(letter, '"' | '\\') {
                f.write_char('\\')?;
            }
            f.write_char(letter)?;
        }
        f.write_char('"')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_spaces_and_cases() {
        let fields = Params::parse(
            "dIgest  realm = \"a, \\\"b\\\" \\\\ =\" ,nonce=\"x==\",QOP=auth,, stale=TRUE, t=abc==",
        );
        assert_eq!(fields.len(), 1);
        assert!(fields[0].is_digest());
        assert_eq!(fields[0].value("Realm"), Some("a, \"b\" \\ ="));
        assert_eq!(fields[0].value("nonce"), Some("x=="));
        assert_eq!(fields[0].value("qop"), Some("auth"));
        assert_eq!(fields[0].value("t"), Some("abc=="));
        assert_eq!(fields[0].value("opaque"), None);
        let written = Quoted(fields[0].value("realm").unwrap()).to_string();
        assert_eq!(written, "\"a, \\\"b\\\" \\\\ =\"");
        assert_eq!(Quoted("a\r\nb").to_string(), "\"ab\"");
    }

    #[test]
    fn several_challenges_in_one_field() {
        let fields = Params::parse("Basic realm=\"x\", Digest realm=\"y\", nonce=\"1\", Other");
        let schemes: Vec<&str> = fields.iter().map(|field| field.scheme.as_str()).collect();
        assert_eq!(schemes, ["Basic", "Digest", "Other"]);
        assert_eq!(fields[1].value("realm"), Some("y"));
        assert_eq!(Params::of_info("nextnonce=\"n\", qop=auth").value("nextnonce"), Some("n"));
    }

    #[test]
    fn damage_ends_the_field() {
        let realm = |text: &str| {
            Params::parse(text).first().and_then(|f| f.value("realm").map(str::to_owned))
        };
        for text in
            ["", "Digest", "Digest realm", "Digest realm=\"", "Digest realm=\"a\\", "=", "\""]
        {
            assert_eq!(realm(text), None, "{text}");
        }
        assert_eq!(realm("realm=\"a\""), None, "without a scheme");
        assert_eq!(realm("Digest realm=\"a\" ,nonce=\"b"), Some("a".to_owned()));
        let long = format!("Digest realm=\"{}\"", "a".repeat(MAX_FIELD));
        assert_eq!(realm(&long), None);
        let many = format!("Digest {} realm=\"a\"", "a=b,".repeat(MAX_PARAMETERS));
        assert_eq!(realm(&many), None);
    }
}
