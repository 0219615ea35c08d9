//! Where a function is served, and how to ask there.

use std::{io, net::SocketAddr, sync::Arc};

use whipsnake_emulator::{Deployment, Server, start_function_url, start_invoke_api};

use crate::{display, failure::Failure};

/// Opens the Invoke API and, where there is to be one, the Function URL, and tells their addresses.
pub fn open(
    deployment: &Arc<Deployment>,
    listen: SocketAddr,
    function_url: Option<SocketAddr>,
) -> Result<Vec<Server>, Failure> {
    let emulator = deployment.current();
    let (name, region) = (&emulator.function().name, &emulator.function().region);
    let api = start_invoke_api(listen, Arc::clone(deployment)).map_err(busy(listen, "--listen"))?;
    let address = api.address();
    display::say(&format!(
        "http://{address} runs {name}; aws lambda invoke --endpoint-url http://{address} --region {region} \
         --no-sign-request --function-name {name} --cli-binary-format raw-in-base64-out --payload '{{}}' /dev/stdout",
    ));
    let mut servers = vec![api];
    if let Some(address) = function_url {
        let url = start_function_url(address, Arc::clone(deployment)).map_err(busy(address, "--function-url"))?;
        display::say(&format!("curl -N http://{}/ asks its Function URL", url.address()));
        servers.push(url);
    }
    Ok(servers)
}

fn busy(address: SocketAddr, option: &'static str) -> impl Fn(io::Error) -> Failure {
    move |error| Failure::new(format!("listening on {address}: {error}; choose another address with {option}"))
}
