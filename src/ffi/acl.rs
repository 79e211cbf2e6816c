//! Named ACLs of `acl.conf` (and of its realtime family).

use std::mem::MaybeUninit;
use std::net::IpAddr;
use std::ptr::NonNull;

use super::{c_text, sys};

/// The rules of a named ACL, as they were when it was looked for.
#[derive(Debug)]
pub struct Acl(NonNull<sys::ast_ha>);

// SAFETY: a list of plain structures that nobody else has a pointer to; Asterisk's functions read it, and it is freed once, on any
// thread.
unsafe impl Send for Acl {}
// SAFETY: as for Send: it is not changed after it was made.
unsafe impl Sync for Acl {}

impl Acl {
    /// Looks for it; a realtime one is asked of its database. `None`: there is none, or it has no rule.
    pub fn find(name: &str) -> Option<Self> {
        let name = c_text(name);
        // SAFETY: the name is terminated and read during the call; no flag is asked for. What comes back is a copy that is ours.
        let list = unsafe {
            sys::ast_named_acl_find(name.as_ptr(), std::ptr::null_mut(), std::ptr::null_mut())
        };
        NonNull::new(list).map(Self)
    }

    /// Whether its rules permit the address.
    pub fn permits(&self, address: IpAddr) -> bool {
        let text = c_text(&address.to_canonical().to_string());
        let mut parsed = MaybeUninit::<sys::ast_sockaddr>::zeroed();
        // SAFETY: fills `parsed`, for which all zeros are a valid address of no family too; the text is terminated.
        let is_address = unsafe {
            sys::ast_sockaddr_parse(
                parsed.as_mut_ptr(),
                text.as_ptr(),
                sys::PARSE_PORT_FORBID.cast_signed(),
            )
        };
        if is_address == 0 {
            return false;
        }
        // SAFETY: the list is whole and ours, and the address was filled in above; both are only read.
        let sense = unsafe { sys::ast_apply_ha(self.0.as_ptr(), parsed.as_ptr()) };
        sense == sys::AST_SENSE_ALLOW
    }
}

impl Drop for Acl {
    fn drop(&mut self) {
        // SAFETY: the list is whole, ours, and not used after this.
        unsafe { sys::ast_free_ha(self.0.as_ptr()) }
    }
}
