//! MKIs in SDP: a decimal number of up to 128 octets, and its length.

use super::{MkiRule, SdesError};
use crate::policy::Mki;

/// Decimal digits of the largest MKI, 2^1024 - 1.
const MAX_DIGITS: usize = 309;

/// Reads `value:length`.
pub(super) fn parse(text: &str, rule: MkiRule) -> Result<Mki, SdesError> {
    let (value, len) = text.split_once(':').ok_or(SdesError::Mki)?;
    let digits =
        |s: &str, most| !s.is_empty() && s.len() <= most && s.bytes().all(|b| b.is_ascii_digit());
    if !digits(len, 3) {
        return Err(SdesError::Mki);
    }
    let len: usize = len.parse().map_err(|_| SdesError::Mki)?;
    if !(1..=Mki::MAX_LEN).contains(&len) {
        return Err(SdesError::MkiLength);
    }
    if !digits(value, MAX_DIGITS) {
        return Err(SdesError::Mki);
    }
    let mut octets = [0; Mki::MAX_LEN];
    let octets = &mut octets[..len];
    for digit in value.bytes() {
        let mut carry = u32::from(digit - b'0');
        for octet in octets.iter_mut().rev() {
            carry += u32::from(*octet) * 10;
            *octet = carry as u8;
            carry >>= 8;
        }
        if carry != 0 {
            return Err(SdesError::MkiValue);
        }
    }
    if rule == MkiRule::One && !is_one(octets) {
        return Err(SdesError::MkiNotAccepted);
    }
    Ok(Mki::new(octets)?)
}

fn is_one(octets: &[u8]) -> bool {
    matches!(octets.split_last(), Some((1, rest)) if rest.iter().all(|o| *o == 0))
}

/// Writes `value:length`.
pub(super) fn write(mki: &Mki, out: &mut String) {
    let mut octets = mki.octets().to_vec();
    let mut digits = Vec::new();
    while octets.iter().any(|o| *o != 0) {
        let mut rest = 0;
        for octet in &mut octets {
            let n = rest << 8 | u32::from(*octet);
            *octet = (n / 10) as u8;
            rest = n % 10;
        }
        digits.push(char::from(b'0' + rest as u8));
    }
    if digits.is_empty() {
        digits.push('0');
    }
    out.extend(digits.into_iter().rev());
    out.push(':');
    out.push_str(&mki.octets().len().to_string());
}
