//! What in a guest asks VMware Tools for settings.

use std::collections::{BTreeMap, BTreeSet};

use refit_engine::backend::FileKind;
use refit_engine::{Guest, GuestPath, HiveName, WindowsFacts};

use super::text::{asks, decode, is_script, scripts};

/// Folders with scripts, without what is in their folders: of the start, of group policies, of the end of setup,
/// of cloudbase-init, and where people put theirs. `%W` is the folder of Windows.
const FOLDERS: [&str; 11] = [
    "/",
    "/Scripts",
    "%W/Setup/Scripts",
    "%W/System32/GroupPolicy/Machine/Scripts/Startup",
    "%W/System32/GroupPolicy/Machine/Scripts/Shutdown",
    "%W/System32/GroupPolicy/User/Scripts/Logon",
    "%W/System32/Sysprep",
    "/ProgramData/Microsoft/Windows/Start Menu/Programs/StartUp",
    "/Documents and Settings/All Users/Start Menu/Programs/Startup",
    "/Program Files/Cloudbase Solutions/Cloudbase-Init/LocalScripts",
    "/Program Files/Cloudbase Solutions/Cloudbase-Init/conf",
];
/// Files with commands in them, of other endings.
const ANSWERS: [&str; 3] = [
    "%W/Panther/unattend.xml",
    "%W/System32/Sysprep/unattend.xml",
    "/unattend.xml",
];
/// Keys of SOFTWARE whose values are commands.
const RUN: [&str; 2] = [
    r"Microsoft\Windows\CurrentVersion\Run",
    r"Microsoft\Windows\CurrentVersion\RunOnce",
];
/// cloudbase-init's service that starts rpctool.
const GUESTINFO_SERVICE: &str = "vmwareguestinfoservice";
/// So many files are read at most, and so much of each.
const FILES: usize = 400;
const LONGEST: usize = 256 * 1024;
/// Scheduled tasks are in few nested folders.
const DEPTH: usize = 6;

/// Everything that asks: where, and how it was found.
pub(super) fn find(
    guest: &Guest<'_>,
    windows: &WindowsFacts,
) -> anyhow::Result<BTreeMap<String, &'static str>> {
    let root = windows.system_root.to_string();
    let mut search = Search {
        guest,
        root: root.clone(),
        found: BTreeMap::new(),
        read: BTreeSet::new(),
    };
    for folder in FOLDERS {
        search.folder(&folder.replace("%W", &root))?;
    }
    for file in ANSWERS {
        search.command_file(&file.replace("%W", &root), "answer file")?;
    }
    search.tasks(&format!("{root}/System32/Tasks"), DEPTH)?;
    search.registry(windows)?;
    Ok(search.found)
}

struct Search<'g, 'b> {
    guest: &'g Guest<'b>,
    root: String,
    found: BTreeMap<String, &'static str>,
    read: BTreeSet<String>,
}

impl Search<'_, '_> {
    /// The start of a file, each once; nothing if it is no file or enough have been read.
    fn text(&mut self, path: &str) -> anyhow::Result<Option<String>> {
        if self.read.len() >= FILES || !self.read.insert(path.to_lowercase()) {
            return Ok(None);
        }
        let is_file = self
            .guest
            .stat(path)?
            .is_some_and(|stat| stat.kind == FileKind::File);
        if !is_file {
            return Ok(None);
        }
        Ok(Some(decode(&self.guest.read_start(path, LONGEST)?)))
    }

    /// Looks at a script, and at those that it starts.
    fn script(&mut self, path: &str, deep: bool) -> anyhow::Result<()> {
        let Some(text) = self.text(path)? else {
            return Ok(());
        };
        if asks(&text) {
            self.found.insert(path.to_owned(), "script");
        }
        if deep {
            self.started(&text, false)?;
        }
        Ok(())
    }

    fn started(&mut self, text: &str, deep: bool) -> anyhow::Result<()> {
        let named: Vec<String> = text
            .lines()
            .flat_map(|line| scripts(line, &self.root))
            .collect();
        for script in named {
            let path = GuestPath::new(&script);
            self.script(&path.to_string(), deep)?;
        }
        Ok(())
    }

    /// A command line.
    fn command(&mut self, place: String, how: &'static str, command: &str) -> anyhow::Result<()> {
        if asks(command) {
            self.found.insert(place, how);
        }
        self.started(command, true)
    }

    fn folder(&mut self, folder: &str) -> anyhow::Result<()> {
        for name in self.names(folder, FileKind::File)? {
            let path = GuestPath::new(folder).join(&name).to_string();
            if is_script(&name) {
                self.script(&path, true)?;
            } else if name.to_ascii_lowercase().ends_with(".conf") {
                let text = self.text(&path)?.unwrap_or_default();
                if uses_guestinfo(&text) {
                    self.found.insert(path, "cloudbase-init");
                }
            }
        }
        Ok(())
    }

    fn names(&self, folder: &str, kind: FileKind) -> anyhow::Result<Vec<String>> {
        let is_folder = self
            .guest
            .stat(folder)?
            .is_some_and(|stat| stat.kind == FileKind::Dir);
        if !is_folder {
            return Ok(Vec::new());
        }
        let entries = self.guest.list(folder)?.into_iter();
        Ok(entries
            .filter(|entry| entry.kind == kind)
            .filter_map(|entry| String::from_utf8(entry.name).ok())
            .collect())
    }

    /// An XML file with commands in its texts.
    fn command_file(&mut self, path: &str, how: &'static str) -> anyhow::Result<()> {
        let Some(text) = self.text(path)? else {
            return Ok(());
        };
        for command in texts(&text) {
            self.command(path.to_owned(), how, &command)?;
        }
        Ok(())
    }

    fn tasks(&mut self, folder: &str, depth: usize) -> anyhow::Result<()> {
        for name in self.names(folder, FileKind::File)? {
            let path = GuestPath::new(folder).join(&name).to_string();
            self.command_file(&path, "scheduled task")?;
        }
        for name in self.names(folder, FileKind::Dir)? {
            // Windows' own, by the hundred.
            if depth > 0 && !name.eq_ignore_ascii_case("Microsoft") {
                let path = GuestPath::new(folder).join(&name).to_string();
                self.tasks(&path, depth - 1)?;
            }
        }
        Ok(())
    }

    /// Services' command lines, and what is started when somebody logs on.
    fn registry(&mut self, windows: &WindowsFacts) -> anyhow::Result<()> {
        let mut commands = Vec::new();
        if let Some(system) = self.guest.hive(&HiveName::System)? {
            let services = format!(r"{}\Services", windows.control_set());
            if let Some(key) = system.key(&services) {
                for service in key.subkeys() {
                    let parameters = service.subkey("Parameters");
                    let values = [
                        service.value("ImagePath"),
                        // Programs that turn any other into a service.
                        parameters.as_ref().and_then(|key| key.value("CommandLine")),
                        parameters
                            .as_ref()
                            .and_then(|key| key.value("AppParameters")),
                    ];
                    let place = format!(r"SYSTEM\{services}\{}", service.name());
                    let texts = values.into_iter().flatten();
                    commands.extend(
                        texts.filter_map(|value| Some((place.clone(), "service", value.as_str()?))),
                    );
                }
            }
        }
        if let Some(software) = self.guest.hive(&HiveName::Software)? {
            for path in RUN {
                if let Some(key) = software.key(path) {
                    for value in key.values() {
                        let place = format!(r"SOFTWARE\{path}\{}", value.name);
                        if let Some(text) = value.value.as_str() {
                            commands.push((place, "started at logon", text));
                        }
                    }
                }
            }
        }
        for (place, how, command) in commands {
            self.command(place, how, &command)?;
        }
        Ok(())
    }
}

/// Whether a configuration of cloudbase-init (INI, `metadata_services` is a list of classes) has the service.
fn uses_guestinfo(text: &str) -> bool {
    text.lines()
        .filter_map(|line| line.split_once('='))
        .filter(|(key, _)| key.trim().eq_ignore_ascii_case("metadata_services"))
        .any(|(_, value)| value.to_ascii_lowercase().contains(GUESTINFO_SERVICE))
}

/// The texts of an XML document, each in one piece; as far as it is well-formed.
fn texts(document: &str) -> Vec<String> {
    use quick_xml::events::Event;
    let mut reader = quick_xml::Reader::from_str(document);
    let mut found = Vec::new();
    let mut text = String::new();
    loop {
        match reader.read_event() {
            Ok(Event::Text(part)) => text.push_str(&part),
            Ok(Event::GeneralRef(reference)) => match &*reference {
                "quot" => text.push('"'),
                "apos" => text.push('\''),
                "amp" => text.push('&'),
                _ => text.push(' '),
            },
            Ok(Event::Eof) | Err(_) => break,
            Ok(_) => found.push(std::mem::take(&mut text)),
        }
    }
    found.push(text);
    found.retain(|text| !text.trim().is_empty());
    found
}
