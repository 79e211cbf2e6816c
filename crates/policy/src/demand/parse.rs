//! From a word and its value to a demand.

use std::fmt;

use srtp::Suite;

use super::{Demand, KeySource, TlsVersion};

/// Why a demand cannot be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadDemand(pub(super) String);

impl BadDemand {
    /// For this reason.
    pub fn new(reason: String) -> Self {
        Self(reason)
    }
}

impl fmt::Display for BadDemand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

pub(super) fn bad<T>(reason: String) -> Result<T, BadDemand> {
    Err(BadDemand(reason))
}

impl Demand {
    /// One word and its value, as `CIPHERTRUNK_REQUIRE(word)=value` and `require_word = value` have them.
    ///
    /// | word | value |
    /// |---|---|
    /// | `signaling` | `yes`, or the least version: `tls1.2`, `tls1.3`, or `pq`: a post-quantum key exchange |
    /// | `media` | `yes`, or with commas between: the least suite, `sdes` or `dtls` |
    /// | `verified` | `yes`, or the name that the certificate must have |
    /// | `both_legs` | `yes` |
    ///
    /// # Errors
    ///
    /// Another word or value. `no` is one: a demand is not taken back.
    pub fn parse(word: &str, value: &str) -> Result<Self, BadDemand> {
        let mut demand = Self::default();
        let (word, value) = (word.trim().to_ascii_lowercase(), value.trim());
        let yes = is_yes(value);
        if value.is_empty() || is_no(value) {
            return bad(format!(
                "{word} = '{value}': a demand is not taken back; leave the word out where it is not wanted"
            ));
        }
        match word.as_str() {
            "signaling" if value.eq_ignore_ascii_case("pq") => {
                demand.signaling = Some(TlsVersion::V1_0);
                demand.post_quantum = true;
            }
            "signaling" => {
                demand.signaling = match TlsVersion::from_name(value) {
                    Some(version) => Some(version),
                    None if yes => Some(TlsVersion::V1_0),
                    None => {
                        return bad(format!(
                            "signaling = '{value}': there are yes, tls1.0, tls1.1, tls1.2, tls1.3, pq"
                        ));
                    }
                }
            }
            "media" => {
                demand.media = true;
                for part in value.split([',', '&']).map(str::trim) {
                    demand.set_media(part)?;
                }
            }
            "verified" => {
                demand.verified = true;
                demand.name = (!yes).then(|| value.to_ascii_lowercase());
            }
            "both_legs" if yes => demand.both_legs = true,
            "both_legs" => return bad(format!("both_legs = '{value}': there is yes")),
            _ => {
                return bad(format!(
                    "'{word}' is not a word of a demand; there are: signaling, media, verified, both_legs"
                ));
            }
        }
        Ok(demand)
    }

    fn set_media(&mut self, part: &str) -> Result<(), BadDemand> {
        let added = match part.to_ascii_lowercase().as_str() {
            "sdes" => Self {
                keys: Some(KeySource::Sdes),
                ..Self::default()
            },
            "dtls" => Self {
                keys: Some(KeySource::Dtls),
                ..Self::default()
            },
            _ if is_yes(part) => return Ok(()),
            _ => {
                let Some(suite) = Suite::from_name(part) else {
                    let known: Vec<&str> = Suite::ALL.iter().map(|suite| suite.name()).collect();
                    return bad(format!(
                        "media = '{part}': there are yes, sdes, dtls, {}",
                        known.join(", ")
                    ));
                };
                Self {
                    suite: Some(suite),
                    ..Self::default()
                }
            }
        };
        self.add(&added)
    }
}

fn is_yes(value: &str) -> bool {
    ["yes", "true", "y", "t", "1", "on"]
        .iter()
        .any(|yes| value.eq_ignore_ascii_case(yes))
}

fn is_no(value: &str) -> bool {
    ["no", "false", "n", "f", "0", "off"]
        .iter()
        .any(|no| value.eq_ignore_ascii_case(no))
}
