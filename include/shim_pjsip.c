/*
 * Ciphertrunk: what PJSIP offers only as a C macro or a static inline. Everything here needs res_pjsip.
 *
 * Copyright (C) 2026 The Ciphertrunk authors
 * SPDX-License-Identifier: GPL-2.0-only WITH the linking permission in LICENSE
 */
#include "shim.h"

#include <pjsip.h>
#include <pjsip_ua.h>
#include <pjmedia/sdp_neg.h>
#include <string.h>

#include "asterisk/causes.h"
#include "asterisk/channel.h"
#include "asterisk/module.h"
#include "asterisk/res_pjsip.h"
#include "asterisk/res_pjsip_session.h"
#include "asterisk/taskprocessor.h"
#include "asterisk/utils.h"

/* src/ffi/session.rs */
void ciphertrunk_session_begin(struct ast_sip_session *session);
void ciphertrunk_session_destroy(struct ast_sip_session *session);
void ciphertrunk_session_answered(struct ast_sip_session *session);

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

static void incoming_response(struct ast_sip_session *session, struct pjsip_rx_data *rdata)
{
	if (rdata->msg_info.msg->line.status.code / 100 == 2) {
		ciphertrunk_session_answered(session);
	}
}

/*
 * A later release of the branch may have added to the structure's end, and reads that of ours too (`session_create` came with
 * 22.10). It finds zeros.
 */
static struct {
	struct ast_sip_session_supplement supplement;
	void *later[32];
} registered = {
	.supplement = {
		.method = "INVITE",
		.priority = AST_SIP_SUPPLEMENT_PRIORITY_FIRST,
		.response_priority = AST_SIP_SESSION_AFTER_MEDIA,
		.incoming_response = incoming_response,
		.session_begin = ciphertrunk_session_begin,
		.session_destroy = ciphertrunk_session_destroy,
	},
};

void ct_session_supplement_register(void)
{
	ast_sip_session_register_supplement(&registered.supplement);
}

void ct_session_supplement_unregister(void)
{
	ast_sip_session_unregister_supplement(&registered.supplement);
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

struct ast_taskprocessor *ct_session_serializer(const struct ast_sip_session *session)
{
	return session->serializer;
}

static const struct ast_sip_session_media *find_media(const struct ast_sip_session *session,
	const struct ast_rtp_instance *rtp, const struct ast_sdp_srtp *srtp)
{
	const struct ast_sip_session_media_state *states[] = { session->pending_media_state, session->active_media_state };
	size_t s, i;

	for (s = 0; s < ARRAY_LEN(states); s++) {
		for (i = 0; states[s] && i < AST_VECTOR_SIZE(&states[s]->sessions); i++) {
			const struct ast_sip_session_media *media = AST_VECTOR_GET(&states[s]->sessions, i);

			if (media && ((rtp && media->rtp == rtp) || (srtp && media->srtp == srtp))) {
				return media;
			}
		}
	}
	return NULL;
}

int ct_session_has_rtp(const struct ast_sip_session *session, const struct ast_rtp_instance *rtp)
{
	return find_media(session, rtp, NULL) != NULL;
}

int ct_session_has_srtp(const struct ast_sip_session *session, const struct ast_sdp_srtp *srtp)
{
	return find_media(session, NULL, srtp) != NULL;
}

int ct_session_media_line(const struct ast_sip_session *session, const struct ast_rtp_instance *rtp, const char **kind)
{
	const struct ast_sip_session_media *media = find_media(session, rtp, NULL);

	if (!media) {
		return -1;
	}
	*kind = ast_codec_media_type2str(media->type);
	return media->stream_num;
}

size_t ct_session_peer(const struct ast_sip_session *session, const char **uri)
{
	if (!session->inv_session || !session->inv_session->dlg) {
		return 0;
	}
	*uri = session->inv_session->dlg->remote.info_str.ptr;
	return session->inv_session->dlg->remote.info_str.slen;
}

int ct_session_peer_address(const struct ast_sip_session *session, char *text, int size)
{
	const pjsip_transaction *invite = session->inv_session ? session->inv_session->invite_tsx : NULL;

	if (!invite || !invite->addr_len) {
		return -1;
	}
	/* 3: with the port, and an IPv6 address in brackets. */
	return pj_sockaddr_print(&invite->addr, text, size, 3) ? 0 : -1;
}

const char *ct_session_endpoint(const struct ast_sip_session *session)
{
	return session->endpoint ? ast_sorcery_object_get_id(session->endpoint) : "";
}

size_t ct_session_call_id(const struct ast_sip_session *session, const char **call_id)
{
	if (!session->inv_session || !session->inv_session->dlg || !session->inv_session->dlg->call_id) {
		return 0;
	}
	*call_id = session->inv_session->dlg->call_id->id.ptr;
	return session->inv_session->dlg->call_id->id.slen;
}

enum ct_exchange ct_session_exchange(const struct ast_sip_session *session)
{
	pjmedia_sdp_neg *neg = session->inv_session ? session->inv_session->neg : NULL;

	if (!neg) {
		return CT_EXCHANGE_OUR_OFFER;
	}
	switch (pjmedia_sdp_neg_get_state(neg)) {
	case PJMEDIA_SDP_NEG_STATE_REMOTE_OFFER:
	case PJMEDIA_SDP_NEG_STATE_WAIT_NEGO:
		return CT_EXCHANGE_THEIR_OFFER;
	case PJMEDIA_SDP_NEG_STATE_DONE:
		return pjmedia_sdp_neg_was_answer_remote(neg) ? CT_EXCHANGE_THEIR_ANSWER : CT_EXCHANGE_OUR_ANSWER;
	default:
		return CT_EXCHANGE_OUR_OFFER;
	}
}

static int offer_again(void *data)
{
	struct ast_sip_session *session = data;

	ast_sip_session_refresh(session, NULL, NULL, NULL, AST_SIP_SESSION_REFRESH_METHOD_INVITE, 1, NULL);
	ao2_ref(session, -1);
	return 0;
}

int ct_session_offer_again(const char *channel_id)
{
	struct ast_channel *chan = ast_channel_get_by_name(channel_id);
	struct ast_sip_session *session = NULL;

	if (!chan) {
		return -1;
	}
	ast_channel_lock(chan);
	if (!strcmp(ast_channel_tech(chan)->type, "PJSIP")) {
		struct ast_sip_channel_pvt *pvt = ast_channel_tech_pvt(chan);

		session = pvt ? ao2_bump(pvt->session) : NULL;
	}
	ast_channel_unlock(chan);
	ast_channel_unref(chan);
	if (!session) {
		return -1;
	}
	if (ast_sip_push_task(session->serializer, offer_again, session)) {
		ao2_ref(session, -1);
		return -1;
	}
	return 0;
}

int ct_session_answered_in_clear(const struct ast_sip_session *session)
{
	const pjmedia_sdp_session *remote;
	unsigned int i;

	if (!session->endpoint || session->endpoint->media.rtp.encryption != AST_SIP_MEDIA_ENCRYPT_SDES
		|| session->endpoint->media.rtp.encryption_optimistic || !session->inv_session || !session->inv_session->neg
		|| pjmedia_sdp_neg_get_active_remote(session->inv_session->neg, &remote) != PJ_SUCCESS) {
		return 0;
	}
	for (i = 0; i < remote->media_count; i++) {
		const pjmedia_sdp_media *media = remote->media[i];
		int audio_or_video = !pj_stricmp2(&media->desc.media, "audio") || !pj_stricmp2(&media->desc.media, "video");

		if (audio_or_video && media->desc.port
			&& (!pj_strstr(&media->desc.transport, &(const pj_str_t) { "SAVP", 4 })
				|| !pjmedia_sdp_media_find_attr2(media, "crypto", NULL))) {
			return 1;
		}
	}
	return 0;
}

void ct_session_hang_up(struct ast_sip_session *session)
{
	if (session->channel) {
		ast_channel_hangupcause_set(session->channel, AST_CAUSE_BEARERCAPABILITY_NOTAVAIL);
		ast_set_hangupsource(session->channel, ast_channel_name(session->channel), 0);
		ast_queue_hangup(session->channel);
	}
}

int ct_sip_servant_wait(int (*task)(void *), void *data)
{
	return ast_sip_push_task_wait_servant(NULL, task, data);
}
