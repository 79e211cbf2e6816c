//! Input: a certificate's names, and the name that is asked for. Whether the two fit is compared with what OpenSSL says of the same
//! certificate (`X509_check_host`, `X509_check_ip`); where we say more than it does, there has to be a rule that says so.
//!
//! An octet of flags, then texts with their length before them: the name that is asked for, the common name, then entries of
//! subjectAltName, each with its kind before it. With [`RAW`] the rest is the extension as it stands.
#![no_main]

use std::ffi::c_char;
use std::net::IpAddr;
use std::ptr;

use foreign_types::ForeignTypeRef;
use libfuzzer_sys::fuzz_target;
use openssl::error::ErrorStack;
use openssl::x509::{X509, X509Ref};
use openssl_sys as ffi;
use sip_tls::verify::{PeerName, matches};
use sip_tls::{AltName, CertInfo};

/// A `*.` stands for a label.
const WILDCARDS: u8 = 1;
/// There is a subjectAltName extension.
const ALT_NAMES: u8 = 2;
/// What follows is its content, whatever that be.
const RAW: u8 = 4;
/// There is a second one.
const TWICE: u8 = 8;

/// Tags of GeneralName (RFC 5280 4.2.1.6): rfc822Name, dNSName, uniformResourceIdentifier, iPAddress, registeredID.
const KINDS: [u8; 5] = [0x81, 0x82, 0x86, 0x87, 0x88];

/// What a common name may be written in: UTF8String, PrintableString, TeletexString, BMPString, UniversalString.
const STRINGS: [u8; 5] = [0x0c, 0x13, 0x14, 0x1e, 0x1c];

/// `id-at-commonName` (RFC 5280 A.1) in DER.
const COMMON_NAME: &[u8] = b"\x06\x03\x55\x04\x03";

/// `id-ce-subjectAltName` (RFC 5280 4.2.1.6) in DER.
const ALT_NAME: &[u8] = b"\x06\x03\x55\x1d\x11";

/// Takes a text with its length before it, or what there is of it.
fn text<'a>(data: &mut &'a [u8]) -> &'a [u8] {
    let Some((len, rest)) = data.split_first() else {
        return &[];
    };
    let (text, rest) = rest.split_at(rest.len().min(usize::from(*len)));
    *data = rest;
    text
}

/// A value in DER.
fn der(tag: u8, value: &[u8]) -> Vec<u8> {
    let length = value.len().to_be_bytes();
    let length = &length[length.iter().take_while(|octet| **octet == 0).count()..];
    let mut out = vec![tag];
    match value.len() {
        short @ 0..128 => out.push(u8::try_from(short).expect("below 128")),
        _ => {
            out.push(0x80 | u8::try_from(length.len()).expect("at most 8"));
            out.extend(length);
        }
    }
    out.extend(value);
    out
}

/// A certificate with these names, as it comes from a peer. Nobody looks at its key and its signature, which are of an algorithm that
/// nobody knows: that is quick. `None`: it is none.
fn certificate(cn: &[u8], kind: u8, alt_names: &[&[u8]]) -> Option<X509> {
    const ALGORITHM: &[u8] = b"\x30\x04\x06\x02\x2a\x03";
    const NO_BITS: &[u8] = b"\x03\x01\x00";
    const VERSION_3: &[u8] = b"\xa0\x03\x02\x01\x02";
    const SERIAL: &[u8] = b"\x02\x01\x01";
    const ISSUER: &[u8] = b"\x30\x00";
    let mut subject = Vec::new();
    if !cn.is_empty() {
        let attribute = [COMMON_NAME, &der(kind, cn)].concat();
        subject = der(0x31, &der(0x30, &attribute));
    }
    let day = der(0x17, b"260101000000Z");
    let extension = |content: &&[u8]| {
        let content = [ALT_NAME, &der(0x04, content)].concat();
        der(0x30, &content)
    };
    let extensions: Vec<u8> = alt_names.iter().flat_map(extension).collect();
    let extensions = match extensions.as_slice() {
        [] => Vec::new(),
        all => der(0xa3, &der(0x30, all)),
    };
    let body = [
        VERSION_3,
        SERIAL,
        ALGORITHM,
        ISSUER,
        &der(0x30, &[day.as_slice(), &day].concat()),
        &der(0x30, &subject),
        &der(0x30, &[ALGORITHM, NO_BITS].concat()),
        &extensions,
    ];
    let whole = [&der(0x30, &body.concat()), ALGORITHM, NO_BITS].concat();
    X509::from_der(&der(0x30, &whole)).ok()
}

/// What OpenSSL says of a name, or an address.
fn theirs(certificate: &X509Ref, name: &PeerName, wildcards: bool, alt_names: bool) -> bool {
    let mut flags = ffi::X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS;
    if !wildcards {
        flags |= ffi::X509_CHECK_FLAG_NO_WILDCARDS;
    }
    if alt_names {
        // RFC 5922 7.1
        flags |= ffi::X509_CHECK_FLAG_NEVER_CHECK_SUBJECT;
    }
    let result = match name {
        // SAFETY: the certificate lives, and the name has this length; nothing is asked to be given back.
        PeerName::Dns(name) => unsafe {
            ffi::X509_check_host(
                certificate.as_ptr(),
                name.as_ptr().cast::<c_char>(),
                name.len(),
                flags,
                ptr::null_mut(),
            )
        },
        PeerName::Ip(ip) => {
            let octets = match ip {
                IpAddr::V4(ip) => ip.octets().to_vec(),
                IpAddr::V6(ip) => ip.octets().to_vec(),
            };
            // SAFETY: as above.
            unsafe {
                ffi::X509_check_ip(certificate.as_ptr(), octets.as_ptr(), octets.len(), flags)
            }
        }
    };
    result == 1
}

/// Whether letters, digits and hyphens are all there is in it.
fn is_plain(label: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    !label.is_empty() && label.bytes().all(plain)
}

/// Whether a name falls under a `*.` that OpenSSL does not take: what the `*` stands for is no plain label, or less than two labels
/// follow, or others than plain ones.
fn is_below_an_odd_one(name: &str, pattern: &str) -> bool {
    let (Some(domain), Some((label, rest))) = (pattern.strip_prefix("*."), name.split_once('.'))
    else {
        return false;
    };
    let plain = is_plain(label) && domain.split('.').count() > 1 && domain.split('.').all(is_plain);
    !label.is_empty() && rest.eq_ignore_ascii_case(domain) && !plain
}

/// Why we take what OpenSSL does not.
fn is_explained(name: &PeerName, info: &CertInfo, wildcards: bool) -> bool {
    // An address may be written out, as in a SIP URI (RFC 5922 7.1) or, as PJSIP takes it, elsewhere.
    let is_text = |text: &str| PeerName::parse(text) == *name;
    let odd = |text: &str| match name {
        PeerName::Dns(name) => wildcards && is_below_an_odd_one(name, text),
        PeerName::Ip(_) => is_text(text),
    };
    if !info.has_alt_names {
        return odd(&info.subject.cn);
    }
    info.alt_names.iter().any(|alt| match alt {
        AltName::Dns(dns) => odd(dns),
        AltName::Uri(uri) => {
            let (scheme, host) = uri.split_once(':').unwrap_or_default();
            let host = host.split([';', '?']).next().unwrap_or_default();
            let begins = |text: &str| match (name, text) {
                (PeerName::Dns(name), text) => name.eq_ignore_ascii_case(text),
                (PeerName::Ip(_), text) => is_text(text),
            };
            let alone = host.rsplit_once(':').map_or(host, |(host, _)| host);
            ["sip", "sips"].contains(&scheme.to_ascii_lowercase().as_str())
                && !uri.contains('@')
                && (begins(host) || begins(alone))
        }
        AltName::Ip(_) | AltName::Email(_) => false,
    })
}

fuzz_target!(|data: &[u8]| {
    let Some((flags, mut data)) = data.split_first() else {
        return;
    };
    let wildcards = flags & WILDCARDS != 0;
    let has_alt_names = flags & ALT_NAMES != 0;
    let Ok(wanted) = std::str::from_utf8(text(&mut data)) else {
        return;
    };
    let cn = text(&mut data);
    let kind = STRINGS[usize::from(flags >> 4) % STRINGS.len()];
    let mut entries = Vec::new();
    if flags & RAW != 0 {
        entries = data.to_vec();
    } else {
        while let [kind, rest @ ..] = data {
            data = rest;
            let tag = KINDS[usize::from(*kind) % KINDS.len()];
            entries.extend(der(tag, text(&mut data)));
        }
        entries = der(0x30, &entries);
    }
    let alt_names: &[&[u8]] = match (has_alt_names, flags & TWICE != 0) {
        (false, _) => &[],
        (true, false) => &[&entries],
        (true, true) => &[&entries, &entries],
    };
    let Some(certificate) = certificate(cn, kind, alt_names) else {
        return;
    };
    drop(ErrorStack::get());
    let name = PeerName::parse(wanted);
    let Ok(info) = CertInfo::of(&certificate) else {
        return;
    };
    assert!(ErrorStack::get().errors().is_empty());
    // One that cannot be read is one: the common name is not asked in its place.
    assert_eq!(info.has_alt_names, has_alt_names);

    let ours = matches(&name, &info, wildcards);
    if ours {
        assert!(matches(&name, &info, true));
    }
    if let PeerName::Dns(wanted) = &name {
        if matches(&name, &info, false) {
            let mut names = info.names().into_iter();
            assert!(names.any(|it| it.eq_ignore_ascii_case(wanted)));
        }
        // OpenSSL takes an empty name for any, ends one at a NUL, and asks for what is below one that begins with a dot.
        if wanted.is_empty() {
            assert!(!ours);
            return;
        }
        if wanted.contains('\0') || wanted.starts_with('.') {
            return;
        }
    }
    let theirs = theirs(&certificate, &name, wildcards, has_alt_names);
    if theirs {
        assert!(ours, "OpenSSL alone: {name:?} {info:?}");
    } else if ours {
        assert!(
            is_explained(&name, &info, wildcards),
            "we alone: {name:?} {info:?}"
        );
    }
});
