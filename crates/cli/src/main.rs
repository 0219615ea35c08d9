//! The `whipsnake` command.

#![forbid(unsafe_code)]

mod bench;
mod deployment;
mod display;
mod emulate;
mod failure;
mod function;
mod invoke;
mod layer;
mod pack;
mod play;
mod python;
mod session;
mod signals;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Runs Python functions on whipsnake, the AWS Lambda runtime, without AWS.
#[derive(Parser)]
#[command(name = "whipsnake", version, disable_help_subcommand = true)]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    Invoke(invoke::Invoke),
    Emulate(emulate::Emulate),
    Session(session::Session),
    Play(play::Play),
    Python(python::Python),
    Layer(layer::Layer),
    Pack(pack::Pack),
    Bench(bench::Bench),
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().verb {
        Verb::Invoke(invoke) => invoke.run(),
        Verb::Emulate(emulate) => emulate.run(),
        Verb::Session(session) => session.run(),
        Verb::Play(play) => play.run(),
        Verb::Python(python) => python.run(),
        Verb::Layer(layer) => layer.run(),
        Verb::Pack(pack) => pack.run(),
        Verb::Bench(bench) => bench.run(),
    };
    outcome.unwrap_or_else(|failure| {
        eprintln!("whipsnake: {failure}");
        ExitCode::from(2)
    })
}
