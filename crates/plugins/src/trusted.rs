//! Whether a program on the host may be run: nobody else may be able to change it.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// Checks `program` and every directory above it. As with sudo's files, each must belong to root or
/// to who runs refit, and be writable by its owner alone; a directory with the sticky bit, such as
/// /tmp, may be writable by others.
///
/// # Errors
/// What is wrong with which of them, and what to do.
pub(crate) fn check(program: &Path) -> Result<(), String> {
    let me = rustix::process::geteuid().as_raw();
    let real = fs::canonicalize(program).map_err(|error| format!("it cannot be found: {error}"))?;
    let metadata =
        fs::symlink_metadata(program).map_err(|error| format!("it cannot be read: {error}"))?;
    if !metadata.is_file() {
        return Err("it must be a regular file, no link and no directory".to_owned());
    }
    if metadata.mode() & 0o111 == 0 {
        return Err(format!(
            "it is not executable: `chmod +x {}`",
            program.display()
        ));
    }
    for path in real.ancestors() {
        let metadata = fs::symlink_metadata(path)
            .map_err(|error| format!("{} cannot be read: {error}", path.display()))?;
        if metadata.uid() != 0 && metadata.uid() != me {
            return Err(format!(
                "{} belongs to user {}: what refit runs on this host must belong to root or to \
                 you, with all directories above it (`chown`, or copy it to a place of your own)",
                path.display(),
                metadata.uid()
            ));
        }
        let sticky = metadata.is_dir() && metadata.mode() & 0o1000 != 0;
        if metadata.mode() & 0o022 != 0 && !sticky {
            return Err(format!(
                "others may write to {} (mode {:04o}): `chmod go-w {}`",
                path.display(),
                metadata.mode() & 0o7777,
                path.display()
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    #[test]
    fn what_others_may_write_is_not_run() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("fixup");
        fs::create_dir(&folder).unwrap();
        let program = folder.join("go");
        fs::write(&program, "#!/bin/sh\n").unwrap();
        let mode = |path: &Path, mode| {
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        };
        mode(&program, 0o644);
        assert!(check(&program).unwrap_err().contains("chmod +x"));
        mode(&program, 0o775);
        assert!(check(&program).unwrap_err().contains("chmod go-w"));
        mode(&program, 0o755);
        check(&program).unwrap();
        mode(&folder, 0o777);
        assert!(check(&program).unwrap_err().contains("(mode 0777)"));
        mode(&folder, 0o755);
        let link = folder.join("link");
        symlink(&program, &link).unwrap();
        assert!(check(&link).unwrap_err().contains("regular file"));
        assert!(check(&folder.join("gone")).is_err());
        if rustix::process::geteuid().is_root() {
            std::os::unix::fs::chown(&program, Some(12345), None).unwrap();
            assert!(check(&program).unwrap_err().contains("user 12345"));
        }
    }
}
