package resultfile

import (
	"encoding/json"
	"io"
)

// WriteJSON writes v, a record of package result, as it is stored and printed.
func WriteJSON[T any](w io.Writer, v T) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false) // rules hold < and >
	return e.Encode(v)
}
