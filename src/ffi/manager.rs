//! The manager interface (AMI): actions and events.
//!
//! Their text for `manager show command` comes from the XML documentation (`docs/xml`), which Asterisk reads when an action is
//! registered.

use std::ffi::{CStr, c_int};
use std::fmt::{self, Write as _};

use super::guard::guard;
use super::{c_text, sys, text};

/// A privilege of a manager's user (`write` of `manager.conf`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Privilege {
    /// `system`
    System,
    /// `system` or `reporting`: one of them is enough.
    SystemOrReporting,
}

impl Privilege {
    fn raw(self) -> c_int {
        let flag = match self {
            Self::System => sys::EVENT_FLAG_SYSTEM,
            Self::SystemOrReporting => sys::EVENT_FLAG_SYSTEM | sys::EVENT_FLAG_REPORTING,
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

    /// `Response: Success` with fields.
    pub fn answer(&self, fields: &Fields) {
        let id = self.id();
        self.append(&format!("Response: Success\r\n{id}{}\r\n", fields.0));
    }

    /// A list: the response, an event `item` for each, and `complete`. It may wait for a client that reads slowly: no lock is held.
    pub fn list(
        &self,
        sentence: &str,
        item: &str,
        complete: &CStr,
        items: impl Iterator<Item = Fields>,
    ) {
        let sentence = c_text(&one_line(sentence));
        // SAFETY: alive during the action; the texts are only read.
        unsafe {
            sys::astman_send_listack(
                self.session,
                self.message,
                sentence.as_ptr().cast_mut(),
                c"start".as_ptr().cast_mut(),
            );
        }
        let id = self.id();
        let mut count = 0;
        for fields in items {
            count += 1;
            self.append(&format!("Event: {item}\r\n{id}{}\r\n", fields.0));
        }
        // SAFETY: likewise; the second ends what the first begins.
        unsafe {
            sys::astman_send_list_complete_start(
                self.session,
                self.message,
                complete.as_ptr(),
                count,
            );
            sys::astman_send_list_complete_end(self.session);
        }
    }

    /// The line with the request's `ActionID`; empty if it has none.
    fn id(&self) -> String {
        self.header(c"ActionID")
            .map_or_else(String::new, |id| format!("ActionID: {}\r\n", one_line(&id)))
    }

    fn append(&self, text: &str) {
        let text = c_text(text);
        // SAFETY: alive during the action; the format takes one string, which lives during the call.
        unsafe { sys::astman_append(self.session, c"%s".as_ptr(), text.as_ptr()) };
    }
}

/// Headers of an answer or an event, each with its value.
#[derive(Debug, Clone, Default)]
pub struct Fields(String);

impl Fields {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// With one more. A value that is not known is empty.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl fmt::Display) -> Self {
        let value = one_line(&value.to_string());
        // It cannot fail: the text is a String.
        let _ = write!(self.0, "{name}: {value}\r\n");
        self
    }
}

/// Sends an event of the class `system`. Asterisk queues it for each session that may see it, and calls what else has asked for events:
/// no lock of ours may be held, and no thread be waited for that carries messages or media.
pub fn event(name: &CStr, fields: &Fields) {
    let headers = c_text(&fields.0);
    // SAFETY: the texts live during the call, which copies them.
    unsafe {
        sys::ct_manager_event(
            sys::EVENT_FLAG_SYSTEM.cast_signed(),
            name.as_ptr(),
            headers.as_ptr(),
        );
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
    let failed =
        // SAFETY: a static name, and a function of this library, which stays until no session is in it.
        unsafe { sys::ct_manager_register(A::NAME.as_ptr(), A::PRIVILEGE.raw(), Some(entry::<A>)) };
    (failed == 0).then_some(Registered(A::NAME))
}

impl Drop for Registered {
    fn drop(&mut self) {
        // SAFETY: registered by `register`, and unregistered once.
        unsafe { sys::ast_manager_unregister(self.0.as_ptr()) };
    }
}
