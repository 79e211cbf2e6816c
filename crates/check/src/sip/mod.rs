//! SIP over a connection that is up.

mod answer;
mod call;
mod message;
mod options;
mod sdp;

pub(crate) use answer::Answers;
pub(crate) use call::calls;
pub(crate) use message::Who;
pub(crate) use options::{ask, ping};
