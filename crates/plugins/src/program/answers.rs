//! Answers to a program's questions.

use refit_engine::Guest;
use refit_engine::backend::FileKind;

use super::protocol::{Answer, Content, ListEntry, Question};
use super::registry;

/// What the guest says. What cannot be read is an answer, too, not the program's end.
pub(super) fn answer(guest: &Guest<'_>, question: &Question) -> Answer {
    ask(guest, question).unwrap_or_else(|error| Answer::Error {
        error: format!("{error:#}"),
    })
}

fn ask(guest: &Guest<'_>, question: &Question) -> anyhow::Result<Answer> {
    Ok(match question {
        Question::Read { path } => guest.read(&path.0)?.map_or(Answer::Nothing, |content| {
            Answer::Read(Content::new(content))
        }),
        Question::List { path } => match guest.stat(&path.0)? {
            Some(stat) if stat.kind == FileKind::Dir => Answer::List {
                entries: guest
                    .list(&path.0)?
                    .into_iter()
                    .filter_map(|entry| {
                        Some(ListEntry {
                            name: String::from_utf8(entry.name).ok()?,
                            kind: entry.kind.into(),
                        })
                    })
                    .collect(),
            },
            _ => Answer::Nothing,
        },
        Question::Stat { path } => {
            guest
                .stat(&path.0)?
                .map_or(Answer::Nothing, |stat| Answer::Stat {
                    kind: stat.kind.into(),
                    mode: format!("{:04o}", stat.mode),
                    uid: stat.uid,
                    gid: stat.gid,
                    size: stat.size,
                })
        }
        Question::Readlink { path } => {
            guest
                .read_link(&path.0)?
                .map_or(Answer::Nothing, |target| Answer::Readlink {
                    target: String::from_utf8_lossy(&target).into_owned(),
                })
        }
        Question::Registry { hive, key } => registry::answer(guest, hive, key)?,
        Question::Users => Answer::Users {
            hives: guest
                .user_hives()?
                .iter()
                .map(ToString::to_string)
                .collect(),
        },
    })
}
