package policy

import "time"

// Composite is how a composed room is recorded as one picture.
type Composite struct {
	Width, Height int           // pixels
	MaxDuration   time.Duration // zero: the server's
	AutoStop      time.Duration // after the last peer left the stage; likewise
	URLsFor       time.Duration // how long the addresses of its files are good; likewise
	Thumbnails    *Thumbnails   // nil: none
}

// CompositeRecording returns how rooms of the template are recorded by the configuration of a name, of the present form
// or the old one; of an empty name, by the only one or as all are that have none. It is false when there is none of
// that name.
func (t *Template) CompositeRecording(name string) (c Composite, known bool) {
	c, known = Composite{Width: 1280, Height: 720}, name == ""
	size := func(width, height int) {
		if width > 0 && height > 0 {
			c.Width, c.Height = width, height
		}
	}
	for _, r := range t.Recordings {
		if name != "" && name != r.Name {
			continue
		}
		known = true
		c.MaxDuration, c.URLsFor = seconds(r.MaxDuration), seconds(r.PresignDuration)
		if r.Thumbnails != nil {
			same := Thumbnails(*r.Thumbnails)
			c.Thumbnails = &same
		}
		if r.Composite != nil && r.Composite.Browser != nil {
			c.AutoStop = seconds(r.Composite.Browser.AutoStopTimeout)
			size(r.Composite.Browser.Width, r.Composite.Browser.Height)
		}
	}
	if b := t.Destinations.BrowserRecordings[name]; b != nil && name != "" {
		known = true
		c.MaxDuration, c.AutoStop, c.URLsFor = seconds(b.MaxDuration), seconds(b.AutoStopTimeout), seconds(b.PresignDuration)
		c.Thumbnails = b.Thumbnails
		size(b.Width, b.Height)
	}
	return c, known
}

func seconds(n int) time.Duration { return time.Duration(n) * time.Second }
