//! The profiles of one transport beside its own: which of them a connection gets.

use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, LazyLock};

use openssl::error::ErrorStack;
use openssl::ex_data::Index;
use openssl::ssl::{ClientHelloResponse, Ssl, SslAlert, SslContextBuilder, SslRef};

use crate::ossl_ext::asked_server_name;
use crate::profile::Profile;
use crate::select::{Selectors, closest};
use crate::verify::{PeerName, Verifier};

/// A profile for some of a transport's peers.
#[derive(Debug, Clone)]
pub struct Named {
    /// Its section in `ciphertrunk.conf`.
    pub name: Arc<str>,
    /// Which peers get it.
    pub selectors: Selectors,
    /// Why it could not be loaded, if it could not: its peers get no other.
    pub profile: Result<Arc<Profile>, NotLoaded>,
}

/// A profile was chosen that could not be loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotLoaded(pub String);

impl fmt::Display for NotLoaded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Those of one transport.
pub(crate) type All = Arc<Vec<Named>>;

/// For a connection to this name.
pub(crate) fn outgoing<'a>(all: &'a [Named], name: &PeerName) -> Option<&'a Named> {
    closest(all, |it| it.selectors.outgoing(name))
}

/// For a connection from this address.
pub(crate) fn incoming(all: &[Named], address: IpAddr) -> Option<&Named> {
    closest(all, |it| it.selectors.incoming(address))
}

fn asked<'a>(all: &'a [Named], server_name: &str) -> Option<&'a Named> {
    closest(all, |it| it.selectors.asked(server_name))
}

/// Where a connection that a client has begun keeps its verifier. `None`: OpenSSL has no room for it, and no server name chooses
/// anything.
static VERIFIER: LazyLock<Option<Index<Ssl, Arc<Verifier>>>> =
    LazyLock::new(|| Ssl::new_ex_index().ok());

pub(crate) fn set_verifier_of(ssl: &mut Ssl, verifier: Arc<Verifier>) {
    if let Some(index) = *VERIFIER {
        ssl.set_ex_data(index, verifier);
    }
}

/// Lets the server name in a ClientHello choose among the profiles. It is looked at before anything is chosen, the version included.
pub(crate) fn choose_by_server_name(context: &mut SslContextBuilder, all: All) {
    context.set_client_hello_callback(move |ssl, alert| on_client_hello(&all, ssl, alert));
}

fn on_client_hello(
    all: &[Named],
    ssl: &mut SslRef,
    alert: &mut SslAlert,
) -> Result<ClientHelloResponse, ErrorStack> {
    let named = asked_server_name(ssl).and_then(|name| asked(all, &name));
    let verifier = VERIFIER.and_then(|index| ssl.ex_data(index)).cloned();
    let Some(named) = named else {
        return Ok(ClientHelloResponse::SUCCESS);
    };
    let Some(verifier) = verifier else {
        *alert = SslAlert::INTERNAL_ERROR;
        return Err(ErrorStack::get());
    };
    let Ok(profile) = &named.profile else {
        verifier.set_unusable();
        *alert = SslAlert::UNRECOGNIZED_NAME;
        return Err(ErrorStack::get());
    };
    profile.take_over(ssl, &verifier)?;
    Ok(ClientHelloResponse::SUCCESS)
}
