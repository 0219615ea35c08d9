//! The Extensions API, version 2020-01-01. Lambda sends SIGTERM before it ends an execution environment only if an extension is registered.
//! One inside the runtime's process counts.

use crate::client::{Answered, Client};
use crate::error::{Call, Error, Kind};
use bytes::Bytes;
use http::header::HeaderName;
use http::{Request, StatusCode};
use lambda_runtime_api_client::body::Body;
use std::sync::Arc;

const VERSION: &str = "/2020-01-01/extension";
const NAME: HeaderName = HeaderName::from_static("lambda-extension-name");
const IDENTIFIER: HeaderName = HeaderName::from_static("lambda-extension-identifier");

impl Client {
    /// Registers an extension without events. Call this before the first [`Client::next`].
    ///
    /// # Errors
    /// If Lambda refused it.
    pub async fn register_extension(&self, name: &'static str) -> Result<(), Error> {
        let request = self.request(Request::post(format!("{VERSION}/register"))).header(NAME, name);
        let body = Bytes::from_static(br#"{"events": []}"#);
        let Answered { parts, body: error_body, .. } = self.ask(Call::Register, request, body).await?;
        if parts.status != StatusCode::OK {
            return Err(Error::refused(Call::Register, parts.status, &error_body, 0));
        }
        let identifier =
            parts.headers.get(IDENTIFIER).ok_or(Error { call: Call::Register, kind: Kind::NoIdentifier })?;
        let poll = self
            .request(Request::get(format!("{VERSION}/event/next")))
            .header(IDENTIFIER, identifier)
            .body(Body::empty())
            .map_err(|source| Error { call: Call::Register, kind: Kind::Request(source) })?;
        // The init phase lasts until every extension asks for an event. This one never gets an event, so nobody waits for the response.
        let connection = Arc::clone(&self.connection);
        tokio::spawn(async move { drop(connection.exchange(poll).await) });
        Ok(())
    }
}
