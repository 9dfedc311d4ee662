package templates

import (
	"fmt"
	"math"
)

// The amphitheatre's geometry, in the units of its viewBox: rows are half circles that open upwards around
// the stage's centre.
const (
	centreX, centreY = 280.0, 62.0
	rowStep          = 38.0
	floorRow         = 150.0
	galleryRow       = 258.0
	spread           = 62.0 // degrees from straight down to a row's end
)

type seat struct {
	level   string
	x, y, r string
}

// at is the point of a row at an angle in degrees, 0 straight below the stage.
func at(radius, degrees float64) (x, y float64) {
	sin, cos := math.Sincos(degrees * math.Pi / 180)
	return centreX + radius*sin, centreY + radius*cos
}

// arc is the path of one row.
func arc(radius float64) string {
	x1, y1 := at(radius, -spread)
	x2, y2 := at(radius, spread)
	return fmt.Sprintf("M%.1f %.1fA%.0f %.0f 0 0 0 %.1f %.1f", x1, y1, radius, radius, x2, y2)
}

// stageShape is the half disc that the rows look at.
func stageShape() string {
	const r = 66.0
	return fmt.Sprintf("M%.0f %.0fh%.0fa%.0f %.0f 0 0 1 -%.0f 0z", centreX-r, centreY-26, 2*r, r, r, 2*r)
}

// seats are the people: few on the stage, more with every row, with gaps where names stand.
func seats() []seat {
	all := []seat{
		{"stage", "256", "58", "11"},
		{"stage", "304", "58", "11"},
	}
	rows := []struct {
		level  string
		radius float64
		people int
		r      string
	}{
		{"floor", floorRow - rowStep, 5, "7"},
		{"floor", floorRow, 8, "7"},
		{"gallery", galleryRow - rowStep, 15, "5.5"},
		{"gallery", galleryRow, 19, "5.5"},
	}
	for _, row := range rows {
		for i := range row.people {
			x, y := at(row.radius, -spread+2*spread*float64(i)/float64(row.people-1))
			all = append(all, seat{row.level, fmt.Sprintf("%.1f", x), fmt.Sprintf("%.1f", y), row.r})
		}
	}
	return all
}
