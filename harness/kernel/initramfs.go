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

// moduleFolder is where they are.
const moduleFolder = "modules"

// Initramfs packs what a guest needs: its init, the wanted modules with all
// that they depend on, unpacked, and files by their paths. It is not
// compressed, and the same each time. A module that is wanted and not there is
// an error, unless it may be built in.
func (k *Kernel) Initramfs(w io.Writer, init io.Reader, wanted []string, files map[string][]byte) error {
	order, err := k.modules.closure(k.Release, wanted)
	if err != nil {
		return fmt.Errorf("kernel %s: %w", k.Release, err)
	}
	program, err := io.ReadAll(init)
	if err != nil {
		return fmt.Errorf("pack init: %w", err)
	}
	a := archive{Writer: cpio.NewWriter(w), folders: map[string]bool{".": true}}
	a.file("init", program)
	var list strings.Builder
	for _, m := range order {
		at := path.Join(moduleFolder, m.name+".ko")
		fmt.Fprintln(&list, at)
		a.file(at, m.data)
	}
	a.file(ModuleOrder, []byte(list.String()))
	for _, name := range slices.Sorted(maps.Keys(files)) {
		a.file(name, files[name])
	}
	if a.err == nil {
		a.err = a.Close()
	}
	if a.err != nil {
		return fmt.Errorf("pack the initramfs: %w", a.err)
	}
	return nil
}

// archive is one of cpio, with the first error that occurred.
type archive struct {
	*cpio.Writer
	folders map[string]bool
	err     error
}

// file writes a file, after the folders that it is in: the kernel makes none
// by itself.
func (a *archive) file(name string, data []byte) {
	name = path.Clean(strings.TrimPrefix(name, "/"))
	a.folder(path.Dir(name))
	a.entry(&cpio.Header{Name: name, Mode: cpio.TypeReg | 0o755, Size: int64(len(data))}, data)
}

func (a *archive) folder(name string) {
	if a.folders[name] {
		return
	}
	a.folders[name] = true
	a.folder(path.Dir(name))
	a.entry(&cpio.Header{Name: name, Mode: cpio.TypeDir | 0o755, Links: 2}, nil)
}

func (a *archive) entry(h *cpio.Header, data []byte) {
	if a.err == nil {
		a.err = a.WriteHeader(h)
	}
	if a.err == nil && data != nil {
		_, a.err = a.Write(data)
	}
}
