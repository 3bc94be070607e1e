package strictyaml

// Key is one key of a table, as it is explained to a reader.
type Key struct {
	Path     string // the keys that lead to it: "load.sync"
	Kind     string // the type in words: "duration"
	Allowed  string // what may be written; empty for a mapping
	Default  string // in words; empty if there is none
	Doc      string
	Required bool
	Below    []string // the paths of the keys right under it
}

// ListKeys returns the keys of a table and of all mappings in it, each before those
// under it.
func ListKeys(fields []Field) []Key { return listKeys("", fields) }

func listKeys(above string, fields []Field) (all []Key) {
	for _, f := range fields {
		k := Key{Path: above + f.Key, Kind: schemaOf(f.Value).Kind, Default: f.defaultText(), Doc: f.Doc, Required: f.Required}
		below := fieldsOf(f.Value)
		if _, ok := f.Value.(Mapping); !ok {
			k.Allowed = f.Value.DescribeAllowed()
		}
		for _, b := range below {
			k.Below = append(k.Below, k.Path+"."+b.Key)
		}
		all = append(append(all, k), listKeys(k.Path+".", below)...)
	}
	return all
}

// fieldsOf returns the fields of a mapping, or of the mappings in a list.
func fieldsOf(v Value) []Field {
	if list, ok := v.(interface{ entry() Value }); ok {
		v = list.entry()
	}
	m, _ := v.(Mapping)
	return m.Fields
}
