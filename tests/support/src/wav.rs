//! WAV files: 16-bit, mono.

use std::fs;
use std::path::Path;

/// Samples and their rate.
#[derive(Debug, Clone)]
pub struct Recording {
    /// Samples per second.
    pub rate: u32,
    /// -1 to 1.
    pub samples: Vec<f64>,
}

/// Reads a file that a program may still be writing: what is there counts, whatever its header says about its length.
/// `None`: it is not such a file (yet).
pub fn read(path: &Path) -> Option<Recording> {
    let bytes = fs::read(path).ok()?;
    if bytes.get(..4)? != b"RIFF" || bytes.get(8..12)? != b"WAVE" {
        return None;
    }
    let mut at = 12;
    let mut rate = None;
    loop {
        let name = bytes.get(at..at + 4)?;
        let length = u32::from_le_bytes(bytes.get(at + 4..at + 8)?.try_into().ok()?) as usize;
        let body = at + 8;
        match name {
            b"fmt " => {
                let field = |offset| {
                    Some(u16::from_le_bytes(
                        bytes
                            .get(body + offset..body + offset + 2)?
                            .try_into()
                            .ok()?,
                    ))
                };
                if (field(0)?, field(2)?, field(14)?) != (1, 1, 16) {
                    return None;
                }
                rate = Some(u32::from_le_bytes(
                    bytes.get(body + 4..body + 8)?.try_into().ok()?,
                ));
            }
            b"data" => {
                let samples = bytes[body..]
                    .chunks_exact(2)
                    .map(|pair| f64::from(i16::from_le_bytes([pair[0], pair[1]])) / 32768.0);
                return Some(Recording {
                    rate: rate?,
                    samples: samples.collect(),
                });
            }
            _ => {}
        }
        at = body + length + length % 2;
    }
}

/// A file of `seconds` of a tone, `level` of full scale.
pub fn tone(rate: u32, frequency: f64, level: f64, seconds: u32) -> Vec<u8> {
    let count = rate * seconds;
    let data = count * 2;
    let mut bytes = Vec::new();
    bytes.extend_from_slice(b"RIFF");
    bytes.extend_from_slice(&(36 + data).to_le_bytes());
    bytes.extend_from_slice(b"WAVEfmt ");
    bytes.extend_from_slice(&16u32.to_le_bytes());
    bytes.extend_from_slice(&[1, 0, 1, 0]);
    bytes.extend_from_slice(&rate.to_le_bytes());
    bytes.extend_from_slice(&(rate * 2).to_le_bytes());
    bytes.extend_from_slice(&[2, 0, 16, 0]);
    bytes.extend_from_slice(b"data");
    bytes.extend_from_slice(&data.to_le_bytes());
    for n in 0..count {
        let sample =
            level * (std::f64::consts::TAU * frequency * f64::from(n) / f64::from(rate)).sin();
        #[expect(clippy::cast_possible_truncation, reason = "level is at most 1")]
        bytes.extend_from_slice(&((sample * 32767.0) as i16).to_le_bytes());
    }
    bytes
}
