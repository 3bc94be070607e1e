package lab

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"snatlab/harness/result"
)

// The record of the machine that a lab is on: what it takes to say, later, why
// two results differ. All of it is read from files that any user may read, and
// what they do not tell is left unknown.

// Environment starts the record of the machine and the lab. The load is that of
// now: drivers call it before they build anything.
func Environment(driver string) result.Env {
	m := machine{os.DirFS("/")}
	release, version := uname()
	return result.Env{
		Kernel:         release,
		KernelVersion:  version,
		KernelConfig:   m.kernelConfig(release),
		Arch:           runtime.GOARCH,
		CPUModel:       m.cpuModel(),
		CPUsOnline:     m.cpusOnline(),
		Governor:       m.governor(),
		Virtualisation: m.virtualisation(),
		MemoryTotal:    m.memoryTotal(),
		Load:           m.load(),
		Driver:         driver,
	}
}

// raceSysctls are those that decide whether the race is hit, how long its traces
// stay, and what a client sees of it.
var raceSysctls = []string{
	"net.core.rps_default_mask",      // Linux 6.3
	"net.core.rps_sock_flow_entries", // of the first namespace only
	"net.core.somaxconn",
	"net.ipv4.ip_forward",
	"net.ipv4.ip_local_port_range",
	"net.ipv4.tcp_timestamps",
	"net.ipv4.tcp_tw_reuse",
	"net.netfilter.nf_conntrack_buckets",
	"net.netfilter.nf_conntrack_checksum",
	"net.netfilter.nf_conntrack_max",
	"net.netfilter.nf_conntrack_tcp_be_liberal",
	"net.netfilter.nf_conntrack_tcp_timeout_close",
	"net.netfilter.nf_conntrack_tcp_timeout_syn_sent",
	"net.netfilter.nf_conntrack_tcp_timeout_time_wait",
}

// Sysctls reads those that matter for the race, and others by name, in the
// network namespace of the calling thread. Values with several fields have one
// space between them. Those that the kernel or the namespace does not have are
// left out.
func Sysctls(others ...string) map[string]string {
	return machine{os.DirFS("/")}.sysctls(slices.Concat(raceSysctls, others))
}

func uname() (release, version string) {
	var uts unix.Utsname
	_ = unix.Uname(&uts) // cannot fail with a valid pointer
	return unix.ByteSliceToString(uts.Release[:]), unix.ByteSliceToString(uts.Version[:])
}

// machine is what the files below root, those of /proc, /sys and /boot, say of one.
type machine struct{ root fs.FS }

// read gives the text of a small file. One that cannot be read is empty.
func (m machine) read(path string) string {
	text, _ := fs.ReadFile(m.root, path)
	return strings.Trim(string(text), " \t\n\x00") // device tree strings end in a NUL
}

// known makes unknown of what is empty.
func known(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// sysctls reads them by name. As in sysctl(8), a slash in a name is a dot in
// the path: net.ipv4.conf.eth0/1.forwarding is of the VLAN eth0.1.
func (m machine) sysctls(names []string) map[string]string {
	values := map[string]string{}
	path := strings.NewReplacer(".", "/", "/", ".")
	for _, name := range names {
		if text, err := fs.ReadFile(m.root, "proc/sys/"+path.Replace(name)); err == nil {
			values[name] = strings.Join(strings.Fields(string(text)), " ")
		}
	}
	return values
}

// kernelConfig is the hash of the configuration that the running kernel carries
// (CONFIG_IKCONFIG_PROC), or that its distribution put next to it: both are the
// text of the same .config.
func (m machine) kernelConfig(release string) *string {
	text := m.gunzip("proc/config.gz")
	if len(text) == 0 {
		text, _ = fs.ReadFile(m.root, "boot/config-"+release)
	}
	if len(text) == 0 {
		return nil
	}
	sum := sha256.Sum256(text)
	return new(fmt.Sprintf("sha256:%x", sum[:6]))
}

// gunzip is nil for a file that is not all there.
func (m machine) gunzip(path string) []byte {
	packed, _ := fs.ReadFile(m.root, path)
	r, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil
	}
	text, err := io.ReadAll(r)
	if err != nil {
		return nil
	}
	return text
}

// cpuInfo is /proc/cpuinfo: what it says of each CPU, by key. Boards have a
// paragraph of their own at the end.
func (m machine) cpuInfo() []map[string]string {
	var cpus []map[string]string
	for paragraph := range strings.SplitSeq(m.read("proc/cpuinfo"), "\n\n") {
		cpu := map[string]string{}
		for line := range strings.Lines(paragraph) {
			key, value, _ := strings.Cut(line, ":")
			cpu[strings.TrimSpace(key)] = strings.TrimSpace(value)
		}
		cpus = append(cpus, cpu)
	}
	return cpus
}

// cpuModel names the CPUs, each model once.
func (m machine) cpuModel() *string {
	var models []string
	for _, cpu := range m.cpuInfo() {
		if model := modelOf(cpu); model != "" && !slices.Contains(models, model) {
			models = append(models, model)
		}
	}
	return known(strings.Join(models, ", "))
}

// armParts are the ARM CPUs that servers and small boards are made of, by
// implementer and part: arm64 kernels know no names. From util-linux,
// sys-utils/lscpu-arm.c, which has all.
var armParts = map[[2]string]string{
	{"0x41", "0xd03"}: "Cortex-A53",  // Raspberry Pi 3
	{"0x41", "0xd08"}: "Cortex-A72",  // Raspberry Pi 4, Graviton
	{"0x41", "0xd0b"}: "Cortex-A76",  // Raspberry Pi 5
	{"0x41", "0xd0c"}: "Neoverse-N1", // Graviton2, Altra
	{"0x41", "0xd40"}: "Neoverse-V1", // Graviton3
	{"0x41", "0xd49"}: "Neoverse-N2", // Cobalt 100
	{"0x41", "0xd4f"}: "Neoverse-V2", // Graviton4, Axion, Grace
	{"0xc0", "0xac3"}: "Ampere-1",
}

// modelOf is "Neoverse-N1 r3p1" for an ARM CPU, with variant and revision in
// ARM's notation, else the name that the CPU gives itself. The "model name" of
// ARM kernels is the architecture's.
func modelOf(cpu map[string]string) string {
	implementer, part := cpu["CPU implementer"], cpu["CPU part"]
	if part == "" {
		return strings.Join(strings.Fields(cpu["model name"]), " ") // Intel pads it
	}
	name, ok := armParts[[2]string{implementer, part}]
	if !ok {
		name = fmt.Sprintf("implementer %s part %s", implementer, part)
	}
	return fmt.Sprintf("%s r%sp%s", name, strings.TrimPrefix(cpu["CPU variant"], "0x"), cpu["CPU revision"])
}

// cpusOnline counts those of the machine, or else those that this process may
// run on.
func (m machine) cpusOnline() int {
	if n := countCPUs(m.read("sys/devices/system/cpu/online")); n > 0 {
		return n
	}
	return runtime.NumCPU()
}

// countCPUs counts a list like "0-3,8"; what is no list has none.
func countCPUs(list string) (n int) {
	for part := range strings.SplitSeq(list, ",") {
		first, last, isRange := strings.Cut(part, "-")
		if !isRange {
			last = first
		}
		from, errFrom := strconv.Atoi(first)
		to, errTo := strconv.Atoi(last)
		if errFrom != nil || errTo != nil || to < from {
			return 0
		}
		n += to - from + 1
	}
	return n
}

// governor is that of all CPUs, or all there are. Most virtual machines have none.
func (m machine) governor() *string {
	files, _ := fs.Glob(m.root, "sys/devices/system/cpu/cpu[0-9]*/cpufreq/scaling_governor")
	var governors []string
	for _, file := range files {
		if g := m.read(file); g != "" { // that of a CPU that is offline cannot be read
			governors = append(governors, g)
		}
	}
	slices.Sort(governors)
	return known(strings.Join(slices.Compact(governors), ", "))
}

func (m machine) memoryTotal() *uint64 {
	for line := range strings.Lines(m.read("proc/meminfo")) {
		var kB uint64
		if _, err := fmt.Sscanf(line, "MemTotal: %d kB", &kB); err == nil {
			return new(kB << 10)
		}
	}
	return nil
}

func (m machine) load() *[3]float64 {
	var l [3]float64
	if _, err := fmt.Sscan(m.read("proc/loadavg"), &l[0], &l[1], &l[2]); err != nil {
		return nil
	}
	return &l
}
