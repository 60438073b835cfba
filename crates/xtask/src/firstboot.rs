//! Building the first-boot service of Windows guests.

mod imports;
mod wine32;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};

use crate::process::{cargo, root, run};
use crate::setup;

/// Debian's compiler: it knows Windows.
const RUSTC: &str = "/usr/bin/rustc";
/// The architectures, as Rust and refit call them.
pub const ARCHITECTURES: [&str; 2] = ["x86_64", "i686"];

/// `cargo xtask firstboot`: builds the program for both architectures.
pub fn build() -> anyhow::Result<()> {
    setup::firstboot_if_needed()?;
    let out = root().join("target/firstboot");
    for path in build_into(&out)? {
        println!("{}", path.canonicalize().unwrap_or(path).display());
    }
    Ok(())
}

/// Builds the programs, `refit-firstboot-ARCH.exe`, into a directory. They depend on the sources and
/// the compiler's packages only.
fn build_into(out: &Path) -> anyhow::Result<Vec<PathBuf>> {
    fs::create_dir_all(out).with_context(|| format!("making {}", out.display()))?;
    let source = root().join("windows/firstboot").canonicalize()?;
    let mut built = Vec::new();
    for arch in ARCHITECTURES {
        // A program that is there is whole, whoever reads it meanwhile.
        let staged = tempfile::tempdir_in(out)?;
        let name = format!("refit-firstboot-{arch}.exe");
        let mut rustc = Command::new(RUSTC);
        if arch == "i686" {
            rustc.arg("--sysroot").arg(setup::windows_std_32()?);
        }
        run(rustc
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("LC_ALL", "C.UTF-8")
            // The archiver and linker put no time into what they write.
            .env("SOURCE_DATE_EPOCH", "0")
            .current_dir(&source)
            .args(["--edition", "2021", "--crate-name", "refit_firstboot"])
            .args(["--target", &format!("{arch}-pc-windows-gnu")])
            .args([
                "-C",
                "opt-level=s",
                "-C",
                "panic=abort",
                "-C",
                "strip=symbols",
            ])
            // One unit: the order in which several end would show.
            .args(["-C", "codegen-units=1"])
            // Of the standard library only what is used, so that nothing else is asked of Windows.
            .args(["-C", "lto=fat"])
            .args(["-C", &format!("linker={arch}-w64-mingw32-gcc")])
            .args([
                "-C",
                "link-arg=-Wl,--no-insert-timestamp",
                "-C",
                "link-arg=-static",
            ])
            .args(versions(arch))
            .args(["--deny", "warnings"])
            .arg(format!(
                "--remap-path-prefix={}=/refit/firstboot",
                source.display()
            ))
            .arg("-o")
            .arg(staged.path().join(&name))
            .arg("src/main.rs"))?;
        imports::check(arch, &staged.path().join(&name))?;
        let path = out.join(&name);
        fs::rename(staged.path().join(&name), &path)
            .with_context(|| format!("writing {}", path.display()))?;
        built.push(path);
    }
    Ok(built)
}

/// Linker's arguments for the oldest Windows in the headers: a program that asks for a newer one is not started.
fn versions(arch: &str) -> Vec<String> {
    let (major, minor) = imports::oldest(arch);
    ["os", "subsystem"]
        .iter()
        .flat_map(|what| {
            [
                format!("-Clink-arg=-Wl,--major-{what}-version={major}"),
                format!("-Clink-arg=-Wl,--minor-{what}-version={minor}"),
            ]
        })
        .collect()
}

/// The tests of its pure part, its lints, and that two builds in two places give the same bytes.
pub fn test() -> anyhow::Result<()> {
    let manifest = root().join("windows/firstboot/Cargo.toml");
    let target = root().join("target/firstboot/native");
    let tool = |task: &str| {
        let mut command = cargo();
        command
            .args([task, "--quiet", "--manifest-path"])
            .arg(&manifest)
            .arg("--target-dir")
            .arg(&target);
        command
    };
    run(cargo()
        .arg("fmt")
        .arg("--check")
        .arg("--manifest-path")
        .arg(&manifest))?;
    run(tool("clippy").args(["--all-targets", "--", "--deny", "warnings"]))?;
    run(&mut tool("test"))
}

/// Builds twice, in two places, and compares.
pub fn test_build() -> anyhow::Result<()> {
    wine32::fetch()?;
    build()?;
    let second = tempfile::tempdir()?;
    let first = root().join("target/firstboot");
    for path in build_into(second.path())? {
        let name = path.file_name().context("a program without a name")?;
        ensure!(
            fs::read(&path)? == fs::read(first.join(name))?,
            "two builds of {} differ",
            name.display()
        );
    }
    Ok(())
}
