//! A SipHandler: names an account in every call it places, answers a method of its own, and does not
//! even say no to a scanner.
//!
//! ```sh
//! cargo run --example gate &
//! offhook options sip:gate@127.0.0.1:5070
//! ```
use std::net::SocketAddr;

use offhook::{
    MessageAction, Phone, PhoneParameters, RequestAction, SipAnswer, SipDraft, SipHandler,
    core::sip::Method,
};

/// One for each start of the phone: what it counts begins anew.
#[derive(Default)]
struct Gate {
    pings: u32,
}

impl SipHandler for Gate {
    fn methods(&self) -> Vec<&str> {
        vec!["PING"]
    }

    fn request_in(&mut self, request: &mut SipDraft, from: SocketAddr) -> RequestAction {
        println!("{from} {} {}", request.method(), request.from().uri_str());
        let agent = request.header_by_name("User-Agent").unwrap_or_default();
        if agent.contains("scanner") {
            return RequestAction::Drop;
        }
        if request.method().as_str() != "PING" {
            return RequestAction::Pass;
        }
        self.pings += 1;
        RequestAction::Answer(SipAnswer::new(200).header("X-Pings", &self.pings.to_string()))
    }

    fn request_out(&mut self, request: &mut SipDraft, _to: SocketAddr) -> MessageAction {
        if *request.method() == Method::Invite {
            request.set("X-Account", "7001");
        }
        MessageAction::Pass
    }
}

#[tokio::main]
async fn main() -> Result<(), offhook::Error> {
    let mut arguments = std::env::args().skip(1);
    let bind = arguments.next().unwrap_or_else(|| "127.0.0.1:5070".into());
    let bind = bind.parse().expect("an address and a port to bind");
    let parameters = PhoneParameters::without_server("gate").bind(bind);
    let phone = Phone::new(parameters.sip_class(Gate::default));
    phone.start().await?;
    println!("listening on {}", phone.bound_address().expect("it runs"));
    // Whom it is to call, if anybody.
    if let Some(target) = arguments.next()
        && let Err(error) = greet(&phone, &target).await
    {
        println!("{target}: {error}");
    }
    std::future::pending().await
}

async fn greet(phone: &Phone, target: &str) -> Result<(), offhook::Error> {
    let call = phone.call(target).await?;
    call.answered().await?;
    call.hangup().await
}
