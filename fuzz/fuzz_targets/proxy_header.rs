//! Input: a connection's first octets. What is read of a header does not depend on how it is cut, and is never more than came.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sip_tls::proxy::{MAX_HEADER, Parsed, begins_one, parse};

fuzz_target!(|data: &[u8]| {
    let whole = parse(data);
    if let Parsed::Header(count, _) = whole {
        assert!(count <= data.len() && count <= MAX_HEADER);
        assert!(begins_one(data));
        assert_eq!(parse(&data[..count]), whole);
    }
    // A beginning is a header already, is no header, or may still become what the whole is.
    for at in 0..data.len().min(MAX_HEADER) {
        match parse(&data[..at]) {
            Parsed::Partial => {}
            decided => assert_eq!(decided, whole, "cut at {at}"),
        }
    }
});
