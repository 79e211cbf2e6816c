/*
 * Asterisk's security events, which are structures of one shape each: the same from 16 to 23, and with a version of each that Asterisk
 * compares.
 *
 * Copyright (C) 2026 The Ciphertrunk authors
 * SPDX-License-Identifier: GPL-2.0-only WITH the linking permission in LICENSE
 */
#include "shim.h"

#include <string.h>

#include "asterisk/config.h"
#include "asterisk/netsock2.h"
#include "asterisk/security_events.h"

static enum ast_transport transport_of(const char *name)
{
	static const struct {
		const char *name;
		enum ast_transport transport;
	} all[] = {
		{ "UDP", AST_TRANSPORT_UDP },
		{ "TCP", AST_TRANSPORT_TCP },
		{ "TLS", AST_TRANSPORT_TLS },
		{ "WS", AST_TRANSPORT_WS },
		{ "WSS", AST_TRANSPORT_WSS },
	};
	size_t i;

	for (i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		if (!strcmp(name, all[i].name)) {
			return all[i].transport;
		}
	}
	/* Asterisk leaves it out of the address. */
	return 0;
}

void ct_security_event(const struct ct_security_event *what)
{
	struct ast_sockaddr local;
	struct ast_sockaddr remote;
	union {
		struct ast_security_event_common common;
		struct ast_security_event_req_bad_format bad_format;
		struct ast_security_event_req_no_support no_support;
		struct ast_security_event_req_not_allowed not_allowed;
		struct ast_security_event_chal_resp_failed failed;
		struct ast_security_event_inval_transport transport;
		struct ast_security_event_failed_acl acl;
		struct ast_security_event_session_limit limit;
	} event;

	/* Numbers: no name is looked up. */
	if (!ast_sockaddr_parse(&local, what->local, PARSE_PORT_REQUIRE)
		|| !ast_sockaddr_parse(&remote, what->remote, PARSE_PORT_REQUIRE)) {
		return;
	}
	memset(&event, 0, sizeof(event));
	event.common.event_type = what->type;
	event.common.service = "Ciphertrunk";
	event.common.module = AST_MODULE;
	event.common.account_id = what->account;
	event.common.session_id = what->session;
	event.common.local_addr.addr = &local;
	event.common.local_addr.transport = transport_of(what->over);
	event.common.remote_addr.addr = &remote;
	event.common.remote_addr.transport = transport_of(what->over);
	switch (what->type) {
	case AST_SECURITY_EVENT_REQ_BAD_FORMAT:
		event.common.version = AST_SECURITY_EVENT_REQ_BAD_FORMAT_VERSION;
		event.bad_format.request_type = what->first;
		event.bad_format.request_params = what->second;
		break;
	case AST_SECURITY_EVENT_REQ_NO_SUPPORT:
		event.common.version = AST_SECURITY_EVENT_REQ_NO_SUPPORT_VERSION;
		event.no_support.request_type = what->first;
		break;
	case AST_SECURITY_EVENT_REQ_NOT_ALLOWED:
		event.common.version = AST_SECURITY_EVENT_REQ_NOT_ALLOWED_VERSION;
		event.not_allowed.request_type = what->first;
		event.not_allowed.request_params = what->second;
		break;
	case AST_SECURITY_EVENT_CHAL_RESP_FAILED:
		event.common.version = AST_SECURITY_EVENT_CHAL_RESP_FAILED_VERSION;
		event.failed.challenge = what->first;
		event.failed.response = what->second;
		event.failed.expected_response = what->third;
		break;
	case AST_SECURITY_EVENT_INVAL_TRANSPORT:
		event.common.version = AST_SECURITY_EVENT_INVAL_TRANSPORT_VERSION;
		event.transport.transport = what->first;
		break;
	case AST_SECURITY_EVENT_FAILED_ACL:
		event.common.version = AST_SECURITY_EVENT_FAILED_ACL_VERSION;
		break;
	case AST_SECURITY_EVENT_SESSION_LIMIT:
		event.common.version = AST_SECURITY_EVENT_SESSION_LIMIT_VERSION;
		break;
	default:
		return;
	}
	/* It makes a message of it for Stasis, whose subscribers have threads of their own. */
	ast_security_event_report(&event.common);
}
