use super::*;

/// The form that apk 2.14 writes, with all kinds of lines.
const INSTALLED: &str = "C:Q1AAA=\nP:busybox\nV:1.36.1-r29\nA:x86_64\nS:509600\nI:962560\n\
T:Size optimized toolbox\nU:https://busybox.net/\nL:GPL-2.0-only\no:busybox\n\
m:Somebody <a@example.org>\nt:1718188832\nc:0123\nD:so:libc.musl-x86_64.so.1\n\
p:/bin/sh cmd:busybox=1.36.1-r29\nr:busybox-initscripts\nF:bin\nR:busybox\na:0:0:755\n\
Z:Q1BBB=\nF:etc/logrotate.d\nR:acpid\nZ:Q1CCC=\nF:tmp\nM:0:0:1777\n\n\
C:Q1DDD=\nP:musl\nV:1.2.5-r0\nA:x86_64\np:so:libc.musl-x86_64.so.1=1\nF:lib\nR:ld-musl-x86_64.so.1\n\n";

#[test]
fn packages_have_files_and_relations() {
    let packages = parse(INSTALLED.as_bytes()).unwrap();
    assert_eq!(packages.len(), 2);
    let busybox = &packages[0];
    assert_eq!(
        (
            busybox.name.as_str(),
            busybox.version.as_str(),
            busybox.arch.as_deref()
        ),
        ("busybox", "1.36.1-r29", Some("x86_64"))
    );
    assert_eq!(busybox.requires, ["so:libc.musl-x86_64.so.1"]);
    assert_eq!(busybox.provides, ["/bin/sh", "cmd:busybox=1.36.1-r29"]);
    let Files::Known(files) = &busybox.files else {
        panic!("apk lists files at once");
    };
    let expected: Vec<GuestPath> = [
        "/bin",
        "/bin/busybox",
        "/etc/logrotate.d",
        "/etc/logrotate.d/acpid",
        "/tmp",
    ]
    .map(GuestPath::from)
    .to_vec();
    assert_eq!(files, &expected);
}

#[test]
fn damage_is_an_error_and_never_a_panic() {
    for bad in ["P:a\nnonsense\n", "P:a\nF:etc\nR:../../etc/shadow\n", "x\n"] {
        assert!(parse(bad.as_bytes()).is_err(), "{bad:?}");
    }
    for end in 0..INSTALLED.len() {
        let _ = parse(&INSTALLED.as_bytes()[..end]);
        let mut flipped = INSTALLED.as_bytes().to_vec();
        flipped[end] ^= 0x80;
        let _ = parse(&flipped);
    }
}
