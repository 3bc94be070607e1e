package kernel

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
)

// The most bytes that are read of a file. Debian's images have 8-13 MB; a module of a
// build tree, with its debug information, has some 20 MB.
const (
	maxImage  = 256 << 20
	maxModule = 128 << 20
)

// The header of a bzImage, Documentation/arch/x86/boot.rst in the kernel.
const (
	setupSectors  = 0x1f1 // sectors of 512 bytes before the kernel itself, minus one
	systemSize    = 0x1f4 // size of the kernel itself, in units of 16 bytes
	headerMagic   = 0x202 // "HdrS"
	bootProtocol  = 0x206
	kernelVersion = 0x20e // offset of the release from 0x200
	xloadFlags    = 0x236 // since boot protocol 2.12, Linux 3.8
	headerEnd     = 0x238

	protocol212 = 0x020c
	kernel64    = 1 << 0 // in xloadFlags
)

// imageRelease returns the release of an image, as uname -r will print it. An image
// that is not a complete bzImage for x86-64 is an error.
func imageRelease(image []byte) (string, error) {
	if len(image) < headerEnd || string(image[headerMagic:headerMagic+4]) != "HdrS" {
		return "", fmt.Errorf("not a kernel that can be booted here: %s", describeOtherFile(image))
	}
	u16 := func(at int) int { return int(binary.LittleEndian.Uint16(image[at:])) }
	if u16(bootProtocol) < protocol212 || u16(xloadFlags)&kernel64 == 0 {
		return "", errors.New("a kernel for x86 of 32 bits, or older than 3.8: snatlab boots those for x86-64")
	}
	sectors := int(image[setupSectors])
	if sectors == 0 {
		sectors = 4
	}
	whole := (sectors+1)*512 + int(binary.LittleEndian.Uint32(image[systemSize:]))*16
	if len(image) < whole {
		return "", fmt.Errorf("a truncated kernel: %d of its %d bytes", len(image), whole)
	}
	at := u16(kernelVersion) + 0x200
	if at == 0x200 || at >= (sectors+1)*512 {
		return "", errors.New("a damaged kernel: its header names no release")
	}
	text, _, _ := bytes.Cut(image[at:(sectors+1)*512], []byte{0})
	release, _, _ := strings.Cut(string(text), " ")
	if !isRelease(release) {
		return "", fmt.Errorf("a damaged kernel: its release is %.70q", release)
	}
	return release, nil
}

// isRelease reports whether a release is safe to use in paths and to print.
func isRelease(release string) bool {
	const longest = 64 // __NEW_UTS_LEN
	ok := func(r rune) bool {
		return r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || strings.ContainsRune("._-+~", r)
	}
	return release != "" && len(release) <= longest && release[0] >= '0' && release[0] <= '9' &&
		strings.IndexFunc(release, func(r rune) bool { return !ok(r) }) < 0
}

// describeOtherFile returns what a file is that is no bzImage.
func describeOtherFile(data []byte) string {
	const bzImage = "give its bzImage (arch/x86/boot/bzImage of the build, vmlinuz of a distribution)"
	has := func(at int, magic string) bool {
		return len(data) >= at+len(magic) && string(data[at:at+len(magic)]) == magic
	}
	switch {
	case len(data) == 0:
		return "the file is empty"
	case has(0, "\x7fELF"):
		return "it is an ELF file, as vmlinux is: " + bzImage
	case has(56, "ARM\x64"):
		return "it is an Image for arm64, and snatlab boots kernels for x86-64"
	case has(4, "zimg"):
		return "it is an EFI zboot image, as other architectures have: " + bzImage
	case has(0, "\x1f\x8b"):
		return "it is compressed by gzip, as kernels for arm64 are: " + bzImage
	}
	return "it has no header of a bzImage (HdrS at 0x202)"
}
