//! Programs that the checks need beyond Rust: installed where that is possible, named where not.

use std::sync::OnceLock;

use crate::run::{Run, path};
use crate::steps::{Failure, StepResult};

/// A program and the Debian packages that have it and what goes with it.
struct Tool {
    program: &'static str,
    packages: &'static str,
    needed_for: &'static str,
}

const TOOLS: &[Tool] = &[
    Tool { program: "node", packages: "nodejs", needed_for: "the JavaScript tests" },
    Tool { program: "npm", packages: "npm", needed_for: "the JavaScript package" },
    Tool { program: "chromium", packages: "chromium", needed_for: "the tests in a page" },
    Tool { program: "kill", packages: "procps", needed_for: "the tests of signals" },
    Tool { program: "sipp", packages: "sip-tester", needed_for: "the tests against SIPp" },
    Tool { program: "tshark", packages: "tshark", needed_for: "the tests of captures" },
    Tool {
        program: "kamailio",
        packages: "kamailio kamailio-tls-modules kamailio-websocket-modules",
        needed_for: "the tests against Kamailio",
    },
    Tool { program: "baresip", packages: "baresip-core", needed_for: "the tests against baresip" },
    Tool { program: "openssl", packages: "openssl", needed_for: "the tests of certificates" },
    Tool { program: "ip", packages: "iproute2", needed_for: "the tests behind a NAT" },
    Tool { program: "nft", packages: "nftables", needed_for: "the tests behind a NAT" },
];

/// Makes sure of every tool.
pub(crate) fn all() -> Result<StepResult, Failure> {
    for (component, program) in [("rustfmt", "fmt"), ("clippy", "clippy")] {
        if !Run::cargo(program).arg("--version").succeeds() {
            // Without a network rustup may hang.
            let add = Run::new("timeout 60 rustup component add").arg(component);
            add.advice(&format!("install {component} for your Rust")).go()?;
        }
    }
    let missing: Vec<String> = TOOLS
        .iter()
        .filter(|tool| !install(tool))
        .map(|tool| format!("{} (apt-get install {})", tool.needed_for, tool.packages))
        .collect();
    if missing.is_empty() {
        return Ok(StepResult::Done);
    }
    Ok(StepResult::Skipped(format!("programs are missing for {}", missing.join(", "))))
}

/// Whether a program can be run; installs it first when it is one of [`TOOLS`] and can be.
pub(crate) fn has(program: &str) -> bool {
    TOOLS.iter().find(|tool| tool.program == program).map_or_else(|| found(program), install)
}

fn install(tool: &Tool) -> bool {
    if found(tool.program) {
        return true;
    }
    if !found("apt-get") || !is_root() {
        return false;
    }
    update_packages();
    let line = format!("apt-get install -q -y --no-install-recommends {}", tool.packages);
    let install = Run::new(&line).env("DEBIAN_FRONTEND", "noninteractive");
    install.go().is_ok() && found(tool.program)
}

fn update_packages() {
    static ONCE: OnceLock<()> = OnceLock::new();
    ONCE.get_or_init(|| {
        // An old list may still do; the install says so if not.
        let _ = Run::new("apt-get update -q").go();
    });
}

fn is_root() -> bool {
    Run::new("id -u").read().is_ok_and(|user| user.trim() == "0")
}

fn found(program: &str) -> bool {
    std::env::split_paths(&path()).any(|folder| folder.join(program).is_file())
}
