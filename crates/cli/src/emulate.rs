//! `whipsnake emulate`: an Invoke API for boto3 and the AWS command line, and a Function URL for everything that speaks HTTP.

use std::{io, net::SocketAddr, process::ExitCode, sync::Arc, thread};

use whipsnake_emulator::{Emulator, start_function_url, start_invoke_api};

use crate::{display::Readable, failure::Failure, function::FunctionArguments, signals};

/// Serves a function to boto3, to `aws lambda invoke` and, by a Function URL, to HTTP clients until Ctrl-C; its log goes to standard
/// error.
#[derive(clap::Args)]
pub struct Emulate {
    #[command(flatten)]
    function: FunctionArguments,
    /// Where to listen; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9000")]
    listen: SocketAddr,
    /// Where to listen for a Function URL; without it there is none
    #[arg(long, value_name = "ADDRESS")]
    function_url: Option<SocketAddr>,
    /// How many invocations the function gets at once, as on Lambda Managed Instances
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u16).range(1..))]
    concurrency: Option<u16>,
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
        let emulator = Emulator::new(function, Box::new(Readable::new(io::stderr())));
        let emulator = Arc::new(match self.concurrency {
            Some(concurrency) => emulator.with_concurrency(concurrency),
            None => emulator,
        });
        signals::shut_down_on_signal(&emulator)?;
        let busy = |address: SocketAddr, option: &'static str| {
            move |error: io::Error| {
                Failure::new(format!("listening on {address}: {error}; choose another address with {option}"))
            }
        };
        let api = start_invoke_api(self.listen, Arc::clone(&emulator)).map_err(busy(self.listen, "--listen"))?;
        eprintln!(
            "whipsnake: http://{} runs {name}; aws lambda invoke --endpoint-url http://{} --region {region} \
             --no-sign-request --function-name {name} --cli-binary-format raw-in-base64-out --payload '{{}}' /dev/stdout",
            api.address(),
            api.address(),
        );
        let _url = match self.function_url {
            Some(address) => {
                let url =
                    start_function_url(address, Arc::clone(&emulator)).map_err(busy(address, "--function-url"))?;
                eprintln!("whipsnake: curl -N http://{}/ asks its Function URL", url.address());
                Some(url)
            }
            None => None,
        };
        // A failed init is in the log, and is run again by the first invocation.
        emulator.start().map_err(|error| Failure::new(error.to_string()))?;
        loop {
            thread::park();
        }
    }
}
