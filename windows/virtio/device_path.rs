//! `DevicePath`: the folders in which Plug and Play looks for INF files.

/// The folder of staged drivers, as it is added.
pub(super) const FOLDER: &str = r"%SystemRoot%\Drivers\VirtIO";

/// The value with the folder in it, and those below it that are named; `None` if all are in it already.
pub(super) fn with_folders(value: Option<&str>, below: &[String]) -> Option<String> {
    let old = value.unwrap_or_default().trim_end_matches(';');
    let mut new = match old {
        "" => r"%SystemRoot%\inf".to_owned(),
        old => old.to_owned(),
    };
    let below = below.iter().map(|name| format!("{FOLDER}\\{name}"));
    for folder in std::iter::once(FOLDER.to_owned()).chain(below) {
        // Whatever drive and directory Windows is in.
        let end = folder.trim_start_matches("%SystemRoot%").to_lowercase();
        let same = |own: &str| {
            let own = own.trim().trim_end_matches('\\').to_lowercase();
            own.ends_with(&end)
        };
        if !new.split(';').any(same) {
            new = format!("{new};{folder}");
        }
    }
    (new != old).then_some(new)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_folder_is_added_once() {
        let added = r"%SystemRoot%\inf;%SystemRoot%\Drivers\VirtIO";
        let both = r"%SystemRoot%\inf;%SystemRoot%\Drivers\VirtIO;%SystemRoot%\Drivers\VirtIO\b";
        let other = r"%SystemRoot%\inf;D:\drv;%SystemRoot%\Drivers\VirtIO";
        for (value, below, expected) in [
            (Some(r"%SystemRoot%\inf"), "", Some(added)),
            (Some(r"%SystemRoot%\inf;"), "", Some(added)),
            (None, "", Some(added)),
            (Some(""), "", Some(added)),
            (Some(added), "", None),
            (
                Some(r"%SystemRoot%\inf;c:\WINDOWS\drivers\virtio\"),
                "",
                None,
            ),
            (Some(r"%SystemRoot%\inf;D:\drv"), "", Some(other)),
            (Some(added), "b", Some(both)),
            (Some(both), "b", None),
        ] {
            let below: Vec<String> = below.split_whitespace().map(str::to_owned).collect();
            let found = with_folders(value, &below);
            assert_eq!(found.as_deref(), expected, "{value:?}, {below:?}");
        }
    }
}
