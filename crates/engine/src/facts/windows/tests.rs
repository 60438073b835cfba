use super::*;

fn windows() -> WindowsFacts {
    WindowsFacts {
        system_root: "/Windows".into(),
        system_drive: Some('C'),
        ..WindowsFacts::default()
    }
}

#[test]
fn paths_of_a_running_windows_are_found_in_the_guest() {
    for (path, expected) in [
        (
            r"C:\Program Files\a b\c.exe",
            Some("/Program Files/a b/c.exe"),
        ),
        (r#""c:\x\y.dll""#, Some("/x/y.dll")),
        (r"\??\C:\x", Some("/x")),
        (
            r"%SystemRoot%\System32\a.dll",
            Some("/Windows/System32/a.dll"),
        ),
        (r"%windir%\a.dll", Some("/Windows/a.dll")),
        (
            r"\SystemRoot\System32\a.sys",
            Some("/Windows/System32/a.sys"),
        ),
        (
            r"system32\drivers\a.sys",
            Some("/Windows/system32/drivers/a.sys"),
        ),
        (r"%ProgramFiles%\x", Some("/Program Files/x")),
        (r"C:\a\..\..\b", Some("/b")),
        (r"D:\x", None),
        (r"\\server\share\x", None),
        (r"%TEMP%\x", None),
        (r"%SystemRootX%\x", None),
        ("ß", Some("/Windows/ß")),
    ] {
        assert_eq!(
            windows().guest_path(path),
            expected.map(GuestPath::from),
            "{path}"
        );
    }
}

#[test]
fn hibernation_is_told_from_waking_up() {
    for (start, expected) in [
        (&b"hibr"[..], true),
        (b"HIBR", true),
        (b"RSTR", true),
        (b"wake", false),
        (b"\0\0\0\0", false),
        (b"", false),
    ] {
        assert_eq!(is_hibernated(start), expected, "{start:?}");
    }
}
