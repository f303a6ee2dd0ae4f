//! A phone that answers and plays a file: `cargo run --example answer`, then call it, for example
//! with `offhook call sip:anybody@127.0.0.1`.
use offhook::{Phone, PhoneParameters};

#[tokio::main]
async fn main() -> Result<(), offhook::Error> {
    let phone = Phone::new(PhoneParameters::without_server("welcome"));
    phone.start().await?;
    let mut incoming = phone.incoming();
    while let Some(call) = incoming.next().await {
        tokio::spawn(async move {
            call.answer().await?;
            call.play("welcome.wav").await?;
            call.hangup().await
        });
    }
    Ok(())
}
