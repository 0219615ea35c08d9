//! The `whipsnake` command.

#![forbid(unsafe_code)]
// They panic where the other end of a pipe is gone, as after `| head -1`. `display` prints for all verbs.
#![deny(clippy::print_stdout, clippy::print_stderr)]

mod atomic_write;
mod bench;
mod checkpoint;
mod cleanup;
mod collected;
mod completions;
mod debugpy;
mod deployment;
mod display;
mod doctor;
mod emulate;
mod endpoints;
mod event;
mod events;
mod failure;
mod function;
mod invoke;
mod json_outcome;
mod layer;
mod pack;
mod play;
mod progress;
mod python;
#[cfg(test)]
mod reference;
mod session;
mod signals;
mod simulate;
mod status_line;
mod watch;

use std::process::ExitCode;

use clap::{
    Parser, Subcommand,
    builder::styling::{AnsiColor, Effects, Styles},
};

/// The headings and names of cargo's and uv's help, on terminals.
const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Green.on_default().effects(Effects::BOLD))
    .usage(AnsiColor::Green.on_default().effects(Effects::BOLD))
    .literal(AnsiColor::Cyan.on_default().effects(Effects::BOLD))
    .placeholder(AnsiColor::Cyan.on_default());

/// The exit code of a shell's command that SIGPIPE has ended.
const HUNG_UP: u8 = 128 + 13;

/// Runs Python functions on whipsnake, the AWS Lambda runtime, without AWS.
#[derive(Parser)]
#[command(name = "whipsnake", version, disable_help_subcommand = true, styles = STYLES)]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    Invoke(invoke::Invoke),
    Watch(watch::Watch),
    Emulate(emulate::Emulate),
    Events(events::Events),
    Session(session::Session),
    Play(play::Play),
    Doctor(doctor::Doctor),
    Python(python::Python),
    Layer(layer::Layer),
    Pack(pack::Pack),
    Bench(bench::Bench),
    Completions(completions::Completions),
    #[command(name = "enter-root", hide = true)]
    Enter(checkpoint::Enter),
    #[command(name = "from-checkpoint", hide = true)]
    FromCheckpoint(checkpoint::FromNow),
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().verb {
        Verb::Invoke(invoke) => invoke.run(),
        Verb::Watch(watch) => watch.run(),
        Verb::Emulate(emulate) => emulate.run(),
        Verb::Events(events) => events.run(),
        Verb::Session(session) => session.run(),
        Verb::Play(play) => play.run(),
        Verb::Doctor(doctor) => doctor.run(),
        Verb::Python(python) => python.run(),
        Verb::Layer(layer) => layer.run(),
        Verb::Pack(pack) => pack.run(),
        Verb::Bench(bench) => bench.run(),
        Verb::Completions(completions) => completions.run(),
        Verb::Enter(enter) => enter.run(),
        Verb::FromCheckpoint(now) => now.run(),
    };
    outcome.unwrap_or_else(|failure| {
        if failure.is_silent() {
            return ExitCode::from(HUNG_UP);
        }
        display::complain(&failure.to_string());
        ExitCode::from(2)
    })
}
