//! Calls somebody and says what becomes of the call, hook by hook.
//!
//! ```sh
//! offhook exchange --listen 127.0.0.1:5060 --user alice:a --user bob:b &
//! offhook answer --server 127.0.0.1 --user bob --password b --reject 486 &
//! cargo run --example states -- 127.0.0.1 alice a bob
//! ```
use std::sync::Arc;

use offhook::{Call, CallHandler, Cause, Ending, Error, Phone, PhoneParameters};
use tokio::sync::Notify;

struct Reporter {
    done: Arc<Notify>,
}

impl CallHandler for Reporter {
    async fn progress(&self, _call: Call, cause: Cause) {
        println!("progress: {} {}", cause.code, cause.reason);
    }

    async fn answered(&self, call: Call) {
        println!("answered by {}", call.info().remote);
    }

    async fn dtmf(&self, _call: Call, digit: char) {
        println!("they pressed {digit}");
    }

    async fn busy(&self, _call: Call) {
        println!("busy");
    }

    async fn not_found(&self, _call: Call) {
        println!("nobody has this number");
    }

    async fn unavailable(&self, _call: Call) {
        println!("not to be reached");
    }

    async fn bye(&self, _call: Call) {
        println!("they hung up");
    }

    async fn ended(&self, _call: Call, ending: Ending) {
        println!("ended after {} s", ending.duration.as_secs());
        self.done.notify_one();
    }
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [server, user, password, target] = arguments.as_slice() else {
        eprintln!("usage: states SERVER USER PASSWORD TARGET");
        std::process::exit(2);
    };
    let phone = Phone::new(PhoneParameters::new(server, user).password(password).any_port());
    let done = Arc::new(Notify::new());
    phone.set_call_handler(Reporter { done: Arc::clone(&done) });
    phone.start().await?;
    phone.call(target).await?;
    done.notified().await;
    phone.stop().await;
    Ok(())
}
