//! The appliance on a processor that qemu emulates, where there is no KVM that works.

use crate::error::Result;
use crate::handle::Handle;

/// The environment variable with options for the appliance's kernel (guestfs(3), `LIBGUESTFS_APPEND`).
pub const APPEND: &str = "LIBGUESTFS_APPEND";

/// What the kernel does without where each of its instructions is translated (kernel-parameters.txt of Linux;
/// unknown ones are ignored). Nothing here lowers a wall that stands: a program of the guest may run in the appliance as
/// root anyway (guestfs(3), `guestfs_command`), translated code does not speculate, and the appliance is thrown away.
const FASTER: &[&str] = &[
    // Page tables of five levels, which qemu walks in software.
    "no5lvl",
    // Checks at access to memory.
    "nopku",
    "hardened_usercopy=off",
    "init_on_alloc=0",
    // Work at each system call and each switch.
    "mitigations=off",
    "randomize_kstack_offset=off",
    "lsm=yama",
    "psi=0",
    // Mounting and unmounting wait for all processors.
    "rcupdate.rcu_expedited=1",
    // String instructions, fast on a real processor, are loops over bytes in an emulated one. Names are understood since
    // Linux 5.18, also with the empty ones between them that libguestfs makes of commas.
    "clearcpuid=erms,fsrm,rep_good",
];

/// Options for the kernel of an emulated appliance; those that are `present`, in [`APPEND`], come last and so win.
pub fn kernel_options(present: &str) -> String {
    let words = FASTER.iter().copied().chain(present.split_whitespace());
    words.collect::<Vec<_>>().join(" ")
}

impl Handle {
    /// Has qemu emulate the appliance's processor, also where KVM is there, and gives its kernel the options for that.
    pub fn emulate(&self) -> Result<()> {
        self.set_backend_setting("force_tcg", "1")?;
        let present = std::env::var_os(APPEND).unwrap_or_default();
        self.set_append(kernel_options(&present.to_string_lossy()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_of_the_user_come_last() {
        let options = kernel_options(" mitigations=auto  xfs_repair_ignore=1");
        assert!(options.starts_with("no5lvl "), "{options}");
        assert!(
            options.ends_with(" mitigations=auto xfs_repair_ignore=1"),
            "{options}"
        );
    }
}
