package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"time"
)

const (
	checkTime    = "1x" // the benchtime of the run that checks and lists all benchmarks
	runTimeout   = "10m"
	maxErrorText = 4000
)

// gather builds and runs the benchmarks and compares what they measured.
func gather(ctx context.Context, s settings, progress, raw io.Writer) (*report, error) {
	packages, err := findPackages(ctx, s.packages)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "compare-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	var listed, measured measurements
	binaries := map[string]*testBinary{}
	for _, p := range packages {
		say(progress, "building %s, running each of its benchmarks once", p.name)
		b := &testBinary{filepath.Join(dir, p.name+".test"), p.dir}
		if _, err := output(ctx, ".", "go", "test", "-c", "-o", b.path, p.path); err != nil {
			return nil, err
		}
		binaries[p.name] = b
		text, err := b.run(ctx, ".", checkTime)
		if err != nil {
			return nil, err
		}
		if err := listed.read(bytes.NewReader(text)); err != nil {
			return nil, fmt.Errorf("%s: %w", p.name, err)
		}
	}
	for round := range s.count {
		say(progress, "round %d of %d", round+1, s.count)
		for _, b := range listed.benchmarks {
			for _, i := range rand.Perm(len(b.contenders)) {
				text, err := binaries[b.pkg].run(ctx, pattern(b, b.contenders[i]), s.benchtime)
				if err != nil {
					return nil, err
				}
				if err := measured.read(bytes.NewReader(text)); err != nil {
					return nil, fmt.Errorf("%s: Benchmark%s/%s: %w", b.pkg, b.name, b.contenders[i].contender, err)
				}
				if _, err := raw.Write(text); err != nil {
					return nil, err
				}
			}
		}
	}
	goVersion, err := output(ctx, ".", "go", "version")
	if err != nil {
		return nil, err
	}
	r := &report{
		goVersion: strings.TrimPrefix(strings.TrimSpace(string(goVersion)), "go version "),
		cores:     runtime.GOMAXPROCS(0), date: time.Now(), settings: s,
	}
	return r, r.fill(packages, listed, measured)
}

func say(w io.Writer, format string, args ...any) {
	_, _ = fmt.Fprintf(w, format+"\n", args...)
}

// testBinary is the compiled test of a package.
type testBinary struct{ path, dir string }

// run runs the benchmarks that match, and returns what they print.
func (b *testBinary) run(ctx context.Context, pattern, benchtime string) ([]byte, error) {
	return output(ctx, b.dir, b.path, "-test.run", "^$", "-test.bench", pattern, "-test.benchtime", benchtime, "-test.timeout", runTimeout)
}

// pattern matches one contender of a benchmark and nothing else.
func pattern(b *benchmark, s *series) string {
	parts := strings.Split("Benchmark"+b.name+"/"+s.contender, "/")
	for i, part := range parts {
		parts[i] = "^" + regexp.QuoteMeta(part) + "$"
	}
	return strings.Join(parts, "/")
}

// output runs a command without the workspace, so that the module's own go.mod says which versions are compared, and returns what it prints.
func output(ctx context.Context, dir, name string, args ...string) ([]byte, error) {
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, &stdout, &stderr
	cmd.Env = append(os.Environ(), "GOWORK=off")
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 5 * time.Second // then it is killed
	if err := cmd.Run(); err != nil {
		text := strings.TrimSpace(stdout.String() + stderr.String())
		if len(text) > maxErrorText {
			text = "..." + text[len(text)-maxErrorText:]
		}
		return nil, errors.Join(fmt.Errorf("%s %s: %w", filepath.Base(name), strings.Join(args, " "), err), errors.New(text))
	}
	return stdout.Bytes(), nil
}
