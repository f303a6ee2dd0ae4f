//! Calls somebody, listens for five seconds, and says how the line was:
//! `cargo run --example caller -- sip:bob@192.0.2.7`.
use std::time::Duration;

use offhook::{Error, Phone, PhoneParameters};
use tokio::time::timeout;

#[tokio::main]
async fn main() -> Result<(), Error> {
    let target = std::env::args().nth(1).unwrap_or_else(|| "sip:echo@127.0.0.1".into());
    let mut parameters = PhoneParameters::without_server("caller");
    parameters.bind_port = 0;
    let phone = Phone::new(parameters);
    phone.start().await?;

    let call = phone.call(&target).await?;
    match call.answered().await {
        Err(Error::Rejected { cause }) => println!("refused: {} {}", cause.code, cause.reason),
        other => {
            other?;
            let mut recording = call.record("call.wav")?;
            if timeout(Duration::from_secs(5), call.ended()).await.is_err() {
                call.hangup().await?;
            }
            let stats = call.ended().await.stats;
            recording.finished().await?;
            println!("{} packets heard, {} lost", stats.received, stats.lost);
        }
    }
    phone.stop().await;
    Ok(())
}
