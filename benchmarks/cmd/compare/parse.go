package main

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"golang.org/x/perf/benchfmt"
)

// series is what one contender measured, by unit, a value a round.
type series struct {
	contender string
	values    map[string][]float64
}

// benchmark is one kind of work and those who do it, in the order of the source.
type benchmark struct {
	pkg, name  string // name is without "Benchmark" and the contender
	contenders []*series
}

// measurements are what the benchmarks printed.
type measurements struct {
	benchmarks []*benchmark
	cpu        string
}

// read adds results in the format of go test.
func (m *measurements) read(r io.Reader) error {
	reader := benchfmt.NewReader(r, "benchmark output")
	found := false
	for reader.Scan() {
		switch rec := reader.Result().(type) {
		case *benchfmt.SyntaxError:
			return rec
		case *benchfmt.Result:
			found = true
			if err := m.add(rec); err != nil {
				return err
			}
		}
	}
	if err := reader.Err(); err != nil {
		return err
	}
	if !found {
		return errors.New("the output has no results of benchmarks")
	}
	return nil
}

func (m *measurements) add(r *benchfmt.Result) error {
	name, contender, err := split(r.Name)
	if err != nil {
		return err
	}
	pkg := r.GetConfig("pkg")
	if pkg == "" {
		return fmt.Errorf("the output does not say of which package %s is", r.Name)
	}
	pkg = pkg[strings.LastIndexByte(pkg, '/')+1:]
	if cpu := r.GetConfig("cpu"); cpu != "" {
		m.cpu = cpu
	}
	s := m.benchmark(pkg, name).series(contender)
	for _, v := range r.Values {
		s.values[v.Unit] = append(s.values[v.Unit], v.Value)
	}
	return nil
}

// split takes the name of a benchmark apart: Do/patterns-ring-2 is the contender patterns-ring in Do, with two processors.
func split(full benchfmt.Name) (name, contender string, err error) {
	base, parts := full.Parts()
	if n := len(parts); n > 0 && parts[n-1][0] == '-' {
		parts = parts[:n-1]
	}
	if len(parts) == 0 {
		return "", "", fmt.Errorf("a benchmark, %s, has no contender: it must be named Benchmark<Work>/<contender>", full)
	}
	name = string(base)
	for _, part := range parts[:len(parts)-1] {
		name += string(part)
	}
	return name, string(parts[len(parts)-1][1:]), nil
}

func (m *measurements) benchmark(pkg, name string) *benchmark {
	for _, b := range m.benchmarks {
		if b.pkg == pkg && b.name == name {
			return b
		}
	}
	b := &benchmark{pkg: pkg, name: name}
	m.benchmarks = append(m.benchmarks, b)
	return b
}

func (b *benchmark) series(contender string) *series {
	for _, s := range b.contenders {
		if s.contender == contender {
			return s
		}
	}
	s := &series{contender, map[string][]float64{}}
	b.contenders = append(b.contenders, s)
	return s
}

// ours says whether a contender is of this library.
func ours(contender string) bool {
	return contender == "patterns" || strings.HasPrefix(contender, "patterns-")
}
