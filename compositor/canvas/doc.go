// Package canvas composes pictures: it scales I420 pictures into rectangles of a canvas, blends
// bitmaps over them, and draws again only what has changed.
//
// The pixel loops are C, compiled for wide vectors (a headless worker spends as much time here
// as in decoding otherwise). Everything else, and every decision, is Go: loops get planes whose
// bounds have been checked.
package canvas
