package storetest_test

import (
	"context"
	"os"
	"os/exec"
	"slices"
	"testing"

	fs "github.com/scalable-ai/patterns/featurestore"
	"github.com/scalable-ai/patterns/featurestore/memstore"
	"github.com/scalable-ai/patterns/featurestore/storetest"
)

const faultVariable = "STORETEST_FAULT"

// faulty is a store that does one thing wrong.
type faulty struct {
	*memstore.Store
	fault string
}

func (f faulty) Read(ctx context.Context, lookups []fs.Lookup) error {
	if f.fault == "ignores the context" {
		ctx = context.WithoutCancel(ctx)
	}
	err := f.Store.Read(ctx, lookups)
	for _, l := range lookups {
		switch {
		case f.fault == "gives the row of another key" && len(l.Rows) > 1:
			l.Rows[1] = l.Rows[0]
		case f.fault == "keeps the rows in another order":
			slices.Reverse(l.Rows)
		}
	}
	return err
}

func (f faulty) Write(ctx context.Context, view *fs.Schema, rows []fs.Row, outcomes []fs.Outcome) error {
	switch f.fault {
	case "ignores the context":
		ctx = context.WithoutCancel(ctx)
	case "last write wins":
		for _, row := range rows {
			_ = f.Store.Delete(ctx, view, []fs.Key{row.Key})
		}
	case "fills no outcomes":
		outcomes = make([]fs.Outcome, len(rows))
	case "loses a row of a huge batch":
		if len(rows) > 500 {
			_ = f.Store.Write(ctx, view, rows[:500], outcomes[:500])
			for i := range outcomes[500:] {
				outcomes[500+i] = fs.Written
			}
			return nil
		}
	}
	err := f.Store.Write(ctx, view, rows, outcomes)
	switch f.fault {
	case "calls stale rows written":
		for i, o := range outcomes {
			if o == fs.Stale {
				outcomes[i] = fs.Written
			}
		}
	case "does not say what is invalid":
		return nil
	}
	return err
}

func (f faulty) Delete(ctx context.Context, view *fs.Schema, keys []fs.Key) error {
	switch f.fault {
	case "ignores the context":
		ctx = context.WithoutCancel(ctx)
	case "deletes nothing":
		return nil
	case "deletes the first key only":
		keys = keys[:min(1, len(keys))]
	}
	return f.Store.Delete(ctx, view, keys)
}

// closable goes on when it has been closed.
type closable struct{ faulty }

func (closable) Close() error { return nil }

// TestStore is what the other test runs.
func TestStore(t *testing.T) {
	fault, ok := os.LookupEnv(faultVariable)
	if !ok {
		t.Skip("run by TestFindsFaults")
	}
	storetest.Run(t, func(t *testing.T) fs.Store {
		store, err := memstore.New(memstore.Config{})
		if err != nil {
			t.Fatal(err)
		}
		if fault == "goes on after Close" {
			return closable{faulty{store, fault}}
		}
		return faulty{store, fault}
	}, storetest.WithRounds(100))
}

func TestFindsFaults(t *testing.T) {
	binary, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, fault := range []string{
		"none", "ignores the context", "gives the row of another key", "keeps the rows in another order", "last write wins", "fills no outcomes",
		"loses a row of a huge batch", "calls stale rows written", "does not say what is invalid", "deletes nothing", "deletes the first key only", "goes on after Close",
	} {
		t.Run(fault, func(t *testing.T) {
			cmd := exec.CommandContext(t.Context(), binary, "-test.run=^TestStore$", "-test.timeout=2m")
			cmd.Env = append(os.Environ(), faultVariable+"="+fault)
			out, err := cmd.CombinedOutput()
			if (err == nil) != (fault == "none") {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}
