/*
 * Ciphertrunk: Asterisk's bridges, whose structures are for C.
 *
 * Copyright (C) 2026 The Ciphertrunk authors
 * SPDX-License-Identifier: GPL-2.0-only WITH the linking permission in LICENSE
 */
#include "shim.h"

#include "asterisk/bridge.h"
#include "asterisk/bridge_channel.h"
#include "asterisk/bridge_technology.h"
#include "asterisk/channel.h"
#include "asterisk/global_datastores.h"

void ct_bridge_each(struct ast_bridge *bridge, void (*each)(struct ast_channel *channel, void *data), void *data)
{
	struct ast_bridge_channel *bridge_channel;

	AST_LIST_TRAVERSE(&bridge->channels, bridge_channel, entry) {
		each(bridge_channel->chan, data);
	}
}

int ct_channel_each_other(struct ast_channel *channel, void (*each)(struct ast_channel *other, void *data), void *data)
{
	struct ast_bridge *bridge;
	struct ast_bridge_channel *bridge_channel;
	int res = 0;

	bridge = ast_channel_get_bridge(channel);
	if (!bridge) {
		return 0;
	}
	if (ast_bridge_trylock(bridge)) {
		ao2_ref(bridge, -1);
		return -1;
	}
	AST_LIST_TRAVERSE(&bridge->channels, bridge_channel, entry) {
		if (bridge_channel->chan == channel) {
			continue;
		}
		if (ast_channel_trylock(bridge_channel->chan)) {
			res = -1;
			break;
		}
		each(bridge_channel->chan, data);
		ast_channel_unlock(bridge_channel->chan);
	}
	ast_bridge_unlock(bridge);
	ao2_ref(bridge, -1);
	return res;
}

void **ct_bridge_private(struct ast_bridge *bridge)
{
	return &bridge->tech_pvt;
}

void ct_channel_bridge_technology(struct ast_channel *channel, char *name, size_t size)
{
	struct ast_bridge *bridge;

	name[0] = '\0';
	ast_channel_lock(channel);
	bridge = ast_channel_get_bridge(channel);
	ast_channel_unlock(channel);
	if (!bridge) {
		return;
	}
	ast_bridge_lock(bridge);
	if (bridge->technology) {
		ast_copy_string(name, bridge->technology->name, size);
	}
	ast_bridge_unlock(bridge);
	ao2_ref(bridge, -1);
}

unsigned int ct_channel_secure_bridge(struct ast_channel *channel)
{
	struct ast_datastore *datastore;
	unsigned int demanded = 0;

	ast_channel_lock(channel);
	datastore = ast_channel_datastore_find(channel, &secure_call_info, NULL);
	if (datastore) {
		struct ast_secure_call_store *store = datastore->data;

		demanded = (store->signaling ? CT_SECURE_SIGNALING : 0) | (store->media ? CT_SECURE_MEDIA : 0);
	}
	ast_channel_unlock(channel);
	return demanded;
}

int ct_channel_runs_dialplan(struct ast_channel *channel)
{
	int runs;

	ast_channel_lock(channel);
	runs = ast_channel_pbx(channel) != NULL || ast_test_flag(ast_channel_flags(channel), AST_FLAG_ORIGINATED);
	ast_channel_unlock(channel);
	return runs;
}
