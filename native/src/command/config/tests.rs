use super::*;
use crate::command::arguments::{AnswerArguments, CallArguments, Command as Asked, Common};

/// Reads `line` as a command line whose --config names a file with `text`.
fn read(line: &str, text: &str) -> Result<Asked, String> {
    let given = format!("offhook {line} --config phone.toml");
    let given = given.split_whitespace().map(Into::into).collect();
    match arguments(given, |_| Ok(text.to_owned())) {
        Ok(cli) => Ok(cli.command),
        Err(Refused::File(failure)) => Err(failure.message().to_owned()),
        Err(Refused::CommandLine(error)) => Err(error.to_string()),
    }
}

fn call(line: &str, text: &str) -> CallArguments {
    match read(&format!("call {line}"), text) {
        Ok(Asked::Call(arguments)) => *arguments,
        other => panic!("{other:?}"),
    }
}

fn answer(line: &str, text: &str) -> AnswerArguments {
    match read(&format!("answer {line}"), text) {
        Ok(Asked::Answer(arguments)) => *arguments,
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_kind_of_option() {
    let text = r#"
        server = "pbx.example.com"   # text
        expires = 0x3C               # a whole number
        no-register = true           # a flag
        ladder = false
        verbose = 2                  # a flag that counts
        rtp-ports = "20000-20100"
        codecs = ["PCMA", "PCMU"]    # a list
        header = "Subject: hello, world"
        duration = 0.5               # a number
        max-redirects = 2
        user-agent = "-5"
    "#;
    let CallArguments { duration, max_redirects, common, .. } = call("bob", text);
    let Common { account, network, watch, .. } = common;
    assert_eq!(account.server.as_deref(), Some("pbx.example.com"));
    assert_eq!((account.expires, account.no_register), (60, true));
    assert_eq!((watch.verbose, watch.ladder), (2, false));
    assert_eq!(network.rtp_ports, (20_000, 20_100));
    assert_eq!(network.codecs, [offhook::Codec::Pcma, offhook::Codec::Pcmu]);
    assert_eq!(network.headers, [("Subject".to_owned(), "hello, world".to_owned())]);
    assert_eq!((duration, max_redirects), (Some(Duration::from_millis(500)), 2));
    assert_eq!(network.user_agent.as_deref(), Some("-5"));
}

#[test]
fn flags_win_over_the_table_of_the_command_and_that_over_the_rest() {
    let text = "user = 'a'\nserver = 'one'\nexpires = 10\n\
                [call]\nserver = 'two'\nexpires = 20\n[answer]\nserver = 'three'\n";
    let account = call("bob --expires 30", text).common.account;
    assert_eq!((account.user.as_deref(), account.server.as_deref()), (Some("a"), Some("two")));
    assert_eq!(account.expires, 30);
    assert_eq!(answer("", text).common.account.server.as_deref(), Some("three"));
}

#[test]
fn a_flag_also_wins_over_what_excludes_it() {
    let account = call("bob --password x", "password-file = 'secret'").common.account;
    assert_eq!((account.password.as_deref(), account.password_file), (Some("x"), None));
    let arguments = answer("--play a.wav", "reject = 486");
    assert_eq!((arguments.reject, arguments.play.is_some()), (None, true));
    // Within the file, they are a mistake.
    let error = read("call bob", "password = 'x'\npassword-file = 'y'").unwrap_err();
    assert!(error.contains("cannot be used with"), "{error}");
}

#[test]
fn what_a_command_must_have_may_come_from_the_file() {
    let text = "listen = ['127.0.0.1:5070']\nuser = ['alice:a', 'bob:b']";
    match read("exchange", text) {
        Ok(Asked::Exchange(arguments)) => {
            assert_eq!((arguments.listen.len(), arguments.users.len()), (1, 2));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_unknown_key_is_named_with_the_nearest() {
    for (text, expected) in [
        (
            "\nsevrer = 'x'",
            "phone.toml, line 2: offhook call has no option sevrer; did you mean server?",
        ),
        (
            "rtp_ports = '1-2'",
            "phone.toml, line 1: offhook call has no option rtp_ports; did you mean rtp-ports?",
        ),
        ("echo = true", "phone.toml, line 1: offhook call has no option echo"),
        ("zzz = 1", "phone.toml, line 1: offhook call has no option zzz"),
        ("[cal]\nplay = 'x'", "phone.toml, line 1: offhook call has no option cal"),
        (
            "[answer]\necoh = true",
            "phone.toml, line 2: offhook answer has no option ecoh; did you mean echo?",
        ),
        ("config = 'other.toml'", "phone.toml, line 1: offhook call has no option config"),
        ("target = 'bob'", "phone.toml, line 1: offhook call has no option target"),
    ] {
        let error = read("call bob", text).unwrap_err();
        assert!(error.starts_with(expected), "{error}");
    }
}

#[test]
fn a_wrong_value_is_named_with_its_line() {
    for (text, expected) in [
        ("expires = '60'", "line 1: expires is a number, not string"),
        ("user = 1001", "line 1: user is a string, not integer"),
        ("user = ['a']", "line 1: user is a string, not array"),
        ("\nladder = 1", "line 2: ladder is true or false, not integer"),
        ("codecs = [0]", "line 1: codecs is an array of strings, not array"),
        ("verbose = true", "line 1: verbose is a small number, not boolean"),
        ("\n\ncodecs = 'GSM'", "line 3: codecs: this build has PCMU"),
        ("expires = 0", "line 1: expires: 0 is not in 1..=4294967295"),
        ("expires = 1.5", "line 1: expires: invalid digit"),
        ("transport = 'pigeon'", "line 1: transport: one of udp, tcp, tls, ws, wss"),
        ("user = 'a\n", "line 1: "),
        ("a = 1\na = 2", "line 2: "),
    ] {
        let error = read("call bob", text).unwrap_err();
        let expected = format!("phone.toml, {expected}");
        assert!(error.starts_with(&expected), "{text:?}: {error}");
    }
}

#[test]
fn mistakes_on_the_command_line_are_told_as_ever() {
    let error = read("call --expires x", "").unwrap_err();
    assert!(error.contains("invalid value 'x' for '--expires <S>'"), "{error}");
    let error = read("call", "").unwrap_err();
    assert!(error.contains("<TARGET>"), "{error}");
}

#[test]
fn the_file_may_be_named_anywhere() {
    let text = |_: &Path| Ok("user = 'x'".to_owned());
    for line in [
        "offhook --config call call sip:a@b",
        "offhook --config=call call sip:a@b",
        "offhook call --config call -- sip:a@b",
    ] {
        let given = line.split(' ').map(Into::into).collect();
        match arguments(given, text).map(|cli| cli.command) {
            Ok(Asked::Call(arguments)) => {
                assert_eq!(arguments.common.account.user.as_deref(), Some("x"), "{line}");
            }
            other => panic!("{line}: {other:?}"),
        }
    }
}
