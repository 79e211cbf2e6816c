/* Another SRTP engine, as some other module could bring one: it takes Asterisk's place for one without asking. */
#include "asterisk.h"

#include "asterisk/module.h"
#include "asterisk/res_srtp.h"
#include "asterisk/rtp_engine.h"

static int create(struct ast_srtp **srtp, struct ast_rtp_instance *rtp, struct ast_srtp_policy *policy)
{
	return -1;
}

static struct ast_srtp_policy *policy_alloc(void)
{
	return NULL;
}

static struct ast_srtp_res engine = { .create = create };
static struct ast_srtp_policy_res policies = { .alloc = policy_alloc };

static int load_module(void)
{
	ast_rtp_engine_unregister_srtp();
	return ast_rtp_engine_register_srtp(&engine, &policies) ? AST_MODULE_LOAD_DECLINE : AST_MODULE_LOAD_SUCCESS;
}

static int unload_module(void)
{
	ast_rtp_engine_unregister_srtp();
	return 0;
}

AST_MODULE_INFO(ASTERISK_GPL_KEY, AST_MODFLAG_DEFAULT, "Another SRTP engine",
	.support_level = AST_MODULE_SUPPORT_EXTENDED,
	.load = load_module,
	.unload = unload_module,
);
