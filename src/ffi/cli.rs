//! CLI commands.

use std::ffi::{CStr, c_char, c_int};
use std::fmt;
use std::mem;
use std::ptr;

use super::guard::guard;
use super::{c_text, sys, text};

/// A command of the console.
#[derive(Debug)]
pub struct Command {
    /// Its words, e.g. `ciphertrunk show status`; `{a|b}` and `[x]` as Asterisk reads them.
    pub words: &'static CStr,
    /// One line for `core show help`.
    pub summary: &'static CStr,
    /// The usage text.
    pub usage: &'static CStr,
    /// What it does.
    pub run: fn(&mut Console<'_>) -> Outcome,
}

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It did what was asked.
    Done,
    /// The words were wrong: Asterisk prints the usage.
    Usage,
}

/// The console that typed the command.
#[derive(Debug)]
pub struct Console<'a> {
    fd: c_int,
    /// All words as typed.
    pub words: &'a [String],
}

impl Console<'_> {
    /// Prints one line.
    pub fn line(&mut self, line: fmt::Arguments<'_>) {
        let line = c_text(&line.to_string());
        // SAFETY: the format takes one string, which lives during the call.
        unsafe { sys::ast_cli(self.fd, c"%s\n".as_ptr(), line.as_ptr()) };
    }
}

/// Prints one line to a [`Console`], with `format!`'s syntax.
#[macro_export]
macro_rules! console {
    ($console:expr, $($format:tt)*) => { $console.line(format_args!($($format)*)) };
}

/// Asterisk's entry with the command it stands for behind it, so that the one handler finds it.
#[repr(C)]
struct Entry {
    raw: sys::ast_cli_entry,
    command: &'static Command,
}

/// Registered commands; dropping them unregisters.
pub struct Registered(Vec<*mut Entry>);

// SAFETY: the pointers are boxes that only `register` and `drop` touch, both on the thread that loads and unloads;
// Asterisk guards the entries with its own lock in between.
unsafe impl Send for Registered {}

impl fmt::Debug for Registered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Registered({} commands)", self.0.len())
    }
}

extern "C" fn handler(
    entry: *mut sys::ast_cli_entry,
    cmd: c_int,
    args: *mut sys::ast_cli_args,
) -> *mut c_char {
    let failure = ptr::without_provenance_mut(sys::RESULT_FAILURE as usize);
    guard(failure, || {
        // SAFETY: Asterisk hands back the entry that `register` gave it, which is the first member of an `Entry` that
        // lives until it is unregistered.
        let entry = unsafe { &mut *entry.cast::<Entry>() };
        if cmd == sys::CLI_INIT {
            entry.raw.command = entry.command.words.as_ptr().cast_mut();
            entry.raw.usage = entry.command.usage.as_ptr();
            return ptr::null_mut();
        }
        if cmd != sys::CLI_HANDLER {
            // Completion: Asterisk completes the fixed words itself.
            return ptr::null_mut();
        }
        // SAFETY: Asterisk passes its arguments for this call.
        let args = unsafe { &*args };
        let words: Vec<String> = (0..usize::try_from(args.argc).unwrap_or(0))
            // SAFETY: argv has argc strings.
            .map(|index| unsafe { text(*args.argv.add(index)) }.unwrap_or_default())
            .collect();
        let mut console = Console {
            fd: args.fd,
            words: &words,
        };
        match (entry.command.run)(&mut console) {
            Outcome::Done => ptr::without_provenance_mut(sys::RESULT_SUCCESS as usize),
            Outcome::Usage => ptr::without_provenance_mut(sys::RESULT_SHOWUSAGE as usize),
        }
    })
}

/// Registers `commands`.
pub fn register(commands: &'static [Command]) -> Registered {
    let mut registered = Registered(Vec::new());
    for command in commands {
        // SAFETY: a C struct of pointers and integers, for which zero is "not set".
        let mut raw: sys::ast_cli_entry = unsafe { mem::zeroed() };
        raw.summary = command.summary.as_ptr();
        raw.handler = Some(handler);
        let entry = Box::into_raw(Box::new(Entry { raw, command }));
        // SAFETY: one entry that lives until it is unregistered; `raw` is the first member.
        if unsafe { sys::ct_cli_register(entry.cast(), 1) } == 0 {
            registered.0.push(entry);
        } else {
            log::warn!("CLI command {:?} could not be registered", command.words);
            // SAFETY: Asterisk did not take it.
            drop(unsafe { Box::from_raw(entry) });
        }
    }
    registered
}

impl Drop for Registered {
    fn drop(&mut self) {
        for entry in self.0.drain(..) {
            // SAFETY: registered by `register`; when the call is back, Asterisk does not know it any more.
            if unsafe { sys::ast_cli_unregister_multiple(entry.cast(), 1) } == 0 {
                // SAFETY: made by `Box::into_raw` there.
                drop(unsafe { Box::from_raw(entry) });
            }
        }
    }
}
