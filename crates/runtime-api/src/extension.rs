//! The Extensions API, version 2020-01-01, as far as a runtime needs it that wants to be told of its end: Lambda gives notice
//! (SIGTERM) only where an extension is registered, and one inside the runtime's process counts.

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
    /// Registers an extension that wants no events. To be called before the first [`Client::next`].
    ///
    /// # Errors
    /// When Lambda did not take it.
    pub async fn register_extension(&self, name: &'static str) -> Result<(), Error> {
        let request = self.request(Request::post(format!("{VERSION}/register"))).header(NAME, name);
        let body = Bytes::from_static(br#"{"events": []}"#);
        let Answered { parts, body: complaint, .. } = self.ask(Call::Register, request, body).await?;
        if parts.status != StatusCode::OK {
            return Err(Error::refused(Call::Register, parts.status, &complaint, 0));
        }
        let identifier =
            parts.headers.get(IDENTIFIER).ok_or(Error { call: Call::Register, kind: Kind::NoIdentifier })?;
        let poll = self
            .request(Request::get(format!("{VERSION}/event/next")))
            .header(IDENTIFIER, identifier)
            .body(Body::empty())
            .map_err(|source| Error { call: Call::Register, kind: Kind::Request(source) })?;
        // The init phase lasts until every extension asks for an event. This one never gets any, so nobody waits for the answer.
        let connection = Arc::clone(&self.connection);
        tokio::spawn(async move { drop(connection.exchange(poll).await) });
        Ok(())
    }
}
