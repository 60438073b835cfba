//! What is allowed in a value, and is likely to be read wrongly by a guest's scripts.

/// A code and a sentence for each. Of a secret they do not say which characters it has.
pub(super) fn remarks(value: &str, secret: bool) -> Vec<(&'static str, String)> {
    let mut remarks = Vec::new();
    let special: String = "&<>\"".chars().filter(|one| value.contains(*one)).collect();
    if !special.is_empty() {
        let listed: Vec<String> = match secret {
            true => vec!["some of & < > \"".to_owned()],
            false => special.chars().map(String::from).collect(),
        };
        remarks.push((
            "prop.xml-special",
            format!(
                "the value has {} in it, which guests that read the document with grep or awk \
                 see as they are written in XML (&amp; and so on)",
                listed.join(" ")
            ),
        ));
    }
    if value.contains(['\n', '\r', '\t']) {
        let rule = "the value has line breaks or tabs, which are written as &#10; and so on; guests that read \
                    the document with grep or awk see these; base64 is safer";
        remarks.push(("prop.multiline", rule.to_owned()));
    }
    if value.trim() != value {
        let rule = "the value has blanks at its beginning or end, which many guests cut off";
        remarks.push(("prop.blanks", rule.to_owned()));
    }
    remarks
}
