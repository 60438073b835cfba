//! Programs that behave, and programs that do not.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use refit_engine::backend::RootBackend;
use refit_engine::{Hints, Verdict};

use super::*;

const INFO: &str = "id = \"one\"\nsummary = \"x\"\nphase = \"user\"\n\
                    [parameters.text]\ntype = \"string\"\ndoc = \"\"\ndefault = \"hello\"\n";

/// A fixup folder with a shell script as its program, and a small guest.
struct Setup {
    _dir: tempfile::TempDir,
    root: PathBuf,
    program: Program,
}

fn setup(script: &str, seconds: u64) -> Setup {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("guest");
    fs::create_dir_all(root.join("etc")).unwrap();
    fs::write(root.join("etc/os-release"), "ID=debian\nVERSION_ID=12\n").unwrap();
    fs::write(root.join("etc/motd"), b"\xff\n").unwrap();
    std::os::unix::fs::symlink("motd", root.join("etc/link")).unwrap();
    let (text, path) = (dir.path().join("text"), dir.path().join("go"));
    fs::write(&text, format!("#!/bin/bash\n{script}\n")).unwrap();
    // A program that is open for writing cannot be started, and what another test forks meanwhile
    // would inherit that: so this process never opens it.
    let install = ["-m", "755"];
    let made = Command::new("install")
        .args(install)
        .args([&text, &path])
        .status();
    assert!(made.unwrap().success());
    Setup {
        root,
        program: Program {
            path,
            timeout: Duration::from_secs(seconds),
            stop: Stop::default(),
        },
        _dir: dir,
    }
}

impl Setup {
    fn plan(&self) -> anyhow::Result<Proposal> {
        let backend = RootBackend::open(&self.root).unwrap();
        let guest = Guest::inspect(&backend, &Hints::default()).unwrap();
        let info: Info = toml::from_str(INFO).unwrap();
        self.program.plan(&guest, &Request::default(), &info)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.program.path.parent().unwrap().join(name)
    }
}

const FINE: &str = r#"echo '{"verdict":"fine","reason":"all is well"}'"#;

/// Whether a process that was told to sleep for this odd time is still there.
fn sleeping(seconds: &str) -> bool {
    let found = Command::new("pgrep")
        .args(["-f", &format!("^sleep {seconds}$")])
        .output()
        .unwrap();
    found.status.success()
}

#[test]
fn it_is_told_the_task_and_its_questions_are_answered() {
    let setup = setup(
        r#"
        read task; echo "$task" > task.json
        env > environment
        for question in \
            '"ask":"read","path":"/etc/os-release"' '"ask":"read","path":"/etc/motd"' \
            '"ask":"list","path":"/etc"' '"ask":"stat","path":"/etc/link"' \
            '"ask":"readlink","path":"/etc/link"' '"ask":"read","path":"/gone"'
        do
            echo "{$question}"; read -r answer; echo "$answer" >> answers
        done
        echo '{"verdict":"change","reason":"because","evidence":[{"file":"/etc/motd"}],"warnings":["w"],
        ' | tr -d '\n'
        echo '"changes":[{"kind":"write","path":"/etc/motd","mode":"0644","content":"x\n"},{"kind":"remove","path":"/etc/link"}]}'
        "#,
        30,
    );
    let proposal = setup.plan().unwrap();
    let Verdict::Change { reason, changes } = &proposal.verdict else {
        panic!("{proposal:?}")
    };
    assert_eq!(reason, "because");
    assert_eq!(
        serde_json::to_value(changes).unwrap(),
        serde_json::json!([
            {"kind": "write", "path": "/etc/motd", "mode": "0644", "content": "x\n"},
            {"kind": "remove", "path": "/etc/link"}
        ])
    );
    assert_eq!(proposal.warnings, ["w"]);
    assert_eq!(proposal.evidence[0].0["file"], "/etc/motd");

    let task: Value = serde_json::from_slice(&fs::read(setup.file("task.json")).unwrap()).unwrap();
    assert_eq!(task["protocol"], "refit/fixup/v1");
    assert_eq!(task["guest"]["distro"], "debian");
    assert_eq!(task["parameters"]["text"], "hello");
    let answers = fs::read_to_string(setup.file("answers")).unwrap();
    let answers: Vec<Value> = answers
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(answers[0]["content"], "ID=debian\nVERSION_ID=12\n");
    assert_eq!(answers[1]["content_base64"], "/wo=");
    assert_eq!(
        answers[2]["entries"],
        serde_json::json!([
            {"name": "link", "kind": "symlink"}, {"name": "motd", "kind": "file"},
            {"name": "os-release", "kind": "file"}
        ])
    );
    assert_eq!(
        (&answers[3]["kind"], &answers[3]["size"]),
        (&Value::from("file"), &Value::from(2))
    );
    assert_eq!(answers[4]["target"], "motd");
    assert_eq!(answers[5], serde_json::json!({"answer": "nothing"}));
    let mut lines = vec![task];
    lines.extend(answers);
    let validator = jsonschema::validator_for(&crate::protocol_schema()).unwrap();
    for line in &lines {
        assert!(validator.is_valid(line), "{line}");
    }

    let environment = fs::read_to_string(setup.file("environment")).unwrap();
    let mut names: Vec<&str> = environment
        .lines()
        .filter_map(|line| line.split_once('=').map(|(name, _)| name))
        .collect();
    names.sort_unstable();
    // bash adds PWD, SHLVL and _.
    assert_eq!(
        names,
        ["LC_ALL", "PATH", "PWD", "REFIT_PROTOCOL", "SHLVL", "_"]
    );
}

/// What refit shows of a change is what a program can propose.
#[test]
fn the_registry_is_shown_and_changed() {
    use refit_hive::{Hive, Value as Data};
    let setup = setup(
        r#"
        read task
        for question in \
            '"ask":"users"' '"ask":"registry","hive":"SYSTEM"' \
            '"ask":"registry","hive":"SYSTEM","key":"select"' '"ask":"registry","hive":"SYSTEM","key":"gone"' \
            '"ask":"registry","hive":"SOFTWARE"' '"ask":"registry","hive":"/Users/Ann/NTUSER.DAT"'
        do
            echo "{$question}"; read -r answer; echo "$answer" >> answers
        done
        echo '{"verdict":"change","reason":"because","changes":' | tr -d '\n'
        tr -d '\n' < changes
        echo '}'
        "#,
        30,
    );
    // What it has there is of Linux.
    fs::remove_dir_all(setup.root.join("etc")).unwrap();
    let mut system = Hive::new();
    for (name, value) in [
        ("Current", Data::dword(1)),
        ("", Data::multi_sz(&["a", "b"])),
    ] {
        system.set_value("Select", name, &value).unwrap();
    }
    system.create_key("ControlSet001").unwrap();
    let mut user = Hive::new();
    user.set_value("Network\\Z", "RemotePath", &Data::sz("\\\\a\\b"))
        .unwrap();
    for (path, hive) in [
        ("Windows/System32/config/SYSTEM", system),
        ("Users/ann/ntuser.dat", user),
    ] {
        let path = setup.root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, hive.into_bytes()).unwrap();
    }
    let changes = serde_json::json!([
        {"kind": "registry-set", "hive": "SYSTEM", "key": "ControlSet001\\x", "name": "", "type": "REG_QWORD", "data": 5},
        {"kind": "registry-set", "hive": "SYSTEM", "key": "ControlSet001\\x", "name": "b", "type": "REG_BINARY", "data": "00ff"},
        {"kind": "registry-set", "hive": "SYSTEM", "key": "ControlSet001\\x", "name": "o", "type": "REG_SZ", "data": "a", "data_hex": "6100"},
        {"kind": "registry-delete", "hive": "/Users/ann/ntuser.dat", "key": "Network\\Z"},
        {"kind": "registry-delete", "hive": "SYSTEM", "key": "Select", "name": ""},
        {"kind": "registry-create", "hive": "SYSTEM", "key": "ControlSet001\\y"}
    ]);
    fs::write(setup.file("changes"), changes.to_string()).unwrap();
    let proposal = setup.plan().unwrap();
    let Verdict::Change {
        changes: planned, ..
    } = &proposal.verdict
    else {
        panic!("{proposal:?}")
    };
    assert_eq!(serde_json::to_value(planned).unwrap(), changes);

    let answers = fs::read_to_string(setup.file("answers")).unwrap();
    let answers: Vec<Value> = answers
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let expected = [
        serde_json::json!({"answer": "users", "hives": ["/Users/ann/ntuser.dat"]}),
        serde_json::json!({"answer": "registry", "keys": ["ControlSet001", "Select"], "values": []}),
        serde_json::json!({"answer": "registry", "keys": [], "values": [
            {"name": "Current", "type": "REG_DWORD", "data": 1},
            {"name": "", "type": "REG_MULTI_SZ", "data": ["a", "b"]}]}),
        serde_json::json!({"answer": "nothing"}),
        serde_json::json!({"answer": "nothing"}),
        serde_json::json!({"answer": "registry", "keys": ["Network"], "values": []}),
    ];
    assert_eq!(answers, expected);
    let validator = jsonschema::validator_for(&crate::protocol_schema()).unwrap();
    let said = serde_json::json!({"verdict": "change", "reason": "r", "changes": changes});
    for line in answers.iter().chain([&said]) {
        assert!(validator.is_valid(line), "{line}");
    }
}

#[test]
fn what_breaks_the_protocol_is_refused() {
    let verdict = |rest: &str| format!(r#"read task; echo '{{"reason":"r",{rest}}}'"#);
    let change = |change: &str| verdict(&format!(r#""verdict":"change","changes":[{change}]"#));
    let registry = |hive: &str, key: &str, value: &str| {
        change(&format!(
            r#"{{"kind":"registry-set","hive":"{hive}","key":"{key}","name":"n",{value}}}"#
        ))
    };
    let cases = [
        ("exit 3".to_owned(), "without a verdict"),
        ("kill -9 $$".to_owned(), "without a verdict"),
        ("echo hello".to_owned(), "is no JSON"),
        ("echo '[1]'".to_owned(), "neither a question"),
        (format!("echo boo >&2; {FINE}; exit 4"), "boo"),
        (format!("{FINE}; {FINE}"), "went on after its verdict"),
        (format!("{FINE}; exit 4"), "failed then (exit status: 4)"),
        (
            verdict(r#""verdict":"failed""#),
            "reading the program's verdict",
        ),
        (verdict(r#""verdict":"fine","chagnes":[]"#), "chagnes"),
        (verdict(r#""verdict":"change""#), "proposes none"),
        (
            verdict(r#""verdict":"fine","changes":[{"kind":"remove","path":"/a"}]"#),
            "its verdict is not `change`",
        ),
        (
            change(r#"{"kind":"remove","path":"../../etc"}"#),
            "is not absolute",
        ),
        (
            change(r#"{"kind":"remove","path":"/a/../../etc"}"#),
            "has `..`",
        ),
        (change(r#"{"kind":"run","path":"/a"}"#), "unknown variant"),
        (
            change(r#"{"kind":"chmod","path":"/a","mode":"rwx"}"#),
            "octal digits",
        ),
        (change(r#"{"kind":"write","path":"/a"}"#), "`content` or"),
        (
            registry("SAM", "a", r#""type":"REG_SZ","data":"x""#),
            "is no hive",
        ),
        (
            registry("/Users/../x", "a", r#""type":"REG_SZ","data":"x""#),
            "has `..`",
        ),
        (
            registry(
                "SYSTEM",
                "CurrentControlSet\\\\a",
                r#""type":"REG_SZ","data":"x""#,
            ),
            "only while Windows runs",
        ),
        (
            registry(
                "SYSTEM",
                "HKEY_LOCAL_MACHINE\\\\a",
                r#""type":"REG_SZ","data":"x""#,
            ),
            "at the hive's",
        ),
        (
            registry("SYSTEM", "a\\\\", r#""type":"REG_SZ","data":"x""#),
            "a backslash too many",
        ),
        (
            registry("SYSTEM", "", r#""type":"REG_SZ","data":"x""#),
            "cannot be empty",
        ),
        (
            registry("SYSTEM", "a", r#""type":"REG_DWORD","data":"x""#),
            "a number of at most 32 bits",
        ),
        (
            registry("SYSTEM", "a", r#""type":"DWORD","data":1"#),
            "no type",
        ),
        (
            change(r#"{"kind":"registry-delete","hive":"SYSTEM","key":"a","value":"b"}"#),
            "unknown field `value`",
        ),
        (
            r#"read task; echo '{"ask":"read","path":"etc/../../shadow"}'; read x; sleep 60"#
                .to_owned(),
            "is not absolute",
        ),
        (
            r#"read task; while :; do echo '{"ask":"stat","path":"/"}'; read -r x; done"#
                .to_owned(),
            "more than 10000 questions",
        ),
        (
            "head -c 40000000 /dev/zero | tr '\\0' a; sleep 60".to_owned(),
            "more than 32 MiB",
        ),
        // It asks without end, and reads no answer.
        (
            r#"exec yes '{"ask":"list","path":"/etc"}'"#.to_owned(),
            "more than 10000 questions",
        ),
    ];
    for (script, expected) in cases {
        let setup = setup(&script, 120);
        let error = format!("{:#}", setup.plan().unwrap_err());
        assert!(error.contains(expected), "{script}: {error}");
    }
}

#[test]
fn one_that_hangs_is_killed_with_all_that_it_started() {
    // Sleeps of a length that nothing else has.
    for (script, seconds) in [
        ("sleep 86391 & sleep 86391", "86391"),
        // It has its say, and does not end.
        (
            r#"echo '{"verdict":"fine","reason":"r"}'; exec >&-; sleep 86392"#,
            "86392",
        ),
    ] {
        let setup = setup(script, 1);
        let start = Instant::now();
        let error = format!("{:#}", setup.plan().unwrap_err());
        assert!(error.contains("longer than 1 s"), "{script}: {error}");
        assert!(start.elapsed() < Duration::from_secs(30), "{script}");
        assert!(!sleeping(seconds), "{script}");
    }
    // It ends, and leaves a process behind that keeps its output open.
    let setup = setup(&format!("sleep 86393 & {FINE}"), 30);
    let proposal = setup.plan().unwrap();
    assert!(matches!(proposal.verdict, Verdict::Fine { .. }));
    assert!(!sleeping("86393"));
}

#[test]
fn the_users_wish_to_stop_is_followed_and_writable_programs_are_not_run() {
    let stopped = setup("sleep 60", 60);
    stopped.program.stop.0.store(true, Ordering::SeqCst);
    assert_eq!(stopped.plan().unwrap_err().to_string(), "interrupted");

    let writable = setup(FINE, 30);
    let path: &Path = &writable.program.path;
    fs::set_permissions(path, fs::Permissions::from_mode(0o777)).unwrap();
    let error = writable.plan().unwrap_err().to_string();
    assert!(
        error.contains("is not run") && error.contains("chmod go-w"),
        "{error}"
    );
}
