//! What stand-ins recorded.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::Context as _;

/// One start of a stand-in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Started {
    /// Name and arguments.
    pub argv: Vec<String>,
    /// Its environment.
    pub environment: BTreeMap<String, String>,
    /// Links to disks in the working directory, and what they led to.
    pub links: Vec<(String, String)>,
    /// The domain that it was to read.
    pub domain: Option<String>,
}

impl Started {
    /// Name and arguments in one line.
    #[must_use]
    pub fn line(&self) -> String {
        self.argv.join(" ")
    }
}

/// What was started, in order. `dir` is the stand-ins' directory.
///
/// # Errors
/// If the records cannot be read.
pub fn started(dir: &Path) -> anyhow::Result<Vec<Started>> {
    let record = dir.join("record");
    let entries = |path: &Path| -> anyhow::Result<Vec<String>> {
        let bytes = fs::read(path).with_context(|| format!("reading {}", path.display()))?;
        let text = String::from_utf8_lossy(&bytes);
        let mut entries: Vec<String> = text.split('\0').map(str::to_owned).collect();
        entries.pop();
        Ok(entries)
    };
    let mut paths = Vec::new();
    for entry in fs::read_dir(&record).context("reading the record")? {
        paths.push(entry.context("reading the record")?.path());
    }
    paths.retain(|path| path.extension().is_some_and(|kind| kind == "argv"));
    paths.sort();
    paths
        .iter()
        .map(|path| {
            let name = path.file_stem().and_then(|name| name.to_str());
            let name = name.and_then(|name| name.split_once('-'));
            let (_, name) = name.context("a record without a name")?;
            let mut argv = vec![name.to_owned()];
            argv.extend(entries(path)?);
            let environment = entries(&path.with_extension("environ"))?
                .iter()
                .filter_map(|entry| entry.split_once('='))
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect();
            let links = fs::read_to_string(path.with_extension("links")).unwrap_or_default();
            let links = links
                .lines()
                .filter_map(|line| line.split_once(' '))
                .map(|(link, disk)| (link.to_owned(), disk.to_owned()))
                .collect();
            Ok(Started {
                argv,
                environment,
                links,
                domain: fs::read_to_string(path.with_extension("xml")).ok(),
            })
        })
        .collect()
}
