//! From sections and lines to a [`Config`]. The whole file is read, so that all problems are told at once.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use packet_crypto::Kernels;
use srtp::Suite;

use crate::ffi::config::{Section, Variable};

use super::Config;

/// One thing wrong with the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    section: String,
    line: Option<i32>,
    option: Option<String>,
    reason: String,
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

/// Reads the whole file.
///
/// # Errors
///
/// Every problem found; there is at least one.
pub fn parse(sections: &[Section]) -> Result<Config, Vec<Problem>> {
    let mut config = Config::default();
    let mut problems = Vec::new();
    for section in sections {
        let set: fn(&mut Config, &Variable) -> Result<(), String> = match section.name.as_str() {
            "general" => set_general,
            "srtp" => set_srtp,
            "tls" => set_tls,
            _ => {
                problems.push(Problem {
                    section: section.name.clone(),
                    line: section.variables.first().map(|variable| variable.line),
                    option: None,
                    reason: "there is no such section; there are [general], [srtp] and [tls]"
                        .to_owned(),
                });
                continue;
            }
        };
        for variable in &section.variables {
            if let Err(reason) = set(&mut config, variable) {
                problems.push(Problem {
                    section: section.name.clone(),
                    line: Some(variable.line),
                    option: Some(variable.name.clone()),
                    reason,
                });
            }
        }
    }
    if problems.is_empty() {
        Ok(config)
    } else {
        Err(problems)
    }
}

fn set_general(config: &mut Config, variable: &Variable) -> Result<(), String> {
    match variable.name.as_str() {
        "kernel" => config.kernels = kernel(&variable.value)?,
        _ => return Err("there is no such option; there is: kernel".to_owned()),
    }
    Ok(())
}

fn set_srtp(config: &mut Config, variable: &Variable) -> Result<(), String> {
    match variable.name.as_str() {
        "offer" => config.offer = suites(&variable.value)?,
        "accept" => config.accept = suites(&variable.value)?,
        "mki" => config.mki = boolean(&variable.value)?,
        _ => return Err("there is no such option; there are: offer, accept, mki".to_owned()),
    }
    Ok(())
}

fn set_tls(config: &mut Config, variable: &Variable) -> Result<(), String> {
    match variable.name.as_str() {
        "leave_alone" => config.leave_alone = names(&variable.value),
        "io_threads" => config.io_threads = number(&variable.value, 1, 64)?,
        "handshake_timeout" => {
            config.handshake_timeout = Duration::from_secs(number(&variable.value, 1, 300)? as u64)
        }
        "key_log" => {
            config.key_log = (!variable.value.is_empty()).then(|| PathBuf::from(&variable.value))
        }
        _ => {
            return Err("there is no such option; there are: leave_alone, io_threads, handshake_timeout, key_log".to_owned());
        }
    }
    Ok(())
}

fn names(value: &str) -> Vec<String> {
    value
        .split(',')
        .map(str::trim)
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect()
}

fn number(value: &str, least: usize, most: usize) -> Result<usize, String> {
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
fn boolean(value: &str) -> Result<bool, String> {
    match value.to_ascii_lowercase().as_str() {
        "yes" | "true" | "y" | "t" | "1" | "on" => Ok(true),
        "no" | "false" | "n" | "f" | "0" | "off" => Ok(false),
        _ => Err(format!("'{value}' is neither yes nor no")),
    }
}
