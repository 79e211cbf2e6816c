//! `a=crypto` lines and answers that are refused.

use srtp::sdes::SdesError;
use srtp::sdes::negotiation::Refusal as Declined;

use super::{Row, Side};
use crate::refusal::Refusal;

rows! {
    /// The row of a line that is refused.
    pub fn of_line(SdesError), LINES:
    SdesError::TooLong => "line-too-long", "at an a=crypto line", Theirs,
        "the crypto attribute is too long", "have its software corrected: 4096 octets are read";
    SdesError::Tag => "tag-syntax", "at an a=crypto line", Theirs,
        "the tag is not a number of 1 to 9 digits", "have its software corrected (RFC 4568 section 9.1)";
    SdesError::MissingSuite => "suite-missing", "at an a=crypto line", Theirs,
        "the crypto suite is missing", "have its software corrected (RFC 4568 section 9.1)";
    SdesError::UnknownSuite => "suite-unknown", "at an a=crypto line", Theirs,
        "the crypto suite is unknown", "have it offer one that accept in ciphertrunk.conf names";
    SdesError::SuiteNotAccepted(_) => "suite-not-accepted", "at an a=crypto line", Either,
        "the crypto suite is not accepted here", "add it to accept in [srtp] or the endpoint's section of ciphertrunk.conf, or have it offer another";
    SdesError::MissingKey => "key-missing", "at an a=crypto line", Theirs,
        "the key is missing", "have its software corrected (RFC 4568 section 9.1)";
    SdesError::KeyMethod => "key-method", "at an a=crypto line", Theirs,
        "the key method is not \"inline\"", "have it send the key in the line (RFC 4568 section 6.1)";
    SdesError::KeyEncoding => "key-encoding", "at an a=crypto line", Theirs,
        "the key is not valid base64", "have its software corrected (RFC 4568 section 6.1)";
    SdesError::KeyLength => "key-length", "at an a=crypto line", Theirs,
        "the key has not the length its crypto suite needs", "have its software corrected: key and salt are 30 octets for AES_CM_128, 46 for AES_256_CM, 28 and 44 for AEAD_AES_128 and _256_GCM";
    SdesError::TooManyKeys => "key-too-many", "at an a=crypto line", Theirs,
        "the line has too many keys", "have it send one, or eight at most";
    SdesError::KeyTrailer => "key-trailer", "at an a=crypto line", Theirs,
        "the key has fields behind lifetime and MKI", "have its software corrected (RFC 4568 section 9.1)";
    SdesError::Lifetime => "lifetime-syntax", "at an a=crypto line", Theirs,
        "the key lifetime is not a number or a power of two", "have its software corrected, or leave the lifetime out";
    SdesError::LifetimeTooShort => "lifetime-too-short", "at an a=crypto line", Theirs,
        "the key lifetime is shorter than 2^20 packets", "have it announce 2^20 at least, or none";
    SdesError::LifetimeTooLong => "lifetime-too-long", "at an a=crypto line", Theirs,
        "the key lifetime is longer than 2^48 packets, more than any key may have (RFC 3711 section 9.2)", "have it announce 2^48 at most, or none";
    SdesError::Mki => "mki-syntax", "at an a=crypto line", Theirs,
        "the MKI is not written as value:length", "have its software corrected, or switch its MKI off";
    SdesError::MkiLength => "mki-length", "at an a=crypto line", Theirs,
        "the MKI length is not between 1 and 128", "have its software corrected, or switch its MKI off";
    SdesError::MkiValue => "mki-value", "at an a=crypto line", Theirs,
        "the MKI value does not fit into the MKI length", "have its software corrected, or switch its MKI off";
    SdesError::MkiNotAccepted => "mki-not-accepted", "at an a=crypto line", Either,
        "an MKI value other than 1 is not accepted here", "set mki = yes in [srtp] or the endpoint's section of ciphertrunk.conf, or switch its MKI off";
    SdesError::MkiSet => "mki-set", "at an a=crypto line", Theirs,
        "several keys need different MKI values of one length", "have its software corrected (RFC 4568 section 6.1)";
    SdesError::ParamSyntax => "param-syntax", "at an a=crypto line", Theirs,
        "a session parameter is malformed", "have its software corrected (RFC 4568 section 9.2)";
    SdesError::Kdr => "param-kdr", "at an a=crypto line", Theirs,
        "the session parameter KDR is not supported", "switch the key derivation rate off there";
    SdesError::Fec => "param-fec", "at an a=crypto line", Theirs,
        "the session parameters FEC_ORDER and FEC_KEY are not supported", "switch forward error correction off there";
    SdesError::UnencryptedSrtp => "param-unencrypted-srtp", "at an a=crypto line", Either,
        "the session parameter UNENCRYPTED_SRTP is not allowed here", "switch it off there; allow in ciphertrunk.conf can name it, and the media is not encrypted then";
    SdesError::UnencryptedSrtcp => "param-unencrypted-srtcp", "at an a=crypto line", Either,
        "the session parameter UNENCRYPTED_SRTCP is not allowed here", "switch it off there, or name it in allow in ciphertrunk.conf";
    SdesError::UnauthenticatedSrtp => "param-unauthenticated-srtp", "at an a=crypto line", Either,
        "the session parameter UNAUTHENTICATED_SRTP is not allowed here", "switch it off there, or name it in allow in ciphertrunk.conf";
    SdesError::ParamConflict => "param-conflict", "at an a=crypto line", Theirs,
        "the session parameters do not fit the crypto suite or leave no protection", "have it leave them out";
    SdesError::UnknownParam => "param-unknown", "at an a=crypto line", Theirs,
        "a session parameter is unknown and not optional", "have it leave it out, or mark it as optional by a - (RFC 4568 section 6.3.7)";
}

rows! {
    /// The row of a line or an answer that is refused.
    pub fn of(Refusal), ANSWERS [Refusal::Declined(Declined::Line(error)) => of_line(error);]:
    Refusal::Declined(Declined::NotOffered) => "not-offered", "at its answer", Theirs,
        "it answers our offer with a crypto suite that was not in it (RFC 4568 section 5.1.3)", "have its software corrected, or add that suite to offer in ciphertrunk.conf";
    Refusal::Declined(Declined::NoEntropy | Declined::Policy(_)) | Refusal::NotInForce => "not-in-force", "at an a=crypto line", Ours,
        "its keys could not be put in force", "the log line before says why; a full memory is one reason";
    Refusal::Draining => "draining", "when the call began", Ours,
        "the module is being drained (`ciphertrunk drain`) and takes no new encrypted call", "`ciphertrunk drain cancel` calls that off";
    Refusal::AnsweredInClear => "answered-in-clear", "at its answer", Either,
        "it answers an offer of SRTP in clear", "have SRTP switched on there, or set media_encryption_optimistic = yes (or media_encryption = no) for the endpoint here";
    Refusal::AnsweredProfile => "answered-profile", "at its answer", Either,
        "it answers with another RTP profile than was offered", "have it answer with the offered one, or change use_avpf or media_encryption of the endpoint here";
    Refusal::AnswerNotApplied => "answer-not-applied", "at its answer", Ours,
        "Asterisk did not take it, and the keys in force are of an earlier answer", "set accept_multiple_sdp_answers = yes, and leave follow_early_media_fork at yes, for the endpoint here";
}
