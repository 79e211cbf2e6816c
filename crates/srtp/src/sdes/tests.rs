//! SDES lines, accepted and refused.
