package machine

import (
	"bytes"
	"compress/gzip"
	"errors"
	"os"
	"runtime"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"snatlab/harness/result"
)

// newFileTree returns a machine with these files.
func newFileTree(files map[string]string) fileTree {
	root := fstest.MapFS{}
	for path, text := range files {
		root[path] = &fstest.MapFile{Data: []byte(text)}
	}
	return fileTree{root}
}

// Files that say which machine it is.
const (
	cpuInfoFile = "proc/cpuinfo"
	vendorFile  = "sys/class/dmi/id/sys_vendor"
	productFile = "sys/class/dmi/id/product_name"
	clockFile   = "sys/devices/system/clocksource/clocksource0/available_clocksource"
	treeFile    = "proc/device-tree/compatible"
)

// Two CPUs of a laptop, the second one as it is.
const intelMetal = `processor	: 0
vendor_id	: GenuineIntel
cpu family	: 6
model		: 142
model name	: Intel(R) Core(TM) i7-8550U CPU @ 1.80GHz
stepping	: 10
flags		: fpu vme de pse tsc msr pae mce cx8 apic sep mtrr vmx est tm2 ssse3 sdbg fma
bugs		: cpu_meltdown spectre_v1 spectre_v2
power management:

processor	: 1
vendor_id	: GenuineIntel
cpu family	: 6
model		: 142
model name	: Intel(R) Core(TM) i7-8550U CPU @ 1.80GHz
stepping	: 10
flags		: fpu vme de pse tsc msr pae mce cx8 apic sep mtrr vmx est tm2 ssse3 sdbg fma
bugs		: cpu_meltdown spectre_v1 spectre_v2
power management:

`

const intelGuest = `processor	: 0
vendor_id	: GenuineIntel
cpu family	: 6
model		: 167
model name	: Intel(R) Xeon(R) Processor
stepping	: 1
flags		: fpu vme de pse tsc msr pae mce aes xsave avx f16c rdrand hypervisor lahf_lm abm
bugs		: spectre_v1 spectre_v2
power management:

`

const amdMetal = `processor	: 0
vendor_id	: AuthenticAMD
cpu family	: 25
model		: 1
model name	: AMD EPYC 7763 64-Core Processor
stepping	: 1
flags		: fpu vme de pse tsc msr pae mce svm extapic cr8_legacy abm sse4a
TLB size	: 2560 4K pages
power management: ts ttp tm hwpstate cpb eff_freq_ro [13] [14]

`

var amdGuest = strings.Replace(amdMetal, " svm ", " hypervisor ", 1)

const neoverseN1 = `processor	: 0
BogoMIPS	: 243.75
Features	: fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp ssbs
CPU implementer	: 0x41
CPU architecture: 8
CPU variant	: 0x3
CPU part	: 0xd0c
CPU revision	: 1

processor	: 1
BogoMIPS	: 243.75
Features	: fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp ssbs
CPU implementer	: 0x41
CPU architecture: 8
CPU variant	: 0x3
CPU part	: 0xd0c
CPU revision	: 1

`

const raspberryPi4 = `processor	: 0
BogoMIPS	: 108.00
Features	: fp asimd evtstrm crc32 cpuid
CPU implementer	: 0x41
CPU architecture: 8
CPU variant	: 0x0
CPU part	: 0xd08
CPU revision	: 3

Hardware	: BCM2835
Revision	: c03112
Serial		: 100000004d3f2a1b
Model		: Raspberry Pi 4 Model B Rev 1.2
`

// Each model of CPU is named once.
func TestCPUModel(t *testing.T) {
	t.Parallel()
	const twoKinds = "processor\t: 0\nCPU implementer\t: 0x41\nCPU variant\t: 0x0\nCPU part\t: 0xd03\nCPU revision\t: 4\n\n" +
		"processor\t: 1\nCPU implementer\t: 0x41\nCPU variant\t: 0x0\nCPU part\t: 0xd09\nCPU revision\t: 2\n\n"
	for _, test := range []struct{ name, info, want string }{
		{"Intel", intelMetal, "Intel(R) Core(TM) i7-8550U CPU @ 1.80GHz"},
		{"Intel, padded", "processor\t: 0\nmodel name\t: Intel(R) Xeon(R) CPU           E5620  @ 2.40GHz\n", "Intel(R) Xeon(R) CPU E5620 @ 2.40GHz"},
		{"AMD", amdMetal, "AMD EPYC 7763 64-Core Processor"},
		{"ARM server", neoverseN1, "Neoverse-N1 r3p1"},
		{"ARM board", raspberryPi4, "Cortex-A72 r0p3"},
		{"ARM, two kinds, one of them without a name here", twoKinds, "Cortex-A53 r0p4, implementer 0x41 part 0xd09 r0p2"},
		{"ARM, as a 32-bit process sees it", "processor\t: 0\nmodel name\t: ARMv8 Processor rev 3 (v8l)\n" +
			"CPU implementer\t: 0x41\nCPU variant\t: 0x0\nCPU part\t: 0xd08\nCPU revision\t: 3\n", "Cortex-A72 r0p3"},
		{"Apple, virtual", "processor\t: 0\nCPU implementer\t: 0x61\nCPU variant\t: 0x0\nCPU part\t: 0x000\nCPU revision\t: 0\n", "implementer 0x61 part 0x000 r0p0"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if diff := cmp.Diff(&test.want, newFileTree(map[string]string{cpuInfoFile: test.info}).cpuModel()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// The hypervisor is named.
func TestVirtualisation(t *testing.T) {
	t.Parallel()
	const i440fx = "Standard PC (i440FX + PIIX, 1996)"
	for _, test := range []struct {
		name, cpus, vendor, product, clocks string
		also                                map[string]string
		want                                string // empty: unknown
	}{
		{name: "laptop", cpus: intelMetal, vendor: "LENOVO", product: "20L7CTO1WW", clocks: "tsc hpet acpi_pm", want: "none"},
		{name: "server", cpus: amdMetal, vendor: "Supermicro", product: "AS -1114S-WN10RT", clocks: "tsc hpet acpi_pm", want: "none"},
		{name: "Microsoft's laptop", cpus: intelMetal, vendor: "Microsoft Corporation", product: "Surface Laptop", clocks: "tsc hpet acpi_pm", want: "none"},
		{name: "EC2, metal", cpus: intelMetal, vendor: "Amazon EC2", product: "m5.metal", clocks: "tsc hpet acpi_pm", want: "none"},
		{name: "EC2, metal, in sizes", cpus: intelMetal, vendor: "Amazon EC2", product: "m7i.metal-24xl", clocks: "tsc hpet acpi_pm", want: "none"},
		{name: "EC2, metal, arm64", cpus: neoverseN1, vendor: "Amazon EC2", product: "m6g.metal", clocks: "arch_sys_counter", want: "none"},
		{name: "Google, metal", cpus: intelMetal, vendor: "Google", product: "Google Compute Engine", clocks: "tsc acpi_pm", want: "none"},

		{name: "KVM", cpus: amdGuest, vendor: "QEMU", product: i440fx, clocks: "kvm-clock tsc acpi_pm", want: "kvm"},
		{name: "KVM, Red Hat", cpus: intelGuest, vendor: "Red Hat", product: "KVM", clocks: "kvm-clock tsc acpi_pm", want: "kvm"},
		{name: "KVM, a cloud's own name", cpus: amdGuest, vendor: "Hetzner", product: "vServer", clocks: "kvm-clock tsc acpi_pm", want: "kvm"},
		{name: "KVM, arm64", cpus: neoverseN1, vendor: "QEMU", product: "KVM Virtual Machine", clocks: "arch_sys_counter", want: "kvm"},
		{name: "QEMU without KVM", cpus: amdGuest, vendor: "QEMU", product: i440fx, clocks: "tsc hpet acpi_pm", want: "qemu"},
		{name: "QEMU without KVM, arm64", cpus: neoverseN1, vendor: "QEMU", product: "QEMU Virtual Machine", clocks: "arch_sys_counter", want: "qemu"},
		{name: "Firecracker", cpus: intelGuest, clocks: "tsc kvm-clock \n", want: "kvm"},
		{name: "Firecracker, kernel without guest support", cpus: intelGuest, clocks: "tsc", want: "vm-other"},
		{name: "Firecracker, arm64", cpus: neoverseN1, clocks: "arch_sys_counter",
			also: map[string]string{treeFile: "linux,dummy-virt\x00"}, want: "vm-other"},
		{name: "EC2, Nitro", cpus: intelGuest, vendor: "Amazon EC2", product: "t3.micro", clocks: "kvm-clock tsc acpi_pm", want: "amazon"},
		{name: "EC2, Nitro, arm64", cpus: neoverseN1, vendor: "Amazon EC2", product: "m6g.large", clocks: "arch_sys_counter", want: "amazon"},
		{name: "EC2, Xen", cpus: intelGuest, vendor: "Xen", product: "HVM domU", clocks: "xen tsc hpet acpi_pm",
			also: map[string]string{"sys/hypervisor/type": "xen\n"}, want: "xen"},
		{name: "Xen, kernel without /sys/hypervisor", cpus: intelGuest, vendor: "Xen", product: "HVM domU", clocks: "xen tsc", want: "xen"},
		{name: "Google", cpus: amdGuest, vendor: "Google", product: "Google Compute Engine", clocks: "kvm-clock tsc acpi_pm", want: "google"},
		{name: "VMware", cpus: intelGuest, vendor: "VMware, Inc.", product: "VMware Virtual Platform", clocks: "tsc hpet acpi_pm", want: "vmware"},
		{name: "VMware with UEFI", cpus: amdGuest, vendor: "VMware, Inc.", product: "VMware20,1", clocks: "tsc hpet acpi_pm", want: "vmware"},
		{name: "VMware, flag hidden", cpus: intelMetal, vendor: "VMware, Inc.", product: "VMware7,1", clocks: "tsc hpet acpi_pm", want: "vmware"},
		{name: "Azure", cpus: intelGuest, vendor: "Microsoft Corporation", product: "Virtual Machine", clocks: "hyperv_clocksource_tsc_page acpi_pm", want: "microsoft"},
		{name: "WSL", cpus: amdGuest, clocks: "tsc hyperv_clocksource_tsc_page hyperv_clocksource_msr acpi_pm", want: "microsoft"},
		{name: "VirtualBox, with KVM's clock", cpus: intelGuest, vendor: "innotek GmbH", product: "VirtualBox", clocks: "kvm-clock tsc acpi_pm", want: "oracle"},
		{name: "Apple", cpus: neoverseN1, vendor: "Apple Inc.", product: "Apple Virtualization Generic Platform", clocks: "arch_sys_counter", want: "apple"},

		{name: "board", cpus: raspberryPi4, also: map[string]string{treeFile: "raspberrypi,4-model-b\x00brcm,bcm2711\x00"}, want: "none"},
		{name: "Xen on a board", cpus: neoverseN1, also: map[string]string{
			treeFile: "xen,xenvm-4.17\x00xen,xenvm\x00", "proc/device-tree/hypervisor/compatible": "xen,xen-4.17\x00xen,xen\x00"}, want: "xen"},
		{name: "KVM that says so in the tree", cpus: neoverseN1, also: map[string]string{"proc/device-tree/hypervisor/compatible": "linux,kvm\x00"}, want: "kvm"},
		{name: "VMware that says so in the tree", cpus: neoverseN1, also: map[string]string{"proc/device-tree/hypervisor/compatible": "vmware\x00"}, want: "vmware"},
		{name: "QEMU without firmware, arm64", cpus: neoverseN1, also: map[string]string{
			treeFile: "linux,dummy-virt\x00", "proc/device-tree/fw-cfg@9020000/compatible": "qemu,fw-cfg-mmio\x00"}, want: "qemu"},
		{name: "ARM server, which may as well be a cloud's", cpus: neoverseN1, vendor: "Hetzner", product: "vServer", clocks: "arch_sys_counter"},
		{name: "nothing to read"},
	} {
		t.Run(test.name, func(t *testing.T) {
			files := map[string]string{cpuInfoFile: test.cpus}
			if test.vendor != "" {
				files[vendorFile], files[productFile] = test.vendor+"\n", test.product+"\n"
			}
			if test.clocks != "" {
				files[clockFile] = test.clocks
			}
			for path, text := range test.also {
				files[path] = text
			}
			if diff := cmp.Diff(nilIfEmpty(test.want), newFileTree(files).virtualisation()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// CPUs in a list are counted.
func TestCountCPUs(t *testing.T) {
	t.Parallel()
	for list, want := range map[string]int{
		"0": 1, "0-1": 2, "0-3,8": 5, "0,2,4-7,127": 7, "10-12": 3,
		"": 0, "all": 0, "3-1": 0, "0-": 0, "0,": 0, "-1": 0,
	} {
		if got := countCPUs(list); got != want {
			t.Errorf("%q has %d CPUs, want %d", list, got, want)
		}
	}
}

// Each governor is named once.
func TestGovernor(t *testing.T) {
	t.Parallel()
	const cpu = "sys/devices/system/cpu/"
	for _, test := range []struct {
		name  string
		files map[string]string
		want  string
	}{
		{"none", map[string]string{cpu + "online": "0-1\n"}, ""},
		{"one", map[string]string{cpu + "cpu0/cpufreq/scaling_governor": "performance\n", cpu + "cpu10/cpufreq/scaling_governor": "performance\n"}, "performance"},
		{"two", map[string]string{cpu + "cpu0/cpufreq/scaling_governor": "schedutil\n", cpu + "cpu1/cpufreq/scaling_governor": "performance\n",
			cpu + "cpu2/cpufreq/scaling_governor": "schedutil\n"}, "performance, schedutil"},
		{"CPU offline", map[string]string{cpu + "cpu0/cpufreq/scaling_governor": "powersave\n", cpu + "cpu1/cpufreq/scaling_governor": ""}, "powersave"},
		{"not a CPU's", map[string]string{cpu + "cpufreq/policy0/scaling_governor": "powersave\n", cpu + "cpuidle/current_governor": "menu\n"}, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			if diff := cmp.Diff(nilIfEmpty(test.want), newFileTree(test.files).governor()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// The kernel's configuration is hashed.
func TestKernelConfig(t *testing.T) {
	t.Parallel()
	const release, file = "6.1.0-18-amd64", "boot/config-6.1.0-18-amd64"
	const config, hash = "CONFIG_NF_CONNTRACK=m\n", "sha256:ba875ca4b6f0"
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	if _, err := w.Write([]byte(config)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	whole := packed.String()
	for _, test := range []struct {
		name  string
		files map[string]string
		want  string
	}{
		{"the kernel's own", map[string]string{"proc/config.gz": whole}, hash},
		{"the distribution's", map[string]string{file: config}, hash},
		{"both: the kernel's own", map[string]string{"proc/config.gz": whole, file: "of another build"}, hash},
		{"cut off", map[string]string{"proc/config.gz": whole[:len(whole)-1]}, ""},
		{"cut off: the distribution's", map[string]string{"proc/config.gz": whole[:len(whole)-1], file: config}, hash},
		{"another kernel's", map[string]string{"boot/config-6.1.0-17-amd64": config}, ""},
		{"neither", nil, ""},
		{"empty", map[string]string{"proc/config.gz": "", file: ""}, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			if diff := cmp.Diff(nilIfEmpty(test.want), newFileTree(test.files).kernelConfig(release)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// Memory and load are read.
func TestMemoryAndLoad(t *testing.T) {
	t.Parallel()
	f := newFileTree(map[string]string{
		"proc/meminfo": "MemTotal:       24684084 kB\nMemFree:        23978184 kB\n",
		"proc/loadavg": "0.44 0.61 1.39 2/115 16232\n",
	})
	if diff := cmp.Diff(new(uint64(24684084*1024)), f.memoryTotal()); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(&[3]float64{0.44, 0.61, 1.39}, f.loadAverage()); diff != "" {
		t.Error(diff)
	}
}

// A fact that cannot be read is unknown.
func TestUnknownFacts(t *testing.T) {
	t.Parallel()
	for name, f := range map[string]fileTree{
		"no files": newFileTree(nil),
		"empty files": newFileTree(map[string]string{cpuInfoFile: "", "proc/meminfo": "", "proc/loadavg": "", clockFile: "", vendorFile: "", productFile: "",
			"sys/devices/system/cpu/online": "", "sys/hypervisor/type": "", treeFile: ""}),
		"nonsense": newFileTree(map[string]string{cpuInfoFile: "\x00\n\n:\n", "proc/meminfo": "MemTotal: much\n", "proc/loadavg": "0.44 0.61",
			"sys/devices/system/cpu/online": "some"}),
	} {
		t.Run(name, func(t *testing.T) {
			got := result.Env{
				KernelConfig: f.kernelConfig("6.1"), CPUModel: f.cpuModel(), CPUsOnline: f.cpusOnline(), Governor: f.governor(),
				Virtualisation: f.virtualisation(), MemoryTotal: f.memoryTotal(), Load: f.loadAverage(),
			}
			if diff := cmp.Diff(result.Env{CPUsOnline: runtime.NumCPU()}, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// The facts of this machine are read.
func TestReadFacts(t *testing.T) {
	t.Parallel()
	env := ReadFacts("netns")
	if env.Driver != "netns" || env.Arch != runtime.GOARCH || env.Kernel == "" || env.KernelVersion == "" {
		t.Errorf("unknown facts: %+v", env)
	}
	if env.CPUsOnline < 1 || env.MemoryTotal == nil || env.Load == nil {
		t.Errorf("every Linux has these in /proc and /sys: %+v", env)
	}
}

// Sysctls are read by name.
func TestReadSysctls(t *testing.T) {
	t.Parallel()
	f := newFileTree(map[string]string{
		"proc/sys/net/ipv4/ip_local_port_range":        "32768\t60999\n",
		"proc/sys/net/core/somaxconn":                  "4096\n",
		"proc/sys/net/ipv4/conf/eth0.1/forwarding":     "1\n",
		"proc/sys/net/ipv4/tcp_fastopen_key":           "\n",
		"proc/sys/net/netfilter/nf_conntrack_checksum": "1\n",
	})
	want := map[string]string{
		"net.ipv4.ip_local_port_range":    "32768 60999",
		"net.core.somaxconn":              "4096",
		"net.ipv4.conf.eth0/1.forwarding": "1",
		"net.ipv4.tcp_fastopen_key":       "",
	}
	got := f.readSysctls([]string{"net.ipv4.ip_local_port_range", "net.core.somaxconn", "net.ipv4.conf.eth0/1.forwarding", "net.ipv4.tcp_fastopen_key",
		"net.netfilter.nf_conntrack_max", "net..ipv4", "", "/../../etc/passwd"})
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// The sysctls are those of the thread's namespace.
func TestReadRaceSysctls(t *testing.T) {
	const name, file, other = "net.ipv4.ip_local_port_range", "/proc/sys/net/ipv4/ip_local_port_range", "net.ipv4.tcp_syn_retries"
	before := ReadRaceSysctls()[name]
	var inside map[string]string
	err := doInNewNamespace(func() error {
		err := os.WriteFile(file, []byte("40000 40999"), 0)
		inside = hostFiles.readSysctls(append([]string{other}, raceSysctls...))
		return err
	})
	if errors.Is(err, os.ErrPermission) && (testing.Short() || os.Getenv("CI") != "true") {
		t.Skipf("%v (this test needs root)", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	if inside[name] != "40000 40999" || inside[other] == "" || inside["net.ipv4.ip_forward"] == "" {
		t.Errorf("inside: %v", inside)
	}
	if after := ReadRaceSysctls()[name]; after != before || after == "" {
		t.Errorf("outside: %q, was %q", after, before)
	}
}
