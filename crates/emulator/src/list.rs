//! The lists of answers in a script, one for each kind of request. Events have a list of their own.

use crate::{
    extensions,
    http::Response,
    script::{Answer, Script},
};

/// Which list a request's answer is taken from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum List {
    InitError,
    RestoreNext,
    RestoreError,
    ExtensionRegister,
    Response,
    Error,
}

impl List {
    /// None for what is no such request.
    pub(crate) fn of(path: &str) -> Option<Self> {
        // The last one is the end of others.
        const ENDS: [(&str, List); 6] = [
            ("/runtime/init/error", List::InitError),
            ("/runtime/restore/next", List::RestoreNext),
            ("/runtime/restore/error", List::RestoreError),
            (extensions::REGISTER, List::ExtensionRegister),
            ("/response", List::Response),
            ("/error", List::Error),
        ];
        ENDS.into_iter().find(|(end, _)| path.ends_with(end)).map(|(_, list)| list)
    }

    /// What the script has for it.
    pub(crate) fn answers(self, script: &Script) -> &[Answer] {
        match self {
            Self::InitError => &script.init_error,
            Self::RestoreNext => &script.restore_next,
            Self::RestoreError => &script.restore_error,
            Self::ExtensionRegister => &script.extension_register,
            Self::Response => &script.response,
            Self::Error => &script.error,
        }
    }

    /// What Lambda answers, and where the script says nothing else.
    pub(crate) fn usual(self) -> Response {
        match self {
            Self::RestoreNext => Response::json(200, ""),
            Self::ExtensionRegister => extensions::registered(&extensions::identifier(0), "f", "app.handler"),
            Self::InitError | Self::RestoreError | Self::Response | Self::Error => {
                Response::json(202, r#"{"status":"OK"}"#)
            }
        }
    }
}
