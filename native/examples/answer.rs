//! A phone that answers every call and hangs up: pyVoIP's first example.
//!
//! ```sh
//! offhook exchange --listen 127.0.0.1:5060 --user alice:a --user bob:b &
//! cargo run --example answer -- 127.0.0.1 alice a &
//! offhook call alice --server 127.0.0.1 --user bob --password b
//! ```
use offhook::{Call, Error, Phone, PhoneParameters};

#[tokio::main]
async fn main() -> Result<(), Error> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [server, user, password] = arguments.as_slice() else {
        eprintln!("usage: answer SERVER USER PASSWORD");
        std::process::exit(2);
    };
    let phone = Phone::new(PhoneParameters::new(server, user).password(password).any_port());
    phone.start().await?;
    let mut incoming = phone.incoming();
    while let Some(call) = incoming.next().await {
        println!("{} calls", call.info().remote);
        tokio::spawn(async move {
            if let Err(error) = greet(&call).await {
                println!("{}: {error}", call.info().remote);
            }
        });
    }
    Ok(())
}

async fn greet(call: &Call) -> Result<(), Error> {
    call.answer().await?;
    call.hangup().await
}
