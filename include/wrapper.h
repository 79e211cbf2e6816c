/* What bindgen reads: the host's headers that src/ffi uses. */
#include "shim.h"
#include "asterisk/acl.h"
#include "asterisk/ast_version.h"
#include "asterisk/cli.h"
#include "asterisk/config.h"
#include "asterisk/logger.h"
#include "asterisk/manager.h"
#include "asterisk/module.h"
#include "asterisk/netsock2.h"
#include "asterisk/paths.h"
#include "asterisk/res_srtp.h"
#include "asterisk/rtp_engine.h"
#include "asterisk/sdp_srtp.h"
#include "asterisk/utils.h"
#include "asterisk/bridge.h"
#include "asterisk/bridge_technology.h"
#include "asterisk/causes.h"
#include "asterisk/channel.h"
#include "asterisk/pbx.h"
#include "asterisk/stasis_channels.h"
/* Not in what 16 includes of its own accord. */
#include "asterisk/stream.h"

#ifdef CT_PJSIP
#include "late.h"
/* Before res_pjsip_session.h, which in 16 names types of theirs without including them. */
#include <pjsip.h>
#include <pjsip_ua.h>
#include <pjmedia/sdp_neg.h>
#include <pjlib-util/errno.h>
#include "asterisk/res_pjsip.h"
#include "asterisk/res_pjsip_session.h"
#include "asterisk/sorcery.h"

/* Values that are macros over other macros, which bindgen cannot evaluate. */
enum ct_constant {
	CT_PJSIP_MAX_PKT_LEN = PJSIP_MAX_PKT_LEN,
	CT_PJ_EPENDING = PJ_EPENDING,
	CT_PJ_EINVAL = PJ_EINVAL,
	CT_PJ_ENOMEM = PJ_ENOMEM,
	CT_PJ_ECANCELLED = PJ_ECANCELLED,
	CT_PJ_ETIMEDOUT = PJ_ETIMEDOUT,
	CT_PJ_ENOTCONN = PJ_STATUS_FROM_OS(OSERR_ENOTCONN),
	CT_PJSIP_EPENDINGTX = PJSIP_EPENDINGTX,
	CT_PJSIP_TLS_ECONNECT = PJSIP_TLS_ECONNECT,
	CT_PJSIP_TLS_ECERTVERIF = PJSIP_TLS_ECERTVERIF,
	CT_PJ_ERESOLVE = PJ_ERESOLVE,
	/* What the resolver fails with: without an answer, and for the server's code in it. */
	CT_PJLIB_UTIL_EDNS_FIRST = PJLIB_UTIL_EDNSQRYTOOSMALL,
	CT_PJLIB_UTIL_EDNS_LAST = PJLIB_UTIL_EDNS_NOTZONE,
};
#endif
