package mnist

import (
	"context"
	"flag"
	"fmt"
)

// Flag adds the flag -data, which names the folder for Open.
func Flag(flags *flag.FlagSet, dir *string) {
	flags.StringVar(dir, "data", "", "`folder` with the four MNIST files (default: that of the module "+module+")")
}

// Open loads both sets from the folder that Flag has set. If that is "" it is the one that Dir finds.
func Open(ctx context.Context, dir string) (train, test *Set, err error) {
	if dir == "" {
		if dir, err = Dir(ctx); err != nil {
			return nil, nil, fmt.Errorf("loading MNIST: %w\nname a folder that has them with -data", err)
		}
	}
	if train, test, err = Load(ctx, dir); err != nil {
		return nil, nil, fmt.Errorf("loading MNIST: %w", err)
	}
	return train, test, nil
}
