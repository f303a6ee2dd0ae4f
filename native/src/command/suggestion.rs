//! What somebody may have meant who wrote something else.

use clap::error::{ContextKind, ContextValue};

/// What of `known` `given` may have been meant for: what is a slip of the finger away; or else what begins
/// with the other or ends with it as a word of its own, joined by "or". What is only a little alike leads
/// elsewhere.
pub(crate) fn nearest<'a>(given: &str, known: impl Iterator<Item = &'a str>) -> Option<String> {
    let slips = |name: &str| strsim::damerau_levenshtein(given, name);
    let part = |long: &str, short: &str| {
        let last = long.strip_suffix(short).is_some_and(|start| start.ends_with('-'));
        short.len() > 2 && (long.starts_with(short) || last)
    };
    let known: Vec<&str> = known.collect();
    let slipped = known.iter().filter(|name| name.len() > 2 && slips(name) <= 1 + name.len() / 6);
    if let Some(name) = slipped.min_by_key(|name| slips(name)) {
        return Some((*name).to_owned());
    }
    let parts = known.iter().filter(|name| part(name, given) || part(given, name));
    let parts: Vec<&str> = parts.copied().collect();
    (!parts.is_empty()).then(|| parts.join(" or "))
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
            assert_eq!(nearest(given).as_deref(), Some(meant), "{given}");
        }
        for given in ["timeout", "hangup", "video", "log", "port", "to", "from", "x"] {
            assert_eq!(nearest(given), None, "{given}");
        }
    }
}
