//! Answers to a program's questions.

use refit_engine::Guest;
use refit_engine::backend::FileKind;

use super::protocol::{Answer, Ask, Content, ListEntry, Question};

/// What the guest's files say. What cannot be read is an answer, too, not the program's end.
pub(super) fn answer(guest: &Guest<'_>, question: &Question) -> Answer {
    ask(guest, question).unwrap_or_else(|error| Answer::Error {
        error: format!("{error:#}"),
    })
}

fn ask(guest: &Guest<'_>, question: &Question) -> anyhow::Result<Answer> {
    let path = &question.path.0;
    Ok(match question.ask {
        Ask::Read => guest.read(path)?.map_or(Answer::Nothing, |content| {
            Answer::Read(Content::new(content))
        }),
        Ask::List => match guest.stat(path)? {
            Some(stat) if stat.kind == FileKind::Dir => Answer::List {
                entries: guest
                    .list(path)?
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
        Ask::Stat => guest
            .stat(path)?
            .map_or(Answer::Nothing, |stat| Answer::Stat {
                kind: stat.kind.into(),
                mode: format!("{:04o}", stat.mode),
                uid: stat.uid,
                gid: stat.gid,
                size: stat.size,
            }),
        Ask::Readlink => {
            guest
                .read_link(path)?
                .map_or(Answer::Nothing, |target| Answer::Readlink {
                    target: String::from_utf8_lossy(&target).into_owned(),
                })
        }
    })
}
