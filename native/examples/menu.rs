//! A menu (IVR): every caller hears welcome.wav and presses a digit, which may come while it plays.
//!
//! ```sh
//! offhook exchange --listen 127.0.0.1:5060 --user alice:a --user bob:b &
//! cargo run --example menu -- 127.0.0.1 alice a &
//! offhook call alice --server 127.0.0.1 --user bob --password b --dtmf 1
//! ```
//! The files welcome.wav, opening-hours.wav and not-understood.wav are looked for where it is run.
use std::time::Duration;

use offhook::{Call, Error, Phone, PhoneParameters};
use tokio::time::timeout;

/// How long a caller may think.
const PATIENCE: Duration = Duration::from_secs(10);

#[tokio::main]
async fn main() -> Result<(), Error> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [server, user, password] = arguments.as_slice() else {
        eprintln!("usage: menu SERVER USER PASSWORD");
        std::process::exit(2);
    };
    let phone = Phone::new(PhoneParameters::new(server, user).password(password).any_port());
    phone.start().await?;
    let mut incoming = phone.incoming();
    while let Some(call) = incoming.next().await {
        tokio::spawn(async move {
            if let Err(error) = serve(&call).await {
                println!("{}: {error}", call.info().remote);
            }
        });
    }
    Ok(())
}

async fn serve(call: &Call) -> Result<(), Error> {
    call.answer().await?;
    // Of two futures in `select!` the slower is dropped: `play` stops then, and `read_dtmf`, which takes
    // nothing before it has all, leaves the digits where they are.
    let choice = tokio::select! {
        digit = call.read_dtmf(1) => digit?,
        played = call.play("welcome.wav") => {
            played?;
            timeout(PATIENCE, call.read_dtmf(1)).await.unwrap_or(Ok("nothing".into()))?
        }
    };
    println!("{} pressed {choice}", call.info().remote);
    match choice.as_str() {
        "1" => call.play("opening-hours.wav").await?,
        _ => call.play("not-understood.wav").await?,
    }
    call.hangup().await
}
