//! Scheduled tasks whose program is the product's.

use refit_engine::{Guest, GuestPath, HiveName};
use refit_hive::Hive;

use super::edits::Edits;
use super::reg;
use super::survey::Survey;

/// Where Windows since Vista keeps what it knows of tasks beside their files.
const CACHE: &str = "Microsoft\\Windows NT\\CurrentVersion\\Schedule\\TaskCache";
/// Lists of tasks by when they start.
const INDEXES: [&str; 5] = ["Tasks", "Plain", "Boot", "Logon", "Maintenance"];
/// Tasks are nested in few folders.
const DEPTH: usize = 16;
/// So much of a task's file is read; Windows writes some kilobytes.
const LONGEST: usize = 1024 * 1024;
/// `magic` of an action that starts a program, in `Actions`.
const EXECUTE: u16 = 0x6666;

/// Removes the tasks: the file, and what the registry has of each.
///
/// # Errors
/// If the guest's files cannot be read.
pub(crate) fn remove(
    guest: &Guest<'_>,
    software: &Hive,
    survey: &Survey<'_>,
    edits: &mut Edits,
) -> anyhow::Result<()> {
    let mut pending = vec![(String::new(), 0)];
    while let Some((folder, depth)) = pending.pop() {
        let path = format!("{CACHE}\\Tree{folder}");
        let Some(key) = software.key(&path) else {
            continue;
        };
        for entry in key.subkeys() {
            let task = format!("{folder}\\{}", entry.name());
            if depth < DEPTH {
                pending.push((task.clone(), depth + 1));
            }
            let Some(id) = reg::text(&entry, "Id") else {
                continue;
            };
            let file = file(guest, survey, &task)?;
            let mut programs = match &file {
                Some(file) => commands(&decode(&guest.read_start(file, LONGEST)?)),
                None => Vec::new(),
            };
            let actions = software
                .key(&format!("{CACHE}\\Tasks\\{id}"))
                .and_then(|key| key.value("Actions"));
            programs.extend(
                actions
                    .iter()
                    .flat_map(|value| registered_commands(&value.data)),
            );
            let mut own = programs
                .iter()
                .filter_map(|program| survey.places.program(program));
            if !own.any(|program| survey.is_own(&program)) {
                continue;
            }
            edits.delete_key(&HiveName::Software, &format!("{CACHE}\\Tree{task}"));
            for index in INDEXES {
                let path = format!("{CACHE}\\{index}\\{id}");
                if software.key(&path).is_some() {
                    edits.delete_key(&HiveName::Software, &path);
                }
            }
            if let Some(file) = file {
                edits.remove(file);
            }
        }
    }
    Ok(())
}

/// The file of a task.
fn file(guest: &Guest<'_>, survey: &Survey<'_>, task: &str) -> anyhow::Result<Option<GuestPath>> {
    let Some(folder) = survey
        .places
        .in_guest(&survey.places.system("system32\\tasks"))
    else {
        return Ok(None);
    };
    let path = folder.join(task.trim_start_matches('\\').replace('\\', "/"));
    match guest.resolve_parent(&path)? {
        Some(real)
            if real.starts_with(&guest.resolve(&folder)?.unwrap_or(folder))
                && guest.exists(&real)? =>
        {
            Ok(Some(real))
        }
        _ => Ok(None),
    }
}

/// The text of a task's file: UTF-16 with a byte order mark, as Windows writes it, or UTF-8.
fn decode(content: &[u8]) -> String {
    match content {
        [0xff, 0xfe, rest @ ..] => {
            let units = rest
                .chunks_exact(2)
                .map(|pair| u16::from_le_bytes([pair[0], pair[1]]));
            char::decode_utf16(units)
                .map(|c| c.unwrap_or('\u{fffd}'))
                .collect()
        }
        other => String::from_utf8_lossy(other).into_owned(),
    }
}

/// The programs of `<Exec><Command>` elements ("Task Scheduler Schema", Win32 documentation).
fn commands(text: &str) -> Vec<String> {
    let mut reader = quick_xml::Reader::from_str(text.trim_start_matches('\u{feff}'));
    let mut commands = Vec::new();
    let mut inside: Option<String> = None;
    loop {
        use quick_xml::events::Event;
        match reader.read_event() {
            Ok(Event::Start(tag)) if tag.local_name().as_ref() == "Command" => {
                inside = Some(String::new())
            }
            Ok(Event::End(tag)) if tag.local_name().as_ref() == "Command" => {
                commands.extend(inside.take())
            }
            Ok(Event::Text(part)) => {
                if let Some(command) = inside.as_mut() {
                    command.push_str(&part);
                }
            }
            Ok(Event::GeneralRef(reference)) => {
                let character = match reference.resolve_char_ref() {
                    Ok(Some(character)) => Some(character),
                    _ => entity(&reference),
                };
                if let (Some(command), Some(character)) = (inside.as_mut(), character) {
                    command.push(character);
                }
            }
            Ok(Event::Eof) | Err(_) => return commands,
            Ok(_) => {}
        }
    }
}

/// A character that XML has a name for.
fn entity(name: &str) -> Option<char> {
    let known = [
        ("amp", '&'),
        ("lt", '<'),
        ("gt", '>'),
        ("quot", '"'),
        ("apos", '\''),
    ];
    known
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, character)| *character)
}

/// The programs in a task's value `Actions`: a version, the name of who runs them, then for each action what it is, its
/// id, its program, arguments and folder, every text with its length in bytes before it.
fn registered_commands(data: &[u8]) -> Vec<String> {
    let mut commands = Vec::new();
    let mut rest = data;
    // Ends at the end of the data, or at a kind of action with another form.
    let _ = read_actions(&mut rest, &mut commands);
    commands
}

fn read_actions(rest: &mut &[u8], commands: &mut Vec<String>) -> Option<()> {
    let version = read_number(rest)?;
    if version > 1 {
        read_text(rest)?;
    }
    while read_number(rest)? == EXECUTE {
        read_text(rest)?;
        commands.push(read_text(rest)?);
        read_text(rest)?;
        read_text(rest)?;
        if version > 2 {
            read_number(rest)?;
        }
    }
    None
}

fn read_number(rest: &mut &[u8]) -> Option<u16> {
    let (taken, left) = rest.split_at_checked(2)?;
    *rest = left;
    Some(u16::from_le_bytes(taken.try_into().ok()?))
}

fn read_text(rest: &mut &[u8]) -> Option<String> {
    let (length, left) = rest.split_at_checked(4)?;
    let length = u32::from_le_bytes(length.try_into().ok()?);
    let (bytes, left) = left.split_at_checked(usize::try_from(length).ok()?)?;
    *rest = left;
    Some(decode(&[&[0xff, 0xfe], bytes].concat()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_of_a_file() {
        let xml = "<?xml version=\"1.0\"?><Task xmlns=\"http://schemas.microsoft.com/windows/2004/02/mit/task\">\
                   <Actions><Exec><Command>\"C:\\A B\\x.exe\"</Command><Arguments>-n</Arguments></Exec>\
                   <Exec><Command>y&amp;&#122;.exe</Command></Exec></Actions></Task>";
        let mut utf16 = vec![0xff, 0xfe];
        utf16.extend(xml.encode_utf16().flat_map(u16::to_le_bytes));
        assert_eq!(commands(&decode(&utf16)), ["\"C:\\A B\\x.exe\"", "y&z.exe"]);
        assert_eq!(commands("<Task><Exec><Command>x"), Vec::<String>::new());
    }

    #[test]
    fn programs_of_the_registry() {
        let mut data = 3_u16.to_le_bytes().to_vec();
        let text = |data: &mut Vec<u8>, text: &str| {
            let bytes: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
            data.extend(u32::try_from(bytes.len()).unwrap().to_le_bytes());
            data.extend(bytes);
        };
        text(&mut data, "LocalSystem");
        data.extend(EXECUTE.to_le_bytes());
        for part in ["", "C:\\x.exe", "-a", ""] {
            text(&mut data, part);
        }
        data.extend([0, 0]);
        assert_eq!(registered_commands(&data), ["C:\\x.exe"]);
        data.extend(EXECUTE.to_le_bytes());
        data.extend([0xff; 6]);
        assert_eq!(registered_commands(&data), ["C:\\x.exe"]);
        assert_eq!(registered_commands(&[3]), Vec::<String>::new());
    }
}
