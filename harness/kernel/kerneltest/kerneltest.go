// Package kerneltest makes kernels of a few bytes for tests. They have a valid header
// and no code.
package kerneltest

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// BzImage returns an image with a release and the header of
// Documentation/arch/x86/boot.rst.
func BzImage(release string) []byte {
	const (
		setupSectors  = 0x1f1
		systemSize    = 0x1f4
		headerMagic   = 0x202
		bootProtocol  = 0x206
		kernelVersion = 0x20e
		xloadFlags    = 0x236
	)
	image := make([]byte, 3*512)
	image[setupSectors] = 1
	binary.LittleEndian.PutUint32(image[systemSize:], 512/16)
	copy(image[headerMagic:], "HdrS")
	binary.LittleEndian.PutUint16(image[bootProtocol:], 0x020f)
	binary.LittleEndian.PutUint16(image[kernelVersion:], 0x80)
	binary.LittleEndian.PutUint16(image[xloadFlags:], 1)
	copy(image[0x280:], release+" (builder@host) #1 SMP\x00")
	return image
}

// FileTree are contents by path.
type FileTree map[string]string

// WriteBelow writes the files below a folder.
func (f FileTree) WriteBelow(t testing.TB, folder string) {
	t.Helper()
	for path, content := range f {
		path = filepath.Join(folder, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// BuiltTree returns a temporary build tree of a kernel with these modules built in.
func BuiltTree(t testing.TB, release string, builtin []string) string {
	t.Helper()
	var list strings.Builder
	for _, name := range builtin {
		list.WriteString("kernel/net/" + name + ".ko\n")
	}
	folder := t.TempDir()
	FileTree{
		"arch/x86/boot/bzImage":         string(BzImage(release)),
		"include/config/kernel.release": release + "\n",
		"modules.builtin":               list.String(),
		"modules.order":                 "",
	}.WriteBelow(t, folder)
	return folder
}
