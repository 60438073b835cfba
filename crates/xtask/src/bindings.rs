//! `cargo xtask bindings`: regenerates the committed libguestfs bindings, or
//! with `--check` says whether they are what the installed header gives.
//!
//! bindgen is behind the cargo feature `bindings`, so that ordinary builds of
//! this crate do not compile it; without the feature, the task runs itself
//! again with it.

/// Regenerates `crates/guestfs-sys/src/bindings_1_48.rs` from the installed
/// `guestfs.h` and the crate's `allowlist.txt`. With `check` nothing is
/// written, and a difference from the committed file is an error.
///
/// # Errors
///
/// libclang, the header, or a listed symbol is missing; the file cannot be
/// read or written; with `check`, the committed file is out of date.
pub fn run(check: bool) -> anyhow::Result<()> {
    imp::run(check)
}

#[cfg(not(feature = "bindings"))]
mod imp {
    use std::process::Command;

    use anyhow::{Context as _, ensure};

    pub fn run(check: bool) -> anyhow::Result<()> {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let status = Command::new(cargo)
            .args(["run", "--quiet", "--manifest-path"])
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"))
            .args(["--features", "bindings", "--", "bindings"])
            .args(check.then_some("--check"))
            .status()
            .context("running cargo for the task with bindgen")?;
        ensure!(status.success(), "the task with bindgen failed ({status})");
        Ok(())
    }
}

#[cfg(feature = "bindings")]
mod imp {
    use std::fs;
    use std::path::Path;
    use std::process::Command;

    use anyhow::{Context as _, bail, ensure};

    const HEADING: &str = "\
// Generated from guestfs.h 1.48 and allowlist.txt by `cargo xtask bindings`.
// Do not edit.";

    pub fn run(check: bool) -> anyhow::Result<()> {
        require_version()?;
        let crate_dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../guestfs-sys");
        let committed = crate_dir.join("src/bindings_1_48.rs");
        let generated = generate(&crate_dir)?;
        if !check {
            return fs::write(&committed, generated)
                .with_context(|| format!("writing {}", committed.display()));
        }
        let old = fs::read_to_string(&committed)
            .with_context(|| format!("reading {}", committed.display()))?;
        if let Some((number, (old, new))) = first_difference(&old, &generated) {
            bail!(
                "{} is out of date: line {number} is `{old}`, but guestfs.h gives `{new}`. \
                 Run `cargo xtask bindings`",
                committed.display()
            );
        }
        Ok(())
    }

    /// A later header may append fields to the structures of optional
    /// arguments, so only 1.48 gives the bindings of 1.48.
    fn require_version() -> anyhow::Result<()> {
        let output = Command::new("pkg-config")
            .args(["--modversion", "libguestfs"])
            .output()
            .context("running pkg-config for the version of libguestfs")?;
        let version = String::from_utf8_lossy(&output.stdout);
        ensure!(
            version.starts_with("1.48."),
            "the bindings are those of libguestfs 1.48, but `{}` is installed; \
             use a machine with Debian 12's libguestfs-dev",
            version.trim()
        );
        Ok(())
    }

    fn generate(crate_dir: &Path) -> anyhow::Result<String> {
        let list = crate_dir.join("allowlist.txt");
        let text =
            fs::read_to_string(&list).with_context(|| format!("reading {}", list.display()))?;
        let symbols: Vec<&str> = text
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
            .collect();

        let mut builder = bindgen::builder()
            .header(crate_dir.join("wrapper.h").display().to_string())
            .rust_edition(bindgen::RustEdition::Edition2024)
            .rust_target(bindgen::RustTarget::stable(85, 0).map_err(anyhow::Error::msg)?)
            .disable_header_comment()
            .raw_line(HEADING)
            .generate_comments(false)
            .merge_extern_blocks(true)
            .derive_default(true)
            .use_core();
        for symbol in &symbols {
            builder = if symbol.starts_with("GUESTFS_") {
                builder.allowlist_var(symbol)
            } else {
                builder.allowlist_function(symbol)
            };
        }
        let generated = builder
            .generate()
            .context("running bindgen on guestfs.h (needs libclang-dev and libguestfs-dev)")?
            .to_string();

        // bindgen says nothing of a name that the header does not have.
        for symbol in symbols {
            ensure!(
                generated.contains(&format!(" {symbol}:"))
                    || generated.contains(&format!(" {symbol}(")),
                "{symbol} is listed in {} but is not in guestfs.h",
                list.display()
            );
        }
        Ok(generated)
    }

    /// The first line (from 1) where the texts differ, with both its forms.
    fn first_difference<'a>(old: &'a str, new: &'a str) -> Option<(usize, (&'a str, &'a str))> {
        let longest = old.lines().count().max(new.lines().count());
        let lines = |text: &'a str| text.lines().chain(std::iter::repeat(""));
        (1..=longest)
            .zip(lines(old).zip(lines(new)))
            .find(|(_, (old, new))| old != new)
    }

    #[cfg(test)]
    mod tests {
        use super::first_difference;

        #[test]
        fn differences_are_found_by_line() {
            for (old, new, expected) in [
                ("a\nb\n", "a\nb\n", None),
                ("a\nb\n", "a\nc\n", Some((2, ("b", "c")))),
                ("a\n", "a\nb\n", Some((2, ("", "b")))),
                ("a\nb\n", "a\n", Some((2, ("b", "")))),
            ] {
                assert_eq!(first_difference(old, new), expected, "{old:?} {new:?}");
            }
        }
    }
}
