//! Finds libguestfs and tells the linker where it is.

/// The committed bindings describe this version, and the library only ever
/// adds to its interface, so any later one will do.
const OLDEST: &str = "1.48";

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    if let Err(err) = pkg_config::Config::new()
        .atleast_version(OLDEST)
        .probe("libguestfs")
    {
        eprintln!(
            "libguestfs {OLDEST} or later was not found by pkg-config.\n\
             Install its development files: `apt-get install libguestfs-dev` on Debian and Ubuntu,\n\
             `dnf install libguestfs-devel` on Fedora and RHEL. If it is in an unusual place,\n\
             set PKG_CONFIG_PATH to the directory that holds libguestfs.pc.\n\n{err}"
        );
        std::process::exit(1);
    }
}
