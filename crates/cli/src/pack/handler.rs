//! Whether a handler's module is in the package.

use std::path::Path;

use crate::{deployment::contents::Contents, failure::Failure};

/// Refuses a handler whose module is not there. Its function is not looked for: only running the module makes it.
pub fn check(handler: &str, contents: &Contents, folder: &Path) -> Result<(), Failure> {
    let Some((module, _)) = handler.rsplit_once('.') else {
        return Err(Failure::new(format!("the handler {handler:?} is not module.function")));
    };
    let path = module.replace('.', "/");
    let forms = [format!("{path}.py"), format!("{path}/__init__.py")];
    let is_extension = |file: &String| {
        file.strip_prefix(path.as_str()).is_some_and(|rest| rest.starts_with('.') && rest.ends_with(".so"))
    };
    if forms.iter().any(|form| contents.0.contains_key(form)) || contents.0.keys().any(is_extension) {
        return Ok(());
    }
    Err(Failure::new(format!(
        "there is no module {module} for the handler {handler}: neither {} nor {} is in {} or its requirements",
        forms[0],
        forms[1],
        folder.display()
    )))
}
