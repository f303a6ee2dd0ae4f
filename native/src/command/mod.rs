//! The command's parts: what was asked ([`arguments`]), what is printed ([`output`]), how it ends
//! ([`failure`]), and a file a subcommand.

mod answer;
mod arguments;
mod call;
mod config;
mod demo;
mod exchange;
mod failure;
mod files;
mod headers;
mod load;
mod message;
mod options;
mod output;
mod recordings;
mod register;
mod relay;
mod session;
mod signals;
mod suggestion;
mod tls;
mod trace;

use std::process::ExitCode;

use clap::CommandFactory;
use tokio::runtime::{Builder, Handle, Runtime};

use arguments::{Cli, Command};
use config::Refused;
use failure::Failure;
use output::Output;

/// How many calls with sound one thread carries with ease, half of what it can; those beyond are carried
/// by others.
const EASY: usize = 500;

/// Runs the command that the arguments name, and says how it ended.
pub(crate) fn run() -> ExitCode {
    let given: Vec<_> = std::env::args_os().collect();
    let json = given.iter().any(|argument| argument == "--json");
    let command = match config::arguments(given, |path| std::fs::read_to_string(path)) {
        Ok(cli) => cli.command,
        // Exits with 2, or with 0 when help was asked for.
        Err(Refused::CommandLine(error)) => suggestion::with_good_tips(error).exit(),
        Err(Refused::File(failure)) => return end(Output::new(json), &failure),
    };
    if let Command::Completions { shell } = command {
        clap_complete::generate(shell, &mut Cli::command(), "offhook", &mut std::io::stdout());
        return ExitCode::SUCCESS;
    }
    let output = Output::new(command.json());
    match runtimes().and_then(|(own, many)| {
        // A task is woken by the others without a system call, which what is blocked on is not.
        let task = own.spawn(dispatch(command, output, many.handle().clone()));
        own.block_on(task).unwrap_or_else(|panic| Err(Failure::internal(panic)))
    }) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => end(output, &failure),
    }
}

fn end(output: Output, failure: &Failure) -> ExitCode {
    output.failure(failure);
    failure.exit_code()
}

/// One thread for signalling and the sound of some hundred calls, because waking others costs more than
/// the work of a call; and as many as there are processors for the sound of more.
fn runtimes() -> Result<(Runtime, Runtime), Failure> {
    let own = Builder::new_current_thread().enable_all().build().map_err(Failure::internal)?;
    let many = Builder::new_multi_thread().enable_all().build().map_err(Failure::internal)?;
    Ok((own, many))
}

async fn dispatch(command: Command, output: Output, many: Handle) -> Result<(), Failure> {
    match command {
        Command::Demo(arguments) => demo::run(arguments, output).await,
        Command::Register(arguments) => register::run(*arguments, output).await,
        Command::Call(arguments) => call::run(*arguments, output).await,
        Command::Answer(arguments) => answer::run(*arguments, output, &many).await,
        Command::Message(arguments) => message::run(*arguments, output).await,
        Command::Options(arguments) => options::run(*arguments, output).await,
        Command::Load(arguments) => load::run(*arguments, output, &many).await,
        Command::Exchange(arguments) => exchange::run(*arguments, output).await,
        Command::Relay(arguments) => relay::run(*arguments, output, &many).await,
        Command::Trace(arguments) => trace::run(&arguments, output),
        Command::Completions { .. } => Ok(()),
    }
}
