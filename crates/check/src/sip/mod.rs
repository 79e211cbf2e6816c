//! SIP over a connection that is up.

mod answer;
mod call;
mod message;
mod offer;
mod options;
mod sdp;

pub(crate) use answer::{Answers, Heard};
pub(crate) use call::calls;
pub(crate) use message::{Message, Who, response};
pub(crate) use offer::judge as judge_offer;
pub(crate) use options::{ask, ping};
