//! `CiphertrunkStatus`.

use std::ffi::CStr;

use crate::ffi::manager::{Action, Fields, Privilege, Request};
use crate::observe::status;

/// `CiphertrunkStatus`: as `ciphertrunk show status`.
pub enum Status {}

impl Action for Status {
    const NAME: &'static CStr = c"CiphertrunkStatus";
    const PRIVILEGE: Privilege = Privilege::SystemOrReporting;

    fn run(request: &Request<'_>) {
        let all = status::gather();
        let fields = all.iter().filter(|said| !said.key.is_empty());
        let fields = fields.fold(Fields::new(), |fields, said| {
            fields.with(said.key, &said.value)
        });
        request.answer(&fields);
    }
}
