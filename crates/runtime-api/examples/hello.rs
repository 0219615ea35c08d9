//! The least that answers Lambda in Rust: AWS's own `lambda_runtime`, and a handler that echoes. `whipsnake bench` has it for a
//! floor: whoever embeds a CPython cannot start sooner.

use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde_json::Value;

async fn handler(event: LambdaEvent<Value>) -> Result<Value, Error> {
    Ok(event.payload)
}

fn main() -> Result<(), Error> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(lambda_runtime::run(service_fn(handler)))
}
