package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/doc/comment"
	"go/parser"
	"go/token"
	"io"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// benchPackage is a package with benchmarks.
type benchPackage struct {
	name, path, dir string
	doc             string   // its package comment, in Markdown
	versions        []string // of the modules it compares
}

// findPackages returns the packages of the module in the current folder that have benchmarks: those that are wanted, or all.
func findPackages(ctx context.Context, wanted []string) ([]benchPackage, error) {
	text, err := output(ctx, ".", "go", "list", "-json=Dir,ImportPath,Name,TestGoFiles,XTestGoFiles,Module", "./...")
	if err != nil {
		return nil, err
	}
	modules, err := output(ctx, ".", "go", "list", "-m", "-f", "{{if not (or .Main .Replace)}}{{.Path}} {{.Version}}{{end}}", "all")
	if err != nil {
		return nil, err
	}
	var (
		found []benchPackage
		names []string
	)
	for dec := json.NewDecoder(bytes.NewReader(text)); ; {
		var p struct {
			Dir, ImportPath           string
			TestGoFiles, XTestGoFiles []string
			Module                    struct{ Dir string }
		}
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, err
		}
		b, err := inspect(p.Dir, append(p.XTestGoFiles, p.TestGoFiles...), string(modules))
		if err != nil {
			return nil, err
		}
		if b == nil {
			continue
		}
		b.path, b.name = p.ImportPath, p.ImportPath[strings.LastIndexByte(p.ImportPath, '/')+1:]
		if slices.Contains(names, b.name) {
			return nil, fmt.Errorf("two packages are named %s", b.name)
		}
		names = append(names, b.name)
		if len(wanted) == 0 || slices.Contains(wanted, b.name) {
			found = append(found, *b)
		}
	}
	for _, name := range wanted {
		if !slices.Contains(names, name) {
			return nil, fmt.Errorf("-packages: there is no package %q with benchmarks, there are: %s", name, strings.Join(names, ", "))
		}
	}
	if len(found) == 0 {
		return nil, errors.New("no package of this module has benchmarks: run it in the folder benchmarks")
	}
	return found, nil
}

// inspect reads the test files of a package. It returns nil if there is no benchmark in them.
func inspect(dir string, files []string, modules string) (*benchPackage, error) {
	b := &benchPackage{dir: dir}
	has := false
	for _, name := range files {
		file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(dir, name), nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		for _, d := range file.Decls {
			f, ok := d.(*ast.FuncDecl)
			has = has || ok && f.Recv == nil && strings.HasPrefix(f.Name.Name, "Benchmark")
		}
		for _, i := range file.Imports {
			path, err := strconv.Unquote(i.Path.Value)
			if err != nil {
				return nil, err
			}
			if version := moduleOf(path, modules); version != "" && !slices.Contains(b.versions, version) {
				b.versions = append(b.versions, version)
			}
		}
		if file.Doc != nil {
			b.doc = markdown(file.Doc.Text(), file.Name.Name)
		}
	}
	if !has {
		return nil, nil
	}
	if b.doc == "" {
		return nil, fmt.Errorf("%s: the package has no comment that says what it compares and what differs", dir)
	}
	slices.Sort(b.versions)
	return b, nil
}

// moduleOf returns the module, of a list of lines of paths and versions, that a package is of, with its version; "" if it is of none.
func moduleOf(path, modules string) string {
	best, longest := "", 0
	for line := range strings.Lines(modules) {
		line = strings.TrimSpace(line)
		module, _, _ := strings.Cut(line, " ")
		if (path == module || strings.HasPrefix(path, module+"/")) && len(module) > longest {
			best, longest = line, len(module)
		}
	}
	return best
}

// markdown renders the comment of a package without its first words, "Package x".
func markdown(text, pkg string) string {
	text = strings.TrimPrefix(text, "Package "+pkg+" ")
	if text != "" {
		text = strings.ToUpper(text[:1]) + text[1:]
	}
	printer := comment.Printer{HeadingLevel: 4}
	return strings.TrimSpace(string(printer.Markdown(new(comment.Parser).Parse(text))))
}
