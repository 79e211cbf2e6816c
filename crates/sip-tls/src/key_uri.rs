//! Keys that are in no file of ours: URIs that a provider of OpenSSL's opens, for a token (RFC 7512) or a TPM.

use std::borrow::Cow;
use std::ffi::OsStr;
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

/// What opens the keys of a kind of URI.
#[derive(Debug, PartialEq, Eq)]
pub struct KeyProvider {
    /// The scheme of its URIs.
    pub scheme: &'static str,
    /// The label of a PEM file (RFC 7468) of its own that stands for a key.
    pub pem_label: &'static str,
    /// The module's name in OpenSSL's configuration.
    pub name: &'static str,
    /// The package that brings it, by Debian's name.
    pub package: &'static str,
    /// What it takes to be in force.
    pub needs: &'static str,
}

/// `pkcs11:token=...`, RFC 7512
pub(crate) const PKCS11: &KeyProvider = &KeyProvider {
    scheme: "pkcs11",
    pem_label: "PKCS#11 PROVIDER URI",
    name: "pkcs11",
    package: "pkcs11-provider",
    needs: "pkcs11-module-path",
};
/// `handle:0x81000001`, a persistent handle of a TPM 2.0
pub(crate) const TPM2: &KeyProvider = &KeyProvider {
    scheme: "handle",
    pem_label: "TSS2 PRIVATE KEY",
    name: "tpm2",
    package: "tpm2-openssl",
    needs: "TPM",
};

/// The attributes of RFC 7512 2.3 that say which token is meant, of which one is needed: a PIN is tried on each token that fits.
const WHICH: [&str; 4] = ["token", "serial", "slot-id", "slot-description"];
/// Those that say something of the token and nothing of the key.
const OF_TOKENS: [&str; 4] = [
    "manufacturer",
    "model",
    "slot-manufacturer",
    "library-description",
];

/// Those of RFC 7512 2.4 that bring a PIN.
const PINS: [&str; 2] = ["pin-source", "pin-value"];

/// The URI of a key. It is shown without the PIN that it may have.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyUri(String);

impl KeyUri {
    /// What stands where a file's name may stand, if it is such a URI.
    #[must_use]
    pub fn of(path: &Path) -> Option<KeyUri> {
        let text = path.to_str()?;
        let has = |it: &KeyProvider| {
            text.strip_prefix(it.scheme)
                .is_some_and(|rest| rest.starts_with(':'))
        };
        (has(PKCS11) || has(TPM2)).then(|| KeyUri(text.to_owned()))
    }

    /// What opens it.
    pub(crate) fn provider(&self) -> &'static KeyProvider {
        if self.is_of_tpm() { TPM2 } else { PKCS11 }
    }

    fn is_of_tpm(&self) -> bool {
        self.0.starts_with("handle:")
    }

    /// The URI of private keys alone.
    pub(crate) fn of_private_keys(&self) -> String {
        let has_type = self.attributes().any(|(name, _)| name == "type");
        if self.is_of_tpm() || has_type {
            return self.0.clone();
        }
        match self.0.split_once('?') {
            Some((path, query)) => format!("{path};type=private?{query}"),
            None => format!("{};type=private", self.0),
        }
    }

    /// Its attributes: those of the path, and those of the query behind a `?`.
    fn attributes(&self) -> impl Iterator<Item = (&str, &str)> {
        let (_, rest) = self.0.split_once(':').unwrap_or_default();
        let words = rest.split([';', '?', '&']);
        words.map(|word| word.split_once('=').unwrap_or((word, "")))
    }

    /// What is wrong with it, as far as it can be told without a token.
    pub(crate) fn problem(&self) -> Option<&'static str> {
        if self.is_of_tpm() {
            return None;
        }
        if !self.attributes().any(|(name, _)| WHICH.contains(&name)) {
            return Some(
                "it names no token (token=, serial=, slot-id= or slot-description=), so that the PIN would be tried on each",
            );
        }
        let mut sources = self.attributes().filter(|(name, _)| *name == "pin-source");
        sources
            .any(|(_, value)| value.starts_with('|') || value.starts_with("%7C"))
            .then_some("pin-source= names a program; it can name a file alone")
    }

    /// Whether it brings a PIN with it.
    pub(crate) fn has_pin(&self) -> bool {
        let mut all = self.attributes();
        all.any(|(name, _)| PINS.contains(&name))
    }

    /// The file of its PIN.
    pub(crate) fn pin_file(&self) -> Option<PathBuf> {
        let mut all = self.attributes();
        let (_, value) = all.find(|(name, _)| *name == "pin-source")?;
        let octets = unescaped(value);
        let path = octets.strip_prefix(b"file:").unwrap_or(&octets);
        // `file:///etc/pin`, RFC 8089
        let path = path.strip_prefix(b"//").unwrap_or(path);
        Some(PathBuf::from(OsStr::from_bytes(path)))
    }

    /// The attributes that say which token it is. `None`: it is no token's.
    fn token(&self) -> Option<impl Iterator<Item = (&str, &str)>> {
        let all = self.attributes();
        (!self.is_of_tpm())
            .then(|| all.filter(|(name, _)| WHICH.contains(name) || OF_TOKENS.contains(name)))
    }

    /// The URI of all that its token has, without a PIN. `None`: it is no token's.
    pub(crate) fn of_token(&self) -> Option<String> {
        let kept = self.token()?.map(|(name, value)| format!("{name}={value}"));
        let kept: Vec<String> = kept.collect();
        Some(format!("pkcs11:{}", kept.join(";")))
    }

    /// Whether the other one names the same token, in the same words, and brings the same PIN with it, or none either: who has not got in
    /// with the one does not get in with the other. `false` of a TPM's keys, each of which has a password of its own.
    pub(crate) fn has_login_of(&self, other: &KeyUri) -> bool {
        type Word<'a> = (&'a str, Zeroizing<Vec<u8>>);
        fn login(uri: &KeyUri) -> Option<Vec<Word<'_>>> {
            let pin = uri.attributes().filter(|(name, _)| PINS.contains(name));
            let words = uri.token()?.chain(pin);
            let mut words: Vec<_> = words
                .map(|(name, value)| (name, Zeroizing::new(unescaped(value))))
                .collect();
            words.sort_by(|a, b| (a.0, a.1.as_slice()).cmp(&(b.0, b.1.as_slice())));
            Some(words)
        }
        let own = login(self);
        own.is_some() && own == login(other)
    }
}

impl fmt::Display for KeyUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&without_pin(&self.0))
    }
}

impl fmt::Debug for KeyUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What names a key, a file or a URI, as it may be shown: without a PIN.
#[must_use]
pub fn without_pin(name: &str) -> Cow<'_, str> {
    hide(name, &[';', '&'])
}

/// The same of a list of names, in which a comma ends each.
#[must_use]
pub fn without_pins(list: &str) -> Cow<'_, str> {
    hide(list, &[';', '&', ','])
}

/// Without PINs, each of which goes to the next of `ends`.
fn hide<'a>(text: &'a str, ends: &[char]) -> Cow<'a, str> {
    const PIN: &str = "pin-value=";
    if !text.contains(PIN) {
        return Cow::Borrowed(text);
    }
    let mut parts = text.split(PIN);
    let mut shown = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        shown += PIN;
        shown += "...";
        let end = part.find(ends).unwrap_or(part.len());
        shown += &part[end..];
    }
    Cow::Owned(shown)
}

/// The name of a key's file or its URI, as it may be shown.
pub(crate) fn shown(key: &Path) -> PathBuf {
    // Also where it is no URI for a slip of the pen.
    match key.to_str() {
        Some(name) => PathBuf::from(without_pin(name).into_owned()),
        None => key.to_owned(),
    }
}

/// Octets written as `%2F` (RFC 3986 2.1).
fn unescaped(text: &str) -> Vec<u8> {
    let mut octets = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, behind)) = rest.split_first() {
        let digits = behind.get(..2).and_then(|it| std::str::from_utf8(it).ok());
        match digits.and_then(|it| u8::from_str_radix(it, 16).ok()) {
            Some(octet) if *first == b'%' => {
                octets.push(octet);
                rest = &behind[2..];
            }
            _ => {
                octets.push(*first);
                rest = behind;
            }
        }
    }
    octets
}

/// The URI in a file of the provider's: `PKCS#11 PROVIDER URI` in PEM form, whose content is a SEQUENCE of what it is and the URI
/// (DER, X.690).
pub(crate) fn in_der(der: &[u8]) -> Option<KeyUri> {
    const SEQUENCE: u8 = 0x30;
    let (SEQUENCE, content, []) = value(der)? else {
        return None;
    };
    let (_, _what, rest) = value(content)?;
    let (_, uri, []) = value(rest)? else {
        return None;
    };
    KeyUri::of(Path::new(std::str::from_utf8(uri).ok()?))
}

/// The tag, the content and what is behind it.
fn value(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = der.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81 => rest
            .split_first()
            .map(|(length, rest)| (usize::from(*length), rest))?,
        0x82 => rest
            .split_first_chunk::<2>()
            .map(|(length, rest)| (usize::from(u16::from_be_bytes(*length)), rest))?,
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((tag, content, rest))
}

#[cfg(test)]
mod tests;
