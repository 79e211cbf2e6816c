//! What is known of the certificates that we present.

use std::path::PathBuf;
use std::sync::Arc;

use openssl::x509::X509;

use crate::cert_info::CertInfo;

/// One certificate of `cert_file`: ours, or one of its chain.
#[derive(Debug, Clone)]
pub struct OwnCertificate {
    /// The file.
    pub file: Arc<PathBuf>,
    /// Which one of the file, from 1, which is ours.
    pub position: usize,
    /// How many the file has.
    pub of: usize,
    /// What it says.
    pub info: Arc<CertInfo>,
}

/// All of a file, in order. One of the chain that cannot be read is left out: it is presented all the same, as it is.
pub(crate) fn read(file: Option<&PathBuf>, chain: &[X509]) -> Vec<OwnCertificate> {
    let Some(file) = file.cloned().map(Arc::new) else {
        return Vec::new();
    };
    let numbered = (1..).zip(chain);
    let read = numbered.filter_map(|(position, certificate)| {
        Some(OwnCertificate {
            file: Arc::clone(&file),
            position,
            of: chain.len(),
            info: Arc::new(CertInfo::of(certificate).ok()?),
        })
    });
    read.collect()
}
