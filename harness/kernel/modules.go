package kernel

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path"
	"strings"
)

// moduleSet is the modules of a kernel.
type moduleSet struct {
	release string                // the name of their folder; empty if that is not a release
	files   map[string]moduleFile // by name
	builtin map[string]bool       // modules in the kernel itself; nil if there is no list of them
}

// moduleFile is a module, compressed or not.
type moduleFile struct {
	path string // relative to the folder of the modules
	open func() (io.ReadCloser, error)
}

// moduleOnDisk returns a module whose file is read when it is needed.
func moduleOnDisk(path, from string) moduleFile {
	return moduleFile{path, func() (io.ReadCloser, error) { return os.Open(from) }}
}

// moduleInMemory returns a module that was read from a package.
func moduleInMemory(path string, data []byte) moduleFile {
	return moduleFile{path, func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(data)), nil }}
}

// skippedModule returns a module of a package whose content was not kept, because no
// module of the network should depend on it.
func skippedModule(path string) moduleFile {
	return moduleFile{path, func() (io.ReadCloser, error) {
		return nil, errors.New("it is in a folder that snatlab does not read from packages")
	}}
}

// addModule adds a module. A module that was built later than the kernel, for example
// by dkms, is outside of kernel/ and takes precedence over the kernel's own.
func (m *moduleSet) addModule(f moduleFile) {
	name, ok := moduleName(f.path)
	if _, known := m.files[name]; !ok || known && strings.HasPrefix(f.path, "kernel/") {
		return
	}
	if m.files == nil {
		m.files = map[string]moduleFile{}
	}
	m.files[name] = f
}

// addBuiltin adds the names in a file modules.builtin, which has one path per line.
func (m *moduleSet) addBuiltin(text []byte) {
	if m.builtin == nil {
		m.builtin = map[string]bool{}
	}
	for line := range strings.Lines(string(text)) {
		if name, ok := moduleName(strings.TrimSpace(line)); ok {
			m.builtin[name] = true
		}
	}
}

// moduleName returns nf_tables for kernel/net/netfilter/nf_tables.ko or .ko.xz. It
// reports whether the file is a module.
func moduleName(file string) (name string, ok bool) {
	name, suffix, ok := strings.Cut(path.Base(file), ".ko")
	switch suffix {
	case "", ".xz", ".zst", ".gz":
		return canonicalName(name), ok && name != ""
	}
	return "", false
}

// unpackedModule is a module that can be loaded.
type unpackedModule struct {
	name string
	data []byte // an ELF file
}

// loadOrder returns the wanted modules and their dependencies, for a kernel of that
// release, in an order in which they can be loaded.
func (m moduleSet) loadOrder(release string, wanted []string) ([]unpackedModule, error) {
	c := &orderBuilder{moduleSet: m, of: release, seen: maps.Clone(m.builtin)}
	if c.seen == nil {
		c.seen = map[string]bool{}
	}
	for _, name := range wanted {
		if name = canonicalName(name); !c.mayBeLeftOut(name) {
			if err := c.addWithNeeds(name); err != nil {
				return nil, err
			}
		}
	}
	return c.order, nil
}

type orderBuilder struct {
	moduleSet
	of    string          // the release of the kernel
	seen  map[string]bool // modules that are in order, being added, or built in
	order []unpackedModule
	bytes int64 // of the modules in order
}

// mayBeLeftOut reports whether a guest boots without a module that has no file: it may be
// in the kernel itself, or only some scenarios need it.
func (c *orderBuilder) mayBeLeftOut(name string) bool {
	_, there := c.files[name]
	return !there && (c.builtin == nil || mergedModules[name] || optionalModules[name])
}

// addWithNeeds adds a module to the order, after the modules that it needs.
func (c *orderBuilder) addWithNeeds(name string) error {
	if c.seen[name] {
		return nil
	}
	c.seen[name] = true
	f, ok := c.files[name]
	if !ok {
		return missingModule(name)
	}
	data, needs, err := c.unpackModule(f)
	if err != nil {
		return fmt.Errorf("module %s (%s): %w", name, f.path, err)
	}
	for _, wish := range needs.before {
		if name, ok := c.findWish(wish); ok {
			if err := c.addWithNeeds(name); err != nil {
				return err
			}
		}
	}
	// A name in depends= is always a module: modpost omits modules that are built in.
	for _, need := range needs.depends {
		if err := c.addWithNeeds(need); err != nil {
			return fmt.Errorf("%w; %s depends on it", err, name)
		}
	}
	c.order = append(c.order, unpackedModule{name, data})
	return nil
}

// findWish returns the module that a softdep names, if there is one. The softdeps of
// crypto name an algorithm such as crc32c, an alias of each module that computes it.
func (c *orderBuilder) findWish(name string) (string, bool) {
	for _, name := range []string{name, name + "_generic"} {
		if _, ok := c.files[name]; ok {
			return name, true
		}
	}
	return "", false
}

// unpackModule decompresses a module. A module of another kernel is an error.
func (c *orderBuilder) unpackModule(f moduleFile) ([]byte, moduleInfo, error) {
	packed, err := f.open()
	if err != nil {
		return nil, moduleInfo{}, err
	}
	defer packed.Close()
	plain, err := decompress(packed)
	if err != nil {
		return nil, moduleInfo{}, err
	}
	defer plain.Close()
	data, err := readBounded(plain, min(maxModule, maxKeptBytes-c.bytes))
	c.bytes += int64(len(data))
	if err != nil {
		return nil, moduleInfo{}, fmt.Errorf("unpack: %w", err)
	}
	i, err := readModuleInfo(data)
	if err == nil && i.release != "" && i.release != c.of {
		err = fmt.Errorf("built for %.70q, but the kernel is %s", i.release, c.of)
	}
	return data, i, err
}

// missingModule returns an error that names the module and its kernel option.
func missingModule(name string) error {
	if option, ok := configOptions[name]; ok {
		return fmt.Errorf("%s: neither built in nor a module here (%s)", name, option)
	}
	return fmt.Errorf("%s: neither built in nor a module here", name)
}
