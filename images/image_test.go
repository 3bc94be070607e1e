package images_test

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"debug/elf"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/validate"

	"snatlab/images"
)

// hello is the content of a static program, which the tests share.
var hello = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "image")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	source, binary := filepath.Join(dir, "main.go"), filepath.Join(dir, "program")
	if err := os.WriteFile(source, []byte("package main\n\nfunc main() { println(`hello`) }\n"), 0o600); err != nil {
		return nil, err
	}
	build := exec.Command("go", "build", "-trimpath", "-o", binary, source)
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%w: %s", err, out)
	}
	return os.ReadFile(binary)
})

// program writes a static program to a file of its own, with some more bytes at its end.
func program(t *testing.T, more string) string {
	t.Helper()
	content, err := hello()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(path, append(slices.Clone(content), more...), 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

func open(t *testing.T, path string) *images.Image {
	t.Helper()
	i, err := images.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { i.Close() })
	return i
}

func write(t *testing.T, i *images.Image, name string) []byte {
	t.Helper()
	var archive bytes.Buffer
	if err := i.Write(&archive, name); err != nil {
		t.Fatal(err)
	}
	return archive.Bytes()
}

// unpack returns the files of an archive, and their names in order.
func unpack(t *testing.T, archive io.Reader) (files map[string]string, names []string) {
	t.Helper()
	files = map[string]string{}
	for r := tar.NewReader(archive); ; {
		h, err := r.Next()
		if err == io.EOF {
			return files, names
		}
		if err != nil {
			t.Fatal(err)
		}
		if h.Uid != 0 || h.Gid != 0 || h.Uname != "" || h.ModTime.Unix() != 0 {
			t.Errorf("%s: the header tells about this machine: %+v", h.Name, h)
		}
		content, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		files[h.Name] = string(content)
		names = append(names, h.Name)
	}
}

// The image holds the binary and nothing else, and runs as a user without rights.
func TestContent(t *testing.T) {
	t.Parallel()
	binary := program(t, "")
	archive := write(t, open(t, binary), "snatlab:1")
	made, err := tarball.Image(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(archive)), nil }, nil)
	if err != nil {
		t.Fatal(err)
	}
	layers, err := made.Layers()
	if err != nil || len(layers) != 1 {
		t.Fatalf("%d layers, %v", len(layers), err)
	}
	layer, err := layers[0].Uncompressed()
	if err != nil {
		t.Fatal(err)
	}
	files, _ := unpack(t, layer)
	want, err := os.ReadFile(binary)
	if err != nil {
		t.Fatal(err)
	}
	if len(files) != 1 || files["snatlab"] != string(want) {
		t.Errorf("the image does not hold the binary alone: %d files", len(files))
	}
	config, err := made.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	if c := config.Config; !slices.Equal(c.Entrypoint, []string{"/snatlab"}) || c.User != "65532:65532" || c.Labels[images.Label] == "" {
		t.Errorf("configuration %+v", c)
	}
}

// Programs that read an archive of `docker save` and programs that read an OCI layout
// find the same image, and every hash is right.
func TestReadBack(t *testing.T) {
	t.Parallel()
	i := open(t, program(t, ""))
	archive := write(t, i, "registry.example/tools/snatlab:1.0")
	saved, err := tarball.Image(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(archive)), nil }, nil)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	files, _ := unpack(t, bytes.NewReader(archive))
	for name, content := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	index, err := layout.ImageIndexFromPath(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Index(index); err != nil {
		t.Error(err)
	}
	manifest, err := index.IndexManifest()
	if err != nil || len(manifest.Manifests) != 1 {
		t.Fatalf("%+v, %v", manifest, err)
	}
	inLayout, err := index.Image(manifest.Manifests[0].Digest)
	if err != nil {
		t.Fatal(err)
	}
	var ids []v1.Hash
	for _, found := range []v1.Image{saved, inLayout} {
		id, err := found.ConfigName()
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, id)
	}
	if ids[0] != ids[1] || !strings.HasPrefix(ids[0].Hex, i.Tag) {
		t.Errorf("images %v, tag %s", ids, i.Tag)
	}
	found := manifest.Manifests[0]
	if a := found.Annotations; a["io.containerd.image.name"] != "registry.example/tools/snatlab:1.0" || a["org.opencontainers.image.ref.name"] != "1.0" {
		t.Errorf("annotations %v", a)
	}
	if p := found.Platform.String(); p != "linux/"+runtime.GOARCH || p != i.Platform {
		t.Errorf("platform %s, of the image %s", p, i.Platform)
	}
}

// containerd knows an image by its full name, Docker by the short one.
func TestNames(t *testing.T) {
	t.Parallel()
	i := open(t, program(t, ""))
	for _, test := range []struct{ name, full, short string }{
		{"snatlab", "docker.io/library/snatlab:latest", "snatlab:latest"},
		{"snatlab:1", "docker.io/library/snatlab:1", "snatlab:1"},
		{"localhost/snatlab:1", "localhost/snatlab:1", "localhost/snatlab:1"},
		{"registry.example:5000/a/b:v1-2_3", "registry.example:5000/a/b:v1-2_3", "registry.example:5000/a/b:v1-2_3"},
	} {
		files, _ := unpack(t, bytes.NewReader(write(t, i, test.name)))
		var saved []struct{ RepoTags []string }
		if err := json.Unmarshal([]byte(files["manifest.json"]), &saved); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(saved[0].RepoTags, []string{test.short}) || !strings.Contains(files["index.json"], `"`+test.full+`"`) {
			t.Errorf("%s: %s, %s", test.name, files["manifest.json"], files["index.json"])
		}
	}
}

func TestBadNames(t *testing.T) {
	t.Parallel()
	digest := sha256.Sum256(nil)
	for _, name := range []string{"", "UPPER", "a b", "a:b:c", "snatlab:" + strings.Repeat("x", 129), "snatlab@sha256:" + hex.EncodeToString(digest[:]), "../x", "-x"} {
		if err := images.CheckName(name); err == nil {
			t.Errorf("%q was accepted", name)
		}
	}
}

// The same binary makes the same archive, another binary another one.
func TestReproducible(t *testing.T) {
	t.Parallel()
	one, moved, other := program(t, ""), program(t, ""), program(t, "more")
	if err := os.Chmod(moved, 0o600); err != nil {
		t.Fatal(err)
	}
	first := write(t, open(t, one), "snatlab:1")
	if !bytes.Equal(first, write(t, open(t, moved), "snatlab:1")) {
		t.Error("a copy of the binary makes another archive")
	}
	if bytes.Equal(first, write(t, open(t, other), "snatlab:1")) || open(t, one).Tag == open(t, other).Tag {
		t.Error("another binary makes the same archive")
	}
}

// An image can be written again.
func TestWriteTwice(t *testing.T) {
	t.Parallel()
	i := open(t, program(t, ""))
	if !bytes.Equal(write(t, i, "snatlab:1"), write(t, i, "snatlab:1")) {
		t.Error("the second archive differs")
	}
}

// The small files come first, so that a reader of a stream knows the image before its
// content.
func TestOrder(t *testing.T) {
	t.Parallel()
	_, names := unpack(t, bytes.NewReader(write(t, open(t, program(t, "")), "snatlab:1")))
	if want := []string{"oci-layout", "index.json", "manifest.json"}; len(names) != 6 || !slices.Equal(names[:3], want) {
		t.Errorf("files %v, want %v first", names, want)
	}
}

// The platform is that of the binary, wherever the image is made.
func TestPlatform(t *testing.T) {
	t.Parallel()
	content, err := hello()
	if err != nil {
		t.Fatal(err)
	}
	for machine, want := range map[elf.Machine]string{
		elf.EM_X86_64: "amd64, <nil>", elf.EM_AARCH64: "arm64, <nil>", elf.EM_PPC64: "ppc64le, <nil>",
		elf.EM_SPARC: ", a binary for EM_SPARC: no image is made for it",
	} {
		binary := slices.Clone(content)
		binary[18], binary[19] = byte(machine), byte(machine>>8) // e_machine
		arch, err := images.Arch(bytes.NewReader(binary))
		if got := fmt.Sprintf("%s, %v", arch, err); got != want {
			t.Errorf("%v: %s, want %s", machine, got, want)
		}
	}
}

// Only a static binary fits into an image of its own.
func TestOpenErrors(t *testing.T) {
	t.Parallel()
	text := filepath.Join(t.TempDir(), "script")
	if err := os.WriteFile(text, []byte("#!/bin/sh\nexit 0\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ name, path, want string }{
		{"dynamic", "/bin/ls", "not a static binary"},
		{"a script", text, "not an ELF binary: bad magic number '[35 33 47 98]' in record at byte 0x0"},
		{"empty", "/dev/null", "not an ELF binary: EOF"},
		{"missing", "/nonexistent", "open /nonexistent: no such file or directory"},
	} {
		t.Run(test.name, func(t *testing.T) {
			i, err := images.Open(test.path)
			if err == nil {
				i.Close()
			}
			if got := fmt.Sprint(err); got != test.want {
				t.Errorf("error %s, want %s", got, test.want)
			}
		})
	}
}

// A reader that ends early, like an engine without space, ends the writing.
func TestWriteError(t *testing.T) {
	t.Parallel()
	i := open(t, program(t, ""))
	r, w := io.Pipe()
	go func() {
		_, _ = io.CopyN(io.Discard, r, 10_000)
		r.CloseWithError(io.ErrShortWrite)
	}()
	if err := i.Write(w, "snatlab:1"); err != io.ErrShortWrite {
		t.Errorf("error %v", err)
	}
}
