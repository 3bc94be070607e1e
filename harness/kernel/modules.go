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

// moduleSet are those of a kernel.
type moduleSet struct {
	release string                // that they are of, as their folder says; empty if it has no such name
	files   map[string]moduleFile // by name
	builtin map[string]bool       // what is in the kernel itself; nil where that is not listed
}

// moduleFile is a module, compressed or not.
type moduleFile struct {
	path string // below the modules' folder
	open func() (io.ReadCloser, error)
}

// moduleOnDisk is a module that is read when it is needed.
func moduleOnDisk(path, from string) moduleFile {
	return moduleFile{path, func() (io.ReadCloser, error) { return os.Open(from) }}
}

// moduleInMemory is a module of a package.
func moduleInMemory(path string, data []byte) moduleFile {
	return moduleFile{path, func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(data)), nil }}
}

// skippedModule is a module of a package of a folder that nothing should depend on.
func skippedModule(path string) moduleFile {
	return moduleFile{path, func() (io.ReadCloser, error) { return nil, errors.New("of a folder that is not read of packages") }}
}

// addModule puts a module in. One that was built later than the kernel, by dkms for
// one, stands outside of kernel/ and comes before the kernel's own.
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

// addBuiltin takes a file modules.builtin: a path a line.
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

// moduleName is that of kernel/net/netfilter/nf_tables.ko, compressed or not.
func moduleName(file string) (name string, ok bool) {
	name, suffix, ok := strings.Cut(path.Base(file), ".ko")
	switch suffix {
	case "", ".xz", ".zst", ".gz":
		return canonicalName(name), ok && name != ""
	}
	return "", false
}

// unpackedModule is one that is ready to be loaded.
type unpackedModule struct {
	name string
	data []byte // an ELF file
}

// loadOrder finds modules, and whatever they depend on, for a kernel of that
// release, in an order in which they can be loaded.
func (m moduleSet) loadOrder(release string, wanted []string) ([]unpackedModule, error) {
	c := &orderBuilder{moduleSet: m, of: release, seen: maps.Clone(m.builtin)}
	if c.seen == nil {
		c.seen = map[string]bool{}
	}
	for _, name := range wanted {
		if name = canonicalName(name); !c.mayBeBuiltin(name) {
			if err := c.addWithNeeds(name); err != nil {
				return nil, err
			}
		}
	}
	return c.order, nil
}

type orderBuilder struct {
	moduleSet
	of    string          // the release
	seen  map[string]bool // modules in order, or on the way there, or built in
	order []unpackedModule
	bytes int64 // of those
}

// mayBeBuiltin tells whether a module that is not there is no fault, as far as
// can be told.
func (c *orderBuilder) mayBeBuiltin(name string) bool {
	_, there := c.files[name]
	return !there && (c.builtin == nil || mergedModules[name])
}

// addWithNeeds puts a module in the order, after all that it needs.
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
	// What depends= names is a module in this kernel: modpost leaves out what is
	// built in.
	for _, need := range needs.depends {
		if err := c.addWithNeeds(need); err != nil {
			return fmt.Errorf("%w; %s depends on it", err, name)
		}
	}
	c.order = append(c.order, unpackedModule{name, data})
	return nil
}

// findWish finds a module that is wished for. crypto's are by what they compute,
// crc32c, which is an alias of all that do.
func (c *orderBuilder) findWish(name string) (string, bool) {
	for _, name := range []string{name, name + "_generic"} {
		if _, ok := c.files[name]; ok {
			return name, true
		}
	}
	return "", false
}

// unpackModule unpacks a module, which has to be of this kernel.
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
	data, err := readBounded(plain, min(maxModule, maxKept-c.bytes))
	c.bytes += int64(len(data))
	if err != nil {
		return nil, moduleInfo{}, fmt.Errorf("unpack: %w", err)
	}
	i, err := readModuleInfo(data)
	if err == nil && i.release != "" && i.release != c.of {
		err = fmt.Errorf("built for %.70q, and the kernel is %s", i.release, c.of)
	}
	return data, i, err
}

// missingModule says that a module cannot be had.
func missingModule(name string) error {
	if option, ok := configOptions[name]; ok {
		return fmt.Errorf("%s: neither built in nor a module here (%s)", name, option)
	}
	return fmt.Errorf("%s: neither built in nor a module here", name)
}
