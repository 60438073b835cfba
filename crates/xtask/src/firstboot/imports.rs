//! What the built programs ask of Windows: it must be in the oldest one that they are for.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, bail, ensure};

use crate::process::root;

/// The functions that may be imported, each with the Windows that first had it.
const LIST: &str = "windows/firstboot/imports.txt";

/// A version of Windows: 5.1 is XP, 5.2 Server 2003 and XP's 64-bit edition.
type Version = (u16, u16);

/// The oldest Windows for an architecture.
pub fn oldest(arch: &str) -> Version {
    if arch == "i686" { (5, 1) } else { (5, 2) }
}

/// Checks a program's headers and import table.
///
/// # Errors
/// It imports a function that is not in the list or is too new, or its headers ask for another Windows.
pub fn check(arch: &str, program: &Path) -> anyhow::Result<()> {
    let list = fs::read_to_string(root().join(LIST)).with_context(|| format!("reading {LIST}"))?;
    let known = parse(&list)?;
    let output = Command::new(format!("{arch}-w64-mingw32-objdump"))
        .arg("-p")
        .arg(program)
        .env("LC_ALL", "C")
        .output()
        .context("starting objdump of binutils-mingw-w64")?;
    ensure!(
        output.status.success(),
        "objdump does not read {}",
        program.display()
    );
    let headers = Headers::parse(&String::from_utf8_lossy(&output.stdout))?;
    let wrong = headers.problems(&known, oldest(arch));
    ensure!(
        wrong.is_empty(),
        "{} does not start on the oldest Windows that it is for:\n{}\n\
         See windows/firstboot/src/win32/before_vista.rs and {LIST}.",
        program.display(),
        wrong.join("\n")
    );
    Ok(())
}

/// The list: library and function, and since when it is there.
fn parse(list: &str) -> anyhow::Result<BTreeMap<(String, String), Version>> {
    let mut known = BTreeMap::new();
    for line in list.lines().filter(|line| !line.starts_with('#')) {
        let words: Vec<&str> = line.split(' ').collect();
        let [library, function, since, page] = words[..] else {
            bail!("{LIST}: not four words: {line}");
        };
        ensure!(page.starts_with("https://"), "{LIST}: no page: {line}");
        let since = version(since).with_context(|| format!("{LIST}: {line}"))?;
        known.insert((library.to_owned(), function.to_owned()), since);
    }
    Ok(known)
}

fn version(text: &str) -> anyhow::Result<Version> {
    let (major, minor) = text.split_once('.').context("no version")?;
    Ok((major.parse()?, minor.parse()?))
}

/// What objdump says of a program.
#[derive(Debug, Default, PartialEq, Eq)]
struct Headers {
    system: Version,
    subsystem: Version,
    imports: Vec<(String, String)>,
}

impl Headers {
    fn parse(text: &str) -> anyhow::Result<Self> {
        let mut headers = Self::default();
        let mut library = String::new();
        for line in text.lines() {
            let words: Vec<&str> = line.split_whitespace().collect();
            let number = || {
                words
                    .get(1)
                    .context("no number")?
                    .parse()
                    .context("no number")
            };
            match words.first() {
                // Binutils writes one of the names so.
                Some(&"MajorOSystemVersion") => headers.system.0 = number()?,
                Some(&"MinorOSystemVersion") => headers.system.1 = number()?,
                Some(&"MajorSubsystemVersion") => headers.subsystem.0 = number()?,
                Some(&"MinorSubsystemVersion") => headers.subsystem.1 = number()?,
                _ => {}
            }
            if let Some(name) = line.trim().strip_prefix("DLL Name: ") {
                library = name.to_lowercase();
            } else if library.is_empty() {
                continue;
            } else if words.is_empty() {
                library.clear();
            } else if let [address, hint, function] = words[..]
                && u64::from_str_radix(address, 16).is_ok()
                && hint.parse::<u32>().is_ok()
            {
                headers.imports.push((library.clone(), function.to_owned()));
            } else if words[0] != "vma:" {
                bail!("objdump: not an import: {line}");
            }
        }
        ensure!(!headers.imports.is_empty(), "objdump shows no imports");
        Ok(headers)
    }

    fn problems(
        &self,
        known: &BTreeMap<(String, String), Version>,
        oldest: Version,
    ) -> Vec<String> {
        let mut wrong = Vec::new();
        for (what, is) in [
            ("operating system", self.system),
            ("subsystem", self.subsystem),
        ] {
            if is != oldest {
                wrong.push(format!(
                    "{what} version {is:?} in the header, not {oldest:?}"
                ));
            }
        }
        for import in &self.imports {
            let (library, function) = import;
            match known.get(import) {
                None => wrong.push(format!("{library}: {function} is not in the list")),
                Some(since) if *since > oldest => {
                    wrong.push(format!(
                        "{library}: {function} is there since {since:?} only"
                    ));
                }
                Some(_) => {}
            }
        }
        wrong
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
MajorOSystemVersion\t5
MinorOSystemVersion\t1
MajorSubsystemVersion\t5
MinorSubsystemVersion\t1

The Import Tables (interpreted .idata section contents)
 vma:            Hint    Time      Forward  DLL       First
                 Table   Stamp     Chain    Name      Thunk
 000d7000\t000d7078 00000000 00000000 000d7c44 000d7294

\tDLL Name: KERNEL32.dll
\tvma:  Hint/Ord Member-Name Bound-To
\td74b0\t  120  CancelIo
\td74bc\t    1  AcquireSRWLockExclusive

 000d7014\t000d7100 00000000 00000000 000d7d08 000d731c

\tDLL Name: msvcrt.dll
\tvma:  Hint/Ord Member-Name Bound-To
\td74c8\t   58  __C_specific_handler
\td74c9\t   59  free

There is an export table in .edata at 0x1
";

    #[test]
    fn what_an_old_windows_lacks_is_found() {
        let headers = Headers::parse(TEXT).unwrap();
        assert_eq!((headers.system, headers.imports.len()), ((5, 1), 4));
        let known = parse(
            "# comment\nkernel32.dll CancelIo 5.1 https://x\nmsvcrt.dll free 5.0 https://x\n\
             msvcrt.dll __C_specific_handler 5.2 https://x\n",
        )
        .unwrap();
        assert_eq!(
            headers.problems(&known, (5, 1)),
            [
                "kernel32.dll: AcquireSRWLockExclusive is not in the list",
                "msvcrt.dll: __C_specific_handler is there since (5, 2) only"
            ]
        );
        assert_eq!(
            headers.problems(&known, (5, 2)).len(),
            3,
            "two versions, one function"
        );
        for text in [
            "",
            "\tDLL Name: a.dll\n\t 1 CancelIo\n",
            "\tDLL Name: a.dll\n\tx y z\n",
        ] {
            Headers::parse(text).unwrap_err();
        }
    }

    #[test]
    fn the_list_is_whole() {
        let list = fs::read_to_string(root().join(LIST)).unwrap();
        assert!(parse(&list).unwrap().values().all(|since| *since <= (5, 2)));
        for line in [
            "kernel32.dll CancelIo 5.1",
            "kernel32.dll CancelIo x https://x",
            "a b 5.1 page",
        ] {
            parse(line).unwrap_err();
        }
    }
}
