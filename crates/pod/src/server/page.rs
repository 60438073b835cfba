//! The report as a page: one file, no script, and every text in it escaped.

use std::fmt::Write as _;

use serde_json::{Map, Value};

/// What a browser may do with the page: show it.
pub const POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";

/// Deeper parts of a report are shown as JSON.
const DEPTH: usize = 8;

const STYLE: &str = "
:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, sans-serif; margin: 2em auto; max-width: 75em; padding: 0 1em; }
table { border-collapse: collapse; margin: .3em 0; }
th, td { border: 1px solid #8886; padding: .2em .6em; text-align: left; vertical-align: top; overflow-wrap: anywhere; }
th { background: #8882; font-weight: 600; white-space: nowrap; }
pre { margin: 0; white-space: pre-wrap; }
.none { opacity: .5; }
";

/// Makes the page. The report's own order is kept: objects become two columns, lists of objects a table with a
/// column for each key.
pub fn render(report: &Value) -> String {
    let mut html = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<title>refit: report</title>\n\
         <style>{STYLE}</style>\n</head>\n<body>\n<h1>What refit did</h1>\n"
    );
    match report {
        Value::Object(parts) => {
            let (details, facts): (Vec<_>, Vec<_>) = parts
                .iter()
                .partition(|(_, value)| matches!(value, Value::Array(_) | Value::Object(_)));
            object(&mut html, facts, DEPTH);
            for (name, value) in details {
                html.push_str("<h2>");
                escape(&mut html, name);
                html.push_str("</h2>\n");
                any(&mut html, value, DEPTH);
            }
        }
        other => any(&mut html, other, DEPTH),
    }
    html.push_str("</body>\n</html>\n");
    html
}

fn any(html: &mut String, value: &Value, depth: usize) {
    match value {
        Value::Null => html.push_str("<span class=\"none\">none</span>"),
        Value::Bool(true) => html.push_str("yes"),
        Value::Bool(false) => html.push_str("no"),
        Value::Number(number) => {
            // Writing to a string cannot fail.
            let _ = write!(html, "{number}");
        }
        Value::String(text) if text.contains('\n') => {
            html.push_str("<pre>");
            escape(html, text);
            html.push_str("</pre>");
        }
        Value::String(text) => escape(html, text),
        Value::Array(items) if items.is_empty() => any(html, &Value::Null, depth),
        Value::Object(parts) if parts.is_empty() => any(html, &Value::Null, depth),
        _ if depth == 0 => {
            html.push_str("<pre>");
            escape(html, &value.to_string());
            html.push_str("</pre>");
        }
        Value::Object(parts) => object(html, parts, depth),
        Value::Array(items) => {
            let rows: Option<Vec<_>> = items.iter().map(Value::as_object).collect();
            match rows {
                Some(rows) => table(html, &rows, depth),
                None => list(html, items, depth),
            }
        }
    }
}

fn object<'a>(
    html: &mut String,
    parts: impl IntoIterator<Item = (&'a String, &'a Value)>,
    depth: usize,
) {
    html.push_str("<table>\n");
    for (name, value) in parts {
        html.push_str("<tr><th>");
        escape(html, name);
        html.push_str("</th><td>");
        any(html, value, depth.saturating_sub(1));
        html.push_str("</td></tr>\n");
    }
    html.push_str("</table>\n");
}

fn table(html: &mut String, rows: &[&Map<String, Value>], depth: usize) {
    let mut columns: Vec<&String> = Vec::new();
    for name in rows.iter().flat_map(|row| row.keys()) {
        if !columns.contains(&name) {
            columns.push(name);
        }
    }
    html.push_str("<table>\n<tr>");
    for name in &columns {
        html.push_str("<th>");
        escape(html, name);
        html.push_str("</th>");
    }
    html.push_str("</tr>\n");
    for row in rows {
        html.push_str("<tr>");
        for name in &columns {
            html.push_str("<td>");
            if let Some(value) = row.get(*name) {
                any(html, value, depth.saturating_sub(1));
            }
            html.push_str("</td>");
        }
        html.push_str("</tr>\n");
    }
    html.push_str("</table>\n");
}

fn list(html: &mut String, items: &[Value], depth: usize) {
    html.push_str("<ul>\n");
    for item in items {
        html.push_str("<li>");
        any(html, item, depth.saturating_sub(1));
        html.push_str("</li>\n");
    }
    html.push_str("</ul>\n");
}

/// Text that is text wherever it stands in HTML. Characters that a browser would not show, or with which a guest
/// could turn the direction of what follows, are shown by their number.
fn escape(html: &mut String, text: &str) {
    for character in text.chars() {
        match character {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            '\'' => html.push_str("&#39;"),
            '\n' | '\t' => html.push(character),
            '\u{61c}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}' => {
                html.extend(character.escape_unicode());
            }
            _ if character.is_control() => html.extend(character.escape_unicode()),
            _ => html.push(character),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn body(report: &Value) -> String {
        let page = render(report);
        let (_, body) = page.split_once("<h1>What refit did</h1>\n").unwrap();
        body.strip_suffix("</body>\n</html>\n").unwrap().to_owned()
    }

    #[test]
    fn objects_and_lists_become_tables() {
        let report = json!({
            "guest": "Debian 12",
            "done": true,
            "fixups": [
                {"id": "nic-names", "changes": 2},
                {"id": "console", "reason": "no console"},
            ],
            "log": ["one", {"two": null}],
            "empty": [],
        });
        assert_eq!(
            body(&report),
            "<table>\n<tr><th>guest</th><td>Debian 12</td></tr>\n<tr><th>done</th><td>yes</td></tr>\n</table>\n\
             <h2>fixups</h2>\n<table>\n<tr><th>id</th><th>changes</th><th>reason</th></tr>\n\
             <tr><td>nic-names</td><td>2</td><td></td></tr>\n\
             <tr><td>console</td><td></td><td>no console</td></tr>\n</table>\n\
             <h2>log</h2>\n<ul>\n<li>one</li>\n<li><table>\n<tr><th>two</th>\
             <td><span class=\"none\">none</span></td></tr>\n</table>\n</li>\n</ul>\n\
             <h2>empty</h2>\n<span class=\"none\">none</span>"
        );
    }

    #[test]
    fn nothing_of_a_guest_is_markup() {
        let evil = "</td></pre><script>alert('x')</script>\"&\u{202e}\u{61c}\u{1b}[31m\u{0}";
        let shown = "&lt;/td&gt;&lt;/pre&gt;&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;&quot;&amp;\
                     \\u{202e}\\u{61c}\\u{1b}[31m\\u{0}";
        let mut nested = json!({evil: evil});
        for _ in 0..DEPTH + 5 {
            nested = json!([nested]);
        }
        let reports = [
            json!(evil),
            json!({evil: evil}),
            json!({evil: [{evil: evil}, {evil: format!("{evil}\n{evil}")}]}),
            json!({"list": [evil, [evil]]}),
            json!({ "nested": nested }),
        ];
        for report in reports {
            let body = body(&report);
            assert!(
                !body.contains("<script") && !body.contains('\u{1b}'),
                "{body}"
            );
            assert!(!body.contains("</script"), "{body}");
            assert!(!body.contains('\u{202e}') && !body.contains('\''), "{body}");
        }
        assert_eq!(body(&json!(evil)), shown);
    }
}
