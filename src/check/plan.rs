//! Where a call would go, and with what.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use ciphertrunk_check::{Options, SipUri};
use policy::config::{Config, TlsProfile};
use sip_tls::select::closest;
use sip_tls::verify::PeerName;
use zeroize::Zeroizing;

use crate::config;
use crate::ffi::late;
use crate::ffi::pjsip::endpoint;
use crate::ffi::pjsip::servant::in_sip_thread;
use crate::ffi::pjsip::sorcery::{TlsTransport, tls_transports};
use crate::transport::options::config as transport_options;

/// What is to be looked at.
pub struct Plan {
    /// For the library.
    pub options: Options,
    /// Where a call would go, and with what, in sentences.
    pub told: Vec<String>,
}

/// An endpoint, as `pjsip.conf` has it.
struct Endpoint {
    options: BTreeMap<String, Zeroizing<String>>,
    contacts: Vec<String>,
}

/// What is meant by `target`: an endpoint of that name, or else a host.
///
/// # Errors
///
/// A sentence.
pub fn plan(target: &str) -> Result<Plan, String> {
    let pjsip = late::found().ok_or("PJSIP is not loaded")?;
    let found = in_sip_thread(|thread| {
        let endpoint = endpoint::options_of(pjsip, target).map(|options| Endpoint {
            options,
            contacts: endpoint::places(thread, target)
                .unwrap_or_default()
                .contacts,
        });
        (endpoint, tls_transports(thread))
    });
    let (endpoint, transports) = found.ok_or("PJSIP ran no task")?;
    match endpoint {
        Some(endpoint) => of_endpoint(target, &endpoint, &transports),
        None => of_host(target, &transports),
    }
}

fn of_endpoint(
    name: &str,
    endpoint: &Endpoint,
    transports: &[TlsTransport],
) -> Result<Plan, String> {
    let option = |option: &str| {
        let value = endpoint.options.get(option)?.as_str();
        (!value.is_empty()).then_some(value)
    };
    let (uri, from) = match (option("outbound_proxy"), endpoint.contacts.first()) {
        (Some(proxy), _) => (proxy, "its outbound_proxy"),
        (None, Some(contact)) => (contact.as_str(), "the first contact of its AoR"),
        (None, None) => {
            return Err(format!(
                "endpoint '{name}' has neither a contact nor an outbound_proxy now: a call to it would go nowhere"
            ));
        }
    };
    let place = SipUri::parse(uri).ok_or_else(|| format!("{from} is no SIP URI: {uri}"))?;
    if !place.is_tls {
        return Err(format!(
            "a call to endpoint '{name}' does not go by TLS: {from} is {uri}. ;transport=tls in it makes it (\\; in pjsip.conf)"
        ));
    }
    let transport = match option("transport") {
        Some(wanted) => Some(
            transports
                .iter()
                .find(|transport| transport.name == wanted)
                .ok_or_else(|| {
                    format!("endpoint '{name}' has transport = {wanted}, which is no transport with protocol = tls")
                })?,
        ),
        None => transports.first(),
    };
    let mut options = Options::new(&place.place)
        .ok_or_else(|| format!("{from} has no host that can be looked for: {uri}"))?;
    if let Some(domain) = option("from_domain") {
        let user = option("from_user").unwrap_or("asterisk");
        options.from = Some(format!("sip:{user}@{domain}"));
    }
    let told = format!("Endpoint '{name}': a call to it goes to {uri} ({from})");
    by(transport, options, told)
}

fn of_host(target: &str, transports: &[TlsTransport]) -> Result<Plan, String> {
    // A word alone is a name that was mistyped.
    let options = Options::new(target)
        .filter(|_| target.contains(['.', ':']) || target.eq_ignore_ascii_case("localhost"))
        .ok_or_else(|| {
            format!("there is no endpoint '{target}', and it is no HOST[:PORT] either: a host has a dot or a port")
        })?;
    by(transports.first(), options, format!("Host {target}"))
}

/// With what the transport has, and the profile that a connection to there gets.
fn by(
    transport: Option<&TlsTransport>,
    options: Options,
    mut told: String,
) -> Result<Plan, String> {
    let Some(transport) = transport else {
        told.push_str(
            ". There is no transport with protocol = tls: the system's CAs are trusted, and there is no certificate of ours",
        );
        return Ok(Plan {
            options,
            told: vec![told],
        });
    };
    told.push_str(&format!(", by transport '{}'", transport.name));
    let mut words = Vec::new();
    for word in [
        "ca_list_file",
        "ca_list_path",
        "cert_file",
        "method",
        "cipher",
    ] {
        if let Some(value) = transport.option(word) {
            words.push(format!("{word} = {value}"));
        }
    }
    let verify = if transport.flag("verify_server") {
        "yes"
    } else {
        "no"
    };
    words.push(format!("verify_server = {verify}"));
    let mut all = vec![format!("With its {}", words.join(", "))];
    let (mut tls, _) = transport_options(transport)?;
    tls.key_log = None;
    let config = config::current();
    if let Some(profile) = profile_of(&config, transport, &options.host) {
        told.push_str(&format!(
            " and profile '{}' of ciphertrunk.conf",
            profile.name
        ));
        if let Some(reason) = &profile.broken {
            return Err(format!(
                "profile '{}' of ciphertrunk.conf is the one for {}, and is not good, so there are no connections: {reason}",
                profile.name, options.host
            ));
        }
        let words: Vec<String> = profile
            .lines()
            .filter(|(option, _)| !["type", "match", "server_name"].contains(option))
            .map(|(option, value)| format!("{option} = {value}"))
            .collect();
        all.push(format!(
            "The profile has in its place: {}",
            words.join(", ")
        ));
        tls = profile.over(&tls);
    }
    all.insert(0, told);
    let bind: Option<SocketAddr> = transport.option("bind").and_then(|bind| bind.parse().ok());
    let options = Options {
        tls,
        system_cas: false,
        local: bind.map(|bind| bind.ip()).filter(|ip| !ip.is_unspecified()),
        ..options
    };
    Ok(Plan { options, told: all })
}

/// The profile of a connection to `host`, if it is not the transport's own. A transport that is left alone has none.
fn profile_of<'a>(
    config: &'a Config,
    transport: &TlsTransport,
    host: &str,
) -> Option<&'a TlsProfile> {
    if config.leave_alone.contains(&transport.name) {
        return None;
    }
    let name = PeerName::parse(host);
    closest(&config.profiles, |it| it.selectors.outgoing(&name))
}
