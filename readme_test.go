package patterns_test

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// Every Go snippet is in a file that compiles, line by line but for the indentation and, where it has an empty line, what is left out there.
func TestReadmeSnippetsCompile(t *testing.T) {
	for _, c := range []struct {
		readme, code string
		snippets     int
	}{
		{"README.md", "snippets_test.go examples/inference/compose.go", 3},
		{"examples/inference/README.md", "examples/inference/compose.go", 1},
	} {
		var compiled strings.Builder
		for name := range strings.FieldsSeq(c.code) {
			compiled.WriteString(dedent(read(t, name)))
		}
		snippets := regexp.MustCompile("(?s)```go\n(.*?)```").FindAllStringSubmatch(read(t, c.readme), -1)
		if len(snippets) < c.snippets {
			t.Fatalf("%d snippets in %s: has its form changed?", len(snippets), c.readme)
		}
		for _, s := range snippets {
			for part := range strings.SplitSeq(s[1], "\n\n") {
				if !strings.Contains(compiled.String(), dedent(part)) {
					t.Errorf("%s: not in %s:\n%s", c.readme, c.code, part)
				}
			}
		}
	}
}

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// The links of the README lead to something.
func TestReadmeLinks(t *testing.T) {
	for _, link := range regexp.MustCompile(`\]\(([^)#:]+)\)`).FindAllStringSubmatch(read(t, "README.md"), -1) {
		if _, err := os.Stat(link[1]); err != nil {
			t.Errorf("README.md: %v", err)
		}
	}
}

// dedent takes the white space at the beginning of each line away.
func dedent(s string) string { return regexp.MustCompile(`(?m)^[ \t]+`).ReplaceAllString(s, "") }
