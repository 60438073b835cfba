//! `DevicePath`: the folders in which Plug and Play looks for INF files.

/// The folder of staged drivers, as it is added.
const FOLDER: &str = r"%SystemRoot%\Drivers\VirtIO";

/// The value with the folder in it; `None` if it is in it already.
pub(super) fn with_folder(value: Option<&str>) -> Option<String> {
    let value = value.unwrap_or(r"%SystemRoot%\inf");
    let mut folders = value.split(';').map(str::trim);
    let same = |folder: &str| {
        // Whatever drive and directory Windows is in.
        let end = FOLDER.trim_start_matches("%SystemRoot%").to_lowercase();
        folder.trim_end_matches('\\').to_lowercase().ends_with(&end)
    };
    if folders.any(same) {
        return None;
    }
    Some(match value.trim_end_matches(';') {
        "" => format!(r"%SystemRoot%\inf;{FOLDER}"),
        value => format!("{value};{FOLDER}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_is_added_once() {
        let added = r"%SystemRoot%\inf;%SystemRoot%\Drivers\VirtIO";
        for (value, expected) in [
            (Some(r"%SystemRoot%\inf"), Some(added)),
            (Some(r"%SystemRoot%\inf;"), Some(added)),
            (None, Some(added)),
            (Some(""), Some(added)),
            (Some(added), None),
            (Some(r"%SystemRoot%\inf;c:\WINDOWS\drivers\virtio\"), None),
            (
                Some(r"%SystemRoot%\inf;D:\drv"),
                Some(r"%SystemRoot%\inf;D:\drv;%SystemRoot%\Drivers\VirtIO"),
            ),
        ] {
            assert_eq!(with_folder(value).as_deref(), expected, "{value:?}");
        }
    }
}
