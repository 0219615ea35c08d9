//! Events that are kept in files, and sent again.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Mutex,
};

use whipsnake_emulator::{Emulator, Invocation};

use crate::{atomic_write, display, failure::Failure, invoke};

/// Writes events into a folder: 0001.json and so on.
pub struct Recorder {
    folder: PathBuf,
    next: Mutex<u32>,
}

impl Recorder {
    /// Goes on after what the folder has already.
    pub fn into_folder(folder: PathBuf) -> Result<Recorder, Failure> {
        let last = fs::create_dir_all(&folder).and_then(|()| events_in(&folder)).map(|events| {
            events.iter().filter_map(|file| file.file_stem()?.to_str()?.parse::<u32>().ok()).max().unwrap_or_default()
        });
        let last = last.map_err(|error| Failure::new(format!("recording into {}: {error}", folder.display())))?;
        Ok(Recorder { folder, next: Mutex::new(last + 1) })
    }

    /// Writes one event.
    pub fn record(&self, invocation: &Invocation) {
        let mut next = self.next.lock().expect("nobody panics while recording");
        let file = self.folder.join(format!("{next:04}.json"));
        *next += 1;
        if let Err(error) = atomic_write::replace(&file, &invocation.payload) {
            display::complain(&format!("recording the event as {}: {error}", file.display()));
        }
    }
}

/// Sends events from files.
pub struct Replay(PathBuf);

impl Replay {
    /// The events in a file, or in all files of a folder that end in .json.
    pub fn of(path: PathBuf) -> Result<Replay, Failure> {
        let replay = Replay(path);
        replay.files().map(|_| replay)
    }

    /// Sends them, in the order of their names; what is recorded or changed meanwhile counts.
    pub fn to(&self, emulator: &Emulator) {
        let sent = self.files().and_then(|files| files.iter().try_for_each(|file| send(file, emulator)));
        if let Err(failure) = sent {
            display::complain(&failure.to_string());
        }
    }

    fn files(&self) -> Result<Vec<PathBuf>, Failure> {
        let failed = |what: String| Failure::new(format!("replaying events from {}: {what}", self.0.display()));
        let files =
            if self.0.is_dir() { events_in(&self.0) } else { fs::metadata(&self.0).map(|_| vec![self.0.clone()]) };
        let files = files.map_err(|error| failed(error.to_string()))?;
        if files.is_empty() { Err(failed("there is no .json in it".to_owned())) } else { Ok(files) }
    }
}

fn send(file: &Path, emulator: &Emulator) -> Result<(), Failure> {
    let failed = |error: io::Error| Failure::new(format!("replaying {}: {error}", file.display()));
    let event = fs::read(file).map_err(failed)?;
    let invocation = Invocation::new(event).map_err(failed)?;
    invoke::show(emulator, &invocation).map(drop)
}

fn events_in(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "json") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}
