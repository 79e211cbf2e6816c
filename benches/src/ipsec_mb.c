/* intel-ipsec-mb is used through macros and a table of functions: this file makes them functions. */
#include <intel-ipsec-mb.h>
#include <stdlib.h>
#include <string.h>

struct rig {
    IMB_MGR *mgr;
    DECLARE_ALIGNED(uint32_t enc[15 * 4], 16);
    DECLARE_ALIGNED(uint32_t dec[15 * 4], 16);
    DECLARE_ALIGNED(uint8_t ipad[32], 16);
    DECLARE_ALIGNED(uint8_t opad[32], 16);
    DECLARE_ALIGNED(struct gcm_key_data gcm, 64);
};

const char *mb_version(void) { return imb_get_version_str(); }

struct rig *mb_new(const uint8_t key[16], const uint8_t auth[20])
{
    struct rig *r = aligned_alloc(64, (sizeof *r + 63) / 64 * 64);
    uint8_t pad[64];
    int i;

    r->mgr = alloc_mb_mgr(0);
    init_mb_mgr_auto(r->mgr, NULL);
    IMB_AES_KEYEXP_128(r->mgr, key, r->enc, r->dec);
    memset(pad, 0x36, 64);
    for (i = 0; i < 20; i++) pad[i] ^= auth[i];
    IMB_SHA1_ONE_BLOCK(r->mgr, pad, r->ipad);
    memset(pad, 0x5c, 64);
    for (i = 0; i < 20; i++) pad[i] ^= auth[i];
    IMB_SHA1_ONE_BLOCK(r->mgr, pad, r->opad);
    IMB_AES128_GCM_PRE(r->mgr, key, &r->gcm);
    return r;
}

/* n packets in flight, each in place in its own buffer of len + 4 + 12 bytes (ROC and tag behind the packet). */
void mb_cm(struct rig *r, int n, uint8_t *const *packets, const uint8_t *iv, uint64_t clear, uint64_t len)
{
    IMB_JOB *job;
    int i, done = 0;

    for (i = 0; i < n; i++) {
        job = IMB_GET_NEXT_JOB(r->mgr);
        job->enc_keys = r->enc;
        job->dec_keys = r->dec;
        job->key_len_in_bytes = 16;
        job->src = packets[i];
        job->dst = packets[i] + clear;
        job->cipher_start_src_offset_in_bytes = clear;
        job->msg_len_to_cipher_in_bytes = len - clear;
        job->hash_start_src_offset_in_bytes = 0;
        job->msg_len_to_hash_in_bytes = len + 4;
        job->iv = iv;
        job->iv_len_in_bytes = 16;
        job->auth_tag_output = packets[i] + len + 4;
        job->auth_tag_output_len_in_bytes = 12; /* its least; 10 are compared */
        job->u.HMAC._hashed_auth_key_xor_ipad = r->ipad;
        job->u.HMAC._hashed_auth_key_xor_opad = r->opad;
        job->cipher_mode = IMB_CIPHER_CNTR;
        job->cipher_direction = IMB_DIR_ENCRYPT;
        job->hash_alg = IMB_AUTH_HMAC_SHA_1;
        job->chain_order = IMB_ORDER_CIPHER_HASH;
        if (IMB_SUBMIT_JOB(r->mgr) != NULL)
            done++;
    }
    while (done < n && IMB_FLUSH_JOB(r->mgr) != NULL)
        done++;
}

void mb_gcm(struct rig *r, uint8_t *dst, const uint8_t *src, uint64_t clear, uint64_t len, const uint8_t *nonce)
{
    struct gcm_context_data ctx;

    memcpy(dst, src, clear);
    IMB_AES128_GCM_ENC(r->mgr, &r->gcm, &ctx, dst + clear, src + clear, len - clear, nonce, src, clear, dst + len, 16);
}
