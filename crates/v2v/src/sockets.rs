//! The directories of the appliance's sockets: the one thing that libguestfs puts in /tmp (or
//! `XDG_RUNTIME_DIR`) whatever `TMPDIR` says, and leaves there when it is killed.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// A record is never longer: a run starts a few appliances.
const MAX_RECORD: u64 = 64 * 1024;

/// Of qemu's `-chardev socket,path=/tmp/libguestfsXXXXXX/guestfsd.sock,...` the directory.
pub(crate) fn socket_dir(argument: &[u8]) -> Option<PathBuf> {
    let argument = std::str::from_utf8(argument).ok()?;
    let path = argument.strip_prefix("socket,path=")?.split(',').next()?;
    let dir = Path::new(path.strip_suffix("/guestfsd.sock")?);
    is_ours(dir).then(|| dir.to_owned())
}

/// Whether libguestfs gives its directories such names.
fn is_ours(dir: &Path) -> bool {
    let name = dir
        .file_name()
        .and_then(|name| name.to_str()?.strip_prefix("libguestfs"));
    dir.is_absolute()
        && name.is_some_and(|random| {
            random.len() == 6 && random.bytes().all(|b| b.is_ascii_alphanumeric())
        })
}

/// Removes directories whose appliance has ended.
pub(crate) fn remove(dirs: &BTreeSet<PathBuf>) {
    for dir in dirs {
        let is_dir = dir.symlink_metadata().is_ok_and(|meta| meta.is_dir());
        if is_dir && let Err(error) = fs::remove_dir_all(dir) {
            tracing::warn!(directory = %dir.display(), %error, "cannot remove the appliance's sockets");
        }
    }
}

/// Writes down which directories a run has, one a line.
pub(crate) fn record(file: &Path, dirs: &BTreeSet<PathBuf>) -> io::Result<()> {
    let lines: Vec<String> = dirs
        .iter()
        .map(|dir| format!("{}\n", dir.display()))
        .collect();
    fs::write(file, lines.concat())
}

/// What a run has written down.
pub(crate) fn recorded(file: &Path) -> BTreeSet<PathBuf> {
    let mut text = String::new();
    let read = File::open(file).and_then(|file| file.take(MAX_RECORD).read_to_string(&mut text));
    if read.is_err() {
        return BTreeSet::new();
    }
    text.lines()
        .map(PathBuf::from)
        .filter(|dir| is_ours(dir))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_libguestfs_sockets_are_recognised() {
        assert_eq!(
            socket_dir(b"socket,path=/tmp/libguestfsYzB8fU/guestfsd.sock,id=channel0"),
            Some("/tmp/libguestfsYzB8fU".into())
        );
        for other in [
            &b"socket,path=/tmp/libguestfs/guestfsd.sock"[..],
            b"socket,path=/tmp/libguestfs..%2f..x/guestfsd.sock",
            b"socket,path=/tmp/libguestfsYzB8fU/other.sock",
            b"socket,path=/home/guestfsd.sock",
            b"socket,path=libguestfsYzB8fU/guestfsd.sock",
            b"\xff",
        ] {
            assert_eq!(socket_dir(other), None);
        }
    }

    #[test]
    fn a_record_leads_to_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("sockets");
        assert!(recorded(&file).is_empty(), "there is no record");
        let sockets = dir.path().join("libguestfsYzB8fU");
        let other = dir.path().join("precious");
        for made in [&sockets, &other] {
            fs::create_dir(made).unwrap();
            fs::write(made.join("guestfsd.sock"), "").unwrap();
        }
        let link = dir.path().join("libguestfsAAAAAA");
        std::os::unix::fs::symlink(&other, &link).unwrap();
        let all = BTreeSet::from([sockets.clone(), other.clone(), link.clone()]);
        record(&file, &all).unwrap();
        let found = recorded(&file);
        assert_eq!(found, BTreeSet::from([sockets.clone(), link]));
        remove(&found);
        assert!(!sockets.exists());
        assert!(other.join("guestfsd.sock").exists());
    }
}
