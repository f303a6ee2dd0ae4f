//! An announcement board: plays a WAV file to every caller and hangs up.
//!
//! ```sh
//! offhook exchange --listen 127.0.0.1:5060 --user alice:a --user bob:b &
//! cargo run --example announcement -- 127.0.0.1 alice a announcement.wav &
//! offhook call alice --server 127.0.0.1 --user bob --password b --record-received heard.wav
//! ```
use std::path::PathBuf;

use offhook::{Call, CallHandler, Error, Phone, PhoneParameters};

struct Board {
    file: PathBuf,
}

impl Board {
    async fn announce(&self, call: &Call) -> Result<(), Error> {
        call.answer().await?;
        // Returns when the last of it was really played, or at once when the caller hangs up.
        call.play(&self.file).await?;
        call.hangup().await
    }
}

impl CallHandler for Board {
    async fn ringing(&self, call: Call) {
        if let Err(error) = self.announce(&call).await {
            println!("{}: {error}", call.info().remote);
        }
    }
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [server, user, password, file] = arguments.as_slice() else {
        eprintln!("usage: announcement SERVER USER PASSWORD FILE.wav");
        std::process::exit(2);
    };
    offhook::check_wav(file)?;
    let phone = Phone::new(PhoneParameters::new(server, user).password(password).any_port());
    phone.set_call_handler(Board { file: file.into() });
    phone.start().await?;
    std::future::pending().await
}
