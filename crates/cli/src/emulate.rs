//! `whipsnake emulate`: an Invoke API for boto3 and the AWS command line.

use std::{io, net::SocketAddr, process::ExitCode, sync::Arc, thread};

use whipsnake_emulator::{Emulator, InvokeApi};

use crate::{display::Readable, failure::Failure, function::FunctionArguments, signals};

/// Serves a function to boto3 and to `aws lambda invoke` until Ctrl-C; its log goes to standard error.
#[derive(clap::Args)]
pub struct Emulate {
    #[command(flatten)]
    function: FunctionArguments,
    /// Where to listen; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9000")]
    listen: SocketAddr,
    /// The function's name; `function` always works too
    #[arg(long, value_name = "NAME", default_value = "function")]
    function_name: String,
}

impl Emulate {
    /// Serves until a signal ends the process.
    pub fn run(self) -> Result<ExitCode, Failure> {
        let function = self.function.function(self.function_name)?;
        let name = function.name.clone();
        let region = function.region.clone();
        let emulator = Arc::new(Emulator::new(function, Box::new(Readable::new(io::stderr()))));
        signals::shut_down_on_signal(&emulator)?;
        let api = InvokeApi::start(self.listen, Arc::clone(&emulator)).map_err(|error| {
            let address = self.listen;
            Failure::new(format!("listening on {address}: {error}; choose another address with --listen"))
        })?;
        eprintln!(
            "whipsnake: http://{} runs {name}; aws lambda invoke --endpoint-url http://{} --region {region} \
             --no-sign-request --function-name {name} --cli-binary-format raw-in-base64-out --payload '{{}}' /dev/stdout",
            api.address(),
            api.address(),
        );
        // A failed init is in the log, and is run again by the first invocation.
        emulator.start().map_err(|error| Failure::new(error.to_string()))?;
        loop {
            thread::park();
        }
    }
}
