// Generated from guestfs.h 1.48 and allowlist.txt by `cargo xtask bindings`.
// Do not edit.

pub const GUESTFS_CREATE_NO_ENVIRONMENT: u32 = 1;
pub const GUESTFS_CREATE_NO_CLOSE_ON_EXIT: u32 = 2;
pub const GUESTFS_EVENT_CLOSE: u32 = 1;
pub const GUESTFS_EVENT_SUBPROCESS_QUIT: u32 = 2;
pub const GUESTFS_EVENT_LAUNCH_DONE: u32 = 4;
pub const GUESTFS_EVENT_PROGRESS: u32 = 8;
pub const GUESTFS_EVENT_APPLIANCE: u32 = 16;
pub const GUESTFS_EVENT_LIBRARY: u32 = 32;
pub const GUESTFS_EVENT_TRACE: u32 = 64;
pub const GUESTFS_EVENT_ENTER: u32 = 128;
pub const GUESTFS_EVENT_WARNING: u32 = 512;
pub const GUESTFS_ADD_DRIVE_OPTS_READONLY: u32 = 0;
pub const GUESTFS_ADD_DRIVE_OPTS_FORMAT: u32 = 1;
pub const GUESTFS_ADD_DRIVE_OPTS_IFACE: u32 = 2;
pub const GUESTFS_ADD_DRIVE_OPTS_NAME: u32 = 3;
pub const GUESTFS_ADD_DRIVE_OPTS_LABEL: u32 = 4;
pub const GUESTFS_ADD_DRIVE_OPTS_CACHEMODE: u32 = 9;
pub const GUESTFS_ADD_DRIVE_OPTS_DISCARD: u32 = 10;
pub const GUESTFS_ADD_DRIVE_OPTS_COPYONREAD: u32 = 11;
pub const GUESTFS_ADD_DRIVE_OPTS_BLOCKSIZE: u32 = 12;
pub const GUESTFS_COPY_ATTRIBUTES_ALL: u32 = 0;
pub const GUESTFS_COPY_ATTRIBUTES_MODE: u32 = 1;
pub const GUESTFS_COPY_ATTRIBUTES_XATTRIBUTES: u32 = 2;
pub const GUESTFS_COPY_ATTRIBUTES_OWNERSHIP: u32 = 3;
pub const GUESTFS_CRYPTSETUP_OPEN_READONLY: u32 = 0;
pub const GUESTFS_CRYPTSETUP_OPEN_CRYPTTYPE: u32 = 1;
pub const GUESTFS_FSTRIM_OFFSET: u32 = 0;
pub const GUESTFS_FSTRIM_LENGTH: u32 = 1;
pub const GUESTFS_FSTRIM_MINIMUMFREEEXTENT: u32 = 2;
pub const GUESTFS_HIVEX_OPEN_VERBOSE: u32 = 0;
pub const GUESTFS_HIVEX_OPEN_DEBUG: u32 = 1;
pub const GUESTFS_HIVEX_OPEN_WRITE: u32 = 2;
pub const GUESTFS_HIVEX_OPEN_UNSAFE: u32 = 3;
pub const GUESTFS_IS_DIR_OPTS_FOLLOWSYMLINKS: u32 = 0;
pub const GUESTFS_IS_FILE_OPTS_FOLLOWSYMLINKS: u32 = 0;
pub const GUESTFS_MKFS_OPTS_BLOCKSIZE: u32 = 0;
pub const GUESTFS_MKFS_OPTS_FEATURES: u32 = 1;
pub const GUESTFS_MKFS_OPTS_INODE: u32 = 2;
pub const GUESTFS_MKFS_OPTS_SECTORSIZE: u32 = 3;
pub const GUESTFS_MKFS_OPTS_LABEL: u32 = 4;
pub const GUESTFS_MKSWAP_OPTS_LABEL: u32 = 0;
pub const GUESTFS_SELINUX_RELABEL_FORCE: u32 = 0;
pub const GUESTFS_TAR_IN_OPTS_COMPRESS: u32 = 0;
pub const GUESTFS_TAR_IN_OPTS_XATTRS: u32 = 1;
pub const GUESTFS_TAR_IN_OPTS_SELINUX: u32 = 2;
pub const GUESTFS_TAR_IN_OPTS_ACLS: u32 = 3;
pub const GUESTFS_TAR_OUT_OPTS_COMPRESS: u32 = 0;
pub const GUESTFS_TAR_OUT_OPTS_NUMERICOWNER: u32 = 1;
pub const GUESTFS_TAR_OUT_OPTS_EXCLUDES: u32 = 2;
pub const GUESTFS_TAR_OUT_OPTS_XATTRS: u32 = 3;
pub const GUESTFS_TAR_OUT_OPTS_SELINUX: u32 = 4;
pub const GUESTFS_TAR_OUT_OPTS_ACLS: u32 = 5;
#[repr(C)]
#[derive(Debug)]
pub struct guestfs_h {
    _unused: [u8; 0],
}
pub type guestfs_error_handler_cb = ::core::option::Option<
    unsafe extern "C" fn(
        g: *mut guestfs_h,
        opaque: *mut ::core::ffi::c_void,
        msg: *const ::core::ffi::c_char,
    ),
>;
pub type guestfs_event_callback = ::core::option::Option<
    unsafe extern "C" fn(
        g: *mut guestfs_h,
        opaque: *mut ::core::ffi::c_void,
        event: u64,
        event_handle: ::core::ffi::c_int,
        flags: ::core::ffi::c_int,
        buf: *const ::core::ffi::c_char,
        buf_len: usize,
        array: *const u64,
        array_len: usize,
    ),
>;
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct guestfs_dirent {
    pub ino: i64,
    pub ftyp: ::core::ffi::c_char,
    pub name: *mut ::core::ffi::c_char,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of guestfs_dirent"][::core::mem::size_of::<guestfs_dirent>() - 24usize];
    ["Alignment of guestfs_dirent"][::core::mem::align_of::<guestfs_dirent>() - 8usize];
    ["Offset of field: guestfs_dirent::ino"][::core::mem::offset_of!(guestfs_dirent, ino) - 0usize];
    ["Offset of field: guestfs_dirent::ftyp"]
        [::core::mem::offset_of!(guestfs_dirent, ftyp) - 8usize];
    ["Offset of field: guestfs_dirent::name"]
        [::core::mem::offset_of!(guestfs_dirent, name) - 16usize];
};
impl Default for guestfs_dirent {
    fn default() -> Self {
        let mut s = ::core::mem::MaybeUninit::<Self>::uninit();
        unsafe {
            ::core::ptr::write_bytes(s.as_mut_ptr(), 0, 1);
            s.assume_init()
        }
    }
}
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct guestfs_dirent_list {
    pub len: u32,
    pub val: *mut guestfs_dirent,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of guestfs_dirent_list"][::core::mem::size_of::<guestfs_dirent_list>() - 16usize];
    ["Alignment of guestfs_dirent_list"][::core::mem::align_of::<guestfs_dirent_list>() - 8usize];
    ["Offset of field: guestfs_dirent_list::len"]
        [::core::mem::offset_of!(guestfs_dirent_list, len) - 0usize];
    ["Offset of field: guestfs_dirent_list::val"]
        [::core::mem::offset_of!(guestfs_dirent_list, val) - 8usize];
};
impl Default for guestfs_dirent_list {
    fn default() -> Self {
        let mut s = ::core::mem::MaybeUninit::<Self>::uninit();
        unsafe {
            ::core::ptr::write_bytes(s.as_mut_ptr(), 0, 1);
            s.assume_init()
        }
    }
}
#[repr(C)]
#[derive(Debug, Default, Copy, Clone)]
pub struct guestfs_hivex_node {
    pub hivex_node_h: i64,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of guestfs_hivex_node"][::core::mem::size_of::<guestfs_hivex_node>() - 8usize];
    ["Alignment of guestfs_hivex_node"][::core::mem::align_of::<guestfs_hivex_node>() - 8usize];
    ["Offset of field: guestfs_hivex_node::hivex_node_h"]
        [::core::mem::offset_of!(guestfs_hivex_node, hivex_node_h) - 0usize];
};
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct guestfs_hivex_node_list {
    pub len: u32,
    pub val: *mut guestfs_hivex_node,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of guestfs_hivex_node_list"]
        [::core::mem::size_of::<guestfs_hivex_node_list>() - 16usize];
    ["Alignment of guestfs_hivex_node_list"]
        [::core::mem::align_of::<guestfs_hivex_node_list>() - 8usize];
    ["Offset of field: guestfs_hivex_node_list::len"]
        [::core::mem::offset_of!(guestfs_hivex_node_list, len) - 0usize];
    ["Offset of field: guestfs_hivex_node_list::val"]
        [::core::mem::offset_of!(guestfs_hivex_node_list, val) - 8usize];
};
impl Default for guestfs_hivex_node_list {
    fn default() -> Self {
        let mut s = ::core::mem::MaybeUninit::<Self>::uninit();
        unsafe {
            ::core::ptr::write_bytes(s.as_mut_ptr(), 0, 1);
            s.assume_init()
        }
    }
}
#[repr(C)]
#[derive(Debug, Default, Copy, Clone)]
pub struct guestfs_hivex_value {
    pub hivex_value_h: i64,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of guestfs_hivex_value"][::core::mem::size_of::<guestfs_hivex_value>() - 8usize];
    ["Alignment of guestfs_hivex_value"][::core::mem::align_of::<guestfs_hivex_value>() - 8usize];
    ["Offset of field: guestfs_hivex_value::hivex_value_h"]
        [::core::mem::offset_of!(guestfs_hivex_value, hivex_value_h) - 0usize];
};
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct guestfs_hivex_value_list {
    pub len: u32,
    pub val: *mut guestfs_hivex_value,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of guestfs_hivex_value_list"]
        [::core::mem::size_of::<guestfs_hivex_value_list>() - 16usize];
    ["Alignment of guestfs_hivex_value_list"]
        [::core::mem::align_of::<guestfs_hivex_value_list>() - 8usize];
    ["Offset of field: guestfs_hivex_value_list::len"]
        [::core::mem::offset_of!(guestfs_hivex_value_list, len) - 0usize];
    ["Offset of field: guestfs_hivex_value_list::val"]
        [::core::mem::offset_of!(guestfs_hivex_value_list, val) - 8usize];
};
impl Default for guestfs_hivex_value_list {
    fn default() -> Self {
        let mut s = ::core::mem::MaybeUninit::<Self>::uninit();
        unsafe {
            ::core::ptr::write_bytes(s.as_mut_ptr(), 0, 1);
            s.assume_init()
        }
    }
}
#[repr(C)]
#[derive(Debug, Default, Copy, Clone)]
pub struct guestfs_partition {
    pub part_num: i32,
    pub part_start: u64,
    pub part_end: u64,
    pub part_size: u64,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of guestfs_partition"][::core::mem::size_of::<guestfs_partition>() - 32usize];
    ["Alignment of guestfs_partition"][::core::mem::align_of::<guestfs_partition>() - 8usize];
    ["Offset of field: guestfs_partition::part_num"]
        [::core::mem::offset_of!(guestfs_partition, part_num) - 0usize];
    ["Offset of field: guestfs_partition::part_start"]
        [::core::mem::offset_of!(guestfs_partition, part_start) - 8usize];
    ["Offset of field: guestfs_partition::part_end"]
        [::core::mem::offset_of!(guestfs_partition, part_end) - 16usize];
    ["Offset of field: guestfs_partition::part_size"]
        [::core::mem::offset_of!(guestfs_partition, part_size) - 24usize];
};
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct guestfs_partition_list {
    pub len: u32,
    pub val: *mut guestfs_partition,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of guestfs_partition_list"][::core::mem::size_of::<guestfs_partition_list>() - 16usize];
    ["Alignment of guestfs_partition_list"]
        [::core::mem::align_of::<guestfs_partition_list>() - 8usize];
    ["Offset of field: guestfs_partition_list::len"]
        [::core::mem::offset_of!(guestfs_partition_list, len) - 0usize];
    ["Offset of field: guestfs_partition_list::val"]
        [::core::mem::offset_of!(guestfs_partition_list, val) - 8usize];
};
impl Default for guestfs_partition_list {
    fn default() -> Self {
        let mut s = ::core::mem::MaybeUninit::<Self>::uninit();
        unsafe {
            ::core::ptr::write_bytes(s.as_mut_ptr(), 0, 1);
            s.assume_init()
        }
    }
}
#[repr(C)]
#[derive(Debug, Default, Copy, Clone)]
pub struct guestfs_statns {
    pub st_dev: i64,
    pub st_ino: i64,
    pub st_mode: i64,
    pub st_nlink: i64,
    pub st_uid: i64,
    pub st_gid: i64,
    pub st_rdev: i64,
    pub st_size: i64,
    pub st_blksize: i64,
    pub st_blocks: i64,
    pub st_atime_sec: i64,
    pub st_atime_nsec: i64,
    pub st_mtime_sec: i64,
    pub st_mtime_nsec: i64,
    pub st_ctime_sec: i64,
    pub st_ctime_nsec: i64,
    pub st_spare1: i64,
    pub st_spare2: i64,
    pub st_spare3: i64,
    pub st_spare4: i64,
    pub st_spare5: i64,
    pub st_spare6: i64,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of guestfs_statns"][::core::mem::size_of::<guestfs_statns>() - 176usize];
    ["Alignment of guestfs_statns"][::core::mem::align_of::<guestfs_statns>() - 8usize];
    ["Offset of field: guestfs_statns::st_dev"]
        [::core::mem::offset_of!(guestfs_statns, st_dev) - 0usize];
    ["Offset of field: guestfs_statns::st_ino"]
        [::core::mem::offset_of!(guestfs_statns, st_ino) - 8usize];
    ["Offset of field: guestfs_statns::st_mode"]
        [::core::mem::offset_of!(guestfs_statns, st_mode) - 16usize];
    ["Offset of field: guestfs_statns::st_nlink"]
        [::core::mem::offset_of!(guestfs_statns, st_nlink) - 24usize];
    ["Offset of field: guestfs_statns::st_uid"]
        [::core::mem::offset_of!(guestfs_statns, st_uid) - 32usize];
    ["Offset of field: guestfs_statns::st_gid"]
        [::core::mem::offset_of!(guestfs_statns, st_gid) - 40usize];
    ["Offset of field: guestfs_statns::st_rdev"]
        [::core::mem::offset_of!(guestfs_statns, st_rdev) - 48usize];
    ["Offset of field: guestfs_statns::st_size"]
        [::core::mem::offset_of!(guestfs_statns, st_size) - 56usize];
    ["Offset of field: guestfs_statns::st_blksize"]
        [::core::mem::offset_of!(guestfs_statns, st_blksize) - 64usize];
    ["Offset of field: guestfs_statns::st_blocks"]
        [::core::mem::offset_of!(guestfs_statns, st_blocks) - 72usize];
    ["Offset of field: guestfs_statns::st_atime_sec"]
        [::core::mem::offset_of!(guestfs_statns, st_atime_sec) - 80usize];
    ["Offset of field: guestfs_statns::st_atime_nsec"]
        [::core::mem::offset_of!(guestfs_statns, st_atime_nsec) - 88usize];
    ["Offset of field: guestfs_statns::st_mtime_sec"]
        [::core::mem::offset_of!(guestfs_statns, st_mtime_sec) - 96usize];
    ["Offset of field: guestfs_statns::st_mtime_nsec"]
        [::core::mem::offset_of!(guestfs_statns, st_mtime_nsec) - 104usize];
    ["Offset of field: guestfs_statns::st_ctime_sec"]
        [::core::mem::offset_of!(guestfs_statns, st_ctime_sec) - 112usize];
    ["Offset of field: guestfs_statns::st_ctime_nsec"]
        [::core::mem::offset_of!(guestfs_statns, st_ctime_nsec) - 120usize];
    ["Offset of field: guestfs_statns::st_spare1"]
        [::core::mem::offset_of!(guestfs_statns, st_spare1) - 128usize];
    ["Offset of field: guestfs_statns::st_spare2"]
        [::core::mem::offset_of!(guestfs_statns, st_spare2) - 136usize];
    ["Offset of field: guestfs_statns::st_spare3"]
        [::core::mem::offset_of!(guestfs_statns, st_spare3) - 144usize];
    ["Offset of field: guestfs_statns::st_spare4"]
        [::core::mem::offset_of!(guestfs_statns, st_spare4) - 152usize];
    ["Offset of field: guestfs_statns::st_spare5"]
        [::core::mem::offset_of!(guestfs_statns, st_spare5) - 160usize];
    ["Offset of field: guestfs_statns::st_spare6"]
        [::core::mem::offset_of!(guestfs_statns, st_spare6) - 168usize];
};
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct guestfs_statns_list {
    pub len: u32,
    pub val: *mut guestfs_statns,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of guestfs_statns_list"][::core::mem::size_of::<guestfs_statns_list>() - 16usize];
    ["Alignment of guestfs_statns_list"][::core::mem::align_of::<guestfs_statns_list>() - 8usize];
    ["Offset of field: guestfs_statns_list::len"]
        [::core::mem::offset_of!(guestfs_statns_list, len) - 0usize];
    ["Offset of field: guestfs_statns_list::val"]
        [::core::mem::offset_of!(guestfs_statns_list, val) - 8usize];
};
impl Default for guestfs_statns_list {
    fn default() -> Self {
        let mut s = ::core::mem::MaybeUninit::<Self>::uninit();
        unsafe {
            ::core::ptr::write_bytes(s.as_mut_ptr(), 0, 1);
            s.assume_init()
        }
    }
}
#[repr(C)]
#[derive(Debug, Default, Copy, Clone)]
pub struct guestfs_statvfs {
    pub bsize: i64,
    pub frsize: i64,
    pub blocks: i64,
    pub bfree: i64,
    pub bavail: i64,
    pub files: i64,
    pub ffree: i64,
    pub favail: i64,
    pub fsid: i64,
    pub flag: i64,
    pub namemax: i64,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of guestfs_statvfs"][::core::mem::size_of::<guestfs_statvfs>() - 88usize];
    ["Alignment of guestfs_statvfs"][::core::mem::align_of::<guestfs_statvfs>() - 8usize];
    ["Offset of field: guestfs_statvfs::bsize"]
        [::core::mem::offset_of!(guestfs_statvfs, bsize) - 0usize];
    ["Offset of field: guestfs_statvfs::frsize"]
        [::core::mem::offset_of!(guestfs_statvfs, frsize) - 8usize];
    ["Offset of field: guestfs_statvfs::blocks"]
        [::core::mem::offset_of!(guestfs_statvfs, blocks) - 16usize];
    ["Offset of field: guestfs_statvfs::bfree"]
        [::core::mem::offset_of!(guestfs_statvfs, bfree) - 24usize];
    ["Offset of field: guestfs_statvfs::bavail"]
        [::core::mem::offset_of!(guestfs_statvfs, bavail) - 32usize];
    ["Offset of field: guestfs_statvfs::files"]
        [::core::mem::offset_of!(guestfs_statvfs, files) - 40usize];
    ["Offset of field: guestfs_statvfs::ffree"]
        [::core::mem::offset_of!(guestfs_statvfs, ffree) - 48usize];
    ["Offset of field: guestfs_statvfs::favail"]
        [::core::mem::offset_of!(guestfs_statvfs, favail) - 56usize];
    ["Offset of field: guestfs_statvfs::fsid"]
        [::core::mem::offset_of!(guestfs_statvfs, fsid) - 64usize];
    ["Offset of field: guestfs_statvfs::flag"]
        [::core::mem::offset_of!(guestfs_statvfs, flag) - 72usize];
    ["Offset of field: guestfs_statvfs::namemax"]
        [::core::mem::offset_of!(guestfs_statvfs, namemax) - 80usize];
};
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct guestfs_version {
    pub major: i64,
    pub minor: i64,
    pub release: i64,
    pub extra: *mut ::core::ffi::c_char,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of guestfs_version"][::core::mem::size_of::<guestfs_version>() - 32usize];
    ["Alignment of guestfs_version"][::core::mem::align_of::<guestfs_version>() - 8usize];
    ["Offset of field: guestfs_version::major"]
        [::core::mem::offset_of!(guestfs_version, major) - 0usize];
    ["Offset of field: guestfs_version::minor"]
        [::core::mem::offset_of!(guestfs_version, minor) - 8usize];
    ["Offset of field: guestfs_version::release"]
        [::core::mem::offset_of!(guestfs_version, release) - 16usize];
    ["Offset of field: guestfs_version::extra"]
        [::core::mem::offset_of!(guestfs_version, extra) - 24usize];
};
impl Default for guestfs_version {
    fn default() -> Self {
        let mut s = ::core::mem::MaybeUninit::<Self>::uninit();
        unsafe {
            ::core::ptr::write_bytes(s.as_mut_ptr(), 0, 1);
            s.assume_init()
        }
    }
}
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct guestfs_xattr {
    pub attrname: *mut ::core::ffi::c_char,
    pub attrval_len: u32,
    pub attrval: *mut ::core::ffi::c_char,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of guestfs_xattr"][::core::mem::size_of::<guestfs_xattr>() - 24usize];
    ["Alignment of guestfs_xattr"][::core::mem::align_of::<guestfs_xattr>() - 8usize];
    ["Offset of field: guestfs_xattr::attrname"]
        [::core::mem::offset_of!(guestfs_xattr, attrname) - 0usize];
    ["Offset of field: guestfs_xattr::attrval_len"]
        [::core::mem::offset_of!(guestfs_xattr, attrval_len) - 8usize];
    ["Offset of field: guestfs_xattr::attrval"]
        [::core::mem::offset_of!(guestfs_xattr, attrval) - 16usize];
};
impl Default for guestfs_xattr {
    fn default() -> Self {
        let mut s = ::core::mem::MaybeUninit::<Self>::uninit();
        unsafe {
            ::core::ptr::write_bytes(s.as_mut_ptr(), 0, 1);
            s.assume_init()
        }
    }
}
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct guestfs_xattr_list {
    pub len: u32,
    pub val: *mut guestfs_xattr,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of guestfs_xattr_list"][::core::mem::size_of::<guestfs_xattr_list>() - 16usize];
    ["Alignment of guestfs_xattr_list"][::core::mem::align_of::<guestfs_xattr_list>() - 8usize];
    ["Offset of field: guestfs_xattr_list::len"]
        [::core::mem::offset_of!(guestfs_xattr_list, len) - 0usize];
    ["Offset of field: guestfs_xattr_list::val"]
        [::core::mem::offset_of!(guestfs_xattr_list, val) - 8usize];
};
impl Default for guestfs_xattr_list {
    fn default() -> Self {
        let mut s = ::core::mem::MaybeUninit::<Self>::uninit();
        unsafe {
            ::core::ptr::write_bytes(s.as_mut_ptr(), 0, 1);
            s.assume_init()
        }
    }
}
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct guestfs_add_drive_opts_argv {
    pub bitmask: u64,
    pub readonly: ::core::ffi::c_int,
    pub format: *const ::core::ffi::c_char,
    pub iface: *const ::core::ffi::c_char,
    pub name: *const ::core::ffi::c_char,
    pub label: *const ::core::ffi::c_char,
    pub protocol: *const ::core::ffi::c_char,
    pub server: *const *mut ::core::ffi::c_char,
    pub username: *const ::core::ffi::c_char,
    pub secret: *const ::core::ffi::c_char,
    pub cachemode: *const ::core::ffi::c_char,
    pub discard: *const ::core::ffi::c_char,
    pub copyonread: ::core::ffi::c_int,
    pub blocksize: ::core::ffi::c_int,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of guestfs_add_drive_opts_argv"]
        [::core::mem::size_of::<guestfs_add_drive_opts_argv>() - 104usize];
    ["Alignment of guestfs_add_drive_opts_argv"]
        [::core::mem::align_of::<guestfs_add_drive_opts_argv>() - 8usize];
    ["Offset of field: guestfs_add_drive_opts_argv::bitmask"]
        [::core::mem::offset_of!(guestfs_add_drive_opts_argv, bitmask) - 0usize];
    ["Offset of field: guestfs_add_drive_opts_argv::readonly"]
        [::core::mem::offset_of!(guestfs_add_drive_opts_argv, readonly) - 8usize];
    ["Offset of field: guestfs_add_drive_opts_argv::format"]
        [::core::mem::offset_of!(guestfs_add_drive_opts_argv, format) - 16usize];
    ["Offset of field: guestfs_add_drive_opts_argv::iface"]
        [::core::mem::offset_of!(guestfs_add_drive_opts_argv, iface) - 24usize];
    ["Offset of field: guestfs_add_drive_opts_argv::name"]
        [::core::mem::offset_of!(guestfs_add_drive_opts_argv, name) - 32usize];
    ["Offset of field: guestfs_add_drive_opts_argv::label"]
        [::core::mem::offset_of!(guestfs_add_drive_opts_argv, label) - 40usize];
    ["Offset of field: guestfs_add_drive_opts_argv::protocol"]
        [::core::mem::offset_of!(guestfs_add_drive_opts_argv, protocol) - 48usize];
    ["Offset of field: guestfs_add_drive_opts_argv::server"]
        [::core::mem::offset_of!(guestfs_add_drive_opts_argv, server) - 56usize];
    ["Offset of field: guestfs_add_drive_opts_argv::username"]
        [::core::mem::offset_of!(guestfs_add_drive_opts_argv, username) - 64usize];
    ["Offset of field: guestfs_add_drive_opts_argv::secret"]
        [::core::mem::offset_of!(guestfs_add_drive_opts_argv, secret) - 72usize];
    ["Offset of field: guestfs_add_drive_opts_argv::cachemode"]
        [::core::mem::offset_of!(guestfs_add_drive_opts_argv, cachemode) - 80usize];
    ["Offset of field: guestfs_add_drive_opts_argv::discard"]
        [::core::mem::offset_of!(guestfs_add_drive_opts_argv, discard) - 88usize];
    ["Offset of field: guestfs_add_drive_opts_argv::copyonread"]
        [::core::mem::offset_of!(guestfs_add_drive_opts_argv, copyonread) - 96usize];
    ["Offset of field: guestfs_add_drive_opts_argv::blocksize"]
        [::core::mem::offset_of!(guestfs_add_drive_opts_argv, blocksize) - 100usize];
};
impl Default for guestfs_add_drive_opts_argv {
    fn default() -> Self {
        let mut s = ::core::mem::MaybeUninit::<Self>::uninit();
        unsafe {
            ::core::ptr::write_bytes(s.as_mut_ptr(), 0, 1);
            s.assume_init()
        }
    }
}
#[repr(C)]
#[derive(Debug, Default, Copy, Clone)]
pub struct guestfs_copy_attributes_argv {
    pub bitmask: u64,
    pub all: ::core::ffi::c_int,
    pub mode: ::core::ffi::c_int,
    pub xattributes: ::core::ffi::c_int,
    pub ownership: ::core::ffi::c_int,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of guestfs_copy_attributes_argv"]
        [::core::mem::size_of::<guestfs_copy_attributes_argv>() - 24usize];
    ["Alignment of guestfs_copy_attributes_argv"]
        [::core::mem::align_of::<guestfs_copy_attributes_argv>() - 8usize];
    ["Offset of field: guestfs_copy_attributes_argv::bitmask"]
        [::core::mem::offset_of!(guestfs_copy_attributes_argv, bitmask) - 0usize];
    ["Offset of field: guestfs_copy_attributes_argv::all"]
        [::core::mem::offset_of!(guestfs_copy_attributes_argv, all) - 8usize];
    ["Offset of field: guestfs_copy_attributes_argv::mode"]
        [::core::mem::offset_of!(guestfs_copy_attributes_argv, mode) - 12usize];
    ["Offset of field: guestfs_copy_attributes_argv::xattributes"]
        [::core::mem::offset_of!(guestfs_copy_attributes_argv, xattributes) - 16usize];
    ["Offset of field: guestfs_copy_attributes_argv::ownership"]
        [::core::mem::offset_of!(guestfs_copy_attributes_argv, ownership) - 20usize];
};
#[repr(C)]
#[derive(Debug, Default, Copy, Clone)]
pub struct guestfs_copy_file_to_file_argv {
    pub bitmask: u64,
    pub srcoffset: i64,
    pub destoffset: i64,
    pub size: i64,
    pub sparse: ::core::ffi::c_int,
    pub append: ::core::ffi::c_int,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of guestfs_copy_file_to_file_argv"]
        [::core::mem::size_of::<guestfs_copy_file_to_file_argv>() - 40usize];
    ["Alignment of guestfs_copy_file_to_file_argv"]
        [::core::mem::align_of::<guestfs_copy_file_to_file_argv>() - 8usize];
    ["Offset of field: guestfs_copy_file_to_file_argv::bitmask"]
        [::core::mem::offset_of!(guestfs_copy_file_to_file_argv, bitmask) - 0usize];
    ["Offset of field: guestfs_copy_file_to_file_argv::srcoffset"]
        [::core::mem::offset_of!(guestfs_copy_file_to_file_argv, srcoffset) - 8usize];
    ["Offset of field: guestfs_copy_file_to_file_argv::destoffset"]
        [::core::mem::offset_of!(guestfs_copy_file_to_file_argv, destoffset) - 16usize];
    ["Offset of field: guestfs_copy_file_to_file_argv::size"]
        [::core::mem::offset_of!(guestfs_copy_file_to_file_argv, size) - 24usize];
    ["Offset of field: guestfs_copy_file_to_file_argv::sparse"]
        [::core::mem::offset_of!(guestfs_copy_file_to_file_argv, sparse) - 32usize];
    ["Offset of field: guestfs_copy_file_to_file_argv::append"]
        [::core::mem::offset_of!(guestfs_copy_file_to_file_argv, append) - 36usize];
};
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct guestfs_cryptsetup_open_argv {
    pub bitmask: u64,
    pub readonly: ::core::ffi::c_int,
    pub crypttype: *const ::core::ffi::c_char,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of guestfs_cryptsetup_open_argv"]
        [::core::mem::size_of::<guestfs_cryptsetup_open_argv>() - 24usize];
    ["Alignment of guestfs_cryptsetup_open_argv"]
        [::core::mem::align_of::<guestfs_cryptsetup_open_argv>() - 8usize];
    ["Offset of field: guestfs_cryptsetup_open_argv::bitmask"]
        [::core::mem::offset_of!(guestfs_cryptsetup_open_argv, bitmask) - 0usize];
    ["Offset of field: guestfs_cryptsetup_open_argv::readonly"]
        [::core::mem::offset_of!(guestfs_cryptsetup_open_argv, readonly) - 8usize];
    ["Offset of field: guestfs_cryptsetup_open_argv::crypttype"]
        [::core::mem::offset_of!(guestfs_cryptsetup_open_argv, crypttype) - 16usize];
};
impl Default for guestfs_cryptsetup_open_argv {
    fn default() -> Self {
        let mut s = ::core::mem::MaybeUninit::<Self>::uninit();
        unsafe {
            ::core::ptr::write_bytes(s.as_mut_ptr(), 0, 1);
            s.assume_init()
        }
    }
}
#[repr(C)]
#[derive(Debug, Default, Copy, Clone)]
pub struct guestfs_fstrim_argv {
    pub bitmask: u64,
    pub offset: i64,
    pub length: i64,
    pub minimumfreeextent: i64,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of guestfs_fstrim_argv"][::core::mem::size_of::<guestfs_fstrim_argv>() - 32usize];
    ["Alignment of guestfs_fstrim_argv"][::core::mem::align_of::<guestfs_fstrim_argv>() - 8usize];
    ["Offset of field: guestfs_fstrim_argv::bitmask"]
        [::core::mem::offset_of!(guestfs_fstrim_argv, bitmask) - 0usize];
    ["Offset of field: guestfs_fstrim_argv::offset"]
        [::core::mem::offset_of!(guestfs_fstrim_argv, offset) - 8usize];
    ["Offset of field: guestfs_fstrim_argv::length"]
        [::core::mem::offset_of!(guestfs_fstrim_argv, length) - 16usize];
    ["Offset of field: guestfs_fstrim_argv::minimumfreeextent"]
        [::core::mem::offset_of!(guestfs_fstrim_argv, minimumfreeextent) - 24usize];
};
#[repr(C)]
#[derive(Debug, Default, Copy, Clone)]
pub struct guestfs_hivex_open_argv {
    pub bitmask: u64,
    pub verbose: ::core::ffi::c_int,
    pub debug: ::core::ffi::c_int,
    pub write: ::core::ffi::c_int,
    pub unsafe_: ::core::ffi::c_int,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of guestfs_hivex_open_argv"]
        [::core::mem::size_of::<guestfs_hivex_open_argv>() - 24usize];
    ["Alignment of guestfs_hivex_open_argv"]
        [::core::mem::align_of::<guestfs_hivex_open_argv>() - 8usize];
    ["Offset of field: guestfs_hivex_open_argv::bitmask"]
        [::core::mem::offset_of!(guestfs_hivex_open_argv, bitmask) - 0usize];
    ["Offset of field: guestfs_hivex_open_argv::verbose"]
        [::core::mem::offset_of!(guestfs_hivex_open_argv, verbose) - 8usize];
    ["Offset of field: guestfs_hivex_open_argv::debug"]
        [::core::mem::offset_of!(guestfs_hivex_open_argv, debug) - 12usize];
    ["Offset of field: guestfs_hivex_open_argv::write"]
        [::core::mem::offset_of!(guestfs_hivex_open_argv, write) - 16usize];
    ["Offset of field: guestfs_hivex_open_argv::unsafe_"]
        [::core::mem::offset_of!(guestfs_hivex_open_argv, unsafe_) - 20usize];
};
#[repr(C)]
#[derive(Debug, Default, Copy, Clone)]
pub struct guestfs_is_dir_opts_argv {
    pub bitmask: u64,
    pub followsymlinks: ::core::ffi::c_int,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of guestfs_is_dir_opts_argv"]
        [::core::mem::size_of::<guestfs_is_dir_opts_argv>() - 16usize];
    ["Alignment of guestfs_is_dir_opts_argv"]
        [::core::mem::align_of::<guestfs_is_dir_opts_argv>() - 8usize];
    ["Offset of field: guestfs_is_dir_opts_argv::bitmask"]
        [::core::mem::offset_of!(guestfs_is_dir_opts_argv, bitmask) - 0usize];
    ["Offset of field: guestfs_is_dir_opts_argv::followsymlinks"]
        [::core::mem::offset_of!(guestfs_is_dir_opts_argv, followsymlinks) - 8usize];
};
#[repr(C)]
#[derive(Debug, Default, Copy, Clone)]
pub struct guestfs_is_file_opts_argv {
    pub bitmask: u64,
    pub followsymlinks: ::core::ffi::c_int,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of guestfs_is_file_opts_argv"]
        [::core::mem::size_of::<guestfs_is_file_opts_argv>() - 16usize];
    ["Alignment of guestfs_is_file_opts_argv"]
        [::core::mem::align_of::<guestfs_is_file_opts_argv>() - 8usize];
    ["Offset of field: guestfs_is_file_opts_argv::bitmask"]
        [::core::mem::offset_of!(guestfs_is_file_opts_argv, bitmask) - 0usize];
    ["Offset of field: guestfs_is_file_opts_argv::followsymlinks"]
        [::core::mem::offset_of!(guestfs_is_file_opts_argv, followsymlinks) - 8usize];
};
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct guestfs_mkfs_opts_argv {
    pub bitmask: u64,
    pub blocksize: ::core::ffi::c_int,
    pub features: *const ::core::ffi::c_char,
    pub inode: ::core::ffi::c_int,
    pub sectorsize: ::core::ffi::c_int,
    pub label: *const ::core::ffi::c_char,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of guestfs_mkfs_opts_argv"][::core::mem::size_of::<guestfs_mkfs_opts_argv>() - 40usize];
    ["Alignment of guestfs_mkfs_opts_argv"]
        [::core::mem::align_of::<guestfs_mkfs_opts_argv>() - 8usize];
    ["Offset of field: guestfs_mkfs_opts_argv::bitmask"]
        [::core::mem::offset_of!(guestfs_mkfs_opts_argv, bitmask) - 0usize];
    ["Offset of field: guestfs_mkfs_opts_argv::blocksize"]
        [::core::mem::offset_of!(guestfs_mkfs_opts_argv, blocksize) - 8usize];
    ["Offset of field: guestfs_mkfs_opts_argv::features"]
        [::core::mem::offset_of!(guestfs_mkfs_opts_argv, features) - 16usize];
    ["Offset of field: guestfs_mkfs_opts_argv::inode"]
        [::core::mem::offset_of!(guestfs_mkfs_opts_argv, inode) - 24usize];
    ["Offset of field: guestfs_mkfs_opts_argv::sectorsize"]
        [::core::mem::offset_of!(guestfs_mkfs_opts_argv, sectorsize) - 28usize];
    ["Offset of field: guestfs_mkfs_opts_argv::label"]
        [::core::mem::offset_of!(guestfs_mkfs_opts_argv, label) - 32usize];
};
impl Default for guestfs_mkfs_opts_argv {
    fn default() -> Self {
        let mut s = ::core::mem::MaybeUninit::<Self>::uninit();
        unsafe {
            ::core::ptr::write_bytes(s.as_mut_ptr(), 0, 1);
            s.assume_init()
        }
    }
}
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct guestfs_mkswap_opts_argv {
    pub bitmask: u64,
    pub label: *const ::core::ffi::c_char,
    pub uuid: *const ::core::ffi::c_char,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of guestfs_mkswap_opts_argv"]
        [::core::mem::size_of::<guestfs_mkswap_opts_argv>() - 24usize];
    ["Alignment of guestfs_mkswap_opts_argv"]
        [::core::mem::align_of::<guestfs_mkswap_opts_argv>() - 8usize];
    ["Offset of field: guestfs_mkswap_opts_argv::bitmask"]
        [::core::mem::offset_of!(guestfs_mkswap_opts_argv, bitmask) - 0usize];
    ["Offset of field: guestfs_mkswap_opts_argv::label"]
        [::core::mem::offset_of!(guestfs_mkswap_opts_argv, label) - 8usize];
    ["Offset of field: guestfs_mkswap_opts_argv::uuid"]
        [::core::mem::offset_of!(guestfs_mkswap_opts_argv, uuid) - 16usize];
};
impl Default for guestfs_mkswap_opts_argv {
    fn default() -> Self {
        let mut s = ::core::mem::MaybeUninit::<Self>::uninit();
        unsafe {
            ::core::ptr::write_bytes(s.as_mut_ptr(), 0, 1);
            s.assume_init()
        }
    }
}
#[repr(C)]
#[derive(Debug, Default, Copy, Clone)]
pub struct guestfs_selinux_relabel_argv {
    pub bitmask: u64,
    pub force: ::core::ffi::c_int,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of guestfs_selinux_relabel_argv"]
        [::core::mem::size_of::<guestfs_selinux_relabel_argv>() - 16usize];
    ["Alignment of guestfs_selinux_relabel_argv"]
        [::core::mem::align_of::<guestfs_selinux_relabel_argv>() - 8usize];
    ["Offset of field: guestfs_selinux_relabel_argv::bitmask"]
        [::core::mem::offset_of!(guestfs_selinux_relabel_argv, bitmask) - 0usize];
    ["Offset of field: guestfs_selinux_relabel_argv::force"]
        [::core::mem::offset_of!(guestfs_selinux_relabel_argv, force) - 8usize];
};
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct guestfs_tar_in_opts_argv {
    pub bitmask: u64,
    pub compress: *const ::core::ffi::c_char,
    pub xattrs: ::core::ffi::c_int,
    pub selinux: ::core::ffi::c_int,
    pub acls: ::core::ffi::c_int,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of guestfs_tar_in_opts_argv"]
        [::core::mem::size_of::<guestfs_tar_in_opts_argv>() - 32usize];
    ["Alignment of guestfs_tar_in_opts_argv"]
        [::core::mem::align_of::<guestfs_tar_in_opts_argv>() - 8usize];
    ["Offset of field: guestfs_tar_in_opts_argv::bitmask"]
        [::core::mem::offset_of!(guestfs_tar_in_opts_argv, bitmask) - 0usize];
    ["Offset of field: guestfs_tar_in_opts_argv::compress"]
        [::core::mem::offset_of!(guestfs_tar_in_opts_argv, compress) - 8usize];
    ["Offset of field: guestfs_tar_in_opts_argv::xattrs"]
        [::core::mem::offset_of!(guestfs_tar_in_opts_argv, xattrs) - 16usize];
    ["Offset of field: guestfs_tar_in_opts_argv::selinux"]
        [::core::mem::offset_of!(guestfs_tar_in_opts_argv, selinux) - 20usize];
    ["Offset of field: guestfs_tar_in_opts_argv::acls"]
        [::core::mem::offset_of!(guestfs_tar_in_opts_argv, acls) - 24usize];
};
impl Default for guestfs_tar_in_opts_argv {
    fn default() -> Self {
        let mut s = ::core::mem::MaybeUninit::<Self>::uninit();
        unsafe {
            ::core::ptr::write_bytes(s.as_mut_ptr(), 0, 1);
            s.assume_init()
        }
    }
}
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct guestfs_tar_out_opts_argv {
    pub bitmask: u64,
    pub compress: *const ::core::ffi::c_char,
    pub numericowner: ::core::ffi::c_int,
    pub excludes: *const *mut ::core::ffi::c_char,
    pub xattrs: ::core::ffi::c_int,
    pub selinux: ::core::ffi::c_int,
    pub acls: ::core::ffi::c_int,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of guestfs_tar_out_opts_argv"]
        [::core::mem::size_of::<guestfs_tar_out_opts_argv>() - 48usize];
    ["Alignment of guestfs_tar_out_opts_argv"]
        [::core::mem::align_of::<guestfs_tar_out_opts_argv>() - 8usize];
    ["Offset of field: guestfs_tar_out_opts_argv::bitmask"]
        [::core::mem::offset_of!(guestfs_tar_out_opts_argv, bitmask) - 0usize];
    ["Offset of field: guestfs_tar_out_opts_argv::compress"]
        [::core::mem::offset_of!(guestfs_tar_out_opts_argv, compress) - 8usize];
    ["Offset of field: guestfs_tar_out_opts_argv::numericowner"]
        [::core::mem::offset_of!(guestfs_tar_out_opts_argv, numericowner) - 16usize];
    ["Offset of field: guestfs_tar_out_opts_argv::excludes"]
        [::core::mem::offset_of!(guestfs_tar_out_opts_argv, excludes) - 24usize];
    ["Offset of field: guestfs_tar_out_opts_argv::xattrs"]
        [::core::mem::offset_of!(guestfs_tar_out_opts_argv, xattrs) - 32usize];
    ["Offset of field: guestfs_tar_out_opts_argv::selinux"]
        [::core::mem::offset_of!(guestfs_tar_out_opts_argv, selinux) - 36usize];
    ["Offset of field: guestfs_tar_out_opts_argv::acls"]
        [::core::mem::offset_of!(guestfs_tar_out_opts_argv, acls) - 40usize];
};
impl Default for guestfs_tar_out_opts_argv {
    fn default() -> Self {
        let mut s = ::core::mem::MaybeUninit::<Self>::uninit();
        unsafe {
            ::core::ptr::write_bytes(s.as_mut_ptr(), 0, 1);
            s.assume_init()
        }
    }
}
#[repr(C)]
#[derive(Debug, Default, Copy, Clone)]
pub struct guestfs_umount_opts_argv {
    pub bitmask: u64,
    pub force: ::core::ffi::c_int,
    pub lazyunmount: ::core::ffi::c_int,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of guestfs_umount_opts_argv"]
        [::core::mem::size_of::<guestfs_umount_opts_argv>() - 16usize];
    ["Alignment of guestfs_umount_opts_argv"]
        [::core::mem::align_of::<guestfs_umount_opts_argv>() - 8usize];
    ["Offset of field: guestfs_umount_opts_argv::bitmask"]
        [::core::mem::offset_of!(guestfs_umount_opts_argv, bitmask) - 0usize];
    ["Offset of field: guestfs_umount_opts_argv::force"]
        [::core::mem::offset_of!(guestfs_umount_opts_argv, force) - 8usize];
    ["Offset of field: guestfs_umount_opts_argv::lazyunmount"]
        [::core::mem::offset_of!(guestfs_umount_opts_argv, lazyunmount) - 12usize];
};
unsafe extern "C" {
    pub fn guestfs_create_flags(flags: ::core::ffi::c_uint, ...) -> *mut guestfs_h;
    pub fn guestfs_close(g: *mut guestfs_h);
    pub fn guestfs_last_error(g: *mut guestfs_h) -> *const ::core::ffi::c_char;
    pub fn guestfs_last_errno(g: *mut guestfs_h) -> ::core::ffi::c_int;
    pub fn guestfs_set_error_handler(
        g: *mut guestfs_h,
        cb: guestfs_error_handler_cb,
        opaque: *mut ::core::ffi::c_void,
    );
    pub fn guestfs_set_event_callback(
        g: *mut guestfs_h,
        cb: guestfs_event_callback,
        event_bitmask: u64,
        flags: ::core::ffi::c_int,
        opaque: *mut ::core::ffi::c_void,
    ) -> ::core::ffi::c_int;
    pub fn guestfs_delete_event_callback(g: *mut guestfs_h, event_handle: ::core::ffi::c_int);
    pub fn guestfs_free_dirent_list(arg1: *mut guestfs_dirent_list);
    pub fn guestfs_free_hivex_node_list(arg1: *mut guestfs_hivex_node_list);
    pub fn guestfs_free_hivex_value_list(arg1: *mut guestfs_hivex_value_list);
    pub fn guestfs_free_partition_list(arg1: *mut guestfs_partition_list);
    pub fn guestfs_free_statns(arg1: *mut guestfs_statns);
    pub fn guestfs_free_statns_list(arg1: *mut guestfs_statns_list);
    pub fn guestfs_free_statvfs(arg1: *mut guestfs_statvfs);
    pub fn guestfs_free_version(arg1: *mut guestfs_version);
    pub fn guestfs_free_xattr_list(arg1: *mut guestfs_xattr_list);
    pub fn guestfs_add_drive_opts_argv(
        g: *mut guestfs_h,
        filename: *const ::core::ffi::c_char,
        optargs: *const guestfs_add_drive_opts_argv,
    ) -> ::core::ffi::c_int;
    pub fn guestfs_available(
        g: *mut guestfs_h,
        groups: *const *mut ::core::ffi::c_char,
    ) -> ::core::ffi::c_int;
    pub fn guestfs_blkid(
        g: *mut guestfs_h,
        device: *const ::core::ffi::c_char,
    ) -> *mut *mut ::core::ffi::c_char;
    pub fn guestfs_blockdev_getsize64(g: *mut guestfs_h, device: *const ::core::ffi::c_char)
    -> i64;
    pub fn guestfs_canonical_device_name(
        g: *mut guestfs_h,
        device: *const ::core::ffi::c_char,
    ) -> *mut ::core::ffi::c_char;
    pub fn guestfs_case_sensitive_path(
        g: *mut guestfs_h,
        path: *const ::core::ffi::c_char,
    ) -> *mut ::core::ffi::c_char;
    pub fn guestfs_checksum(
        g: *mut guestfs_h,
        csumtype: *const ::core::ffi::c_char,
        path: *const ::core::ffi::c_char,
    ) -> *mut ::core::ffi::c_char;
    pub fn guestfs_chmod(
        g: *mut guestfs_h,
        mode: ::core::ffi::c_int,
        path: *const ::core::ffi::c_char,
    ) -> ::core::ffi::c_int;
    pub fn guestfs_chown(
        g: *mut guestfs_h,
        owner: ::core::ffi::c_int,
        group: ::core::ffi::c_int,
        path: *const ::core::ffi::c_char,
    ) -> ::core::ffi::c_int;
    pub fn guestfs_command(
        g: *mut guestfs_h,
        arguments: *const *mut ::core::ffi::c_char,
    ) -> *mut ::core::ffi::c_char;
    pub fn guestfs_command_lines(
        g: *mut guestfs_h,
        arguments: *const *mut ::core::ffi::c_char,
    ) -> *mut *mut ::core::ffi::c_char;
    pub fn guestfs_copy_attributes_argv(
        g: *mut guestfs_h,
        src: *const ::core::ffi::c_char,
        dest: *const ::core::ffi::c_char,
        optargs: *const guestfs_copy_attributes_argv,
    ) -> ::core::ffi::c_int;
    pub fn guestfs_copy_file_to_file_argv(
        g: *mut guestfs_h,
        src: *const ::core::ffi::c_char,
        dest: *const ::core::ffi::c_char,
        optargs: *const guestfs_copy_file_to_file_argv,
    ) -> ::core::ffi::c_int;
    pub fn guestfs_cp_a(
        g: *mut guestfs_h,
        src: *const ::core::ffi::c_char,
        dest: *const ::core::ffi::c_char,
    ) -> ::core::ffi::c_int;
    pub fn guestfs_cryptsetup_close(
        g: *mut guestfs_h,
        device: *const ::core::ffi::c_char,
    ) -> ::core::ffi::c_int;
    pub fn guestfs_cryptsetup_open_argv(
        g: *mut guestfs_h,
        device: *const ::core::ffi::c_char,
        key: *const ::core::ffi::c_char,
        mapname: *const ::core::ffi::c_char,
        optargs: *const guestfs_cryptsetup_open_argv,
    ) -> ::core::ffi::c_int;
    pub fn guestfs_debug(
        g: *mut guestfs_h,
        subcmd: *const ::core::ffi::c_char,
        extraargs: *const *mut ::core::ffi::c_char,
    ) -> *mut ::core::ffi::c_char;
    pub fn guestfs_download(
        g: *mut guestfs_h,
        remotefilename: *const ::core::ffi::c_char,
        filename: *const ::core::ffi::c_char,
    ) -> ::core::ffi::c_int;
    pub fn guestfs_exists(
        g: *mut guestfs_h,
        path: *const ::core::ffi::c_char,
    ) -> ::core::ffi::c_int;
    pub fn guestfs_feature_available(
        g: *mut guestfs_h,
        groups: *const *mut ::core::ffi::c_char,
    ) -> ::core::ffi::c_int;
    pub fn guestfs_file_architecture(
        g: *mut guestfs_h,
        filename: *const ::core::ffi::c_char,
    ) -> *mut ::core::ffi::c_char;
    pub fn guestfs_filesize(g: *mut guestfs_h, file: *const ::core::ffi::c_char) -> i64;
    pub fn guestfs_find0(
        g: *mut guestfs_h,
        directory: *const ::core::ffi::c_char,
        files: *const ::core::ffi::c_char,
    ) -> ::core::ffi::c_int;
    pub fn guestfs_fstrim_argv(
        g: *mut guestfs_h,
        mountpoint: *const ::core::ffi::c_char,
        optargs: *const guestfs_fstrim_argv,
    ) -> ::core::ffi::c_int;
    pub fn guestfs_get_backend(g: *mut guestfs_h) -> *mut ::core::ffi::c_char;
    pub fn guestfs_get_cachedir(g: *mut guestfs_h) -> *mut ::core::ffi::c_char;
    pub fn guestfs_get_memsize(g: *mut guestfs_h) -> ::core::ffi::c_int;
    pub fn guestfs_get_path(g: *mut guestfs_h) -> *const ::core::ffi::c_char;
    pub fn guestfs_get_pid(g: *mut guestfs_h) -> ::core::ffi::c_int;
    pub fn guestfs_get_smp(g: *mut guestfs_h) -> ::core::ffi::c_int;
    pub fn guestfs_get_sockdir(g: *mut guestfs_h) -> *mut ::core::ffi::c_char;
    pub fn guestfs_get_tmpdir(g: *mut guestfs_h) -> *mut ::core::ffi::c_char;
    pub fn guestfs_getxattrs(
        g: *mut guestfs_h,
        path: *const ::core::ffi::c_char,
    ) -> *mut guestfs_xattr_list;
    pub fn guestfs_hivex_close(g: *mut guestfs_h) -> ::core::ffi::c_int;
    pub fn guestfs_hivex_commit(
        g: *mut guestfs_h,
        filename: *const ::core::ffi::c_char,
    ) -> ::core::ffi::c_int;
    pub fn guestfs_hivex_node_add_child(
        g: *mut guestfs_h,
        parent: i64,
        name: *const ::core::ffi::c_char,
    ) -> i64;
    pub fn guestfs_hivex_node_children(
        g: *mut guestfs_h,
        nodeh: i64,
    ) -> *mut guestfs_hivex_node_list;
    pub fn guestfs_hivex_node_delete_child(g: *mut guestfs_h, nodeh: i64) -> ::core::ffi::c_int;
    pub fn guestfs_hivex_node_get_child(
        g: *mut guestfs_h,
        nodeh: i64,
        name: *const ::core::ffi::c_char,
    ) -> i64;
    pub fn guestfs_hivex_node_get_value(
        g: *mut guestfs_h,
        nodeh: i64,
        key: *const ::core::ffi::c_char,
    ) -> i64;
    pub fn guestfs_hivex_node_name(g: *mut guestfs_h, nodeh: i64) -> *mut ::core::ffi::c_char;
    pub fn guestfs_hivex_node_parent(g: *mut guestfs_h, nodeh: i64) -> i64;
    pub fn guestfs_hivex_node_set_value(
        g: *mut guestfs_h,
        nodeh: i64,
        key: *const ::core::ffi::c_char,
        t: i64,
        val: *const ::core::ffi::c_char,
        val_size: usize,
    ) -> ::core::ffi::c_int;
    pub fn guestfs_hivex_node_values(
        g: *mut guestfs_h,
        nodeh: i64,
    ) -> *mut guestfs_hivex_value_list;
    pub fn guestfs_hivex_open_argv(
        g: *mut guestfs_h,
        filename: *const ::core::ffi::c_char,
        optargs: *const guestfs_hivex_open_argv,
    ) -> ::core::ffi::c_int;
    pub fn guestfs_hivex_root(g: *mut guestfs_h) -> i64;
    pub fn guestfs_hivex_value_key(g: *mut guestfs_h, valueh: i64) -> *mut ::core::ffi::c_char;
    pub fn guestfs_hivex_value_string(g: *mut guestfs_h, valueh: i64) -> *mut ::core::ffi::c_char;
    pub fn guestfs_hivex_value_type(g: *mut guestfs_h, valueh: i64) -> i64;
    pub fn guestfs_hivex_value_value(
        g: *mut guestfs_h,
        valueh: i64,
        size_r: *mut usize,
    ) -> *mut ::core::ffi::c_char;
    pub fn guestfs_inspect_get_arch(
        g: *mut guestfs_h,
        root: *const ::core::ffi::c_char,
    ) -> *mut ::core::ffi::c_char;
    pub fn guestfs_inspect_get_distro(
        g: *mut guestfs_h,
        root: *const ::core::ffi::c_char,
    ) -> *mut ::core::ffi::c_char;
    pub fn guestfs_inspect_get_drive_mappings(
        g: *mut guestfs_h,
        root: *const ::core::ffi::c_char,
    ) -> *mut *mut ::core::ffi::c_char;
    pub fn guestfs_inspect_get_filesystems(
        g: *mut guestfs_h,
        root: *const ::core::ffi::c_char,
    ) -> *mut *mut ::core::ffi::c_char;
    pub fn guestfs_inspect_get_hostname(
        g: *mut guestfs_h,
        root: *const ::core::ffi::c_char,
    ) -> *mut ::core::ffi::c_char;
    pub fn guestfs_inspect_get_major_version(
        g: *mut guestfs_h,
        root: *const ::core::ffi::c_char,
    ) -> ::core::ffi::c_int;
    pub fn guestfs_inspect_get_minor_version(
        g: *mut guestfs_h,
        root: *const ::core::ffi::c_char,
    ) -> ::core::ffi::c_int;
    pub fn guestfs_inspect_get_mountpoints(
        g: *mut guestfs_h,
        root: *const ::core::ffi::c_char,
    ) -> *mut *mut ::core::ffi::c_char;
    pub fn guestfs_inspect_get_osinfo(
        g: *mut guestfs_h,
        root: *const ::core::ffi::c_char,
    ) -> *mut ::core::ffi::c_char;
    pub fn guestfs_inspect_get_package_format(
        g: *mut guestfs_h,
        root: *const ::core::ffi::c_char,
    ) -> *mut ::core::ffi::c_char;
    pub fn guestfs_inspect_get_package_management(
        g: *mut guestfs_h,
        root: *const ::core::ffi::c_char,
    ) -> *mut ::core::ffi::c_char;
    pub fn guestfs_inspect_get_product_name(
        g: *mut guestfs_h,
        root: *const ::core::ffi::c_char,
    ) -> *mut ::core::ffi::c_char;
    pub fn guestfs_inspect_get_product_variant(
        g: *mut guestfs_h,
        root: *const ::core::ffi::c_char,
    ) -> *mut ::core::ffi::c_char;
    pub fn guestfs_inspect_get_type(
        g: *mut guestfs_h,
        root: *const ::core::ffi::c_char,
    ) -> *mut ::core::ffi::c_char;
    pub fn guestfs_inspect_get_windows_current_control_set(
        g: *mut guestfs_h,
        root: *const ::core::ffi::c_char,
    ) -> *mut ::core::ffi::c_char;
    pub fn guestfs_inspect_get_windows_software_hive(
        g: *mut guestfs_h,
        root: *const ::core::ffi::c_char,
    ) -> *mut ::core::ffi::c_char;
    pub fn guestfs_inspect_get_windows_system_hive(
        g: *mut guestfs_h,
        root: *const ::core::ffi::c_char,
    ) -> *mut ::core::ffi::c_char;
    pub fn guestfs_inspect_get_windows_systemroot(
        g: *mut guestfs_h,
        root: *const ::core::ffi::c_char,
    ) -> *mut ::core::ffi::c_char;
    pub fn guestfs_inspect_os(g: *mut guestfs_h) -> *mut *mut ::core::ffi::c_char;
    pub fn guestfs_is_dir_opts_argv(
        g: *mut guestfs_h,
        path: *const ::core::ffi::c_char,
        optargs: *const guestfs_is_dir_opts_argv,
    ) -> ::core::ffi::c_int;
    pub fn guestfs_is_file_opts_argv(
        g: *mut guestfs_h,
        path: *const ::core::ffi::c_char,
        optargs: *const guestfs_is_file_opts_argv,
    ) -> ::core::ffi::c_int;
    pub fn guestfs_is_lv(
        g: *mut guestfs_h,
        mountable: *const ::core::ffi::c_char,
    ) -> ::core::ffi::c_int;
    pub fn guestfs_is_ready(g: *mut guestfs_h) -> ::core::ffi::c_int;
    pub fn guestfs_is_symlink(
        g: *mut guestfs_h,
        path: *const ::core::ffi::c_char,
    ) -> ::core::ffi::c_int;
    pub fn guestfs_launch(g: *mut guestfs_h) -> ::core::ffi::c_int;
    pub fn guestfs_lchown(
        g: *mut guestfs_h,
        owner: ::core::ffi::c_int,
        group: ::core::ffi::c_int,
        path: *const ::core::ffi::c_char,
    ) -> ::core::ffi::c_int;
    pub fn guestfs_lgetxattr(
        g: *mut guestfs_h,
        path: *const ::core::ffi::c_char,
        name: *const ::core::ffi::c_char,
        size_r: *mut usize,
    ) -> *mut ::core::ffi::c_char;
    pub fn guestfs_lgetxattrs(
        g: *mut guestfs_h,
        path: *const ::core::ffi::c_char,
    ) -> *mut guestfs_xattr_list;
    pub fn guestfs_list_devices(g: *mut guestfs_h) -> *mut *mut ::core::ffi::c_char;
    pub fn guestfs_list_dm_devices(g: *mut guestfs_h) -> *mut *mut ::core::ffi::c_char;
    pub fn guestfs_list_filesystems(g: *mut guestfs_h) -> *mut *mut ::core::ffi::c_char;
    pub fn guestfs_list_md_devices(g: *mut guestfs_h) -> *mut *mut ::core::ffi::c_char;
    pub fn guestfs_list_partitions(g: *mut guestfs_h) -> *mut *mut ::core::ffi::c_char;
    pub fn guestfs_ln(
        g: *mut guestfs_h,
        target: *const ::core::ffi::c_char,
        linkname: *const ::core::ffi::c_char,
    ) -> ::core::ffi::c_int;
    pub fn guestfs_ln_f(
        g: *mut guestfs_h,
        target: *const ::core::ffi::c_char,
        linkname: *const ::core::ffi::c_char,
    ) -> ::core::ffi::c_int;
    pub fn guestfs_ln_s(
        g: *mut guestfs_h,
        target: *const ::core::ffi::c_char,
        linkname: *const ::core::ffi::c_char,
    ) -> ::core::ffi::c_int;
    pub fn guestfs_ln_sf(
        g: *mut guestfs_h,
        target: *const ::core::ffi::c_char,
        linkname: *const ::core::ffi::c_char,
    ) -> ::core::ffi::c_int;
    pub fn guestfs_lremovexattr(
        g: *mut guestfs_h,
        xattr: *const ::core::ffi::c_char,
        path: *const ::core::ffi::c_char,
    ) -> ::core::ffi::c_int;
    pub fn guestfs_ls0(
        g: *mut guestfs_h,
        dir: *const ::core::ffi::c_char,
        filenames: *const ::core::ffi::c_char,
    ) -> ::core::ffi::c_int;
    pub fn guestfs_lsetxattr(
        g: *mut guestfs_h,
        xattr: *const ::core::ffi::c_char,
        val: *const ::core::ffi::c_char,
        vallen: ::core::ffi::c_int,
        path: *const ::core::ffi::c_char,
    ) -> ::core::ffi::c_int;
    pub fn guestfs_lstatns(
        g: *mut guestfs_h,
        path: *const ::core::ffi::c_char,
    ) -> *mut guestfs_statns;
    pub fn guestfs_lstatnslist(
        g: *mut guestfs_h,
        path: *const ::core::ffi::c_char,
        names: *const *mut ::core::ffi::c_char,
    ) -> *mut guestfs_statns_list;
    pub fn guestfs_luks_uuid(
        g: *mut guestfs_h,
        device: *const ::core::ffi::c_char,
    ) -> *mut ::core::ffi::c_char;
    pub fn guestfs_lvm_scan(g: *mut guestfs_h, activate: ::core::ffi::c_int) -> ::core::ffi::c_int;
    pub fn guestfs_lvs(g: *mut guestfs_h) -> *mut *mut ::core::ffi::c_char;
    pub fn guestfs_mkdir(g: *mut guestfs_h, path: *const ::core::ffi::c_char)
    -> ::core::ffi::c_int;
    pub fn guestfs_mkdir_mode(
        g: *mut guestfs_h,
        path: *const ::core::ffi::c_char,
        mode: ::core::ffi::c_int,
    ) -> ::core::ffi::c_int;
    pub fn guestfs_mkdir_p(
        g: *mut guestfs_h,
        path: *const ::core::ffi::c_char,
    ) -> ::core::ffi::c_int;
    pub fn guestfs_mkdtemp(
        g: *mut guestfs_h,
        tmpl: *const ::core::ffi::c_char,
    ) -> *mut ::core::ffi::c_char;
    pub fn guestfs_mkfs_opts_argv(
        g: *mut guestfs_h,
        fstype: *const ::core::ffi::c_char,
        device: *const ::core::ffi::c_char,
        optargs: *const guestfs_mkfs_opts_argv,
    ) -> ::core::ffi::c_int;
    pub fn guestfs_mkswap_opts_argv(
        g: *mut guestfs_h,
        device: *const ::core::ffi::c_char,
        optargs: *const guestfs_mkswap_opts_argv,
    ) -> ::core::ffi::c_int;
    pub fn guestfs_mount(
        g: *mut guestfs_h,
        mountable: *const ::core::ffi::c_char,
        mountpoint: *const ::core::ffi::c_char,
    ) -> ::core::ffi::c_int;
    pub fn guestfs_mount_options(
        g: *mut guestfs_h,
        options: *const ::core::ffi::c_char,
        mountable: *const ::core::ffi::c_char,
        mountpoint: *const ::core::ffi::c_char,
    ) -> ::core::ffi::c_int;
    pub fn guestfs_mount_ro(
        g: *mut guestfs_h,
        mountable: *const ::core::ffi::c_char,
        mountpoint: *const ::core::ffi::c_char,
    ) -> ::core::ffi::c_int;
    pub fn guestfs_mount_vfs(
        g: *mut guestfs_h,
        options: *const ::core::ffi::c_char,
        vfstype: *const ::core::ffi::c_char,
        mountable: *const ::core::ffi::c_char,
        mountpoint: *const ::core::ffi::c_char,
    ) -> ::core::ffi::c_int;
    pub fn guestfs_mountpoints(g: *mut guestfs_h) -> *mut *mut ::core::ffi::c_char;
    pub fn guestfs_mv(
        g: *mut guestfs_h,
        src: *const ::core::ffi::c_char,
        dest: *const ::core::ffi::c_char,
    ) -> ::core::ffi::c_int;
    pub fn guestfs_ntfs_3g_probe(
        g: *mut guestfs_h,
        rw: ::core::ffi::c_int,
        device: *const ::core::ffi::c_char,
    ) -> ::core::ffi::c_int;
    pub fn guestfs_parse_environment(g: *mut guestfs_h) -> ::core::ffi::c_int;
    pub fn guestfs_part_add(
        g: *mut guestfs_h,
        device: *const ::core::ffi::c_char,
        prlogex: *const ::core::ffi::c_char,
        startsect: i64,
        endsect: i64,
    ) -> ::core::ffi::c_int;
    pub fn guestfs_part_disk(
        g: *mut guestfs_h,
        device: *const ::core::ffi::c_char,
        parttype: *const ::core::ffi::c_char,
    ) -> ::core::ffi::c_int;
    pub fn guestfs_part_get_bootable(
        g: *mut guestfs_h,
        device: *const ::core::ffi::c_char,
        partnum: ::core::ffi::c_int,
    ) -> ::core::ffi::c_int;
    pub fn guestfs_part_get_gpt_type(
        g: *mut guestfs_h,
        device: *const ::core::ffi::c_char,
        partnum: ::core::ffi::c_int,
    ) -> *mut ::core::ffi::c_char;
    pub fn guestfs_part_get_mbr_id(
        g: *mut guestfs_h,
        device: *const ::core::ffi::c_char,
        partnum: ::core::ffi::c_int,
    ) -> ::core::ffi::c_int;
    pub fn guestfs_part_get_parttype(
        g: *mut guestfs_h,
        device: *const ::core::ffi::c_char,
    ) -> *mut ::core::ffi::c_char;
    pub fn guestfs_part_init(
        g: *mut guestfs_h,
        device: *const ::core::ffi::c_char,
        parttype: *const ::core::ffi::c_char,
    ) -> ::core::ffi::c_int;
    pub fn guestfs_part_list(
        g: *mut guestfs_h,
        device: *const ::core::ffi::c_char,
    ) -> *mut guestfs_partition_list;
    pub fn guestfs_part_set_bootable(
        g: *mut guestfs_h,
        device: *const ::core::ffi::c_char,
        partnum: ::core::ffi::c_int,
        bootable: ::core::ffi::c_int,
    ) -> ::core::ffi::c_int;
    pub fn guestfs_part_set_gpt_type(
        g: *mut guestfs_h,
        device: *const ::core::ffi::c_char,
        partnum: ::core::ffi::c_int,
        guid: *const ::core::ffi::c_char,
    ) -> ::core::ffi::c_int;
    pub fn guestfs_part_to_dev(
        g: *mut guestfs_h,
        partition: *const ::core::ffi::c_char,
    ) -> *mut ::core::ffi::c_char;
    pub fn guestfs_part_to_partnum(
        g: *mut guestfs_h,
        partition: *const ::core::ffi::c_char,
    ) -> ::core::ffi::c_int;
    pub fn guestfs_pread(
        g: *mut guestfs_h,
        path: *const ::core::ffi::c_char,
        count: ::core::ffi::c_int,
        offset: i64,
        size_r: *mut usize,
    ) -> *mut ::core::ffi::c_char;
    pub fn guestfs_pread_device(
        g: *mut guestfs_h,
        device: *const ::core::ffi::c_char,
        count: ::core::ffi::c_int,
        offset: i64,
        size_r: *mut usize,
    ) -> *mut ::core::ffi::c_char;
    pub fn guestfs_pwrite(
        g: *mut guestfs_h,
        path: *const ::core::ffi::c_char,
        content: *const ::core::ffi::c_char,
        content_size: usize,
        offset: i64,
    ) -> ::core::ffi::c_int;
    pub fn guestfs_read_file(
        g: *mut guestfs_h,
        path: *const ::core::ffi::c_char,
        size_r: *mut usize,
    ) -> *mut ::core::ffi::c_char;
    pub fn guestfs_readdir(
        g: *mut guestfs_h,
        dir: *const ::core::ffi::c_char,
    ) -> *mut guestfs_dirent_list;
    pub fn guestfs_readlink(
        g: *mut guestfs_h,
        path: *const ::core::ffi::c_char,
    ) -> *mut ::core::ffi::c_char;
    pub fn guestfs_realpath(
        g: *mut guestfs_h,
        path: *const ::core::ffi::c_char,
    ) -> *mut ::core::ffi::c_char;
    pub fn guestfs_removexattr(
        g: *mut guestfs_h,
        xattr: *const ::core::ffi::c_char,
        path: *const ::core::ffi::c_char,
    ) -> ::core::ffi::c_int;
    pub fn guestfs_rename(
        g: *mut guestfs_h,
        oldpath: *const ::core::ffi::c_char,
        newpath: *const ::core::ffi::c_char,
    ) -> ::core::ffi::c_int;
    pub fn guestfs_rm(g: *mut guestfs_h, path: *const ::core::ffi::c_char) -> ::core::ffi::c_int;
    pub fn guestfs_rm_f(g: *mut guestfs_h, path: *const ::core::ffi::c_char) -> ::core::ffi::c_int;
    pub fn guestfs_rm_rf(g: *mut guestfs_h, path: *const ::core::ffi::c_char)
    -> ::core::ffi::c_int;
    pub fn guestfs_rmdir(g: *mut guestfs_h, path: *const ::core::ffi::c_char)
    -> ::core::ffi::c_int;
    pub fn guestfs_selinux_relabel_argv(
        g: *mut guestfs_h,
        specfile: *const ::core::ffi::c_char,
        path: *const ::core::ffi::c_char,
        optargs: *const guestfs_selinux_relabel_argv,
    ) -> ::core::ffi::c_int;
    pub fn guestfs_set_append(
        g: *mut guestfs_h,
        append: *const ::core::ffi::c_char,
    ) -> ::core::ffi::c_int;
    pub fn guestfs_set_backend(
        g: *mut guestfs_h,
        backend: *const ::core::ffi::c_char,
    ) -> ::core::ffi::c_int;
    pub fn guestfs_set_backend_setting(
        g: *mut guestfs_h,
        name: *const ::core::ffi::c_char,
        val: *const ::core::ffi::c_char,
    ) -> ::core::ffi::c_int;
    pub fn guestfs_set_cachedir(
        g: *mut guestfs_h,
        cachedir: *const ::core::ffi::c_char,
    ) -> ::core::ffi::c_int;
    pub fn guestfs_set_identifier(
        g: *mut guestfs_h,
        identifier: *const ::core::ffi::c_char,
    ) -> ::core::ffi::c_int;
    pub fn guestfs_set_memsize(
        g: *mut guestfs_h,
        memsize: ::core::ffi::c_int,
    ) -> ::core::ffi::c_int;
    pub fn guestfs_set_network(
        g: *mut guestfs_h,
        network: ::core::ffi::c_int,
    ) -> ::core::ffi::c_int;
    pub fn guestfs_set_path(
        g: *mut guestfs_h,
        searchpath: *const ::core::ffi::c_char,
    ) -> ::core::ffi::c_int;
    pub fn guestfs_set_pgroup(g: *mut guestfs_h, pgroup: ::core::ffi::c_int) -> ::core::ffi::c_int;
    pub fn guestfs_set_smp(g: *mut guestfs_h, smp: ::core::ffi::c_int) -> ::core::ffi::c_int;
    pub fn guestfs_set_tmpdir(
        g: *mut guestfs_h,
        tmpdir: *const ::core::ffi::c_char,
    ) -> ::core::ffi::c_int;
    pub fn guestfs_set_trace(g: *mut guestfs_h, trace: ::core::ffi::c_int) -> ::core::ffi::c_int;
    pub fn guestfs_set_verbose(
        g: *mut guestfs_h,
        verbose: ::core::ffi::c_int,
    ) -> ::core::ffi::c_int;
    pub fn guestfs_setxattr(
        g: *mut guestfs_h,
        xattr: *const ::core::ffi::c_char,
        val: *const ::core::ffi::c_char,
        vallen: ::core::ffi::c_int,
        path: *const ::core::ffi::c_char,
    ) -> ::core::ffi::c_int;
    pub fn guestfs_sh(
        g: *mut guestfs_h,
        command: *const ::core::ffi::c_char,
    ) -> *mut ::core::ffi::c_char;
    pub fn guestfs_sh_lines(
        g: *mut guestfs_h,
        command: *const ::core::ffi::c_char,
    ) -> *mut *mut ::core::ffi::c_char;
    pub fn guestfs_shutdown(g: *mut guestfs_h) -> ::core::ffi::c_int;
    pub fn guestfs_statns(
        g: *mut guestfs_h,
        path: *const ::core::ffi::c_char,
    ) -> *mut guestfs_statns;
    pub fn guestfs_statvfs(
        g: *mut guestfs_h,
        path: *const ::core::ffi::c_char,
    ) -> *mut guestfs_statvfs;
    pub fn guestfs_sync(g: *mut guestfs_h) -> ::core::ffi::c_int;
    pub fn guestfs_tar_in_opts_argv(
        g: *mut guestfs_h,
        tarfile: *const ::core::ffi::c_char,
        directory: *const ::core::ffi::c_char,
        optargs: *const guestfs_tar_in_opts_argv,
    ) -> ::core::ffi::c_int;
    pub fn guestfs_tar_out_opts_argv(
        g: *mut guestfs_h,
        directory: *const ::core::ffi::c_char,
        tarfile: *const ::core::ffi::c_char,
        optargs: *const guestfs_tar_out_opts_argv,
    ) -> ::core::ffi::c_int;
    pub fn guestfs_truncate_size(
        g: *mut guestfs_h,
        path: *const ::core::ffi::c_char,
        size: i64,
    ) -> ::core::ffi::c_int;
    pub fn guestfs_umount_opts_argv(
        g: *mut guestfs_h,
        pathordevice: *const ::core::ffi::c_char,
        optargs: *const guestfs_umount_opts_argv,
    ) -> ::core::ffi::c_int;
    pub fn guestfs_umount_all(g: *mut guestfs_h) -> ::core::ffi::c_int;
    pub fn guestfs_upload(
        g: *mut guestfs_h,
        filename: *const ::core::ffi::c_char,
        remotefilename: *const ::core::ffi::c_char,
    ) -> ::core::ffi::c_int;
    pub fn guestfs_user_cancel(g: *mut guestfs_h) -> ::core::ffi::c_int;
    pub fn guestfs_utimens(
        g: *mut guestfs_h,
        path: *const ::core::ffi::c_char,
        atsecs: i64,
        atnsecs: i64,
        mtsecs: i64,
        mtnsecs: i64,
    ) -> ::core::ffi::c_int;
    pub fn guestfs_version(g: *mut guestfs_h) -> *mut guestfs_version;
    pub fn guestfs_vfs_label(
        g: *mut guestfs_h,
        mountable: *const ::core::ffi::c_char,
    ) -> *mut ::core::ffi::c_char;
    pub fn guestfs_vfs_type(
        g: *mut guestfs_h,
        mountable: *const ::core::ffi::c_char,
    ) -> *mut ::core::ffi::c_char;
    pub fn guestfs_vfs_uuid(
        g: *mut guestfs_h,
        mountable: *const ::core::ffi::c_char,
    ) -> *mut ::core::ffi::c_char;
    pub fn guestfs_vg_activate_all(
        g: *mut guestfs_h,
        activate: ::core::ffi::c_int,
    ) -> ::core::ffi::c_int;
    pub fn guestfs_vgs(g: *mut guestfs_h) -> *mut *mut ::core::ffi::c_char;
    pub fn guestfs_vgscan(g: *mut guestfs_h) -> ::core::ffi::c_int;
    pub fn guestfs_write(
        g: *mut guestfs_h,
        path: *const ::core::ffi::c_char,
        content: *const ::core::ffi::c_char,
        content_size: usize,
    ) -> ::core::ffi::c_int;
    pub fn guestfs_write_append(
        g: *mut guestfs_h,
        path: *const ::core::ffi::c_char,
        content: *const ::core::ffi::c_char,
        content_size: usize,
    ) -> ::core::ffi::c_int;
}
