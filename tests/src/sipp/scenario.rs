//! What SIPp does in a call, written in Rust and given to SIPp as the XML that it reads.

use std::fmt::{self, Display, Formatter, Write as _};

/// One call, step by step. SIPp fails when something else comes than what is waited for.
///
/// Requests of one transaction share a branch that follows from their CSeq, so the ACK of a
/// refusal and a CANCEL find their INVITE.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// Whether SIPp is the caller.
    calls: bool,
    steps: Vec<Step>,
    /// How many checks there are, to number their variables.
    checks: usize,
}

#[derive(Clone, Debug)]
enum Step {
    Receive { what: String, optional: bool, checks: String },
    Send { text: String, repeat: bool },
    Pause { ms: u64 },
}

/// What our end of a dialog is known by when SIPp was called and answered only once.
pub const TAG: &str = "first";

/// What SIPp takes note of in an INVITE that comes, to answer it when something else has come since.
const NOTED: [(&str, &str); 4] =
    [("via", "Via:"), ("from", "From:"), ("to", "To:"), ("cseq", "CSeq:")];

/// Whom SIPp calls.
const BOB: &str = " <sip:[service]@[remote_ip]:[remote_port]>";

impl Scenario {
    /// SIPp calls.
    pub fn caller() -> Self {
        Self { calls: true, steps: Vec::new(), checks: 0 }
    }

    /// SIPp is called.
    pub fn callee() -> Self {
        Self { calls: false, steps: Vec::new(), checks: 0 }
    }

    /// Waits for a request.
    #[must_use]
    pub fn receive(self, method: &str) -> Self {
        let checks = match method {
            "INVITE" if !self.calls => {
                let notes = NOTED.iter().map(|(name, header)| note(name, header) + "\n");
                notes.collect()
            }
            _ => String::new(),
        };
        let what = format!(r#"request="{method}""#);
        self.step(Step::Receive { what, optional: false, checks })
    }

    /// Waits for a response.
    #[must_use]
    pub fn expect(self, status: u16) -> Self {
        let what = format!(r#"response="{status}""#);
        self.step(Step::Receive { what, optional: false, checks: String::new() })
    }

    /// Waits for the 200 to the INVITE, and takes note of who answered.
    #[must_use]
    pub fn established(self) -> Self {
        let checks = format!("{}\n", note("to", "To:"));
        self.step(Step::Receive { what: r#"response="200""#.to_owned(), optional: false, checks })
    }

    /// Takes a response that may come before the next one.
    #[must_use]
    pub fn allow(self, status: u16) -> Self {
        let what = format!(r#"response="{status}""#);
        self.step(Step::Receive { what, optional: true, checks: String::new() })
    }

    /// What was waited for last must match a regular expression.
    #[must_use]
    pub fn that_has(mut self, regexp: &str) -> Self {
        self.checks += 1;
        let number = self.checks;
        if let Some(Step::Receive { checks, .. }) = self.steps.last_mut() {
            let _ = writeln!(
                checks,
                r#"<ereg regexp="{regexp}" search_in="msg" check_it="true" assign_to="c{number}"/>"#
            );
        }
        self
    }

    /// Does nothing for a while.
    #[must_use]
    pub fn pause(self, ms: u64) -> Self {
        self.step(Step::Pause { ms })
    }

    /// Answers the INVITE that came last, as the party `tag`, with the header lines `more`. A final
    /// answer is repeated until something comes.
    #[must_use]
    pub fn answer(self, tag: &str, status: &str, more: &str, body: &str) -> Self {
        let text = format!(
            "SIP/2.0 {status}\nVia:[$via]\nFrom:[$from]\nTo:[$to];tag={tag}\n[last_Call-ID:]\n\
             CSeq:[$cseq]\nContact: <sip:{tag}@[local_ip]:[local_port];transport=[transport]>\n{}",
            rest(more, body)
        );
        self.step(Step::Send { text, repeat: !status.starts_with('1') })
    }

    /// Answers the INVITE that came last, within the dialog, also when something else has come since.
    #[must_use]
    pub fn answer_within(self, status: &str, body: &str) -> Self {
        let text = format!(
            "SIP/2.0 {status}\nVia:[$via]\nFrom:[$from]\nTo:[$to]\n[last_Call-ID:]\nCSeq:[$cseq]\n\
             Contact: <sip:sipp@[local_ip]:[local_port];transport=[transport]>\n{}",
            rest("", body)
        );
        self.step(Step::Send { text, repeat: true })
    }

    /// Answers the request that came last, within the dialog.
    #[must_use]
    pub fn reply(self, status: &str, more: &str, body: &str) -> Self {
        let text = format!(
            "SIP/2.0 {status}\n[last_Via:]\n[last_From:]\n[last_To:]\n[last_Call-ID:]\n[last_CSeq:]\n\
             Contact: <sip:sipp@[local_ip]:[local_port];transport=[transport]>\n{}",
            rest(more, body)
        );
        self.step(Step::Send { text, repeat: false })
    }

    /// Answers a request before there is a dialog: CANCEL, REGISTER.
    #[must_use]
    pub fn reply_outside(self, status: &str, more: &str) -> Self {
        let text = format!(
            "SIP/2.0 {status}\n[last_Via:]\n[last_From:]\n[last_To:];tag={TAG}\n[last_Call-ID:]\n\
             [last_CSeq:]\n{}",
            rest(more, "")
        );
        self.step(Step::Send { text, repeat: false })
    }

    /// Sends a request outside of a dialog; the first INVITE is one.
    #[must_use]
    pub fn begin(self, method: &str, seq: u32, more: &str, body: &str) -> Self {
        let uri = "sip:[service]@[remote_ip]:[remote_port]";
        self.send(method, seq, uri, BOB, more, body)
    }

    /// Sends a request within the dialog.
    #[must_use]
    pub fn request(self, method: &str, seq: u32, more: &str, body: &str) -> Self {
        let to = if self.calls { "[$to]" } else { "[$from]" };
        self.send(method, seq, "[next_url]", to, more, body)
    }

    /// Acknowledges a refusal.
    #[must_use]
    pub fn ack_refusal(self, seq: u32) -> Self {
        let to = if self.calls { &format!("{BOB}[peer_tag_param]") } else { "[$from]" };
        self.send("ACK", seq, "sip:[service]@[remote_ip]:[remote_port]", to, "", "")
    }

    fn send(self, method: &str, seq: u32, uri: &str, to: &str, more: &str, body: &str) -> Self {
        let tag = if self.calls { "[pid]sipp[call_number]" } else { TAG };
        let part = match method {
            "ACK" if uri != "[next_url]" => "INVITE",
            "CANCEL" => "INVITE",
            method => method,
        };
        let text = format!(
            "{method} {uri} SIP/2.0\n\
             Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=z9hG4bK[call_id]-{seq}-{part};rport\n\
             Max-Forwards: 70\nFrom: <sip:sipp@[local_ip]:[local_port]>;tag={tag}\nTo:{to}\nCall-ID: [call_id]\nCSeq: {seq} {method}\n\
             Contact: <sip:sipp@[local_ip]:[local_port];transport=[transport]>\n{}",
            rest(more, body)
        );
        self.step(Step::Send { text, repeat: method != "ACK" })
    }

    /// Sends something of which SIPp need not make sense.
    #[must_use]
    pub fn send_text(self, text: &str) -> Self {
        self.step(Step::Send { text: text.to_owned(), repeat: false })
    }

    fn step(mut self, step: Step) -> Self {
        self.steps.push(step);
        self
    }
}

impl Step {
    fn checks(&self) -> &str {
        match self {
            Self::Receive { checks, .. } => checks,
            _ => "",
        }
    }
}

/// A description with one audio stream: payload types, then more attribute lines.
pub fn sdp(version: u32, formats: &str, more: &str) -> String {
    format!(
        "v=0\no=sipp 1 {version} IN IP4 [local_ip]\ns=-\nc=IN IP4 [media_ip]\nt=0 0\n\
         m=audio [media_port] RTP/AVP {formats}\n{more}"
    )
}

/// Takes note of a header field.
fn note(name: &str, header: &str) -> String {
    format!(r#"<ereg regexp=".*" search_in="hdr" header="{header}" assign_to="{name}"/>"#)
}

/// Header lines, the content's and the content.
fn rest(more: &str, body: &str) -> String {
    let kind = match (body.is_empty(), more.contains("Content-Type:")) {
        (false, false) => "Content-Type: application/sdp\n",
        _ => "",
    };
    let more = if more.is_empty() { String::new() } else { format!("{more}\n") };
    let length = if body.is_empty() { "0" } else { "[len]" };
    format!("{more}{kind}Content-Length: {length}\n\n{body}")
}

impl Display for Scenario {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<scenario name=\"offhook\">")?;
        for step in &self.steps {
            match step {
                Step::Receive { what, optional, checks } => {
                    writeln!(f, r#"<recv {what} rrs="true" optional="{optional}">"#)?;
                    if !checks.is_empty() {
                        write!(f, "<action>\n{checks}</action>\n")?;
                    }
                    writeln!(f, "</recv>")?;
                }
                Step::Send { text, repeat } => {
                    let repeat = if *repeat { r#" retrans="500""# } else { "" };
                    writeln!(f, "<send{repeat}><![CDATA[\n\n{text}]]></send>")?;
                }
                Step::Pause { ms } => writeln!(f, r#"<pause milliseconds="{ms}"/>"#)?,
            }
        }
        // SIPp refuses a variable that is used nowhere else.
        let text: String = self.steps.iter().map(Step::checks).collect();
        let noted = NOTED.iter().map(|(name, _)| (*name).to_owned());
        let noted = noted.filter(|name| text.contains(&format!("\"{name}\"")));
        let checks = (1..=self.checks).map(|number| format!("c{number}"));
        let variables: Vec<_> = noted.chain(checks).collect();
        if !variables.is_empty() {
            writeln!(f, r#"<Reference variables="{}"/>"#, variables.join(","))?;
        }
        writeln!(f, "</scenario>")
    }
}
