//! Private keys that stay in a token or TPM, and why one cannot be had.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use openssl::pkey::{PKey, PKeyRef, Private, Public};
use zeroize::Zeroizing;

use crate::error::{ConfigOption, Fault, ProfileError};
use crate::key_uri::{self, KeyProvider, KeyUri};
#[cfg(ossl300)]
use crate::ossl_store::{self, For};
use crate::sync::Mutex;
use crate::unreadable::Unreadable;

/// Why a token does not give a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TokenFault {
    /// OpenSSL is older than 3.0 and has no providers.
    NoProviders,
    /// No provider that is in force opens such URIs.
    NoProvider(&'static KeyProvider),
    /// The URI cannot be used; why.
    Uri(&'static str),
    /// The provider does not open it at all.
    NotOpened,
    /// No token fits it.
    NoToken,
    /// The token has no private key that fits it.
    NoSuchKey,
    /// The token asks for a PIN and there is none.
    PinNeeded,
    /// The token does not take the PIN.
    WrongPin,
    /// No key that fits it belongs to the certificate.
    NotOurs,
}

impl fmt::Display for TokenFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TokenFault::NoProviders => write!(
                f,
                "keys of tokens take OpenSSL 3.0 or later, and this is {}",
                openssl::version::version()
            ),
            TokenFault::NoProvider(provider) => write!(
                f,
                "OpenSSL has no provider in force that opens keys of this kind: install {}, have OpenSSL's configuration (openssl.cnf) \
                 activate '{}' beside 'default', and restart Asterisk (docs/token-keys.md has the lines); without its {} it is not in force",
                provider.package, provider.name, provider.needs
            ),
            TokenFault::Uri(why) => f.write_str(why),
            TokenFault::NotOpened => f.write_str(
                "OpenSSL's provider does not open it: it has a word that the provider does not know, or the token's library \
                 (pkcs11-module-path in openssl.cnf) cannot be loaded, which is tried again at a start of Asterisk alone",
            ),
            TokenFault::NoToken => f.write_str(
                "no token fits it; compare it with the list of `pkcs11-tool --list-token-slots`, and look whether Asterisk's user may use \
                 the token",
            ),
            TokenFault::NoSuchKey => f.write_str("the token has no private key that fits it"),
            TokenFault::PinNeeded => f.write_str(
                "the token asks for a PIN and there is none: append ?pin-source=file:/... to it, or set password",
            ),
            TokenFault::WrongPin => f.write_str(
                "the token does not take the PIN; it is tried again when the configuration or the PIN's file has changed, or at a reload",
            ),
            TokenFault::NotOurs => f.write_str(
                "no private key that fits it belongs to the certificate, or the token does not tell its public key",
            ),
        }
    }
}

/// What a token gave for a URI and a password.
type Opened = Result<Vec<PKey<Private>>, TokenFault>;

/// The tokens that were asked while profiles are loaded: a key that several have is asked for once, and a token that has not taken a PIN is
/// not asked with it again, whichever of its keys is wanted. So a wrong PIN is tried once and not for each profile, and a token that
/// locks itself is not locked, if its URIs all name it in the same words.
#[derive(Clone, Default)]
pub struct TokenKeys(Arc<Mutex<Vec<Asked>>>);

struct Asked {
    uri: KeyUri,
    password: Option<Zeroizing<String>>,
    opened: Opened,
}

impl TokenKeys {
    /// The key of a certificate, `of` which this is the public one. It is told by `name`, the URI or the file that has it.
    pub(crate) fn find(
        &self,
        (option, name): (ConfigOption, &Path),
        uri: &KeyUri,
        password: Option<&Zeroizing<String>>,
        of: &PKeyRef<Public>,
    ) -> Result<PKey<Private>, ProfileError> {
        let fault = |fault| ProfileError::new(option, Some(key_uri::shown(name)), fault);
        if let Some(why) = uri.problem() {
            return Err(fault(Fault::Token(TokenFault::Uri(why))));
        }
        // The provider would say no more than that it cannot open the URI.
        if let Some(file) = uri.pin_file()
            && let Err(error) = std::fs::read(&file).map(Zeroizing::new)
        {
            let why = Unreadable::new(&file, error);
            return Err(fault(Fault::PinUnreadable(Box::new((file, why)))));
        }
        let keys = self
            .once(uri, password, open)
            .map_err(|why| fault(Fault::Token(why)))?;
        let ours = keys.into_iter().find(|key| key.public_eq(of));
        ours.ok_or_else(|| fault(Fault::Token(TokenFault::NotOurs)))
    }

    /// What `open` gives, which is called for the first who asks.
    fn once(
        &self,
        uri: &KeyUri,
        password: Option<&Zeroizing<String>>,
        open: impl FnOnce(&KeyUri, Option<&str>) -> Opened,
    ) -> Opened {
        let mut all = self.0.lock();
        let known = all
            .iter()
            .find(|it| it.uri == *uri && it.password.as_ref() == password);
        if let Some(known) = known {
            return known.opened.clone();
        }
        let is_refused = all.iter().any(|it| {
            it.opened.as_ref().err() == Some(&TokenFault::WrongPin)
                && it.password.as_ref() == password
                && it.uri.has_login_of(uri)
        });
        if is_refused {
            return Err(TokenFault::WrongPin);
        }
        let opened = open(uri, password.map(|it| it.as_str()));
        all.push(Asked {
            uri: uri.clone(),
            password: password.cloned(),
            opened: opened.clone(),
        });
        opened
    }
}

/// Whether OpenSSL can have keys of this kind.
pub(crate) fn is_in_force(provider: &'static KeyProvider) -> Result<(), TokenFault> {
    #[cfg(ossl300)]
    {
        let scheme = std::ffi::CString::new(provider.scheme).unwrap_or_default();
        if ossl_store::has_loader(&scheme) {
            return Ok(());
        }
        Err(TokenFault::NoProvider(provider))
    }
    #[cfg(not(ossl300))]
    {
        let _ = provider;
        Err(TokenFault::NoProviders)
    }
}

#[cfg(not(ossl300))]
fn open(uri: &KeyUri, _password: Option<&str>) -> Opened {
    is_in_force(uri.provider()).and(Err(TokenFault::NoProviders))
}

#[cfg(ossl300)]
fn open(uri: &KeyUri, password: Option<&str>) -> Opened {
    let text = |it: &str| std::ffi::CString::new(it).unwrap_or_default();
    is_in_force(uri.provider())?;
    let found = ossl_store::open(&text(&uri.of_private_keys()), password, For::PrivateKeys);
    if !found.keys.is_empty() {
        return Ok(found.keys);
    }
    if !found.is_open {
        return Err(TokenFault::NotOpened);
    }
    let has_pin = uri.has_pin() || password.is_some();
    let about_pin = if has_pin {
        TokenFault::WrongPin
    } else {
        TokenFault::PinNeeded
    };
    Err(match uri.of_token() {
        // pkcs11-provider finds nothing, whatever the reason. Who has logged in is asked for no PIN any more: so the token itself is opened,
        // with none.
        Some(token) => {
            let token = ossl_store::open(&text(&token), None, For::Anything);
            if token.was_asked {
                about_pin
            } else if token.others > 0 || !token.keys.is_empty() {
                TokenFault::NoSuchKey
            } else {
                TokenFault::NoToken
            }
        }
        None if found.was_asked => about_pin,
        None => TokenFault::NoSuchKey,
    })
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    /// A token is asked once for each URI and password, whoever shares the keys; one that has not been asked of is.
    #[test]
    fn a_token_is_asked_once() {
        let keys = TokenKeys::default();
        let asked = Cell::new(0);
        let ask = |keys: &TokenKeys, uri: &str, password: Option<&str>| {
            let uri = KeyUri::of(Path::new(uri)).expect("a URI");
            let password = password.map(|it| Zeroizing::new(it.to_owned()));
            let opened = keys.once(&uri, password.as_ref(), |_, _| {
                asked.set(asked.get() + 1);
                Err(TokenFault::WrongPin)
            });
            assert_eq!(opened.err(), Some(TokenFault::WrongPin));
            asked.get()
        };
        assert_eq!(ask(&keys, "pkcs11:token=x", Some("1")), 1);
        assert_eq!(ask(&keys, "pkcs11:token=x", Some("1")), 1);
        assert_eq!(ask(&keys.clone(), "pkcs11:token=x", Some("1")), 1);
        assert_eq!(ask(&keys, "pkcs11:token=x", Some("2")), 2);
        assert_eq!(ask(&keys, "pkcs11:token=x", None), 3);
        assert_eq!(ask(&keys, "pkcs11:token=y", None), 4);
        assert_eq!(ask(&TokenKeys::default(), "pkcs11:token=y", None), 5);
    }

    /// A wrong PIN is tried once on a token, whichever of its keys is asked for; another PIN, another token and a right PIN are.
    #[test]
    fn a_wrong_pin_is_tried_once_on_a_token() {
        let keys = TokenKeys::default();
        let asked = Cell::new(0);
        let ask = |uri: &str, password: &str, is_right: bool| {
            let uri = KeyUri::of(Path::new(uri)).expect("a URI");
            let password = Zeroizing::new(password.to_owned());
            let opened = keys.once(&uri, Some(&password), |_, _| {
                asked.set(asked.get() + 1);
                match is_right {
                    true => Ok(Vec::new()),
                    false => Err(TokenFault::WrongPin),
                }
            });
            assert_eq!(opened.is_ok(), is_right);
            asked.get()
        };
        assert_eq!(ask("pkcs11:token=x;object=a", "wrong", false), 1);
        assert_eq!(ask("pkcs11:token=x;object=b", "wrong", false), 1);
        assert_eq!(ask("pkcs11:object=c;token=x", "wrong", false), 1);
        assert_eq!(ask("pkcs11:token=x;object=a", "other", false), 2);
        assert_eq!(ask("pkcs11:token=y;object=a", "wrong", false), 3);
        assert_eq!(ask("pkcs11:token=x;object=a", "right", true), 4);
        assert_eq!(ask("pkcs11:token=x;object=b", "right", true), 5);
        // Each of a TPM's keys has a password of its own.
        assert_eq!(ask("handle:0x81000001", "wrong", false), 6);
        assert_eq!(ask("handle:0x81000002", "wrong", false), 7);
    }
}
