//! The service control manager.

use std::ffi::c_void;
use std::io;
use std::ptr::{null, null_mut};
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, Ordering};

use super::{Handle, check, wide};

const SERVICE_WIN32_OWN_PROCESS: u32 = 0x10;
const ACCEPT_STOP_SHUTDOWN: u32 = 1 | 4;
const CONTROL_STOP: u32 = 1;
const CONTROL_INTERROGATE: u32 = 4;
const CONTROL_SHUTDOWN: u32 = 5;
const ERROR_CALL_NOT_IMPLEMENTED: u32 = 120;
const ERROR_SERVICE_SPECIFIC_ERROR: u32 = 1066;
/// `ERROR_SERVICE_DOES_NOT_EXIST`
const NO_SUCH_SERVICE: i32 = 1060;
const ERROR_SERVICE_MARKED_FOR_DELETE: i32 = 1072;
const MANAGER_CONNECT_CREATE: u32 = 1 | 2;
const SERVICE_QUERY_STATUS: u32 = 4;
const DELETE: u32 = 0x1_0000;

/// States of a service (`SERVICE_STATUS`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServiceState {
    /// Not running.
    Stopped = 1,
    /// Ending.
    StopPending = 3,
    /// Running.
    Running = 4,
}

#[repr(C)]
#[derive(Default)]
struct ServiceStatus {
    kind: u32,
    state: u32,
    accepted: u32,
    exit_code: u32,
    specific_code: u32,
    checkpoint: u32,
    wait_hint: u32,
}

#[repr(C)]
struct TableEntry {
    name: *const u16,
    main: Option<extern "system" fn(u32, *mut *mut u16)>,
}

#[link(name = "advapi32")]
extern "system" {
    fn StartServiceCtrlDispatcherW(table: *const TableEntry) -> i32;
    fn RegisterServiceCtrlHandlerExW(
        name: *const u16,
        handler: extern "system" fn(u32, u32, *mut c_void, *mut c_void) -> u32,
        context: *mut c_void,
    ) -> Handle;
    fn SetServiceStatus(handle: Handle, status: *const ServiceStatus) -> i32;
    fn OpenSCManagerW(machine: *const u16, database: *const u16, access: u32) -> Handle;
    fn OpenServiceW(manager: Handle, name: *const u16, access: u32) -> Handle;
    fn CreateServiceW(
        manager: Handle,
        name: *const u16,
        display: *const u16,
        access: u32,
        kind: u32,
        start: u32,
        error: u32,
        path: *const u16,
        group: *const u16,
        tag: *mut u32,
        dependencies: *const u16,
        account: *const u16,
        password: *const u16,
    ) -> Handle;
    fn QueryServiceStatus(service: Handle, status: *mut ServiceStatus) -> i32;
    fn DeleteService(service: Handle) -> i32;
    fn CloseServiceHandle(handle: Handle) -> i32;
}

static STATUS: AtomicPtr<c_void> = AtomicPtr::new(null_mut());
static STATE: AtomicU32 = AtomicU32::new(0);
static STOP: AtomicBool = AtomicBool::new(false);
/// A `fn() -> u32`, set before the dispatcher starts.
static BODY: AtomicPtr<c_void> = AtomicPtr::new(null_mut());

/// Whether the service was told to stop.
pub fn stopping() -> bool {
    STOP.load(Ordering::SeqCst)
}

extern "system" fn handler(control: u32, _: u32, _: *mut c_void, _: *mut c_void) -> u32 {
    match control {
        CONTROL_STOP | CONTROL_SHUTDOWN => {
            STOP.store(true, Ordering::SeqCst);
            report(ServiceState::StopPending, 0);
            0
        }
        CONTROL_INTERROGATE => 0,
        _ => ERROR_CALL_NOT_IMPLEMENTED,
    }
}

fn report(state: ServiceState, specific_code: u32) {
    STATE.store(state as u32, Ordering::SeqCst);
    let status = ServiceStatus {
        kind: SERVICE_WIN32_OWN_PROCESS,
        state: state as u32,
        accepted: if state == ServiceState::Running {
            ACCEPT_STOP_SHUTDOWN
        } else {
            0
        },
        exit_code: if specific_code == 0 {
            0
        } else {
            ERROR_SERVICE_SPECIFIC_ERROR
        },
        specific_code,
        checkpoint: 0,
        // Milliseconds; an attempt that is under way is ended at once.
        wait_hint: if state == ServiceState::StopPending {
            30_000
        } else {
            0
        },
    };
    // SAFETY: the handle is what the control manager gave us; such handles are never closed.
    unsafe { SetServiceStatus(STATUS.load(Ordering::SeqCst), &status) };
}

extern "system" fn service_main(_: u32, _: *mut *mut u16) {
    let name = wide("");
    // SAFETY: the name, which is ignored for a process with one service, ends with zero; the handler
    // lives as long as the program.
    let handle = unsafe { RegisterServiceCtrlHandlerExW(name.as_ptr(), handler, null_mut()) };
    if handle.is_null() {
        return;
    }
    STATUS.store(handle, Ordering::SeqCst);
    report(ServiceState::Running, 0);
    // SAFETY: `dispatch` has stored a `fn() -> u32` here before anything could start us.
    let body: fn() -> u32 = unsafe { std::mem::transmute(BODY.load(Ordering::SeqCst)) };
    let code = body();
    report(ServiceState::Stopped, code);
}

/// Runs `body` as the service that the control manager has started this process for; its result is the
/// service's exit code.
///
/// # Errors
/// This process was not started by the control manager.
pub fn dispatch(body: fn() -> u32) -> io::Result<()> {
    BODY.store(body as *mut c_void, Ordering::SeqCst);
    let name = wide("");
    let table = [
        TableEntry {
            name: name.as_ptr(),
            main: Some(service_main),
        },
        TableEntry {
            name: null(),
            main: None,
        },
    ];
    // SAFETY: the table ends with an empty entry; it and the name outlive the call.
    check(unsafe { StartServiceCtrlDispatcherW(table.as_ptr()) })
}

/// A handle of the control manager.
#[derive(Debug)]
struct Scm(Handle);

impl Drop for Scm {
    fn drop(&mut self) {
        // SAFETY: the handle is ours and open.
        unsafe { CloseServiceHandle(self.0) };
    }
}

impl Scm {
    fn new(handle: Handle) -> io::Result<Self> {
        if handle.is_null() {
            return Err(io::Error::last_os_error());
        }
        Ok(Self(handle))
    }
}

fn manager() -> io::Result<Scm> {
    // SAFETY: null means this machine and its active database.
    Scm::new(unsafe { OpenSCManagerW(null(), null(), MANAGER_CONNECT_CREATE) })
}

fn open(name: &str, access: u32) -> io::Result<Option<Scm>> {
    let manager = manager()?;
    let name = wide(name);
    // SAFETY: the manager is open, the name ends with zero.
    match Scm::new(unsafe { OpenServiceW(manager.0, name.as_ptr(), access) }) {
        Ok(service) => Ok(Some(service)),
        Err(error) if error.raw_os_error() == Some(NO_SUCH_SERVICE) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether there is such a service, and if so, whether it is doing something.
pub fn is_active(name: &str) -> io::Result<Option<bool>> {
    let service = match open(name, SERVICE_QUERY_STATUS)? {
        Some(service) => service,
        _ => return Ok(None),
    };
    let mut status = ServiceStatus::default();
    // SAFETY: the handle is open; the structure outlives the call.
    check(unsafe { QueryServiceStatus(service.0, &mut status) })?;
    Ok(Some(status.state != ServiceState::Stopped as u32))
}

/// Installs a service that starts with the system, as LocalSystem; `command` is its whole command line.
pub fn install(name: &str, command: &str) -> io::Result<()> {
    const ALL_ACCESS: u32 = 0xF_01FF;
    const AUTO_START: u32 = 2;
    const ERROR_NORMAL: u32 = 1;
    let manager = manager()?;
    let (name, command) = (wide(name), wide(command));
    // SAFETY: the strings end with zero and outlive the call; null means defaults.
    Scm::new(unsafe {
        CreateServiceW(
            manager.0,
            name.as_ptr(),
            name.as_ptr(),
            ALL_ACCESS,
            SERVICE_WIN32_OWN_PROCESS,
            AUTO_START,
            ERROR_NORMAL,
            command.as_ptr(),
            null(),
            null_mut(),
            null(),
            null(),
            null(),
        )
    })
    .map(drop)
}

/// Removes a service, once it has ended; one that is missing is no error.
pub fn uninstall(name: &str) -> io::Result<()> {
    let service = match open(name, DELETE)? {
        Some(service) => service,
        _ => return Ok(()),
    };
    // SAFETY: the handle is open.
    match check(unsafe { DeleteService(service.0) }) {
        Err(error) if error.raw_os_error() == Some(ERROR_SERVICE_MARKED_FOR_DELETE) => Ok(()),
        result => result,
    }
}
