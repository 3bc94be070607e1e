// Command readability prints figures about how this code reads: the length of
// functions, the names that say one word only, the names that mean different
// things in different packages, and the words of the comments.
//
// Run from the root of the repository:
//
//	go run -C tools ./readability ..
//
// With -names it also lists the one-word functions of each package and the
// names that several packages declare; with -words, the comments that use words
// the house style replaces. Files of tests count only for the names of tests.
package main

import (
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"unicode"
)

var (
	listNames = flag.Bool("names", false, "list one-word functions and shared names")
	listWords = flag.Bool("words", false, "list comments with words of the old style")
	only      = flag.String("under", "", "count only files below this folder of the root")
)

func main() {
	flag.Parse()
	root := "."
	if flag.NArg() > 0 {
		root = flag.Arg(0)
	}
	c := newCount()
	if err := c.walk(root); err != nil {
		fmt.Fprintln(os.Stderr, "readability:", err)
		os.Exit(1)
	}
	c.print()
}

// count is what was seen in all files.
type count struct {
	fset       *token.FileSet
	lines      []int               // of each function, with its braces
	oneWord    map[string][]string // one-word functions by folder
	functions  int
	declared   map[string]map[string]bool // package-level name -> folders
	exported   int
	documented int
	tests      []int // length of each test function's name
	returns    int
	gives      []string       // places of comments with a word of the old style
	size       map[string]int // lines of non-test code by folder
}

func newCount() *count {
	return &count{
		fset:     token.NewFileSet(),
		oneWord:  map[string][]string{},
		declared: map[string]map[string]bool{},
		size:     map[string]int{},
	}
}

// walk reads every Go file below root, testdata and hidden folders left out.
func (c *count) walk(root string) error {
	return filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() {
			if rel != "." && (name == "testdata" || name == "tools" || strings.HasPrefix(name, ".")) {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") || !strings.HasPrefix(rel, *only) {
			return nil
		}
		return c.file(path, rel)
	})
}

func (c *count) file(path, rel string) error {
	f, err := parser.ParseFile(c.fset, path, nil, parser.ParseComments)
	if err != nil {
		return err
	}
	if strings.HasSuffix(rel, "_test.go") {
		c.testFile(f)
		return nil
	}
	folder := filepath.Dir(rel)
	c.size[folder] += c.fset.File(f.Pos()).LineCount()
	c.comments(f, rel)
	for _, d := range f.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			c.function(d, folder)
		case *ast.GenDecl:
			c.declaration(d, folder)
		}
	}
	return nil
}

func (c *count) testFile(f *ast.File) {
	for _, d := range f.Decls {
		fn, ok := d.(*ast.FuncDecl)
		if ok && fn.Recv == nil && strings.HasPrefix(fn.Name.Name, "Test") && fn.Name.Name != "TestMain" {
			c.tests = append(c.tests, len(fn.Name.Name))
		}
	}
}

func (c *count) function(d *ast.FuncDecl, folder string) {
	name := d.Name.Name
	if d.Recv == nil && (name == "main" || name == "init") {
		return
	}
	c.functions++
	if words(name) == 1 {
		c.oneWord[folder] = append(c.oneWord[folder], name)
	}
	if d.Body != nil {
		c.lines = append(c.lines, c.fset.Position(d.End()).Line-c.fset.Position(d.Pos()).Line+1)
	}
	if d.Recv == nil {
		c.declare(name, folder)
	}
	if ast.IsExported(name) && (d.Recv == nil || ast.IsExported(receiver(d))) {
		c.export(d.Doc)
	}
}

func (c *count) declaration(d *ast.GenDecl, folder string) {
	for _, s := range d.Specs {
		switch s := s.(type) {
		case *ast.TypeSpec:
			c.declare(s.Name.Name, folder)
			if s.Name.IsExported() {
				c.export(d.Doc, s.Doc, s.Comment)
			}
		case *ast.ValueSpec:
			for _, n := range s.Names {
				c.declare(n.Name, folder)
				if n.IsExported() {
					c.export(d.Doc, s.Doc, s.Comment)
				}
			}
		}
	}
}

func (c *count) declare(name, folder string) {
	if name == "_" {
		return
	}
	if c.declared[name] == nil {
		c.declared[name] = map[string]bool{}
	}
	c.declared[name][folder] = true
}

func (c *count) export(docs ...*ast.CommentGroup) {
	c.exported++
	for _, d := range docs {
		if d != nil {
			c.documented++
			return
		}
	}
}

var (
	newStyle = regexp.MustCompile(`(?i)\b(returns|reports)\b`)
	oldStyle = regexp.MustCompile(`(?i)\b(gives|tells|told|says)\b`)
)

func (c *count) comments(f *ast.File, rel string) {
	for _, g := range f.Comments {
		for _, line := range g.List {
			c.returns += len(newStyle.FindAllString(line.Text, -1))
			for range oldStyle.FindAllString(line.Text, -1) {
				p := c.fset.Position(line.Pos())
				c.gives = append(c.gives, fmt.Sprintf("%s:%d: %s", rel, p.Line, line.Text))
			}
		}
	}
}

func (c *count) print() {
	slices.Sort(c.lines)
	slices.Sort(c.tests)
	one := 0
	for _, names := range c.oneWord {
		one += len(names)
	}
	var shared []string
	for name, folders := range c.declared {
		if len(folders) > 1 {
			shared = append(shared, name+"\t"+strings.Join(slices.Sorted(maps.Keys(folders)), " "))
		}
	}
	slices.Sort(shared)
	fmt.Printf("functions                 %d; lines: median %d, p90 %d, longest %d\n",
		c.functions, at(c.lines, 50), at(c.lines, 90), at(c.lines, 100))
	fmt.Printf("one-word function names   %.0f %% (%d)\n", percent(one, c.functions), one)
	fmt.Printf("names in several packages %d\n", len(shared))
	fmt.Printf("returns/reports           %d, gives/tells/told/says %d\n", c.returns, len(c.gives))
	fmt.Printf("exported and documented   %.0f %% (%d of %d)\n", percent(c.documented, c.exported), c.documented, c.exported)
	fmt.Printf("test names                %d; letters: median %d, p90 %d, longest %d\n",
		len(c.tests), at(c.tests, 50), at(c.tests, 90), at(c.tests, 100))
	folder, most := "", 0
	for f, n := range c.size {
		if n > most && strings.HasPrefix(f, "harness") {
			folder, most = f, n
		}
	}
	fmt.Printf("largest under harness     %s, %d lines without tests\n", folder, most)
	if *listNames {
		fmt.Println("\nNames in several packages:")
		for _, s := range shared {
			fmt.Println("  " + s)
		}
		fmt.Println("\nOne-word functions:")
		for _, f := range slices.Sorted(maps.Keys(c.oneWord)) {
			slices.Sort(c.oneWord[f])
			fmt.Printf("  %s (%d): %s\n", f, len(c.oneWord[f]), strings.Join(c.oneWord[f], " "))
		}
	}
	if *listWords {
		fmt.Println()
		for _, g := range c.gives {
			fmt.Println(g)
		}
	}
}

// words returns how many words a Go name has: each capital after a small letter
// begins one, and so does the last capital of an abbreviation before a small one.
func words(name string) int {
	n, r := 1, []rune(name)
	for i := 1; i < len(r); i++ {
		afterSmall := unicode.IsUpper(r[i]) && !unicode.IsUpper(r[i-1])
		endsCapitals := unicode.IsUpper(r[i]) && unicode.IsUpper(r[i-1]) && i+1 < len(r) && unicode.IsLower(r[i+1])
		if afterSmall || endsCapitals || r[i] == '_' {
			n++
		}
	}
	return n
}

func receiver(d *ast.FuncDecl) string {
	t := d.Recv.List[0].Type
	for {
		switch x := t.(type) {
		case *ast.StarExpr:
			t = x.X
		case *ast.IndexExpr:
			t = x.X
		case *ast.IndexListExpr:
			t = x.X
		case *ast.Ident:
			return x.Name
		default:
			return ""
		}
	}
}

// at returns the value at a percentile of sorted values, 0 of none.
func at(sorted []int, percentile int) int {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[(len(sorted)-1)*percentile/100]
}

func percent(part, of int) float64 {
	if of == 0 {
		return 0
	}
	return 100 * float64(part) / float64(of)
}
