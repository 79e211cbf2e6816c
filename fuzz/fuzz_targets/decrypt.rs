//! Input: the text of a file of keys, a line `---`, and a capture. What is read of the keys is written and read the same; of the
//! capture, what is opened was authentic, so no stream has more opened than it has packets.
#![no_main]

use decrypt::{Opened, capture, parse_keys};
use libfuzzer_sys::fuzz_target;
use policy::keylog::KeyLine;

/// What stands between the two.
const BETWEEN: &[u8] = b"\n---\n";

fuzz_target!(|input: &[u8]| {
    let at = input
        .windows(BETWEEN.len())
        .position(|octets| octets == BETWEEN);
    let (text, packets) = match at {
        Some(at) => (&input[..at], &input[at + BETWEEN.len()..]),
        None => (input, &[][..]),
    };
    let Ok(mut keys) = parse_keys(&String::from_utf8_lossy(text)) else {
        return;
    };
    for key in &keys {
        let again = KeyLine::parse(&key.to_text())
            .expect("it has the mark")
            .expect("it was written");
        assert_eq!(again.policy.key().key_salt(), key.policy.key().key_salt());
        assert_eq!((&again.peer, &again.call), (&key.peer, &key.call));
    }
    // Each key costs a try of each packet.
    keys.truncate(4);
    let mut opened = Opened::new(&keys);
    let seen = capture::read(packets, |datagram| opened.take(datagram));
    let Ok(seen) = seen else {
        return;
    };
    assert!(seen.datagrams + seen.cut + seen.fragments <= seen.packets);
    for stream in opened.streams() {
        assert!(stream.opened + stream.repeated <= stream.packets);
    }
});
