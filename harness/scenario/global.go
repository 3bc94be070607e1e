package scenario

import (
	"fmt"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"snatlab/harness/result"
	"snatlab/harness/scenario/strictyaml"
)

// globalSysctls are the sysctls that belong to the whole machine. The kernel shows
// them only in its first network namespace, or lets only that one set them. The list
// was read from the tables of the kernel's source that are registered with
// &init_net, or whose entries are read-only in other namespaces (up to Linux 6.18).
// machine.CheckSysctls reports before a run if a kernel does not have one of the
// other sysctls, or has it only for the whole machine.
var globalSysctls = []string{
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

func isGlobal(sysctl string) bool {
	return slices.Contains(globalSysctls, sysctl) ||
		slices.ContainsFunc(globalTables, func(table string) bool { return strings.HasPrefix(sysctl, table) })
}

// namespacedParts are the parts of each driver's lab that are not in the machine's
// first network namespace.
var namespacedParts = map[string][]string{
	result.DriverDocker: {"server", "clients"},
	result.DriverNetns:  {"router", "server", "clients"},
}

// findGlobalSettings returns the sysctls under root that a driver cannot set because
// they belong to the whole machine.
func findGlobalSettings(driver string, root *yaml.Node) (found []driverFault) {
	for _, part := range namespacedParts[driver] {
		for _, p := range (strictyaml.Path{"arms", "sysctls", part}).FindPairs(root) {
			if p.Value.Kind != yaml.MappingNode {
				continue
			}
			for i := 0; i < len(p.Value.Content); i += 2 {
				if key := p.Value.Content[i]; isGlobal(key.Value) {
					found = append(found, driverFault{key, fmt.Sprintf(
						"%s: belongs to the whole machine, and sysctls.%s of a %s lab are those of a network namespace; allowed in sysctls.router of a docker lab, which are the host's, with lab: {allow_host_sysctls: true}",
						key.Value, part, driver)})
				}
			}
		}
	}
	return found
}
