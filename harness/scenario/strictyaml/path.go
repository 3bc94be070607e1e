package strictyaml

import "gopkg.in/yaml.v3"

// Path is the keys that lead from a mapping to a value. Through a list it leads
// to each entry.
type Path []string

// Pair is a key of a mapping and its value.
type Pair struct{ Key, Value *yaml.Node }

// FindPairs returns every pair that the path leads to from n.
func (p Path) FindPairs(n *yaml.Node) (found []Pair) {
	if n != nil && n.Kind == yaml.SequenceNode {
		for _, entry := range n.Content {
			found = append(found, p.FindPairs(entry)...)
		}
		return found
	}
	at := findPair(n, p[0])
	switch {
	case at.Key == nil:
		return nil
	case len(p) == 1:
		return []Pair{at}
	}
	return p[1:].FindPairs(at.Value)
}

// FindAlong returns the values that the path passes and those that it leads to.
func (p Path) FindAlong(n *yaml.Node) (passed []*yaml.Node) {
	for i := range p {
		for _, at := range p[:i+1].FindPairs(n) {
			passed = append(passed, at.Value)
		}
	}
	return passed
}

// ChildOf returns the value of a key of the mapping n; nil if n has no such key,
// or is not a mapping.
func ChildOf(n *yaml.Node, key string) *yaml.Node { return findPair(n, key).Value }

// findPair returns the pair of a key of the mapping n; zero if n has no such key,
// or is not a mapping. A key with a tag was refused, so it is not found.
func findPair(n *yaml.Node, key string) Pair {
	if n == nil || n.Kind != yaml.MappingNode {
		return Pair{}
	}
	for i := 0; i < len(n.Content); i += 2 {
		if k := n.Content[i]; k.Kind == yaml.ScalarNode && k.Value == key && k.Style&yaml.TaggedStyle == 0 {
			return Pair{k, n.Content[i+1]}
		}
	}
	return Pair{}
}
