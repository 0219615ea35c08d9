//! `whipsnake emulate`: an Invoke API for boto3 and the AWS command line, and a Function URL for everything that speaks HTTP.

use std::{net::SocketAddr, process::ExitCode, sync::Arc, thread};

use whipsnake_emulator::{Deployment, Emulator};

use crate::{
    display,
    endpoints::{self, AccessArguments},
    failure::Failure,
    function::FunctionArguments,
    progress::Progress,
    signals,
    simulate::SimulationArguments,
};

/// Serves a function to boto3, `aws lambda invoke` and HTTP clients until Ctrl-C
#[derive(clap::Args)]
pub struct Emulate {
    /// Where to listen; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9000")]
    listen: SocketAddr,
    /// Where to listen for a Function URL; without it there is none
    #[arg(long, value_name = "ADDRESS")]
    function_url: Option<SocketAddr>,
    /// How many invocations the function gets at once, as on Lambda Managed Instances
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u16).range(1..))]
    concurrency: Option<u16>,
    #[command(flatten)]
    access: AccessArguments,
    #[command(flatten)]
    function: FunctionArguments,
    #[command(flatten)]
    simulation: SimulationArguments,
}

impl Emulate {
    /// Serves until a signal ends the process.
    pub fn run(self) -> Result<ExitCode, Failure> {
        let emulator = Emulator::new(self.function.function()?, display::log());
        let emulator = emulator.simulating(self.simulation.simulation()).during_init(Progress::of_start);
        let emulator = Arc::new(match self.concurrency {
            Some(concurrency) => emulator.with_concurrency(concurrency),
            None => emulator,
        });
        let running = Arc::clone(&emulator);
        signals::on_end(move || running.shut_down())?;
        let deployment = Deployment::new(Arc::clone(&emulator));
        let _endpoints = endpoints::open(&deployment, self.listen, self.function_url, &self.access)?;
        // A failed init is in the log, and is run again by the first invocation.
        emulator.start().map_err(|error| Failure::new(error.to_string()))?;
        loop {
            thread::park();
        }
    }
}
