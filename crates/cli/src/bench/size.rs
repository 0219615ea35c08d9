//! What a checkpoint adds to a function's package.

use std::{fs, path::Path};

use whipsnake_checkpoint_format::{FILE, FOLDER};

use super::{
    case::Case,
    contender,
    folder::{Form, RESTORER},
    results::Size,
};
use crate::{
    deployment::{
        archive::{self, Moment},
        contents::{Contents, Entry, Part},
    },
    failure::Failure,
};

/// Zips the checkpoint and the restorer of a packed folder.
pub fn measure(case: &Case, form: Form, folder: &Path) -> Result<Size, Failure> {
    let mut contents = Contents::default();
    for file in [RESTORER.to_owned(), format!("{FOLDER}/{FILE}")] {
        let path = folder.join(&file);
        let bytes = fs::read(&path).map_err(|error| Failure::new(format!("reading {}: {error}", path.display())))?;
        contents.add(file, Part::Checkpoint, Entry::File(bytes));
    }
    let zip = archive::write(&contents, Moment::EARLIEST)
        .map_err(|error| Failure::new(format!("zipping the checkpoint of {}: {error}", case.name)))?;
    Ok(Size {
        case: case.name.clone(),
        contender: if form == Form::Init { contender::INIT } else { contender::IMPORTS },
        bytes: contents.files().map(|(_, size)| size).sum(),
        zipped: zip.len() as u64,
    })
}
