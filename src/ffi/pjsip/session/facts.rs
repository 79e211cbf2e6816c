//! What a session says.
//!
//! Its structures are read here. Their fields lie where the headers say in every release of a branch (bit fields that were
//! added share a word); `ast_sip_endpoint` is the exception, and is asked through sorcery.

use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::net::{IpAddr, SocketAddr};
use std::ptr::{self, NonNull};

use policy::demand::DescribedMedia;
use srtp::Suite;
use srtp::sdes::MediaLine;
use srtp::sdes::negotiation::Exchange;
use zeroize::Zeroizing;

use crate::ffi::call::{Call, Came, SessionKey};
use crate::ffi::channel::Channel;
use crate::ffi::pjsip::address::to_socket_addr;
use crate::ffi::pjsip::{Status, sorcery, strings};
use crate::ffi::rtp::MediaStream;
use crate::ffi::{sys, text};

/// A live session, in its serializer.
///
/// # Invariants
///
/// Alive for `'a`, during which this thread runs a task of its serializer.
#[derive(Debug)]
pub struct Session<'a> {
    raw: NonNull<sys::ast_sip_session>,
    _alive: PhantomData<&'a sys::ast_sip_session>,
}

impl Session<'_> {
    /// # Safety
    ///
    /// `session` is NULL, or lives as long as the value, which this thread uses in a task of the session's serializer.
    pub(super) unsafe fn from_raw(session: *mut sys::ast_sip_session) -> Option<Self> {
        NonNull::new(session).map(|raw| Self {
            raw,
            _alive: PhantomData,
        })
    }

    /// The raw pointer, for calls in this folder.
    pub(super) fn as_ptr(&self) -> *mut sys::ast_sip_session {
        self.raw.as_ptr()
    }

    /// Names it.
    pub fn key(&self) -> SessionKey {
        SessionKey(self.raw.as_ptr().addr())
    }

    /// What is known of its call.
    pub fn facts(&self) -> Call {
        self.call(None)
    }

    /// Whether this side began the call.
    pub fn is_outgoing(&self) -> bool {
        // SAFETY: alive; its INVITE session, if there is one, changes only in the serializer, and the role never.
        unsafe {
            let invite = (*self.raw.as_ptr()).inv_session;
            !invite.is_null() && (*invite).role == sys::PJSIP_ROLE_UAC
        }
    }

    /// Whether a stream of what is agreed is T.38's.
    pub fn has_t38(&self) -> bool {
        // SAFETY: alive, and its media change only in its serializer, which runs this task; the vector has `current` elements.
        unsafe {
            let state = (*self.raw.as_ptr()).active_media_state;
            if state.is_null() {
                return false;
            }
            let sessions = &raw const (*state).sessions;
            (0..(*sessions).current).any(|i| {
                let media = *(*sessions).elems.add(i);
                !media.is_null() && !(*media).udptl.is_null()
            })
        }
    }

    /// The streams of what is agreed.
    pub fn streams(&self) -> Vec<MediaStream> {
        // SAFETY: alive, in its serializer.
        unsafe { super::channel::in_force(self.raw.as_ptr()) }
    }

    /// Its media lines: of the state that is being negotiated first, then of the one in force.
    pub(super) fn media(&self) -> impl Iterator<Item = *const sys::ast_sip_session_media> {
        // SAFETY: alive, and its media states change only in its serializer, which runs this task.
        let states = unsafe {
            let session = self.raw.as_ptr();
            [
                (*session).pending_media_state,
                (*session).active_media_state,
            ]
        };
        states
            .into_iter()
            .filter(|state| !state.is_null())
            .flat_map(|state| {
                // SAFETY: a media state of the session; its vector has `current` elements, and does not change now.
                unsafe {
                    let sessions = &raw const (*state).sessions;
                    (0..(*sessions).current).map(move |i| (*(*sessions).elems.add(i)).cast_const())
                }
            })
            .filter(|media| !media.is_null())
    }

    /// With what is known of one media line.
    pub(super) fn call(&self, media: Option<*const sys::ast_sip_session_media>) -> Call {
        let session = self.raw.as_ptr();
        let line = media.map(|media| {
            // SAFETY: a media line of this session (`media`), which does not change in this task; the kind is a static text.
            unsafe {
                let kind = text(sys::ast_codec_media_type2str((*media).type_)).unwrap_or_default();
                (kind, (*media).stream_num)
            }
        });
        let media_address = line
            .as_ref()
            .and_then(|(_, number)| usize::try_from(*number).ok())
            .and_then(|number| self.media_address(number));
        // SAFETY: alive; the endpoint is a sorcery object that the session holds a reference to.
        let endpoint = unsafe {
            let endpoint = (*session).endpoint;
            match endpoint.is_null() {
                true => None,
                false => text(sys::ast_sorcery_object_get_id(endpoint.cast())),
            }
        };
        let (call_id, peer, came) = self.dialog();
        Call {
            key: self.key(),
            endpoint: endpoint.unwrap_or_default(),
            channel: self.channel().map(Channel::unique_id).unwrap_or_default(),
            call_id,
            peer,
            came,
            stream: line
                .as_ref()
                .and_then(|(_, number)| usize::try_from(*number).ok()),
            media: line.map_or_else(String::new, |(kind, number)| format!("{kind} {number}")),
            media_address,
            exchange: self.exchange(),
        }
    }

    /// The tag of this side in its dialog, which no other dialog of this side's has.
    pub fn own_tag(&self) -> String {
        // SAFETY: alive; its INVITE session's dialog has its tag from the beginning, and the text lies in the dialog's pool.
        unsafe {
            let invite = (*self.raw.as_ptr()).inv_session;
            if invite.is_null() || (*invite).dlg.is_null() {
                return String::new();
            }
            let local = (*(*invite).dlg).local.info;
            match local.is_null() {
                true => String::new(),
                false => strings::to_text((*local).tag),
            }
        }
    }

    /// The Call-ID, the peer's URI and address, and how its INVITE came.
    fn dialog(&self) -> (String, String, Option<Came>) {
        // SAFETY: alive; its INVITE session, that one's dialog and transaction change only in the serializer. The texts lie
        // in the dialog's pool.
        unsafe {
            let invite = (*self.raw.as_ptr()).inv_session;
            if invite.is_null() || (*invite).dlg.is_null() {
                return Default::default();
            }
            let dialog = (*invite).dlg;
            let call_id = match (*dialog).call_id.is_null() {
                true => String::new(),
                false => strings::to_text((*(*dialog).call_id).id),
            };
            let mut peer = strings::to_text((*dialog).remote.info_str);
            let mut came = None;
            let transaction = (*invite).invite_tsx;
            if !transaction.is_null()
                && (*transaction).addr_len != 0
                && let Some(address) = to_socket_addr(&(*transaction).addr)
            {
                peer.push_str(&format!(" at {address}"));
                // A transaction holds a count of its transport, and gives it back under its lock when the connection ends, on a thread of
                // pjsip's. Who has the lock now may be about that: then it is not told.
                let lock = (*transaction).grp_lock;
                if (*transaction).role == sys::PJSIP_ROLE_UAS
                    && sys::pj_grp_lock_tryacquire(lock) == 0
                {
                    let transport = (*transaction).transport;
                    if !transport.is_null() {
                        came = Some(Came {
                            remote: address,
                            local: to_socket_addr(&(*transport).local_addr),
                            over: text((*transport).type_name).unwrap_or_default(),
                        });
                    }
                    sys::pj_grp_lock_release(lock);
                }
            }
            (call_id, peer, came)
        }
    }

    /// The negotiator of offer and answer, once there is one, and its state.
    fn negotiator(&self) -> Option<(*mut sys::pjmedia_sdp_neg, sys::pjmedia_sdp_neg_state)> {
        // SAFETY: alive; the negotiator lies in the dialog's pool and changes only in the serializer.
        unsafe {
            let invite = (*self.raw.as_ptr()).inv_session;
            if invite.is_null() || (*invite).neg.is_null() {
                return None;
            }
            let negotiator = (*invite).neg;
            Some((negotiator, sys::pjmedia_sdp_neg_get_state(negotiator)))
        }
    }

    /// Where offer and answer are. A refused offer leaves the state that was there before.
    fn exchange(&self) -> Exchange {
        match self.negotiator() {
            Some((
                _,
                sys::PJMEDIA_SDP_NEG_STATE_REMOTE_OFFER | sys::PJMEDIA_SDP_NEG_STATE_WAIT_NEGO,
            )) => Exchange::TheirOffer,
            Some((negotiator, sys::PJMEDIA_SDP_NEG_STATE_DONE)) => {
                // SAFETY: the session's negotiator, in its serializer.
                match unsafe { sys::pjmedia_sdp_neg_was_answer_remote(negotiator) } {
                    0 => Exchange::OurAnswer,
                    _ => Exchange::TheirAnswer,
                }
            }
            _ => Exchange::OurOffer,
        }
    }

    /// The peer's latest description: what is being negotiated, or what was agreed. `None` in between.
    fn remote_description(&self) -> Option<*const sys::pjmedia_sdp_session> {
        let (negotiator, state) = self.negotiator()?;
        let mut description = ptr::null();
        // SAFETY: the session's negotiator, in its serializer; in these states it has the description asked for.
        let status = unsafe {
            match state {
                sys::PJMEDIA_SDP_NEG_STATE_REMOTE_OFFER | sys::PJMEDIA_SDP_NEG_STATE_WAIT_NEGO => {
                    sys::pjmedia_sdp_neg_get_neg_remote(negotiator, &raw mut description)
                }
                sys::PJMEDIA_SDP_NEG_STATE_DONE => {
                    sys::pjmedia_sdp_neg_get_active_remote(negotiator, &raw mut description)
                }
                _ => return None,
            }
        };
        (status == Status::SUCCESS && !description.is_null()).then_some(description)
    }

    /// Where the peer wants the media of line `number`.
    fn media_address(&self, number: usize) -> Option<SocketAddr> {
        let description = self.remote_description()?;
        // SAFETY: a description in the dialog's pool, which does not change in this task; connection lines may be missing.
        let (host, port) = unsafe {
            let media = *media_of(&*description).get(number)?;
            let own = (*media).conn;
            let connection = if own.is_null() {
                (*description).conn
            } else {
                own
            };
            let host = strings::to_text(connection.as_ref()?.addr);
            (host, (*media).desc.port)
        };
        let host: IpAddr = host.parse().ok()?;
        (!host.is_unspecified() && port != 0).then(|| SocketAddr::new(host, port))
    }

    /// The media lines of the peer's answer to our latest description. None while it has not answered.
    pub fn answer(&self) -> Vec<MediaLine> {
        if self.exchange() != Exchange::TheirAnswer {
            return Vec::new();
        }
        let (Some(remote), Some((negotiator, _))) = (self.remote_description(), self.negotiator())
        else {
            return Vec::new();
        };
        let mut local = ptr::null();
        // SAFETY: the session's negotiator, in its serializer; with an answer it has both descriptions.
        let status = unsafe { sys::pjmedia_sdp_neg_get_active_local(negotiator, &raw mut local) };
        if status != Status::SUCCESS || local.is_null() {
            return Vec::new();
        }
        // SAFETY: descriptions in the dialog's pool, which do not change in this task.
        let (remote, local) = unsafe { (media_of(&*remote), media_of(&*local)) };
        let lines = remote.iter().zip(local).enumerate();
        lines
            .map(|(number, (theirs, ours))| {
                // SAFETY: media lines of these descriptions, whose texts lie in the same pool.
                unsafe {
                    MediaLine {
                        kind: strings::to_text((**theirs).desc.media),
                        port: (**theirs).desc.port,
                        transport: strings::to_text((**theirs).desc.transport),
                        offered: strings::to_text((**ours).desc.transport),
                        is_offered_sdes: (**ours).desc.port != 0 && !crypto_of(&**ours).is_empty(),
                        crypto: crypto_of(&**theirs),
                        is_bundled: self.is_bundled(number),
                    }
                }
            })
            .collect()
    }

    /// The media lines of the peer's offer, while it is not answered.
    pub fn offer(&self) -> Vec<DescribedMedia> {
        if self.exchange() != Exchange::TheirOffer {
            return Vec::new();
        }
        let Some(description) = self.remote_description() else {
            return Vec::new();
        };
        // SAFETY: a description in the dialog's pool, which does not change in this task; the texts of its lines lie there too.
        unsafe {
            let description = &*description;
            let has = |attributes: &[*mut sys::pjmedia_sdp_attr], count: u32| {
                let count = usize::try_from(count).unwrap_or(0);
                let attributes = attributes.get(..count).unwrap_or_default();
                attributes
                    .iter()
                    .any(|attribute| strings::to_text((**attribute).name) == "fingerprint")
            };
            let of_all = has(&description.attr, description.attr_count);
            media_of(description)
                .iter()
                .map(|media| {
                    let media = &**media;
                    let suite = |line: &Zeroizing<String>| {
                        Suite::from_name(line.split_ascii_whitespace().nth(1)?)
                    };
                    DescribedMedia {
                        kind: strings::to_text(media.desc.media),
                        port: media.desc.port,
                        transport: strings::to_text(media.desc.transport),
                        suites: crypto_of(media).iter().map(suite).collect(),
                        has_fingerprint: of_all || has(&media.attr, media.attr_count),
                    }
                })
                .collect()
        }
    }

    /// The status with which the call ended, and why in the words of pjsip. `None`: it has not.
    pub fn end(&self) -> Option<(u16, String)> {
        // SAFETY: alive; its INVITE session, if there is one, changes only in the serializer, and the text lies in the dialog's pool.
        unsafe {
            let invite = (*self.raw.as_ptr()).inv_session;
            if invite.is_null() || (*invite).cause == 0 {
                return None;
            }
            let status = u16::try_from((*invite).cause).ok()?;
            Some((status, strings::to_text((*invite).cause_text)))
        }
    }

    /// Whether the packets of line `number` go over the transport of a line before it.
    fn is_bundled(&self, number: usize) -> bool {
        let group = |wanted: &dyn Fn(usize) -> bool| {
            self.media().find_map(|media| {
                // SAFETY: a media line of this session, which does not change in this task.
                let media = unsafe { &*media };
                let is_it =
                    media.bundled != 0 && usize::try_from(media.stream_num).is_ok_and(wanted);
                is_it.then_some(media.bundle_group)
            })
        };
        let own = group(&|other| other == number);
        own.is_some() && own == group(&|other| other < number)
    }

    /// An option of the session's endpoint, as `pjsip show endpoint` prints them.
    ///
    /// Through sorcery and not from the structure: `media_encryption` lies elsewhere in 22.0 than in 22.1, which cannot be
    /// told apart at load.
    pub fn endpoint_options(&self) -> BTreeMap<String, Zeroizing<String>> {
        // SAFETY: alive; the endpoint is a sorcery object that the session holds a reference to.
        unsafe {
            let endpoint = (*self.raw.as_ptr()).endpoint;
            match endpoint.is_null() {
                true => BTreeMap::new(),
                false => sorcery::options(endpoint.cast()),
            }
        }
    }

    /// Whether its endpoint takes keys in descriptions (`media_encryption = sdes`).
    pub fn takes_sdes(&self) -> bool {
        let options = self.endpoint_options();
        let kind = options.get("media_encryption");
        kind.is_some_and(|kind| kind.eq_ignore_ascii_case("sdes"))
    }

    /// Its channel, once it has one.
    pub fn channel(&self) -> Option<Channel<'_>> {
        // SAFETY: alive; the channel is the session's own while this value is used, of which the session holds a reference.
        unsafe { Channel::from_raw((*self.raw.as_ptr()).channel) }
    }

    /// Refuses the INVITE that began it, with a status of SIP.
    pub fn refuse(&self, status: u16) {
        // SAFETY: alive, in its serializer, and whoever called us holds a reference.
        unsafe { sys::ast_sip_session_terminate(self.raw.as_ptr(), status.into()) };
    }

    /// Hangs the session's channel up, as res_pjsip_session does when media cannot be negotiated.
    pub fn hang_up(&self) {
        if let Some(channel) = self.channel() {
            channel.hang_up();
        }
    }
}

/// The media lines of a description.
fn media_of(description: &sys::pjmedia_sdp_session) -> &[*mut sys::pjmedia_sdp_media] {
    let count = usize::try_from(description.media_count).unwrap_or(0);
    description.media.get(..count).unwrap_or_default()
}

/// The values of a line's `a=crypto` attributes.
///
/// # Safety
///
/// A media line of a description, which does not change during the call.
unsafe fn crypto_of(media: &sys::pjmedia_sdp_media) -> Vec<Zeroizing<String>> {
    let count = usize::try_from(media.attr_count).unwrap_or(0);
    let attributes = media.attr.get(..count).unwrap_or_default();
    attributes
        .iter()
        .filter_map(|attribute| {
            // SAFETY: by the caller, the first `attr_count` elements are attributes in the pool of the line, whose texts lie
            // there too.
            unsafe {
                let attribute = &**attribute;
                (strings::to_text(attribute.name) == "crypto")
                    .then(|| Zeroizing::new(strings::to_text(attribute.value)))
            }
        })
        .collect()
}
