/* Another user of libsrtp in the process: it starts the library and encrypts a packet, at load and at each reload. */
#include "asterisk.h"

#include <srtp2/srtp.h>
#include <string.h>

#include "asterisk/logger.h"
#include "asterisk/module.h"

static int encrypt(void)
{
	static unsigned char key[30] = "0123456789abcdef0123456789abc";
	unsigned char packet[256] = { 0x80, 0, 0, 1, 0, 0, 0, 0, 0x12, 0x34, 0x56, 0x78, 'h', 'e', 'a', 'r', 'd' };
	srtp_policy_t policy;
	srtp_t session;
	int length = 172;
	int failed;

	memset(&policy, 0, sizeof(policy));
	srtp_crypto_policy_set_rtp_default(&policy.rtp);
	srtp_crypto_policy_set_rtcp_default(&policy.rtcp);
	policy.ssrc.type = ssrc_any_outbound;
	policy.key = key;
	if ((failed = srtp_create(&session, &policy))) {
		ast_log(LOG_ERROR, "libsrtp makes no session: %d\n", failed);
		return -1;
	}
	failed = srtp_protect(session, packet, &length);
	srtp_dealloc(session);
	if (failed || length != 182 || !memcmp(packet + 12, "heard", 5)) {
		ast_log(LOG_ERROR, "libsrtp encrypts nothing: %d, %d octets\n", failed, length);
		return -1;
	}
	ast_log(LOG_NOTICE, "libsrtp encrypts: %d octets\n", length);
	return 0;
}

static int load_module(void)
{
	int failed = srtp_init();

	if (failed) {
		ast_log(LOG_ERROR, "libsrtp does not start: %d\n", failed);
		return AST_MODULE_LOAD_DECLINE;
	}
	return encrypt() ? AST_MODULE_LOAD_DECLINE : AST_MODULE_LOAD_SUCCESS;
}

static int reload_module(void)
{
	return encrypt();
}

static int unload_module(void)
{
	return 0;
}

AST_MODULE_INFO(ASTERISK_GPL_KEY, AST_MODFLAG_DEFAULT, "A user of libsrtp",
	.support_level = AST_MODULE_SUPPORT_EXTENDED,
	.load = load_module,
	.reload = reload_module,
	.unload = unload_module,
);
