package kernel

import (
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/cavaliergopher/cpio"
)

// ModuleOrder is the file in the initramfs that lists the modules' paths, one a
// line, in the order to load them.
const ModuleOrder = "modules.order"

// moduleFolder is the folder of the modules in the initramfs.
const moduleFolder = "modules"

// WriteInitramfs writes the initramfs of a guest: its init, the wanted modules and
// their dependencies, decompressed, and files by their paths. The initramfs is not
// compressed, and its bytes depend only on its content. A missing module is an error,
// unless it may be built in.
func (k *Kernel) WriteInitramfs(w io.Writer, init io.Reader, wanted []string, files map[string][]byte) error {
	order, err := k.modules.loadOrder(k.Release, wanted)
	if err != nil {
		return fmt.Errorf("kernel %s: %w", k.Release, err)
	}
	program, err := io.ReadAll(init)
	if err != nil {
		return fmt.Errorf("pack init: %w", err)
	}
	a := cpioArchive{Writer: cpio.NewWriter(w), folders: map[string]bool{".": true}}
	a.addFile("init", program)
	var list strings.Builder
	for _, m := range order {
		at := path.Join(moduleFolder, m.name+".ko")
		fmt.Fprintln(&list, at)
		a.addFile(at, m.data)
	}
	a.addFile(ModuleOrder, []byte(list.String()))
	for _, name := range slices.Sorted(maps.Keys(files)) {
		a.addFile(name, files[name])
	}
	if a.err == nil {
		a.err = a.Close()
	}
	if a.err != nil {
		return fmt.Errorf("pack the initramfs: %w", a.err)
	}
	return nil
}

// cpioArchive writes a cpio archive and keeps the first error.
type cpioArchive struct {
	*cpio.Writer
	folders map[string]bool
	err     error
}

// addFile writes a file after the folders that contain it: the kernel does not create
// them.
func (a *cpioArchive) addFile(name string, data []byte) {
	name = path.Clean(strings.TrimPrefix(name, "/"))
	a.addFolder(path.Dir(name))
	a.addEntry(&cpio.Header{Name: name, Mode: cpio.TypeReg | 0o755, Size: int64(len(data))}, data)
}

func (a *cpioArchive) addFolder(name string) {
	if a.folders[name] {
		return
	}
	a.folders[name] = true
	a.addFolder(path.Dir(name))
	a.addEntry(&cpio.Header{Name: name, Mode: cpio.TypeDir | 0o755, Links: 2}, nil)
}

func (a *cpioArchive) addEntry(h *cpio.Header, data []byte) {
	if a.err == nil {
		a.err = a.WriteHeader(h)
	}
	if a.err == nil && data != nil {
		_, a.err = a.Write(data)
	}
}
