//! What a guest could ask VMware Tools for beside the environment.

use std::fmt::Write as _;

use super::document::escape;

/// Writes settings (`guestinfo.KEY` with its value) for refit's stand-in for VMware Tools: properties as in the
/// document, one on each line. None if there are no settings.
#[must_use]
pub fn guestinfo(settings: &[(String, String)]) -> Option<String> {
    if settings.is_empty() {
        return None;
    }
    let mut text = String::from(
        r#"<?xml version="1.0" encoding="UTF-8"?>
<PropertySection
     xmlns="http://schemas.dmtf.org/ovf/environment/1"
     xmlns:oe="http://schemas.dmtf.org/ovf/environment/1">
"#,
    );
    for (key, value) in settings {
        let _ = writeln!(
            text,
            r#"   <Property oe:key="{}" oe:value="{}"/>"#,
            escape(key),
            escape(value)
        );
    }
    text.push_str("</PropertySection>\n");
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_setting_has_a_line() {
        let settings = [("guestinfo.a", "1"), ("guestinfo.B", "<x>\n\"y\"")]
            .map(|(key, value)| (key.to_owned(), value.to_owned()));
        let text = guestinfo(&settings).unwrap();
        let lines: Vec<&str> = text
            .lines()
            .filter(|line| line.contains("oe:key"))
            .collect();
        assert_eq!(
            lines,
            [
                r#"   <Property oe:key="guestinfo.a" oe:value="1"/>"#,
                r#"   <Property oe:key="guestinfo.B" oe:value="&lt;x&gt;&#10;&quot;y&quot;"/>"#
            ]
        );
        assert_eq!(guestinfo(&[]), None);
    }
}
