package kernel

// GuestModules are the modules that a guest loads: those that the netns driver with
// nftables needs, and those of some scenarios.
var GuestModules = []string{
	"veth", "bridge",
	"nf_conntrack", "nf_conntrack_netlink", "nf_nat",
	"nf_tables", "nft_chain_nat", "nft_counter", "nft_ct", "nft_masq", "nft_nat",
	"nft_numgen",
}

// optionalModules are modules that only some scenarios need. A guest boots without them;
// the error of such a scenario then names the option that the kernel lacks.
var optionalModules = map[string]bool{
	"nft_numgen": true, // arms that remove a share, and services with several backends
}

// mergedModules are modules that later kernels have inside another module, without an
// entry in any list.
var mergedModules = map[string]bool{
	"nft_counter": true, // in nf_tables since 5.17
}

// configOptions is the kernel option of each of these modules and of each module that
// these depend on.
var configOptions = map[string]string{
	"bridge":               "CONFIG_BRIDGE",
	"crc32c_generic":       "CONFIG_CRYPTO_CRC32C",
	"libcrc32c":            "CONFIG_LIBCRC32C",
	"llc":                  "CONFIG_LLC",
	"nf_conntrack":         "CONFIG_NF_CONNTRACK",
	"nf_conntrack_netlink": "CONFIG_NF_CT_NETLINK",
	"nf_defrag_ipv4":       "CONFIG_NF_DEFRAG_IPV4",
	"nf_defrag_ipv6":       "CONFIG_NF_DEFRAG_IPV6",
	"nf_nat":               "CONFIG_NF_NAT",
	"nf_tables":            "CONFIG_NF_TABLES",
	"nfnetlink":            "CONFIG_NETFILTER_NETLINK",
	"nft_chain_nat":        "CONFIG_NFT_NAT",
	"nft_counter":          "CONFIG_NFT_COUNTER",
	"nft_ct":               "CONFIG_NFT_CT",
	"nft_masq":             "CONFIG_NFT_MASQ",
	"nft_nat":              "CONFIG_NFT_NAT",
	"nft_numgen":           "CONFIG_NFT_NUMGEN",
	"stp":                  "CONFIG_STP",
	"veth":                 "CONFIG_VETH",
}
