// Package machine reads the facts of this machine, checks whether it can run a lab,
// and reads and sets what belongs to a network namespace: its sysctls.
//
// It changes nothing but the sysctls that it is called to set. Undoing is the
// caller's: the functions return the values that were replaced.
package machine

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

// ReadFacts returns the facts of this machine that explain, later, why two results
// differ. All of them are read from files that any user may read; a fact that no
// file has is left unknown. The load is the current one: drivers call ReadFacts
// before they build anything.
func ReadFacts(driver string) result.Env {
	f := hostFiles
	release, version := readKernel()
	return result.Env{
		Kernel:         release,
		KernelVersion:  version,
		KernelConfig:   f.kernelConfig(release),
		Arch:           runtime.GOARCH,
		CPUModel:       f.cpuModel(),
		CPUsOnline:     f.cpusOnline(),
		Governor:       f.governor(),
		Virtualisation: f.virtualisation(),
		MemoryTotal:    f.memoryTotal(),
		Load:           f.loadAverage(),
		Driver:         driver,
	}
}

// readKernel returns the kernel's release, and how and when it was built.
func readKernel() (release, version string) {
	var uts unix.Utsname
	_ = unix.Uname(&uts) // cannot fail with a valid pointer
	return unix.ByteSliceToString(uts.Release[:]), unix.ByteSliceToString(uts.Version[:])
}

// ReadNodeName returns the name of this machine: uname -n.
func ReadNodeName() string {
	var uts unix.Utsname
	_ = unix.Uname(&uts) // cannot fail with a valid pointer
	return unix.ByteSliceToString(uts.Nodename[:])
}

// fileTree is the files of a machine below its root: those of /proc, /sys and
// /boot.
type fileTree struct{ root fs.FS }

// hostFiles are the files of this machine.
var hostFiles = fileTree{os.DirFS("/")}

// readText returns the text of a small file, and no text for an unreadable one.
func (f fileTree) readText(path string) string {
	text, _ := fs.ReadFile(f.root, path)
	return strings.Trim(string(text), " \t\n\x00") // device tree strings end in a NUL
}

// nilIfEmpty returns nil, which is unknown, for an empty text.
func nilIfEmpty(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// kernelConfig returns the hash of the configuration that the running kernel
// carries (CONFIG_IKCONFIG_PROC), or that its distribution put next to it: both
// are the text of the same .config.
func (f fileTree) kernelConfig(release string) *string {
	text := f.decompressFile("proc/config.gz")
	if len(text) == 0 {
		text, _ = fs.ReadFile(f.root, "boot/config-"+release)
	}
	if len(text) == 0 {
		return nil
	}
	sum := sha256.Sum256(text)
	return new(fmt.Sprintf("sha256:%x", sum[:6]))
}

// decompressFile returns the text of a compressed file, and nil if the file is incomplete.
func (f fileTree) decompressFile(path string) []byte {
	packed, _ := fs.ReadFile(f.root, path)
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

// cpuInfo returns the values of each CPU in /proc/cpuinfo, by key. Boards have a
// paragraph of their own at the end.
func (f fileTree) cpuInfo() []map[string]string {
	var cpus []map[string]string
	for paragraph := range strings.SplitSeq(f.readText("proc/cpuinfo"), "\n\n") {
		cpu := map[string]string{}
		for line := range strings.Lines(paragraph) {
			key, value, _ := strings.Cut(line, ":")
			cpu[strings.TrimSpace(key)] = strings.TrimSpace(value)
		}
		cpus = append(cpus, cpu)
	}
	return cpus
}

// cpuModel returns the models of the CPUs, each model once.
func (f fileTree) cpuModel() *string {
	var models []string
	for _, cpu := range f.cpuInfo() {
		if model := describeCPU(cpu); model != "" && !slices.Contains(models, model) {
			models = append(models, model)
		}
	}
	return nilIfEmpty(strings.Join(models, ", "))
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

// describeCPU returns "Neoverse-N1 r3p1" for an ARM CPU, with variant and revision
// in ARM's notation, and for others the CPU's own name. The "model name" of ARM
// kernels is the architecture's.
func describeCPU(cpu map[string]string) string {
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

// cpusOnline returns the number of CPUs of the machine, or else of those that this
// process may run on.
func (f fileTree) cpusOnline() int {
	if n := countCPUs(f.readText("sys/devices/system/cpu/online")); n > 0 {
		return n
	}
	return runtime.NumCPU()
}

// countCPUs counts the CPUs in a list like "0-3,8". A text that is no list has none.
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

// governor returns the frequency governors of the CPUs, each once. Most virtual
// machines have none.
func (f fileTree) governor() *string {
	files, _ := fs.Glob(f.root, "sys/devices/system/cpu/cpu[0-9]*/cpufreq/scaling_governor")
	var governors []string
	for _, file := range files {
		if g := f.readText(file); g != "" { // the file of an offline CPU cannot be read
			governors = append(governors, g)
		}
	}
	slices.Sort(governors)
	return nilIfEmpty(strings.Join(slices.Compact(governors), ", "))
}

func (f fileTree) memoryTotal() *uint64 {
	for line := range strings.Lines(f.readText("proc/meminfo")) {
		var kB uint64
		if _, err := fmt.Sscanf(line, "MemTotal: %d kB", &kB); err == nil {
			return new(kB << 10)
		}
	}
	return nil
}

func (f fileTree) loadAverage() *[3]float64 {
	var l [3]float64
	if _, err := fmt.Sscan(f.readText("proc/loadavg"), &l[0], &l[1], &l[2]); err != nil {
		return nil
	}
	return &l
}
