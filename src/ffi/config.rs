//! Asterisk's configuration files.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::ptr;

use policy::config::{Section, Variable};

use super::{c_text, host, sys, text};

/// Why a file was not read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unread {
    /// There is no such file.
    Missing,
    /// There is one, and Asterisk may not read it: why, whose it is, and who Asterisk is.
    Unreadable(String),
    /// Asterisk's parser refused it, and has logged why.
    Invalid,
}

const STATUS_FILEUNCHANGED: *mut sys::ast_config = ptr::without_provenance_mut(usize::MAX);
const STATUS_FILEINVALID: *mut sys::ast_config = ptr::without_provenance_mut(usize::MAX - 1);

/// Reads `file` from Asterisk's configuration directory.
///
/// # Errors
///
/// [`Unread`]: there is no such file, it may not be read, or it is not a configuration file.
pub fn load(file: &str) -> Result<Vec<Section>, Unread> {
    let name = c_text(file);
    // SAFETY: the strings live during the call; no flags, so "unchanged" is not an answer.
    let config = unsafe {
        sys::ast_config_load2(
            name.as_ptr(),
            c"res_ciphertrunk".as_ptr(),
            sys::ast_flags { flags: 0 },
        )
    };
    if config.is_null() {
        // The same answer for a file that is not there and for one that may not be read.
        return Err(why_not(&host::config_dir().join(file)));
    }
    if config == STATUS_FILEINVALID || config == STATUS_FILEUNCHANGED {
        return Err(Unread::Invalid);
    }
    let mut sections = Vec::new();
    // SAFETY: `config` is a live configuration of ours alone, and NULL starts the walk.
    let mut category = unsafe { sys::ast_category_browse(config, ptr::null()) };
    while !category.is_null() {
        let mut section = Section {
            // SAFETY: a name inside `config`, which lives until it is destroyed below.
            name: unsafe { text(category) }.unwrap_or_default(),
            variables: Vec::new(),
        };
        // SAFETY: both belong to `config`.
        let mut variable = unsafe { sys::ast_variable_browse(config, category) };
        // SAFETY: a list inside `config`; each node is read before its successor is taken.
        while let Some(node) = unsafe { variable.as_ref() } {
            section.variables.push(Variable {
                // SAFETY: strings inside the node.
                name: unsafe { text(node.name) }.unwrap_or_default(),
                // SAFETY: a string inside the node, which lives until `config` is destroyed below.
                value: unsafe { text(node.value) }.unwrap_or_default(),
                line: node.lineno,
            });
            variable = node.next;
        }
        sections.push(section);
        // SAFETY: continues the walk from a name of `config`.
        category = unsafe { sys::ast_category_browse(config, category) };
    }
    // SAFETY: ours, and everything was copied out of it.
    unsafe { sys::ast_config_destroy(config) };
    Ok(sections)
}

/// Why Asterisk found nothing to read at `path`.
fn why_not(path: &Path) -> Unread {
    let error = match File::open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Unread::Missing,
        Err(error) => error.to_string(),
        Ok(_) => "Asterisk read nothing".to_owned(),
    };
    let whose = fs::metadata(path).map_or_else(
        |error| error.to_string(),
        |file| {
            format!(
                "it belongs to user {}, group {}, and has mode {:04o}",
                file.uid(),
                file.gid(),
                file.mode() & 0o7777
            )
        },
    );
    Unread::Unreadable(format!(
        "{}: {error} ({whose}; Asterisk runs as {})",
        path.display(),
        host::user()
    ))
}
