//! What a task can do.

use super::fields::{Fields, number};
use super::network::Network;
use super::registry::{self, Edit};
use crate::mac::Mac;

/// What a task does, with everything that it needs to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// Waits for Plug and Play, and for interfaces.
    WaitPnp {
        /// Interfaces that must be there.
        macs: Vec<Mac>,
    },
    /// Installs driver packages.
    Driver(Driver),
    /// Removes devices that are not present.
    RemoveDevices {
        /// Beginnings of hardware ids and instance ids, in capital letters.
        ids: Vec<String>,
    },
    /// Settings of an interface.
    Network(Box<Network>),
    /// Disks and drive letters.
    OnlineDisks(OnlineDisks),
    /// Runs a program.
    Run(Program),
    /// Runs a script.
    Script(Script),
    /// Edits the registry.
    Registry(Vec<Edit>),
    /// Removes files and folders.
    RemoveFiles {
        /// What to remove.
        paths: Vec<String>,
    },
}

/// Driver packages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Driver {
    /// INF files.
    pub infs: Vec<String>,
    /// Folders of which every INF file is meant.
    pub dirs: Vec<String>,
}

/// What happens to disks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OnlineDisks {
    /// Drive letters that volumes must have.
    pub letters: Vec<Letter>,
    /// `SanPolicy` of the partition manager.
    pub san_policy: Option<u32>,
}

/// A volume's drive letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    /// `A` to `Z`
    pub letter: char,
    /// Which volume.
    pub partition: Partition,
}

/// How a partition is told from others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Partition {
    /// By its unique GUID, with its bytes as they are on the disk.
    Gpt([u8; 16]),
    /// By its disk's signature and its offset in bytes.
    Mbr(u32, u64),
}

/// A program to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// The executable, or the script.
    pub path: String,
    /// Arguments, each as the program shall see it.
    pub args: Vec<String>,
    /// Where to run it.
    pub directory: Option<String>,
    /// Exit codes that mean success.
    pub success: Vec<i32>,
    /// Exit codes that mean success after a restart.
    pub reboot: Vec<i32>,
}

/// A script to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Script {
    /// Who runs it.
    pub interpreter: Interpreter,
    /// The script itself.
    pub program: Program,
}

/// Who runs a script.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interpreter {
    /// `cmd.exe`
    Cmd,
    /// Windows PowerShell
    PowerShell,
}

impl Kind {
    pub(super) fn parse(name: &str, fields: &mut Fields) -> Result<Self, String> {
        Ok(match name {
            "wait-pnp" => Self::WaitPnp {
                macs: fields.parsed("mac")?,
            },
            "driver" => Self::Driver(driver(fields)?),
            "remove-devices" => Self::RemoveDevices {
                ids: hardware_ids(fields)?,
            },
            "network" => Self::Network(Box::new(Network::parse(fields)?)),
            "online-disks" => Self::OnlineDisks(OnlineDisks {
                letters: fields
                    .many("letter")
                    .iter()
                    .map(|v| letter(v))
                    .collect::<Result<_, _>>()?,
                san_policy: fields.number("san-policy", 1, 4)?,
            }),
            "run" => Self::Run(program(fields, "program", &[".exe"])?),
            "script" => Self::Script(script(fields)?),
            "registry" => Self::Registry(registry::parse(fields.rest())?),
            "remove-files" => Self::RemoveFiles {
                paths: removable(fields)?,
            },
            _ => return Err(format!("unknown kind: {name}")),
        })
    }

    /// The interfaces that it is about.
    pub fn macs(&self) -> Vec<Mac> {
        match self {
            Self::WaitPnp { macs } => macs.clone(),
            Self::Network(network) => vec![network.mac],
            _ => Vec::new(),
        }
    }
}

fn driver(fields: &mut Fields) -> Result<Driver, String> {
    let driver = Driver {
        infs: fields.paths("inf")?,
        dirs: fields.paths("inf-dir")?,
    };
    if let Some(inf) = driver.infs.iter().find(|path| !has_suffix(path, &[".inf"])) {
        return Err(format!("inf: not an INF file: {inf}"));
    }
    if driver.infs.is_empty() && driver.dirs.is_empty() {
        return Err("neither inf nor inf-dir".into());
    }
    Ok(driver)
}

fn hardware_ids(fields: &mut Fields) -> Result<Vec<String>, String> {
    let ids = fields.many("hardware-id");
    if ids.is_empty() {
        return Err("hardware-id: missing".into());
    }
    for id in &ids {
        let bus = id.find('\\').unwrap_or(0);
        if id.len() < 8 || bus < 2 || bus + 1 == id.len() || !id.is_ascii() {
            return Err(format!("hardware-id: too short, or without a bus: {id}"));
        }
    }
    Ok(ids.iter().map(|id| id.to_ascii_uppercase()).collect())
}

fn letter(text: &str) -> Result<Letter, String> {
    let wrong = || format!("letter: not understood: {text}");
    let words: Vec<&str> = text.split(' ').collect();
    let letter = match words.first().map(|word| word.as_bytes()) {
        Some([letter]) if letter.is_ascii_uppercase() => char::from(*letter),
        _ => return Err(wrong()),
    };
    let partition = match words[1..] {
        ["gpt", guid] => Partition::Gpt(guid_bytes(guid).ok_or_else(wrong)?),
        ["mbr", signature, offset] if signature.len() == 8 => Partition::Mbr(
            hex(signature).ok_or_else(wrong)?,
            number(offset).ok_or_else(wrong)?,
        ),
        _ => return Err(wrong()),
    };
    Ok(Letter { letter, partition })
}

fn hex(text: &str) -> Option<u32> {
    let digits = text.bytes().all(|byte| byte.is_ascii_hexdigit());
    digits.then(|| u32::from_str_radix(text, 16).ok()).flatten()
}

/// Whether it is `{8-4-4-4-12}` hexadecimal digits.
pub(super) fn is_guid(text: &str) -> bool {
    guid_bytes(text).is_some()
}

/// The bytes of `{8-4-4-4-12}` as Windows keeps them: the first three groups little-endian.
fn guid_bytes(text: &str) -> Option<[u8; 16]> {
    let inner = text.strip_prefix('{')?.strip_suffix('}')?;
    let groups: Vec<&str> = inner.split('-').collect();
    if groups.iter().map(|group| group.len()).ne([8, 4, 4, 4, 12]) || !inner.is_ascii() {
        return None;
    }
    let digits = groups.concat();
    let mut bytes = [0; 16];
    for (index, byte) in bytes.iter_mut().enumerate() {
        let pair = &digits[2 * index..2 * index + 2];
        if !pair.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return None;
        }
        *byte = u8::from_str_radix(pair, 16).ok()?;
    }
    bytes[..4].reverse();
    bytes[4..6].reverse();
    bytes[6..8].reverse();
    Some(bytes)
}

fn has_suffix(path: &str, suffixes: &[&str]) -> bool {
    let lower = path.to_ascii_lowercase();
    suffixes.iter().any(|suffix| lower.ends_with(suffix))
}

fn program(fields: &mut Fields, key: &str, suffixes: &[&str]) -> Result<Program, String> {
    let path = fields.path(key)?.ok_or_else(|| format!("{key}: missing"))?;
    if !has_suffix(&path, suffixes) {
        return Err(format!(
            "{key}: does not end in {}: {path}",
            suffixes.join(" or ")
        ));
    }
    Ok(Program {
        path,
        args: fields.many("arg"),
        directory: fields.path("directory")?,
        success: codes(fields, "success", &[0])?,
        reboot: codes(fields, "reboot-code", &[3010, 1641])?,
    })
}

/// Exit codes, given as signed or unsigned numbers: Windows has 32 bits for them.
fn codes(fields: &mut Fields, key: &str, default: &[i32]) -> Result<Vec<i32>, String> {
    let parse = |text: &String| {
        let value = match text.strip_prefix('-') {
            Some(digits) => number::<i64>(digits).map(|value| -value),
            None => number::<i64>(text),
        };
        let wrong = || format!("{key}: not an exit code: {text}");
        let value = value.ok_or_else(wrong)?;
        i32::try_from(value)
            .or_else(|_| u32::try_from(value).map(|value| value as i32))
            .map_err(|_| wrong())
    };
    let given = fields.many(key);
    if given.is_empty() {
        return Ok(default.to_vec());
    }
    given.iter().map(parse).collect()
}

fn script(fields: &mut Fields) -> Result<Script, String> {
    let (interpreter, suffixes): (_, &[&str]) = match fields.required("interpreter")?.as_str() {
        "cmd" => (Interpreter::Cmd, &[".bat", ".cmd"]),
        "powershell" => (Interpreter::PowerShell, &[".ps1"]),
        other => return Err(format!("interpreter: neither cmd nor powershell: {other}")),
    };
    let program = program(fields, "script", suffixes)?;
    if interpreter == Interpreter::Cmd {
        // cmd looks for these even between quotation marks.
        let own = crate::vars::strip(&program.path).unwrap_or(&program.path);
        if own.contains(['&', '^', '!', '%']) {
            return Err(format!(
                "script: a character that cmd interprets: {}",
                program.path
            ));
        }
        let plain = |c: char| c.is_ascii_alphanumeric() || "_.,:/\\=+@-".contains(c);
        if program.args.iter().any(|arg| !arg.chars().all(plain)) {
            return Err("arg: a character that cmd interprets".into());
        }
    }
    Ok(Script {
        interpreter,
        program,
    })
}

/// Files that may be removed: never a drive or a folder right below it that Windows needs.
fn removable(fields: &mut Fields) -> Result<Vec<String>, String> {
    let paths = fields.paths("path")?;
    if paths.is_empty() {
        return Err("path: missing".into());
    }
    for path in &paths {
        // What stands before the first backslash is a drive or a folder's name.
        let parts = path.split('\\').count() - 1;
        let lower = path.to_ascii_lowercase();
        let below_drive = !lower.starts_with('%') || lower.starts_with("%systemdrive%");
        if below_drive && parts < 2 {
            return Err(format!("path: too near to the drive's root: {path}"));
        }
    }
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use super::super::Task;
    use super::*;

    fn kind(lines: &str) -> Result<Kind, String> {
        let content = format!("refit-task 1\n{lines}");
        Task::parse("10-a.task", content.as_bytes()).map(|task| task.kind)
    }

    #[test]
    fn drivers_and_devices() {
        let found =
            kind("kind driver\ninf-dir %SystemRoot%\\Drivers\\VirtIO\ninf C:\\a.INF").unwrap();
        assert_eq!(
            found,
            Kind::Driver(Driver {
                infs: vec!["C:\\a.INF".into()],
                dirs: vec!["%SystemRoot%\\Drivers\\VirtIO".into()]
            })
        );
        assert!(kind("kind driver").is_err());
        assert!(kind("kind driver\ninf C:\\a.exe").is_err());
        assert_eq!(
            kind("kind remove-devices\nhardware-id pci\\ven_15ad"),
            Ok(Kind::RemoveDevices {
                ids: vec!["PCI\\VEN_15AD".into()]
            })
        );
        for id in [
            "PCI\\",
            "PCI\\V",
            "\\VEN_15AD",
            "VEN_15AD&DEV_07B0",
            "PCIVEN15\\",
        ] {
            assert!(
                kind(&format!("kind remove-devices\nhardware-id {id}")).is_err(),
                "{id}"
            );
        }
    }

    #[test]
    fn disks() {
        let Kind::OnlineDisks(disks) = kind(
            "kind online-disks\nsan-policy 1\nletter E mbr 1a2B3c4d 1048576\nletter F gpt {33333333-4444-5566-7788-99aabbccddee}",
        )
        .unwrap() else {
            panic!()
        };
        assert_eq!(disks.san_policy, Some(1));
        assert_eq!(
            disks.letters[0].partition,
            Partition::Mbr(0x1a2b_3c4d, 1 << 20)
        );
        let Partition::Gpt(bytes) = disks.letters[1].partition else {
            panic!()
        };
        assert_eq!(bytes[4..10], [0x44, 0x44, 0x66, 0x55, 0x77, 0x88]);
        for line in [
            "letter e mbr 1a2b3c4d 0",
            "letter EE mbr 1a2b3c4d 0",
            "letter E mbr 1a2b3c4 0",
            "letter E mbr 1a2b3c4g 0",
            "letter E gpt 33333333-4444-5566-7788-99aabbccddee",
            "letter E gpt {3333333-34444-5566-7788-99aabbccddee}",
            "letter E",
            "san-policy 0",
            "san-policy 5",
        ] {
            assert!(
                kind(&format!("kind online-disks\n{line}")).is_err(),
                "{line}"
            );
        }
    }

    #[test]
    fn programs() {
        let Kind::Run(run) = kind(
            "kind run\nprogram %SystemRoot%\\System32\\msiexec.exe\narg /i\narg A=\"b c\"\nsuccess 0\nsuccess -1\nsuccess 3221225786",
        )
        .unwrap() else {
            panic!()
        };
        assert_eq!(run.args, ["/i", "A=\"b c\""]);
        assert_eq!(run.success, [0, -1, 0xC000_013A_u32 as i32]);
        assert_eq!(run.reboot, [3010, 1641]);
        for lines in [
            "program C:\\a.bat",
            "program a.exe",
            "arg x",
            "program C:\\a.exe\nsuccess 99999999999",
            "program C:\\a.exe\nprogram C:\\b.exe",
        ] {
            assert!(kind(&format!("kind run\n{lines}")).is_err(), "{lines}");
        }
    }

    #[test]
    fn scripts() {
        assert!(
            kind("kind script\ninterpreter cmd\nscript %Refit%\\files\\a.cmd\narg a=1").is_ok()
        );
        assert!(kind("kind script\ninterpreter powershell\nscript C:\\a.ps1\narg $x; 'y'").is_ok());
        for lines in [
            "interpreter cmd\nscript C:\\a.ps1",
            "interpreter bash\nscript C:\\a.sh",
            "script C:\\a.cmd",
            "interpreter cmd\nscript C:\\a&b.cmd",
            "interpreter cmd\nscript C:\\%PATH%.cmd",
            "interpreter cmd\nscript %Refit%\\a^b.cmd",
            "interpreter cmd\nscript C:\\a.cmd\narg a&b",
            "interpreter cmd\nscript C:\\a.cmd\narg %PATH%",
            "interpreter cmd\nscript C:\\a.cmd\narg a b",
        ] {
            assert!(kind(&format!("kind script\n{lines}")).is_err(), "{lines}");
        }
    }

    #[test]
    fn files() {
        for path in [
            "C:\\Program Files\\Guestfs",
            "%SystemRoot%\\Drivers",
            "%Refit%\\files",
        ] {
            assert!(
                kind(&format!("kind remove-files\npath {path}")).is_ok(),
                "{path}"
            );
        }
        for path in ["C:\\Windows", "%SystemDrive%\\Users", "C:", "C:\\"] {
            assert!(
                kind(&format!("kind remove-files\npath {path}")).is_err(),
                "{path}"
            );
        }
    }
}
