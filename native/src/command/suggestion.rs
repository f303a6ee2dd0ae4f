//! What somebody may have meant who wrote something else.

use clap::error::{ContextKind, ContextValue};

/// The one of `known` that `given` may have been meant for: a slip of the finger away, or one of the two is
/// the beginning or the end of the other. What is only a little alike leads elsewhere.
pub(crate) fn nearest<'a>(given: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let slips = |name: &str| strsim::damerau_levenshtein(given, name);
    let close = |name: &&str| {
        let part = |long: &str, short: &str| {
            let rest = long.strip_prefix(short).or(long.strip_suffix(short));
            short.len() > 2 && rest.is_some()
        };
        let slipped = slips(name) <= 1 + name.len() / 6;
        name.len() > 2 && slipped || part(name, given) || part(given, name)
    };
    known.filter(close).min_by_key(|name| slips(name))
}

/// Takes from what clap says of a mistake the tips that lead elsewhere.
pub(crate) fn with_good_tips(mut error: clap::Error) -> clap::Error {
    // A value that begins with two dashes is nothing that anybody calls.
    error.remove(ContextKind::Suggested);
    for (given, suggested) in [
        (ContextKind::InvalidArg, ContextKind::SuggestedArg),
        (ContextKind::InvalidSubcommand, ContextKind::SuggestedSubcommand),
    ] {
        let Some(ContextValue::String(given)) = error.get(given) else { continue };
        let given = given.clone();
        let tips = match error.remove(suggested) {
            Some(ContextValue::String(tip)) => vec![tip],
            Some(ContextValue::Strings(tips)) => tips,
            _ => continue,
        };
        let bare = |name: &str| name.trim_start_matches('-').to_owned();
        let good = |tip: &String| nearest(&bare(&given), [&*bare(tip)].into_iter()).is_some();
        if let Some(tip) = tips.into_iter().find(good) {
            let tip = match suggested {
                ContextKind::SuggestedArg => ContextValue::String(tip),
                _ => ContextValue::Strings(vec![tip]),
            };
            error.insert(suggested, tip);
        }
    }
    error
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_alike_is_meant_and_what_is_not_is_not() {
        let known = [
            "server",
            "user",
            "auth-user",
            "ptime",
            "transport",
            "hostname",
            "loop",
            "answer",
            "exchange",
            "bind-network",
            "record-received",
            "tls-insecure",
            "for",
            "config",
        ];
        let nearest = |given| nearest(given, known.into_iter());
        for (given, meant) in [
            ("sever", "server"),
            ("usr", "user"),
            ("username", "user"),
            ("anwser", "answer"),
            ("record-recieved", "record-received"),
            ("insecure", "tls-insecure"),
            ("host", "hostname"),
            ("for-ever", "for"),
        ] {
            assert_eq!(nearest(given), Some(meant), "{given}");
        }
        for given in ["timeout", "hangup", "video", "log", "port", "to", "from", "x"] {
            assert_eq!(nearest(given), None, "{given}");
        }
    }
}
