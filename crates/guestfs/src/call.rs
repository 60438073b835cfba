//! One call of a C function: arguments in, errors and memory out.
//!
//! All methods of the handle go through [`Call`], so this is the only place
//! that knows libguestfs's conventions: -1 or NULL is an error whose message
//! and errno must be copied at once and on the same thread, and what is
//! returned is ours to free.

use std::ffi::{CString, c_char, c_int};
use std::panic::resume_unwind;
use std::thread;

use refit_guestfs_sys as sys;

use crate::error::{Error, Result};
use crate::handle::Handle;
use crate::memory::{
    StringList, copy_string, last_message, lossy, take_buffer, take_list, take_string,
};

/// A call that is about to be made.
pub(crate) struct Call<'h> {
    handle: &'h Handle,
    name: &'static str,
    path: Option<Vec<u8>>,
}

impl Handle {
    /// Begins the call of `guestfs_<name>`.
    pub(crate) fn call(&self, name: &'static str) -> Call<'_> {
        Call {
            handle: self,
            name,
            path: None,
        }
    }
}

impl Call<'_> {
    /// Names the guest path, device or mountable that errors are about.
    pub(crate) fn on(self, path: impl AsRef<[u8]>) -> Self {
        Self {
            path: Some(path.as_ref().to_vec()),
            ..self
        }
    }

    /// A string argument. The key of an encrypted volume is one too, so the
    /// error does not quote it.
    pub(crate) fn string(
        &self,
        argument: &'static str,
        value: impl AsRef<[u8]>,
    ) -> Result<CString> {
        CString::new(value.as_ref()).map_err(|_| Error::InteriorNul {
            call: self.name,
            argument,
        })
    }

    /// A string argument that may be left out.
    pub(crate) fn optional_string(
        &self,
        argument: &'static str,
        value: Option<&String>,
    ) -> Result<Option<CString>> {
        value.map(|value| self.string(argument, value)).transpose()
    }

    /// A list of strings.
    pub(crate) fn strings<S: AsRef<[u8]>>(
        &self,
        argument: &'static str,
        values: impl IntoIterator<Item = S>,
    ) -> Result<StringList> {
        let strings = values
            .into_iter()
            .map(|value| self.string(argument, value))
            .collect::<Result<Vec<_>>>()?;
        Ok(StringList::new(strings))
    }

    /// A number that may be left out.
    pub(crate) fn optional_number<I, C: TryFrom<I>>(
        &self,
        argument: &'static str,
        value: Option<I>,
    ) -> Result<Option<C>> {
        value.map(|value| self.number(argument, value)).transpose()
    }

    /// A number that must fit a narrower or a signed type.
    pub(crate) fn number<I, C: TryFrom<I>>(&self, argument: &'static str, value: I) -> Result<C> {
        C::try_from(value).map_err(|_| Error::OutOfRange {
            call: self.name,
            argument,
        })
    }

    /// Makes the call, unless the handle was stopped.
    ///
    /// `failed` recognises the error value. `convert` takes over what the
    /// function returned, and frees it.
    fn run<C: Copy, T>(
        self,
        function: impl FnOnce(*mut sys::guestfs_h) -> C,
        failed: impl FnOnce(C) -> bool,
        convert: impl FnOnce(C) -> T,
    ) -> Result<T> {
        let handle = self.handle;
        if handle.shared.is_stopped() {
            return Err(self.cancelled());
        }
        if handle.busy.replace(true) {
            return Err(Error::Reentrant { call: self.name });
        }
        handle.silence();
        let returned = function(handle.raw());
        let result = if failed(returned) {
            // Whoever stopped the handle may have killed the appliance, too.
            if handle.shared.is_stopped() {
                Err(self.cancelled())
            } else {
                Err(self.last_error())
            }
        } else {
            Ok(convert(returned))
        };
        handle.busy.set(false);
        if let Some(payload) = handle.take_panic()
            // A second panic, from a drop during the first, would abort.
            && !thread::panicking()
        {
            resume_unwind(payload);
        }
        result
    }

    fn cancelled(self) -> Error {
        Error::Cancelled {
            call: self.name,
            path: self.path,
        }
    }

    /// Copies the error of the call that just failed on this thread.
    fn last_error(self) -> Error {
        let raw = self.handle.raw();
        // SAFETY: the handle is open, and no other call runs on it.
        let errno = unsafe { sys::guestfs_last_errno(raw) };
        // SAFETY: as above; NULL, or a string that lives until the next call.
        let message = unsafe { last_message(raw) };
        if errno == libc::EINTR {
            return self.cancelled();
        }
        let message = message.unwrap_or_else(|| "libguestfs gave no reason".to_owned());
        let message = match message
            .strip_prefix(self.name)
            .and_then(|m| m.strip_prefix(": "))
        {
            Some(rest) => rest.to_owned(),
            None => message,
        };
        Error::Call {
            call: self.name,
            path: self.path,
            message,
            errno: (errno != 0).then_some(errno),
        }
    }

    /// A function that returns 0, or -1 for an error.
    ///
    /// # Safety
    ///
    /// `function` calls one libguestfs function on the handle that it is
    /// given, with arguments that live until it returns, and does not keep or
    /// close the handle. The same holds for the methods below.
    pub(crate) unsafe fn unit(
        self,
        function: impl FnOnce(*mut sys::guestfs_h) -> c_int,
    ) -> Result<()> {
        self.run(function, |code| code == -1, |_| ())
    }

    /// A function that returns a truth value, or -1 for an error.
    ///
    /// # Safety
    ///
    /// See [`unit`](Self::unit).
    pub(crate) unsafe fn flag(
        self,
        function: impl FnOnce(*mut sys::guestfs_h) -> c_int,
    ) -> Result<bool> {
        self.run(function, |code| code == -1, |code| code != 0)
    }

    /// A function that returns a number of its own range, or -1 for an error.
    ///
    /// # Safety
    ///
    /// See [`unit`](Self::unit).
    pub(crate) unsafe fn integer<C, T>(
        self,
        what: &'static str,
        function: impl FnOnce(*mut sys::guestfs_h) -> C,
    ) -> Result<T>
    where
        C: Copy + Into<i64>,
        T: TryFrom<i64>,
    {
        let call = self.name;
        let number = self.run(function, |number| number.into() == -1, Into::into)?;
        T::try_from(number).map_err(|_| Error::Malformed { call, what })
    }

    /// A function that returns a string, or NULL for an error.
    ///
    /// # Safety
    ///
    /// See [`unit`](Self::unit). The string is from malloc, and nobody else
    /// frees it.
    pub(crate) unsafe fn bytes(
        self,
        function: impl FnOnce(*mut sys::guestfs_h) -> *mut c_char,
    ) -> Result<Vec<u8>> {
        // SAFETY: not NULL, so a string that is ours, by this method's contract.
        self.run(
            function,
            |string| string.is_null(),
            |string| unsafe { take_string(string) },
        )
    }

    /// A function that returns a string of the handle's own, or NULL for an
    /// error.
    ///
    /// # Safety
    ///
    /// See [`unit`](Self::unit). The string lives until the next call.
    pub(crate) unsafe fn borrowed(
        self,
        function: impl FnOnce(*mut sys::guestfs_h) -> *const c_char,
    ) -> Result<Vec<u8>> {
        // SAFETY: not NULL, so a string, by this method's contract.
        self.run(
            function,
            |string| string.is_null(),
            |string| unsafe { copy_string(string) },
        )
    }

    /// Like [`bytes`](Self::bytes), for words that libguestfs chooses.
    ///
    /// # Safety
    ///
    /// See [`bytes`](Self::bytes).
    pub(crate) unsafe fn text(
        self,
        function: impl FnOnce(*mut sys::guestfs_h) -> *mut c_char,
    ) -> Result<String> {
        // SAFETY: the same contract.
        unsafe { self.bytes(function) }.map(lossy)
    }

    /// A function that returns a list of strings that ends with NULL, or NULL
    /// for an error.
    ///
    /// # Safety
    ///
    /// See [`bytes`](Self::bytes), for the list and each string.
    pub(crate) unsafe fn list(
        self,
        function: impl FnOnce(*mut sys::guestfs_h) -> *mut *mut c_char,
    ) -> Result<Vec<Vec<u8>>> {
        // SAFETY: not NULL, so a list that is ours, by this method's contract.
        self.run(
            function,
            |list| list.is_null(),
            |list| unsafe { take_list(list) },
        )
    }

    /// Like [`list`](Self::list), for words that libguestfs chooses.
    ///
    /// # Safety
    ///
    /// See [`list`](Self::list).
    pub(crate) unsafe fn texts(
        self,
        function: impl FnOnce(*mut sys::guestfs_h) -> *mut *mut c_char,
    ) -> Result<Vec<String>> {
        // SAFETY: the same contract.
        let list = unsafe { self.list(function) }?;
        Ok(list.into_iter().map(lossy).collect())
    }

    /// A function that returns a hash table: keys and values in turn.
    ///
    /// # Safety
    ///
    /// See [`list`](Self::list).
    pub(crate) unsafe fn pairs(
        self,
        function: impl FnOnce(*mut sys::guestfs_h) -> *mut *mut c_char,
    ) -> Result<Vec<(Vec<u8>, Vec<u8>)>> {
        let call = self.name;
        // SAFETY: the same contract.
        let mut list = unsafe { self.list(function) }?.into_iter();
        let mut pairs = Vec::with_capacity(list.len() / 2);
        while let Some(key) = list.next() {
            let value = list.next().ok_or(Error::Malformed {
                call,
                what: "hash table",
            })?;
            pairs.push((key, value));
        }
        Ok(pairs)
    }

    /// A function that returns a buffer, with its length through the second
    /// argument, or NULL for an error.
    ///
    /// # Safety
    ///
    /// See [`bytes`](Self::bytes).
    pub(crate) unsafe fn buffer(
        self,
        function: impl FnOnce(*mut sys::guestfs_h, *mut usize) -> *mut c_char,
    ) -> Result<Vec<u8>> {
        let mut length = 0;
        let at: *mut usize = &raw mut length;
        self.run(
            |raw| function(raw, at),
            |buffer| buffer.is_null(),
            // SAFETY: not NULL, so a buffer of that length that is ours, by
            // this method's contract; `at` points to the local above.
            |buffer| unsafe { take_buffer(buffer, *at) },
        )
    }

    /// A function that returns a structure, or NULL for an error.
    ///
    /// # Safety
    ///
    /// See [`unit`](Self::unit). `free` is the libguestfs function that frees
    /// the structure, and nobody else does.
    pub(crate) unsafe fn structure<C, T>(
        self,
        function: impl FnOnce(*mut sys::guestfs_h) -> *mut C,
        free: unsafe extern "C" fn(*mut C),
        convert: impl FnOnce(&C) -> Result<T>,
    ) -> Result<T> {
        self.run(
            function,
            |structure| structure.is_null(),
            |structure| {
                // SAFETY: not NULL, so a structure that is ours, by this
                // method's contract; `convert` returns nothing borrowed.
                unsafe {
                    let converted = convert(&*structure);
                    free(structure);
                    converted
                }
            },
        )?
    }
}

/// The type that a kind of call returns, named like the method of [`Call`].
macro_rules! returned {
    (unit) => { () };
    (flag) => { bool };
    (bytes) => { Vec<u8> };
    (text) => { String };
    (list) => { Vec<Vec<u8>> };
    (texts) => { Vec<String> };
    (pairs) => { Vec<(Vec<u8>, Vec<u8>)> };
}
pub(crate) use returned;

/// Defines the methods whose arguments are all strings, which most are:
/// `name(arguments) on subject -> kind = C function`. The subject is what an
/// error is about; the kind is a method of [`Call`].
macro_rules! string_calls {
    ($(
        $(#[$doc:meta])*
        $name:ident($($argument:ident),*) $(on $subject:ident)? -> $kind:ident = $function:ident;
    )*) => {
        impl $crate::handle::Handle {
            $(
                $(#[$doc])*
                pub fn $name(
                    &self,
                    $($argument: impl AsRef<[u8]>,)*
                ) -> $crate::error::Result<$crate::call::returned!($kind)> {
                    let call = self.call(stringify!($name)) $(.on(&$subject))?;
                    $(let $argument = call.string(stringify!($argument), $argument)?;)*
                    // SAFETY: the arguments are C strings that live until the
                    // end of this method, and the kind is that of the function.
                    unsafe {
                        call.$kind(|g| refit_guestfs_sys::$function(g, $($argument.as_ptr()),*))
                    }
                }
            )*
        }
    };
}
pub(crate) use string_calls;

/// Sets an optional argument, if there is one, in a `guestfs_*_argv`
/// structure: the field, and the bit that says that it counts.
macro_rules! set_option {
    ($optargs:ident.$field:ident = $value:expr, $index:ident) => {
        if let Some(value) = $value {
            $optargs.bitmask |= 1 << refit_guestfs_sys::$index;
            $optargs.$field = value;
        }
    };
}
pub(crate) use set_option;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_with_nul_or_out_of_range_are_refused() {
        let handle = Handle::new().unwrap();
        let call = handle.call("rm");
        assert!(matches!(
            call.string("path", b"/a\0b"),
            Err(Error::InteriorNul {
                call: "rm",
                argument: "path"
            })
        ));
        assert!(call.strings("names", [&b"a"[..], b"b\0"]).is_err());
        assert!(matches!(
            call.number::<u64, i64>("size", u64::MAX),
            Err(Error::OutOfRange {
                call: "rm",
                argument: "size"
            })
        ));
        assert_eq!(call.number::<u32, c_int>("mode", 0o755).unwrap(), 0o755);
    }
}
