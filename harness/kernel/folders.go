package kernel

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// bareImage is an image, with modules in a folder.
type bareImage struct {
	host
	image   string
	modules string // empty: those of this machine, if it has some
}

func (b bareImage) readKernel(context.Context) ([]byte, moduleSet, error) {
	image, err := readFile(b.image, maxImage)
	if err != nil {
		return nil, moduleSet{}, err
	}
	release, err := imageRelease(image)
	if err != nil {
		return nil, moduleSet{}, err
	}
	if b.modules == "" {
		m, err := b.installedModules(release)
		return image, m, err
	}
	folder, err := findModulesFolder(b.modules, release)
	if err != nil {
		return nil, moduleSet{}, err
	}
	m, err := readModulesFolder(folder)
	return image, m, err
}

// installedModules are those that this machine has for a release. A kernel may do
// without.
func (h host) installedModules(release string) (moduleSet, error) {
	for _, lib := range []string{"lib/modules", "usr/lib/modules"} {
		folder := filepath.Join(h.root, lib, release)
		if isDirectory(folder) {
			return readModulesFolder(folder)
		}
	}
	return moduleSet{}, nil
}

// findModulesFolder finds modules where a user says that they are: in the folder
// itself, below it by their release, or in a root with lib/modules.
func findModulesFolder(folder, release string) (string, error) {
	if _, err := os.ReadDir(folder); err != nil {
		return "", err
	}
	for _, below := range []string{"lib/modules", "usr/lib/modules", ""} {
		if path := filepath.Join(folder, below, release); isDirectory(path) {
			return path, nil
		}
	}
	for _, sign := range []string{"kernel", "modules.builtin", "modules.order"} {
		if _, err := os.Stat(filepath.Join(folder, sign)); err == nil {
			return folder, nil
		}
	}
	return "", fmt.Errorf("%[1]s has no modules of %[2]s (neither kernel and modules.builtin in it, nor a folder %[2]s, nor lib/modules/%[2]s)", folder, release)
}

func isDirectory(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// readModulesFolder finds the modules below a folder as make modules_install leaves it.
func readModulesFolder(folder string) (moduleSet, error) {
	var m moduleSet
	folder, err := filepath.EvalSymlinks(folder)
	if err != nil {
		return m, err
	}
	// Where the headers are installed, they stand in a folder there.
	apart := map[string]bool{filepath.Join(folder, "build"): true, filepath.Join(folder, "source"): true}
	err = filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case apart[path] && entry.IsDir():
			return fs.SkipDir
		case entry.Type().IsRegular():
			below, _ := filepath.Rel(folder, path) // it is below
			m.addModule(moduleOnDisk(below, path))
		}
		return nil
	})
	if err != nil {
		return m, err
	}
	return m, m.readBuiltinList(folder)
}

// readBuiltinList reads the list of what is built in, if there is one.
func (m *moduleSet) readBuiltinList(folder string) error {
	text, err := readFile(filepath.Join(folder, "modules.builtin"), maxText)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	m.addBuiltin(text)
	return err
}

// buildTree is a folder that a kernel was built in.
type buildTree string

const (
	treeImage   = "arch/x86/boot/bzImage"
	treeRelease = "include/config/kernel.release"
)

func openBuildTree(folder string) (kernelSource, error) {
	if _, err := os.Stat(filepath.Join(folder, treeImage)); err != nil {
		return nil, fmt.Errorf("no kernel was built in this folder: there is no %s (make bzImage modules)", treeImage)
	}
	return buildTree(folder), nil
}

func (t buildTree) readKernel(context.Context) ([]byte, moduleSet, error) {
	image, err := readFile(filepath.Join(string(t), treeImage), maxImage)
	if err != nil {
		return nil, moduleSet{}, err
	}
	var m moduleSet
	release, err := readFile(filepath.Join(string(t), treeRelease), maxText)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, m, err
	}
	// A tree that was built again in part has an old image: Read tells.
	m.release = strings.TrimSpace(string(release))
	if err := t.addListedModules(&m); err != nil {
		return nil, m, err
	}
	return image, m, m.readBuiltinList(string(t))
}

// addListedModules takes them by the list that the build makes: what else lies in
// the tree may be of another build. Older kernels' lists have kernel/ before
// each path, newer ones' the object files.
func (t buildTree) addListedModules(m *moduleSet) error {
	list, err := readFile(filepath.Join(string(t), "modules.order"), maxText)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for line := range strings.Lines(string(list)) {
		path := strings.TrimPrefix(strings.TrimSpace(line), "kernel/")
		if base, ok := strings.CutSuffix(path, ".o"); ok {
			path = base + ".ko"
		}
		if filepath.IsLocal(path) {
			m.addModule(moduleOnDisk(path, filepath.Join(string(t), path)))
		}
	}
	return nil
}
