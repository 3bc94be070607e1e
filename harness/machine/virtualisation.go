package machine

import (
	"io/fs"
	"slices"
	"strings"

	"snatlab/harness/result"
)

// The results of virtualisation that are not the name of a hypervisor.
const (
	vmOther = "vm-other" // a virtual machine of an unknown hypervisor
	qemu    = "qemu"     // QEMU's machine, whether or not KVM runs it
)

// virtualisation returns the name of the hypervisor, for the most part as
// systemd-detect-virt --vm does. systemd asks CPUID, which requires assembly. The
// kernel has asked CPUID as well, and offers the hypervisor's clock if it knows one.
func (f fileTree) virtualisation() *string {
	if kind := f.readText("sys/hypervisor/type"); kind != "" {
		return &kind // xen; its dom0 as well, whose CPUs are virtual too
	}
	flags, isX86 := f.cpuInfo()[0]["flags"]
	flagged := slices.Contains(strings.Fields(flags), "hypervisor")
	firmware, clock := f.findInDMI(), f.findInClocks()
	switch {
	case isX86 && !flagged && rentsMetal(firmware):
		return new(result.BareMetal)
	case firmware != "" && firmware != qemu: // before the clock: VirtualBox has that of KVM
		return &firmware
	case clock != "":
		return &clock
	case firmware != "":
		return &firmware
	case flagged:
		return new(vmOther)
	case isX86:
		return new(result.BareMetal)
	}
	return nilIfEmpty(f.findInDeviceTree())
}

// dmiNames are the names of hypervisors by the beginnings of sys_vendor and
// product_name, which the firmware sets. The first match holds.
var dmiNames = []struct{ vendor, product, name string }{
	{"Amazon EC2", "", "amazon"},
	{"Google", "Google Compute Engine", "google"},
	{"", "KVM", "kvm"}, // QEMU with KVM on arm64: "KVM Virtual Machine"; Red Hat's
	{"KubeVirt", "", "kvm"},
	{"OpenStack", "", "kvm"},
	{"", "OpenStack", "kvm"},
	{"QEMU", "", qemu},
	{"Bochs", "", qemu}, // old QEMU
	{"VMware", "", "vmware"},
	{"Microsoft Corporation", "Virtual Machine", "microsoft"}, // they make laptops, too
	{"Xen", "", "xen"},
	{"innotek GmbH", "VirtualBox", "oracle"},
	{"Parallels", "", "parallels"},
	{"Apple Inc.", "Apple Virtualization", "apple"},
	{"", "BHYVE", "bhyve"},
}

// findInDMI returns the hypervisor that the firmware names: none on a physical
// machine, nor in a virtual machine without firmware, like Firecracker's.
func (f fileTree) findInDMI() string {
	vendor, product := f.readText("sys/class/dmi/id/sys_vendor"), f.readText("sys/class/dmi/id/product_name")
	for _, n := range dmiNames {
		if !strings.HasPrefix(vendor, n.vendor) || !strings.HasPrefix(product, n.product) {
			continue
		}
		if rentsMetal(n.name) && strings.Contains(product, ".metal") { // m7g.metal, m7i.metal-24xl
			return result.BareMetal
		}
		return n.name
	}
	return ""
}

// rentsMetal reports whether a cloud also rents machines without a hypervisor, which
// have the same firmware.
func rentsMetal(name string) bool { return name == "amazon" || name == "google" }

// findInClocks returns the hypervisor that offers a clock to the kernel.
func (f fileTree) findInClocks() string {
	for _, clock := range strings.Fields(f.readText("sys/devices/system/clocksource/clocksource0/available_clocksource")) {
		switch {
		case clock == "kvm-clock":
			return "kvm"
		case clock == "xen":
			return "xen"
		case strings.HasPrefix(clock, "hyperv_clocksource"):
			return "microsoft"
		}
	}
	return ""
}

// findInDeviceTree returns the hypervisor of ARM machines without DMI. Boards
// describe themselves. Where firmware has ACPI the tree is empty, and the result
// is unknown.
func (f fileTree) findInDeviceTree() string {
	const tree = "proc/device-tree/"
	hypervisor, board := f.readText(tree+"hypervisor/compatible"), f.readText(tree+"compatible")
	config, _ := fs.Glob(f.root, tree+"fw-cfg*")
	switch {
	case strings.Contains(hypervisor, "kvm"):
		return "kvm"
	case strings.Contains(hypervisor, "xen"):
		return "xen"
	case strings.Contains(hypervisor, "vmware"):
		return "vmware"
	case config != nil:
		return qemu
	case hypervisor != "", strings.Contains(board, "dummy-virt"): // Firecracker, crosvm, kvmtool
		return vmOther
	case board != "":
		return result.BareMetal
	}
	return ""
}
