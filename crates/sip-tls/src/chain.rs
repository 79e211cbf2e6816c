//! What is known of the certificates that we present.

use std::path::PathBuf;
use std::sync::Arc;

use crate::cert_info::CertInfo;
use crate::own::Own;

/// One certificate of a file that we present: ours, or one of its chain.
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
pub(crate) fn of(own: &Own) -> impl Iterator<Item = OwnCertificate> {
    let (file, of) = (Arc::new(own.file.clone()), own.chain.len());
    let numbered = (1..).zip(&own.chain);
    numbered.filter_map(move |(position, certificate)| {
        Some(OwnCertificate {
            file: Arc::clone(&file),
            position,
            of,
            info: Arc::new(CertInfo::of(certificate).ok()?),
        })
    })
}
