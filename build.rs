//! Binds Asterisk: compiles `include/shim.c` and generates `src/ffi/sys.rs`'s contents from the headers of the Asterisk
//! that the module is for (`asterisk-headers/fetched`, made by `make headers`).

use std::path::{Path, PathBuf};
use std::{env, fs};

/// How Asterisk compiles a module that is called `res_ciphertrunk`. What pjproject's headers want is in `DEFINES` beside
/// them.
const DEFINES: [&str; 3] = [
    "_GNU_SOURCE",
    "AST_MODULE=\"res_ciphertrunk\"",
    "AST_MODULE_SELF_SYM=__internal_res_ciphertrunk_self",
];

/// What `src/ffi` uses of Asterisk's core, and nothing else.
const FUNCTIONS: &[&str] = &[
    "ct_.*",
    "ast_log",
    "ast_get_version",
    "ast_manager_unregister",
    "astman_(append|get_header|send_ack|send_error|send_listack)",
    "astman_send_list_complete_(start|end)",
    "ast_cli",
    "ast_cli_completion_add",
    "ast_cli_unregister_multiple",
    "ast_config_load2",
    "ast_config_destroy",
    "ast_category_browse",
    "ast_variable_browse",
    "ast_unload_resource",
    "ast_module_check",
    "ast_shutting_down",
    "ast_update_module_list",
    "ast_rtp_engine_(un)?register_srtp",
    "ast_rtp_instance_add_srtp_policy",
    "ast_rtp_instance_get_srtp",
    "ast_rtp_instance_get_(prop|ssrc)",
    "ast_rtp_instance_get_channel_id",
    "ast_rtp_instance_(get_glue|change_source|extmap_count)",
    "ast_rtp_instance_get_incoming_source_address",
    "ast_sockaddr_(parse|stringify_fmt)",
    "ast_named_acl_find",
    "ast_(apply|free)_ha",
    "ast_sdp_crypto_(un)?register",
    "ast_sdp_srtp_(alloc|destroy)",
    // Calls
    "ast_channel_(bridge_peer|get_by_name|hangupcause_set|name|sched|set_unbridged|tech|tech_pvt|uniqueid)",
    "ast_channel_iterator_(all_new|next|destroy)",
    "ast_channel_(linkedid|datastore_find|datastore_add)",
    "__ast_bridge_technology_register",
    "ast_bridge_technology_unregister",
    "ast_check_hangup",
    "ast_custom_function_unregister",
    "ast_func_(read|write)",
    "ast_get_channel_tech",
    "pbx_builtin_setvar_helper",
    "ast_channel_snapshot_get_latest",
    "ast_codec_media_type2str",
    "ast_stream_(get_state|topology_get_count|topology_get_stream)",
    "ast_queue_hangup",
    "ast_set_hangupsource",
    // Configuration
    "ast_sorcery_retrieve_by_(fields|id)",
    "ast_sorcery_object_get_(created|id)",
    "ast_sorcery_objectset_create2",
    "ast_sorcery_instance_observer_(add|remove)",
    "ast_variables_destroy",
    "__ao2_(ref|cleanup)",
    "ao2_iterator_(init|destroy)",
    "__ao2_iterator_next",
];

/// What `src/ffi` and `include/shim_pjsip.c` use of res_pjsip, res_pjsip_session and pjproject: all of it, for the linker must
/// see none (`include/late.h`). Where branches name one differently, each name is here.
const LATE_FUNCTIONS: &[&str] = &[
    // Asterisk's own, and what the macros of its headers call
    "(__)?ast_sip_push_task(_wait_servant)?",
    "ast_sip_(un)?register_service",
    "ast_sip_location_retrieve_aor(_contacts)?",
    "ast_sip_session_terminate",
    "ast_sip_get_(pjsip_endpoint|sorcery|transport_states?)",
    "ast_sip_session_(refresh|register_supplement_with_module|unregister_supplement)",
    // pjlib
    "pj_atomic_(create|destroy)",
    "pj_get_version",
    "pj_gettimeofday",
    "pj_grp_lock_(create|add_ref|dec_ref|add_handler|tryacquire|release)",
    "pj_lock_(create_recursive_mutex|destroy)",
    "pj_pool_(alloc|reset)",
    "pj_thread_(register|is_registered)",
    // pjmedia
    "pjmedia_sdp_neg_(get_state|get_neg_remote|get_active_(local|remote)|was_answer_remote)",
    // pjsip
    "pjsip_endpt_(create|release)_pool",
    "pjsip_endpt_create_request",
    "pjsip_endpt_respond_stateless",
    "pjsip_endpt_get_tpmgr",
    "pjsip_get_options_method",
    "pjsip_tpmgr_(register_tpfactory|unregister_tpfactory|receive_packet|get_state_cb)",
    "pjsip_transport_(register|destroy|add_ref|dec_ref|shutdown|get_type_name|get_flag_from_type)",
    "pjsip_tls_transport_start2",
    "pjsip_tx_data_(encode|dec_ref)",
];
const TYPES: &[&str] = &[
    "ast_srtp_res",
    "ast_srtp_policy_res",
    "ast_sdp_crypto_api",
    "ast_sdp_srtp",
    "ast_srtp_suite",
    "ast_rtp_property",
    "ast_cli_command",
    "ct_constant",
    "ct_security_event",
    "ast_security_event_type",
    "ast_sorcery_(retrieve|field_handler)_flags",
    "ast_sip_(channel_pvt|session|session_media|session_supplement)",
    "ast_sip_(supplement_priority|session_response_priority|session_refresh_method)",
    "ast_sip_transport_state",
    "ast_sorcery_instance_observer",
    "pjsip_(module|role_e|transport_flags_e|transport|tpfactory|rx_data|tx_data|tls_state_info|transport_state_info|transport_state|transaction|event)",
    "pj_ssl_(sock_info|cert_info|cert_verify_flag_t|cert_name_type)",
    "ast_cli_entry",
    "ast_cli_args",
    "ast_custom_function",
    "ast_bridge_(capability|technology)",
    "ast_datastore(_info)?",
    "ast_channel_tech",
    "ast_stream_state",
    "ast_t38_state",
    "ast_(acl_sense|parse_flags)",
];
const VARIABLES: &[&str] = &[
    "res_srtp",
    "res_srtp_policy",
    "ast_config_AST_CONFIG_DIR",
    "ct_built_.*",
    "__LOG_.*",
    "AST_CAUSE_BEARERCAPABILITY_NOTAVAIL",
    "AST_OPTION_(SECURE_.*|T38_STATE)",
    "AST_SRTP_CRYPTO_.*",
    "AST_SOCKADDR_STR_.*",
    "CLI_.*",
    "EVENT_FLAG_(SYSTEM|REPORTING)",
    "CT_SECURE_.*",
    "RESULT_.*",
];

/// What the core's headers differ in, and the `cfg` that says that these have it.
const CORE_DIFFERENCES: &[(&str, Has)] = &[(
    "channel_snapshot_has_base",
    Has::Field("ast_channel_snapshot", "base"),
)];

/// The same of res_pjsip's and pjproject's.
const DIFFERENCES: &[(&str, Has)] = &[
    (
        "pjsip_has_addr_name",
        Has::Field("pjsip_tpfactory", "has_addr_name"),
    ),
    (
        "pj_has_weak_signature",
        Has::Constant("PJ_SSL_CERT_EWEAK_SIGNATURE"),
    ),
    (
        "transport_state_has_file_times",
        Has::Field("ast_sip_transport_state", "cert_file_stat"),
    ),
];

/// What may be found in the bindings.
enum Has {
    /// A structure with a field.
    Field(&'static str, &'static str),
    /// A constant, of an enumeration for one.
    Constant(&'static str),
}

impl Has {
    fn is_in(&self, bindings: &str) -> bool {
        match self {
            Self::Field(structure, field) => {
                let start = format!("pub struct {structure} {{");
                let (_, behind) = bindings
                    .split_once(&start)
                    .unwrap_or_else(|| panic!("the bindings have no structure {structure}"));
                let (fields, _) = behind.split_once("\n}").expect("a structure ends");
                fields.contains(&format!("pub {field}:"))
            }
            Self::Constant(name) => bindings.contains(&format!("pub const {name}:")),
        }
    }
}

fn main() {
    println!("cargo::rerun-if-env-changed=CIPHERTRUNK_HEADERS");
    println!("cargo::rerun-if-changed=include");
    let manifest = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    let headers = env::var_os("CIPHERTRUNK_HEADERS")
        .map_or_else(|| manifest.join("asterisk-headers/fetched"), PathBuf::from);
    println!(
        "cargo::rerun-if-changed={}",
        headers.join("MANIFEST").display()
    );
    let version = asterisk_version(&headers);
    println!("cargo::rustc-env=CIPHERTRUNK_ASTERISK_VERSION={version}");

    // As system headers: they are not clean under our warnings.
    let mut flags: Vec<String> = vec![
        format!("-I{}", manifest.join("include").display()),
        format!("-isystem{}", headers.join("asterisk").display()),
        format!("-isystem{}", headers.join("pjproject").display()),
    ];
    flags.extend(DEFINES.iter().map(|define| format!("-D{define}")));
    let pjsip = env::var_os("CARGO_FEATURE_PJSIP").is_some();
    if pjsip {
        flags.extend(pjproject_defines(&headers));
        flags.push("-DCT_PJSIP".to_owned());
    }
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it"));
    let bindings = bindings(&flags);
    differences(CORE_DIFFERENCES, &bindings);
    if pjsip {
        differences(DIFFERENCES, &bindings);
        fs::write(out.join("late_names.h"), late_names(&bindings)).expect("OUT_DIR can be written");
    }
    fs::write(out.join("sys.rs"), bindings).expect("OUT_DIR can be written");
    flags.push(format!("-I{}", out.display()));
    compile_shim(&flags, pjsip);
}

/// A line for each function that is found at load (`include/late.c`), as these headers name it.
fn late_names(bindings: &str) -> String {
    let ours = ["pj", "ast_sip_", "__ast_sip_"];
    bindings
        .lines()
        .filter_map(|line| line.trim_start().strip_prefix("pub fn ")?.split('(').next())
        .filter(|name| ours.iter().any(|prefix| name.starts_with(prefix)))
        .enumerate()
        .map(|(index, name)| format!("LATE({name}, {index})\n"))
        .collect()
}

/// Says what these headers have of what differs.
fn differences(all: &[(&str, Has)], bindings: &str) {
    for (name, has) in all {
        println!("cargo::rustc-check-cfg=cfg({name})");
        if has.is_in(bindings) {
            println!("cargo::rustc-cfg={name}");
        }
    }
}

/// A line each of what pjproject is compiled with.
fn pjproject_defines(headers: &Path) -> Vec<String> {
    let defines = headers.join("DEFINES");
    let text = fs::read_to_string(&defines).unwrap_or_else(|error| {
        panic!(
            "no pjproject in these headers: {}: {error}. Run `make headers` again, or build the SRTP half alone: \
             `make module PJSIP=no`",
            defines.display()
        )
    });
    text.lines().map(|line| format!("-D{line}")).collect()
}

/// The version in the first line of the manifest that `asterisk-headers/fetch.sh` writes.
fn asterisk_version(headers: &Path) -> String {
    let manifest = headers.join("MANIFEST");
    let text = fs::read_to_string(&manifest).unwrap_or_else(|error| {
        panic!(
            "no Asterisk headers: {}: {error}. Run `make headers` first.",
            manifest.display()
        )
    });
    let version = text.lines().find_map(|line| line.strip_prefix("version "));
    version
        .unwrap_or_else(|| panic!("{} has no `version` line", manifest.display()))
        .to_owned()
}

fn compile_shim(flags: &[String], pjsip: bool) {
    let files = [
        "include/shim.c",
        "include/cdr.c",
        "include/bridge.c",
        "include/prometheus.c",
        "include/security.c",
        "include/shim_pjsip.c",
        "include/late.c",
    ];
    // The whole archive: nothing refers to the constructor that registers the module.
    cc::Build::new()
        .files(&files[..if pjsip { 7 } else { 5 }])
        .flags(flags)
        .warnings(true)
        .std("gnu11")
        .link_lib_modifier("+whole-archive")
        .compile("ciphertrunk_shim");
}

fn bindings(flags: &[String]) -> String {
    let mut builder = bindgen::Builder::default()
        .header("include/wrapper.h")
        // Asterisk's headers use clang's blocks for RAII_VAR.
        .clang_arg("-fblocks")
        .clang_args(flags)
        .default_enum_style(bindgen::EnumVariation::Consts)
        .prepend_enum_name(false)
        .generate_comments(false)
        .layout_tests(true)
        .merge_extern_blocks(true)
        .rust_edition(bindgen::RustEdition::Edition2024)
        // Lines are read of it (`Has`, `late_names`), and rustfmt is not everywhere.
        .formatter(bindgen::Formatter::Prettyplease)
        .parse_callbacks(Box::new(bindgen::CargoCallbacks::new()));
    for pattern in FUNCTIONS.iter().chain(LATE_FUNCTIONS) {
        builder = builder.allowlist_function(pattern);
    }
    for pattern in TYPES {
        builder = builder.allowlist_type(pattern);
    }
    for pattern in VARIABLES {
        builder = builder.allowlist_var(pattern);
    }
    if env::var_os("CARGO_FEATURE_TEST_HOOKS").is_some() {
        builder = builder.allowlist_function("ast_rtp_instance_set_prop");
    }
    builder
        .generate()
        .expect("bindgen reads Asterisk's headers")
        .to_string()
}
