//! Writing our crypto attribute.

use base64ct::{Base64, Encoding};
use zeroize::Zeroizing;

use super::{CryptoLine, mki};
use crate::policy::MAX_KEY_SALT;

impl CryptoLine {
    /// The value of `a=crypto:` (without that prefix). It holds the key: not for a log.
    #[must_use]
    pub fn to_sdp(&self) -> Zeroizing<String> {
        // One allocation: growing would leave copies of the key behind.
        let mut out = Zeroizing::new(String::with_capacity(super::MAX_LINE));
        out.push_str(&self.tag.to_string());
        out.push(' ');
        let old = self.suite.old_name().filter(|_| self.old_name);
        out.push_str(old.unwrap_or(self.suite.name()));
        for (i, key) in self.keys.iter().enumerate() {
            out.push_str(if i == 0 { " inline:" } else { ";inline:" });
            let mut text = Zeroizing::new([0; MAX_KEY_SALT.div_ceil(3) * 4]);
            // The buffer holds the longest key, so this cannot fail.
            out.push_str(Base64::encode(key.key.key_salt(), &mut text[..]).unwrap_or_default());
            if let Some(lifetime) = key.lifetime {
                out.push('|');
                if lifetime.is_power_of_two() {
                    out.push_str("2^");
                    out.push_str(&lifetime.ilog2().to_string());
                } else {
                    out.push_str(&lifetime.to_string());
                }
            }
            if let Some(mki) = &key.mki {
                out.push('|');
                mki::write(mki, &mut out);
            }
        }
        let params = [
            (self.params.unencrypted_srtp, " UNENCRYPTED_SRTP"),
            (self.params.unencrypted_srtcp, " UNENCRYPTED_SRTCP"),
            (self.params.unauthenticated_srtp, " UNAUTHENTICATED_SRTP"),
        ];
        for (_, name) in params.iter().filter(|(set, _)| *set) {
            out.push_str(name);
        }
        out
    }
}
