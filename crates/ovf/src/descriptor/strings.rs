//! Texts in several languages: `Strings` bundles and `ovf:msgid` (DSP0243 section 10).

use std::collections::HashMap;

use refit_machine::xml::{self, Element};

use super::MAX_SIZE;
use super::context::{Problems, children, filled};

/// Bundles that are read.
const MAX_BUNDLES: usize = 64;

/// Gives the text of a file of the package by its `href`, for bundles outside of the descriptor.
pub type LoadBundle<'l> = &'l dyn Fn(&str) -> Option<String>;

/// Replaces the text of everything with a message identifier by that of the wanted language, and returns
/// the languages that there are.
///
/// Without a wish a text that is in place stays; only what is empty is filled, from the bundle of the
/// envelope's own language, of English, or the first.
pub(super) fn localise(
    envelope: &mut Element,
    locale: Option<&str>,
    load: LoadBundle<'_>,
    problems: &mut Problems,
) -> Vec<String> {
    let mut bundles = Vec::new();
    for strings in children(envelope, "Strings").take(MAX_BUNDLES) {
        let language = strings.attribute("lang").unwrap_or_default().to_owned();
        let messages = match filled(strings, "fileRef") {
            None => messages(strings),
            Some(file) => match external(envelope, file, load) {
                Ok(messages) => messages,
                Err(why) => {
                    problems.warn("strings.file", strings, why);
                    continue;
                }
            },
        };
        bundles.push((language, messages));
    }
    let languages = bundles
        .iter()
        .map(|(language, _)| language.clone())
        .filter(|language| !language.is_empty())
        .collect();
    let own = envelope.attribute("lang").unwrap_or("en").to_owned();
    let find = |wanted: &str| {
        let same = |one: &&(String, HashMap<String, String>)| one.0.eq_ignore_ascii_case(wanted);
        let alike = |one: &&(String, HashMap<String, String>)| primary(&one.0) == primary(wanted);
        bundles
            .iter()
            .find(same)
            .or_else(|| bundles.iter().find(alike))
    };
    let wished = locale.and_then(find);
    let fallback = find(&own).or_else(|| find("en")).or(bundles.first());
    if bundles.is_empty() {
        return languages;
    }
    apply(
        envelope,
        wished.map(|(_, messages)| messages),
        fallback.map(|(_, messages)| messages),
    );
    languages
}

/// The language without its region: `en` of `en-US` or `en_US`.
fn primary(language: &str) -> String {
    language
        .split(['-', '_'])
        .next()
        .unwrap_or_default()
        .to_ascii_lowercase()
}

fn messages(strings: &Element) -> HashMap<String, String> {
    strings
        .all("Msg")
        .filter_map(|message| {
            let id = filled(message, "msgid")?;
            Some((id.to_owned(), message.text().unwrap_or_default().to_owned()))
        })
        .collect()
}

fn external(
    envelope: &Element,
    file: &str,
    load: LoadBundle<'_>,
) -> Result<HashMap<String, String>, String> {
    let declared = children(envelope, "References")
        .flat_map(|references| children(references, "File"))
        .find(|one| filled(one, "id") == Some(file))
        .ok_or_else(|| format!("fileRef {file:?} is the id of no File in References"))?;
    let href = filled(declared, "href").unwrap_or_default();
    let text = load(href)
        .ok_or_else(|| format!("the bundle {href:?} is not there; its texts are missing"))?;
    let bundle = xml::parse(&text, MAX_SIZE).map_err(|error| format!("{href:?}: {error}"))?;
    Ok(messages(&bundle))
}

fn apply(
    element: &mut Element,
    wished: Option<&HashMap<String, String>>,
    fallback: Option<&HashMap<String, String>>,
) {
    if let Some(id) = filled(element, "msgid").map(str::to_owned)
        && element.name != "Msg"
    {
        let text = wished
            .and_then(|messages| messages.get(&id))
            .or_else(|| match element.text() {
                None => fallback.and_then(|messages| messages.get(&id)),
                Some(_) => None,
            });
        if let Some(text) = text {
            element.set_text(text);
        }
    }
    for child in &mut element.children {
        apply(child, wished, fallback);
    }
}
