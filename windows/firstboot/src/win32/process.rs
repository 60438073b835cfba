//! Processes that end with all that they have started.

use std::ffi::c_void;
use std::io;
use std::ptr::{null, null_mut};

use super::{Handle, check, wide};

const JOB_EXTENDED_LIMIT_INFORMATION: u32 = 9;
const KILL_ON_JOB_CLOSE: u32 = 0x2000;
const CREATE_NO_WINDOW: u32 = 0x0800_0000;
const WAIT_TIMEOUT: u32 = 258;

/// `JOBOBJECT_EXTENDED_LIMIT_INFORMATION`
#[repr(C)]
#[derive(Default)]
struct Limits {
    process_time: i64,
    job_time: i64,
    flags: u32,
    minimum_working_set: usize,
    maximum_working_set: usize,
    processes: u32,
    affinity: usize,
    priority: u32,
    scheduling: u32,
    io_counters: [u64; 6],
    process_memory: usize,
    job_memory: usize,
    peak_process_memory: usize,
    peak_job_memory: usize,
}

/// `STARTUPINFOW`
#[repr(C)]
struct StartupInfo {
    size: u32,
    reserved: *mut u16,
    desktop: *mut u16,
    title: *mut u16,
    numbers: [u32; 8],
    show: u16,
    reserved_size: u16,
    reserved_bytes: *mut u8,
    handles: [Handle; 3],
}

/// `PROCESS_INFORMATION`
#[repr(C)]
struct ProcessInformation {
    process: Handle,
    thread: Handle,
    ids: [u32; 2],
}

#[link(name = "kernel32")]
extern "system" {
    fn CreateJobObjectW(security: *const c_void, name: *const u16) -> Handle;
    fn SetInformationJobObject(job: Handle, class: u32, data: *const Limits, size: u32) -> i32;
    fn AssignProcessToJobObject(job: Handle, process: Handle) -> i32;
    fn GetCurrentProcess() -> Handle;
    fn CloseHandle(handle: Handle) -> i32;
    fn CreateProcessW(
        application: *const u16,
        command: *mut u16,
        process: *const c_void,
        thread: *const c_void,
        inherit: i32,
        flags: u32,
        environment: *const c_void,
        directory: *const u16,
        startup: *const StartupInfo,
        information: *mut ProcessInformation,
    ) -> i32;
    fn WaitForSingleObject(handle: Handle, milliseconds: u32) -> u32;
    fn GetExitCodeProcess(process: Handle, code: *mut u32) -> i32;
}

/// A handle of the kernel.
#[derive(Debug)]
struct Owned(Handle);

impl Drop for Owned {
    fn drop(&mut self) {
        // SAFETY: the handle is ours and open.
        unsafe { CloseHandle(self.0) };
    }
}

/// Takes this process into a job, and with it all that it will start: they end with it.
///
/// Whoever starts a process and takes it into a job afterwards may come too late for what that has started.
pub fn end_together() -> io::Result<()> {
    // SAFETY: null means defaults and no name.
    let handle = unsafe { CreateJobObjectW(null(), null()) };
    if handle.is_null() {
        return Err(io::Error::last_os_error());
    }
    let job = Owned(handle);
    let limits = Limits {
        flags: KILL_ON_JOB_CLOSE,
        ..Limits::default()
    };
    let size = std::mem::size_of::<Limits>() as u32;
    // SAFETY: the structure has the layout and size that its class names.
    check(unsafe {
        SetInformationJobObject(job.0, JOB_EXTENDED_LIMIT_INFORMATION, &limits, size)
    })?;
    // SAFETY: the job's handle is open; the other stands for this process and needs no closing.
    check(unsafe { AssignProcessToJobObject(job.0, GetCurrentProcess()) })?;
    // Windows closes it when this process ends, however that happens.
    std::mem::forget(job);
    Ok(())
}

/// A process that was started by its whole command line.
#[derive(Debug)]
pub struct Process(Owned);

impl Process {
    /// Starts it in `directory`, or in this process's own.
    pub fn start(command: &str, directory: Option<&str>) -> io::Result<Self> {
        let mut command = wide(command);
        let directory = directory.map(wide);
        let startup = StartupInfo {
            size: std::mem::size_of::<StartupInfo>() as u32,
            reserved: null_mut(),
            desktop: null_mut(),
            title: null_mut(),
            numbers: [0; 8],
            show: 0,
            reserved_size: 0,
            reserved_bytes: null_mut(),
            handles: [null_mut(); 3],
        };
        let mut information = ProcessInformation {
            process: null_mut(),
            thread: null_mut(),
            ids: [0; 2],
        };
        // SAFETY: the strings end with zero, the command line is ours to be written to, and the
        // structures have their documented layout; all outlive the call.
        check(unsafe {
            CreateProcessW(
                null(),
                command.as_mut_ptr(),
                null(),
                null(),
                0,
                CREATE_NO_WINDOW,
                null(),
                directory
                    .as_ref()
                    .map_or(null(), |directory| directory.as_ptr()),
                &startup,
                &mut information,
            )
        })?;
        drop(Owned(information.thread));
        Ok(Self(Owned(information.process)))
    }

    /// Its exit code, if it ends within `milliseconds`.
    pub fn wait(&self, milliseconds: u32) -> io::Result<Option<u32>> {
        // SAFETY: the handle is open.
        if unsafe { WaitForSingleObject(self.0.0, milliseconds) } == WAIT_TIMEOUT {
            return Ok(None);
        }
        let mut code = 0;
        // SAFETY: the handle is open; `code` outlives the call.
        check(unsafe { GetExitCodeProcess(self.0.0, &mut code) })?;
        Ok(Some(code))
    }
}
