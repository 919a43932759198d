package main

import (
	"errors"
	"image/color"
	"math"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

var (
	green = color.RGBA{0x1b, 0x7a, 0x3d, 0xff}
	red   = color.RGBA{0xc2, 0x3b, 0x22, 0xff}
	grey  = color.RGBA{0x99, 0x99, 0x99, 0xff}
)

const (
	chartWidth = 22 * vg.Centimeter
	rowHeight  = 0.42 * vg.Centimeter
	margins    = 2.6 * vg.Centimeter // of all that is not rows
	halfBar    = 0.36                // of a row
)

// bar is one contender in the chart.
type bar struct {
	row
	y float64
}

// bars is a plotter of ratios: each reaches from 1, where the contender is as fast as ours, to its ratio, on a log axis.
type bars []bar

// drawing has a group of bars for each benchmark, in the order of the report.
func drawing(r *report) (*vgsvg.Canvas, error) {
	p := plot.New()
	p.Title.Text = "Time of a contender by that of ours (log scale)"
	p.X.Label.Text = "left: the other is faster        right: ours is faster"
	var (
		all   bars
		names []plot.Tick
		heads plotter.XYLabels
		y     float64
	)
	for _, t := range r.tables {
		heads.XYs, heads.Labels = append(heads.XYs, plotter.XY{Y: y}), append(heads.Labels, t.pkg+": "+t.name)
		y--
		for _, c := range t.rows {
			if c.name == t.base {
				continue
			}
			all = append(all, bar{c, y})
			names = append(names, plot.Tick{Value: y, Label: c.name})
			y--
		}
		y -= 0.5
	}
	if len(all) == 0 {
		return nil, errors.New("there is nothing to compare: no benchmark has a contender beside ours")
	}
	p.Add(all)
	p.X.Min, p.X.Max = all.limits()
	p.X.Tick.Marker = plot.ConstantTicks(ticks(p.X.Min, p.X.Max))
	p.Y.Min, p.Y.Max = y+1, 0.7
	p.Y.Tick.Marker = plot.ConstantTicks(names)
	p.Y.LineStyle.Width, p.Y.Tick.LineStyle.Width = 0, 0
	for i := range heads.XYs {
		heads.XYs[i].X = p.X.Min
	}
	labels, err := plotter.NewLabels(heads)
	if err != nil {
		return nil, err
	}
	for i := range labels.TextStyle {
		labels.TextStyle[i].Font.Weight = 2 // bold
		labels.TextStyle[i].YAlign = draw.YCenter
	}
	p.Add(labels)

	canvas := vgsvg.New(chartWidth, vg.Length(-y)*rowHeight+margins)
	area := draw.New(canvas)
	area.FillPolygon(color.White, []vg.Point{{}, {X: area.Max.X}, area.Max, {Y: area.Max.Y}})
	p.Draw(draw.Crop(area, vg.Points(6), -vg.Points(10), vg.Points(6), -vg.Points(6)))
	return canvas, nil
}

// limits are the ends of the axis, as powers of two: they include 1 and have room for the numbers beside the bars.
func (bs bars) limits() (lo, hi float64) {
	for _, b := range bs {
		for _, ratio := range []float64{b.ratio.center, b.ratio.lo, b.ratio.hi} {
			if x := math.Log2(ratio); !math.IsInf(x, 0) && !math.IsNaN(x) {
				lo, hi = min(lo, x), max(hi, x)
			}
		}
	}
	room := max(0.5, 0.08*(hi-lo))
	return lo - room, hi + room
}

// ticks has a line at each power of two, or of more if there are many.
func ticks(lo, hi float64) []plot.Tick {
	step := math.Ceil((hi - lo) / 12)
	var list []plot.Tick
	for x := math.Ceil(lo/step) * step; x <= hi; x += step {
		list = append(list, plot.Tick{Value: x, Label: digits(math.Exp2(x))})
	}
	return list
}

// Plot draws the bars.
func (bs bars) Plot(c draw.Canvas, p *plot.Plot) {
	toX, toY := p.Transforms(&c)
	light := draw.LineStyle{Color: color.Gray{0xdd}, Width: vg.Points(0.5)}
	for _, t := range p.X.Tick.Marker.Ticks(p.X.Min, p.X.Max) {
		c.StrokeLine2(light, toX(t.Value), c.Min.Y, toX(t.Value), c.Max.Y)
	}
	style := text.Style{Color: color.Black, Font: font.From(plot.DefaultFont, 8), YAlign: draw.YCenter, Handler: plot.DefaultTextHandler}
	for _, b := range bs {
		one, x := toX(0), toX(math.Log2(b.ratio.center))
		lower, upper := toY(b.y-halfBar), toY(b.y+halfBar)
		c.FillPolygon(b.color(), []vg.Point{{X: one, Y: lower}, {X: x, Y: lower}, {X: x, Y: upper}, {X: one, Y: upper}})
		left, right := min(one, x), max(one, x)
		if lo, hi := math.Log2(b.ratio.lo), math.Log2(b.ratio.hi); !math.IsInf(lo, 0) && !math.IsNaN(lo) && !math.IsInf(hi, 0) {
			c.StrokeLine2(draw.LineStyle{Color: color.Black, Width: vg.Points(0.8)}, toX(lo), toY(b.y), toX(hi), toY(b.y))
			left, right = min(left, toX(lo)), max(right, toX(hi))
		}
		at, align := right+vg.Points(3), draw.XLeft
		if x < one {
			at, align = left-vg.Points(3), draw.XRight
		}
		style.XAlign = align
		c.FillText(style, vg.Point{X: at, Y: toY(b.y)}, b.ratio.plain())
	}
	c.StrokeLine2(draw.LineStyle{Color: color.Black, Width: vg.Points(1)}, toX(0), c.Min.Y, toX(0), c.Max.Y)
}

// color says who is faster: green if ours, red if the other, grey if it is not certain, or if both are ours.
func (b bar) color() color.Color {
	switch {
	case ours(b.name) || b.time == unclear:
		return grey
	case b.time == ahead:
		return red
	default:
		return green
	}
}
