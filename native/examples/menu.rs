//! A menu (IVR): every caller hears welcome.wav and presses a digit, which may come while it plays.
//!
//! ```sh
//! offhook exchange --listen 127.0.0.1:5060 --user alice:a --user bob:b &
//! cargo run --example menu -- 127.0.0.1 alice a &
//! offhook call alice --server 127.0.0.1 --user bob --password b --dtmf 1
//! ```
//! The files welcome.wav, opening-hours.wav and not-understood.wav are looked for where it is run.
use offhook::{Call, Error, Phone, PhoneParameters};

#[tokio::main]
async fn main() -> Result<(), Error> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [server, user, password] = arguments.as_slice() else {
        eprintln!("usage: menu SERVER USER PASSWORD");
        std::process::exit(2);
    };
    let any = ([0, 0, 0, 0], 0).into();
    let phone = Phone::new(PhoneParameters::new(server, user).password(password).bind(any));
    phone.start().await?;
    let mut incoming = phone.incoming();
    while let Some(call) = incoming.next().await {
        tokio::spawn(serve(call));
    }
    Ok(())
}

async fn serve(call: Call) -> Result<(), Error> {
    call.answer().await?;
    // What is not awaited to its end stops: a digit interrupts the welcome.
    let digit = tokio::select! {
        digit = call.read_dtmf(1) => digit?,
        played = call.play("welcome.wav") => {
            played?;
            call.read_dtmf(1).await?
        }
    };
    println!("{} pressed {digit}", call.info().remote);
    match digit.as_str() {
        "1" => call.play("opening-hours.wav").await?,
        _ => call.play("not-understood.wav").await?,
    }
    call.hangup().await
}
