//! Host tests: the module in a real Asterisk, with peers that we did not write. One file per behaviour.

mod detectors;
mod srtp_call;
mod srtp_rollover;
