//! Encrypted volumes and LVM.

use std::ffi::{CStr, c_int};

use refit_guestfs_sys as sys;

use crate::call::{set_option, string_calls};
use crate::error::Result;
use crate::handle::Handle;

string_calls! {
    /// Closes what [`cryptsetup_open`](Handle::cryptsetup_open) opened:
    /// `/dev/mapper/<mapname>`.
    cryptsetup_close(device) on device -> unit = guestfs_cryptsetup_close;

    /// The UUID of a LUKS device.
    luks_uuid(device) on device -> text = guestfs_luks_uuid;

    /// The logical volumes, as `/dev/VG/LV`.
    lvs() -> texts = guestfs_lvs;

    /// The names of the volume groups.
    vgs() -> texts = guestfs_vgs;

    /// Looks for volume groups again.
    vgscan() -> unit = guestfs_vgscan;
}

impl Handle {
    /// Opens a LUKS or BitLocker device as `/dev/mapper/<mapname>`. Afterwards
    /// [`lvm_scan`](Self::lvm_scan) finds volume groups in it.
    pub fn cryptsetup_open(
        &self,
        device: impl AsRef<[u8]>,
        key: &[u8],
        mapname: impl AsRef<[u8]>,
        options: &CryptsetupOpen,
    ) -> Result<()> {
        let call = self.call("cryptsetup_open").on(&device);
        let device = call.string("device", device)?;
        let key = call.string("key", key)?;
        let mapname = call.string("mapname", mapname)?;
        let crypttype = call.optional_string("crypttype", options.crypttype.as_ref())?;
        let mut args = sys::guestfs_cryptsetup_open_argv::default();
        let readonly = options.readonly.map(c_int::from);
        set_option!(args.readonly = readonly, GUESTFS_CRYPTSETUP_OPEN_READONLY);
        let crypttype = crypttype.as_deref().map(CStr::as_ptr);
        set_option!(
            args.crypttype = crypttype,
            GUESTFS_CRYPTSETUP_OPEN_CRYPTTYPE
        );
        // SAFETY: one call; the strings live until the end of this method.
        unsafe {
            call.unit(|g| {
                let (device, key, mapname) = (device.as_ptr(), key.as_ptr(), mapname.as_ptr());
                sys::guestfs_cryptsetup_open_argv(g, device, key, mapname, &raw const args)
            })
        }
    }

    /// Activates or deactivates all volume groups.
    pub fn vg_activate_all(&self, activate: bool) -> Result<()> {
        // SAFETY: one call on the handle.
        unsafe {
            self.call("vg_activate_all")
                .unit(|g| sys::guestfs_vg_activate_all(g, activate.into()))
        }
    }

    /// Looks for physical volumes on all devices, and activates what it finds
    /// if `activate` is set.
    pub fn lvm_scan(&self, activate: bool) -> Result<()> {
        // SAFETY: one call on the handle.
        unsafe {
            self.call("lvm_scan")
                .unit(|g| sys::guestfs_lvm_scan(g, activate.into()))
        }
    }

    /// Whether a mountable is a logical volume.
    pub fn is_lv(&self, mountable: impl AsRef<[u8]>) -> Result<bool> {
        let call = self.call("is_lv").on(&mountable);
        let mountable = call.string("mountable", mountable)?;
        // SAFETY: one call; the string lives until the end of this method.
        unsafe { call.flag(|g| sys::guestfs_is_lv(g, mountable.as_ptr())) }
    }
}

/// The optional arguments of [`Handle::cryptsetup_open`].
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct CryptsetupOpen {
    readonly: Option<bool>,
    crypttype: Option<String>,
}

impl CryptsetupOpen {
    /// Writable, its kind detected.
    pub fn new() -> Self {
        Self::default()
    }

    /// Nothing can be written through the mapping.
    pub fn readonly(mut self, readonly: bool) -> Self {
        self.readonly = Some(readonly);
        self
    }

    /// The kind of encryption: `luks`, `luks1`, `luks2`, `bitlk`.
    pub fn crypttype(mut self, crypttype: impl Into<String>) -> Self {
        self.crypttype = Some(crypttype.into());
        self
    }
}
