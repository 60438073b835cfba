//! Wine for 32-bit programs, for the tests.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::Context as _;

use crate::process::{root, run};
use crate::setup;

/// What marks a library as Wine's own, and where (Wine's `include/wine/...`, in the space of the DOS stub).
const MARK: &[u8; 16] = b"Wine builtin DLL";
const MARK_AT: usize = 64;

/// Has Debian's 32-bit Wine in a tree of its own, `target/wine-32/root` (0.7 GB), without making i386 an architecture of
/// this machine. Tests enter it with chroot.
///
/// # Errors
/// No mirror is configured or reachable; mmdebstrap is not installed.
pub fn fetch() -> anyhow::Result<()> {
    let target = root().join("target/wine-32");
    if target.join("root").exists() {
        return Ok(());
    }
    fs::create_dir_all(&target).with_context(|| format!("making {}", target.display()))?;
    let staged = target.join("staged");
    if staged.exists() {
        fs::remove_dir_all(&staged).with_context(|| format!("removing {}", staged.display()))?;
    }
    println!("Fetching wine32 of i386 into {}", target.display());
    let uri = setup::mirror("Debian", "bookworm")?
        .context("no Debian 12 mirror is configured for apt")?;
    run(Command::new("mmdebstrap")
        .args(["--quiet", "--architectures=i386", "--variant=extract"])
        .args(["--include=wine32,libwine", "bookworm"])
        .arg(&staged)
        .arg(&uri))?;
    for name in ["proc", "dev", "tmp", "prefix"] {
        let dir = staged.join(name);
        fs::create_dir_all(&dir).with_context(|| format!("making {}", dir.display()))?;
    }
    zlib(&staged)?;
    fs::rename(&staged, target.join("root")).context("moving the tree to its place")
}

/// What the package's own script does when it is configured: zlib becomes one of Wine's libraries.
fn zlib(tree: &Path) -> anyhow::Result<()> {
    let from = tree.join("usr/i686-w64-mingw32/lib/zlib1.dll");
    let mut library = fs::read(&from).with_context(|| format!("reading {}", from.display()))?;
    library
        .get_mut(MARK_AT..MARK_AT + 2 * MARK.len())
        .context("zlib1.dll is too short")?
        .fill(0);
    library[MARK_AT..MARK_AT + MARK.len()].copy_from_slice(MARK);
    let to = tree.join("usr/lib/i386-linux-gnu/wine/i386-windows/zlib1.dll");
    fs::write(&to, library).with_context(|| format!("writing {}", to.display()))
}
