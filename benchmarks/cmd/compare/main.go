package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const usage = `Compare runs the benchmarks of this module in rounds and writes how the contenders
compare: RESULTS.md and results.svg.

Usage, in the folder of the module: go run ./cmd/compare [flags]

`

const (
	reportFile = "RESULTS.md"
	chartFile  = "results.svg"
	maxCount   = 1000
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stderr)
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		_, _ = fmt.Fprintf(os.Stderr, "compare: %v\n", err)
		os.Exit(1)
	}
}

// settings are the flags.
type settings struct {
	count     int
	benchtime string
	packages  []string // none: all
	out, raw  string
}

func parseFlags(args []string, stderr io.Writer) (settings, error) {
	var (
		s        settings
		packages string
	)
	flags := flag.NewFlagSet("compare", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() {
		_, _ = io.WriteString(stderr, usage)
		flags.PrintDefaults()
	}
	flags.IntVar(&s.count, "count", 8, "`rounds`: how often each benchmark is run; from 6 on ratios have an interval")
	flags.StringVar(&s.benchtime, "benchtime", "1s", "how long each run of a benchmark takes: a `duration`, or a number of iterations as in 100x")
	flags.StringVar(&packages, "packages", "", "comma-separated `names` of the packages to run, such as batching,pool (default: all)")
	flags.StringVar(&s.out, "o", ".", "`folder` to write "+reportFile+" and "+chartFile+" to")
	flags.StringVar(&s.raw, "raw", "", "`file` to write what the benchmarks print to as well, for benchstat")
	if err := flags.Parse(args); err != nil {
		return s, err
	}
	if flags.NArg() > 0 {
		return s, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	if s.count < 1 || s.count > maxCount {
		return s, fmt.Errorf("-count is %d, it must be between 1 and %d", s.count, maxCount)
	}
	if err := checkBenchtime(s.benchtime); err != nil {
		return s, err
	}
	for name := range strings.SplitSeq(packages, ",") {
		if name = strings.TrimSpace(name); name != "" {
			s.packages = append(s.packages, name)
		}
	}
	return s, nil
}

func checkBenchtime(text string) error {
	if times, ok := strings.CutSuffix(text, "x"); ok {
		if n, err := strconv.ParseInt(times, 10, 64); err == nil && n > 0 {
			return nil
		}
	} else if d, err := time.ParseDuration(text); err == nil && d > 0 {
		return nil
	}
	return fmt.Errorf("-benchtime is %q, it must be a duration such as 1s or a number of iterations such as 100x, above 0", text)
}

func run(ctx context.Context, args []string, stderr io.Writer) error {
	s, err := parseFlags(args, stderr)
	if err != nil {
		return err
	}
	// Ten minutes later it would be too late to learn that nothing can be written.
	if err := checkFolder(s.out); err != nil {
		return err
	}
	raw := io.Discard
	if s.raw != "" {
		file, err := os.Create(s.raw)
		if err != nil {
			return err
		}
		defer file.Close()
		raw = file
	}
	r, err := gather(ctx, s, stderr, raw)
	if ctx.Err() != nil {
		return errors.New("interrupted: no report was written")
	}
	if err != nil {
		return err
	}
	picture, err := drawing(r)
	if err != nil {
		return err
	}
	if err := writeFile(filepath.Join(s.out, chartFile), picture); err != nil {
		return err
	}
	return writeFile(filepath.Join(s.out, reportFile), r)
}

// checkFolder says why nothing can be written to a folder.
func checkFolder(dir string) error {
	file, err := os.CreateTemp(dir, ".compare-*")
	if err != nil {
		return fmt.Errorf("-o: %w", err)
	}
	return errors.Join(file.Close(), os.Remove(file.Name()))
}

func writeFile(path string, content io.WriterTo) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	_, err = content.WriteTo(file)
	return errors.Join(err, file.Close())
}
