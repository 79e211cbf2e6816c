//! The keys of session tickets (RFC 5077): who has one can open the tickets, so they change.
//!
//! OpenSSL makes one key for each context and keeps it for ever, and a ticket of TLS 1.2 that was written down with its connection opens
//! with that key years later. Ours sign for [`own::PERIOD`] and open for as long again. Nodes that are to resume each other's sessions have
//! a [file](file) of keys instead.

mod file;
mod own;

use std::path::Path;
use std::time::Instant;

use openssl::error::ErrorStack;
use openssl::rand::rand_bytes;
use zeroize::Zeroizing;

use crate::error::ProfileError;
use crate::sync::Mutex;

use own::Own;

/// Octets of a key's name.
pub(crate) const NAME: usize = 16;
/// Octets of a key of HMAC-SHA-256 and of one of AES-256.
pub(crate) const SECRET: usize = 32;
/// All of them.
const OCTETS: usize = NAME + 2 * SECRET;

/// One key, in the order of nginx's `ssl_session_ticket_key`.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Key(Zeroizing<[u8; OCTETS]>);

impl Key {
    fn random() -> Result<Key, ErrorStack> {
        let mut octets = Zeroizing::new([0; OCTETS]);
        rand_bytes(&mut octets[..])?;
        Ok(Key(octets))
    }

    pub(crate) fn name(&self) -> &[u8] {
        &self.0[..NAME]
    }

    pub(crate) fn hmac(&self) -> &[u8] {
        &self.0[NAME..NAME + SECRET]
    }

    pub(crate) fn aes(&self) -> &[u8] {
        &self.0[NAME + SECRET..]
    }
}

/// The keys of a profile.
pub(crate) struct TicketKeys(Mutex<Keys>);

enum Keys {
    /// The first signs, all open. There is one at least.
    File(Vec<Key>),
    Own(Own),
}

impl TicketKeys {
    /// Keys of a file, or some of our own.
    pub(crate) fn load(file: Option<&Path>) -> Result<TicketKeys, ProfileError> {
        let keys = match file {
            Some(file) => Keys::File(file::read(file)?),
            None => Keys::Own(Own::new(Key::random()?, Instant::now())),
        };
        Ok(TicketKeys(Mutex::new(keys)))
    }

    /// The key for a new ticket. `None`: OpenSSL has no random octets, and there is no ticket.
    pub(crate) fn signing(&self) -> Option<Key> {
        match &mut *self.0.lock() {
            Keys::File(keys) => keys.first().cloned(),
            Keys::Own(own) => {
                own.turn(Instant::now(), || Key::random().ok());
                own.signing()
            }
        }
    }

    /// The key of this name, and whether it is the one for new tickets.
    pub(crate) fn opening(&self, name: &[u8]) -> Option<(Key, bool)> {
        let is = |key: &&Key| key.name() == name;
        match &mut *self.0.lock() {
            Keys::File(keys) => {
                let at = keys.iter().position(|key| is(&key))?;
                Some((keys[at].clone(), at == 0))
            }
            Keys::Own(own) => {
                own.turn(Instant::now(), || Key::random().ok());
                let key = own.all().find(is)?.clone();
                let signs = own.signing().as_ref() == Some(&key);
                Some((key, signs))
            }
        }
    }
}
