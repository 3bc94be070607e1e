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

// bareImage is an image whose modules are in a folder.
type bareImage struct {
	host
	image   string
	modules string // empty: the folder under /lib/modules, if there is one
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

// installedModules returns the modules of a release on this machine. A kernel without
// modules has none, which is no error.
func (h host) installedModules(release string) (moduleSet, error) {
	for _, lib := range []string{"lib/modules", "usr/lib/modules"} {
		folder := filepath.Join(h.root, lib, release)
		if isDirectory(folder) {
			return readModulesFolder(folder)
		}
	}
	return moduleSet{}, nil
}

// findModulesFolder returns the folder of a release's modules: the folder that the
// user named, one below it named by the release, or one in its lib/modules.
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

// readModulesFolder returns the modules in a folder that make modules_install wrote.
func readModulesFolder(folder string) (moduleSet, error) {
	var m moduleSet
	folder, err := filepath.EvalSymlinks(folder)
	if err != nil {
		return m, err
	}
	// Kernel headers are installed in one of these folders.
	apart := map[string]bool{filepath.Join(folder, "build"): true, filepath.Join(folder, "source"): true}
	err = filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case apart[path] && entry.IsDir():
			return fs.SkipDir
		case entry.Type().IsRegular():
			below, _ := filepath.Rel(folder, path) // path is below folder
			m.addModule(moduleOnDisk(below, path))
		}
		return nil
	})
	if err != nil {
		return m, err
	}
	return m, m.readBuiltinList(folder)
}

// readBuiltinList reads modules.builtin, if the folder has it.
func (m *moduleSet) readBuiltinList(folder string) error {
	text, err := readFile(filepath.Join(folder, "modules.builtin"), maxTextFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	m.addBuiltin(text)
	return err
}

// buildTree is a folder in which a kernel was built.
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
	release, err := readFile(filepath.Join(string(t), treeRelease), maxTextFile)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, m, err
	}
	// A tree that was rebuilt in part has an old image: setRelease reports it.
	m.release = strings.TrimSpace(string(release))
	if err := t.addListedModules(&m); err != nil {
		return nil, m, err
	}
	return image, m, m.readBuiltinList(string(t))
}

// addListedModules adds the modules that modules.order lists: other modules in the
// tree may be from another build. In older kernels the paths begin with kernel/; in
// newer ones they are the object files.
func (t buildTree) addListedModules(m *moduleSet) error {
	list, err := readFile(filepath.Join(string(t), "modules.order"), maxTextFile)
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
