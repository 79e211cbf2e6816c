//! SIPp: scenarios that no real phone would send.
