/*
 * Ciphertrunk: what PJSIP offers only as a C macro or a static inline. Everything here needs res_pjsip.
 *
 * Copyright (C) 2026 The Ciphertrunk authors
 * SPDX-License-Identifier: GPL-2.0-only WITH the linking permission in LICENSE
 */
#include "shim.h"

#include <pjsip.h>

#include "asterisk/res_pjsip.h"

#define CT_TEXT(x) #x
#define CT_EXPANDED_TEXT(x) CT_TEXT(x)
const char *const ct_built_pj_branch = CT_EXPANDED_TEXT(PJ_VERSION_NUM_MAJOR) "." CT_EXPANDED_TEXT(PJ_VERSION_NUM_MINOR);
const unsigned int ct_built_pjsip_max_pkt_len = PJSIP_MAX_PKT_LEN;

unsigned int ct_probe_pjsip_max_pkt_len(void)
{
	pj_str_t target = { "sip:probe@127.0.0.1", 19 };
	pjsip_tx_data *tdata = NULL;
	unsigned int size = 0;

	if (pjsip_endpt_create_request(ast_sip_get_pjsip_endpoint(), pjsip_get_options_method(), &target, &target, &target,
		&target, NULL, -1, NULL, &tdata) != PJ_SUCCESS) {
		return 0;
	}
	if (pjsip_tx_data_encode(tdata) == PJ_SUCCESS) {
		size = (unsigned int) (tdata->buf.end - tdata->buf.start);
	}
	pjsip_tx_data_dec_ref(tdata);
	return size;
}

/* The first is the newer one; whichever the running Asterisk has. */
extern struct ast_taskprocessor *ast_taskpool_serializer_get_current(void) __attribute__((weak));
extern struct ast_taskprocessor *ast_threadpool_serializer_get_current(void) __attribute__((weak));

struct ast_taskprocessor *ct_current_serializer(void)
{
	struct ast_taskprocessor *current = NULL;

	if (ast_taskpool_serializer_get_current) {
		current = ast_taskpool_serializer_get_current();
	}
	if (!current && ast_threadpool_serializer_get_current) {
		current = ast_threadpool_serializer_get_current();
	}
	return current;
}

/* RFC 3261 section 12.2.1.1: a request in a dialog has the peer's tag in To. */
int ct_is_in_dialog(const pjsip_tx_data *tdata)
{
	const pjsip_hdr *header;

	if (!tdata || !tdata->msg || tdata->msg->type != PJSIP_REQUEST_MSG) {
		return 0;
	}
	for (header = tdata->msg->hdr.next; header != &tdata->msg->hdr; header = header->next) {
		if (header->type == PJSIP_H_TO) {
			return ((const pjsip_to_hdr *) header)->tag.slen > 0;
		}
	}
	return 0;
}

int ct_sip_push_task(struct ast_taskprocessor *serializer, int (*task)(void *), void *data)
{
	return ast_sip_push_task(serializer, task, data);
}

int ct_sip_servant_wait(int (*task)(void *), void *data)
{
	return ast_sip_push_task_wait_servant(NULL, task, data);
}
