package kernel

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// packageFiles is the paths of the .deb or .rpm files of one kernel.
type packageFiles []string

// The most bytes that are kept and unpacked of packages. Ubuntu's modules are 130 MB
// in compressed files, of which a sixth is kept; the packages of a debug kernel are
// ten times as large.
const (
	maxKeptBytes = 1 << 30
	maxUnpacked  = 16 << 30
)

// keptTrees and keptFolders hold the modules that a guest may need: every module of
// the network is in one of them.
var (
	keptTrees   = []string{"kernel/net/", "kernel/lib/", "kernel/crypto/", "kernel/arch/x86/crypto/", "kernel/arch/x86/lib/"}
	keptFolders = []string{"kernel/drivers/net", "kernel/drivers/char", "kernel/drivers/virtio"}
)

func (p packageFiles) readKernel(ctx context.Context) ([]byte, moduleSet, error) {
	var u packageContent
	var all []packageInfo
	for _, path := range p {
		a, err := u.readPackage(ctx, path)
		if err != nil {
			return nil, moduleSet{}, fmt.Errorf("%s: %w", filepath.Base(path), err)
		}
		all = append(all, a)
	}
	return u.image, u.modules, u.checkComplete(all)
}

// packageInfo is the description in a package.
type packageInfo struct {
	name    string
	arch    string   // in Debian's words
	depends []string // names of packages, including alternatives
}

// checkArch returns an error for a package of an architecture that cannot be booted.
func (a packageInfo) checkArch() error {
	if a.arch != "amd64" && a.arch != "all" {
		return fmt.Errorf("a package for %.40q: snatlab boots kernels for amd64", a.arch)
	}
	return nil
}

// packageContent is the kernel and the modules found in packages.
type packageContent struct {
	image   []byte
	of      string // the release in the path of the image
	modules moduleSet
	kept    int64 // bytes
}

func (u *packageContent) readPackage(ctx context.Context, path string) (packageInfo, error) {
	format, err := detectFormat(path)
	if err != nil {
		return packageInfo{}, err
	}
	file, err := openRegular(path)
	if err != nil {
		return packageInfo{}, err
	}
	defer file.Close()
	if format == formatRPM {
		return readRPM(ctx, file, u.keepFile)
	}
	info, err := file.Stat()
	if err != nil {
		return packageInfo{}, err
	}
	return readDeb(ctx, file, info.Size(), u.keepFile)
}

// keepFile keeps a file that a guest may need.
func (u *packageContent) keepFile(name string, content io.Reader) error {
	name = path.Clean("/" + name)
	if release, ok := strings.CutPrefix(name, "/boot/vmlinuz-"); ok {
		return u.keepImage(release, content)
	}
	below, ok := strings.CutPrefix(strings.TrimPrefix(name, "/usr"), "/lib/modules/")
	release, file, inside := strings.Cut(below, "/")
	if !ok || !inside {
		return nil
	}
	if file == "vmlinuz" {
		return u.keepImage(release, content)
	}
	return u.keepModule(release, file, content)
}

// keepImage keeps an image. Fedora sometimes has the same image in two places.
func (u *packageContent) keepImage(release string, content io.Reader) (err error) {
	if u.image != nil && u.of != release {
		return fmt.Errorf("a second kernel, %.70q, after %.70q: give a SPEC for each", release, u.of)
	}
	u.of = release
	u.image, err = u.readKept(content, maxImage)
	return err
}

func (u *packageContent) keepModule(release, file string, content io.Reader) error {
	_, isModule := moduleName(file)
	if file != "modules.builtin" && !isModule {
		return nil
	}
	if of := cmp.Or(u.modules.release, release); of != release {
		return fmt.Errorf("modules of %.70q next to some of %.70q: they belong to different kernels", release, of)
	}
	u.modules.release = release
	switch {
	case file == "modules.builtin":
		text, err := u.readKept(content, maxTextFile)
		u.modules.addBuiltin(text)
		return err
	case !mayNeedModule(file):
		if u.kept += int64(len(file)); u.kept > maxKeptBytes {
			return fmt.Errorf("the names of modules have more than %d bytes", int64(maxKeptBytes))
		}
		u.modules.addModule(skippedModule(file))
		return nil
	}
	data, err := u.readKept(content, maxModule)
	u.modules.addModule(moduleInMemory(file, data))
	return err
}

// mayNeedModule reports whether a guest may need a module.
func mayNeedModule(file string) bool {
	return slices.Contains(keptFolders, path.Dir(file)) ||
		slices.ContainsFunc(keptTrees, func(tree string) bool { return strings.HasPrefix(file, tree) })
}

// readKept reads a file into memory. All files together have at most maxKeptBytes bytes.
func (u *packageContent) readKept(content io.Reader, most int64) ([]byte, error) {
	data, err := readBounded(content, min(most, maxKeptBytes-u.kept))
	u.kept += int64(len(data))
	return data, err
}

// checkComplete returns an error that names the package that is missing.
func (u *packageContent) checkComplete(all []packageInfo) error {
	switch found := len(u.modules.files) > 0; {
	case u.image == nil && found:
		return fmt.Errorf("modules of %s without a kernel: also give the package with the kernel, joined by a comma", u.modules.release)
	case u.image == nil:
		return fmt.Errorf("there is no kernel in it%s", suggestPackages(all))
	case !found && u.modules.builtin == nil:
		return fmt.Errorf("kernel %.70s without modules: also give the package with its modules, joined by a comma%s", u.of, suggestPackages(all))
	}
	return nil
}

// suggestPackages returns the names of packages with kernels that these depend on.
func suggestPackages(all []packageInfo) string {
	var others []string
	for _, a := range all {
		for _, name := range a.depends {
			if (strings.HasPrefix(name, "linux-") || strings.HasPrefix(name, "kernel")) && len(others) < 4 &&
				isPackageName(name) && !slices.Contains(others, name) && !strings.HasPrefix(name, "linux-base") {
				others = append(others, name)
			}
		}
	}
	if others == nil {
		return ""
	}
	return " (it depends on " + strings.Join(others, ", ") + ")"
}

// isPackageName reports whether a name is safe to print.
func isPackageName(name string) bool {
	return len(name) < 100 && strings.IndexFunc(name, func(r rune) bool { return r <= ' ' || r > '~' }) < 0
}
