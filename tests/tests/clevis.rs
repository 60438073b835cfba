//! A volume that Clevis opens: with a real Tang server, and an appliance that has Clevis as libguestfs's newer ones have.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::Command;
use std::thread;

use refit_tests::{assert_says, refit, run, shell, system_disk};

/// What the host is called in the appliance's network (guestfs(3), "NETWORK").
const HOST: &str = "169.254.2.2";
/// Where Debian's libguestfs keeps what its appliance is made of.
const SUPERMIN: &str = "/usr/lib/x86_64-linux-gnu/guestfs/supermin.d";

/// Serves keys below `dir`, one connection at a time as inetd does, until the test ends. Gives the port.
fn tang(dir: &Path) -> u16 {
    let keys = dir.join("tang");
    fs::create_dir(&keys).unwrap();
    let made = Command::new("/usr/libexec/tangd-keygen")
        .arg(&keys)
        .status();
    assert!(made.unwrap().success());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for connection in listener.incoming() {
            let input = OwnedFd::from(connection.unwrap());
            let output = input.try_clone().unwrap();
            Command::new("/usr/libexec/tangd")
                .arg(&keys)
                .stdin(input)
                .stdout(output)
                .status()
                .unwrap();
        }
    });
    port
}

#[test]
fn a_volume_is_opened_by_a_server_in_the_network() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    system_disk(dir, "web").unwrap();
    let port = tang(dir);
    shell(
        dir,
        &format!(
            "printf geheim > key
             truncate -s +32M web.img
             cryptsetup reencrypt --encrypt --type luks2 --batch-mode --reduce-device-size 32M \
                 --pbkdf pbkdf2 --pbkdf-force-iterations 1000 --key-file key web.img
             curl -sf http://127.0.0.1:{port}/adv -o adv.jws
             clevis luks bind -y -k key -d web.img tang \
                 '{{\"url\":\"http://{HOST}:{port}\",\"adv\":\"adv.jws\"}}'
             mkdir appliance
             cp -r {SUPERMIN} appliance/supermin.d
             printf '%s\\n' clevis clevis-luks curl jose luksmeta >> appliance/supermin.d/packages"
        ),
    );
    let with_clevis = |arguments: &[&str]| {
        let mut command = refit();
        command
            .current_dir(dir)
            .env("LIBGUESTFS_PATH", dir.join("appliance"))
            .env("LIBGUESTFS_CACHEDIR", dir)
            .args(arguments)
            .args(["--key", "all:clevis", "web.img"]);
        run(&mut command).unwrap()
    };
    let fixed = with_clevis(&["fix", "--json", "--nic", "00:50:56:aa:bb:01=192.0.2.10/24"]);
    assert_eq!(fixed.code, Some(0), "{fixed:?}");
    let report = fixed.json().unwrap();
    assert_eq!(report["guest"]["hostname"], "web");
    assert_eq!(report["checked"], true);

    // Another server's keys.
    fs::remove_dir_all(dir.join("tang")).unwrap();
    let refused = with_clevis(&["inspect"]);
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert_says(
        &refused.stderr,
        &["web.img", "encrypted", "/dev/sda", "Clevis cannot open it"],
    );

    let has_clevis = fs::read_to_string(Path::new(SUPERMIN).join("packages"))
        .unwrap()
        .contains("clevis");
    if !has_clevis {
        let mut command = refit();
        command
            .current_dir(dir)
            .args(["inspect", "--key", "all:clevis", "web.img"]);
        let refused = run(&mut command).unwrap();
        assert_eq!(refused.code, Some(1), "{refused:?}");
        assert_says(&refused.stderr, &["no Clevis", "install clevis-luks"]);
    }
}
