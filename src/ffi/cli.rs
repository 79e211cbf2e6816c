//! CLI commands.

use std::ffi::{CStr, c_char, c_int};
use std::fmt;
use std::mem::MaybeUninit;
use std::ptr;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

use super::guard::guard;
use super::opaque::Opaque;
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
    /// What may stand at word `position` (from 0), which is behind its own words; the console shows what begins as was typed.
    pub complete: fn(position: usize) -> Vec<String>,
}

/// For a command without words that could be completed.
pub fn nothing(_: usize) -> Vec<String> {
    Vec::new()
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
    /// Whether it is a console: a terminal, or the socket of `asterisk -r`, whose user Asterisk has held against
    /// `cli_permissions.conf`. The manager interface's action `Command`, which asks nobody's privilege but `command`, and what else runs
    /// commands have a file for the output (`action_command` in `main/manager.c`), or nothing.
    pub fn is_interactive(&self) -> bool {
        let mut stat = MaybeUninit::<libc::stat>::zeroed();
        // SAFETY: two questions about a descriptor, open or not; the structure is as large as the function takes it.
        unsafe {
            libc::isatty(self.fd) == 1
                || (libc::fstat(self.fd, stat.as_mut_ptr()) == 0
                    && stat.assume_init().st_mode & libc::S_IFMT == libc::S_IFSOCK)
        }
    }

    /// Prints one line. What a peer has put into a name is no control character of the terminal's.
    pub fn line(&mut self, line: fmt::Arguments<'_>) {
        let line = c_text(&line.to_string().replace(char::is_control, "?"));
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
    raw: Opaque<sys::ast_cli_entry>,
    command: &'static Command,
}

/// Registered commands; dropping them unregisters, and waits for a console that still runs one.
///
/// # Invariants
///
/// Each pointer is a box of [`register`]'s, freed only once Asterisk does not know it any more.
pub struct Registered(Vec<*mut Entry>);

// SAFETY: the pointers are used only by `register`, `withdraw` and `drop`, each on the thread that loads or unloads; what
// Asterisk does with the entries in between it guards with a lock of its own.
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
        // SAFETY: Asterisk hands back the entry that `register` gave it, which is the first member of an `Entry`; that is
        // freed only after Asterisk has forgotten it, which it refuses while a command runs.
        let entry = unsafe { &*entry.cast::<Entry>() };
        if cmd == sys::CLI_INIT {
            let raw = entry.raw.get();
            // SAFETY: Asterisk asks for the words while it registers the entry, holding its lock; the texts are static.
            unsafe {
                (*raw).command = entry.command.words.as_ptr().cast_mut();
                (*raw).usage = entry.command.usage.as_ptr();
            }
            return ptr::null_mut();
        }
        // SAFETY: Asterisk passes its arguments for this call.
        let args = unsafe { &*args };
        if cmd != sys::CLI_HANDLER {
            complete(entry.command, args);
            return ptr::null_mut();
        }
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

/// Hands Asterisk the words that begin as was typed, all at once: it asks no more.
fn complete(command: &Command, args: &sys::ast_cli_args) {
    let Ok(position) = usize::try_from(args.pos) else {
        return;
    };
    // SAFETY: NULL or a string, which lives during the call.
    let typed = unsafe { text(args.word) }.unwrap_or_default();
    let begins = |word: &String| {
        word.get(..typed.len())
            .is_some_and(|begin| begin.eq_ignore_ascii_case(&typed))
    };
    for word in (command.complete)(position).into_iter().filter(begins) {
        // SAFETY: a string, which is copied; Asterisk frees the copy, also where it has no room for it.
        let taken = unsafe { sys::ast_cli_completion_add(sys::ct_strdup(c_text(&word).as_ptr())) };
        if taken != 0 {
            return;
        }
    }
}

/// Registers `commands`.
pub fn register(commands: impl IntoIterator<Item = &'static Command>) -> Registered {
    let mut registered = Registered(Vec::new());
    for command in commands {
        let raw = Opaque::<sys::ast_cli_entry>::zeroed();
        // SAFETY: plain C, for which zero is "not set"; nobody else has it yet.
        unsafe {
            (*raw.get()).summary = command.summary.as_ptr();
            (*raw.get()).handler = Some(handler);
        }
        let entry = Box::into_raw(Box::new(Entry { raw, command }));
        if make_known(entry) {
            registered.0.push(entry);
        } else {
            log::warn!(
                "the console command {:?} could not be registered",
                command.words
            );
            // SAFETY: made just above, and Asterisk did not take it.
            drop(unsafe { Box::from_raw(entry) });
        }
    }
    registered
}

fn make_known(entry: *mut Entry) -> bool {
    // SAFETY: one entry, the first member of a box that lives until Asterisk has forgotten it.
    unsafe { sys::ct_cli_register(entry.cast(), 1) == 0 }
}

/// Has Asterisk forget an entry. `false`: a console runs it now, and Asterisk knows it still.
fn forget(entry: *mut Entry) -> bool {
    // SAFETY: an entry of ours, in a box that nobody frees meanwhile.
    let raw = unsafe { (*entry).raw.get() };
    // SAFETY: the use count is an `int` that consoles change by atomic operations alone.
    let in_use = unsafe { AtomicI32::from_ptr(&raw mut (*raw).inuse) };
    if in_use.load(Ordering::Acquire) != 0 {
        return false;
    }
    // SAFETY: an entry that was registered. Asterisk answers 0 in any case.
    unsafe { sys::ast_cli_unregister_multiple(raw, 1) };
    // SAFETY: a pointer that Asterisk sets when it registers an entry, and clears when it forgets it; it does neither now.
    let forgotten = unsafe { (*raw)._full_cmd.is_null() };
    // Asterisk looks at the count before it locks its list: a console may have come in between, which holds the entry.
    if forgotten && in_use.load(Ordering::Acquire) != 0 {
        make_known(entry);
        return false;
    }
    forgotten
}

impl Registered {
    /// Has Asterisk forget all commands.
    ///
    /// # Errors
    ///
    /// A console runs one of them: all are as they were.
    pub fn withdraw(mut self) -> Result<(), Self> {
        let forgotten: Vec<*mut Entry> = self
            .0
            .iter()
            .copied()
            .take_while(|entry| forget(*entry))
            .collect();
        if forgotten.len() < self.0.len() {
            for entry in forgotten {
                make_known(entry);
            }
            return Err(self);
        }
        for entry in self.0.drain(..) {
            // SAFETY: a box of `register`'s that Asterisk has forgotten.
            drop(unsafe { Box::from_raw(entry) });
        }
        Ok(())
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        for entry in self.0.drain(..) {
            while !forget(entry) {
                std::thread::sleep(Duration::from_millis(10));
            }
            // SAFETY: a box of `register`'s that Asterisk has forgotten.
            drop(unsafe { Box::from_raw(entry) });
        }
    }
}
