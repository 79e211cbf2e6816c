//! What can happen to a connection: a code for each, with the sentence for the log, and which side has to change what.

/// How far the connection had come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stage {
    /// The TCP connection was being made.
    TcpConnect,
    /// The peer's TCP connection was there, and was not taken.
    Accept,
    /// Waiting for, or reading, the first TLS message: versions, ciphers.
    Hello,
    /// A certificate was missing or not accepted by the peer.
    Certificate,
    /// We verified the peer's certificate.
    Verify,
    /// We compared the name in the peer's certificate.
    Name,
    /// The rest of the handshake.
    Handshake,
    /// The handshake was done for us, and the server had not sent anything yet.
    Confirmation,
    /// The connection was up, and the peer, whose client we are, renegotiated it (TLS 1.2 and older).
    Renegotiation,
    /// The connection was up.
    Open,
    /// A SIP message was being read.
    Message,
}

/// Who has to change something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Side {
    /// Our configuration or machine.
    Ours,
    /// The peer's.
    Theirs,
    /// Either can help.
    Either,
    /// Nobody: a normal end.
    Nobody,
}

impl Stage {
    /// When it was, to be put behind what happened: `failed in the handshake`.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Stage::TcpConnect => "when connecting",
            Stage::Accept => "when it connected",
            Stage::Hello => "at the first TLS message",
            Stage::Certificate => "at the certificate",
            Stage::Verify => "when verifying the certificate",
            Stage::Name => "when comparing the name in the certificate",
            Stage::Handshake => "in the handshake",
            Stage::Confirmation => "right after the handshake",
            Stage::Renegotiation => "when it was renegotiated",
            Stage::Open => "while it was up",
            Stage::Message => "at a SIP message",
        }
    }
}

/// What is always true of a code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Facts {
    /// Its short name, which stays the same from release to release: `cert-expired`.
    pub name: &'static str,
    /// How far the connection had come.
    pub stage: Stage,
    /// Who has to change something.
    pub side: Side,
    /// What happened.
    pub sentence: &'static str,
    /// What to change; empty where nothing is to be.
    pub change: &'static str,
}

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $stage:ident, $side:ident, $text:literal, $change:literal;)*) => {
        /// What happened.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Code { $($(#[$doc])* $name,)* }

        impl Code {
            /// All codes, in the order of their counters.
            pub const ALL: &'static [Code] = &[$(Code::$name,)*];

            /// What is always true of it.
            #[must_use]
            pub fn facts(self) -> Facts {
                match self {
                    $(Code::$name => Facts {
                        name: $code,
                        stage: Stage::$stage,
                        side: Side::$side,
                        sentence: $text,
                        change: $change,
                    },)*
                }
            }
        }
    };
}

codes! {
    /// ECONNREFUSED.
    ConnectRefused = "connect-refused", TcpConnect, Theirs, "nothing listens on that address and port", "check that address and port are its own for TLS, and that its server runs";
    /// No answer to the TCP connection.
    ConnectTimeout = "connect-timeout", TcpConnect, Either, "the TCP connection was not answered in time", "check address and port in pjsip.conf, and routes and firewalls on the way";
    /// EHOSTUNREACH, ENETUNREACH.
    Unreachable = "unreachable", TcpConnect, Ours, "there is no route to that address", "check the address in pjsip.conf and this machine's routes";
    /// Any other failure to connect.
    ConnectFailed = "connect-failed", TcpConnect, Ours, "the TCP connection could not be made", "the system's error in brackets says why; an address to call from (bind) that this machine does not have is one reason";
    /// [`Limits::connections`](crate::Limits::connections)
    TooManyConnections = "too-many-connections", Accept, Either, "there are as many connections as max_connections in ciphertrunk.conf allows", "raise it if all of them are wanted (ciphertrunk show connections)";
    /// [`Limits::connections_per_source`](crate::Limits::connections_per_source)
    TooManyOfSource = "too-many-of-source", Accept, Either, "its address has as many connections as max_connections_per_source in ciphertrunk.conf allows", "if many peers are behind that address, name it in trusted_sources there or raise the limit";
    /// [`Limits::handshakes`](crate::Limits::handshakes)
    TooManyHandshakes = "too-many-handshakes", Accept, Either, "as many TLS handshakes go on as max_handshakes in ciphertrunk.conf allows", "look who begins them and does not end them; it may come again";
    /// [`Limits::handshakes_per_source`](crate::Limits::handshakes_per_source)
    TooManyHandshakesOfSource = "too-many-handshakes-of-source", Accept, Either, "as many TLS handshakes of its address go on as max_handshakes_per_source in ciphertrunk.conf allows", "if many peers are behind that address, name it in trusted_sources there or raise the limit";
    /// [`Limits::rate_per_source`](crate::Limits::rate_per_source)
    ConnectionRate = "connection-rate", Accept, Either, "its address opens more connections than connection_rate_per_source in ciphertrunk.conf allows", "if many peers are behind that address, name it in trusted_sources there or raise the limit; else look why it comes so often";
    /// [`Limits::descriptors`](crate::Limits::descriptors)
    DescriptorsReserved = "descriptors-reserved", Accept, Ours, "the file descriptors that are left are kept for media and the console (reserve_descriptors in ciphertrunk.conf)", "raise Asterisk's limit (maxfiles in asterisk.conf, LimitNOFILE of its service)";
    /// The host refused its address.
    AclDenied = "acl-denied", Accept, Either, "acl in ciphertrunk.conf does not permit its address", "permit it in acl.conf if it is wanted";
    /// A balancer did not say whose its connection is.
    ProxyHeader = "proxy-header", Hello, Theirs, "it is named in proxy_protocol_from in ciphertrunk.conf, and what it sent does not begin with a whole PROXY protocol header of a TCP connection", "have it send one (send-proxy-v2 of a server in HAProxy), or take it out of proxy_protocol_from";
    /// Somebody who is no balancer sent a PROXY protocol header.
    ProxyHeaderRefused = "proxy-header-refused", Hello, Either, "it began with a PROXY protocol header, which only the addresses in proxy_protocol_from in ciphertrunk.conf may", "name it there if it is a balancer of yours";
    /// The peer connected and said nothing.
    Silent = "tls-silent", Hello, Theirs, "the TCP connection was made, but it sent nothing in time", "have it begin TLS; what only opens connections, such as a port scan, needs nothing";
    /// A client connected and closed or reset the connection without sending anything.
    NothingSent = "nothing-sent", Hello, Nobody, "it closed the TCP connection without sending anything, as a health check does", "";
    /// A server took the TCP connection and did not answer our ClientHello.
    NoTlsAnswer = "no-tls-answer", Hello, Theirs, "it took the TCP connection and did not answer our first TLS message in time", "is this its TLS port? the contact, server_uri or outbound_proxy in pjsip.conf has it; where it is, its own log should tell, or a box on the way drops a first message longer than a TCP segment, as ML-KEM makes it: `ciphertrunk check` finds that, and a profile with groups = X25519, P-256 avoids it";
    /// A server closed or reset the connection at our ClientHello, without a byte.
    ClosedAtHello = "closed-at-hello", Hello, Theirs, "it closed the connection at our first TLS message without answering it", "is this its TLS port? the contact, server_uri or outbound_proxy in pjsip.conf has it; where it is, its own log should tell";
    /// A server ended the connection, and nothing of SIP had come from it.
    ClosedUnheard = "closed-unheard", Confirmation, Either, "the handshake was done, and it ended the connection before it sent anything", "a TLS 1.3 server that refuses our certificate, or misses one, does so: compare cert_file and priv_key_file here with what it demands; its own log should tell";
    /// The handshake began and did not end in time.
    HandshakeTimeout = "handshake-timeout", Handshake, Either, "the TLS handshake did not finish in time", "look for packets that are lost on the way (a too large MTU is one reason), or raise handshake_timeout in ciphertrunk.conf";
    /// The TCP connection was closed during the handshake, without an alert.
    ClosedInHandshake = "closed-in-handshake", Handshake, Theirs, "it closed the connection during the TLS handshake without saying why", "its own log should tell";
    /// The TCP connection was reset during the handshake.
    ResetInHandshake = "reset-in-handshake", Handshake, Theirs, "it reset the connection during the TLS handshake", "its own log should tell";
    /// The peer speaks SIP without TLS.
    PlainSip = "plain-sip", Hello, Theirs, "it speaks SIP without TLS on this connection", "set its transport to TLS, or use its TLS port";
    /// The peer speaks HTTP.
    PlainHttp = "plain-http", Hello, Theirs, "it speaks HTTP without TLS on this connection", "it may be no SIP peer: look who connects, or check the address and port that are called";
    /// The peer speaks something that is not TLS.
    NotTls = "not-tls", Hello, Theirs, "what it sent is not TLS", "check that this is its TLS port, and that it is to speak TLS";
    /// No TLS version in common.
    Version = "tls-version", Hello, Either, "there is no TLS version that both sides allow", "compare method of the transport in pjsip.conf with its setting";
    /// A server without RFC 5746.
    NoSecureRenegotiation = "no-secure-renegotiation", Hello, Theirs, "it has no secure renegotiation (RFC 5746), without which others can put their words before ours on the connection", "its TLS software is of before 2010, or has that extension switched off: to update or switch on there";
    /// No cipher in common, or none that fits our certificate.
    NoSharedCipher = "no-shared-cipher", Hello, Either, "there is no cipher that both sides allow", "compare cipher, and the key type of the certificate, of the transport or profile here with its settings (one that knows static RSA or CBC with SHA-1 alone takes cipher in a profile of its own: type = tls in ciphertrunk.conf)";
    /// No key exchange group or signature algorithm in common.
    NoSharedAlgorithm = "no-shared-algorithm", Hello, Either, "there is no key exchange group or signature algorithm that both sides allow", "have its software updated, or give our transport a certificate of a kind that it knows (RSA 2048, P-256)";
    /// The peer's key exchange is too weak for our security level.
    WeakKeyExchange = "weak-key-exchange", Hello, Theirs, "its key exchange is too weak for our security level", "have it use a Diffie-Hellman group of 2048 bits or an elliptic curve";
    /// The client sent no certificate, and we demand one.
    NoClientCertificate = "no-client-certificate", Certificate, Theirs, "it sent no client certificate, which require_client_cert demands", "install one there";
    /// A handshake message is too long: the certificate chain, mostly (see [`MAX_CERTIFICATES`](crate::MAX_CERTIFICATES)).
    HandshakeTooLong = "handshake-too-long", Certificate, Theirs, "its certificate chain, or another message of its handshake, is too long (more than 32 KiB of certificates)", "have it send its own certificate and the intermediate ones only";
    /// It has expired.
    CertExpired = "cert-expired", Verify, Theirs, "its certificate, or one in its chain, has expired", "it must be renewed there";
    /// It is not valid yet.
    CertNotYetValid = "cert-not-yet-valid", Verify, Either, "its certificate is not valid yet", "check the clocks of both machines, and from when the certificate is valid";
    /// Signed by itself.
    CertSelfSigned = "cert-self-signed", Verify, Either, "its certificate is signed by itself and we do not trust it", "add it to ca_list_file of the transport in pjsip.conf, or have it signed by a CA";
    /// From a CA we do not trust, or without its chain.
    CertUntrusted = "cert-untrusted", Verify, Either, "its certificate does not lead to a CA we trust", "add its CA to ca_list_file or ca_list_path of the transport in pjsip.conf, or let it send the intermediate certificates";
    /// Too weak.
    CertWeak = "cert-weak", Verify, Theirs, "a key or signature in its certificate chain is too weak for our security level", "have it renewed with RSA 2048 or P-256 and SHA-256";
    /// Revoked.
    CertRevoked = "cert-revoked", Verify, Theirs, "its certificate is revoked", "it needs a new one";
    /// Not for this use.
    CertPurpose = "cert-purpose", Verify, Theirs, "its certificate may not be used for this (extended key usage or CA flag)", "have one issued for TLS servers and clients";
    /// Any other fault.
    CertInvalid = "cert-invalid", Verify, Theirs, "its certificate or chain is not valid", "have it install the chain that its CA gave it";
    /// Another name.
    CertName = "cert-name", Name, Either, "its certificate is for another name than the one we asked for", "call it (contact, server_uri, outbound_proxy) by a name that is in the certificate, or have the certificate cover this name";
    /// Not pinned.
    CertPin = "cert-pin", Verify, Either, "its certificate is none of those that pin in its profile names", "compare the SHA-256 of its certificate or key with pin, and ask the peer whether it has a new one";
    /// Alert unknown_ca.
    PeerUnknownCa = "peer-unknown-ca", Certificate, Either, "it does not trust our certificate", "add our CA there, or install a certificate here (cert_file, priv_key_file) that it trusts";
    /// Alert certificate_expired.
    PeerCertExpired = "peer-cert-expired", Certificate, Ours, "it says that our certificate has expired", "renew the one in cert_file, or check the clocks";
    /// Alert bad_certificate, unsupported_certificate, certificate_unknown.
    PeerBadCertificate = "peer-bad-certificate", Certificate, Ours, "it does not accept our certificate", "check name, purpose and chain of the one in cert_file; its own log should tell";
    /// Alert certificate_revoked.
    PeerCertRevoked = "peer-cert-revoked", Certificate, Ours, "it says that our certificate is revoked", "install a new one in cert_file and priv_key_file";
    /// Alert certificate_required.
    PeerWantsCertificate = "peer-wants-certificate", Certificate, Ours, "it demands a client certificate", "set cert_file and priv_key_file of the transport in pjsip.conf";
    /// Alert handshake_failure, insufficient_security.
    PeerHandshakeFailure = "peer-handshake-failure", Hello, Either, "it found nothing both sides allow, or demands a client certificate", "compare cipher of the transport or profile here with its settings (static RSA and CBC with SHA-1 are offered by a profile with cipher alone); where it demands a certificate, set cert_file and priv_key_file";
    /// Alert protocol_version, inappropriate_fallback.
    PeerVersion = "peer-version", Hello, Either, "it does not speak a TLS version that we allow", "compare method of the transport in pjsip.conf with its setting (one that speaks TLS 1.0 or 1.1 alone takes a profile with min_version = tls1.0)";
    /// Alert unrecognized_name.
    PeerUnknownName = "peer-unknown-name", Hello, Ours, "it does not know the server name that we asked for", "give the name that it is known by in the contact or outbound_proxy";
    /// Alert access_denied.
    PeerDenied = "peer-denied", Certificate, Either, "it denied us access", "ask there which certificate or address it expects";
    /// Any other alert.
    PeerAlert = "peer-alert", Handshake, Theirs, "it gave up with a TLS alert", "its own log should tell why";
    /// A fatal alert on a connection that was up.
    PeerAborted = "peer-aborted", Open, Theirs, "it ended the connection by a fatal alert", "its own log should tell why";
    /// A client wanted to renegotiate, was told that it may not, and ended the connection.
    RenegotiationRefused = "renegotiation-refused", Open, Theirs, "it wanted to renegotiate the connection, which no client may here, and ended it", "its renegotiation can be switched off, or TLS 1.3 used, which has none";
    /// It began to renegotiate and did not come to an end.
    RenegotiationTimeout = "renegotiation-timeout", Renegotiation, Theirs, "it began to renegotiate the connection and did not finish in time", "its own log should tell; renegotiation can be switched off there";
    /// The peer broke the TLS protocol.
    Protocol = "tls-protocol", Handshake, Theirs, "what it sent breaks the TLS protocol or was damaged on the way", "look for a fault of its TLS software or of a device on the way";
    /// A setup call of OpenSSL failed on our side.
    Internal = "openssl-failed", Handshake, Ours, "OpenSSL failed on our side", "the numbers are OpenSSL's; look for a full memory, and report it";
    /// close_notify.
    PeerClosed = "peer-closed", Open, Nobody, "it closed the connection", "";
    /// TCP closed without close_notify.
    PeerEof = "peer-eof", Open, Nobody, "it closed the connection without a close_notify", "";
    /// ECONNRESET, EPIPE, and nothing was lost: what a client's kernel does when it leaves before it has read all that came.
    PeerReset = "peer-reset", Open, Nobody, "it closed the connection by a TCP reset", "";
    /// ECONNRESET, EPIPE, and a message on its way, in or out, was lost.
    PeerResetMidway = "peer-reset-midway", Open, Theirs, "it reset the connection, and a message on its way was lost", "its own log, or that of a device on the way, should tell";
    /// The network gave up (keepalive, retransmissions).
    PeerGone = "peer-gone", Open, Theirs, "it does not acknowledge what we send any more", "check the network on the way, whether it runs, and whether it reads";
    /// Any other I/O error.
    IoError = "io-error", Open, Ours, "reading or writing failed", "the system's error in brackets says why";
    /// It has answered keepalives, and does not any more.
    PongMissing = "pong-missing", Open, Theirs, "it answered our keepalives (RFC 5626) before, and has sent nothing in 10 s after the last one", "check the network on the way, and whether it runs; the next request opens a new connection";
    /// It sent nothing for [`PoolConfig::idle`](crate::PoolConfig::idle).
    Idle = "idle", Open, Nobody, "it has sent nothing for as long as idle_timeout in ciphertrunk.conf says", "";
    /// It sends TLS and nothing in it.
    EmptyTls = "empty-tls", Open, Theirs, "it sent more than 64 KiB of TLS without a message in it: key updates or empty records", "look who connects, or have its TLS software corrected";
    /// It does not read what we send.
    WriteQueueFull = "write-queue-full", Open, Theirs, "it does not read what we send and the write queue is full", "look whether it is overloaded or stopped";
    /// [`FrameError::NotSip`]
    NotSip = "not-sip", Message, Theirs, "what it sent does not begin like a SIP message", "have its software corrected, or look who connects";
    /// [`FrameError::TooLong`]
    MessageTooLong = "message-too-long", Message, Theirs, "its message is longer than 65535 bytes, and its end is not known or did not come", "have it send shorter messages with a Content-Length";
    /// A message began, and its rest did not come.
    MessageTimeout = "message-timeout", Message, Theirs, "it began a message, and the rest did not come in time", "look for packets that are lost on the way (a too large MTU is one reason), or who connects";
    /// [`FrameError::Filler`]
    Filler = "sip-filler", Message, Theirs, "it sent more than 1 MiB of line ends, NULs and blanks without a message", "look who connects";
    /// [`FrameError::NoContentLength`]
    NoContentLength = "no-content-length", Message, Theirs, "its message has no Content-Length, which SIP demands over TLS, and its end was not found", "have it send one";
    /// [`FrameError::BadContentLength`] or [`FrameError::TwoContentLengths`]
    BadContentLength = "bad-content-length", Message, Theirs, "its message has no usable Content-Length, and its end was not found", "have it send one number";
    /// The host closed it.
    ClosedHere = "closed-here", Open, Nobody, "we closed the connection", "";
    /// The pool is shutting down.
    Shutdown = "shutdown", Open, Nobody, "we are shutting down", "";
    /// The I/O loop that served it failed (see [`LoopFailure`](crate::LoopFailure)).
    LoopFailed = "loop-failed", Open, Ours, "the I/O loop that served it failed", "the log says why; report it";
    /// Its listener was closed during the handshake.
    ListenerClosed = "listener-closed", Handshake, Nobody, "the listener was closed during the handshake", "";
    /// The profile has no certificate to accept connections with.
    NoCertificateHere = "no-certificate-here", Certificate, Ours, "there is no certificate to accept connections with", "set cert_file and priv_key_file of the transport in pjsip.conf";
    /// The profile that is chosen for the peer could not be loaded.
    NoProfile = "profile-not-loaded", Hello, Ours, "its profile in ciphertrunk.conf could not be loaded, and it has no other", "the log and ciphertrunk show transports say what is wrong with it";
}
