package patterns_test

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// Every Go snippet of the README is in snippets_test.go, which compiles, line by line but for the indentation.
func TestReadmeSnippetsCompile(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	code, err := os.ReadFile("snippets_test.go")
	if err != nil {
		t.Fatal(err)
	}
	compiled := dedent(string(code))
	snippets := regexp.MustCompile("(?s)```go\n(.*?)```").FindAllStringSubmatch(string(readme), -1)
	if len(snippets) < 2 {
		t.Fatalf("%d snippets in README.md: has its form changed?", len(snippets))
	}
	for _, s := range snippets {
		if !strings.Contains(compiled, dedent(s[1])) {
			t.Errorf("not in snippets_test.go:\n%s", s[1])
		}
	}
}

// The links of the README lead to something.
func TestReadmeLinks(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, link := range regexp.MustCompile(`\]\(([^)#:]+)\)`).FindAllStringSubmatch(string(readme), -1) {
		if _, err := os.Stat(link[1]); err != nil {
			t.Errorf("README.md: %v", err)
		}
	}
}

// dedent takes the white space at the beginning of each line away.
func dedent(s string) string { return regexp.MustCompile(`(?m)^[ \t]+`).ReplaceAllString(s, "") }
