//! NTFS volumes: whether one may be written to, and what it says of itself.
//!
//! Asked to mount one that may not, ntfs-3g mounts it read-only and says so to nobody; what is written later
//! fails.

mod volume;

use refit_guestfs::Handle;

pub(super) use volume::Volume;

/// What the volume on `device` says of itself; `None` if it is no NTFS. It need not be mounted.
pub(super) fn volume(handle: &Handle, device: &str) -> Option<Volume> {
    volume::read(&mut |offset, length| {
        let count = u32::try_from(length).ok()?;
        handle.pread_device(device, count, offset).ok()
    })
}

/// Why the NTFS on `device` must not be written to, and what the user can do; `None` if it may. It is not mounted.
pub(super) fn unwritable(handle: &Handle, device: &[u8]) -> Option<String> {
    let name = std::str::from_utf8(device).ok()?;
    let code = match handle.ntfs_3g_probe(name, true) {
        Ok(code) => code,
        Err(error) => {
            tracing::debug!(%error, "asking ntfs-3g.probe");
            return None;
        }
    };
    explain(code).map(|reason| format!("{name}, its system volume, {reason}"))
}

/// What an exit code of ntfs-3g.probe(8) means, where writing is out of the question.
fn explain(code: u32) -> Option<&'static str> {
    match code {
        13 => Some(
            "is damaged (NTFS structures contradict each other). Start the guest where it ran, run \
             `chkdsk C: /f` there, restart it and shut it down",
        ),
        14 => Some(
            "holds a hibernated Windows (fast start-up does that, too). Start the guest where it ran \
             and shut it down fully: `powercfg /h off`, then `shutdown /s /t 0`",
        ),
        15 => Some(
            "was not unmounted cleanly. Start the guest where it ran and shut it down: \
             `shutdown /s /t 0`",
        ),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_written_to_has_no_explanation() {
        for code in [0, 11, 12, 16, 18, 21] {
            assert_eq!(explain(code), None, "{code}");
        }
        assert!(explain(13).unwrap().contains("chkdsk"));
        assert!(explain(14).unwrap().contains("powercfg /h off"));
        assert!(explain(15).unwrap().contains("shutdown"));
    }
}
