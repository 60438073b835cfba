//! A Windows of our own: Wine with an empty prefix.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, ensure};
use rustix::process::Pid;
use tempfile::TempDir;

use crate::{must, root};

/// Debian's place: `wine64` on its own is not in `PATH`.
const WINE: &str = "/usr/lib/wine/wine64";
const WINESERVER: &str = "/usr/lib/wine/wineserver64";
/// The same in the 32-bit tree.
const WINE_32: &str = "/usr/lib/wine/wine";
const WINESERVER_32: &str = "/usr/lib/wine/wineserver32";
/// Enters the tree, in a mount namespace of this process: tree, prefix, program, its arguments.
const ENTER: &str = "root=$1; mount --bind /proc \"$root/proc\" && mount --rbind /dev \"$root/dev\" \
    && mount --bind \"$2\" \"$root/prefix\" && shift 2 && exec chroot \"$root\" \"$@\"";

/// A prefix: registry and drive C. Everything in it ends when it is dropped.
#[derive(Debug)]
pub struct Wine {
    dir: TempDir,
    /// The tree with 32-bit Wine, if it is this one.
    tree: Option<PathBuf>,
}

impl Wine {
    /// A fresh prefix: its files are links to those of one that is made once and kept below `target`.
    ///
    /// # Errors
    /// Wine is not installed (`cargo xtask setup`) or does not start.
    pub fn new() -> anyhow::Result<Self> {
        Self::with_template("wine-prefix", None)
    }

    /// The same of a 32-bit Windows.
    ///
    /// # Errors
    /// `cargo xtask firstboot --check` has not fetched 32-bit Wine, or it does not start.
    pub fn new_32() -> anyhow::Result<Self> {
        let tree = root().join("target/wine-32/root");
        ensure!(
            tree.exists(),
            "{} is missing: run `cargo xtask firstboot --check`",
            tree.display()
        );
        Self::with_template("wine-prefix-32", Some(tree.canonicalize()?))
    }

    /// What it is, as in the names of our programs.
    #[must_use]
    pub fn arch(&self) -> &'static str {
        if self.tree.is_some() {
            "i686"
        } else {
            "x86_64"
        }
    }

    fn with_template(name: &str, tree: Option<PathBuf>) -> anyhow::Result<Self> {
        let tmp = root().join("target/tmp");
        std::fs::create_dir_all(&tmp)?;
        let template = tmp.join(name);
        if !template.exists() {
            let new = Self {
                dir: tempfile::tempdir_in(&tmp)?,
                tree: tree.clone(),
            };
            must(&mut new.run(&["wineboot", "--init"]))?;
            new.power_off()?;
            // Another test may have been faster.
            let _ = std::fs::rename(new.dir.path(), &template);
        }
        let dir = tempfile::tempdir_in(&tmp)?;
        let copy = |how: &str, from: &std::path::Path| {
            must(
                Command::new("cp")
                    .args(["--archive", how])
                    .arg(from)
                    .arg(dir.path()),
            )
        };
        copy("--link", &template.join("."))?;
        // Wine writes the registry's files in place.
        for name in ["system.reg", "user.reg", "userdef.reg"] {
            copy("--remove-destination", &template.join(name))?;
        }
        Ok(Self { dir, tree })
    }

    /// One of Wine's programs, on this prefix.
    fn with_prefix(&self, program: &str) -> Command {
        let mut command = match &self.tree {
            None => {
                let mut command = Command::new(program);
                command.env("WINEPREFIX", self.dir.path());
                command
            }
            Some(tree) => {
                let mut command = Command::new("unshare");
                command.arg("--mount");
                if !is_root() {
                    command.arg("--map-root-user");
                }
                command
                    .args(["sh", "-c", ENTER, "sh"])
                    .args([tree, self.dir.path()])
                    .arg(program)
                    .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
                    .env("HOME", "/tmp")
                    .env("WINESERVER", WINESERVER_32)
                    .env("WINEPREFIX", "/prefix");
                command
            }
        };
        command
            .env("WINEDEBUG", "-all")
            // It would ask to download them.
            .env("WINEDLLOVERRIDES", "mscoree,mshtml=")
            .env_remove("DISPLAY");
        command
    }

    fn server(&self) -> Command {
        self.with_prefix(match self.tree {
            None => WINESERVER,
            Some(_) => WINESERVER_32,
        })
    }

    /// A program with its arguments.
    #[must_use]
    pub fn run(&self, words: &[&str]) -> Command {
        let mut command = self.with_prefix(match self.tree {
            None => WINE,
            Some(_) => WINE_32,
        });
        command.args(words);
        command
    }

    /// All processes end at once, as if the power were lost.
    ///
    /// # Errors
    /// The server cannot be told.
    pub fn power_off(&self) -> anyhow::Result<()> {
        // Fails if nothing runs.
        self.server()
            .arg("-k")
            .output()
            .context("starting wineserver")?;
        must(self.server().arg("-w"))?;
        // The server knows nothing of one that was about to announce itself, and that waits for ever now.
        for process in self.processes("")? {
            // It may have ended.
            let _ = rustix::process::kill_process(process, rustix::process::Signal::KILL);
        }
        Ok(())
    }

    /// Whether a process of this prefix has `word` on its command line; of 32-bit ones nothing is known.
    ///
    /// # Errors
    /// The list of processes cannot be read.
    pub fn runs(&self, word: &str) -> anyhow::Result<bool> {
        Ok(!self.processes(word)?.is_empty())
    }

    /// The processes of this prefix with `word` on their command lines. Inside a tree of its own the prefix has another
    /// name, so that those are not found.
    fn processes(&self, word: &str) -> anyhow::Result<Vec<Pid>> {
        let prefix = format!("WINEPREFIX={}", self.dir.path().display());
        let mut processes = Vec::new();
        for process in std::fs::read_dir("/proc")? {
            let process = process?;
            // Those of others, or that have just ended, are not ours.
            let read = |name| std::fs::read(process.path().join(name)).unwrap_or_default();
            let is_ours = read("environ")
                .split(|byte| *byte == 0)
                .any(|variable| variable == prefix.as_bytes());
            let number = process.file_name().to_string_lossy().parse().ok();
            if is_ours && String::from_utf8_lossy(&read("cmdline")).contains(word) {
                processes.extend(number.and_then(Pid::from_raw));
            }
        }
        Ok(processes)
    }

    /// Starts the machine: services that start by themselves, files that are to go at the next start.
    ///
    /// # Errors
    /// Wine does not start.
    pub fn power_on(&self) -> anyhow::Result<()> {
        must(&mut self.run(&["wineboot"])).map(drop)
    }

    /// A path on drive C, such as `Program Files/refit`.
    #[must_use]
    pub fn c(&self, path: &str) -> PathBuf {
        self.dir.path().join("drive_c").join(path)
    }

    /// Merges text of `.reg` format, without its first line, into the registry.
    ///
    /// # Errors
    /// regedit refuses it.
    pub fn registry(&self, text: &str) -> anyhow::Result<()> {
        let path = self.c("import.reg");
        // In any other encoding than UTF-16 the bytes of strings are taken for ANSI.
        let text = format!("\u{feff}Windows Registry Editor Version 5.00\r\n\r\n{text}\r\n");
        let bytes: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        std::fs::write(&path, bytes)?;
        must(&mut self.run(&["regedit", "/S", "C:\\import.reg"]))?;
        Ok(std::fs::remove_file(path)?)
    }

    /// What the registry has in a key, with all below; `None` if it is missing.
    ///
    /// # Errors
    /// Wine does not start.
    pub fn query(&self, key: &str) -> anyhow::Result<Option<String>> {
        let output = self.run(&["reg", "query", key, "/s"]).output()?;
        let text = String::from_utf8_lossy(&output.stdout).replace("\r\n", "\n");
        Ok(output.status.success().then_some(text))
    }

    /// Whether the service control manager knows `service`.
    pub fn has_service(&self, service: &str) -> anyhow::Result<bool> {
        let key = format!("HKLM\\SYSTEM\\CurrentControlSet\\Services\\{service}");
        Ok(self.query(&key)?.is_some())
    }
}

/// Whether this process may mount and change its root.
fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt as _;
    std::fs::metadata("/proc/self").is_ok_and(|meta| meta.uid() == 0)
}

impl Drop for Wine {
    fn drop(&mut self) {
        // A test that fails has more to say than this.
        let _ = self.power_off();
    }
}
