package kernel

import (
	"bytes"
	"io"
	"strings"
	"testing"

	"github.com/cavaliergopher/cpio"
	"github.com/google/go-cmp/cmp"
)

// makeModules returns modules with these names and entries of .modinfo.
func makeModules(all map[string]string) moduleSet {
	m := moduleSet{release: testRelease}
	for name, entries := range all {
		m.addModule(moduleInMemory("kernel/net/"+name, makeModule(strings.Split("vermagic="+testRelease+" SMP|"+entries, "|")...)))
	}
	return m
}

// Modules are loaded after the modules that they depend on.
func TestLoadOrder(t *testing.T) {
	t.Parallel()
	m := makeModules(map[string]string{
		"nft-nat.ko":        "depends=nf-tables,nf_nat",
		"nf_tables.ko":      "depends=nfnetlink|softdep=post: nft_late pre: libcrc32c gone",
		"nf_nat.ko":         "depends=nf_conntrack",
		"nf_conntrack.ko":   "depends=libcrc32c",
		"nfnetlink.ko":      "depends=",
		"libcrc32c.ko":      "depends=|softdep=pre: crc32c",
		"crc32c_generic.ko": "",
		"nft_late.ko":       "",
		"circle.ko":         "depends=circle",
	})
	m.addBuiltin([]byte("kernel/net/bridge/bridge.ko\nkernel/net/8021q/8021q.ko\n"))
	for _, c := range []struct{ wanted, want string }{
		{"nft_nat", "crc32c_generic libcrc32c nfnetlink nf_tables nf_conntrack nf_nat nft_nat"},
		{"nf_nat nf-conntrack bridge", "crc32c_generic libcrc32c nf_conntrack nf_nat"},
		{"nft_counter", ""}, // part of nf_tables
		{"nft_numgen", ""},  // only some scenarios need it
		{"circle", "circle"},
		{"", ""},
	} {
		order, err := m.loadOrder(testRelease, strings.Fields(c.wanted))
		var names []string
		for _, m := range order {
			names = append(names, m.name)
		}
		if err != nil || strings.Join(names, " ") != c.want {
			t.Errorf("%q: %v %v, want %s", c.wanted, names, err, c.want)
		}
	}
}

// The error of a missing or damaged module names it.
func TestLoadOrderErrors(t *testing.T) {
	t.Parallel()
	m := makeModules(map[string]string{
		"nft_masq.ko": "depends=nf_nat",
		"odd.ko":      "depends=odder",
		"old.ko":      "",
	})
	m.addModule(moduleInMemory("kernel/net/text.ko", []byte("no module at all")))
	m.addModule(moduleInMemory("kernel/net/other.ko", makeModule("vermagic=6.1.0-57-amd64 SMP")))
	m.addModule(moduleInMemory("kernel/net/bad.ko.xz", []byte(xzHello[:40])))
	m.addModule(moduleInMemory("kernel/net/arm.ko", bytes.Replace(makeModule(""), []byte{62, 0, 1, 0}, []byte{183, 0, 1, 0}, 1)))
	m.addModule(skippedModule("kernel/drivers/gpu/amd.ko"))
	listed := m
	listed.addBuiltin(nil)
	for _, c := range []struct {
		moduleSet
		wanted, want string
	}{
		{listed, "nf_nat", "nf_nat: neither built in nor a module here (CONFIG_NF_NAT)"},
		{m, "nf_nat", ""}, // it may be built in
		{m, "nft_masq", "nf_nat: neither built in nor a module here (CONFIG_NF_NAT); nft_masq depends on it"},
		{m, "odd", "odder: neither built in nor a module here; odd depends on it"},
		{m, "text", "module text (kernel/net/text.ko): not a module: bad magic number '[110 111 32 109]' in record at byte 0x0"},
		{m, "bad", "module bad (kernel/net/bad.ko.xz): unpack: xz: data is truncated or corrupt"},
		{m, "arm", "module arm (kernel/net/arm.ko): not a module for x86-64: ET_REL of EM_AARCH64"},
		{m, "other", `module other (kernel/net/other.ko): built for "6.1.0-57-amd64", but the kernel is 6.1.0-56-cloud-amd64`},
		{m, "amd", "module amd (kernel/drivers/gpu/amd.ko): it is in a folder that snatlab does not read from packages"},
	} {
		_, err := c.loadOrder(testRelease, []string{c.wanted})
		if err == nil && c.want == "" {
			continue
		}
		if err == nil || err.Error() != c.want {
			t.Errorf("%v\nwant %s", err, c.want)
		}
	}
}

// A module that dkms built takes precedence over the kernel's own.
func TestAddModule(t *testing.T) {
	t.Parallel()
	var m moduleSet
	for _, path := range []string{"extra/veth.ko", "kernel/drivers/net/veth.ko.xz", "updates/dkms/bridge.ko", "kernel/net/bridge.ko", "kernel/net/notes.txt", "kernel/net/.ko", "kernel/net/x.ko.bz2"} {
		m.addModule(skippedModule(path))
	}
	if len(m.files) != 2 || m.files["veth"].path != "extra/veth.ko" || m.files["bridge"].path != "updates/dkms/bridge.ko" {
		t.Errorf("%v", m.files)
	}
}

// An initramfs has init, modules and files, and the same bytes each time.
func TestWriteInitramfs(t *testing.T) {
	t.Parallel()
	m := makeModules(map[string]string{"veth.ko": "", "nf-nat.ko": "depends=veth"})
	k := &Kernel{Release: testRelease, modules: m}
	pack := func() []byte {
		var b bytes.Buffer
		err := k.WriteInitramfs(&b, strings.NewReader("init"), []string{"nf_nat"}, map[string][]byte{"scenario.yaml": []byte("name: x\n"), "/etc/deep/empty": nil})
		if err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	packed := pack()
	if !bytes.Equal(packed, pack()) {
		t.Error("the bytes differ the second time")
	}
	var got []string
	for r := cpio.NewReader(bytes.NewReader(packed)); ; {
		h, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		data, _ := io.ReadAll(r)
		if strings.HasPrefix(string(data), "\x7fELF") {
			data = []byte("ELF")
		}
		got = append(got, strings.TrimSpace(h.FileInfo().Mode().String()+" "+h.Name+" "+string(data)))
	}
	want := []string{
		"-rwxr-xr-x init init",
		"drwxr-xr-x modules", "-rwxr-xr-x modules/veth.ko ELF", "-rwxr-xr-x modules/nf_nat.ko ELF",
		"-rwxr-xr-x modules.order modules/veth.ko\nmodules/nf_nat.ko",
		"drwxr-xr-x etc", "drwxr-xr-x etc/deep", "-rwxr-xr-x etc/deep/empty",
		"-rwxr-xr-x scenario.yaml name: x",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	err := k.WriteInitramfs(io.Discard, strings.NewReader(""), []string{"nf_nat"}, nil)
	k.modules.addBuiltin(nil)
	if err != nil {
		t.Error(err)
	}
	err = k.WriteInitramfs(io.Discard, strings.NewReader(""), GuestModules, nil)
	if want := "kernel " + testRelease + ": bridge: neither built in nor a module here (CONFIG_BRIDGE)"; err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
}
