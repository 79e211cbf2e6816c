//! The cryptographic transforms: initialization vectors, packet layout, calls into the kernels
//! (RFC 3711 sections 3.1, 3.4, 4.1 and 4.2; RFC 7714 sections 8 to 10).

#[cfg(feature = "batch")]
mod batch;
mod keys;
mod usual;

use packet_crypto::{AesCmHmacSha1, AesGcm, Kernels};

use crate::error::PolicyError;
use crate::kdf::SessionKeys;
use crate::policy::{Mki, SessionParams};
use crate::rtcp;
use crate::rtp::RtpHeader;
use crate::suite::{Cipher, Suite};
use keys::{Keyed, Rtcp, cm_iv, gcm_nonce};
pub(crate) use usual::Usual;

/// Octets that protection adds to a packet at most: index word, MKI, tag.
pub const MAX_TRAILER: usize = rtcp::INDEX_WORD + Mki::MAX_LEN + 16;

/// The tag did not verify.
pub(crate) struct AuthFailed;

/// What is not secret.
#[derive(Clone, Copy)]
struct Kind {
    suite: Suite,
    params: SessionParams,
    /// Octets of an RTP packet's tag: looked up once and not for each packet.
    rtp_tag_len: u8,
    /// RTP is encrypted, with a tag of the length that is usual for its cipher.
    is_usual: bool,
}

/// How packets are protected under one master key.
pub(crate) struct Transform(Keys);

/// With its [`Kind`] in each variant this is two words.
enum Keys {
    Cm(Kind, Box<Keyed<AesCmHmacSha1>>),
    Gcm(Kind, Box<Keyed<AesGcm>>),
}

impl Transform {
    pub(crate) fn new(
        kernels: &'static Kernels,
        suite: Suite,
        params: SessionParams,
        rtp: &SessionKeys,
        rtcp: &SessionKeys,
    ) -> Result<Self, PolicyError> {
        let rtp_tag_len = match params.unauthenticated_srtp {
            true => 0,
            false => suite.rtp_tag_len() as u8,
        };
        let kind = Kind {
            suite,
            params,
            rtp_tag_len,
            is_usual: usual::is_usual(suite, params),
        };
        let len = suite.key_len();
        Ok(Transform(match suite.cipher() {
            Cipher::AesCm => Keys::Cm(kind, Keyed::new(kernels, rtp, rtcp, len)?),
            Cipher::AesGcm => Keys::Gcm(kind, Keyed::new(kernels, rtp, rtcp, len)?),
        }))
    }

    #[inline]
    fn kind(&self) -> Kind {
        match self.0 {
            Keys::Cm(kind, _) | Keys::Gcm(kind, _) => kind,
        }
    }

    #[inline]
    pub(crate) fn suite(&self) -> Suite {
        self.kind().suite
    }

    #[inline]
    pub(crate) fn params(&self) -> SessionParams {
        self.kind().params
    }

    /// Octets of an RTP packet's tag.
    #[inline]
    pub(crate) fn rtp_tag_len(&self) -> usize {
        usize::from(self.kind().rtp_tag_len)
    }

    /// Whether sending a packet again under its index is harmless: counter mode then gives the
    /// same ciphertext. An AEAD must never see a nonce twice.
    #[inline]
    pub(crate) fn may_repeat(&self) -> bool {
        matches!(self.0, Keys::Cm(..))
    }

    /// Writes the SRTP packet to `dst` and returns its length. `dst` has room for it. Under AES-CM
    /// `settle` gets the whole HMAC and may refuse the packet; then nothing of it stays in `dst`.
    #[inline]
    pub(crate) fn seal_rtp<E>(
        &self,
        header: &RtpHeader,
        index: u64,
        src: &[u8],
        dst: &mut [u8],
        mki: &[u8],
        settle: impl FnOnce(&[u8; 20]) -> Result<(), E>,
    ) -> Result<usize, E> {
        let clear = self.rtp_clear(header, src.len());
        match &self.0 {
            Keys::Cm(_, keyed) => {
                let iv = cm_iv(&keyed.salt, header.ssrc, index);
                let tag = keyed.kernel.seal(&iv, clear, src, dst, &roc_octets(index));
                self.finish(src.len(), dst, &tag, mki, settle)
            }
            Keys::Gcm(_, keyed) => {
                let nonce = gcm_nonce(&keyed.salt, header.ssrc, index);
                let tag = keyed.kernel.seal(&nonce, clear, src, dst, &[]);
                Ok(append(dst, src.len(), [&tag[..self.rtp_tag_len()], mki]))
            }
        }
    }

    /// MKI and tag behind the `len` sealed octets, unless the packet is refused.
    #[inline]
    fn finish<E>(
        &self,
        len: usize,
        dst: &mut [u8],
        tag: &[u8; 20],
        mki: &[u8],
        settle: impl FnOnce(&[u8; 20]) -> Result<(), E>,
    ) -> Result<usize, E> {
        if let Err(refused) = settle(tag) {
            dst[..len].fill(0);
            return Err(refused);
        }
        let tag = &tag[..self.rtp_tag_len()];
        // Almost every packet, and then without asking how long each part is.
        if mki.is_empty()
            && let Ok(tag) = <&[u8; 10]>::try_from(tag)
            && let Some(end) = dst.get_mut(len..len + 10)
        {
            end.copy_from_slice(tag);
            return Ok(len + 10);
        }
        Ok(append(dst, len, [mki, tag]))
    }

    /// Octets of an RTP packet that stay in clear.
    fn rtp_clear(&self, header: &RtpHeader, len: usize) -> usize {
        if self.params().unencrypted_srtp {
            len
        } else {
            header.len
        }
    }

    /// Checks and decrypts an SRTP packet whose trailer holds an MKI of `mki_len` octets; returns
    /// the length of the RTP packet, which lies at least at the header's end (the caller saw to
    /// that). On failure the packet is unchanged.
    #[inline]
    pub(crate) fn open_rtp(
        &self,
        header: &RtpHeader,
        index: u64,
        packet: &mut [u8],
        mki_len: usize,
    ) -> Result<usize, AuthFailed> {
        let tag_len = self.rtp_tag_len();
        let body = packet.len() - mki_len - tag_len;
        let (packet, trailer) = packet.split_at_mut(body);
        let clear = self.rtp_clear(header, body);
        match &self.0 {
            Keys::Cm(_, keyed) => {
                let iv = cm_iv(&keyed.salt, header.ssrc, index);
                let roc = roc_octets(index);
                if tag_len == 0 {
                    // Counter mode decrypts as it encrypts; there is no tag to look at.
                    let _ = keyed.kernel.seal_in_place(&iv, clear, packet, &roc);
                    return Ok(body);
                }
                let tag = &trailer[mki_len..];
                keyed.kernel.open_in_place(&iv, clear, packet, &roc, tag)
            }
            Keys::Gcm(_, keyed) => {
                let nonce = gcm_nonce(&keyed.salt, header.ssrc, index);
                let tag = &trailer[..tag_len];
                keyed.kernel.open_in_place(&nonce, clear, packet, &[], tag)
            }
        }
        .map_err(|_| AuthFailed)?;
        Ok(body)
    }

    /// Writes the SRTCP packet to `dst` and returns its length. `dst` has room for it.
    pub(crate) fn seal_rtcp(
        &self,
        kernels: &'static Kernels,
        ssrc: u32,
        index: u32,
        src: &[u8],
        dst: &mut [u8],
        mki: &[u8],
    ) -> usize {
        let (clear, e_flag) = if self.params().unencrypted_srtcp {
            (src.len(), 0)
        } else {
            (rtcp::CLEAR, rtcp::E_FLAG)
        };
        let word = (e_flag | index).to_be_bytes();
        match &self.0 {
            Keys::Cm(kind, keyed) => {
                let mut rtcp = Rtcp::unset(kernels);
                rtcp.expand(kernels, keyed, kind.suite.key_len());
                let iv = cm_iv(&rtcp.salt, ssrc, u64::from(index));
                let tag = rtcp.kernel.seal(&iv, clear, src, dst, &word);
                append(
                    dst,
                    src.len(),
                    [&word, mki, &tag[..self.suite().rtcp_tag_len()]],
                )
            }
            Keys::Gcm(kind, keyed) => {
                let mut rtcp = Rtcp::unset(kernels);
                rtcp.expand(kernels, keyed, kind.suite.key_len());
                let nonce = gcm_nonce(&rtcp.salt, ssrc, u64::from(index));
                let tag = rtcp.kernel.seal(&nonce, clear, src, dst, &word);
                append(
                    dst,
                    src.len(),
                    [&tag[..self.suite().rtcp_tag_len()], &word, mki],
                )
            }
        }
    }

    /// Checks and decrypts an SRTCP packet with an MKI and a tag of these lengths; returns the
    /// length of the RTCP packet. `word` is its index word, as [`rtcp_word`](Self::rtcp_word)
    /// found it. On failure the packet is unchanged.
    pub(crate) fn open_rtcp(
        &self,
        kernels: &'static Kernels,
        ssrc: u32,
        word: u32,
        packet: &mut [u8],
        mki_len: usize,
        tag_len: usize,
    ) -> Result<usize, AuthFailed> {
        let body = packet.len() - mki_len - tag_len - rtcp::INDEX_WORD;
        let (packet, trailer) = packet.split_at_mut(body);
        let clear = if word & rtcp::E_FLAG == 0 {
            body
        } else {
            rtcp::CLEAR
        };
        let index = u64::from(word & !rtcp::E_FLAG);
        let word = word.to_be_bytes();
        match &self.0 {
            Keys::Cm(kind, keyed) => {
                let mut rtcp = Rtcp::unset(kernels);
                rtcp.expand(kernels, keyed, kind.suite.key_len());
                let iv = cm_iv(&rtcp.salt, ssrc, index);
                let tag = &trailer[rtcp::INDEX_WORD + mki_len..];
                rtcp.kernel.open_in_place(&iv, clear, packet, &word, tag)
            }
            Keys::Gcm(kind, keyed) => {
                let mut rtcp = Rtcp::unset(kernels);
                rtcp.expand(kernels, keyed, kind.suite.key_len());
                let nonce = gcm_nonce(&rtcp.salt, ssrc, index);
                let tag = &trailer[..tag_len];
                rtcp.kernel.open_in_place(&nonce, clear, packet, &word, tag)
            }
        }
        .map_err(|_| AuthFailed)?;
        Ok(body)
    }

    /// The word with E flag and index of an SRTCP packet with an MKI and a tag of these lengths;
    /// `None` when the packet is too short for them.
    pub(crate) fn rtcp_word(&self, packet: &[u8], mki_len: usize, tag_len: usize) -> Option<u32> {
        let behind = match self.0 {
            Keys::Cm(..) => mki_len + tag_len,
            Keys::Gcm(..) => mki_len,
        };
        if packet.len() < rtcp::CLEAR + rtcp::INDEX_WORD + mki_len + tag_len {
            return None;
        }
        let word = packet[..packet.len() - behind].last_chunk::<{ rtcp::INDEX_WORD }>()?;
        Some(u32::from_be_bytes(*word))
    }

    /// Whether `mki` stands where an SRTP packet has it (`rtcp_tag_len`: the tag length of an
    /// SRTCP packet).
    pub(crate) fn carries_mki(
        &self,
        packet: &[u8],
        mki: &[u8],
        rtcp_tag_len: Option<usize>,
    ) -> bool {
        // Before the tag (RFC 3711 section 3.1); an AEAD has its tag in front (RFC 7714, 10.1).
        let behind = match self.0 {
            Keys::Cm(..) => rtcp_tag_len.unwrap_or(self.rtp_tag_len()),
            Keys::Gcm(..) => 0,
        };
        packet
            .len()
            .checked_sub(behind)
            .is_some_and(|end| packet[..end].ends_with(mki))
    }
}

/// Puts the parts behind the packet's `len` octets; returns the new length.
#[inline(always)]
fn append<const N: usize>(dst: &mut [u8], len: usize, parts: [&[u8]; N]) -> usize {
    let mut end = len;
    for part in parts {
        put(&mut dst[end..end + part.len()], part);
        end += part.len();
    }
    end
}

/// Copies octets. A length known to the compiler is a load and a store, any other one a call, and
/// for the few octets of a tag the call would be most of the work.
#[inline(always)]
fn put(dst: &mut [u8], part: &[u8]) {
    match part.len() {
        0 => (),
        4 => dst[..4].copy_from_slice(&part[..4]),
        8 => dst[..8].copy_from_slice(&part[..8]),
        10 => dst[..10].copy_from_slice(&part[..10]),
        16 => dst[..16].copy_from_slice(&part[..16]),
        _ => dst.copy_from_slice(part),
    }
}

/// The rollover counter, as authentication covers it (RFC 3711 section 4.2).
#[inline]
fn roc_octets(index: u64) -> [u8; 4] {
    ((index >> 16) as u32).to_be_bytes()
}
