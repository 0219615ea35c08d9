//! What a streamed response begins with when it is an HTTP response: its status, headers and cookies.

use crate::json;
use bytes::Bytes;
use http::{HeaderName, HeaderValue, StatusCode};
use lambda_runtime::MetadataPrelude;
use std::fmt;

/// What separates the prelude from the body.
const DELIMITER: [u8; 8] = [0; 8];

/// Status, headers and cookies, each legal.
#[derive(Debug, Default)]
pub struct Prelude(MetadataPrelude);

/// What HTTP does not allow. `Display` names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IllegalPrelude {
    /// A status that is not between 100 and 999.
    Status(u16),
    /// A header's name.
    Name(String),
    /// A header, by its name and value.
    Value(String, String),
}

impl Prelude {
    /// The content type by which Lambda knows that there is one.
    pub const CONTENT_TYPE: &str = "application/vnd.awslambda.http-integration-response";

    /// A prelude with nothing but a status.
    ///
    /// # Errors
    /// When there is no such status.
    pub fn new(status: u16) -> Result<Self, IllegalPrelude> {
        let status_code = StatusCode::from_u16(status).map_err(|_| IllegalPrelude::Status(status))?;
        Ok(Self(MetadataPrelude { status_code, ..MetadataPrelude::default() }))
    }

    /// Adds a header. Of two that differ in case alone, the later stays: Lambda takes one text a name.
    ///
    /// # Errors
    /// When it is no HTTP header.
    pub fn header(&mut self, name: &str, value: &str) -> Result<(), IllegalPrelude> {
        let legal_name = HeaderName::try_from(name).map_err(|_| IllegalPrelude::Name(name.into()))?;
        let legal_value = legal(value).ok_or_else(|| IllegalPrelude::Value(name.into(), value.into()))?;
        self.0.headers.insert(legal_name, legal_value);
        Ok(())
    }

    /// Adds a `Set-Cookie`.
    ///
    /// # Errors
    /// When it cannot be the value of a header.
    pub fn cookie(&mut self, value: &str) -> Result<(), IllegalPrelude> {
        legal(value).ok_or_else(|| IllegalPrelude::Value("set-cookie".into(), value.into()))?;
        self.0.cookies.push(value.into());
        Ok(())
    }

    /// As the response begins with it.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        let mut bytes = json::to_string(&self.0).into_bytes();
        bytes.extend_from_slice(&DELIMITER);
        bytes.into()
    }
}

/// A header's value. What is not ASCII is legal on the wire, but has no form in the prelude.
fn legal(value: &str) -> Option<HeaderValue> {
    HeaderValue::from_str(value).ok().filter(|value| value.to_str().is_ok())
}

impl fmt::Display for IllegalPrelude {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) => write!(f, "{status} is no HTTP status: 100 to 999 are"),
            Self::Name(name) => write!(f, "{name:?} is no name of an HTTP header"),
            Self::Value(name, value) => {
                write!(f, "the header {name} cannot be {value:?}: visible ASCII characters and blanks can")
            }
        }
    }
}

impl std::error::Error for IllegalPrelude {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prelude_is_json_and_eight_nuls() {
        let mut prelude = Prelude::new(201).expect("a status");
        prelude.header("Content-Type", "text/plain").expect("a header");
        prelude.header("x-a", "1").expect("a header");
        prelude.header("X-A", "2").expect("a header");
        prelude.cookie("a=b; Secure").expect("a cookie");
        let expected = "{\"statusCode\": 201, \"headers\": {\"content-type\": \"text/plain\", \"x-a\": \"2\"}, \"cookies\": [\"a=b; Secure\"]}\0\0\0\0\0\0\0\0";
        assert_eq!(prelude.to_bytes(), expected);
    }

    #[test]
    fn what_http_does_not_allow_is_named() {
        assert_eq!(Prelude::new(99).expect_err("99").to_string(), "99 is no HTTP status: 100 to 999 are");
        let mut prelude = Prelude::default();
        assert_eq!(prelude.header("a b", "").expect_err("a blank").to_string(), "\"a b\" is no name of an HTTP header");
        for bad in ["a\r\nb: c", "é", "\0"] {
            assert_eq!(prelude.header("x", bad), Err(IllegalPrelude::Value("x".into(), bad.into())));
            assert_eq!(prelude.cookie(bad), Err(IllegalPrelude::Value("set-cookie".into(), bad.into())));
        }
    }
}
