//! What a profile is made of: its options, and what is in the files that they name.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use openssl::sha::{Sha256, sha256};

use crate::profile::ProfileConfig;

/// A digest of a profile's options and of what their files hold. Two that are equal make the same profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inputs([u8; 32]);

impl Inputs {
    /// Reads the files. There are several where some of a transport's peers have options of their own. `and` is what else makes a profile
    /// another one for the caller.
    #[must_use]
    pub fn of(configs: &[ProfileConfig], and: &[u8]) -> Inputs {
        let mut digest = Sha256::new();
        put(&mut digest, and);
        for config in configs {
            put(&mut digest, format!("{config:?}").as_bytes());
            let password = config.password.as_ref().map(|it| it.as_bytes());
            put(&mut digest, password.unwrap_or_default());
            for file in config.files() {
                put_file(&mut digest, &file, Folder::ByTime);
            }
        }
        Inputs(digest.finish())
    }
}

impl ProfileConfig {
    /// The files and directories that it names.
    #[must_use]
    pub fn files(&self) -> Vec<PathBuf> {
        let pairs = self
            .more_certificates
            .iter()
            .chain(&self.client_certificate);
        let pairs = pairs.flat_map(|pair| [Some(&pair.cert_file), pair.priv_key_file.as_ref()]);
        let named = [
            &self.cert_file,
            &self.priv_key_file,
            &self.ca_list_file,
            &self.ca_list_path,
            &self.crl_file,
            &self.ticket_keys,
        ];
        let named = named.into_iter().map(Option::as_ref);
        named.chain(pairs).flatten().cloned().collect()
    }

    /// What decides which clients are trusted and how they are spoken with, as a digest: a session that was begun under another is not to
    /// be resumed. It is the same on nodes that have a transport of the same name with the same options and CAs, wherever their files are.
    pub(crate) fn trust(&self) -> [u8; 32] {
        let words = ProfileConfig {
            cert_file: None,
            priv_key_file: None,
            more_certificates: Vec::new(),
            client_certificate: None,
            password: None,
            ca_list_file: None,
            ca_list_path: None,
            crl_file: None,
            ticket_keys: None,
            key_log: None,
            ..self.clone()
        };
        let mut digest = Sha256::new();
        put(&mut digest, format!("{words:?}").as_bytes());
        for file in [&self.ca_list_file, &self.ca_list_path, &self.crl_file] {
            match file {
                Some(file) => put_file(&mut digest, file, Folder::ByContent),
                None => put(&mut digest, b""),
            }
        }
        digest.finish()
    }
}

/// Puts in octets, and how many they are.
fn put(digest: &mut Sha256, octets: &[u8]) {
    digest.update(&octets.len().to_be_bytes());
    digest.update(octets);
}

/// How the files of a directory are compared.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Folder {
    ByTime,
    /// Two machines have the same.
    ByContent,
}

/// Of a file what is in it. Of a directory what is there: OpenSSL reads it during handshakes.
fn put_file(digest: &mut Sha256, path: &Path, folder: Folder) {
    let Ok(entries) = fs::read_dir(path) else {
        let content = fs::read(path).map(zeroize::Zeroizing::new);
        return match content {
            Ok(content) => put(digest, &content),
            Err(error) => put(digest, error.to_string().as_bytes()),
        };
    };
    let mut lines: Vec<String> = entries
        .flatten()
        .map(|entry| {
            if folder == Folder::ByContent {
                let content = fs::read(entry.path()).unwrap_or_default();
                return format!("{:?} {:?}", entry.file_name(), sha256(&content));
            }
            // Of what a link points to: the file's own times.
            let is = fs::metadata(entry.path()).map(|it| {
                format!(
                    "{} {} {}.{}",
                    it.ino(),
                    it.len(),
                    it.mtime(),
                    it.mtime_nsec()
                )
            });
            format!("{:?} {is:?}", entry.file_name())
        })
        .collect();
    lines.sort();
    put(digest, lines.join("\n").as_bytes());
}
