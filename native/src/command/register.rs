//! `offhook register`: registers and stays, refreshing.

use super::arguments::RegisterArguments;
use super::failure::{Failure, Status};
use super::output::Output;
use super::session::{Session, parameters};

pub(crate) async fn run(arguments: RegisterArguments, output: Output) -> Result<(), Failure> {
    let common = &arguments.common;
    if common.account.server.is_none() || common.account.no_register {
        let message = "there is nowhere to register: name a --server, without --no-register";
        return Err(Failure::new(Status::Usage, "no_server", message));
    }
    let session = Session::start(parameters(common, 0)?, &common.watch, output).await?;
    if arguments.once {
        return session.leave().await;
    }
    let time = async {
        match arguments.for_ {
            Some(time) => tokio::time::sleep(time).await,
            None => std::future::pending().await,
        }
    };
    let result = tokio::select! {
        () = time => Ok(()),
        () = session.signals.came() => Ok(()),
        failure = session.registration_lost() => Err(failure),
    };
    session.end().await?;
    result
}
