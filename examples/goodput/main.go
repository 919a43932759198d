// Goodput draws the table that the goodput test of package batching writes: the share of requests answered in time against the load, for
// each policy. README.md has the two commands.
package main

import (
	"encoding/csv"
	"errors"
	"flag"
	"fmt"
	"image/color"
	"io"
	"os"
	"strconv"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

const usage = `Goodput reads a table as written by

	go test -run 'TestGoodput$' ./batching -goodput -goodput-csv FILE

and draws, for one model and each kind of arrivals, the share of requests that were answered in time.

Usage: goodput [flags] FILE

`

func main() {
	if err := run(os.Args[1:], os.Stdout, os.Stderr); err != nil {
		if !errors.Is(err, flag.ErrHelp) {
			_, _ = fmt.Fprintf(os.Stderr, "goodput: %v\n", err)
			os.Exit(1)
		}
	}
}

func run(args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("goodput", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() {
		_, _ = io.WriteString(stderr, usage)
		flags.PrintDefaults()
	}
	out := flags.String("o", "", "`file` to write the SVG to (default: standard output)")
	model := flags.Int("model", 1, "which of the table's `models` to draw, 1 for the first")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() != 1 {
		return fmt.Errorf("one file is needed, got %d", flags.NArg())
	}
	file, err := os.Open(flags.Arg(0))
	if err != nil {
		return err
	}
	defer file.Close()
	panels, err := read(file, *model)
	if err != nil {
		return fmt.Errorf("%s: %w", flags.Arg(0), err)
	}
	picture, err := drawing(panels)
	if err != nil {
		return err
	}
	if *out == "" {
		_, err = picture.WriteTo(stdout)
		return err
	}
	target, err := os.Create(*out)
	if err != nil {
		return err
	}
	if _, err := picture.WriteTo(target); err != nil {
		return errors.Join(err, target.Close())
	}
	return target.Close()
}

// panel is one kind of arrivals, for one model.
type panel struct {
	model, arrivals string
	lines           map[string]plotter.XYs // by column
}

// The columns of the table that are drawn, in the order of the legend.
var columns = []struct {
	name, label string
	color       color.RGBA
	dashes      []vg.Length
}{
	{"bound", "bound", color.RGBA{0x99, 0x99, 0x99, 0xff}, []vg.Length{vg.Points(4), vg.Points(3)}},
	{"deadline", "Deadline", color.RGBA{0x1b, 0x7a, 0x3d, 0xff}, nil},
	{"window", "best Window", color.RGBA{0xc2, 0x3b, 0x22, 0xff}, nil},
	{"aimd", "AIMD", color.RGBA{0x2f, 0x5f, 0xa8, 0xff}, nil},
}

// read returns the panels of one model with the least noise.
func read(r io.Reader, model int) ([]panel, error) {
	rows, err := csv.NewReader(r).ReadAll()
	if err != nil {
		return nil, err
	}
	if len(rows) < 2 {
		return nil, errors.New("the table has no rows")
	}
	column := map[string]int{}
	for i, name := range rows[0] {
		column[name] = i
	}
	for _, name := range []string{"shape", "noise", "arrivals", "load", "bound", "window", "aimd", "deadline"} {
		if _, ok := column[name]; !ok {
			return nil, fmt.Errorf("the table has no column %q", name)
		}
	}
	var (
		panels []panel
		shapes []string
	)
	for _, row := range rows[1:] {
		shape := row[column["shape"]] + "; noise " + row[column["noise"]]
		if len(shapes) == 0 || shapes[len(shapes)-1] != shape {
			shapes = append(shapes, shape)
		}
		if len(shapes) != model {
			continue
		}
		arrivals := row[column["arrivals"]]
		if len(panels) == 0 || panels[len(panels)-1].arrivals != arrivals {
			panels = append(panels, panel{row[column["shape"]], arrivals, map[string]plotter.XYs{}})
		}
		load, err := strconv.ParseFloat(row[column["load"]], 64)
		if err != nil {
			return nil, err
		}
		for _, c := range columns {
			cell := row[column[c.name]]
			if cell == "" {
				continue
			}
			share, err := strconv.ParseFloat(cell, 64)
			if err != nil {
				return nil, err
			}
			lines := panels[len(panels)-1].lines
			lines[c.name] = append(lines[c.name], plotter.XY{X: load, Y: 100 * share})
		}
	}
	if len(panels) == 0 {
		return nil, fmt.Errorf("the table has %d models, there is no number %d", len(shapes), model)
	}
	return panels, nil
}

// drawing puts the panels side by side.
func drawing(panels []panel) (*vgsvg.Canvas, error) {
	plots := make([]*plot.Plot, len(panels))
	for i, p := range panels {
		plots[i] = plot.New()
		plots[i].Title.Text = p.arrivals + " arrivals"
		plots[i].X.Label.Text = "load"
		plots[i].Y.Label.Text = "answered in time, %"
		plots[i].Y.Min, plots[i].Y.Max = 0, 102
		plots[i].Add(plotter.NewGrid())
		plots[i].Legend.Padding = vg.Points(2)
		plots[i].Legend.Left = true
		plots[i].Legend.YOffs = vg.Points(34)
		plots[i].Legend.XOffs = vg.Points(140)
		for _, c := range columns {
			points := p.lines[c.name]
			if points == nil {
				continue
			}
			line, dots, err := plotter.NewLinePoints(points)
			if err != nil {
				return nil, err
			}
			line.Color, line.Width, line.Dashes = c.color, vg.Points(1.8), c.dashes
			dots.Color, dots.Shape, dots.Radius = c.color, draw.CircleGlyph{}, vg.Points(2)
			plots[i].Add(line)
			if c.dashes == nil {
				plots[i].Add(dots)
			}
			plots[i].Legend.Add(c.label, line)
		}
	}
	canvas := vgsvg.New(vg.Length(len(panels))*11*vg.Centimeter, 8*vg.Centimeter)
	area := draw.New(canvas)
	area.FillPolygon(color.White, []vg.Point{{}, {X: area.Max.X}, area.Max, {Y: area.Max.Y}})
	tiles := draw.Tiles{Rows: 1, Cols: len(panels), PadX: vg.Points(14), PadRight: vg.Points(8), PadTop: vg.Points(4), PadBottom: vg.Points(4)}
	for i, c := range plot.Align([][]*plot.Plot{plots}, tiles, area)[0] {
		plots[i].Draw(c)
	}
	return canvas, nil
}
