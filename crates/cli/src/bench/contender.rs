//! What runs the functions: a command, what it needs in its environment, and the form of folder it is given.

use std::{
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use super::folder::{Folders, Form};
use crate::{failure::Failure, python::Interpreter};

/// The names that comparisons are made by.
pub const WHIPSNAKE: &str = "whipsnake";
pub const MANAGED: &str = "awslambdaric";
/// The same once more: what differs between the two is noise.
pub const AGAIN: &str = "whipsnake again";
pub const PACKED: &str = "whipsnake, packed";
pub const BARE: &str = "whipsnake, no .pyc";
pub const MANAGED_BARE: &str = "awslambdaric, no .pyc";
/// From a memory image: of the third-party modules, and of the whole init phase.
pub const IMPORTS: &str = "whipsnake, checkpoint of imports";
pub const INIT: &str = "whipsnake, checkpoint of init";
/// An ordinary start of a function that has a checkpoint: through the restorer, and by the bootstrap itself.
pub const OFF: &str = "whipsnake, checkpoint off";
pub const UNRESTORED: &str = "whipsnake, no restorer";
/// The floors: nothing that embeds CPython, nothing that speaks to Lambda, and nothing that answers at all, is expected below.
pub const PYTHON: &str = "python -I -S -c pass";
pub const RUST: &str = "Rust, lambda_runtime";
pub const SOCKET: &str = "Rust, a bare socket";

/// A runtime with a function's folder in one form.
#[derive(Clone, Debug)]
pub struct Contender {
    pub name: String,
    pub command: Vec<String>,
    /// On top of what Lambda sets.
    pub environment: Vec<(String, String)>,
    pub form: Form,
    /// Whether it runs no Python functions.
    pub is_floor: bool,
}

/// A bootstrap from the command line: `[NAME=]PATH[,VARIABLE=VALUE..]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Bootstrap {
    /// None for the plain one.
    pub name: Option<String>,
    pub path: PathBuf,
    pub environment: Vec<(String, String)>,
}

impl Bootstrap {
    /// Reads what --bootstrap was given.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut parts = text.split(',');
        let first = parts.next().unwrap_or_default();
        let (name, path) = match first.split_once('=') {
            Some((name, path)) => (Some(name.to_owned()), path),
            None => (None, first),
        };
        if path.is_empty() || name.as_deref() == Some("") {
            return Err(format!("{text:?} is not [NAME=]PATH[,VARIABLE=VALUE]"));
        }
        let environment = parts
            .map(|variable| match variable.split_once('=') {
                Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
                _ => Err(format!("{variable:?} is not VARIABLE=VALUE")),
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { name, path: PathBuf::from(path), environment })
    }

    fn contender(&self) -> Contender {
        let name = self.name.as_ref().map_or(WHIPSNAKE.to_owned(), |name| format!("{WHIPSNAKE}, {name}"));
        Contender {
            name,
            command: vec![text(&self.path)],
            environment: self.environment.clone(),
            form: Form::Compiled,
            is_floor: false,
        }
    }

    /// The interpreter in it, under a name that makes it one: it knows best which bytecode it reads.
    pub fn python(&self, folders: &Folders) -> Result<PathBuf, Failure> {
        let name = self.name.as_deref().unwrap_or("plain");
        let folder = folders.file("pythons").join(name);
        let python = folder.join("python3");
        std::fs::create_dir_all(&folder)
            .and_then(|()| symlink(&self.path, &python))
            .map_err(|error| Failure::new(format!("linking to the bootstrap as {}: {error}", python.display())))?;
        Ok(python)
    }
}

/// Everybody who takes part, in the order of the table. `bootstraps` begins with the plain one; `floors` are programs and their names.
/// `packs` and `checkpoints` say which forms of a function's folder can be made.
pub fn all(
    bootstraps: &[Bootstrap],
    reference: Option<(&Path, &Interpreter)>,
    floors: &[(&str, PathBuf)],
    packs: bool,
    checkpoints: bool,
) -> Vec<Contender> {
    let mut contenders: Vec<Contender> = bootstraps.iter().map(Bootstrap::contender).collect();
    let Some(plain) = contenders.first().cloned() else { return contenders };
    let renamed = |name: &str, form| Contender { name: name.to_owned(), form, ..plain.clone() };
    contenders.insert(1, renamed(AGAIN, Form::Compiled));
    if packs {
        contenders.insert(1, renamed(PACKED, Form::Packed));
    }
    contenders.push(renamed(BARE, Form::Bare));
    if checkpoints {
        let restorer = || vec![super::folder::RESTORER.to_owned()];
        let off = [(String::from("WHIPSNAKE_CHECKPOINT"), String::from("off"))];
        let off = [plain.environment.as_slice(), off.as_slice()].concat();
        contenders.push(Contender { command: restorer(), ..renamed(IMPORTS, Form::Imports) });
        contenders.push(Contender { command: restorer(), ..renamed(INIT, Form::Init) });
        contenders.push(Contender { command: restorer(), environment: off, ..renamed(OFF, Form::Imports) });
        contenders.push(renamed(UNRESTORED, Form::Imports));
    }
    if let Some((python, interpreter)) = reference {
        let managed = Contender {
            name: MANAGED.to_owned(),
            command: vec![text(python), "-m".to_owned(), "awslambdaric".to_owned()],
            environment: vec![(
                "AWS_EXECUTION_ENV".to_owned(),
                format!("AWS_Lambda_python{}", interpreter.minor_version()),
            )],
            form: Form::Compiled,
            is_floor: false,
        };
        contenders.push(managed.clone());
        contenders.push(Contender { name: MANAGED_BARE.to_owned(), form: Form::Bare, ..managed });
        contenders.push(Contender {
            name: PYTHON.to_owned(),
            command: [text(&interpreter.executable)]
                .into_iter()
                .chain(["-I", "-S", "-c", "pass"].map(String::from))
                .collect(),
            environment: Vec::new(),
            form: Form::Compiled,
            is_floor: true,
        });
    }
    contenders.extend(floors.iter().map(|(name, program)| Contender {
        name: (*name).to_owned(),
        command: vec![text(program)],
        environment: Vec::new(),
        form: Form::Compiled,
        is_floor: true,
    }));
    contenders
}

impl Contender {
    /// Whether it is the managed runtime, which is told its handler by an argument.
    pub fn is_managed(&self) -> bool {
        self.name.starts_with(MANAGED)
    }

    /// Whether it is to start from a checkpoint.
    pub fn is_restored(&self) -> bool {
        self.name == IMPORTS || self.name == INIT
    }

    /// Whether it starts the empty function only.
    pub fn is_for_empty(&self) -> bool {
        self.is_floor || self.name == OFF || self.name == UNRESTORED
    }

    /// Whether it asks a Runtime API for events.
    pub fn serves(&self) -> bool {
        self.name != PYTHON
    }
}

pub fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::{Bootstrap, PathBuf};

    #[test]
    fn a_bootstrap_may_have_a_name_and_variables() {
        let parsed = Bootstrap::parse("jit=/b,PYTHON_JIT=1,A=b=c").expect("well-formed");
        assert_eq!((parsed.name.as_deref(), parsed.path), (Some("jit"), PathBuf::from("/b")));
        let variables = [("PYTHON_JIT", "1"), ("A", "b=c")].map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(parsed.environment, variables);
        assert_eq!(Bootstrap::parse("/b").expect("well-formed").name, None);
        for wrong in ["", "=", "jit=", "/b,JIT", "/b,=1"] {
            assert!(Bootstrap::parse(wrong).is_err(), "{wrong}");
        }
    }
}
