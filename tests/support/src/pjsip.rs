//! Pieces of `pjsip.conf` and of a dialplan that several tests want alike.

use crate::certificates::Certificate;

/// A UDP transport called `udp`, on port 5060.
pub const UDP: &str = "[udp]\ntype = transport\nprotocol = udp\nbind = {address}:5060\n";

/// The port of [`tls`] transports.
pub const TLS_PORT: u16 = 5061;

/// A TLS transport called `tls`, on port 5061.
pub fn tls(server: &Certificate, authority: &str) -> String {
    format!(
        "[tls]\ntype = transport\nprotocol = tls\nbind = {{address}}:{TLS_PORT}\ncert_file = {}\npriv_key_file = {}\n\
         ca_list_file = {authority}\nmethod = tlsv1_2\n",
        server.certificate, server.key
    )
}

/// `media_encryption` and what belongs to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encryption {
    /// None.
    Plain,
    /// SDES, required.
    Sdes,
    /// SDES, required, with the 32-bit tag.
    Sdes32,
    /// DTLS-SRTP, required, with a certificate that Asterisk makes itself.
    Dtls,
    /// A browser's: DTLS-SRTP with everything else that `webrtc = yes` means.
    Web,
}

impl Encryption {
    fn lines(self) -> &'static str {
        match self {
            Self::Plain => "media_encryption = no\n",
            Self::Sdes => "media_encryption = sdes\n",
            Self::Sdes32 => "media_encryption = sdes\nsrtp_tag_32 = yes\n",
            Self::Web => "webrtc = yes\n",
            Self::Dtls => {
                "media_encryption = dtls\ndtls_auto_generate_cert = yes\ndtls_setup = actpass\ndtls_verify = fingerprint\n"
            }
        }
    }
}

fn endpoint(name: &str, transport: &str, encryption: Encryption) -> String {
    format!(
        "[{name}]\ntype = endpoint\ntransport = {transport}\ncontext = default\ndisallow = all\nallow = ulaw\naors = {name}\n\
         direct_media = no\nmedia_address = {{address}}\nbind_rtp_to_media_address = yes\n{}",
        encryption.lines()
    )
}

/// An endpoint for the peer at `host` (`127.0.0.20`), without registration, by UDP.
pub fn trunk(name: &str, host: &str, encryption: Encryption) -> String {
    format!(
        "{}[{name}]\ntype = aor\ncontact = sip:{host}:5060\n\n[{name}]\ntype = identify\nendpoint = {name}\nmatch = {host}\n",
        endpoint(name, "udp", encryption)
    )
}

/// The same with SDES as an option: what comes and goes may be in clear.
pub fn optional_trunk(name: &str, host: &str) -> String {
    trunk(name, host, Encryption::Sdes).replace(
        "media_encryption = sdes\n",
        "media_encryption = sdes\nmedia_encryption_optimistic = yes\n",
    )
}

/// An endpoint for the peer at `host`, by TLS.
pub fn tls_trunk(name: &str, host: &str, encryption: Encryption) -> String {
    format!(
        "{}[{name}]\ntype = aor\ncontact = sip:{host}:{TLS_PORT}\\;transport=tls\n\n[{name}]\ntype = identify\nendpoint = {name}\n\
         match = {host}\n",
        endpoint(name, "tls", encryption)
    )
}

/// An endpoint that a phone registers as `name`.
pub fn phone(name: &str, password: &str, transport: &str, encryption: Encryption) -> String {
    format!(
        "{}rewrite_contact = yes\nauth = {name}\n\n[{name}]\ntype = auth\nauth_type = userpass\nusername = {name}\npassword = {password}\n\n\
         [{name}]\ntype = aor\nmax_contacts = 1\nremove_existing = yes\n",
        endpoint(name, transport, encryption)
    )
}

/// Dialplan: whoever calls `say` hears `tone` without end, and what they say is recorded in `rec/heard.wav`.
pub fn say(tone: f64) -> String {
    format!(
        "exten => say,1,Answer()\n same => n,MixMonitor(,r({{folder}}/rec/heard.wav))\n \
         same => n,Playtones({tone})\n same => n,Wait(600)\n"
    )
}

/// Dialplan: whoever calls `echo` hears themselves.
pub const ECHO: &str = "exten => echo,1,Answer()\n same => n,Echo()\n";
