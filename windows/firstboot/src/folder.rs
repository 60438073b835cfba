//! The service's folder: tasks, what is remembered, log, result.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use crate::clock;
use crate::schedule::{Found, MAX_BOOTS};
use crate::state::State;
use crate::task::{self, MAX_BYTES, MAX_TASKS, Task};
use crate::vars::Folders;
use crate::win32::system;

/// Largest part of an attempt's output that goes to the log, in bytes.
const MAX_OUTPUT: u64 = 64 * 1024;
/// Largest log, in bytes; what comes later is not written.
const MAX_LOG: u64 = 8 << 20;

/// The folder above `tasks`.
#[derive(Debug, Clone)]
pub struct Folder {
    path: PathBuf,
    echo: bool,
}

impl Folder {
    /// The folder; with `echo` the log goes to standard output, too.
    pub fn new(path: PathBuf, echo: bool) -> Self {
        Self { path, echo }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A file in it.
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Writes a line to the log. A log that cannot be written stops nothing.
    pub fn log(&self, text: &str) {
        let line = format!("{} {text}\r\n", clock::now());
        if self.echo {
            print!("{line}");
        }
        let _ = self.append(line.as_bytes());
    }

    fn append(&self, bytes: &[u8]) -> io::Result<()> {
        let mut file = OpenOptions::new()
            .append(true)
            .create(true)
            .open(self.file("log.txt"))?;
        if file.metadata()?.len() < MAX_LOG {
            file.write_all(bytes)?;
        }
        Ok(())
    }

    /// Copies the beginning of an attempt's output to the log, and gives its last line that begins with
    /// `marker`.
    pub fn log_output(&self, path: &Path, marker: &str) -> Option<String> {
        let mut bytes = Vec::new();
        File::open(path)
            .ok()?
            .take(MAX_OUTPUT)
            .read_to_end(&mut bytes)
            .ok()?;
        let text = String::from_utf8_lossy(&bytes);
        let mut result = None;
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            match line.strip_prefix(marker) {
                Some(rest) => result = Some(rest.to_owned()),
                None => self.log(&format!("  | {}", line.trim_end())),
            }
        }
        result
    }

    /// What is remembered. A file that is damaged is put aside; so that a disk which damages it each
    /// time cannot keep the service going for ever, half of the starts count as used.
    pub fn load(&self) -> State {
        let path = self.file("state");
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return State::default(),
            Err(error) => error.to_string(),
        };
        match text.parse() {
            Ok(state) => state,
            Err(error) => {
                self.log(&format!("the file state is damaged: {error}"));
                let aside = self.file("state.bad");
                let boots = if aside.exists() {
                    MAX_BOOTS
                } else {
                    MAX_BOOTS / 2
                };
                // If it cannot be put aside, saving replaces it.
                let _ = fs::rename(path, aside);
                State {
                    boots,
                    ..State::default()
                }
            }
        }
    }

    /// Remembers; what was remembered is on the disk when this returns.
    ///
    /// # Errors
    /// Without a record nothing may be attempted.
    pub fn save(&self, state: &State) -> io::Result<()> {
        system::replace_file(&self.file("state"), state.to_text().as_bytes())
    }

    /// The tasks' files.
    pub fn tasks(&self) -> io::Result<Vec<Found>> {
        let mut names = Vec::new();
        match fs::read_dir(self.file("tasks")) {
            Ok(entries) => {
                for entry in entries {
                    let name = entry?.file_name().to_string_lossy().into_owned();
                    if name.ends_with(task::EXTENSION) {
                        names.push(name);
                    }
                }
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        names.sort();
        if names.len() > MAX_TASKS {
            self.log(&format!(
                "{} task files: those after {MAX_TASKS} are ignored",
                names.len()
            ));
            names.truncate(MAX_TASKS);
        }
        Ok(names.into_iter().map(|name| self.task(name)).collect())
    }

    /// One task's file.
    pub fn task(&self, file: String) -> Found {
        let read = || -> io::Result<Vec<u8>> {
            let mut content = Vec::new();
            let file = File::open(self.file("tasks").join(&file))?;
            file.take(MAX_BYTES as u64 + 1).read_to_end(&mut content)?;
            Ok(content)
        };
        let (digest, task) = match read() {
            Ok(content) => (task::digest(&content), Task::parse(&file, &content)),
            Err(error) => (0, Err(format!("the file cannot be read: {error}"))),
        };
        Found {
            // Spaces separate words in the file of records.
            file: file.replace(|c: char| c.is_whitespace() || c.is_control(), "_"),
            digest,
            task,
        }
    }

    /// The names that tasks may use.
    pub fn names(&self) -> Folders {
        let system_root = system::windows_folder();
        let system_drive = system_root.get(..2).unwrap_or("C:").to_owned();
        Folders {
            program_files: format!("{system_drive}\\Program Files"),
            refit: self
                .path
                .to_string_lossy()
                .trim_end_matches('\\')
                .to_owned(),
            system_root,
            system_drive,
        }
    }
}
