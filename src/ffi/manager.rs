//! The manager interface (AMI): actions.
//!
//! Their text for `manager show command` comes from the XML documentation (`docs/xml`), which Asterisk reads when an action is
//! registered.

use std::ffi::{CStr, c_int};
use std::fmt;

use super::guard::guard;
use super::{c_text, sys, text};

/// A privilege of a manager's user (`write` of `manager.conf`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Privilege {
    /// `system`
    System,
}

impl Privilege {
    fn raw(self) -> c_int {
        let flag = match self {
            Self::System => sys::EVENT_FLAG_SYSTEM,
        };
        flag.cast_signed()
    }
}

/// An action. Called on the thread of the session that sends it.
pub trait Action: 'static {
    /// Its name.
    const NAME: &'static CStr;
    /// What the user must have. Asterisk refuses everybody else.
    const PRIVILEGE: Privilege;

    /// Does what is asked, and answers once.
    fn run(request: &Request<'_>);
}

/// What a session has sent, and the way back.
#[derive(Debug)]
pub struct Request<'a> {
    session: *mut sys::mansession,
    message: &'a sys::message,
}

impl Request<'_> {
    /// The value of a header; `None`: it is not there, or is empty.
    pub fn header(&self, name: &CStr) -> Option<String> {
        // SAFETY: session and message are alive during the action; the name is only read.
        unsafe {
            text(sys::astman_get_header(
                self.message,
                name.as_ptr().cast_mut(),
            ))
        }
        .filter(|value| !value.is_empty())
    }

    /// `Response: Success`.
    pub fn succeed(&self, sentence: &str) {
        let sentence = c_text(&one_line(sentence));
        // SAFETY: alive during the action; the text is only read.
        unsafe { sys::astman_send_ack(self.session, self.message, sentence.as_ptr().cast_mut()) };
    }

    /// `Response: Error`.
    pub fn fail(&self, sentence: &str) {
        let sentence = c_text(&one_line(sentence));
        // SAFETY: likewise.
        unsafe { sys::astman_send_error(self.session, self.message, sentence.as_ptr().cast_mut()) };
    }
}

/// A value cannot end its line.
fn one_line(value: &str) -> String {
    value
        .chars()
        .map(|it| if it.is_control() { ' ' } else { it })
        .collect()
}

/// A registered action; dropping it unregisters it. Asterisk counts those who are in it as uses of the module.
pub struct Registered(&'static CStr);

impl fmt::Debug for Registered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Registered({:?})", self.0)
    }
}

unsafe extern "C" fn entry<A: Action>(
    session: *mut sys::mansession,
    message: *const sys::message,
) -> c_int {
    guard((), || {
        // SAFETY: NULL, or a message that lives during the action.
        if let Some(message) = unsafe { message.as_ref() } {
            A::run(&Request { session, message });
        }
    });
    // The session goes on.
    0
}

/// Registers `A`. `None`: there is an action of that name, which Asterisk logs.
pub fn register<A: Action>() -> Option<Registered> {
    // SAFETY: a static name, and a function of this library, which stays until no session is in it.
    let failed =
        unsafe { sys::ct_manager_register(A::NAME.as_ptr(), A::PRIVILEGE.raw(), Some(entry::<A>)) };
    (failed == 0).then_some(Registered(A::NAME))
}

impl Drop for Registered {
    fn drop(&mut self) {
        // SAFETY: registered by `register`, and unregistered once.
        unsafe { sys::ast_manager_unregister(self.0.as_ptr()) };
    }
}
