//! Where a function is served, how to ask there, and who may.

use std::{io, net::SocketAddr, sync::Arc};

use whipsnake_emulator::{Access, Deployment, Server, start_function_url, start_invoke_api};

use crate::{display, failure::Failure};

/// Who may ask, beside programs and web pages of this machine.
#[derive(clap::Args)]
pub struct AccessArguments {
    /// A host name by which the function may be asked, and whose web pages may ask it, beside localhost and IP addresses; * is all
    /// names; may be repeated
    #[arg(long = "allow-host", value_name = "NAME")]
    names: Vec<String>,
}

/// Opens the Invoke API and, where there is to be one, the Function URL, and tells their addresses.
pub fn open(
    deployment: &Arc<Deployment>,
    listen: SocketAddr,
    function_url: Option<SocketAddr>,
    access: &AccessArguments,
) -> Result<Vec<Server>, Failure> {
    let emulator = deployment.current();
    let (name, region) = (&emulator.function().name, &emulator.function().region);
    let access = Access::with_names(&access.names);
    let api = start_invoke_api(listen, access.clone(), Arc::clone(deployment)).map_err(busy(listen, "--listen"))?;
    let address = api.address();
    display::say(&format!(
        "http://{address} runs {name}; aws lambda invoke --endpoint-url http://{address} --region {region} \
         --no-sign-request --function-name {name} --cli-binary-format raw-in-base64-out --payload '{{}}' /dev/stdout",
    ));
    let mut servers = vec![api];
    if let Some(address) = function_url {
        let url =
            start_function_url(address, access, Arc::clone(deployment)).map_err(busy(address, "--function-url"))?;
        display::say(&format!("curl -N http://{}/ asks its Function URL", url.address()));
        servers.push(url);
    }
    Ok(servers)
}

fn busy(address: SocketAddr, option: &'static str) -> impl Fn(io::Error) -> Failure {
    move |error| Failure::new(format!("listening on {address}: {error}; choose another address with {option}"))
}
