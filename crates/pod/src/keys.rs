//! Keys of encrypted volumes: files of a mounted Secret, or Clevis.

use std::fs;
use std::io;
use std::path::Path;

use anyhow::Context as _;

use crate::Settings;

/// The keys, for virt-v2v and for our own session.
#[derive(Debug, Default)]
pub(crate) struct Keys {
    /// As `--key` takes them.
    pub(crate) v2v: Vec<refit_v2v::Key>,
    /// The same.
    pub(crate) engine: Vec<refit_engine::Key>,
}

impl Keys {
    /// Clevis comes before files. Each regular file counts whose name does not begin with two dots: what begins so is
    /// how Kubernetes swaps the content of a volume.
    ///
    /// # Errors
    /// If the directory or a file cannot be read.
    pub(crate) fn read(settings: &Settings) -> anyhow::Result<Self> {
        if settings.nbde_clevis {
            return Ok(Self {
                v2v: vec!["all:clevis".parse()?],
                engine: vec!["all:clevis".parse()?],
            });
        }
        let mut keys = Self::default();
        for path in files(&settings.paths.luks_dir)? {
            let text = format!("all:file:{}", path.display());
            keys.v2v.push(text.parse()?);
            // An empty file is no key, and none of virt-v2v's business either.
            match text.parse() {
                Ok(key) => keys.engine.push(key),
                Err(error) => tracing::warn!("{error:#}"),
            }
        }
        Ok(keys)
    }
}

fn files(dir: &Path) -> anyhow::Result<Vec<std::path::PathBuf>> {
    let entries = match fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.with_context(|| format!("listing the keys in {}", dir.display()))?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.with_context(|| format!("listing the keys in {}", dir.display()))?;
        let is_hidden = entry.file_name().as_encoded_bytes().starts_with(b"..");
        // Through links: each key is one, into `..data`.
        if !is_hidden && entry.path().is_file() {
            found.push(entry.path());
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mounted_secret() {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("etc/luks");
        fs::create_dir_all(dir.join("..2026")).unwrap();
        fs::write(dir.join("..2026/b"), "geheim\n").unwrap();
        fs::write(dir.join("..2026/a"), "anders").unwrap();
        std::os::unix::fs::symlink("..2026", dir.join("..data")).unwrap();
        for name in ["a", "b"] {
            std::os::unix::fs::symlink(format!("..data/{name}"), dir.join(name)).unwrap();
        }
        let read = |clevis: &str| {
            let env = [
                ("REFIT_POD_ROOT", root.path().to_str().unwrap()),
                ("V2V_NBDE_CLEVIS", clevis),
            ];
            let env = env.map(|(name, value)| (name.to_owned(), value.to_owned()));
            Keys::read(&Settings::read(env, []).unwrap()).unwrap()
        };
        let keys = read("false");
        let expected = ["a", "b"].map(|name| format!("all:file:{}", dir.join(name).display()));
        assert_eq!(
            keys.v2v
                .iter()
                .map(|key| format!("{key:?}"))
                .collect::<Vec<_>>(),
            expected
        );
        assert_eq!(keys.engine.len(), 2);
        let keys = read("1");
        assert_eq!(format!("{:?}", keys.v2v), "[all:clevis]");
        assert!(keys.engine[0].is_clevis());
    }
}
