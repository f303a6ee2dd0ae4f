//! A menu: every caller is answered at once, hears a file, and presses a digit.
//!
//! ```sh
//! offhook exchange --listen 127.0.0.1:5060 --user alice:secret --user bob:b &
//! cargo run --example menu -- 127.0.0.1 alice secret &
//! offhook call alice --server 127.0.0.1 --user bob --password b --dtmf 1
//! ```
use offhook::{Phone, PhoneParameters};

#[tokio::main]
async fn main() -> Result<(), offhook::Error> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [server, user, password] = arguments.as_slice() else {
        eprintln!("usage: menu SERVER USER PASSWORD");
        std::process::exit(2);
    };
    let phone = Phone::new(PhoneParameters::new(server, user).password(password));
    phone.start().await?;
    let mut incoming = phone.incoming();
    while let Some(call) = incoming.next().await {
        tokio::spawn(async move {
            call.answer().await?;
            call.play("welcome.wav").await?;
            match call.read_dtmf(1).await?.as_str() {
                "1" => call.play("opening-hours.wav").await?,
                _ => call.play("not-understood.wav").await?,
            }
            call.hangup().await?;
            Ok::<_, offhook::Error>(())
        });
    }
    Ok(())
}
