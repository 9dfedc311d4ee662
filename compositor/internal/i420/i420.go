// Package i420 converts colours and pictures to those of video: BT.601 in the limited range, with
// chroma planes of half the size.
package i420

import "image"

// Luma and Chroma are the matrix in 16-bit fixed point, for components from 0 to 255.

// Luma is the brightness of a colour.
func Luma(r, g, b int) byte {
	return byte((16829*r + 33039*g + 6416*b + 16<<16 + 1<<15) >> 16)
}

// Chroma is its hue.
func Chroma(r, g, b int) (u, v byte) {
	return byte((-9714*r - 19070*g + 28784*b + 128<<16 + 1<<15) >> 16),
		byte((28784*r - 24103*g - 4681*b + 128<<16 + 1<<15) >> 16)
}

// Bytes is the length of a picture of even size with an alpha plane.
func Bytes(w, h int) int { return w*h*2 + w*h/2 }

// WithAlpha converts a picture of even size: planes Y, U, V and an alpha plane of full resolution,
// one after the other. What was premultiplied is so no more.
func WithAlpha(m *image.RGBA) []byte {
	w, h := m.Rect.Dx(), m.Rect.Dy()
	pix := make([]byte, Bytes(w, h))
	luma, u := pix[:w*h], pix[w*h:w*h+w*h/4]
	v, alpha := pix[w*h+w*h/4:w*h+w*h/2], pix[w*h+w*h/2:]
	for y := 0; y < h; y += 2 {
		for x := 0; x < w; x += 2 {
			// Chroma is the mean of four pixels weighted by their alpha, as premultiplied sums are.
			var sr, sg, sb, sa int
			for k := range 4 {
				px, py := x+k&1, y+k>>1
				p := m.Pix[py*m.Stride+px*4:]
				r, g, b, a := int(p[0]), int(p[1]), int(p[2]), int(p[3])
				sr, sg, sb, sa = sr+r, sg+g, sb+b, sa+a
				alpha[py*w+px] = byte(a)
				luma[py*w+px] = 16
				if a > 0 {
					luma[py*w+px] = Luma(min(255, r*255/a), min(255, g*255/a), min(255, b*255/a))
				}
			}
			i := y/2*(w/2) + x/2
			u[i], v[i] = 128, 128
			if sa > 0 {
				u[i], v[i] = Chroma(min(255, sr*255/sa), min(255, sg*255/sa), min(255, sb*255/sa))
			}
		}
	}
	return pix
}
