//! From sections and lines to a [`Config`]. The whole file is read, so that all problems are told at once.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use packet_crypto::Kernels;
use srtp::sdes::{MAX_LIFETIME, MIN_LIFETIME, MkiRule};
use srtp::{SessionParams, Suite};

use crate::demand::identity::Binding;
use crate::demand::{BadDemand, Demand};

use super::limits::Limits;
#[cfg(feature = "tls")]
use super::profile::TlsProfile;
use super::{Config, Section, Srtp, Variable};

/// One thing wrong with the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    section: String,
    line: Option<i32>,
    option: Option<String>,
    reason: String,
}

impl Problem {
    /// With an option of a section, at the last line that has it.
    #[cfg(feature = "tls")]
    pub(super) fn of(section: &Section, option: &str, reason: String) -> Self {
        let mut lines = section.variables.iter().rev();
        Self {
            section: section.name.clone(),
            line: lines.find(|it| it.name == option).map(|it| it.line),
            option: Some(option.to_owned()),
            reason,
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(line) = self.line {
            write!(f, "line {line}: ")?;
        }
        write!(f, "[{}]", self.section)?;
        if let Some(option) = &self.option {
            write!(f, " {option}")?;
        }
        write!(f, ": {}", self.reason)
    }
}

/// The sections that are nobody's of PJSIP's or chan_sip's.
const OWN_SECTIONS: [&str; 4] = ["general", "media", "srtp", "tls"];

/// What a profile's section says as its type.
const TLS: &str = "tls";

#[cfg(feature = "tls")]
fn add_profile(config: &mut Config, section: &Section, problems: &mut Vec<Problem>) {
    let profile = TlsProfile::read(section, problems);
    for other in &config.profiles {
        if let Some((option, selector)) = profile.shared(other) {
            let reason = format!(
                "'{selector}' stands in [{}] too: which is meant?",
                other.name
            );
            problems.push(Problem::of(section, option, reason));
        }
    }
    config.profiles.push(profile);
}

/// Without TLS transports of ours it is nobody's.
#[cfg(not(feature = "tls"))]
fn add_profile(_: &mut Config, _: &Section, _: &mut Vec<Problem>) {}

/// Reads the whole file.
///
/// # Errors
///
/// Every problem found; there is at least one.
pub fn parse(sections: &[Section]) -> Result<Config, Vec<Problem>> {
    let mut config = Config::default();
    let mut problems = Vec::new();
    for section in sections {
        match section.name.as_str() {
            "general" => each(section, &mut problems, |variable| {
                set_general(&mut config, variable)
            }),
            "srtp" => each(section, &mut problems, |variable| {
                set_srtp(&mut config.srtp, variable)
            }),
            "media" => each(section, &mut problems, |variable| {
                set_media(&mut config, variable)
            }),
            "tls" => each(section, &mut problems, |variable| {
                set_tls(&mut config, variable)
            }),
            _ => {}
        }
    }
    // Endpoints and peers differ from [srtp], wherever that stands.
    for section in sections
        .iter()
        .filter(|section| !OWN_SECTIONS.contains(&section.name.as_str()))
    {
        let is_type = |variable: &&Variable| variable.name == "type";
        match section.variables.iter().find(is_type) {
            Some(variable) if variable.value == "endpoint" => {
                let mut srtp = config.srtp.clone();
                let mut demand = Demand::default();
                let mut binding: Option<Binding> = None;
                each(section, &mut problems, |variable| {
                    match variable.name.strip_prefix("require_") {
                        Some(word) => set_demand(&mut demand, word, variable),
                        None => match variable.name.as_str() {
                            "type" => Ok(()),
                            "certificate" => bind(&mut binding, &variable.value),
                            _ => set_srtp(&mut srtp, variable),
                        },
                    }
                });
                if let Some(binding) = binding {
                    demand = demand.and(&Demand::of_certificate(binding));
                }
                add_demand(&mut config, &section.name, &demand);
                config.endpoints.insert(section.name.clone(), srtp);
            }
            Some(variable) if variable.value == "peer" => {
                let mut srtp = config.srtp.clone();
                each(section, &mut problems, |variable| match variable.name.as_str() {
                    "type" => Ok(()),
                    "offer" | "lifetime" => Err(
                        "chan_sip does not say to whom an offer goes: it can stand in [srtp] and in sections of PJSIP endpoints".to_owned(),
                    ),
                    _ => set_srtp(&mut srtp, variable),
                });
                config.peers.insert(section.name.clone(), srtp);
            }
            Some(variable) if variable.value == TLS => {
                add_profile(&mut config, section, &mut problems);
            }
            other => problems.push(Problem {
                section: section.name.clone(),
                line: other.or(section.variables.first()).map(|variable| variable.line),
                option: other.map(|_| "type".to_owned()),
                reason: "there are [general], [media], [srtp], [tls], and sections for PJSIP endpoints, which say type = endpoint, for \
                         chan_sip's peers, which say type = peer, and for the TLS of some peers, which say type = tls"
                    .to_owned(),
            }),
        }
    }
    if config.fips {
        problems.extend(validated(&mut config, sections));
    }
    let lines = sections.iter().flat_map(|section| {
        let name = &section.name;
        section
            .variables
            .iter()
            .map(move |line| ((name.clone(), line.name.clone()), line.line))
    });
    config.set = lines.collect();
    if problems.is_empty() {
        Ok(config)
    } else {
        Err(problems)
    }
}

/// The name of OpenSSL's kernel.
const VALIDATED: &str = "system";

/// What is in force where there was no good state before this file, which has these problems: the defaults, with what it demands. A
/// section of an endpoint in which something is wrong may have demanded anything: nothing meets it.
pub fn fallback(sections: &[Section], problems: &[Problem]) -> Config {
    let mut config = Config::default();
    let is_of_endpoint = |section: &&Section| !OWN_SECTIONS.contains(&section.name.as_str());
    // What cannot be read of it is not "no".
    let is_not_no = |line: &Variable| line.name == "fips" && boolean(&line.value) != Ok(false);
    if sections
        .iter()
        .any(|section| section.name == "general" && section.variables.iter().any(is_not_no))
    {
        config.fips = true;
        config.kernels = by_openssl();
    }
    // What keeps peers out stays in force, though something else is wrong.
    for section in sections.iter().filter(|section| section.name == "tls") {
        each(section, &mut Vec::new(), |line| set_tls(&mut config, line));
    }
    for section in sections.iter().filter(is_of_endpoint) {
        let reason = problems
            .iter()
            .find(|problem| problem.section == section.name);
        let kind = section.variables.iter().find(|it| it.name == "type");
        if kind.is_some_and(|kind| kind.value == TLS) {
            add_broken(&mut config, section, reason);
            continue;
        }
        let demand = match reason {
            Some(problem) => Demand::impossible(&BadDemand::new(format!(
                "ciphertrunk.conf has an error: {problem}"
            ))),
            None => match parse(std::slice::from_ref(section)) {
                Ok(alone) => alone.demand_of(&section.name).clone(),
                Err(_) => continue,
            },
        };
        add_demand(&mut config, &section.name, &demand);
    }
    config
}

/// This is demanded of an endpoint's calls as well, for there may be several sections of its name.
fn add_demand(config: &mut Config, endpoint: &str, demand: &Demand) {
    if !demand.is_nothing() {
        let before = config.demands.remove(endpoint).unwrap_or_default();
        config
            .demands
            .insert(endpoint.to_owned(), before.and(demand));
    }
}

/// A profile as far as it can be read. The peers of one in which something is wrong get no connection: it may have demanded anything of
/// them. If it cannot be read whose it is, it may be anybody's that no other profile is for.
#[cfg(feature = "tls")]
fn add_broken(config: &mut Config, section: &Section, reason: Option<&Problem>) {
    let mut problems = Vec::new();
    let mut profile = TlsProfile::read(section, &mut problems);
    profile.broken = reason.map(ToString::to_string);
    let selects = |problem: &Problem| matches!(problem.option.as_deref(), Some("match"));
    profile.selectors.is_for_the_rest = problems.iter().any(selects);
    config.profiles.push(profile);
}

#[cfg(not(feature = "tls"))]
fn add_broken(_: &mut Config, _: &Section, _: Option<&Problem>) {}

/// Sets each line of a section, and notes those that cannot be.
pub(super) fn each(
    section: &Section,
    problems: &mut Vec<Problem>,
    mut set: impl FnMut(&Variable) -> Result<(), String>,
) {
    for variable in &section.variables {
        if let Err(reason) = set(variable) {
            problems.push(Problem {
                section: section.name.clone(),
                line: Some(variable.line),
                option: Some(variable.name.clone()),
                reason,
            });
        }
    }
}

fn set_media(config: &mut Config, variable: &Variable) -> Result<(), String> {
    match variable.name.as_str() {
        "native_bridge" => config.native_bridge = boolean(&variable.value)?,
        _ => return Err("there is no such option; there is: native_bridge".to_owned()),
    }
    Ok(())
}

fn set_general(config: &mut Config, variable: &Variable) -> Result<(), String> {
    match variable.name.as_str() {
        "kernel" => config.kernels = kernel(&variable.value)?,
        "fips" => config.fips = boolean(&variable.value)?,
        "cdr" => config.cdr = boolean(&variable.value)?,
        "cel" => config.cel = boolean(&variable.value)?,
        "keylog" => config.keylog = boolean(&variable.value)?,
        _ => {
            return Err(
                "there is no such option; there are: kernel, fips, cdr, cel, keylog".to_owned(),
            );
        }
    }
    Ok(())
}

fn set_srtp(srtp: &mut Srtp, variable: &Variable) -> Result<(), String> {
    match variable.name.as_str() {
        "offer" => srtp.offer = suites(&variable.value)?,
        "accept" => srtp.accept = suites(&variable.value)?,
        "mki" => {
            srtp.mki = if boolean(&variable.value)? {
                MkiRule::Any
            } else {
                MkiRule::One
            }
        }
        "allow" => srtp.allow = session_parameters(&variable.value)?,
        "lifetime" => srtp.lifetime = lifetime(&variable.value)?,
        "strict_lifetime" => srtp.strict_lifetime = boolean(&variable.value)?,
        _ => {
            return Err("there is no such option; there are: offer, accept, mki, allow, lifetime, strict_lifetime, and for an endpoint certificate, require_signaling, require_media, require_verified".to_owned());
        }
    }
    Ok(())
}

fn set_demand(demand: &mut Demand, word: &str, variable: &Variable) -> Result<(), String> {
    if word == "both_legs" {
        return Err(
            "an endpoint's demands are of its own calls; both_legs is for the dialplan".to_owned(),
        );
    }
    let more = Demand::parse(word, &variable.value).map_err(|reason| reason.to_string())?;
    demand.add(&more).map_err(|reason| reason.to_string())
}

/// Lines add up: any one of the certificates will do.
fn bind(binding: &mut Option<Binding>, value: &str) -> Result<(), String> {
    let more = Binding::parse(value).map_err(|reason| reason.to_string())?;
    match binding {
        Some(binding) => binding.add(more).map_err(|reason| reason.to_string()),
        None => {
            *binding = Some(more);
            Ok(())
        }
    }
}

/// A number of packets, or `2^n`. Empty is none.
fn lifetime(value: &str) -> Result<Option<u64>, String> {
    if value.is_empty() {
        return Ok(None);
    }
    let packets = match value.strip_prefix("2^") {
        Some(power) => power
            .parse()
            .ok()
            .and_then(|power| 1_u64.checked_shl(power)),
        None => value.parse().ok(),
    };
    let packets = packets.filter(|packets| (MIN_LIFETIME..=MAX_LIFETIME).contains(packets));
    packets
        .map(Some)
        .ok_or_else(|| format!("'{value}' is not a number of packets from 2^20 to 2^48"))
}

fn session_parameters(value: &str) -> Result<SessionParams, String> {
    let mut params = SessionParams::default();
    for name in names(value) {
        match name.as_str() {
            "UNENCRYPTED_SRTP" => params.unencrypted_srtp = true,
            "UNENCRYPTED_SRTCP" => params.unencrypted_srtcp = true,
            "UNAUTHENTICATED_SRTP" => params.unauthenticated_srtp = true,
            _ => {
                return Err(format!(
                    "'{name}' cannot be allowed; there are: UNENCRYPTED_SRTP, UNENCRYPTED_SRTCP, UNAUTHENTICATED_SRTP"
                ));
            }
        }
    }
    Ok(params)
}

fn set_tls(config: &mut Config, variable: &Variable) -> Result<(), String> {
    if let Some(set) = config.limits.set(variable) {
        return set;
    }
    match variable.name.as_str() {
        "leave_alone" => config.leave_alone = names(&variable.value),
        "io_threads" => config.io_threads = number(&variable.value, 1, 64)?,
        "handshake_timeout" => {
            config.handshake_timeout = Duration::from_secs(number(&variable.value, 1, 300)? as u64)
        }
        "key_log" => {
            config.key_log = (!variable.value.is_empty()).then(|| PathBuf::from(&variable.value))
        }
        "ticket_keys" => {
            config.ticket_keys =
                (!variable.value.is_empty()).then(|| PathBuf::from(&variable.value))
        }
        "watch_files" => config.watch_files = boolean(&variable.value)?,
        _ => {
            return Err(format!(
                "there is no such option; there are: leave_alone, io_threads, handshake_timeout, key_log, ticket_keys, watch_files, {}",
                Limits::OPTIONS
            ));
        }
    }
    Ok(())
}

pub(super) fn names(value: &str) -> Vec<String> {
    value
        .split(',')
        .map(str::trim)
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect()
}

pub(super) fn number(value: &str, least: usize, most: usize) -> Result<usize, String> {
    let number = value
        .parse()
        .ok()
        .filter(|number| (least..=most).contains(number));
    number.ok_or_else(|| format!("'{value}' is not a number from {least} to {most}"))
}

fn kernel(value: &str) -> Result<&'static Kernels, String> {
    if value == "auto" {
        return Ok(packet_crypto::kernels());
    }
    Kernels::by_name(value).ok_or_else(|| {
        let usable: Vec<&str> = Kernels::usable().map(Kernels::name).collect();
        format!(
            "'{value}' is not a kernel that this machine can run; there are: auto, {}",
            usable.join(", ")
        )
    })
}

/// The kernel that is OpenSSL's: every machine has it.
fn by_openssl() -> &'static Kernels {
    Kernels::by_name(VALIDATED).expect("the feature `system` of packet-crypto is on")
}

/// The kernels of `fips = yes`. A line that asks for others is a problem.
fn validated(config: &mut Config, sections: &[Section]) -> Option<Problem> {
    config.kernels = by_openssl();
    let mut general = sections
        .iter()
        .filter(|section| section.name == "general")
        .flat_map(|section| &section.variables);
    let line = general
        .find(|line| line.name == "kernel" && !matches!(line.value.as_str(), "auto" | VALIDATED))?;
    Some(Problem {
        section: "general".to_owned(),
        line: Some(line.line),
        option: Some("kernel".to_owned()),
        reason: format!(
            "fips = yes has packets encrypted by the kernel {VALIDATED} alone, and not by '{}'",
            line.value
        ),
    })
}

fn suites(value: &str) -> Result<Vec<Suite>, String> {
    let mut suites = Vec::new();
    for name in value
        .split(',')
        .map(str::trim)
        .filter(|name| !name.is_empty())
    {
        let suite = Suite::from_name(name).ok_or_else(|| {
            let known: Vec<&str> = Suite::ALL.iter().map(|suite| suite.name()).collect();
            format!("'{name}' is not a suite; there are: {}", known.join(", "))
        })?;
        if suites.contains(&suite) {
            return Err(format!("'{name}' stands there twice"));
        }
        suites.push(suite);
    }
    if suites.is_empty() {
        return Err("no suite is named; without one no call could be encrypted".to_owned());
    }
    Ok(suites)
}

/// As `ast_true` and `ast_false`, but anything else is a mistake and not "no".
pub(super) fn boolean(value: &str) -> Result<bool, String> {
    match value.to_ascii_lowercase().as_str() {
        "yes" | "true" | "y" | "t" | "1" | "on" => Ok(true),
        "no" | "false" | "n" | "f" | "0" | "off" => Ok(false),
        _ => Err(format!("'{value}' is neither yes nor no")),
    }
}
