//! `offhook relay token`: a token for one user.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use offhook::core::time::WallTime;
use offhook::{TokenClaims, TokenKey};
use serde_json::json;

use super::arguments::TokenArguments;
use crate::command::failure::Failure;
use crate::command::output::Output;

pub(super) fn run(arguments: &TokenArguments, output: Output) -> Result<(), Failure> {
    let key = match (&arguments.secret_file, &arguments.key_file) {
        (Some(file), _) => TokenKey::secret_file(file)?,
        (None, Some(file)) => TokenKey::private_key_file(file)?,
        (None, None) => return Err(Failure::internal("clap wants a key")),
    };
    let mut claims = TokenClaims::new(&arguments.subject, &arguments.audience);
    claims.servers.clone_from(&arguments.sip_servers);
    claims.calls = arguments.calls;
    claims.valid = Duration::from_secs(arguments.for_);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let now = WallTime::from_micros(u64::try_from(now.as_micros()).unwrap_or(u64::MAX));
    let token = claims.sign(&key, arguments.kid.as_deref(), now);
    let token = token.ok_or_else(|| Failure::internal("the key does not sign"))?;
    let value = json!({ "event": "token", "token": token, "expires": arguments.for_ });
    output.report(&value, &token);
    Ok(())
}
