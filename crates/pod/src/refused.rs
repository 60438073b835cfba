//! Guests that virt-v2v does not convert: the fixups alone do what can be done.

use refit_v2v::{ConvertError, ErrorKind};

/// Why refit itself goes on after this error; `None` if it does not. Either virt-v2v refuses the kind of guest, or
/// it is not installed.
pub(crate) fn by_virt_v2v(error: &anyhow::Error) -> Option<String> {
    let failed = error.downcast_ref::<ConvertError>()?;
    let is_missing = matches!(
        &failed.kind,
        ErrorKind::ToolMissing { name } if name.starts_with("virt-v2v")
    );
    (is_missing || failed.kind.refuses_guest())
        .then(|| failed.to_string().trim_end_matches('.').to_owned())
}

/// What to do about an error, in a cluster's words.
pub(crate) fn advice(error: &ConvertError) -> &'static str {
    match error.kind {
        ErrorKind::EncryptedNoKey => {
            "Put the passphrases into a Secret and name it in the plan (luks), or switch on Clevis (nbdeClevis)."
        }
        ErrorKind::WrongRootDevice => {
            "Set the VM's rootDisk in the plan to one of the devices that are named."
        }
        ErrorKind::UnsupportedGuest { .. } | ErrorKind::NoOperatingSystem => {
            "Check that all disks of the guest are in the plan, or migrate it without conversion \
             (skipGuestConversion)."
        }
        ErrorKind::NoSpaceHost => {
            "Give the pod more ephemeral storage, or the plan a conversionTempStorageClass and -Size."
        }
        ErrorKind::ApplianceFailed => {
            "The log above tells why; look at the pod's memory limit and, if KVM is at fault, set \
             LIBGUESTFS_BACKEND_SETTINGS=force_tcg."
        }
        ErrorKind::BadOption => {
            "Take the option out of the plan's or the controller's extra arguments."
        }
        ErrorKind::Interrupted => {
            "The pod was told to end: disks in place are as they were, copies are unfinished."
        }
        _ => error.advice(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_kind_of_guest_is_a_reason_to_go_on() {
        let unsupported = ErrorKind::UnsupportedGuest {
            guest: "linux/photon".to_owned(),
        };
        let missing = |name: &str| ErrorKind::ToolMissing {
            name: name.to_owned(),
        };
        for (kind, goes_on) in [
            (unsupported, true),
            (ErrorKind::NoOperatingSystem, true),
            (missing("virt-v2v-in-place"), true),
            (missing("nbdkit"), false),
            (ErrorKind::EncryptedNoKey, false),
            (ErrorKind::Interrupted, false),
            (ErrorKind::Other, false),
        ] {
            let error = anyhow::Error::from(ConvertError::new(kind.clone(), "x"));
            let error = error.context("converting");
            assert_eq!(by_virt_v2v(&error).is_some(), goes_on, "{kind:?}");
        }
        assert_eq!(by_virt_v2v(&anyhow::Error::msg("x")), None);
    }
}
