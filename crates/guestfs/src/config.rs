//! Settings of the library and of the appliance; most work before the launch only.

use refit_guestfs_sys as sys;

use crate::call::string_calls;
use crate::error::Result;
use crate::handle::Handle;

string_calls! {
    /// Chooses how the appliance is run: `direct`, `libvirt`, `libvirt:URI`.
    ///
    /// # Errors
    ///
    /// [`Error::Call`](crate::Error::Call) for an unknown one, or after launch.
    set_backend(backend) -> unit = guestfs_set_backend;

    /// How the appliance is run.
    get_backend() -> text = guestfs_get_backend;

    /// Sets `name=value` for the backend, for example `force_tcg` to `1`.
    set_backend_setting(name, value) -> unit = guestfs_set_backend_setting;

    /// The directories with the appliance, separated by colons.
    set_path(path) -> unit = guestfs_set_path;

    /// The directory for temporary files, in place of `TMPDIR` or `/tmp`.
    ///
    /// # Errors
    ///
    /// [`Error::Call`](crate::Error::Call) if it does not exist.
    set_tmpdir(directory) -> unit = guestfs_set_tmpdir;

    /// The directory for temporary files.
    get_tmpdir() -> bytes = guestfs_get_tmpdir;

    /// The directory of the cached appliance, in place of `TMPDIR` or
    /// `/var/tmp`. It takes some hundred MiB.
    ///
    /// # Errors
    ///
    /// [`Error::Call`](crate::Error::Call) if it does not exist.
    set_cachedir(directory) -> unit = guestfs_set_cachedir;

    /// The directory of the cached appliance.
    get_cachedir() -> bytes = guestfs_get_cachedir;

    /// The directory for sockets, `XDG_RUNTIME_DIR` or `/tmp`.
    ///
    /// # Errors
    ///
    /// [`Error::Call`](crate::Error::Call) if it cannot be used.
    get_sockdir() -> bytes = guestfs_get_sockdir;

    /// Appends to the appliance's kernel command line.
    set_append(options) -> unit = guestfs_set_append;

    /// Puts a word before each trace message, to tell handles apart.
    ///
    /// # Errors
    ///
    /// [`Error::Call`](crate::Error::Call) unless it is of letters, digits,
    /// `-` and `_`.
    set_identifier(identifier) -> unit = guestfs_set_identifier;
}

impl Handle {
    /// The appliance's memory in MiB.
    ///
    /// # Errors
    ///
    /// [`Error::Call`](crate::Error::Call) if it is too small to work.
    pub fn set_memsize(&self, mib: u32) -> Result<()> {
        let call = self.call("set_memsize");
        let mib = call.number("memsize", mib)?;
        // SAFETY: one call on the handle.
        unsafe { call.unit(|g| sys::guestfs_set_memsize(g, mib)) }
    }

    /// The appliance's memory in MiB.
    pub fn get_memsize(&self) -> Result<u32> {
        // SAFETY: one call on the handle.
        unsafe {
            self.call("get_memsize")
                .integer("size", |g| sys::guestfs_get_memsize(g))
        }
    }

    /// The number of the appliance's processors.
    ///
    /// # Errors
    ///
    /// [`Error::Call`](crate::Error::Call) for 0, or too many for qemu.
    pub fn set_smp(&self, processors: u32) -> Result<()> {
        let call = self.call("set_smp");
        let processors = call.number("smp", processors)?;
        // SAFETY: one call on the handle.
        unsafe { call.unit(|g| sys::guestfs_set_smp(g, processors)) }
    }

    /// The number of the appliance's processors.
    pub fn get_smp(&self) -> Result<u32> {
        // SAFETY: one call on the handle.
        unsafe {
            self.call("get_smp")
                .integer("number", |g| sys::guestfs_get_smp(g))
        }
    }

    /// Whether the appliance has a network card, with qemu's user network.
    /// Off unless set.
    pub fn set_network(&self, on: bool) -> Result<()> {
        // SAFETY: one call on the handle.
        unsafe {
            self.call("set_network")
                .unit(|g| sys::guestfs_set_network(g, on.into()))
        }
    }

    /// Whether calls are reported as [`Event::Trace`](crate::Event::Trace), or
    /// on standard error if no callback wants them. Traces have file contents,
    /// cut short.
    pub fn set_trace(&self, on: bool) -> Result<()> {
        // SAFETY: one call on the handle.
        unsafe {
            self.call("set_trace")
                .unit(|g| sys::guestfs_set_trace(g, on.into()))
        }
    }

    /// Whether the library and the appliance report what they do, as
    /// [`Event::Library`](crate::Event::Library) and
    /// [`Event::Appliance`](crate::Event::Appliance).
    pub fn set_verbose(&self, on: bool) -> Result<()> {
        // SAFETY: one call on the handle.
        unsafe {
            self.call("set_verbose")
                .unit(|g| sys::guestfs_set_verbose(g, on.into()))
        }
    }

    /// Whether qemu gets a process group of its own. Without one, Ctrl-C in a
    /// terminal ends it at once, and what it has not written is lost; set it,
    /// and end the work by a [`CancelHandle`](crate::CancelHandle).
    pub fn set_pgroup(&self, on: bool) -> Result<()> {
        // SAFETY: one call on the handle.
        unsafe {
            self.call("set_pgroup")
                .unit(|g| sys::guestfs_set_pgroup(g, on.into()))
        }
    }

    /// The directories with the appliance, separated by colons.
    pub fn get_path(&self) -> Result<Vec<u8>> {
        // SAFETY: the string is the handle's own, and copied while nothing
        // else uses the handle.
        unsafe { self.call("get_path").borrowed(|g| sys::guestfs_get_path(g)) }
    }

    /// Whether the appliance has all of these groups of features
    /// (guestfs(3), AVAILABILITY), for example `hivex` or `selinuxrelabel`.
    /// Needs the launch.
    ///
    /// # Errors
    ///
    /// [`Error::Call`](crate::Error::Call) for an unknown group.
    pub fn feature_available(&self, groups: &[&str]) -> Result<bool> {
        let call = self.call("feature_available");
        let groups = call.strings("groups", groups)?;
        // SAFETY: one call; the list lives until the end of this method.
        unsafe { call.flag(|g| sys::guestfs_feature_available(g, groups.as_ptr())) }
    }

    /// Like [`feature_available`](Self::feature_available), with an error that
    /// names what is missing.
    ///
    /// # Errors
    ///
    /// [`Error::Call`](crate::Error::Call): a group is unknown or not there.
    pub fn available(&self, groups: &[&str]) -> Result<()> {
        let call = self.call("available");
        let groups = call.strings("groups", groups)?;
        // SAFETY: one call; the list lives until the end of this method.
        unsafe { call.unit(|g| sys::guestfs_available(g, groups.as_ptr())) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Error;

    #[test]
    fn settings_are_kept() {
        let handle = Handle::new().unwrap();
        handle.set_memsize(777).unwrap();
        assert_eq!(handle.get_memsize().unwrap(), 777);
        handle.set_smp(2).unwrap();
        assert_eq!(handle.get_smp().unwrap(), 2);
        handle.set_backend("direct").unwrap();
        assert_eq!(handle.get_backend().unwrap(), "direct");
        handle.set_backend_setting("force_tcg", "1").unwrap();
        handle.set_path(b"/some/\xff/where").unwrap();
        assert_eq!(handle.get_path().unwrap(), b"/some/\xff/where");
        handle.set_identifier("refit").unwrap();
        handle.set_append("quiet").unwrap();
        handle.set_network(false).unwrap();
        handle.set_pgroup(true).unwrap();
        handle.set_tmpdir("/tmp").unwrap();
        assert_eq!(handle.get_tmpdir().unwrap(), b"/tmp");
        handle.set_cachedir("/var/tmp").unwrap();
        assert_eq!(handle.get_cachedir().unwrap(), b"/var/tmp");
        assert!(handle.get_sockdir().unwrap().starts_with(b"/"));
    }

    #[test]
    fn wrong_settings_are_typed_errors() {
        let handle = Handle::new().unwrap();
        for (result, call) in [
            (handle.set_backend("nonsense"), "set_backend"),
            (handle.set_memsize(1), "set_memsize"),
            (handle.set_smp(0), "set_smp"),
            (handle.sync(), "sync"),
        ] {
            let error = result.unwrap_err();
            assert!(matches!(error, Error::Call { .. }), "{error:?}");
            assert_eq!(error.call(), Some(call), "{error}");
        }
        let error = handle.set_memsize(u32::MAX).unwrap_err();
        assert!(
            matches!(
                error,
                Error::OutOfRange {
                    argument: "memsize",
                    ..
                }
            ),
            "{error:?}"
        );
        let error = handle.set_path(b"/a\0b").unwrap_err();
        assert!(
            matches!(
                error,
                Error::InteriorNul {
                    argument: "path",
                    ..
                }
            ),
            "{error:?}"
        );
    }
}
