//! Reading a peer's crypto attribute.

use base64ct::{Base64, Base64Unpadded, Encoding};
use zeroize::Zeroizing;

use super::{CryptoLine, KeyParam, MAX_LIFETIME, MAX_LINE, MIN_LIFETIME, Rules, SdesError, mki};
use crate::policy::{MAX_KEY_SALT, MasterKey, SessionParams, check_params};
use crate::receiver::{MAX_REMOTE_KEYS, check_mki_set};
use crate::suite::Suite;

impl CryptoLine {
    /// Reads the value of `a=crypto:` (without that prefix).
    ///
    /// A lifetime above 2^48 packets counts as 2^48, as in stock Asterisk; the limits of RFC 3711
    /// section 9.2 hold in any case.
    pub fn parse(value: &str, rules: &Rules<'_>) -> Result<Self, SdesError> {
        if value.len() > MAX_LINE {
            return Err(SdesError::TooLong);
        }
        if value.starts_with([' ', '\t']) {
            return Err(SdesError::Tag);
        }
        let mut words = value.split([' ', '\t']).filter(|w| !w.is_empty());
        let tag = tag(words.next().unwrap_or_default())?;
        let name = words.next().ok_or(SdesError::MissingSuite)?;
        let suite = Suite::from_name(name).ok_or(SdesError::UnknownSuite)?;
        if !rules.suites.contains(&suite) {
            return Err(SdesError::SuiteNotAccepted(suite));
        }
        let keys = keys(words.next().ok_or(SdesError::MissingKey)?, suite, rules)?;
        let mut params = SessionParams::default();
        for word in words {
            session_param(word, rules.params, &mut params)?;
        }
        check_params(suite, params)?;
        Ok(CryptoLine {
            tag,
            suite,
            old_name: name != suite.name(),
            keys,
            params,
        })
    }
}

fn all_digits(s: &str) -> bool {
    !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit())
}

fn tag(text: &str) -> Result<u32, SdesError> {
    if text.len() > 9 || !all_digits(text) {
        return Err(SdesError::Tag);
    }
    text.parse().map_err(|_| SdesError::Tag)
}

fn keys(text: &str, suite: Suite, rules: &Rules<'_>) -> Result<Vec<KeyParam>, SdesError> {
    if text.split(';').count() > MAX_REMOTE_KEYS {
        return Err(SdesError::TooManyKeys);
    }
    let keys = text
        .split(';')
        .map(|param| key_param(param, suite, rules))
        .collect::<Result<Vec<_>, _>>()?;
    check_mki_set(keys.iter().map(|k| k.mki.as_ref()))?;
    Ok(keys)
}

/// `"inline:" key-salt ["|" lifetime] ["|" mki]`.
fn key_param(text: &str, suite: Suite, rules: &Rules<'_>) -> Result<KeyParam, SdesError> {
    let (method, info) = text.split_once(':').ok_or(SdesError::KeyMethod)?;
    if !method.eq_ignore_ascii_case("inline") {
        return Err(SdesError::KeyMethod);
    }
    let mut fields = info.split('|');
    let key = master_key(fields.next().unwrap_or_default(), suite)?;
    let mut next = fields.next();
    let mut lifetime = None;
    if let Some(field) = next
        && !field.contains(':')
    {
        lifetime = Some(parse_lifetime(field)?);
        next = fields.next();
    }
    let mki = next.map(|field| mki::parse(field, rules.mki)).transpose()?;
    if fields.next().is_some() {
        return Err(SdesError::KeyTrailer);
    }
    Ok(KeyParam { key, lifetime, mki })
}

/// Base64 in constant time, with or without its padding: peers differ.
fn master_key(text: &str, suite: Suite) -> Result<MasterKey, SdesError> {
    if text.is_empty() {
        return Err(SdesError::MissingKey);
    }
    let unpadded = text.trim_end_matches('=');
    let mut bytes = Zeroizing::new([0; MAX_KEY_SALT]);
    // Too long for the buffer is too long for every suite.
    if unpadded.len() > MAX_KEY_SALT.div_ceil(3) * 4 {
        return Err(SdesError::KeyLength);
    }
    let decoded = if unpadded.len() == text.len() {
        Base64Unpadded::decode(text, &mut bytes[..])
    } else {
        Base64::decode(text, &mut bytes[..])
    };
    let key_salt = decoded.map_err(|e| match e {
        base64ct::Error::InvalidLength => SdesError::KeyLength,
        base64ct::Error::InvalidEncoding => SdesError::KeyEncoding,
    })?;
    Ok(MasterKey::new(suite, key_salt)?)
}

/// `["2^"] 1*DIGIT`.
fn parse_lifetime(text: &str) -> Result<u64, SdesError> {
    let power = text.strip_prefix("2^");
    let digits = power.unwrap_or(text);
    if !all_digits(digits) {
        return Err(SdesError::Lifetime);
    }
    // What overflows is longer than the longest.
    let number = digits.parse::<u64>().unwrap_or(u64::MAX);
    let packets = match power {
        Some(_) if number >= 48 => MAX_LIFETIME,
        Some(_) => 1 << number,
        None => number.min(MAX_LIFETIME),
    };
    if packets < MIN_LIFETIME {
        return Err(SdesError::LifetimeTooShort);
    }
    Ok(packets)
}

/// RFC 4568 sections 6.3 and 9.2.
fn session_param(
    word: &str,
    allowed: SessionParams,
    params: &mut SessionParams,
) -> Result<(), SdesError> {
    let (name, value) = match word.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (word, None),
    };
    let flag = |allowed: bool, refused: SdesError| match (value, allowed) {
        (Some(_), _) => Err(SdesError::ParamSyntax),
        (None, true) => Ok(true),
        (None, false) => Err(refused),
    };
    match name {
        "UNENCRYPTED_SRTP" => {
            params.unencrypted_srtp = flag(allowed.unencrypted_srtp, SdesError::UnencryptedSrtp)?;
        }
        "UNENCRYPTED_SRTCP" => {
            params.unencrypted_srtcp =
                flag(allowed.unencrypted_srtcp, SdesError::UnencryptedSrtcp)?;
        }
        "UNAUTHENTICATED_SRTP" => {
            params.unauthenticated_srtp =
                flag(allowed.unauthenticated_srtp, SdesError::UnauthenticatedSrtp)?;
        }
        // A hint for our replay window, which is wide enough for any call.
        "WSH" => {
            if !value.is_some_and(|v| v.len() <= 9 && all_digits(v)) {
                return Err(SdesError::ParamSyntax);
            }
        }
        "KDR" => return Err(SdesError::Kdr),
        "FEC_ORDER" | "FEC_KEY" => return Err(SdesError::Fec),
        _ if word.len() > 1 && word.starts_with('-') => (),
        _ => return Err(SdesError::UnknownParam),
    }
    Ok(())
}
