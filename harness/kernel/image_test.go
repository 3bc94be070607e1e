package kernel

import (
	"encoding/binary"
	"strings"
	"testing"

	"snatlab/harness/kernel/kerneltest"
)

// The error of a file that is not a kernel names what it is.
func TestImageErrors(t *testing.T) {
	t.Parallel()
	changed := func(change func(image []byte)) string {
		image := kerneltest.BzImage(testRelease)
		change(image)
		return string(image)
	}
	const bzImageOf = "give its bzImage (arch/x86/boot/bzImage of the build, vmlinuz of a distribution)"
	const none = "not a kernel that can be booted here: "
	for _, c := range []struct{ name, image, want string }{
		{"empty", "", none + "the file is empty"},
		{"text", strings.Repeat("no kernel ", 1000), none + "it has no header of a bzImage (HdrS at 0x202)"},
		{"vmlinux", "\x7fELF" + strings.Repeat("\x00", 1000), none + "it is an ELF file, as vmlinux is: " + bzImageOf},
		{"arm64", strings.Repeat("\x00", 56) + "ARM\x64", none + "it is an Image for arm64, and snatlab boots kernels for x86-64"},
		{"zboot", "MZ\x00\x00zimg", none + "it is an EFI zboot image, as other architectures have: " + bzImageOf},
		{"gzip", "\x1f\x8b", none + "it is compressed by gzip, as kernels for arm64 are: " + bzImageOf},
		{"32 bits", changed(func(i []byte) { i[xloadFlags] = 0 }), "a kernel for x86 of 32 bits, or older than 3.8: snatlab boots those for x86-64"},
		{"half", string(kerneltest.BzImage(testRelease)[:1200]), "a truncated kernel: 1200 of its 1536 bytes"},
		{"only a header", string(kerneltest.BzImage(testRelease)[:headerEnd]), "a truncated kernel: 568 of its 1536 bytes"},
		{"a huge one", changed(func(i []byte) { binary.LittleEndian.PutUint32(i[systemSize:], 1<<32-1) }), "a truncated kernel: 1536 of its 68719477744 bytes"},
		{"no release", changed(func(i []byte) { i[kernelVersion] = 0 }), "a damaged kernel: its header names no release"},
		{"a release elsewhere", changed(func(i []byte) { i[kernelVersion+1] = 0xff }), "a damaged kernel: its header names no release"},
		{"a release that is none", changed(func(i []byte) { copy(i[0x280:], "../../etc ") }), `a damaged kernel: its release is "../../etc"`},
	} {
		if _, err := imageRelease([]byte(c.image)); err == nil || err.Error() != c.want {
			t.Errorf("%s: %v\nwant %s", c.name, err, c.want)
		}
	}
}
