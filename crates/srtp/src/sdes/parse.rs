//! Reading a peer's crypto attribute.

use base64ct::{Base64Unpadded, Encoding};
use zeroize::Zeroizing;

use super::{CryptoLine, KeyParam, MAX_LIFETIME, MAX_LINE, MIN_LIFETIME, Rules, SdesError, mki};
use crate::policy::{MAX_KEY_SALT, MasterKey, SessionParams, check_params};
use crate::receiver::{MAX_REMOTE_KEYS, check_mki_set};
use crate::suite::Suite;

impl CryptoLine {
    /// Reads the value of `a=crypto:` (without that prefix).
    ///
    /// Liberal where nothing can be misunderstood: blanks at both ends and around `:`, `|` and `;`, names in any case (RFC 4234
    /// section 2.3: strings in an ABNF ignore it), base64 with superfluous or missing padding and with any spare bits, MKI
    /// before lifetime, session parameters joined by commas. What is written ([`to_sdp`](Self::to_sdp)) has none of these.
    ///
    /// # Errors
    ///
    /// The line is malformed, or says what `rules` do not accept.
    pub fn parse(value: &str, rules: &Rules<'_>) -> Result<Self, SdesError> {
        read(value, rules, parse_lifetime)
    }

    /// Reads a line that [`parse`](Self::parse) refuses for its lifetimes alone, as if it gave none.
    ///
    /// # Errors
    ///
    /// There is something else to refuse.
    pub(super) fn parse_without_lifetimes(
        value: &str,
        rules: &Rules<'_>,
    ) -> Result<Self, SdesError> {
        read(value, rules, |_| Ok(None))
    }
}

/// How a lifetime is read.
type ReadLifetime = fn(&str) -> Result<Option<u64>, SdesError>;

fn read(
    value: &str,
    rules: &Rules<'_>,
    read_lifetime: ReadLifetime,
) -> Result<CryptoLine, SdesError> {
    if value.len() > MAX_LINE {
        return Err(SdesError::TooLong);
    }
    let (word, rest) = next_word(value);
    let tag = tag(word)?;
    let (name, rest) = next_word(rest);
    if name.is_empty() {
        return Err(SdesError::MissingSuite);
    }
    let suite = Suite::from_name(name).ok_or(SdesError::UnknownSuite)?;
    if !rules.suites.contains(&suite) {
        return Err(SdesError::SuiteNotAccepted(suite));
    }
    let (params_of_key, rest) = split_key_params(rest);
    if params_of_key.is_empty() {
        return Err(SdesError::MissingKey);
    }
    let keys = keys(params_of_key, suite, rules, read_lifetime)?;
    let mut params = SessionParams::default();
    for word in rest.split(BLANKS).filter(|word| !word.is_empty()) {
        session_params(word, rules.params, &mut params)?;
    }
    check_params(suite, params)?;
    Ok(CryptoLine {
        tag,
        suite,
        old_name: !name.eq_ignore_ascii_case(suite.name()),
        keys,
        params,
    })
}

/// White space (RFC 4234 appendix B.1: WSP).
const BLANKS: [char; 2] = [' ', '\t'];

/// What joins the parts of key parameters.
const JOINTS: [char; 3] = [':', '|', ';'];

fn blanked(text: &str) -> &str {
    text.trim_matches(BLANKS)
}

/// The first word, and what is behind it.
fn next_word(text: &str) -> (&str, &str) {
    let text = text.trim_start_matches(BLANKS);
    text.split_at(text.find(BLANKS).unwrap_or(text.len()))
}

/// The key parameters, in which blanks may stand around a joint, and the session parameters behind them.
fn split_key_params(text: &str) -> (&str, &str) {
    let text = blanked(text);
    let mut end = 0;
    loop {
        let rest = &text[end..];
        let word = rest.trim_start_matches(BLANKS);
        let joined = text[..end].ends_with(JOINTS) || word.starts_with(JOINTS);
        if word.is_empty() || (end > 0 && !joined) {
            return text.split_at(end);
        }
        end += rest.len() - next_word(rest).1.len();
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

fn keys(
    text: &str,
    suite: Suite,
    rules: &Rules<'_>,
    read_lifetime: ReadLifetime,
) -> Result<Vec<KeyParam>, SdesError> {
    if text.split(';').count() > MAX_REMOTE_KEYS {
        return Err(SdesError::TooManyKeys);
    }
    let keys = text
        .split(';')
        .map(|param| key_param(param, suite, rules, read_lifetime))
        .collect::<Result<Vec<_>, _>>()?;
    check_mki_set(keys.iter().map(|k| k.mki.as_ref()))?;
    Ok(keys)
}

/// `"inline:" key-salt ["|" lifetime] ["|" mki]`; some have the last two the other way round.
fn key_param(
    text: &str,
    suite: Suite,
    rules: &Rules<'_>,
    read_lifetime: ReadLifetime,
) -> Result<KeyParam, SdesError> {
    let (method, info) = text.split_once(':').ok_or(SdesError::KeyMethod)?;
    if !blanked(method).eq_ignore_ascii_case("inline") {
        return Err(SdesError::KeyMethod);
    }
    let mut fields = info.split('|').map(blanked);
    let key = master_key(fields.next().unwrap_or_default(), suite)?;
    let mut param = KeyParam {
        key,
        lifetime: None,
        mki: None,
    };
    let (mut has_lifetime, mut has_mki) = (false, false);
    for field in fields {
        // Only an MKI has a colon.
        if field.contains(':') {
            if std::mem::replace(&mut has_mki, true) {
                return Err(SdesError::KeyTrailer);
            }
            param.mki = Some(mki::parse(field, rules.mki)?);
        } else {
            if std::mem::replace(&mut has_lifetime, true) {
                return Err(SdesError::KeyTrailer);
            }
            param.lifetime = read_lifetime(field)?;
        }
    }
    Ok(param)
}

/// Octets of padding that may be there, needed or not.
const MAX_PADDING: usize = 2;

/// Base64 in constant time, with or without its padding, and whatever the bits behind the last octet are: peers differ, and
/// the octets do not.
fn master_key(text: &str, suite: Suite) -> Result<MasterKey, SdesError> {
    if text.is_empty() {
        return Err(SdesError::MissingKey);
    }
    let digits = text.trim_end_matches('=');
    if text.len() - digits.len() > MAX_PADDING {
        return Err(SdesError::KeyEncoding);
    }
    // A digit is six bits. One digit alone is no octet.
    if digits.len() != (suite.key_salt_len() * 8).div_ceil(6) {
        return Err(match digits.bytes().all(is_digit) {
            true => SdesError::KeyLength,
            false => SdesError::KeyEncoding,
        });
    }
    let mut whole = Zeroizing::new([b'A'; MAX_DIGITS]);
    whole[..digits.len()].copy_from_slice(digits.as_bytes());
    // Whole groups of four digits have no spare bits: those of the last digit come to lie in octets that are not looked at.
    let whole = &whole[..digits.len().next_multiple_of(4)];
    let mut octets = Zeroizing::new([0; MAX_DIGITS / 4 * 3]);
    Base64Unpadded::decode(whole, &mut octets[..]).map_err(|_| SdesError::KeyEncoding)?;
    Ok(MasterKey::new(suite, &octets[..suite.key_salt_len()])?)
}

/// Digits of the longest key, in whole groups.
const MAX_DIGITS: usize = MAX_KEY_SALT.div_ceil(3) * 4;

fn is_digit(octet: u8) -> bool {
    octet.is_ascii_alphanumeric() || octet == b'+' || octet == b'/'
}

/// `["2^"] 1*DIGIT`: 2^20 to 2^48.
fn parse_lifetime(text: &str) -> Result<Option<u64>, SdesError> {
    let power = text.strip_prefix("2^");
    let digits = power.unwrap_or(text);
    if !all_digits(digits) {
        return Err(SdesError::Lifetime);
    }
    // What overflows is longer than the longest.
    let number = digits.parse::<u64>().unwrap_or(u64::MAX);
    let packets = match power {
        Some(_) => u32::try_from(number)
            .ok()
            .and_then(|n| 1_u64.checked_shl(n)),
        None => Some(number),
    };
    match packets {
        Some(packets) if packets < MIN_LIFETIME => Err(SdesError::LifetimeTooShort),
        Some(packets) if packets <= MAX_LIFETIME => Ok(Some(packets)),
        _ => Err(SdesError::LifetimeTooLong),
    }
}

/// A word of session parameters: one (RFC 4568 sections 6.3 and 9.2), or several that a vendor joined by commas, each of
/// which counts by itself.
///
/// A `-` marks a whole word as one that may be ignored. One that has the name of a known parameter is not unknown, and is
/// not ignored: the peer may do what it says.
fn session_params(
    word: &str,
    allowed: SessionParams,
    params: &mut SessionParams,
) -> Result<(), SdesError> {
    let all_ignorable = word.starts_with('-');
    for part in word.split(',').filter(|part| !part.is_empty()) {
        let param = part.strip_prefix('-');
        let ignorable = all_ignorable || param.is_some();
        let param = param.unwrap_or(part);
        if param.is_empty() || !(known_param(param, allowed, params)? || ignorable) {
            return Err(SdesError::UnknownParam);
        }
    }
    Ok(())
}

/// Takes a parameter that is known; `false`: it is not.
fn known_param(
    param: &str,
    allowed: SessionParams,
    params: &mut SessionParams,
) -> Result<bool, SdesError> {
    let (name, value) = match param.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (param, None),
    };
    let flag = |allowed: bool, refused: SdesError| match (value, allowed) {
        (Some(_), _) => Err(SdesError::ParamSyntax),
        (None, true) => Ok(true),
        (None, false) => Err(refused),
    };
    match name.to_ascii_uppercase().as_str() {
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
        _ => return Ok(false),
    }
    Ok(true)
}
