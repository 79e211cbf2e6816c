//! What can be wrong with a profile, in words that name the option, the file and OpenSSL's reason.

use std::fmt;
use std::path::PathBuf;

use openssl::error::ErrorStack;

use crate::token::TokenFault;
use crate::unreadable::Unreadable;

/// An option of a profile, by PJSIP's word for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs)] // They are the words.
pub enum ConfigOption {
    CertFile,
    PrivKeyFile,
    Password,
    CaListFile,
    CaListPath,
    Method,
    Cipher,
    ClientCertFile,
    ClientPrivKeyFile,
    CrlFile,
    MaxVersion,
    Ciphersuites,
    Groups,
    SignatureAlgorithms,
    TicketKeys,
}

impl ConfigOption {
    /// The word in `pjsip.conf`, or in `ciphertrunk.conf` where Asterisk has none.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            ConfigOption::CertFile => "cert_file",
            ConfigOption::PrivKeyFile => "priv_key_file",
            ConfigOption::Password => "password",
            ConfigOption::CaListFile => "ca_list_file",
            ConfigOption::CaListPath => "ca_list_path",
            ConfigOption::Method => "method",
            ConfigOption::Cipher => "cipher",
            ConfigOption::ClientCertFile => "client_cert_file",
            ConfigOption::ClientPrivKeyFile => "client_priv_key_file",
            ConfigOption::CrlFile => "crl_file",
            ConfigOption::MaxVersion => "max_version",
            ConfigOption::Ciphersuites => "ciphersuites",
            ConfigOption::Groups => "groups",
            ConfigOption::SignatureAlgorithms => "signature_algorithms",
            // Of ciphertrunk.conf.
            ConfigOption::TicketKeys => "[tls] ticket_keys",
        }
    }
}

/// What is wrong with an option.
#[derive(Debug)]
pub enum Fault {
    /// The file or directory cannot be read.
    Unreadable(Unreadable),
    /// The file holds no PEM certificate.
    NoCertificate,
    /// The file holds no PEM private key.
    NoPrivateKey,
    /// A certificate in the file cannot be decoded.
    BadCertificate,
    /// A PEM block that should be a certificate is encrypted. Decrypting it would mean asking for a password.
    EncryptedCertificate,
    /// The key cannot be decoded.
    BadPrivateKey,
    /// The key is encrypted and there is no `password`.
    PasswordNeeded,
    /// The key is encrypted and `password` does not open it.
    WrongPassword,
    /// `priv_key_file` is not the key of the first certificate in `cert_file`.
    KeyMismatch,
    /// Two certificates have the same type of key: a client could only get one of them.
    SameKeyType,
    /// The file holds no PEM revocation list.
    NoRevocationList,
    /// A revocation list in the file cannot be decoded.
    BadRevocationList,
    /// The highest version is below the lowest.
    NoVersionLeft,
    /// OpenSSL refuses the certificate or key.
    Refused,
    /// The certificate, its key or one in its chain is too weak for the security level.
    TooWeak,
    /// No such cipher; its name is given.
    UnknownCipher(String),
    /// The names are known but leave nothing to use.
    NoCipherLeft,
    /// Not a word that the option knows.
    UnknownWord(String),
    /// This line of the file is no key of session tickets, one too many, or has the name of another.
    BadTicketKey(usize),
    /// The file holds no key of session tickets.
    NoTicketKey,
    /// The token of the key does not give it.
    Token(TokenFault),
    /// The file with the token's PIN cannot be read.
    PinUnreadable(Box<(PathBuf, Unreadable)>),
    /// OpenSSL failed at something that does not depend on the option's value.
    Setup,
}

/// Why a profile cannot be used: the option to change, and why.
#[derive(Debug)]
pub struct ProfileError {
    /// The option to change; `None` if OpenSSL itself failed.
    pub option: Option<ConfigOption>,
    /// The file that the option names.
    pub file: Option<PathBuf>,
    /// What is wrong.
    pub fault: Fault,
    /// What OpenSSL said, if it was asked.
    pub openssl: Option<ErrorStack>,
}

impl ProfileError {
    pub(crate) fn new(option: ConfigOption, file: Option<PathBuf>, fault: Fault) -> Self {
        ProfileError {
            option: Some(option),
            file,
            fault,
            openssl: None,
        }
    }

    /// Whether a file of it may not be read by this process.
    #[must_use]
    pub fn is_denied(&self) -> bool {
        match &self.fault {
            Fault::Unreadable(why) => why.denied.is_some(),
            Fault::PinUnreadable(it) => it.1.denied.is_some(),
            _ => false,
        }
    }

    pub(crate) fn because(mut self, stack: ErrorStack) -> Self {
        self.openssl = Some(stack);
        self
    }
}

impl From<ErrorStack> for ProfileError {
    fn from(stack: ErrorStack) -> Self {
        ProfileError {
            option: None,
            file: None,
            fault: Fault::Setup,
            openssl: Some(stack),
        }
    }
}

impl fmt::Display for ProfileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(option) = self.option {
            f.write_str(option.word())?;
            if let Some(file) = &self.file {
                write!(f, " '{}'", file.display())?;
            }
            f.write_str(": ")?;
        }
        match &self.fault {
            Fault::Unreadable(why) => write!(f, "cannot be read: {why}"),
            Fault::NoCertificate => f.write_str("holds no certificate in PEM form"),
            Fault::NoPrivateKey => f.write_str("holds no private key in PEM form"),
            Fault::BadCertificate => f.write_str("a certificate in it cannot be decoded"),
            Fault::EncryptedCertificate => f.write_str("a certificate in it is encrypted"),
            Fault::BadPrivateKey => f.write_str("the private key in it cannot be decoded"),
            Fault::PasswordNeeded => {
                f.write_str("the private key is encrypted and no password is configured")
            }
            Fault::WrongPassword => {
                f.write_str("the configured password does not open the private key")
            }
            Fault::KeyMismatch => {
                f.write_str("the private key does not belong to the certificate in cert_file")
            }
            Fault::SameKeyType => f.write_str(
                "its key is of the type of the one before it (RSA, EC); clients would get one of them only. For several names of one \
                 type there are several sections, each with server_name",
            ),
            Fault::NoRevocationList => {
                f.write_str("holds no certificate revocation list in PEM form")
            }
            Fault::BadRevocationList => {
                f.write_str("a certificate revocation list in it cannot be decoded")
            }
            Fault::NoVersionLeft => f.write_str("it is below the lowest version"),
            Fault::Refused => f.write_str("OpenSSL refuses it"),
            Fault::TooWeak => f.write_str(
                "its key or signature is too weak for OpenSSL's security level here; install one with RSA 2048 or P-256 and SHA-256 \
                 (method = tlsv1, or '@SECLEVEL=0' behind a comma in cipher, would accept it)",
            ),
            Fault::UnknownCipher(name) => write!(f, "OpenSSL knows no cipher '{name}'"),
            Fault::NoCipherLeft => f.write_str("no usable cipher is left"),
            Fault::UnknownWord(word) => write!(f, "'{word}' is not one of its words"),
            Fault::BadTicketKey(line) => write!(
                f,
                "line {line} is not a key: 160 hexadecimal digits (openssl rand -hex 80), no two keys with the same 32 first, 16 keys at most"
            ),
            Fault::NoTicketKey => f.write_str("holds no key; openssl rand -hex 80 makes one"),
            Fault::Token(why) => why.fmt(f),
            Fault::PinUnreadable(it) => {
                write!(f, "its PIN, in '{}', cannot be read: {}", it.0.display(), it.1)
            }
            Fault::Setup => f.write_str("OpenSSL could not be set up"),
        }?;
        // The last error in the queue is the outermost; the first is the cause.
        match self
            .openssl
            .as_ref()
            .and_then(|stack| stack.errors().first())
            .and_then(|error| error.reason())
        {
            Some(reason) => write!(f, " (OpenSSL: {reason})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for ProfileError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.fault {
            Fault::Unreadable(why) => Some(&why.error),
            Fault::PinUnreadable(it) => Some(&it.1.error),
            _ => self.openssl.as_ref().map(|stack| stack as _),
        }
    }
}

/// What works but is probably not meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Warning {
    /// `method` names SSL 2 or 3, which do not exist any more; TLS 1.2 and later are used.
    SslIsGone,
    /// `method` allows TLS 1.0 or 1.1, for which the security level is 0.
    OldTls,
    /// `method` asks for TLS 1.0 or 1.1, and `cipher` for a security level that has neither.
    OldTlsBarred(u32),
    /// `cipher` asks for security level 0, and `method` for TLS 1.2 at least.
    LevelZero,
    /// The certificate in `cert_file` is weaker than RSA 2048 and SHA-256; what it has.
    WeakCertificate(String),
    /// The certificate in `cert_file` has expired.
    Expired,
    /// The certificate in `cert_file` is not valid yet.
    NotYetValid,
    /// `verify_server` or `verify_client` without any trusted CA: every peer will be refused.
    NothingTrusted,
    /// `ca_list_path` has no file named by a subject hash (`openssl rehash`).
    NotHashed,
    /// `require_client_cert` without `verify_client`: any certificate will do, also one that the client made itself.
    AnyClientCertificate,
    /// `cipher` names only suites up to TLS 1.2: TLS 1.3 keeps its own.
    Tls13Unrestricted,
    /// A certificate in this file does not belong to the one before it.
    ChainBroken(String),
    /// This file has a certificate alone, whose CA is probably an intermediate one.
    ChainAlone(String),
    /// There is no certificate: the profile can call out but not listen.
    CannotListen,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Warning::SslIsGone => "method: OpenSSL has no SSL 2 and 3 any more; TLS 1.2 and 1.3 are used (for a phone that speaks TLS 1.0 alone: tlsv1)",
            Warning::OldTls => {
                "method: old TLS (1.0 or 1.1) is allowed, which is broken, and for it weak keys and SHA-1 are accepted from all peers of this \
                 transport or profile (OpenSSL's security level 0); give old phones a profile of their own (type = tls in ciphertrunk.conf)"
            }
            Warning::OldTlsBarred(level) => {
                return write!(
                    f,
                    "method asks for TLS 1.0 or 1.1, which '@SECLEVEL={level}' in cipher (security_level in a profile) bars; leave it out, or make it 0"
                );
            }
            Warning::LevelZero => {
                "cipher: '@SECLEVEL=0' accepts weak keys and SHA-1 from all peers of this transport, but not TLS 1.0 and 1.1; those take \
                 method = tlsv1"
            }
            Warning::WeakCertificate(what) => {
                return write!(
                    f,
                    "cert_file: the certificate is weak ({what}); peers with today's settings refuse it"
                );
            }
            Warning::ChainBroken(file) => {
                return write!(
                    f,
                    "cert_file '{file}': the certificates in it do not follow each other: our own comes first, and behind each the one \
                     that has signed it; many peers will not verify us"
                );
            }
            Warning::ChainAlone(file) => {
                return write!(
                    f,
                    "cert_file '{file}': it has our certificate alone, without the intermediate one that has signed it; most peers will \
                     not verify us. CAs call the file with both fullchain.pem"
                );
            }
            Warning::Expired => "cert_file: the certificate has expired; peers that verify it will refuse us",
            Warning::NotYetValid => "cert_file: the certificate is not valid yet; check the clock",
            Warning::NothingTrusted => "peers are to be verified, but ca_list_file and ca_list_path name no CA: every peer will be refused",
            Warning::NotHashed => "ca_list_path: no file in it is named by a hash; run 'openssl rehash' on it",
            Warning::AnyClientCertificate => "require_client_cert without verify_client accepts any certificate",
            Warning::Tls13Unrestricted => "cipher: no TLS 1.3 suite is named; TLS 1.3 keeps its default suites",
            Warning::CannotListen => "cert_file is not set: calls can go out, none can come in",
        })
    }
}
