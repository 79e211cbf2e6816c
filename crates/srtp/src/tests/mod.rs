//! Tests of whole sessions, and of the RFCs' vectors.

mod vectors;
