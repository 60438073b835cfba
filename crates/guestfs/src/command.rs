//! Running the guest's own programs.
//!
//! They run in the appliance, as root, below the guest's root directory. A
//! hostile guest can break out of that into the appliance (guestfs(3), RUNNING
//! COMMANDS), and programs for another architecture do not run, so editing
//! files is better wherever it does the same. Output is limited to 4 MiB, and
//! ends at the first NUL.

use refit_guestfs_sys as sys;

use crate::call::{set_option, string_calls};
use crate::error::Result;
use crate::handle::Handle;

string_calls! {
    /// Runs a command line by the guest's `/bin/sh`; gives its standard output.
    /// An exit status other than 0 is an error with standard error as message.
    sh(command) -> bytes = guestfs_sh;

    /// Like [`sh`](Handle::sh), with the output as lines.
    sh_lines(command) -> list = guestfs_sh_lines;
}

impl Handle {
    /// Runs a program, the first of the arguments; gives its standard output.
    /// An exit status other than 0 is an error with standard error as message.
    pub fn command<A: AsRef<[u8]>>(&self, arguments: &[A]) -> Result<Vec<u8>> {
        let call = self.call("command");
        let arguments = call.strings("arguments", arguments)?;
        // SAFETY: a function that returns a string; the list lives until the
        // end of this method.
        unsafe { call.bytes(|g| sys::guestfs_command(g, arguments.as_ptr())) }
    }

    /// Like [`command`](Self::command), with the output as lines.
    pub fn command_lines<A: AsRef<[u8]>>(&self, arguments: &[A]) -> Result<Vec<Vec<u8>>> {
        let call = self.call("command_lines");
        let arguments = call.strings("arguments", arguments)?;
        // SAFETY: a function that returns a list of strings; the argument lives
        // until the end of this method.
        unsafe { call.list(|g| sys::guestfs_command_lines(g, arguments.as_ptr())) }
    }

    /// Runs a shell command of the appliance itself, not of the guest, by `guestfs_debug`'s
    /// subcommand `sh`; gives what it writes to standard output and standard error. The guest's
    /// root is at `/sysroot` there. An exit status other than 0 is an error with that as message.
    ///
    /// libguestfs offers this for debugging and promises nothing about it: have a way to do
    /// without.
    pub fn appliance_sh(&self, command: impl AsRef<[u8]>) -> Result<Vec<u8>> {
        let call = self.call("debug");
        let arguments = call.strings("extraargs", [command.as_ref()])?;
        // SAFETY: a function that returns a string; both arguments live until
        // the end of this method.
        unsafe { call.bytes(|g| sys::guestfs_debug(g, c"sh".as_ptr(), arguments.as_ptr())) }
    }

    /// Sets the SELinux labels of a tree by a guest's file of contexts; with
    /// `force`, also those that an administrator may have chosen. Runs the
    /// appliance's setfiles, nothing of the guest.
    pub fn selinux_relabel(
        &self,
        specfile: impl AsRef<[u8]>,
        path: impl AsRef<[u8]>,
        force: bool,
    ) -> Result<()> {
        let call = self.call("selinux_relabel").on(&path);
        let specfile = call.string("specfile", specfile)?;
        let path = call.string("path", path)?;
        let mut args = sys::guestfs_selinux_relabel_argv::default();
        set_option!(
            args.force = Some(force.into()),
            GUESTFS_SELINUX_RELABEL_FORCE
        );
        // SAFETY: one call; the strings live until the end of this method.
        unsafe {
            call.unit(|g| {
                let (specfile, path) = (specfile.as_ptr(), path.as_ptr());
                sys::guestfs_selinux_relabel_argv(g, specfile, path, &raw const args)
            })
        }
    }
}
