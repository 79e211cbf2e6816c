//! `FILE [peer X] [for 10m]`.

use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long keys are written where nobody says.
pub const USUAL: Duration = Duration::from_secs(10 * 60);

/// How long they are written at most.
pub const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// What `keylog start` was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The file to make.
    pub file: PathBuf,
    /// Whose keys; `None`: everybody's.
    pub peer: Option<String>,
    /// For how long.
    pub time: Duration,
}

impl Request {
    /// Reads the words behind `keylog start`. `None`: they are not in the form that the usage gives.
    ///
    /// # Errors
    ///
    /// They are, and ask for what is not done: a sentence.
    pub fn parse<W: AsRef<str>>(words: &[W]) -> Option<Result<Self, String>> {
        let words: Vec<&str> = words.iter().map(AsRef::as_ref).collect();
        let (file, peer, time) = match words[..] {
            [file] => (file, None, None),
            [file, "peer", peer] => (file, Some(peer), None),
            [file, "for", time] => (file, None, Some(time)),
            [file, "peer", peer, "for", time] | [file, "for", time, "peer", peer] => {
                (file, Some(peer), Some(time))
            }
            _ => return None,
        };
        Some(Self::of(file, peer, time))
    }

    /// The same of three values, as an action of the manager interface has them.
    ///
    /// # Errors
    ///
    /// A sentence.
    pub fn of(file: &str, peer: Option<&str>, time: Option<&str>) -> Result<Self, String> {
        let path = Path::new(file);
        if !path.is_absolute() {
            return Err(format!(
                "'{file}' is no absolute path: Asterisk's own folder is nobody's"
            ));
        }
        let time = time.map_or(Ok(USUAL), |word| {
            duration(word).ok_or_else(|| {
                format!("'{word}' is not a time from 1s to 24h: 90s, 10m or 1h, for example")
            })
        })?;
        Ok(Self {
            file: path.to_owned(),
            peer: peer.map(str::to_owned),
            time,
        })
    }
}

/// `90s`, `10m`, `1h`.
fn duration(word: &str) -> Option<Duration> {
    let (number, unit) = word.split_at_checked(word.len().checked_sub(1)?)?;
    let unit = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 60 * 60,
        _ => return None,
    };
    let number: u64 = number.parse().ok()?;
    let time = Duration::from_secs(number.checked_mul(unit)?);
    (Duration::ZERO < time && time <= LONGEST).then_some(time)
}
