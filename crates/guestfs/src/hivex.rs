//! Windows registry hives, read and written inside the appliance.
//!
//! libguestfs 1.48 has no call to delete one value: it can be overwritten, or
//! its whole key be deleted and made anew. Hives are changed as they are on
//! the disk: the transaction logs (`.LOG1`, `.LOG2`) are not looked at, and a
//! commit makes Windows ignore them, so check first that the two sequence
//! numbers in the header (offsets 4 and 8) agree.

use std::ffi::c_int;
use std::fmt;
use std::ptr;

use refit_guestfs_sys as sys;

use crate::call::set_option;
use crate::error::{Error, Result};
use crate::handle::Handle;
use crate::memory::elements;

/// A key of a hive. It holds for the [`Hive`] that gave it, until the key is
/// deleted; another number is an error or another key, never unsound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Node(i64);

/// A value of a key. It holds for the [`Hive`] that gave it, until a value of
/// the key is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Value(i64);

/// An open hive. Dropping it closes it, and drops what is not committed.
pub struct Hive<'h> {
    handle: &'h Handle,
    path: Vec<u8>,
    open: bool,
}

impl fmt::Debug for Hive<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hive")
            .field("path", &String::from_utf8_lossy(&self.path))
            .finish()
    }
}

impl Handle {
    /// Opens a hive, a file of the guest.
    ///
    /// # Errors
    ///
    /// [`Error::HiveOpen`]: another is open. libguestfs has one at a time, and
    /// would drop the first.
    pub fn hivex_open(&self, path: impl AsRef<[u8]>, options: &HivexOpen) -> Result<Hive<'_>> {
        if let Some(open) = &*self.hive.borrow() {
            return Err(Error::HiveOpen { path: open.clone() });
        }
        let call = self.call("hivex_open").on(&path);
        let filename = call.string("filename", &path)?;
        let mut args = sys::guestfs_hivex_open_argv::default();
        let verbose = options.verbose.map(c_int::from);
        set_option!(args.verbose = verbose, GUESTFS_HIVEX_OPEN_VERBOSE);
        let debug = options.debug.map(c_int::from);
        set_option!(args.debug = debug, GUESTFS_HIVEX_OPEN_DEBUG);
        let write = options.write.map(c_int::from);
        set_option!(args.write = write, GUESTFS_HIVEX_OPEN_WRITE);
        let tolerate_damage = options.tolerate_damage.map(c_int::from);
        set_option!(args.unsafe_ = tolerate_damage, GUESTFS_HIVEX_OPEN_UNSAFE);
        // SAFETY: one call; the string lives until the end of this method.
        unsafe {
            call.unit(|g| sys::guestfs_hivex_open_argv(g, filename.as_ptr(), &raw const args))
        }?;
        let path = path.as_ref().to_vec();
        *self.hive.borrow_mut() = Some(path.clone());
        Ok(Hive {
            handle: self,
            path,
            open: true,
        })
    }
}

impl Hive<'_> {
    /// The top key.
    pub fn root(&self) -> Result<Node> {
        // SAFETY: one call on the handle.
        unsafe {
            self.call("hivex_root")
                .integer("node", |g| sys::guestfs_hivex_root(g))
        }
        .map(Node)
    }

    /// The name of a key.
    pub fn node_name(&self, node: Node) -> Result<String> {
        // SAFETY: a function that returns a string.
        unsafe {
            self.call("hivex_node_name")
                .text(|g| sys::guestfs_hivex_node_name(g, node.0))
        }
    }

    /// The keys in a key.
    pub fn node_children(&self, node: Node) -> Result<Vec<Node>> {
        // SAFETY: a structure function and the function that frees it.
        unsafe {
            self.call("hivex_node_children").structure(
                |g| sys::guestfs_hivex_node_children(g, node.0),
                sys::guestfs_free_hivex_node_list,
                |list| {
                    let nodes = elements(list.val, list.len).iter();
                    Ok(nodes.map(|raw| Node(raw.hivex_node_h)).collect())
                },
            )
        }
    }

    /// The key of this name in a key, whatever its case.
    pub fn node_get_child(&self, node: Node, name: impl AsRef<[u8]>) -> Result<Option<Node>> {
        let call = self.call("hivex_node_get_child");
        let name = call.string("name", name)?;
        // SAFETY: one call; the string lives until the end of this method.
        let child: i64 = unsafe {
            call.integer("node", |g| {
                sys::guestfs_hivex_node_get_child(g, node.0, name.as_ptr())
            })
        }?;
        Ok((child != 0).then_some(Node(child)))
    }

    /// The key that a key is in.
    pub fn node_parent(&self, node: Node) -> Result<Node> {
        // SAFETY: one call on the handle.
        unsafe {
            self.call("hivex_node_parent")
                .integer("node", |g| sys::guestfs_hivex_node_parent(g, node.0))
        }
        .map(Node)
    }

    /// The values of a key.
    pub fn node_values(&self, node: Node) -> Result<Vec<Value>> {
        // SAFETY: a structure function and the function that frees it.
        unsafe {
            self.call("hivex_node_values").structure(
                |g| sys::guestfs_hivex_node_values(g, node.0),
                sys::guestfs_free_hivex_value_list,
                |list| {
                    let values = elements(list.val, list.len).iter();
                    Ok(values.map(|raw| Value(raw.hivex_value_h)).collect())
                },
            )
        }
    }

    /// The value of this name of a key, whatever its case; the empty name is
    /// the default value.
    pub fn node_get_value(&self, node: Node, name: impl AsRef<[u8]>) -> Result<Option<Value>> {
        let call = self.call("hivex_node_get_value");
        let name = call.string("key", name)?;
        // SAFETY: one call; the string lives until the end of this method.
        let value: i64 = unsafe {
            call.integer("value", |g| {
                sys::guestfs_hivex_node_get_value(g, node.0, name.as_ptr())
            })
        }?;
        Ok((value != 0).then_some(Value(value)))
    }

    /// The name of a value; empty for the default value.
    pub fn value_key(&self, value: Value) -> Result<String> {
        // SAFETY: a function that returns a string.
        unsafe {
            self.call("hivex_value_key")
                .text(|g| sys::guestfs_hivex_value_key(g, value.0))
        }
    }

    /// The type of a value: 1 for `REG_SZ`, 4 for `REG_DWORD`, ... (winnt.h);
    /// any other number is possible.
    pub fn value_type(&self, value: Value) -> Result<u32> {
        // SAFETY: one call on the handle.
        unsafe {
            self.call("hivex_value_type")
                .integer("type", |g| sys::guestfs_hivex_value_type(g, value.0))
        }
    }

    /// The bytes of a value, as they are in the hive.
    pub fn value_value(&self, value: Value) -> Result<Vec<u8>> {
        // SAFETY: a function that returns a buffer.
        unsafe {
            self.call("hivex_value_value")
                .buffer(|g, size| sys::guestfs_hivex_value_value(g, value.0, size))
        }
    }

    /// The bytes of a value, taken as UTF-16LE up to the first NUL.
    pub fn value_string(&self, value: Value) -> Result<String> {
        // SAFETY: a function that returns a string.
        unsafe {
            self.call("hivex_value_string")
                .text(|g| sys::guestfs_hivex_value_string(g, value.0))
        }
    }

    /// Adds a key of this name to a key.
    pub fn node_add_child(&self, parent: Node, name: impl AsRef<[u8]>) -> Result<Node> {
        let call = self.call("hivex_node_add_child");
        let name = call.string("name", name)?;
        // SAFETY: one call; the string lives until the end of this method.
        unsafe {
            call.integer("node", |g| {
                sys::guestfs_hivex_node_add_child(g, parent.0, name.as_ptr())
            })
        }
        .map(Node)
    }

    /// Deletes a key with all that is in it.
    pub fn node_delete_child(&self, node: Node) -> Result<()> {
        // SAFETY: one call on the handle.
        unsafe {
            self.call("hivex_node_delete_child")
                .unit(|g| sys::guestfs_hivex_node_delete_child(g, node.0))
        }
    }

    /// Sets a value of a key, and leaves its others. For the types see
    /// [`value_type`](Self::value_type); the bytes go into the hive as they
    /// are: a string is UTF-16LE with a NUL at its end.
    pub fn node_set_value(
        &self,
        node: Node,
        name: impl AsRef<[u8]>,
        kind: u32,
        value: &[u8],
    ) -> Result<()> {
        let call = self.call("hivex_node_set_value");
        let name = call.string("key", name)?;
        // SAFETY: one call; C reads the value by its length, and string and
        // value live until the end of this method.
        unsafe {
            call.unit(|g| {
                let (start, length) = (value.as_ptr().cast(), value.len());
                let name = name.as_ptr();
                sys::guestfs_hivex_node_set_value(g, node.0, name, kind.into(), start, length)
            })
        }
    }

    /// Writes the changes to the file that was opened.
    pub fn commit(&self) -> Result<()> {
        // SAFETY: one call; no file name means the same file.
        unsafe {
            self.call("hivex_commit")
                .unit(|g| sys::guestfs_hivex_commit(g, ptr::null()))
        }
    }

    /// Writes the hive with the changes to another file of the guest.
    pub fn commit_to(&self, path: impl AsRef<[u8]>) -> Result<()> {
        let call = self.handle.call("hivex_commit").on(&path);
        let path = call.string("filename", path)?;
        // SAFETY: one call; the string lives until the end of this method.
        unsafe { call.unit(|g| sys::guestfs_hivex_commit(g, path.as_ptr())) }
    }

    /// Closes the hive; what is not committed is dropped.
    pub fn close(mut self) -> Result<()> {
        self.close_once()
    }

    fn close_once(&mut self) -> Result<()> {
        self.open = false;
        *self.handle.hive.borrow_mut() = None;
        // SAFETY: one call on the handle.
        unsafe {
            self.call("hivex_close")
                .unit(|g| sys::guestfs_hivex_close(g))
        }
    }

    fn call(&self, name: &'static str) -> crate::call::Call<'_> {
        self.handle.call(name).on(&self.path)
    }
}

impl Drop for Hive<'_> {
    fn drop(&mut self) {
        if self.open
            && let Err(error) = self.close_once()
        {
            tracing::debug!(%error, "closing a hive");
        }
    }
}

/// The optional arguments of [`Handle::hivex_open`].
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct HivexOpen {
    verbose: Option<bool>,
    debug: Option<bool>,
    write: Option<bool>,
    tolerate_damage: Option<bool>,
}

impl HivexOpen {
    /// For reading.
    pub fn new() -> Self {
        Self::default()
    }

    /// For writing, which needs [`Hive::commit`].
    pub fn write(mut self, write: bool) -> Self {
        self.write = Some(write);
        self
    }

    /// Opens a damaged hive, and reads what can be read (hivex's `unsafe`).
    /// Do not write with it.
    pub fn tolerate_damage(mut self, tolerate_damage: bool) -> Self {
        self.tolerate_damage = Some(tolerate_damage);
        self
    }

    /// hivex reports what it does, in the appliance's messages.
    pub fn verbose(mut self, verbose: bool) -> Self {
        self.verbose = Some(verbose);
        self
    }

    /// hivex reports every step.
    pub fn debug(mut self, debug: bool) -> Self {
        self.debug = Some(debug);
        self
    }
}
