//! The first-boot service of Windows guests, installed in Wine as a fixup leaves it in a guest.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::io::{Read as _, Seek as _};
use std::path::PathBuf;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::ensure;

use crate::{Wine, root};

/// Longest wait for something that takes a second.
const LIMIT: Duration = Duration::from_secs(120);
/// Longest run of the program at one boot.
const BOOT: Duration = Duration::from_secs(600);

/// The folder above `tasks` with the program in it.
#[derive(Debug)]
pub struct FirstBoot<'w> {
    wine: &'w Wine,
    /// Where it is on this host.
    pub path: PathBuf,
}

impl<'w> FirstBoot<'w> {
    /// Its name in its folder.
    pub const PROGRAM: &'static str = "refit-firstboot.exe";
    /// The folder's name in Windows.
    pub const FOLDER: &'static str = "C:\\Program Files\\refit\\firstboot";
    /// What Unix sees of 3010, the exit code that asks for a restart.
    pub const RESTART: i32 = 3010 & 0xff;

    /// Copies the program to where the fixup puts it.
    pub fn new(wine: &'w Wine) -> Self {
        let path = wine.c("Program Files/refit/firstboot");
        fs::create_dir_all(path.join("tasks")).unwrap();
        fs::create_dir_all(path.join("files")).unwrap();
        fs::copy(firstboot(wine.arch()).unwrap(), path.join(Self::PROGRAM)).unwrap();
        Self { wine, path }
    }

    /// A task's file.
    pub fn task(&self, name: &str, lines: &str) {
        let text = format!("refit-task 1\n{lines}\n");
        fs::write(self.path.join("tasks").join(name), text).unwrap();
    }

    /// A file for tasks, with the ends of lines that Windows wants.
    pub fn script(&self, name: &str, lines: &str) {
        fs::write(
            self.path.join("files").join(name),
            lines.replace('\n', "\r\n"),
        )
        .unwrap();
    }

    /// A task that runs a script of these lines.
    pub fn scripted(&self, task: &str, keys: &str, lines: &str) {
        let script = format!("{task}.cmd");
        self.script(&script, &format!("@echo off\n{lines}\n"));
        self.task(
            &format!("{task}.task"),
            &format!("kind script\ninterpreter cmd\nscript %Refit%\\files\\{script}\n{keys}"),
        );
    }

    /// One boot in the console; its exit code, of which Unix sees the lowest byte.
    pub fn boot(&self) -> i32 {
        let program = format!("{}\\{}", Self::FOLDER, Self::PROGRAM);
        let words = [
            &program,
            "run",
            Self::FOLDER,
            "--pause",
            "0",
            "--settle",
            "1",
            "--peer",
            "1",
        ];
        // Not a pipe: what outlives the program would keep it open, and this would wait for that.
        let said = tempfile::tempfile().unwrap();
        let mut program = self
            .wine
            .run(&words)
            .stdout(said.try_clone().unwrap())
            .stderr(said.try_clone().unwrap())
            .spawn()
            .unwrap();
        let start = Instant::now();
        let status = loop {
            if let Some(status) = program.try_wait().unwrap() {
                break status;
            }
            if start.elapsed() > BOOT {
                program.kill().unwrap();
            }
            sleep(Duration::from_millis(50));
        };
        let mut text = Vec::new();
        (&said).rewind().unwrap();
        (&said).read_to_end(&mut text).unwrap();
        // Shown if the test fails.
        println!("{}", String::from_utf8_lossy(&text));
        status.code().unwrap()
    }

    /// Registers the service, as the fixup does.
    pub fn register(&self) {
        self.wine.registry(concat!(
            "[HKEY_LOCAL_MACHINE\\SYSTEM\\CurrentControlSet\\Services\\refit-firstboot]\n",
            "\"Type\"=dword:00000010\n\"Start\"=dword:00000002\n\"ErrorControl\"=dword:00000001\n",
            "\"ImagePath\"=\"\\\"C:\\\\Program Files\\\\refit\\\\firstboot\\\\refit-firstboot.exe\\\" service\"\n",
            "\"DisplayName\"=\"refit first-boot service\"\n\"ObjectName\"=\"LocalSystem\"\n",
        ))
        .unwrap();
    }

    /// A file of the folder; nothing, if it is not there.
    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path.join(name)).unwrap_or_default()
    }

    /// Each task's result, without its message.
    pub fn results(&self) -> Vec<String> {
        let result = self.read("complete");
        let words = |line: &str| line.split(' ').take(2).collect::<Vec<_>>().join(" ");
        result.lines().map(words).collect()
    }

    /// What is in it, without the program: Wine removes that whenever it starts anew.
    pub fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.path).unwrap();
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name != Self::PROGRAM)
            .collect();
        names.sort();
        names
    }
}

/// Until `there`, or a panic that says `what` did not happen.
pub fn wait_for(what: &str, mut there: impl FnMut() -> bool) {
    let start = Instant::now();
    while !there() {
        assert!(start.elapsed() < LIMIT, "{what}");
        sleep(Duration::from_millis(50));
    }
}

/// The first-boot service as `cargo xtask firstboot` builds it.
///
/// # Errors
/// It was not built.
pub fn firstboot(arch: &str) -> anyhow::Result<PathBuf> {
    let path = root().join(format!("target/firstboot/refit-firstboot-{arch}.exe"));
    ensure!(
        path.exists(),
        "{} is missing: run `cargo xtask firstboot`",
        path.display()
    );
    Ok(path)
}
