//! The console commands: `ciphertrunk show ...` and those that change something. Their text is for people, and not stable.

#[cfg(feature = "pjsip")]
pub mod calls;
mod config;
#[cfg(feature = "pjsip")]
pub mod connections;
mod control;
#[cfg(feature = "test-hooks")]
mod hooks;
pub mod reasons;
mod sessions;
mod status;
#[cfg(feature = "pjsip")]
mod transports;

use crate::console;
use crate::ffi::cli::{Command, Console, nothing};

/// How many rows a list has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rows {
    /// A hundred.
    Some,
    /// `all` was typed.
    All,
}

impl Rows {
    /// By what stands at word `position`. `None`: something else does.
    fn of(console: &Console<'_>, position: usize) -> Option<Self> {
        match console.words.get(position..) {
            Some([]) => Some(Self::Some),
            Some([all]) if all.eq_ignore_ascii_case("all") => Some(Self::All),
            _ => None,
        }
    }

    /// The most of them.
    fn most(self) -> usize {
        match self {
            Self::Some => 100,
            Self::All => usize::MAX,
        }
    }

    /// The line below the list.
    fn end(self, console: &mut Console<'_>, total: usize, what: &str) {
        if total > self.most() {
            console!(
                console,
                "{} more: the same command with `all`",
                total - self.most()
            );
        }
        console!(console, "{total} {what}");
    }
}

/// What stands behind a list.
fn rows(position: usize) -> Vec<String> {
    if position == 3 {
        vec!["all".to_owned()]
    } else {
        Vec::new()
    }
}

/// The commands.
pub static COMMANDS: &[Command] = &[
    Command {
        words: c"ciphertrunk show status",
        summary: c"Show version, kernel, SRTP engine and counters",
        usage: c"Usage: ciphertrunk show status\n       Shows the version, the packet-crypto kernel in use, whether Asterisk's SRTP engine is\n       ours, and what was counted since the module was loaded.\n",
        run: status::show_status,
        complete: nothing,
    },
    Command {
        words: c"ciphertrunk show config",
        summary: c"Show what is in force, and where it comes from",
        usage: c"Usage: ciphertrunk show config [ENDPOINT]\n       Shows the options of ciphertrunk.conf that are in force, each with the line that it comes\n       from; of an endpoint also what pjsip.conf says of its encryption.\n",
        run: config::show_config,
        complete: config::endpoints,
    },
    Command {
        words: c"ciphertrunk show sessions",
        summary: c"Show the live SRTP sessions",
        usage: c"Usage: ciphertrunk show sessions [all]\n       Shows a line for each live SRTP session: its channel, the peer's address, the suites in\n       and out, packets each way and what was dropped.\n",
        run: sessions::show_sessions,
        complete: rows,
    },
    #[cfg(feature = "pjsip")]
    Command {
        words: c"ciphertrunk show calls",
        summary: c"Show the live calls of PJSIP's, and whether they are encrypted",
        usage: c"Usage: ciphertrunk show calls [all]\n       Shows a line for each call: channel, endpoint, in a word how it is encrypted, Call-ID.\n",
        run: calls::show_calls,
        complete: rows,
    },
    #[cfg(feature = "pjsip")]
    Command {
        words: c"ciphertrunk show call",
        summary: c"Show how one call is encrypted",
        usage: c"Usage: ciphertrunk show call CHANNEL|ENDPOINT|CALL-ID [all]\n       Shows everything that is known of how the call's signalling and media are encrypted.\n",
        run: calls::show_call,
        complete: calls::names,
    },
    #[cfg(feature = "pjsip")]
    Command {
        words: c"ciphertrunk show connections",
        summary: c"Show the TLS connections",
        usage: c"Usage: ciphertrunk show connections [all]\n       Shows a line for each TLS connection: peer, version, cipher, group, identity, whether it is\n       verified, since when, SIP messages each way, octets that wait to be sent.\n",
        run: connections::show_connections,
        complete: rows,
    },
    #[cfg(feature = "pjsip")]
    Command {
        words: c"ciphertrunk show connection",
        summary: c"Show one TLS connection",
        usage: c"Usage: ciphertrunk show connection NUMBER|NAME|ADDRESS [all]\n       Shows everything that is known of the connections with this number or peer.\n",
        run: connections::show_connection,
        complete: connections::names,
    },
    #[cfg(feature = "pjsip")]
    Command {
        words: c"ciphertrunk show peers",
        summary: c"Show the peers that have TLS connections",
        usage: c"Usage: ciphertrunk show peers [all]\n       Shows a line for each peer with its TLS connections, by name or address, and of its certificates\n       the one that expires first.\n",
        run: connections::show_peers,
        complete: rows,
    },
    #[cfg(feature = "pjsip")]
    Command {
        words: c"ciphertrunk show transports",
        summary: c"Show the TLS transports, and which are ours",
        usage: c"Usage: ciphertrunk show transports [all]\n       Shows a line for each protocol=tls transport that Ciphertrunk serves: where it listens\n       and with which certificate. Below it is what in its configuration works and is probably not meant.\n       Then those that Ciphertrunk does not serve, and why.\n",
        run: transports::show_transports,
        complete: rows,
    },
    #[cfg(feature = "pjsip")]
    Command {
        words: c"ciphertrunk show certificates",
        summary: c"Show our certificates and those of connected peers",
        usage: c"Usage: ciphertrunk show certificates [all]\n       Shows file, names, issuer and dates of the transports' certificates and their chains, and of the\n       peers' that are connected.\n",
        run: transports::show_certificates,
        complete: rows,
    },
    Command {
        words: c"ciphertrunk show refusals",
        summary: c"Show what was refused lately, and why",
        usage: c"Usage: ciphertrunk show refusals [all]\n       Shows the latest handshakes, calls, a=crypto lines and messages that were refused, here or\n       there: when, reason, peer, endpoint or transport, Call-ID. The last 1000 are kept.\n",
        run: reasons::show_refusals,
        complete: rows,
    },
    Command {
        words: c"ciphertrunk show reasons",
        summary: c"Show how often each reason occurred",
        usage: c"Usage: ciphertrunk show reasons [all]\n       Shows how often each reason occurred since the module was loaded, the most frequent first.\n",
        run: reasons::show_reasons,
        complete: rows,
    },
    Command {
        words: c"ciphertrunk reasons",
        summary: c"List all reason codes",
        usage: c"Usage: ciphertrunk reasons\n       Lists the reason codes, each with what happened.\n",
        run: reasons::list,
        complete: nothing,
    },
    Command {
        words: c"ciphertrunk explain",
        summary: c"Explain a reason code",
        usage: c"Usage: ciphertrunk explain CODE\n       Says what happened, which side has to change something, and what.\n",
        run: reasons::explain,
        complete: reasons::codes,
    },
    #[cfg(feature = "pjsip")]
    Command {
        words: c"ciphertrunk close",
        summary: c"Close TLS connections",
        usage: c"Usage: ciphertrunk close connection NUMBER|peer PEER|idle\n       Closes a connection, those of a peer (by name or address), or those that no call has used. What\n       is queued is sent before. Calls go on; whoever needs a connection makes a new one.\n",
        run: control::close,
        complete: control::complete_close,
    },
    Command {
        words: c"ciphertrunk reload",
        summary: c"Read ciphertrunk.conf and the certificates again",
        usage: c"Usage: ciphertrunk reload\n       Does what `module reload res_ciphertrunk.so` does, and says whether all of it is in force.\n",
        run: control::reload,
        complete: nothing,
    },
    Command {
        words: c"ciphertrunk drain [cancel]",
        summary: c"Take no new calls and close idle connections, so that the module can be unloaded",
        usage: c"Usage: ciphertrunk drain [cancel]\n       New encrypted calls are refused, the TLS transports are given back to pjproject, connections\n       without a call are closed. Calls that are up go on. When the last has ended, `module unload\n       res_ciphertrunk.so` works; `ciphertrunk show status` says what is left. `cancel` takes\n       everything back.\n",
        run: control::drain,
        complete: nothing,
    },
    #[cfg(feature = "test-hooks")]
    Command {
        words: c"ciphertrunk test panic {protect|unprotect}",
        summary: c"Panic in the next packet (test build)",
        usage: c"Usage: ciphertrunk test panic {protect|unprotect}\n",
        run: hooks::test_panic,
        complete: nothing,
    },
    #[cfg(feature = "test-hooks")]
    Command {
        words: c"ciphertrunk test lose engine",
        summary: c"Unregister the SRTP engine as another module would (test build)",
        usage: c"Usage: ciphertrunk test lose engine\n",
        run: hooks::test_lose_engine,
        complete: nothing,
    },
    #[cfg(feature = "test-hooks")]
    Command {
        words: c"ciphertrunk test age",
        summary: c"Let SRTP keys look older by so many packets (test build)",
        usage: c"Usage: ciphertrunk test age PACKETS\n",
        run: hooks::test_age,
        complete: nothing,
    },
    #[cfg(feature = "test-hooks")]
    Command {
        words: c"ciphertrunk test sources",
        summary: c"Let SRTP keys look as if Asterisk had sent with so many SSRCs more (test build)",
        usage: c"Usage: ciphertrunk test sources SSRCS\n",
        run: hooks::test_sources,
        complete: nothing,
    },
    #[cfg(feature = "test-hooks")]
    Command {
        words: c"ciphertrunk test retransmit",
        summary: c"Let Asterisk retransmit what new sessions send (test build)",
        usage: c"Usage: ciphertrunk test retransmit\n",
        run: hooks::test_retransmit,
        complete: nothing,
    },
    #[cfg(feature = "test-hooks")]
    Command {
        words: c"ciphertrunk test fault",
        summary: c"Let the next pass through a fault point fail (test build)",
        usage: c"Usage: ciphertrunk test fault NAME\n       Arms the fault point NAME once; each time counts.\n",
        run: hooks::test_fault,
        complete: nothing,
    },
];
