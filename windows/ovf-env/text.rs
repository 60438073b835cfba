//! Scripts and command lines: whether they ask VMware Tools, and which scripts they start.

/// Endings of scripts that are read.
const ENDINGS: [&str; 8] = ["cmd", "bat", "ps1", "psm1", "vbs", "js", "py", "pl"];
/// What asks or is told something of the machine's settings.
const CALLS: [&str; 2] = ["info-get", "info-set"];
/// Programs of VMware Tools that are asked.
const PROGRAMS: [&str; 2] = ["vmtoolsd", "rpctool"];

/// The text of a script: UTF-16 with its mark, else UTF-8 as far as it is.
pub(super) fn decode(content: &[u8]) -> String {
    match content {
        [0xff, 0xfe, rest @ ..] => {
            let units: Vec<u16> = rest
                .chunks_exact(2)
                .map(|pair| u16::from_le_bytes([pair[0], pair[1]]))
                .collect();
            String::from_utf16_lossy(&units)
        }
        other => String::from_utf8_lossy(other)
            .trim_start_matches('\u{feff}')
            .to_owned(),
    }
}

/// Whether a script or a command line asks VMware Tools; comments are left out.
pub(super) fn asks(text: &str) -> bool {
    text.lines().filter(|line| !is_comment(line)).any(|line| {
        let line = line.to_ascii_lowercase();
        let has = |words: &[&str]| words.iter().any(|word| line.contains(word));
        // A program may be named in one line and started in another, with a key of this kind.
        has(&PROGRAMS) && has(&CALLS)
            || line.contains("info-get guestinfo.")
            || line.contains("info-set guestinfo.")
    })
}

/// Comments of batch files, PowerShell, Python and Perl, Visual Basic, JavaScript.
fn is_comment(line: &str) -> bool {
    let line = line.trim_start();
    let rem = |word: &str| {
        line.get(..word.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(word))
    };
    ["::", "#", "'", "//"]
        .iter()
        .any(|mark| line.starts_with(mark))
        || rem("rem ")
        || rem("@rem ")
        || line.eq_ignore_ascii_case("rem")
}

pub(super) fn is_script(name: &str) -> bool {
    name.rsplit_once('.').is_some_and(|(_, ending)| {
        ENDINGS
            .iter()
            .any(|known| ending.eq_ignore_ascii_case(known))
    })
}

/// Scripts that a command line names by their whole path, without the drive and with `/`. `%SystemRoot%` and the
/// like are what they are by default: `root` is the folder of Windows.
pub(super) fn scripts(command: &str, root: &str) -> Vec<String> {
    let mut words: Vec<&str> = Vec::new();
    for (index, part) in command.split('"').enumerate() {
        // Every second part is in quotation marks.
        match index % 2 {
            1 => words.push(part),
            _ => words.extend(part.split([' ', '\t', '\r', '\n', ',', ';', '(', ')', '&', '\''])),
        }
    }
    words
        .into_iter()
        .filter(|word| is_script(word))
        .filter_map(|word| path(word, root))
        .collect()
}

fn path(word: &str, root: &str) -> Option<String> {
    let plain = word.replace('\\', "/");
    let lower = plain.to_ascii_lowercase();
    let bytes = plain.as_bytes();
    if bytes.len() > 3 && bytes[0].is_ascii_alphabetic() && &bytes[1..3] == b":/" {
        return Some(plain[2..].to_owned());
    }
    for (name, stands_for) in [
        ("%systemroot%", root),
        ("%windir%", root),
        ("%systemdrive%", ""),
        ("%programfiles%", "/Program Files"),
        ("%programdata%", "/ProgramData"),
    ] {
        if lower.starts_with(name) {
            return Some(format!("{stands_for}{}", &plain[name.len()..]));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_asks() {
        for (text, expected) in [
            (
                "for /f %%i in ('\"C:\\x\\vmtoolsd.exe\" --cmd \"info-get guestinfo.a\"') do",
                true,
            ),
            (
                "rem vmtoolsd --cmd \"info-get guestinfo.a\"\r\n@REM rpctool info-get x",
                false,
            ),
            ("$a = & $tool --cmd 'info-get guestinfo.ovfEnv'", true),
            ("# RPCTOOL.exe info-set a b\nRPCTOOL.exe info-set a b", true),
            ("sc stop vmtoolsd\necho info-get", false),
            ("reg query x guestinfo.a", false),
        ] {
            assert_eq!(asks(text), expected, "{text}");
        }
    }

    #[test]
    fn scripts_of_a_command() {
        let found = scripts(
            "powershell -File \"C:\\My Scripts\\a.PS1\" %windir%\\b.cmd relative.bat D:/x.py \"c.exe\" a.cmd.txt",
            "/Windows",
        );
        assert_eq!(found, ["/My Scripts/a.PS1", "/Windows/b.cmd", "/x.py"]);
        assert_eq!(decode(&[0xff, 0xfe, b'a', 0]), "a");
        assert_eq!(decode(b"\xef\xbb\xbfa"), "a");
    }
}
