//! Loading the fixups in a directory.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use refit_engine::{Info, Phase};
use refit_rules::Rules;

use crate::fixup::{Kind, UserFixup};
use crate::manifest::{self, Does, Parsed};
use crate::problem::Problem;
use crate::program::Program;
use crate::script::{self, Script};
use crate::trusted;
use refit_firstboot::FirstBoot;

/// Name of the file that makes a folder a fixup.
const MANIFEST: &str = "fixup.toml";
/// No `fixup.toml` and no script is longer, in bytes.
const LONGEST: u64 = 1 << 20;

/// Set when the user wants to stop: a running program is then killed.
#[derive(Debug, Clone, Default)]
pub struct Stop(pub Arc<AtomicBool>);

/// What was found in a directory.
#[derive(Debug, Default)]
pub struct Loaded {
    /// The fixups that can be used, sorted by folder.
    pub fixups: Vec<UserFixup>,
    /// What is wrong with the others, and with the directory.
    pub problems: Vec<Problem>,
}

impl Loaded {
    /// The fixups, and one that fails for each folder that is broken: so that a broken folder costs
    /// only itself, and is seen in the report. `taken` is as for [`load`].
    #[must_use]
    pub fn tolerant(self, taken: &mut BTreeSet<String>) -> Vec<UserFixup> {
        let mut broken: BTreeMap<PathBuf, Vec<Problem>> = BTreeMap::new();
        for problem in self.problems {
            let folder = match problem.file.parent() {
                Some(folder) if !problem.file.is_dir() => folder.to_owned(),
                _ => problem.file.clone(),
            };
            broken.entry(folder).or_default().push(problem);
        }
        let mut fixups = self.fixups;
        fixups.extend(broken.into_iter().map(|(folder, problems)| {
            let name = folder.file_name().unwrap_or_default().to_string_lossy();
            let mut id = name.into_owned();
            while !taken.insert(id.clone()) {
                id.push_str("-broken");
            }
            UserFixup {
                info: Info {
                    id,
                    summary: "Cannot be used: `refit fixups check` tells why".to_owned(),
                    phase: Phase::User,
                    parameters: BTreeMap::new(),
                },
                rules: Rules::default(),
                folder,
                kind: Kind::Broken(problems),
            }
        }));
        fixups
    }
}

/// Loads every folder in `dir`, or `dir` itself if it is a fixup. Files beside the folders, and
/// folders whose name begins with a dot, are passed over. `taken` holds the ids that are in use; those
/// of the loaded fixups are added.
#[must_use]
pub fn load(dir: &Path, taken: &mut BTreeSet<String>, stop: &Stop) -> Loaded {
    let mut loaded = Loaded::default();
    let folders = match folders(dir) {
        Ok(folders) => folders,
        Err(problem) => {
            loaded.problems.push(problem);
            return loaded;
        }
    };
    for folder in folders {
        match load_one(&folder, stop) {
            Ok(fixup) => {
                if taken.insert(fixup.info.id.clone()) {
                    loaded.fixups.push(fixup);
                } else {
                    loaded.problems.push(Problem::new(
                        &folder.join(MANIFEST),
                        format!(
                            "id: there is another fixup {:?} (`refit fixups list` shows it): choose \
                             another id, and rename the folder",
                            fixup.info.id
                        ),
                    ));
                }
            }
            Err(problems) => loaded.problems.extend(problems),
        }
    }
    loaded
}

fn folders(dir: &Path) -> Result<Vec<PathBuf>, Problem> {
    let unreadable = |error: std::io::Error| {
        Problem::new(
            dir,
            format!("cannot be read as a directory of fixups: {error}"),
        )
    };
    // Programs are started by their absolute path, and the folder's name is needed.
    let dir = fs::canonicalize(dir).map_err(unreadable)?;
    if dir.join(MANIFEST).symlink_metadata().is_ok() {
        return Ok(vec![dir]);
    }
    let mut folders = Vec::new();
    for entry in fs::read_dir(&dir).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
        if !hidden && entry.path().is_dir() {
            folders.push(entry.path());
        }
    }
    folders.sort();
    Ok(folders)
}

fn load_one(folder: &Path, stop: &Stop) -> Result<UserFixup, Vec<Problem>> {
    let path = folder.join(MANIFEST);
    let text = read(&path).map_err(|problem| vec![problem])?;
    let text =
        String::from_utf8(text).map_err(|_| vec![Problem::new(&path, "is not UTF-8 text")])?;
    let Parsed { info, rules, does } = manifest::parse(&text, &path)?;
    // What is wrong with a file that `fixup.toml` names.
    let names = |table: &str, message: String| {
        vec![Problem {
            file: path.clone(),
            line: manifest::line_of_key(&text, &[table, "run"]),
            message: format!("{table}.run: {message}"),
        }]
    };
    let script = |table: &str, run: &str| -> Result<(PathBuf, Vec<u8>), Vec<Problem>> {
        let file = inside(folder, run).map_err(|message| names(table, message))?;
        let content = read(&file).map_err(|problem| names(table, problem.to_string()))?;
        Ok((file, content))
    };
    let kind = match does {
        Does::Rules => Kind::Rules,
        Does::Script(keys) => {
            let (file, content) = script("script", &keys.run)?;
            let interpreter = script::interpreter(&content, &info.id)
                .map_err(|message| vec![at_first_line(&file, message)])?;
            Kind::Script(Script {
                interpreter,
                text: content,
                timeout: Duration::from_secs(keys.timeout),
                may_decline: true,
            })
        }
        Does::FirstBoot(keys) => {
            let (file, content) = script("firstboot", &keys.run)?;
            runnable(&content).map_err(|message| vec![at_first_line(&file, message)])?;
            Kind::FirstBoot(FirstBoot {
                text: content,
                network: keys.network,
                attempts: keys.attempts,
                timeout: keys.timeout,
                after: None,
            })
        }
        Does::Program(keys) => {
            let file = inside(folder, &keys.run).map_err(|message| names("program", message))?;
            trusted::check(&file)
                .map_err(|message| names("program", format!("{}: {message}", file.display())))?;
            Kind::Program(Program {
                path: file,
                timeout: Duration::from_secs(keys.timeout),
                stop: stop.clone(),
            })
        }
    };
    Ok(UserFixup {
        info,
        folder: folder.to_owned(),
        rules,
        kind,
    })
}

/// The file `run` in the folder itself.
fn inside(folder: &Path, run: &str) -> Result<PathBuf, String> {
    if run.is_empty() || run.contains(['/', '\0']) || matches!(run, "." | "..") {
        return Err(format!(
            "{run:?} must be the name of a file in the fixup's own folder"
        ));
    }
    Ok(folder.join(run))
}

/// What the guest's kernel needs to run a script.
fn runnable(text: &[u8]) -> Result<(), String> {
    let line = text.split(|&byte| byte == b'\n').next().unwrap_or_default();
    if !line.starts_with(b"#!") {
        return Err(
            "the first line must name the interpreter of the guest, such as #!/bin/sh".to_owned(),
        );
    }
    if line.ends_with(b"\r") {
        return Err(
            "it has Windows line ends: convert it to Unix ones, for example with `sed -i 's/\\r$//'`"
                .to_owned(),
        );
    }
    Ok(())
}

fn at_first_line(file: &Path, message: String) -> Problem {
    Problem {
        line: Some(1),
        ..Problem::new(file, message)
    }
}

/// A file of bounded size.
fn read(path: &Path) -> Result<Vec<u8>, Problem> {
    let failed = |error: std::io::Error| {
        let message = match error.kind() {
            std::io::ErrorKind::NotFound => "there is no such file: create it".to_owned(),
            _ => format!("cannot be read: {error}"),
        };
        Problem::new(path, message)
    };
    if path.metadata().map_err(failed)?.is_dir() {
        return Err(Problem::new(path, "is a directory, but a file is needed"));
    }
    let mut content = Vec::new();
    File::open(path)
        .and_then(|file| file.take(LONGEST + 1).read_to_end(&mut content))
        .map_err(failed)?;
    if content.len() as u64 > LONGEST {
        return Err(Problem::new(
            path,
            format!("is longer than {} KiB", LONGEST >> 10),
        ));
    }
    Ok(content)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(dir: &Path, name: &str, files: &[(&str, &str)]) {
        let folder = dir.join(name);
        fs::create_dir(&folder).unwrap();
        for (file, content) in files {
            fs::write(folder.join(file), content).unwrap();
        }
    }

    fn toml(id: &str, rest: &str) -> String {
        format!("id = \"{id}\"\nsummary = \"x\"\n{rest}\n")
    }

    #[test]
    fn good_folders_are_loaded_and_each_broken_one_is_explained() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path();
        let script = "[script]\nrun = \"go.sh\"";
        let good = toml("good", script);
        folder(
            dir,
            "good",
            &[("fixup.toml", &good), ("go.sh", "#!/bin/sh\n")],
        );
        folder(
            dir,
            "nic-names",
            &[
                (
                    "fixup.toml",
                    &toml("nic-names", "[firstboot]\nrun = \"go.sh\""),
                ),
                ("go.sh", "#!/bin/sh\n"),
            ],
        );
        folder(dir, "empty", &[]);
        folder(
            dir,
            "no-script",
            &[("fixup.toml", &toml("no-script", script))],
        );
        folder(
            dir,
            "outside",
            &[(
                "fixup.toml",
                &toml("outside", "[script]\nrun = \"../good/go.sh\""),
            )],
        );
        folder(
            dir,
            "not-executable",
            &[
                (
                    "fixup.toml",
                    &toml("not-executable", "[program]\nrun = \"go\""),
                ),
                ("go", "#!/bin/sh\n"),
            ],
        );
        folder(
            dir,
            "no-shebang",
            &[
                (
                    "fixup.toml",
                    &toml("no-shebang", "[firstboot]\nrun = \"go.sh\""),
                ),
                ("go.sh", "echo\n"),
            ],
        );
        folder(dir, ".git", &[]);
        fs::write(dir.join("README.md"), "").unwrap();

        let mut taken = BTreeSet::from(["nic-names".to_owned()]);
        let loaded = load(dir, &mut taken, &Stop::default());
        let ids: Vec<&str> = loaded.fixups.iter().map(|f| f.info.id.as_str()).collect();
        assert_eq!(ids, ["good"]);
        assert!(taken.contains("good"));
        let problems: Vec<String> = loaded.problems.iter().map(ToString::to_string).collect();
        let expected = [
            ("empty/fixup.toml: ", "create it"),
            ("nic-names/fixup.toml: ", "another fixup"),
            ("no-script/fixup.toml:4: script.run: ", "create it"),
            ("no-shebang/go.sh:1: ", "#!/bin/sh"),
            ("not-executable/fixup.toml:4: program.run: ", "chmod +x"),
            ("outside/fixup.toml:4: script.run: ", "own folder"),
        ];
        assert_eq!(problems.len(), expected.len(), "{problems:#?}");
        for (problem, (place, advice)) in problems.iter().zip(expected) {
            assert!(
                problem.contains(place) && problem.contains(advice),
                "{problem} instead of {place} ... {advice}"
            );
        }

        let all = loaded.tolerant(&mut taken);
        assert_eq!(all.len(), 7);
        assert_eq!(all.iter().filter(|f| f.kind() == "broken").count(), 6);
        assert!(all.iter().any(|f| f.info.id == "nic-names-broken"));
    }

    #[test]
    fn a_folder_can_be_given_itself_and_a_missing_directory_is_a_problem() {
        let dir = tempfile::tempdir().unwrap();
        folder(
            dir.path(),
            "one",
            &[
                ("fixup.toml", &toml("one", "[script]\nrun = \"s\"")),
                ("s", "#!/bin/sh\n"),
            ],
        );
        let one = load(
            &dir.path().join("one"),
            &mut BTreeSet::new(),
            &Stop::default(),
        );
        assert_eq!((one.fixups.len(), one.problems.len()), (1, 0), "{one:?}");
        let none = load(
            &dir.path().join("gone"),
            &mut BTreeSet::new(),
            &Stop::default(),
        );
        assert_eq!((none.fixups.len(), none.problems.len()), (0, 1));
    }
}
