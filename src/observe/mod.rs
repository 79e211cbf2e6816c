//! What an operator sees: the console. (AMI events and metrics are to come.)

pub mod cli;
pub mod refusals;
