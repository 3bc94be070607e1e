package lab

import (
	"io/fs"
	"slices"
	"strings"
)

// Names that say more than which hypervisor it is.
const (
	bareMetal = "none"
	vmOther   = "vm-other" // a virtual machine, but whose cannot be told
	qemu      = "qemu"     // QEMU's machine, whether or not KVM runs it
)

// virtualisation names the hypervisor as systemd-detect-virt --vm does, for the
// most part. That asks CPUID for it, which takes assembly. The kernel has asked
// as well, and offers the hypervisor's clock if it knows one.
func (m machine) virtualisation() *string {
	if kind := m.read("sys/hypervisor/type"); kind != "" {
		return &kind // xen; its dom0 as well, whose CPUs are virtual too
	}
	flags, isX86 := m.cpuInfo()[0]["flags"]
	flagged := slices.Contains(strings.Fields(flags), "hypervisor")
	firmware, clock := m.dmi(), m.clock()
	switch {
	case isX86 && !flagged && rentsMetal(firmware):
		return new(bareMetal)
	case firmware != "" && firmware != qemu: // before the clock: VirtualBox has that of KVM
		return &firmware
	case clock != "":
		return &clock
	case firmware != "":
		return &firmware
	case flagged:
		return new(vmOther)
	case isX86:
		return new(bareMetal)
	}
	return known(m.deviceTree())
}

// dmiNames are what firmware calls itself, by the beginnings of sys_vendor and
// product_name. The first match holds.
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

// dmi names the hypervisor by its firmware. That of a machine is unknown, and
// so is that of a virtual machine without any, like Firecracker's.
func (m machine) dmi() string {
	vendor, product := m.read("sys/class/dmi/id/sys_vendor"), m.read("sys/class/dmi/id/product_name")
	for _, n := range dmiNames {
		if !strings.HasPrefix(vendor, n.vendor) || !strings.HasPrefix(product, n.product) {
			continue
		}
		if rentsMetal(n.name) && strings.Contains(product, ".metal") { // m7g.metal, m7i.metal-24xl
			return bareMetal
		}
		return n.name
	}
	return ""
}

// rentsMetal tells the clouds whose firmware is the same on machines without a
// hypervisor.
func rentsMetal(name string) bool { return name == "amazon" || name == "google" }

// clock names the hypervisor by the clock that it offers to the kernel.
func (m machine) clock() string {
	for _, clock := range strings.Fields(m.read("sys/devices/system/clocksource/clocksource0/available_clocksource")) {
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

// deviceTree names the hypervisor of ARM machines without DMI. Boards describe
// themselves; where firmware has ACPI the tree is empty, and nothing is known.
func (m machine) deviceTree() string {
	const tree = "proc/device-tree/"
	hypervisor, board := m.read(tree+"hypervisor/compatible"), m.read(tree+"compatible")
	config, _ := fs.Glob(m.root, tree+"fw-cfg*")
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
		return bareMetal
	}
	return ""
}
