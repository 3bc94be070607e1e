package sysctl

import (
	"slices"
	"strings"
)

// global are the sysctls that belong to the whole machine. The kernel shows
// them only in its first network namespace, or lets only that one set them. The list
// was read from the tables of the kernel's source that are registered with
// &init_net, or whose entries are read-only in other namespaces (up to Linux 6.18).
// machine.CheckSysctls reports before a run if a kernel does not have one of the
// other sysctls, or has it only for the whole machine.
var global = []string{
	// net/core/sysctl_net_core.c
	"net.core.bpf_jit_enable", "net.core.bpf_jit_harden", "net.core.bpf_jit_kallsyms", "net.core.bpf_jit_limit",
	"net.core.busy_poll", "net.core.busy_read", "net.core.default_qdisc",
	"net.core.dev_weight", "net.core.dev_weight_rx_bias", "net.core.dev_weight_tx_bias",
	"net.core.devconf_inherit_init_net", "net.core.fb_tunnels_only_for_init_net",
	"net.core.flow_limit_cpu_bitmap", "net.core.flow_limit_table_len",
	"net.core.gro_normal_batch", "net.core.high_order_alloc_disable", "net.core.max_skb_frags", "net.core.mem_pcpu_rsv",
	"net.core.message_burst", "net.core.message_cost", "net.core.warnings",
	"net.core.netdev_budget", "net.core.netdev_budget_usecs", "net.core.netdev_max_backlog", "net.core.netdev_rss_key",
	"net.core.netdev_tstamp_prequeue", "net.core.netdev_unregister_timeout_secs",
	"net.core.rmem_default", "net.core.rmem_max", "net.core.wmem_default", "net.core.wmem_max",
	"net.core.rps_sock_flow_entries", "net.core.skb_defer_max",
	// net/ipv4/sysctl_net_ipv4.c, route.c, ip_fragment.c
	"net.ipv4.fib_sync_mem", "net.ipv4.inet_peer_maxttl", "net.ipv4.inet_peer_minttl", "net.ipv4.inet_peer_threshold",
	"net.ipv4.ipfrag_secret_interval", "net.ipv4.tcp_allowed_congestion_control", "net.ipv4.tcp_low_latency",
	"net.ipv4.tcp_max_orphans", "net.ipv4.tcp_mem", "net.ipv4.udp_mem",
	"net.ipv4.cipso_cache_bucket_size", "net.ipv4.cipso_cache_enable", "net.ipv4.cipso_rbm_optfmt", "net.ipv4.cipso_rbm_strictvalid",
	"net.ipv4.route.error_burst", "net.ipv4.route.error_cost", "net.ipv4.route.gc_elasticity", "net.ipv4.route.gc_interval",
	"net.ipv4.route.gc_min_interval", "net.ipv4.route.gc_min_interval_ms", "net.ipv4.route.gc_thresh", "net.ipv4.route.gc_timeout",
	"net.ipv4.route.max_size", "net.ipv4.route.redirect_load", "net.ipv4.route.redirect_number", "net.ipv4.route.redirect_silence",
	// net/ipv6/sysctl_net_ipv6.c, reassembly.c
	"net.ipv6.calipso_cache_bucket_size", "net.ipv6.calipso_cache_enable", "net.ipv6.ip6frag_secret_interval",
	"net.ipv6.mld_max_msf", "net.ipv6.mld_qrv",
	// net/netfilter/nf_conntrack_standalone.c, nf_log.c
	"net.netfilter.nf_conntrack_max", "net.netfilter.nf_conntrack_buckets", "net.netfilter.nf_conntrack_expect_max",
	"net.netfilter.nf_log_all_netns", "net.nf_conntrack_max",
}

// globalTables are prefixes of such sysctls: the defaults of neighbours hold the
// limits of the one table that all namespaces share (net/core/neighbour.c).
var globalTables = []string{"net.ipv4.neigh.default.", "net.ipv6.neigh.default."}

// IsGlobal reports whether a sysctl belongs to the whole machine.
func IsGlobal(name string) bool {
	return slices.Contains(global, name) ||
		slices.ContainsFunc(globalTables, func(table string) bool { return strings.HasPrefix(name, table) })
}
