//! Registration text: the format of `.reg` files, version 5.00, as regedit documents and writes it.
//!
//! Keys are relative to the hive's root: `[\Select]`, and `[\]` for the root itself. Text has no byte order mark and
//! ends its lines with a line feed; what is read may have either, and carriage returns. Three things do not pass: class
//! names, security descriptors and times, for which the format has no room; keys and values whose names hold control
//! characters, which a comment stands for; and names that are not UTF-16, which lose what is wrong in them.
//!
//! Beyond regedit's own forms of data, `str(N):"text"` is read, as Wine writes it: type N (hexadecimal), the text with
//! `\\`, `\"` and `\0`, and a final NUL. It keeps hand-written text readable: `str(2):"%SystemRoot%\\x.exe"`, and
//! `str(7):"one\0two\0"` for a list.

mod export;
mod import;

pub use export::export;
pub use import::import;

/// The first line.
const HEADER: &str = "Windows Registry Editor Version 5.00";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::{Value, ValueKind};
    use crate::{Hive, HiveError};

    const TEXT: &str = r#"Windows Registry Editor Version 5.00

[\]
@="the root"

[\ControlSet001]

[\ControlSet001\Services]

[\ControlSet001\Services\viostor]
"Start"=dword:00000000
"ImagePath"=hex(2):61,00,00,00
"Group"="SCSI \"miniport\" \\ x"
"Owners"=hex(7):6f,00,65,00,6d,00,31,00,2e,00,69,00,6e,00,66,00,00,00,6f,00,65,\
  00,6d,00,32,00,2e,00,69,00,6e,00,66,00,00,00,00,00
"none"=hex(0):
"odd"=hex(ffff0012):01
"raw"=hex:de,ad
"short"=hex(4):01
"big"=hex(b):01,02,03,04,05,06,07,08

[\[odd] key]
"a=b"=""
"#;

    #[test]
    fn text_passes_both_ways() {
        let hive = import(TEXT).unwrap();
        assert_eq!(export(&hive), TEXT);
        let key = hive.key("controlset001\\services\\VIOSTOR").unwrap();
        assert_eq!(key.value("start"), Some(Value::dword(0)));
        assert_eq!(key.value("ImagePath"), Some(Value::expand_sz("a")));
        assert_eq!(
            key.value("Owners"),
            Some(Value::multi_sz(&["oem1.inf", "oem2.inf"]))
        );
        assert_eq!(
            key.value("Group"),
            Some(Value::sz("SCSI \"miniport\" \\ x"))
        );
        let odd = Value {
            kind: ValueKind::Other(0xffff_0012),
            data: vec![1],
        };
        assert_eq!(key.value("odd"), Some(odd));
        assert_eq!(hive.root().value(""), Some(Value::sz("the root")));
        assert!(hive.key("[odd] key").is_some());
        hive.check().unwrap();
    }

    #[test]
    fn what_regedit_writes_is_read() {
        let text = format!(
            "\u{feff}{}\r\n; comment\r\n\r\n[a]  \r\n\"x\" = dword:1F\r\n",
            HEADER
        );
        let hive = import(&text).unwrap();
        assert_eq!(hive.key("A").unwrap().value("X"), Some(Value::dword(0x1f)));
    }

    #[test]
    fn text_for_people_is_read() {
        let text = format!(
            "{HEADER}\n[\\a]\n\"e\"=str(2):\"%SystemRoot%\\\\x\"\n\"m\"=str(7):\"one\\0two\\0\"\n"
        );
        let hive = import(&text).unwrap();
        let key = hive.key("a").unwrap();
        assert_eq!(key.value("e"), Some(Value::expand_sz("%SystemRoot%\\x")));
        assert_eq!(key.value("m"), Some(Value::multi_sz(&["one", "two"])));
    }

    #[test]
    fn mistakes_name_their_line() {
        let cases = [
            ("REGEDIT4\n", 1),
            ("", 1),
            ("\"a\"=\"b\"\n", 2),
            ("[\\a\n", 2),
            ("[-\\a]\n", 2),
            ("[HKEY_LOCAL_MACHINE\\SYSTEM]\n", 2),
            ("[\\a]\n\"b\"=-\n", 3),
            ("[\\a]\n\"b\n", 3),
            ("[\\a]\n\"b\"=\"c\n", 3),
            ("[\\a]\n\"b\"=\"c\"d\n", 3),
            ("[\\a]\n\"b\"=dword:123456789\n", 3),
            ("[\\a]\n\"b\"=hex:0g\n", 3),
            ("[\\a]\n\"b\"=hex:0,\\\n  123\n", 4),
            ("[\\a]\n\"b\"=hex:01,\\\n", 3),
            ("[\\a]\n\"b\"=hex(x):01\n", 3),
            ("[\\a]\n\"b\"=what:01\n", 3),
        ];
        for (text, line) in cases {
            let header = if line == 1 {
                String::new()
            } else {
                format!("{HEADER}\n")
            };
            match import(&format!("{header}{text}")) {
                Err(HiveError::Reg { line: found, .. }) => assert_eq!(found, line, "{text}"),
                other => panic!("{text}: {other:?}"),
            }
        }
    }

    #[test]
    fn what_the_format_cannot_say_is_left_out_and_said() {
        let mut hive = Hive::new();
        hive.set_value("a\nb\\c", "", &Value::dword(1)).unwrap();
        hive.set_value("d", "e\r", &Value::dword(1)).unwrap();
        hive.set_value("d", "lines", &Value::sz("one\ntwo"))
            .unwrap();
        let text = export(&hive);
        let again = import(&text).unwrap();
        assert_eq!(text.matches("; left out").count(), 2);
        assert_eq!(again.root().subkeys().len(), 1);
        assert_eq!(
            again.key("d").unwrap().value("lines"),
            Some(Value::sz("one\ntwo"))
        );
    }
}
