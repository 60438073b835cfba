//! Variables that a program hands to itself, started anew, through a file in memory.
//!
//! The controller puts the source's password into the environment, where every process that runs as the same user can
//! read it in `/proc`, and all that is started inherits it. What is on standard input, nobody else sees.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read, Seek as _, Write as _};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};

use rustix::fs::{MemfdFlags, memfd_create};

/// What begins so comes from the controller, and may be a secret.
const PREFIX: &[u8] = b"V2V_";
/// Longer settings are none, in bytes.
const LIMIT: u64 = 4 << 20;

/// Names with their values.
pub type Variables = Vec<(OsString, OsString)>;

/// Whether a variable of this name comes from the controller.
pub(crate) fn is_controllers(name: &OsString) -> bool {
    name.as_bytes().starts_with(PREFIX)
}

/// A file in memory that holds `variables`, to be read from its beginning.
///
/// # Errors
/// If there is no memory for it.
pub(crate) fn keep(variables: &Variables) -> io::Result<File> {
    let mut memory = File::from(memfd_create("environment", MemfdFlags::CLOEXEC)?);
    memory.write_all(&encoded(variables))?;
    memory.rewind()?;
    Ok(memory)
}

/// What [`keep`] has written.
///
/// # Errors
/// If it cannot be read.
pub(crate) fn received(memory: impl Read) -> io::Result<Variables> {
    let mut bytes = Vec::new();
    memory.take(LIMIT).read_to_end(&mut bytes)?;
    Ok(decoded(&bytes))
}

/// As in `/proc/PID/environ` (proc_pid_environ(5)).
fn encoded(variables: &Variables) -> Vec<u8> {
    let pair = |(name, value): &(OsString, OsString)| {
        [name.as_bytes(), b"=", value.as_bytes(), b"\0"].concat()
    };
    variables.iter().flat_map(pair).collect()
}

fn decoded(bytes: &[u8]) -> Variables {
    let pairs = bytes.split(|&byte| byte == 0).filter_map(|pair| {
        let at = pair.iter().position(|&byte| byte == b'=')?;
        let of = |bytes: &[u8]| OsString::from_vec(bytes.to_vec());
        Some((of(&pair[..at]), of(&pair[at + 1..])))
    });
    pairs.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_received() {
        let given: Variables = [("V2V_vmName", "a=b\nc"), ("V2V_RootDisk", "")]
            .map(|(name, value)| (name.into(), value.into()))
            .into();
        assert_eq!(received(keep(&given).unwrap()).unwrap(), given);
        assert!(is_controllers(&given[0].0));
        assert!(!is_controllers(&"LOCAL_MIGRATION".into()));
    }
}
