//! Extensions inside the runtime's process: they register, and wait for events that never come. It is by them that the process
//! has notice of its end.

use serde_json::{Value, json};

use crate::http::{Request, Response};

pub(crate) const REGISTER: &str = "/2020-01-01/extension/register";
pub(crate) const NEXT: &str = "/2020-01-01/extension/event/next";

const IDENTIFIER: &str = "Lambda-Extension-Identifier";

/// Those of one execution environment: whether each of them waits.
#[derive(Default)]
pub(crate) struct Extensions(Vec<bool>);

impl Extensions {
    /// Takes an extension; or says what is wrong with it, by error type and message.
    pub(crate) fn register(&mut self, request: &Request) -> Result<String, (&'static str, String)> {
        if request.header("lambda-extension-name").is_none_or(|name| name.is_empty()) {
            return Err(("Extension.MissingHeader", "Lambda-Extension-Name is missing".to_owned()));
        }
        let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        match body["events"].as_array().map(Vec::as_slice) {
            Some([]) => {}
            Some(_) => {
                let message = "the emulator has no events for extensions, and takes those that want none";
                return Err(("Extension.InvalidEventType", message.to_owned()));
            }
            None => return Err(("InvalidRequestFormat", "the body has no list of events".to_owned())),
        }
        self.0.push(false);
        Ok(identifier(self.0.len() - 1))
    }

    /// Notes that the extension of that request waits for an event. False when there is none of that name.
    pub(crate) fn wait(&mut self, request: &Request) -> bool {
        let named = request.header(&IDENTIFIER.to_ascii_lowercase()).unwrap_or_default();
        let known = self.0.iter_mut().enumerate().find(|(position, _)| identifier(*position) == named);
        known.map(|(_, waits)| *waits = true).is_some()
    }

    pub(crate) fn all_wait(&self) -> bool {
        self.0.iter().all(|waits| *waits)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// What the extension at a position is called.
pub(crate) fn identifier(position: usize) -> String {
    format!("00000000-0000-4000-8000-{position:012}")
}

/// The answer to one that was taken.
pub(crate) fn registered(identifier: &str, name: &str, handler: &str) -> Response {
    let body = json!({"functionName": name, "functionVersion": "$LATEST", "handler": handler});
    Response::json(200, body.to_string()).with(IDENTIFIER, identifier)
}
