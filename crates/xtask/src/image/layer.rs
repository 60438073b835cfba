//! Layers: directories as tar archives that depend on names, contents and modes alone.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use sha2::{Digest as _, Sha256};
use tar::{Builder, EntryType, Header};

/// Set-user-ID and set-group-ID bits: nothing in the image may change who it is.
const SET_ID: u32 = 0o6000;

/// Passes on what is written, and digests it.
struct Digesting<W> {
    inner: W,
    digest: Sha256,
}

impl<W: Write> Write for Digesting<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.digest.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// Packs what is below `dir` into the new file `to`, and gives its SHA-256 digest in hexadecimal digits.
///
/// Names are in the order of their bytes, times are 0, and everything is root's: times and build-time accounts
/// mean nothing in an image, and a layer whose files are the same has the same digest. Sockets, pipes and devices
/// are refused.
pub fn pack(dir: &Path, to: &Path) -> anyhow::Result<String> {
    let file = File::create(to).with_context(|| format!("creating {}", to.display()))?;
    let mut archive = Builder::new(Digesting {
        inner: BufWriter::new(file),
        digest: Sha256::new(),
    });
    let mut links = BTreeMap::new();
    add(&mut archive, dir, Path::new(""), &mut links)?;
    let mut packed = archive.into_inner().context("finishing a layer")?;
    packed
        .flush()
        .with_context(|| format!("writing {}", to.display()))?;
    Ok(hex(&packed.digest.finalize()))
}

fn add<W: Write>(
    archive: &mut Builder<W>,
    dir: &Path,
    below: &Path,
    links: &mut BTreeMap<(u64, u64), PathBuf>,
) -> anyhow::Result<()> {
    let here = dir.join(below);
    let names = fs::read_dir(&here).with_context(|| format!("listing {}", here.display()))?;
    let names: io::Result<Vec<_>> = names.map(|entry| Ok(entry?.file_name())).collect();
    let mut names = names.with_context(|| format!("listing {}", here.display()))?;
    names.sort_by(|a, b| a.as_bytes().cmp(b.as_bytes()));
    for name in names {
        let path = below.join(name);
        let source = dir.join(&path);
        let context = || format!("packing {}", source.display());
        let found = source.symlink_metadata().with_context(context)?;
        let mut header = Header::new_gnu();
        header.set_mode(found.permissions().mode() & 0o7777 & !SET_ID);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        header.set_size(0);
        let kind = found.file_type();
        if kind.is_dir() {
            header.set_entry_type(EntryType::Directory);
            archive
                .append_data(&mut header, path.join(""), io::empty())
                .with_context(context)?;
            add(archive, dir, &path, links)?;
        } else if kind.is_symlink() {
            header.set_entry_type(EntryType::Symlink);
            header.set_mode(0o777);
            let target = fs::read_link(&source).with_context(context)?;
            archive
                .append_link(&mut header, &path, target)
                .with_context(context)?;
        } else if kind.is_file() {
            let first = links.get(&(found.dev(), found.ino()));
            if let Some(first) = first {
                header.set_entry_type(EntryType::Link);
                archive
                    .append_link(&mut header, &path, first)
                    .with_context(context)?;
                continue;
            }
            if found.nlink() > 1 {
                links.insert((found.dev(), found.ino()), path.clone());
            }
            header.set_entry_type(EntryType::Regular);
            header.set_size(found.len());
            let content = File::open(&source).with_context(context)?;
            archive
                .append_data(&mut header, &path, content)
                .with_context(context)?;
        } else {
            bail!("{} is no file, directory or link", source.display());
        }
    }
    Ok(())
}

/// SHA-256 of a file, in hexadecimal digits.
pub fn digest(path: &Path) -> anyhow::Result<String> {
    let mut file = File::open(path).with_context(|| format!("opening {}", path.display()))?;
    let mut sink = Digesting {
        inner: io::sink(),
        digest: Sha256::new(),
    };
    io::copy(&mut file, &mut sink).with_context(|| format!("reading {}", path.display()))?;
    Ok(hex(&sink.digest.finalize()))
}

/// Bytes as hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn write(dir: &Path, path: &str, mode: u32) {
        let path = dir.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, format!("{mode:o}")).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    /// The same files, made in the given order.
    fn tree(order: &[usize]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let long = format!("usr/{}/{}", "d".repeat(120), "f".repeat(90));
        for step in order {
            match step {
                0 => write(dir.path(), "usr/bin/su", 0o4755),
                1 => write(dir.path(), &long, 0o644),
                2 => write(dir.path(), "home/user/.profile", 0o600),
                _ => {
                    write(dir.path(), "usr/bin/one", 0o755);
                    fs::hard_link(
                        dir.path().join("usr/bin/one"),
                        dir.path().join("usr/bin/two"),
                    )
                    .unwrap();
                    symlink("/usr/bin/one", dir.path().join("usr/bin/three")).unwrap();
                }
            }
        }
        fs::set_permissions(dir.path().join("usr"), fs::Permissions::from_mode(0o755)).unwrap();
        dir
    }

    #[test]
    fn the_same_files_give_the_same_layer() {
        let out = tempfile::tempdir().unwrap();
        let packed =
            |dir: &tempfile::TempDir, name: &str| pack(dir.path(), &out.path().join(name)).unwrap();
        let first = packed(&tree(&[0, 1, 2, 3]), "first");
        assert_eq!(first, packed(&tree(&[3, 1, 0, 2]), "second"));
        assert_eq!(first, digest(&out.path().join("first")).unwrap());

        let mut entries = Vec::new();
        let mut archive = tar::Archive::new(File::open(out.path().join("first")).unwrap());
        for entry in archive.entries().unwrap() {
            let entry = entry.unwrap();
            let header = entry.header();
            assert_eq!(header.mtime().unwrap(), 0);
            entries.push(format!(
                "{} {:?} {:o} {} {}",
                entry.path().unwrap().display(),
                header.entry_type(),
                header.mode().unwrap(),
                header.uid().unwrap(),
                entry.link_name().unwrap().unwrap_or_default().display(),
            ));
        }
        let long = "d".repeat(120);
        let mut wanted = vec![
            "home/ Directory 755 0 ".to_owned(),
            "home/user/ Directory 755 0 ".to_owned(),
            "home/user/.profile Regular 600 0 ".to_owned(),
            "usr/ Directory 755 0 ".to_owned(),
            "usr/bin/ Directory 755 0 ".to_owned(),
            "usr/bin/one Regular 755 0 ".to_owned(),
            "usr/bin/su Regular 755 0 ".to_owned(),
            "usr/bin/three Symlink 777 0 /usr/bin/one".to_owned(),
            "usr/bin/two Link 755 0 usr/bin/one".to_owned(),
        ];
        wanted.push(format!("usr/{long}/ Directory 755 0 "));
        wanted.push(format!("usr/{long}/{} Regular 644 0 ", "f".repeat(90)));
        assert_eq!(entries, wanted);
    }

    #[test]
    fn what_has_no_place_in_a_layer_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(dir.path().join("socket")).unwrap();
        let refused = pack(dir.path(), &dir.path().join("../socket.tar"));
        let _ = fs::remove_file(dir.path().join("../socket.tar"));
        assert!(refused.unwrap_err().to_string().contains("socket"));
    }
}
