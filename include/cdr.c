/*
 * Ciphertrunk: values for a channel's CDR, and CEL's user events.
 *
 * The CDR engine keeps its records on a thread of its own, behind the messages of channels and bridges. So a value goes there as
 * such a message too: it comes behind what has happened before it, and before the channel's last message, which ends the record.
 *
 * Copyright (C) 2026 The Ciphertrunk authors
 * SPDX-License-Identifier: GPL-2.0-only WITH the linking permission in LICENSE
 */
#include "shim.h"

#include "asterisk/astobj2.h"
#include "asterisk/cdr.h"
#include "asterisk/cel.h"
#include "asterisk/channel.h"
#include "asterisk/json.h"
#include "asterisk/stasis.h"
#include "asterisk/stasis_channels.h"
#include "asterisk/stasis_message_router.h"

struct value {
	/* A static text. */
	const char *name;
	char *value;
	/* NULL, or what the second channel of the channel's latest record must be called; empty: there is none. */
	char *with;
	char channel[0];
};

static struct stasis_message_type *type;

/* Whether the second channel of its latest record is the one. */
static int is_with(const struct value *value)
{
	char second[AST_CHANNEL_NAME] = "";

	return !ast_cdr_getvar(value->channel, "dstchannel", second, sizeof(second)) && !strcasecmp(second, value->with);
}

/* On the CDR engine's thread. */
static void set_value(void *data, struct stasis_subscription *sub, struct stasis_message *message)
{
	struct value *value = stasis_message_data(message);

	(void) data;
	(void) sub;
	if (ast_cdr_is_enabled() && (!value->with || is_with(value))) {
		ast_cdr_setvar(value->channel, value->name, value->value);
	}
}

int ct_cdr_begin(void)
{
	struct stasis_message_router *router = ast_cdr_message_router();
	int failed = 1;

	if (!router) {
		return -1;
	}
	if (stasis_message_type_create("ciphertrunk_cdr_value", NULL, &type) == STASIS_MESSAGE_TYPE_SUCCESS) {
		failed = stasis_message_router_add(router, type, set_value, NULL);
		if (failed) {
			ao2_cleanup(type);
			type = NULL;
		}
	}
	ao2_ref(router, -1);
	return failed ? -1 : 0;
}

static struct stasis_message *message_of(const char *channel, const char *with, const char *name, const char *text)
{
	size_t room = strlen(channel) + 1, length = strlen(text) + 1, rest = with ? strlen(with) + 1 : 0;
	struct stasis_message *message;
	struct value *value = ao2_alloc_options(sizeof(*value) + room + length + rest, NULL, AO2_ALLOC_OPT_LOCK_NOLOCK);

	if (!value) {
		return NULL;
	}
	value->name = name;
	value->value = value->channel + room;
	memcpy(value->channel, channel, room);
	memcpy(value->value, text, length);
	value->with = NULL;
	if (with) {
		value->with = value->value + length;
		memcpy(value->with, with, rest);
	}
	message = stasis_message_create(type, value);
	ao2_ref(value, -1);
	return message;
}

void ct_cdr_end(void)
{
	struct stasis_message_router *router = ast_cdr_message_router();
	struct stasis_message *message;

	if (router) {
		stasis_message_router_remove(router, type);
		/* The engine's thread may be in set_value: this comes back when it has seen a message behind it, which nobody serves. */
		message = message_of("", NULL, "", "");
		if (message) {
			stasis_message_router_publish_sync(router, message);
			ao2_ref(message, -1);
		}
		ao2_ref(router, -1);
	}
	ao2_cleanup(type);
	type = NULL;
}

void ct_cdr_set(struct ast_channel *channel, const char *of, const char *with, const char *name, const char *text)
{
	struct stasis_message *message = message_of(of, with, name, text);

	if (message) {
		stasis_publish(ast_channel_topic(channel), message);
		ao2_ref(message, -1);
	}
}

void ct_cel_event(struct ast_channel *channel, const char *event, const char *text)
{
	struct ast_json *blob = ast_json_pack("{s: s, s: {s: s}}", "event", event, "extra", "extra", text);

	if (blob) {
		ast_cel_publish_event(channel, AST_CEL_USER_DEFINED, blob);
		ast_json_unref(blob);
	}
}
