//! The certificates that a peer shows: their chain, their dates, their names.

use std::time::{SystemTime, UNIX_EPOCH};

use openssl::asn1::Asn1Time;
use openssl::nid::Nid;
use openssl::x509::{X509, X509ExtendedKeyUsage, X509Ref};
use sip_tls::verify::{CertFault, PeerName, matches};
use sip_tls::{CertInfo, Code as Why, Pin, ProfileConfig, Reason};

use crate::code::Code;
use crate::report::{Finding, Stage, Step};
use crate::tls::{Trace, Up};

/// Fewer days left are a warning.
const SOON: i64 = 30;
const DAY: i64 = 86_400;
/// NIST SP 800-131A: weaker keys and signatures are not to be used; distributions set OpenSSL's level so.
const ENOUGH_BITS: u32 = 112;

/// A certificate of the chain.
struct Shown {
    x509: X509,
    info: CertInfo,
}

/// The steps of chain and name. `sent`: the chain as it was sent; `trace`: what OpenSSL said about it; `trusted`: the CAs of `--ca`.
/// `asks`: what is asked of its certificate beside `name`.
pub(crate) fn judge(
    sent: &[X509],
    trace: &Trace,
    name: &str,
    asks: &ProfileConfig,
    trusted: &[X509],
) -> (Step, Step) {
    let mut chain = Step::new(Stage::Chain);
    let mut names = Step::new(Stage::Name);
    let shown = shown(sent);
    let Some(leaf) = shown.first() else {
        chain.add(Finding::from(Reason::from(CertFault::InvalidFormat)));
        return (
            chain,
            Step::not_tried(Stage::Name, "there is no certificate that can be read"),
        );
    };
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs() as i64);
    for (depth, certificate) in shown.iter().enumerate() {
        chain.fact(described(depth, &certificate.info, now));
    }
    faults(&mut chain, trace, &shown, asks.any_eku, trusted, now);
    dates(&mut chain, &shown, now);
    order(&mut chain, &shown);
    weakness(&mut chain, &shown);
    purpose(&mut chain, leaf);
    pinned(&mut chain, &asks.pins, leaf);
    let wanted = match &asks.verify_names[..] {
        [] => vec![PeerName::parse(name)],
        others => others.to_vec(),
    };
    name_of(&mut names, &wanted, asks.allow_wildcard_certs, &leaf.info);
    (chain, names)
}

/// The certificate that a connection shows, for comparison.
pub(crate) fn fingerprint(up: &Up) -> Option<CertInfo> {
    CertInfo::of(&*up.link.ssl().peer_certificate()?).ok()
}

fn shown(sent: &[X509]) -> Vec<Shown> {
    sent.iter()
        .filter_map(|x509| {
            Some(Shown {
                x509: x509.clone(),
                info: CertInfo::of(x509).ok()?,
            })
        })
        .collect()
}

fn called(info: &CertInfo) -> String {
    if info.subject.cn.is_empty() {
        info.subject.info.clone()
    } else {
        info.subject.cn.clone()
    }
}

fn date(seconds: i64) -> String {
    Asn1Time::from_unix(seconds)
        .map(|time| time.to_string())
        .unwrap_or_default()
}

fn described(depth: usize, info: &CertInfo, now: i64) -> String {
    let names = if depth == 0 {
        format!(", for {}", info.names().join(", "))
    } else {
        String::new()
    };
    format!(
        "{depth}: {}{names}; issuer {}; until {} ({} days)",
        called(info),
        info.issuer.info,
        date(info.not_after),
        (info.not_after - now).div_euclid(DAY)
    )
}

/// What OpenSSL said about the chain.
fn faults(
    step: &mut Step,
    trace: &Trace,
    shown: &[Shown],
    any_eku: bool,
    trusted: &[X509],
    now: i64,
) {
    let mut told = Vec::new();
    for (fault, depth, certificate) in trace.with(|seen| seen.faults.clone()) {
        let info = certificate
            .as_ref()
            .and_then(|certificate| CertInfo::of(certificate).ok());
        let whose = info
            .as_ref()
            .map(|info| format!("certificate {depth}, {}", called(info)))
            .unwrap_or_default();
        if told.contains(&fault) {
            continue;
        }
        told.push(fault);
        match fault {
            // OpenSSL goes on after a missing issuer, and finds what follows from it.
            CertFault::Other(_) | CertFault::IssuerMismatch
                if told.contains(&CertFault::IssuerNotFound) => {}
            CertFault::InvalidPurpose
                if any_eku
                    && depth == 0
                    && certificate.as_deref().is_some_and(is_for_either_side) => {}
            CertFault::Expired if depth > 0 => {
                let code = match certificate.as_ref() {
                    Some(certificate) if is_ours(certificate, shown, trusted) => Code::OwnCaExpired,
                    _ => Code::IntermediateExpired,
                };
                step.add(Finding::new(code, format!("{whose}; {}", clock(now))));
            }
            CertFault::Expired | CertFault::NotYetValid => step.add(Finding {
                detail: format!("{whose}; {}", clock(now)),
                ..Finding::from(Reason::from(fault))
            }),
            CertFault::IssuerNotFound => {
                let last = certificate.or_else(|| shown.last().map(|last| last.x509.clone()));
                step.add(issuer_not_found(last.as_deref(), shown, trusted));
            }
            CertFault::IssuerMismatch
                if info
                    .as_ref()
                    .is_some_and(|info| is_name_of(&info.issuer.info, trusted)) =>
            {
                step.add(other_key(info.as_ref()));
            }
            CertFault::Untrusted => {
                let root = info.map(|info| called(&info)).unwrap_or_default();
                step.add(Finding::new(
                    Code::ChainUntrusted,
                    format!("it ends in {root}"),
                ));
            }
            // Looked at by `weakness`, which names the certificate.
            CertFault::Weak => step.add(Finding {
                detail: String::new(),
                ..Finding::from(Reason::from(fault))
            }),
            _ => step.add(Finding {
                detail: whose,
                ..Finding::from(Reason::from(fault))
            }),
        }
    }
}

/// Whether a certificate of the chain is one of ours: a root that is trusted here, or one that was not sent.
fn is_ours(certificate: &X509Ref, shown: &[Shown], trusted: &[X509]) -> bool {
    let is = |other: &X509Ref| {
        other
            .to_der()
            .ok()
            .zip(certificate.to_der().ok())
            .is_some_and(|(other, this)| other == this)
    };
    let is_root =
        certificate.subject_name().to_der().ok() == certificate.issuer_name().to_der().ok();
    (is_root && trusted.iter().any(|ca| is(ca))) || !shown.iter().any(|sent| is(&sent.x509))
}

/// Whether its extended key usage is for TLS, on whichever side: `eku = any` takes it.
fn is_for_either_side(certificate: &X509Ref) -> bool {
    certificate.extended_key_usage().is_some_and(|usage| {
        usage.intersects(X509ExtendedKeyUsage::SSL_SERVER | X509ExtendedKeyUsage::SSL_CLIENT)
    })
}

/// What dates are held against.
fn clock(now: i64) -> String {
    format!("the clock here says {}", date(now))
}

/// Neither sent nor known: an intermediate that is missing there, or a CA that is missing here.
fn issuer_not_found(last: Option<&X509Ref>, shown: &[Shown], trusted: &[X509]) -> Finding {
    let Some(last) = last else {
        return Finding::new(Code::ChainUntrusted, "");
    };
    let Ok(info) = CertInfo::of(last) else {
        return Finding::new(Code::ChainUntrusted, "");
    };
    let issuer = info.issuer.info.clone();
    let detail = format!(
        "\"{issuer}\", the issuer of {}, is neither sent nor known here",
        called(&info)
    );
    if is_name_of(&issuer, trusted) {
        return other_key(Some(&info));
    }
    if is_intermediate(last, &info.issuer.cn, shown, trusted) {
        Finding::new(Code::ChainIncomplete, detail)
    } else {
        Finding::new(Code::ChainUntrusted, detail)
    }
}

fn is_name_of(issuer: &str, trusted: &[X509]) -> bool {
    trusted
        .iter()
        .any(|ca| CertInfo::of(ca).is_ok_and(|ca| ca.subject.info == issuer))
}

/// A CA that is trusted under the same name, and has another key: it was made anew, or is another's.
fn other_key(signed: Option<&CertInfo>) -> Finding {
    let (issuer, name) = signed.map_or_else(Default::default, |info| {
        (info.issuer.info.clone(), called(info))
    });
    Finding::new(
        Code::ChainUntrusted,
        format!(
            "a CA of the name \"{issuer}\" is trusted here, and has another key than the one that signed {name}"
        ),
    )
}

/// Whether the missing issuer is an intermediate: it says so, or it belongs to one that is trusted here.
fn is_intermediate(last: &X509Ref, issuer: &str, shown: &[Shown], trusted: &[X509]) -> bool {
    let words = issuer.to_ascii_lowercase();
    let has = |word: &str| words.contains(word);
    if has("root") {
        return false;
    }
    if has("intermediate")
        || has("issuing")
        || has("sub ca")
        || has("subca")
        || has("sub-ca")
        || has("zwischen")
    {
        return true;
    }
    // Public CAs say where their intermediates' certificates are (RFC 5280 4.2.2.1); roots sign no servers there.
    let says_where = last.authority_info().is_some_and(|access| {
        access
            .iter()
            .any(|description| description.method().nid() == Nid::AD_CA_ISSUERS)
    });
    if says_where {
        return true;
    }
    let organisation = |name: &openssl::x509::X509NameRef| {
        name.entries_by_nid(Nid::ORGANIZATIONNAME)
            .next()
            .and_then(|entry| entry.data().to_string().ok())
    };
    let own = organisation(last.issuer_name());
    shown.len() == 1
        && own.is_some()
        && trusted
            .iter()
            .any(|ca| organisation(ca.subject_name()) == own)
}

fn dates(step: &mut Step, shown: &[Shown], now: i64) {
    for (depth, certificate) in shown.iter().enumerate() {
        let left = certificate.info.not_after - now;
        // A root's date says nothing that matters: the one that is trusted here counts.
        if is_self_issued(&certificate.info) && depth > 0 {
            continue;
        }
        let which = format!(
            "certificate {depth}, {}, {}",
            called(&certificate.info),
            date(certificate.info.not_after)
        );
        if left < 0 {
            // OpenSSL does not come so far where the issuer is missing.
            let finding = if depth == 0 {
                Finding::from(Reason::from(CertFault::Expired))
            } else {
                Finding::new(Code::IntermediateExpired, "")
            };
            if !step.findings.iter().any(|known| known.code == finding.code) {
                step.add(Finding {
                    detail: which,
                    ..finding
                });
            }
        } else if left < SOON * DAY {
            step.add(Finding::new(Code::ExpiresSoon, which));
        }
        if certificate.info.not_before > now
            && !step
                .findings
                .iter()
                .any(|known| known.code == Code::Tls(Why::CertNotYetValid))
        {
            step.add(Finding {
                detail: which_from(depth, &certificate.info),
                ..Finding::from(Reason::from(CertFault::NotYetValid))
            });
        }
    }
}

fn which_from(depth: usize, info: &CertInfo) -> String {
    format!(
        "certificate {depth}, {}, from {}",
        called(info),
        date(info.not_before)
    )
}

fn is_self_issued(info: &CertInfo) -> bool {
    info.subject.info == info.issuer.info
}

fn order(step: &mut Step, shown: &[Shown]) {
    let issues = |issuer: &Shown, of: &Shown| issuer.info.subject.info == of.info.issuer.info;
    // Those that belong to the chain, from the peer's own on.
    let mut chain = vec![0];
    while let Some(&at) = chain.last() {
        let next = (0..shown.len())
            .find(|other| !chain.contains(other) && issues(&shown[*other], &shown[at]));
        match next {
            Some(next) if !is_self_issued(&shown[at].info) => chain.push(next),
            _ => break,
        }
    }
    let foreign: Vec<String> = (0..shown.len())
        .filter(|at| !chain.contains(at))
        .map(|at| called(&shown[at].info))
        .collect();
    if !foreign.is_empty() {
        step.add(Finding::new(Code::ChainForeign, foreign.join(", ")));
    }
    if !chain.is_sorted() {
        let sent: Vec<String> = shown.iter().map(|one| called(&one.info)).collect();
        step.add(Finding::new(
            Code::ChainOrder,
            format!("it sends {}", sent.join(", ")),
        ));
    }
}

fn weakness(step: &mut Step, shown: &[Shown]) {
    for (depth, certificate) in shown.iter().enumerate() {
        let mut what = Vec::new();
        if let Ok(key) = certificate.x509.public_key()
            && key.security_bits() < ENOUGH_BITS
        {
            what.push(format!("a key of {} bits", key.bits()));
        }
        let signature = certificate.x509.signature_algorithm().object().nid();
        let digest = signature.signature_algorithms().map(|pair| pair.digest);
        // Nobody looks at a root's own signature.
        if let Some(digest @ (Nid::MD5 | Nid::SHA1)) = digest
            && !is_self_issued(&certificate.info)
        {
            what.push(format!(
                "signed with {}",
                digest.short_name().unwrap_or("?")
            ));
        }
        if !what.is_empty() {
            step.findings
                .retain(|known| known.code != Code::Tls(Why::CertWeak) || !known.detail.is_empty());
            let detail = format!(
                "certificate {depth}, {}, has {}",
                called(&certificate.info),
                what.join(", ")
            );
            step.add(Finding {
                detail,
                ..Finding::from(Reason::from(CertFault::Weak))
            });
        }
    }
}

/// Whether it would do as a client certificate: a peer often uses one for both.
fn purpose(step: &mut Step, leaf: &Shown) {
    if let Some(usage) = leaf.x509.extended_key_usage()
        && !usage.intersects(X509ExtendedKeyUsage::SSL_CLIENT | X509ExtendedKeyUsage::ANYEKU)
    {
        step.add(Finding::new(Code::NotForClients, ""));
    }
}

/// Whether it is one that is pinned here, or has its key.
fn pinned(step: &mut Step, pins: &[Pin], leaf: &Shown) {
    if pins.is_empty() {
        return;
    }
    if pins.iter().any(|pin| pin.is_of(&leaf.x509)) {
        step.fact("it is one that is pinned here (pin)");
    } else {
        step.add(Finding::from(Reason::from(CertFault::NotPinned)));
    }
}

/// Any of `wanted` will do.
fn name_of(step: &mut Step, wanted: &[PeerName], wildcards: bool, leaf: &CertInfo) {
    let asked: Vec<String> = wanted.iter().map(ToString::to_string).collect();
    let asked = asked.join(" or ");
    let is_for = |wildcards| wanted.iter().any(|name| matches(name, leaf, wildcards));
    let names = leaf.names().join(", ");
    step.fact(format!(
        "asked for {asked}; the certificate is for {}",
        if names.is_empty() { "no name" } else { &names }
    ));
    if is_for(wildcards) {
        if !leaf.has_alt_names {
            step.add(Finding::new(Code::NameInSubjectOnly, names));
        }
    } else if is_for(true) {
        step.add(Finding::new(Code::NameByWildcard, names));
    } else {
        let detail = format!(
            "asked for {asked}, and it is for {}",
            if names.is_empty() { "no name" } else { &names }
        );
        step.add(Finding {
            detail,
            ..Finding::from(Reason::from(CertFault::NameMismatch))
        });
    }
}
