//! Asterisk's configuration files.

use std::ptr;

use super::{c_text, sys, text};

/// One `name = value` line.
#[derive(Debug, Clone)]
pub struct Variable {
    /// The option's name as written.
    pub name: String,
    /// Its value, trimmed by Asterisk.
    pub value: String,
    /// The line in the file, from 1.
    pub line: i32,
}

/// One `[section]`.
#[derive(Debug, Clone)]
pub struct Section {
    /// The name between the brackets.
    pub name: String,
    /// Its lines, in order.
    pub variables: Vec<Variable>,
}

/// Why a file was not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unread {
    /// There is no such file.
    Missing,
    /// Asterisk's parser refused it, and has logged why.
    Invalid,
}

const STATUS_FILEUNCHANGED: *mut sys::ast_config = ptr::without_provenance_mut(usize::MAX);
const STATUS_FILEINVALID: *mut sys::ast_config = ptr::without_provenance_mut(usize::MAX - 1);

/// Reads `file` from Asterisk's configuration directory.
///
/// # Errors
///
/// [`Unread`]: there is no such file, or it is not a configuration file.
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
        return Err(Unread::Missing);
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
                // SAFETY: as above.
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
