//! Moves a file over another, mostly from one file system to another.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use rustix::fs::{SeekFrom as Extent, seek, statvfs};
use rustix::io::Errno;

/// Room that a file system wants for itself while a file is written, in bytes.
const MARGIN: u64 = 16 << 20;

/// Moves the file `from` over `to`, which a failure leaves as it was as long as both have room beside each other.
/// Holes stay holes. The file is on stable storage before `from` goes.
///
/// # Errors
/// The message says where the whole file is then.
pub fn replace(from: &Path, to: &Path) -> anyhow::Result<()> {
    match fs::rename(from, to) {
        Ok(()) => sync_directory(to),
        Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {
            across(from, to, has_room(from, to).unwrap_or(false))
        }
        Err(error) => Err(error).with_context(|| {
            let (source, target) = (from.display(), to.display());
            format!("moving {source} to {target}; the converted image is still in {source}")
        }),
    }
}

/// Puts on stable storage which file the name stands for.
fn sync_directory(of: &Path) -> anyhow::Result<()> {
    let parent = of.parent().filter(|parent| !parent.as_os_str().is_empty());
    File::open(parent.unwrap_or(Path::new(".")))
        .and_then(|directory| directory.sync_all())
        .with_context(|| format!("writing the directory of {}", of.display()))
}

fn across(from: &Path, to: &Path, has_room: bool) -> anyhow::Result<()> {
    let (source, target) = (from.display(), to.display());
    if has_room {
        let beside = beside(to);
        let result = copy(from, &beside).and_then(|()| fs::rename(&beside, to));
        if let Err(error) = result {
            // It may not have been made at all.
            let _ = fs::remove_file(&beside);
            return Err(error).with_context(|| {
                format!(
                    "copying {source} to the volume of {target}; {target} is as it was, and the converted image \
                     is in {source}"
                )
            });
        }
    } else {
        tracing::info!("there is no room for both images: {target} is overwritten");
        fs::remove_file(to)
            .and_then(|()| copy(from, to))
            .with_context(|| {
                format!("copying {source} over {target}; the whole image is in {source}: copy it from there")
            })?;
    }
    sync_directory(to).with_context(|| format!("{source} is kept"))?;
    if let Err(error) = fs::remove_file(from) {
        // The volume that it is in is thrown away with the job.
        tracing::warn!("{source} was copied and cannot be removed: {error}");
    }
    Ok(())
}

fn has_room(from: &Path, to: &Path) -> io::Result<bool> {
    let needed = fs::metadata(from)?.blocks() * 512 + MARGIN;
    let system = statvfs(to)?;
    Ok(needed <= system.f_bavail * system.f_frsize)
}

fn beside(path: &Path) -> PathBuf {
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(".partial");
    path.with_file_name(name)
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    let mut source = File::open(from)?;
    let found = source.metadata()?;
    let mut target = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .open(to)?;
    target.set_len(found.len())?;
    let mut end = 0;
    while let Some(start) = data_after(&source, end)? {
        end = match seek(&source, Extent::Hole(start)) {
            Ok(end) => end,
            Err(Errno::INVAL) => found.len(),
            Err(error) => return Err(error.into()),
        };
        source.seek(SeekFrom::Start(start))?;
        target.seek(SeekFrom::Start(start))?;
        io::copy(&mut io::Read::take(&mut source, end - start), &mut target)?;
    }
    target.flush()?;
    target.set_permissions(found.permissions())?;
    target.sync_all()
}

/// Where there is data at or after an offset. A file system that does not know has data everywhere.
fn data_after(file: &File, offset: u64) -> io::Result<Option<u64>> {
    match seek(file, Extent::Data(offset)) {
        Ok(start) => Ok(Some(start)),
        Err(Errno::NXIO) => Ok(None),
        Err(Errno::INVAL) => Ok((offset < file.metadata()?.len()).then_some(offset)),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{FileExt as _, PermissionsExt as _};

    use super::*;

    /// A file of 8 MiB with 4 KiB of data in the middle.
    fn image(path: &Path) {
        let file = File::create(path).unwrap();
        file.set_len(8 << 20).unwrap();
        file.write_all_at(&[7; 4096], 4 << 20).unwrap();
        file.set_permissions(fs::Permissions::from_mode(0o640))
            .unwrap();
    }

    fn expect(path: &Path) {
        let bytes = fs::read(path).unwrap();
        assert_eq!(bytes.len(), 8 << 20);
        let data: Vec<usize> = (0..bytes.len()).filter(|at| bytes[*at] != 0).collect();
        assert_eq!((data.first(), data.len()), (Some(&(4 << 20)), 4096));
        let found = fs::metadata(path).unwrap();
        assert_eq!(found.mode() & 0o777, 0o640);
        assert!(found.blocks() * 512 < 1 << 20, "{} blocks", found.blocks());
    }

    #[test]
    fn moves_within_a_file_system_and_between_two() {
        let here = tempfile::tempdir().unwrap();
        let there = tempfile::tempdir_in("/dev/shm").unwrap();
        let device = |path: &Path| fs::metadata(path).unwrap().dev();
        assert_ne!(device(here.path()), device(there.path()));
        for directory in [&here, &there] {
            let (from, to) = (
                directory.path().join("converted"),
                here.path().join("disk.img"),
            );
            image(&from);
            fs::write(&to, "old").unwrap();
            replace(&from, &to).unwrap();
            expect(&to);
            assert!(!from.exists());
            assert_eq!(fs::read_dir(here.path()).unwrap().count(), 1);
        }
    }

    #[test]
    fn without_room_for_both_the_old_one_goes_first() {
        let here = tempfile::tempdir().unwrap();
        let there = tempfile::tempdir_in("/dev/shm").unwrap();
        let (from, to) = (there.path().join("converted"), here.path().join("disk.img"));
        image(&from);
        fs::write(&to, "old").unwrap();
        across(&from, &to, false).unwrap();
        expect(&to);
        assert!(!from.exists());
        // Where it cannot be written, the whole image stays where it is.
        image(&from);
        let error = across(&from, &here.path().join("none/disk.img"), false).unwrap_err();
        assert!(
            error.to_string().contains("the whole image is in"),
            "{error}"
        );
        expect(&from);
    }

    #[test]
    fn a_failure_leaves_both() {
        let here = tempfile::tempdir().unwrap();
        let there = tempfile::tempdir_in("/dev/shm").unwrap();
        let (from, to) = (there.path().join("converted"), here.path().join("disk.img"));
        image(&from);
        // A directory cannot be replaced by a file.
        fs::create_dir(&to).unwrap();
        let error = format!("{:#}", replace(&from, &to).unwrap_err());
        assert!(error.contains("is as it was"), "{error}");
        expect(&from);
        assert!(to.is_dir());
        assert_eq!(fs::read_dir(here.path()).unwrap().count(), 1);
    }
}
