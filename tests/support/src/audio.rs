//! What can be heard: tones in recordings, and audio in payloads that should be ciphertext.

use std::f64::consts::TAU;

use crate::wav::Recording;

/// G.711 µ-law, -1 to 1.
pub fn ulaw(code: u8) -> f64 {
    let code = !code;
    let magnitude = ((i32::from(code & 0x0f) << 3) + 0x84) << ((code & 0x70) >> 4);
    let sample = f64::from(magnitude - 0x84) / 32768.0;
    if code & 0x80 == 0 { sample } else { -sample }
}

/// G.711 A-law, -1 to 1.
pub fn alaw(code: u8) -> f64 {
    let code = code ^ 0x55;
    let mantissa = (i32::from(code & 0x0f) << 4) + 8;
    let magnitude = match (code & 0x70) >> 4 {
        0 => mantissa,
        segment => (mantissa + 0x100) << (segment - 1),
    };
    let sample = f64::from(magnitude) / 32768.0;
    if code & 0x80 == 0 { -sample } else { sample }
}

/// The share of the samples' energy that is at `frequency` (Goertzel): 1 for that tone alone, about 2/n for noise.
pub fn share(samples: &[f64], rate: f64, frequency: f64) -> f64 {
    let step = 2.0 * (TAU * frequency / rate).cos();
    let (mut one, mut two, mut energy) = (0.0, 0.0, 0.0);
    for sample in samples {
        (one, two) = (sample + step * one - two, one);
        energy += sample * sample;
    }
    let power = one * one + two * two - step * one * two;
    #[expect(
        clippy::cast_precision_loss,
        reason = "packets and recordings are short"
    )]
    let full = energy * samples.len() as f64 / 2.0;
    if full > 0.0 { power / full } else { 0.0 }
}

/// Root mean square, in decibels of full scale.
pub fn level(samples: &[f64]) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "recordings are short")]
    let mean =
        samples.iter().map(|sample| sample * sample).sum::<f64>() / samples.len().max(1) as f64;
    10.0 * mean.max(1e-12).log10()
}

/// A tone in a recording.
#[derive(Debug, Clone, Copy)]
pub struct Tone {
    /// For how many tenths of a second it was heard.
    pub tenths: usize,
    /// Its mean level there, in decibels of full scale.
    pub level: f64,
}

/// Finds a tone: in each tenth of a second that it dominates.
pub fn find_tone(recording: &Recording, frequency: f64) -> Tone {
    let rate = f64::from(recording.rate);
    let heard: Vec<f64> = recording
        .samples
        .chunks_exact((recording.rate / 10) as usize)
        .filter(|tenth| level(tenth) > -50.0 && share(tenth, rate, frequency) > 0.8)
        .flatten()
        .copied()
        .collect();
    Tone {
        tenths: heard.len() / (recording.rate / 10) as usize,
        level: level(&heard),
    }
}

/// Whether a G.711 payload of a packet is audio and not ciphertext.
///
/// Two looks, both far from what ciphertext can be: 160 random octets have about 119 different values (never fewer than
/// 70), while silence, a tone and most speech in G.711 have fewer; and no tone of `tones` has half of the energy of
/// random octets.
pub fn is_audio(payload: &[u8], tones: &[f64]) -> bool {
    if payload.len() < 80 {
        return false;
    }
    let mut seen = [false; 256];
    for octet in payload {
        seen[usize::from(*octet)] = true;
    }
    if seen.iter().filter(|seen| **seen).count() < payload.len().min(160) * 2 / 5 {
        return true;
    }
    let laws: [fn(u8) -> f64; 2] = [ulaw, alaw];
    laws.into_iter().any(|law| {
        let samples: Vec<f64> = payload.iter().map(|octet| law(*octet)).collect();
        tones
            .iter()
            .any(|tone| share(&samples, 8000.0, *tone) > 0.5)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The code that comes nearest. By search: slow, and with nothing of its own to trust.
    fn nearest(law: fn(u8) -> f64, sample: f64) -> u8 {
        (0..=255)
            .min_by(|a, b| {
                (law(*a) - sample)
                    .abs()
                    .total_cmp(&(law(*b) - sample).abs())
            })
            .expect("256 codes")
    }

    fn encoded(law: fn(u8) -> f64, frequency: f64, level: f64) -> Vec<u8> {
        let sample = |n| level * (TAU * frequency * f64::from(n) / 8000.0).sin();
        (0..160).map(|n| nearest(law, sample(n))).collect()
    }

    /// A fixed sequence that looks random (xorshift).
    fn noise(length: usize, mut state: u64) -> Vec<u8> {
        (0..length)
            .map(|_| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                state.to_le_bytes()[3]
            })
            .collect()
    }

    #[test]
    fn g711_tables_agree_with_g711() {
        // ITU-T G.711, tables 1a to 2b: the ends and the smallest values, as 16-bit samples.
        let sixteen = |sample: f64| (sample * 32768.0).round();
        assert_eq!(
            [0x80, 0x00, 0xff, 0x7f].map(|code| sixteen(ulaw(code))),
            [32124.0, -32124.0, 0.0, 0.0]
        );
        assert_eq!(
            [0xaa, 0x2a, 0xd5, 0x55].map(|code| sixteen(alaw(code))),
            [32256.0, -32256.0, 8.0, -8.0]
        );
    }

    #[test]
    fn a_tone_is_audio_and_noise_is_not() {
        for frequency in [425.0, 700.0, 1004.0] {
            for level in [0.05, 0.5] {
                assert!(is_audio(&encoded(ulaw, frequency, level), &[frequency]));
                assert!(is_audio(&encoded(alaw, frequency, level), &[frequency]));
            }
        }
        assert!(is_audio(&[0xff; 160], &[]), "silence");
        for seed in 1..2000 {
            for length in [160, 170, 176, 80, 240] {
                assert!(
                    !is_audio(&noise(length, seed), &[425.0, 700.0, 1004.0]),
                    "seed {seed}, length {length}"
                );
            }
        }
    }

    #[test]
    fn only_the_tone_that_is_there_is_found() {
        let samples = (0..8000)
            .map(|n| 0.3 * (TAU * 700.0 * f64::from(n) / 8000.0).sin())
            .collect();
        let recording = Recording {
            rate: 8000,
            samples,
        };
        let tone = find_tone(&recording, 700.0);
        assert_eq!(tone.tenths, 10);
        assert!((tone.level + 13.5).abs() < 0.2, "{tone:?}");
        assert_eq!(find_tone(&recording, 1004.0).tenths, 0);
    }
}
