//! `ticket_keys`: keys that several nodes share.
//!
//! A line is a key: 160 hexadecimal digits, which are the 80 octets of a file of nginx's `ssl_session_ticket_key` (16 of its name, 32 of
//! HMAC, 32 of AES). `openssl rand -hex 80` makes one. Empty lines and those that begin with `#` or `;` are no keys.

use std::fs;
use std::path::Path;

use zeroize::Zeroizing;

use crate::error::{ConfigOption, Fault, ProfileError};
use crate::unreadable::Unreadable;

use super::{Key, OCTETS};

/// More are not of use: each ticket that is not ours is compared with all.
const MAX_KEYS: usize = 16;

/// The keys of a file; there is one at least.
pub(super) fn read(file: &Path) -> Result<Vec<Key>, ProfileError> {
    let fault = |fault| ProfileError::new(ConfigOption::TicketKeys, Some(file.to_owned()), fault);
    let text = fs::read(file)
        .map(Zeroizing::new)
        .map_err(|error| fault(Fault::Unreadable(Unreadable::new(file, error))))?;
    parse(&text).map_err(fault)
}

fn parse(text: &[u8]) -> Result<Vec<Key>, Fault> {
    let mut keys: Vec<Key> = Vec::new();
    for (number, line) in text.split(|&byte| byte == b'\n').enumerate() {
        let line = line.trim_ascii();
        if line.is_empty() || line.starts_with(b"#") || line.starts_with(b";") {
            continue;
        }
        let bad = || Fault::BadTicketKey(number + 1);
        let key = Key(octets(line).ok_or_else(bad)?);
        // Two of one name: the tickets of the second could not be opened.
        if keys.len() == MAX_KEYS || keys.iter().any(|it| it.name() == key.name()) {
            return Err(bad());
        }
        keys.push(key);
    }
    if keys.is_empty() {
        return Err(Fault::NoTicketKey);
    }
    Ok(keys)
}

fn octets(line: &[u8]) -> Option<Zeroizing<[u8; OCTETS]>> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let mut octets = Zeroizing::new([0; OCTETS]);
    if line.len() != 2 * OCTETS {
        return None;
    }
    for (octet, pair) in octets.iter_mut().zip(line.chunks_exact(2)) {
        *octet = u8::try_from(digit(pair[0])? << 4 | digit(pair[1])?).ok()?;
    }
    Some(octets)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines() {
        let (a, b) = ("aB".repeat(80), "0c".repeat(80));
        let good = format!("# rotated daily\n\n{a}\r\n ; the old one\n  {b}");
        let keys = parse(good.as_bytes()).unwrap_or_else(|_| panic!("two good keys"));
        assert_eq!(keys.len(), 2);
        assert_eq!(keys[0].name(), [0xab; 16]);
        assert_eq!(
            (keys[1].hmac(), keys[1].aes()),
            (&[0x0c; 32][..], &[0x0c; 32][..])
        );
        let many: Vec<String> = (0..17)
            .map(|n| format!("{n:0160x}").chars().rev().collect())
            .collect();
        for (text, line) in [
            (a[1..].to_owned(), 1),
            (format!("{a}0"), 1),
            (format!("\n{}", a.replace('a', "g")), 2),
            (format!("{a}\n{a}"), 2),
            (format!("{a} {b}"), 1),
            (many.join("\n"), 17),
        ] {
            let fault = parse(text.as_bytes()).err();
            assert!(
                matches!(fault, Some(Fault::BadTicketKey(at)) if at == line),
                "{text}: {fault:?}"
            );
        }
        assert!(matches!(parse(b"# none\n"), Err(Fault::NoTicketKey)));
    }
}
