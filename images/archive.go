package images

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"fmt"
	"io"

	"github.com/distribution/reference"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// These annotations name an image in an archive: the first for containerd, the second
// for other programs that read OCI layouts.
const (
	containerdName = "io.containerd.image.name"
	layoutName     = "org.opencontainers.image.ref.name"
)

// CheckName returns an error if a name cannot be that of an image with a tag.
func CheckName(name string) error {
	_, err := parseName(name)
	return err
}

// parseName completes a name as engines do: snatlab is docker.io/library/snatlab:latest.
func parseName(name string) (reference.NamedTagged, error) {
	named, err := reference.ParseNormalizedNamed(name)
	if err != nil {
		return nil, fmt.Errorf("%q is not a name of an image: %w", name, err)
	}
	tagged, ok := reference.TagNameOnly(named).(reference.NamedTagged)
	if _, digested := named.(reference.Digested); digested || !ok {
		return nil, fmt.Errorf("%q is not a name with a tag, like registry.example/snatlab:1.0", name)
	}
	return tagged, nil
}

// entry is a small file of an archive.
type entry struct {
	name    string
	content []byte
}

// Write writes an archive that contains the image under a name. The archive is an OCI
// layout. It has the manifest.json of `docker save` as well, because engines before 25
// load nothing else.
func (i *Image) Write(w io.Writer, name string) error {
	named, err := parseName(name)
	if err != nil {
		return err
	}
	layer, err := partial.Descriptor(i.layer)
	if err != nil {
		return fmt.Errorf("compress the binary: %w", err)
	}
	entries, err := i.entries(named, *layer)
	if err != nil {
		return err
	}
	archive := tar.NewWriter(w)
	for _, e := range entries {
		if err := addFile(archive, e.name, int64(len(e.content)), bytes.NewReader(e.content)); err != nil {
			return err
		}
	}
	content, err := i.layer.Compressed()
	if err != nil {
		return err
	}
	defer content.Close()
	if err := addFile(archive, blob(layer.Digest), layer.Size, content); err != nil {
		return err
	}
	return archive.Close()
}

// entries returns every file of the archive but the layer.
func (i *Image) entries(named reference.NamedTagged, layer v1.Descriptor) ([]entry, error) {
	config := v1.Descriptor{MediaType: types.OCIConfigJSON, Size: int64(len(i.config)), Digest: i.id}
	manifest, err := json.Marshal(v1.Manifest{
		SchemaVersion: 2, MediaType: types.OCIManifestSchema1, Config: config, Layers: []v1.Descriptor{layer},
	})
	if err != nil {
		return nil, err
	}
	digest, size, err := v1.SHA256(bytes.NewReader(manifest))
	if err != nil {
		return nil, err
	}
	platform, err := v1.ParsePlatform(i.Platform)
	if err != nil {
		return nil, err
	}
	index, err := json.Marshal(v1.IndexManifest{
		SchemaVersion: 2, MediaType: types.OCIImageIndex,
		Manifests: []v1.Descriptor{{
			MediaType: types.OCIManifestSchema1, Size: size, Digest: digest, Platform: platform,
			Annotations: map[string]string{containerdName: named.String(), layoutName: named.Tag()},
		}},
	})
	if err != nil {
		return nil, err
	}
	saved, err := json.Marshal([]savedImage{{
		Config: blob(i.id), RepoTags: []string{reference.FamiliarString(named)}, Layers: []string{blob(layer.Digest)},
	}})
	return []entry{
		{"oci-layout", []byte(`{"imageLayoutVersion":"1.0.0"}`)},
		{"index.json", index},
		{"manifest.json", saved},
		{blob(digest), manifest},
		{blob(i.id), i.config},
	}, err
}

// savedImage is an element of the manifest.json of `docker save`.
type savedImage struct {
	Config   string
	RepoTags []string
	Layers   []string
}

// blob returns the path of a content in an OCI layout.
func blob(h v1.Hash) string { return "blobs/" + h.Algorithm + "/" + h.Hex }

// addFile adds a file to an archive, with a header that says nothing about this machine.
func addFile(archive *tar.Writer, name string, size int64, content io.Reader) error {
	err := archive.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Size: size, Format: tar.FormatUSTAR})
	if err == nil {
		_, err = io.Copy(archive, content)
	}
	return err
}
