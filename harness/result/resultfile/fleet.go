package resultfile

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"snatlab/harness/place"
	"snatlab/harness/result"
)

// FleetName is the name of the record of a fleet in its folder.
const FleetName = "fleet.json"

// maxFleetBytes bounds the record of a fleet: some hundred nodes.
const maxFleetBytes = 16 * maxBytes

// ReadFleet reads the record of a fleet in a folder. Its results are held to the bounds of
// other results.
func ReadFleet(dir string) (*result.Fleet, error) {
	path := filepath.Join(dir, FleetName)
	file, err := place.OpenFile(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	text, err := readBounded(file)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	f, err := parseFleet(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return f, nil
}

func readBounded(file *os.File) ([]byte, error) {
	text, err := io.ReadAll(io.LimitReader(file, maxFleetBytes+1))
	if err == nil && len(text) > maxFleetBytes {
		err = fmt.Errorf("no fleet is larger than %d MiB", maxFleetBytes>>20)
	}
	return text, err
}

func parseFleet(text []byte) (*result.Fleet, error) {
	var f result.Fleet
	if err := json.Unmarshal(text, &f); err != nil {
		return nil, err
	}
	if f.Schema != result.FleetSchema {
		return nil, fmt.Errorf("its schema is %.60q, not %s", f.Schema, result.FleetSchema)
	}
	for i, n := range f.Nodes {
		if n.Result == nil {
			continue
		}
		raw, err := json.Marshal(n.Result)
		if err != nil {
			return nil, err
		}
		if f.Nodes[i].Result, err = parseResult(raw); err != nil {
			return nil, fmt.Errorf("node %.60q: %w", n.Node, err)
		}
	}
	return &f, nil
}
