package kernel

import (
	"bytes"
	"cmp"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/cavaliergopher/cpio"
)

// fetchedKernels returns the SPEC of the last kernel that scripts/kernels has fetched,
// because each takes seconds. If SNATLAB_TEST_KERNELS names a folder, it returns all
// kernels there, of which there must be one.
func fetchedKernels(t *testing.T) []string {
	t.Helper()
	if testing.Short() {
		t.Skip("needs kernels; make check leaves it out")
	}
	named := os.Getenv("SNATLAB_TEST_KERNELS")
	cache, _ := os.UserCacheDir() // no folder is like an empty one
	folder := cmp.Or(named, filepath.Join(cmp.Or(os.Getenv("SNATLAB_CACHE"), filepath.Join(cache, "snatlab")), "kernels"))
	specs, err := filepath.Glob(filepath.Join(folder, "linux-image-*.deb"))
	if err != nil {
		t.Fatal(err)
	}
	binaries, _ := filepath.Glob(filepath.Join(folder, "linux-binary-*.deb")) // the pattern is well-formed
	for _, binary := range binaries {
		specs = append(specs, binary+","+strings.Replace(binary, "linux-binary-", "linux-modules-", 1))
	}
	if len(specs) == 0 && named != "" {
		t.Fatalf("there are no kernels in %s", folder)
	}
	if len(specs) == 0 {
		t.Skipf("there are no kernels in %s (make kernels)", folder)
	}
	if named == "" {
		return specs[len(specs)-1:]
	}
	return specs
}

// Debian's kernels have the modules that a guest needs.
func TestDebianKernels(t *testing.T) {
	t.Parallel()
	for _, spec := range fetchedKernels(t) {
		k, err := ReadSpec(t.Context(), spec, "")
		if err != nil {
			t.Error(err)
			continue
		}
		var packed bytes.Buffer
		if err := k.WriteInitramfs(&packed, strings.NewReader("init"), GuestModules, nil); err != nil {
			t.Error(err)
			continue
		}
		order := readLoadOrder(t, packed.Bytes())
		if !strings.Contains(filepath.Base(spec), k.Release) {
			t.Errorf("%s is of release %s", spec, k.Release)
		}
		for _, name := range GuestModules {
			if !slices.Contains(order, moduleFolder+"/"+name+".ko") && !k.modules.builtin[name] && !mergedModules[name] {
				t.Errorf("%s: no %s in %v", k.Release, name, order)
			}
		}
		t.Logf("%s: %d modules, %d kB", k.Release, len(order), packed.Len()>>10)
	}
}

// readLoadOrder returns the modules in the list of an initramfs.
func readLoadOrder(t *testing.T, packed []byte) []string {
	t.Helper()
	for r := cpio.NewReader(bytes.NewReader(packed)); ; {
		h, err := r.Next()
		if err != nil {
			t.Fatal(err)
		}
		if h.Name == ModuleOrder {
			text, err := io.ReadAll(r)
			if err != nil {
				t.Fatal(err)
			}
			return strings.Fields(string(text))
		}
	}
}
